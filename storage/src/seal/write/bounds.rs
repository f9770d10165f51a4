//! Least and greatest value of a column over the batches of a part (Q-2: what is not certain is unknown).

use crate::manifest::Bounds;
use crate::scan::value::Value;
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{
    max, max_binary_view, max_boolean, max_fixed_size_binary, max_string_view, min, min_binary_view, min_boolean,
    min_fixed_size_binary, min_string_view,
};
use arrow::datatypes::{
    ArrowNumericType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use millrace_schema::Scalar;
use std::cmp::Ordering;

/// Texts and bytes longer than this are no bounds: the manifest must stay small, and a cut value is not a bound.
const LENGTH_MAX: usize = 64;

/// Bounds in the making.
#[derive(Debug, Default)]
pub(super) struct ColumnBounds {
    ends: Option<(Scalar, Scalar)>,
    has_null: bool,
    unknown: bool,
}

/// The bounds of one array.
enum Ends<'a> {
    Known(Value<'a>, Value<'a>),
    NoValue,
    Unknown,
}

impl ColumnBounds {
    /// Takes the values of one more batch in.
    pub(super) fn update(&mut self, column: &dyn Array) {
        self.has_null |= column.null_count() > 0;
        if self.unknown {
            return;
        }
        match Ends::of(column) {
            Ends::Known(least, greatest) => {
                let (low, high) = match self.ends.take() {
                    None => (least.scalar(), greatest.scalar()),
                    Some((low, high)) => (
                        if least.compare(Value::of(&low)) == Some(Ordering::Less) { least.scalar() } else { low },
                        if greatest.compare(Value::of(&high)) == Some(Ordering::Greater) {
                            greatest.scalar()
                        } else {
                            high
                        },
                    ),
                };
                self.ends = Some((low, high));
            }
            Ends::NoValue => {}
            Ends::Unknown => self.unknown = true,
        }
    }

    /// `None`: unknown, or there was no value but NULL.
    pub(super) fn finish(self) -> Option<Bounds> {
        let (min, max) = self.ends.filter(|_| !self.unknown)?;
        let long = |scalar: &Scalar| match scalar {
            Scalar::Text(text) => text.len() > LENGTH_MAX,
            Scalar::Bytes(bytes) => bytes.len() > LENGTH_MAX,
            _ => false,
        };
        (!long(&min) && !long(&max)).then_some(Bounds { min, max, has_null: self.has_null })
    }
}

impl<'a> Ends<'a> {
    fn of(column: &'a dyn Array) -> Self {
        let ends = match column.data_type() {
            DataType::Boolean => booleans(column.as_boolean()),
            DataType::Int16 => integers::<Int16Type>(column),
            DataType::Int32 => integers::<Int32Type>(column),
            DataType::Int64 => integers::<Int64Type>(column),
            DataType::Date32 => integers::<Date32Type>(column),
            DataType::Time64(_) => integers::<Time64MicrosecondType>(column),
            DataType::Timestamp(..) => integers::<TimestampMicrosecondType>(column),
            DataType::Float32 => return floats(column.as_primitive::<Float32Type>().iter().map(|v| v.map(f64::from))),
            DataType::Float64 => return floats(column.as_primitive::<Float64Type>().iter()),
            DataType::Decimal128(..) => {
                let values = column.as_primitive::<Decimal128Type>();
                min(values).zip(max(values)).map(|(a, b)| (Value::Numeric(a), Value::Numeric(b)))
            }
            DataType::Utf8View => {
                let values = column.as_string_view();
                min_string_view(values).zip(max_string_view(values)).map(|(a, b)| (Value::Text(a), Value::Text(b)))
            }
            DataType::BinaryView => {
                let values = column.as_binary_view();
                min_binary_view(values).zip(max_binary_view(values)).map(|(a, b)| (Value::Bytes(a), Value::Bytes(b)))
            }
            DataType::FixedSizeBinary(_) => {
                let values = column.as_fixed_size_binary();
                let ends = min_fixed_size_binary(values).zip(max_fixed_size_binary(values));
                ends.map(|(a, b)| (Value::Bytes(a), Value::Bytes(b)))
            }
            _ => return Self::Unknown,
        };
        ends.map_or(Self::NoValue, |(least, greatest)| Self::Known(least, greatest))
    }
}

fn booleans<'a>(values: &BooleanArray) -> Option<(Value<'a>, Value<'a>)> {
    min_boolean(values).zip(max_boolean(values)).map(|(a, b)| (Value::Bool(a), Value::Bool(b)))
}

fn integers<'a, T: ArrowNumericType>(column: &dyn Array) -> Option<(Value<'a>, Value<'a>)>
where
    T::Native: Into<i64>,
{
    let values = column.as_primitive::<T>();
    min(values).zip(max(values)).map(|(a, b)| (Value::Int(a.into()), Value::Int(b.into())))
}

fn floats<'a>(values: impl Iterator<Item = Option<f64>>) -> Ends<'a> {
    let mut ends: Option<(f64, f64)> = None;
    for value in values.flatten() {
        if value.is_nan() {
            return Ends::Unknown;
        }
        ends = Some(ends.map_or((value, value), |(least, greatest)| (least.min(value), greatest.max(value))));
    }
    ends.map_or(Ends::NoValue, |(least, greatest)| Ends::Known(Value::Float(least), Value::Float(greatest)))
}
