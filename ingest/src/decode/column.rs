//! Columns under construction: typed slots in, Arrow arrays out.
//!
//! What enters: one [`Slot`] a row that is known to fit. What leaves: an array without spare capacity (views would else
//! keep several times what they hold). Deliberately absent: deciding whether a value fits (`convert`).

use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, StringViewBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{Column, ColumnType, Scalar};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that a view holds itself.
const INLINE_BYTES: usize = 12;

/// A value known to fit its column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Slot {
    /// NULL.
    Null,
    /// boolean.
    Bool(bool),
    /// Integers, dates, times.
    Int(i64),
    /// real.
    Real(f32),
    /// double precision.
    Double(f64),
    /// numeric, unscaled.
    Numeric(i128),
    /// uuid.
    Uuid([u8; 16]),
    /// Text: a string of the tape.
    Node(usize),
    /// Text or bytes in the row's scratch.
    Scratch(Range<usize>),
    /// The column's DEFAULT of text or bytes.
    Default,
}

/// Where slots that are only places find what they name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a, 'p> {
    pub(super) nodes: &'a [simd_json::Node<'p>],
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
}

/// One column's builder.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Small(Int16Builder),
    Integer(Int32Builder),
    Big(Int64Builder),
    Real(Float32Builder),
    Double(Float64Builder),
    Numeric(Decimal128Builder),
    Text(StringViewBuilder, Option<String>),
    Bytes(BinaryViewBuilder, Option<Vec<u8>>),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Uuid(FixedSizeBinaryBuilder),
}

/// What a missing value becomes; `Slot::Null` where the column has no DEFAULT.
///
/// # Errors
/// `InvalidValue` where the stored DEFAULT is not of the column's type.
pub(super) fn default_slot(column: &Column) -> Result<Slot> {
    let Some(value) = column.default.as_ref().and_then(|d| d.value.as_ref()) else { return Ok(Slot::Null) };
    let slot = match (column.ty, value) {
        (ColumnType::Boolean, Scalar::Bool(b)) => Some(Slot::Bool(*b)),
        (ColumnType::SmallInt, Scalar::Int(i)) => i16::try_from(*i).ok().map(|i| Slot::Int(i.into())),
        (ColumnType::Integer | ColumnType::Date, Scalar::Int(i)) => i32::try_from(*i).ok().map(|i| Slot::Int(i.into())),
        (ColumnType::BigInt | ColumnType::Time | ColumnType::Timestamp | ColumnType::TimestampTz, Scalar::Int(i)) => {
            Some(Slot::Int(*i))
        }
        (ColumnType::Real, Scalar::Float(f)) => f.to_string().parse().ok().map(Slot::Real),
        (ColumnType::Double, Scalar::Float(f)) => Some(Slot::Double(*f)),
        (ColumnType::Numeric { .. }, Scalar::Numeric(n)) => Some(Slot::Numeric(*n)),
        (ColumnType::Uuid, Scalar::Bytes(b)) => <[u8; 16]>::try_from(b.as_slice()).ok().map(Slot::Uuid),
        (ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Json | ColumnType::Jsonb, Scalar::Text(_))
        | (ColumnType::Bytea, Scalar::Bytes(_)) => Some(Slot::Default),
        _ => None,
    };
    slot.ok_or_else(|| {
        Error::new(ErrorKind::InvalidValue, format!("the default of column {:?} is not a {}", column.name, column.ty))
            .hint("drop the default or declare it again")
    })
}

