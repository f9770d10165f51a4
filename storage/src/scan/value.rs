//! One value out of an Arrow array, borrowed, in the physical form of [`Scalar`].
//!
//! What enters: an array of a table's type and a row. What leaves: the value, `None` for NULL, comparable with scalars.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use millrace_schema::Scalar;
use std::cmp::Ordering;

/// A borrowed [`Scalar`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Numeric(i128),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The value at `row`; `None` where it is NULL, past the end, or of a type no table stores.
    pub(crate) fn at(array: &'a dyn Array, row: usize) -> Option<Self> {
        if row >= array.len() || array.is_null(row) {
            return None;
        }
        Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().value(row)),
            DataType::Int16 => Self::Int(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>().value(row)),
            DataType::Date32 => Self::Int(array.as_primitive::<Date32Type>().value(row).into()),
            DataType::Time64(TimeUnit::Microsecond) => {
                Self::Int(array.as_primitive::<Time64MicrosecondType>().value(row))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                Self::Int(array.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            DataType::Float32 => Self::Float(array.as_primitive::<Float32Type>().value(row).into()),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(..) => Self::Numeric(array.as_primitive::<Decimal128Type>().value(row)),
            DataType::Utf8View => Self::Text(array.as_string_view().value(row)),
            DataType::BinaryView => Self::Bytes(array.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => Self::Bytes(array.as_fixed_size_binary().value(row)),
            _ => return None,
        })
    }

    /// Borrows a scalar.
    pub(crate) fn of(scalar: &'a Scalar) -> Self {
        match scalar {
            Scalar::Bool(v) => Self::Bool(*v),
            Scalar::Int(v) => Self::Int(*v),
            Scalar::Float(v) => Self::Float(*v),
            Scalar::Numeric(v) => Self::Numeric(*v),
            Scalar::Text(v) => Self::Text(v),
            Scalar::Bytes(v) => Self::Bytes(v),
        }
    }

    /// An owned copy.
    pub(crate) fn scalar(self) -> Scalar {
        match self {
            Self::Bool(v) => Scalar::Bool(v),
            Self::Int(v) => Scalar::Int(v),
            Self::Float(v) => Scalar::Float(v),
            Self::Numeric(v) => Scalar::Numeric(v),
            Self::Text(v) => Scalar::Text(v.to_owned()),
            Self::Bytes(v) => Scalar::Bytes(v.to_owned()),
        }
    }

    /// How it compares with another value of its variant, in the order parts are sorted by; the two zeros are equal.
    /// `None` across variants.
    pub(crate) fn compare(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(&b)),
            (Self::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Value::Float(b)) => Some(if a == b { Ordering::Equal } else { a.total_cmp(&b) }),
            (Self::Numeric(a), Value::Numeric(b)) => Some(a.cmp(&b)),
            (Self::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether it is a NaN.
    pub(crate) fn is_nan(self) -> bool {
        matches!(self, Self::Float(v) if v.is_nan())
    }
}
