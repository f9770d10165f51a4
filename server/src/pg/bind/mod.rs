//! Bind parameters → Arrow arrays of one value each.
//!
//! What enters: the bytes of a Bind message, the type the client declared (if any) and the type the engine wants. What
//! leaves: an array of exactly the wanted type. Text is read by PostgreSQL's input rules of the type, numbers widen as
//! they do in an assignment. Deliberately absent: names and counts (see `extended`).

mod binary;
mod moment;
#[cfg(test)]
mod tests;
mod text;

use crate::pg::encode::Format;
use crate::pg::pg_type::PgType;
use crate::pg::zone::Zone;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array,
    Int64Array, IntervalMonthDayNanoArray, ListArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, concat};
use arrow::datatypes::{DataType, IntervalMonthDayNano};
use arrow::error::ArrowError;
use millrace_error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// One value as it came, before it takes the wanted Arrow type.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Plain decimal text: `-12.50`, or `NaN`.
    Numeric(String),
    Text(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970.
    Timestamp(i64),
    /// Microseconds since 1970 UTC.
    Instant(i64),
    Interval {
        months: i32,
        days: i32,
        micros: i64,
    },
    List(Vec<Option<Value>>),
}

/// How a value comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) format: Format,
    /// The zone of instants that are written without one.
    pub(crate) zone: Zone,
}

/// Decodes one parameter. `declared` is the client's type, `wanted` the engine's.
///
/// # Errors
/// `InvalidText`, `InvalidTime`, `OutOfRange` for a value that is not of the type; `Protocol` for binary of a wrong length.
pub(crate) fn parameter(
    bytes: Option<&[u8]>,
    declared: Option<PgType>,
    wanted: &DataType,
    form: Form,
) -> Result<ArrayRef> {
    let Some(bytes) = bytes else { return Ok(new_null_array(wanted, 1)) };
    let ty = declared.unwrap_or_else(|| PgType::from_arrow(wanted));
    let value = match form.format {
        Format::Text => text::value(utf8(bytes)?, ty, form.zone)?,
        Format::Binary => binary::value(bytes, ty, form.zone)?,
    };
    array(value, wanted, form.zone)
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidText, "invalid byte sequence for encoding \"UTF8\""))
}

/// An array of `value` alone, of type `wanted`.
fn array(value: Value, wanted: &DataType, zone: Zone) -> Result<ArrayRef> {
    let natural: ArrayRef = match value {
        Value::Text(text) => return of_text(text, wanted, zone),
        Value::Numeric(text) => return of_numeric(&text, wanted, zone),
        Value::List(items) => return of_list(items, wanted, zone),
        Value::Bool(v) => Arc::new(BooleanArray::from(vec![v])),
        Value::Int(v) => Arc::new(Int64Array::from(vec![v])),
        Value::Float(v) => Arc::new(Float64Array::from(vec![v])),
        Value::Bytes(v) => Arc::new(BinaryArray::from(vec![v.as_slice()])),
        Value::Uuid(v) if matches!(wanted, DataType::FixedSizeBinary(16)) => fixed(&v)?,
        Value::Uuid(v) => Arc::new(StringArray::from(vec![text::uuid_text(&v)])),
        Value::Date(v) => Arc::new(Date32Array::from(vec![v])),
        Value::Time(v) => Arc::new(Time64MicrosecondArray::from(vec![v])),
        Value::Timestamp(v) => Arc::new(TimestampMicrosecondArray::from(vec![v])),
        Value::Instant(v) => Arc::new(TimestampMicrosecondArray::from(vec![v]).with_timezone("UTC")),
        Value::Interval { months, days, micros } => {
            let nanos = micros.checked_mul(1_000);
            let nanos = nanos.ok_or_else(|| Error::new(ErrorKind::OutOfRange, "interval out of range"))?;
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, days, nanos)]))
        }
    };
    convert(&natural, wanted)
}

/// A checked cast: a value that does not fit is an error, never NULL.
fn convert(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, wanted, &options).map_err(|e| {
        let kind = match e {
            ArrowError::ParseError(_) => ErrorKind::InvalidText,
            ArrowError::NotYetImplemented(_) => ErrorKind::TypeMismatch,
            _ => ErrorKind::OutOfRange,
        };
        let (from, to) = (PgType::from_arrow(array.data_type()), PgType::from_arrow(wanted));
        Error::new(kind, format!("a parameter of type {from:?} has no value of type {to:?}").to_lowercase())
            .caused_by(e)
    })
}

fn fixed(bytes: &[u8; 16]) -> Result<ArrayRef> {
    let array = FixedSizeBinaryArray::try_from_iter([bytes].into_iter())
        .map_err(|e| Error::internal("cannot hold a uuid").caused_by(e))?;
    Ok(Arc::new(array))
}

/// Text stays text, or is read by the input rules of the wanted type.
fn of_text(text: String, wanted: &DataType, zone: Zone) -> Result<ArrayRef> {
    match PgType::from_arrow(wanted) {
        PgType::Text => {
            let natural: ArrayRef = Arc::new(StringArray::from(vec![text]));
            // An untyped parameter: the engine takes it as text.
            if *wanted == DataType::Null { Ok(natural) } else { convert(&natural, wanted) }
        }
        ty => array(text::value(&text, ty, zone)?, wanted, zone),
    }
}

fn of_numeric(text: &str, wanted: &DataType, zone: Zone) -> Result<ArrayRef> {
    let decimal = |precision: u8, scale: i8| -> Result<ArrayRef> {
        let unscaled = text::unscaled(text, precision, scale)?;
        let array = Decimal128Array::from(vec![unscaled]).with_precision_and_scale(precision, scale);
        Ok(Arc::new(array.map_err(|e| Error::internal("cannot hold a numeric").caused_by(e))?))
    };
    match wanted {
        DataType::Decimal128(precision, scale) => decimal(*precision, *scale),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            let natural: ArrayRef = Arc::new(StringArray::from(vec![text]));
            convert(&natural, wanted)
        }
        DataType::Float32 | DataType::Float64 => array(Value::Float(text::float(text)?), wanted, zone),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            // As an assignment does: to the nearest integer.
            let whole = i64::try_from(text::unscaled(text, 38, 0)?);
            array(
                Value::Int(whole.map_err(|_| Error::new(ErrorKind::OutOfRange, "bigint out of range"))?),
                wanted,
                zone,
            )
        }
        _ => convert(&decimal(38, 10)?, wanted),
    }
}

fn of_list(items: Vec<Option<Value>>, wanted: &DataType, zone: Zone) -> Result<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _)) = wanted else {
        let to = PgType::from_arrow(wanted);
        return Err(Error::new(ErrorKind::TypeMismatch, format!("an array is not of type {to:?}").to_lowercase()));
    };
    let count = items.len();
    let arrays = items
        .into_iter()
        .map(|item| {
            item.map_or_else(|| Ok(new_null_array(field.data_type(), 1)), |v| array(v, field.data_type(), zone))
        })
        .collect::<Result<Vec<ArrayRef>>>()?;
    let internal = |e: ArrowError| Error::internal("cannot build an array").caused_by(e);
    let values = if arrays.is_empty() {
        new_null_array(field.data_type(), 0)
    } else {
        let each: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        concat(&each).map_err(internal)?
    };
    let list =
        ListArray::try_new(field.clone(), OffsetBuffer::from_lengths([count]), values, None).map_err(internal)?;
    let list: ArrayRef = Arc::new(list);
    convert(&list, wanted)
}