impl ColumnBuilder {
    /// An empty column.
    pub(super) fn new(column: &Column) -> Self {
        let text = || match column.default.as_ref().and_then(|d| d.value.as_ref()) {
            Some(Scalar::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let bytes = || match column.default.as_ref().and_then(|d| d.value.as_ref()) {
            Some(Scalar::Bytes(bytes)) => Some(bytes.clone()),
            _ => None,
        };
        match column.ty {
            ColumnType::Boolean => Self::Bool(BooleanBuilder::new()),
            ColumnType::SmallInt => Self::Small(Int16Builder::with_capacity(0)),
            ColumnType::Integer => Self::Integer(Int32Builder::with_capacity(0)),
            ColumnType::BigInt => Self::Big(Int64Builder::with_capacity(0)),
            ColumnType::Real => Self::Real(Float32Builder::with_capacity(0)),
            ColumnType::Double => Self::Double(Float64Builder::with_capacity(0)),
            ColumnType::Numeric { precision, scale } => Self::Numeric(
                Decimal128Builder::with_capacity(0).with_data_type(DataType::Decimal128(precision, scale)),
            ),
            ColumnType::Text | ColumnType::Varchar(_) | ColumnType::Json | ColumnType::Jsonb => {
                Self::Text(StringViewBuilder::with_capacity(0), text())
            }
            ColumnType::Bytea => Self::Bytes(BinaryViewBuilder::with_capacity(0), bytes()),
            ColumnType::Date => Self::Date(Date32Builder::with_capacity(0)),
            ColumnType::Time => Self::Time(Time64MicrosecondBuilder::with_capacity(0)),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(0)),
            ColumnType::TimestampTz => {
                Self::Timestamp(TimestampMicrosecondBuilder::with_capacity(0).with_data_type(column.ty.arrow()))
            }
            ColumnType::Uuid => Self::Uuid(FixedSizeBinaryBuilder::with_capacity(0, 16)),
        }
    }

    /// Bytes that every row costs.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Bool(_) => 1,
            Self::Small(_) => 2,
            Self::Integer(_) | Self::Real(_) | Self::Date(_) => 4,
            Self::Big(_) | Self::Double(_) | Self::Time(_) | Self::Timestamp(_) => 8,
            Self::Numeric(_) | Self::Text(..) | Self::Bytes(..) | Self::Uuid(_) => 16,
        }
    }

    /// Appends a row's value; the bytes it costs beyond [`Self::width`].
    #[inline]
    pub(super) fn append(&mut self, slot: &Slot, row: Row<'_, '_>) -> usize {
        match (self, slot) {
            (Self::Text(b, default), slot) => {
                let text = match slot {
                    Slot::Node(node) => match row.nodes.get(*node) {
                        Some(simd_json::Node::String(text)) => Some(*text),
                        _ => None,
                    },
                    Slot::Scratch(range) => row.text.get(range.clone()),
                    Slot::Default => default.as_deref(),
                    _ => None,
                };
                b.append_option(text);
                return text.map_or(0, |t| outside(t.len()));
            }
            (Self::Bytes(b, default), slot) => {
                let bytes = match slot {
                    Slot::Scratch(range) => row.bytes.get(range.clone()),
                    Slot::Default => default.as_deref(),
                    _ => None,
                };
                b.append_option(bytes);
                return bytes.map_or(0, |b| outside(b.len()));
            }
            (Self::Big(b), Slot::Int(i)) => b.append_value(*i),
            (Self::Integer(b), Slot::Int(i)) => b.append_option(i32::try_from(*i).ok()),
            (Self::Small(b), Slot::Int(i)) => b.append_option(i16::try_from(*i).ok()),
            (Self::Date(b), Slot::Int(i)) => b.append_option(i32::try_from(*i).ok()),
            (Self::Time(b), Slot::Int(i)) => b.append_value(*i),
            (Self::Timestamp(b), Slot::Int(i)) => b.append_value(*i),
            (Self::Bool(b), Slot::Bool(v)) => b.append_value(*v),
            (Self::Real(b), Slot::Real(v)) => b.append_value(*v),
            (Self::Double(b), Slot::Double(v)) => b.append_value(*v),
            (Self::Numeric(b), Slot::Numeric(v)) => b.append_value(*v),
            (Self::Uuid(b), Slot::Uuid(v)) => {
                if b.append_value(v).is_err() {
                    b.append_null();
                }
            }
            (builder, slot) => {
                debug_assert!(matches!(slot, Slot::Null), "{slot:?} in another type's column");
                builder.append_null();
            }
        }
        0
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Small(b) => b.append_null(),
            Self::Integer(b) => b.append_null(),
            Self::Big(b) => b.append_null(),
            Self::Real(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Numeric(b) => b.append_null(),
            Self::Text(b, _) => b.append_null(),
            Self::Bytes(b, _) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Uuid(b) => b.append_null(),
        }
    }

    /// The rows so far, without spare capacity; the builder starts anew.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => shrunk(b.finish()),
            Self::Small(b) => shrunk(b.finish()),
            Self::Integer(b) => shrunk(b.finish()),
            Self::Big(b) => shrunk(b.finish()),
            Self::Real(b) => shrunk(b.finish()),
            Self::Double(b) => shrunk(b.finish()),
            Self::Numeric(b) => shrunk(b.finish()),
            Self::Text(b, _) => {
                let array = shrunk(b.finish());
                *b = StringViewBuilder::with_capacity(0);
                array
            }
            Self::Bytes(b, _) => {
                let array = shrunk(b.finish());
                *b = BinaryViewBuilder::with_capacity(0);
                array
            }
            Self::Date(b) => shrunk(b.finish()),
            Self::Time(b) => shrunk(b.finish()),
            Self::Timestamp(b) => shrunk(b.finish()),
            Self::Uuid(b) => shrunk(b.finish()),
        }
    }
}

/// What a value of `len` bytes costs beside its view.
fn outside(len: usize) -> usize {
    if len > INLINE_BYTES { len } else { 0 }
}

fn shrunk<A: Array + 'static>(mut array: A) -> ArrayRef {
    array.shrink_to_fit();
    Arc::new(array)
}
