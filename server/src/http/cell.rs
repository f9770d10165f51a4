//! One value as text: JSON out and CSV.
//!
//! Integers as numbers, numeric as text, NaN and infinities as text, bytea as base64, times as RFC 3339 with microseconds,
//! json as itself. What enters: a column. What leaves: a function that writes the value of a row.

use crate::pg::pg_type::{ColumnShape, PgType};
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow::util::display::array_value_to_string;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveTime, TimeDelta};
use millrace_error::{Error, Result};
use millrace_schema::TYPE_KEY;
use serde_json::{Value, json};
use std::fmt::{Debug, Display};
use std::io::Write;
use std::sync::Arc;

/// Writes the value of one row.
pub(super) type Writer = Box<dyn Fn(usize, &mut Vec<u8>) + Send>;

/// Where a value is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
}

/// A column in the head of the json format: `{"name","type"}`.
pub(super) fn column(field: &Field) -> Value {
    json!({ "name": field.name(), "type": type_name(field) })
}

/// PostgreSQL's name of the type, with its modifier where a table's column has one.
fn type_name(field: &Field) -> String {
    let shape = ColumnShape::of(field);
    match field.metadata().get(TYPE_KEY) {
        Some(name) if shape.modifier != -1 => name.clone(),
        _ => bare_name(shape.ty),
    }
}

fn bare_name(ty: PgType) -> String {
    let name = match ty {
        PgType::Bool => "boolean",
        PgType::Int2 => "smallint",
        PgType::Int4 => "integer",
        PgType::Int8 => "bigint",
        PgType::Float4 => "real",
        PgType::Float8 => "double precision",
        PgType::Numeric => "numeric",
        PgType::Text => "text",
        PgType::Varchar => "character varying",
        PgType::Name => "name",
        PgType::Oid => "oid",
        PgType::Bytea => "bytea",
        PgType::Date => "date",
        PgType::Time => "time without time zone",
        PgType::Timestamp => "timestamp without time zone",
        PgType::TimestampTz => "timestamp with time zone",
        PgType::Interval => "interval",
        PgType::Uuid => "uuid",
        PgType::Json => "json",
        PgType::Jsonb => "jsonb",
        PgType::Array(element) => return format!("{}[]", bare_name(element.ty())),
    };
    name.to_owned()
}

/// Writes a text.
pub(super) fn text(form: Form, value: &str, out: &mut Vec<u8>) {
    match form {
        // Writing to a Vec cannot fail.
        Form::Json => drop(serde_json::to_writer(out, value)),
        Form::Csv => {
            let quoted = value.is_empty() || value.contains([',', '"', '\n', '\r']);
            if quoted {
                out.push(b'"');
                out.extend_from_slice(value.replace('"', "\"\"").as_bytes());
                out.push(b'"');
            } else {
                out.extend_from_slice(value.as_bytes());
            }
        }
    }
}

/// The writer of a column.
///
/// # Errors
/// `Internal` for a type that Arrow cannot show.
pub(super) fn writer(form: Form, field: &Field, array: &ArrayRef) -> Result<Writer> {
    let array = plain(array)?;
    let nulls = array.logical_nulls();
    let value = value_writer(form, field, &array)?;
    Ok(Box::new(move |row, out| match &nulls {
        Some(nulls) if nulls.is_null(row) => {
            if form == Form::Json {
                out.extend_from_slice(b"null");
            }
        }
        _ => value(row, out),
    }))
}

/// Dictionaries and the like as plain arrays, times in microseconds.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    use DataType as D;
    let target = match array.data_type() {
        D::Dictionary(_, value) => value.as_ref().clone(),
        D::RunEndEncoded(_, value) => value.data_type().clone(),
        D::Timestamp(unit, zone) if *unit != TimeUnit::Microsecond => D::Timestamp(TimeUnit::Microsecond, zone.clone()),
        D::Time32(_) | D::Time64(TimeUnit::Nanosecond) => D::Time64(TimeUnit::Microsecond),
        D::Date64 => D::Date32,
        D::Utf8 | D::LargeUtf8 => D::Utf8View,
        D::Binary | D::LargeBinary => D::BinaryView,
        D::Float16 => D::Float32,
        D::Decimal32(p, s) | D::Decimal64(p, s) => D::Decimal128(*p, *s),
        D::LargeList(item) | D::FixedSizeList(item, _) => D::List(Arc::clone(item)),
        _ => return Ok(Arc::clone(array)),
    };
    let cast = cast(array, &target).map_err(|e| Error::internal(format!("cannot show a value: {e}")).caused_by(e))?;
    if cast.data_type() == array.data_type() { Ok(cast) } else { plain(&cast) }
}

fn value_writer(form: Form, field: &Field, array: &ArrayRef) -> Result<Writer> {
    use DataType as D;
    let owned = Arc::clone(array);
    Ok(match array.data_type() {
        D::Boolean => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }))
        }
        D::Int8 => number::<Int8Type>(array),
        D::Int16 => number::<Int16Type>(array),
        D::Int32 => number::<Int32Type>(array),
        D::Int64 => number::<Int64Type>(array),
        D::UInt8 => number::<UInt8Type>(array),
        D::UInt16 => number::<UInt16Type>(array),
        D::UInt32 => number::<UInt32Type>(array),
        D::UInt64 => number::<UInt64Type>(array),
        D::Float32 => float::<Float32Type>(form, array, f64::from),
        D::Float64 => float::<Float64Type>(form, array, |v| v),
        D::Decimal128(..) => shown::<Decimal128Type>(form, array, |a, row| a.value_as_string(row)),
        D::Decimal256(..) => shown::<Decimal256Type>(form, array, |a, row| a.value_as_string(row)),
        D::Date32 => shown::<Date32Type>(form, array, |a, row| date(a.value(row))),
        D::Time64(_) => shown::<Time64MicrosecondType>(form, array, |a, row| time(a.value(row))),
        D::Timestamp(_, zone) => {
            let zulu = if zone.is_some() { "Z" } else { "" };
            shown::<TimestampMicrosecondType>(form, array, move |a, row| timestamp(a.value(row), zulu))
        }
        D::Utf8View => {
            let values = array.as_string_view().clone();
            let raw = form == Form::Json && matches!(PgType::from_field(field), PgType::Json | PgType::Jsonb);
            Box::new(
                move |row, out| if raw { embedded(values.value(row), out) } else { text(form, values.value(row), out) },
            )
        }
        D::BinaryView => {
            let values = array.as_binary_view().clone();
            Box::new(move |row, out| text(form, &STANDARD.encode(values.value(row)), out))
        }
        D::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary().clone();
            Box::new(move |row, out| text(form, &fixed(values.value(row)), out))
        }
        D::List(item) => list(form, item, array)?,
        _ => Box::new(move |row, out| text(form, &array_value_to_string(&owned, row).unwrap_or_default(), out)),
    })
}

fn number<T: ArrowPrimitiveType>(array: &ArrayRef) -> Writer
where
    T::Native: Display,
{
    let values = array.as_primitive::<T>().clone();
    Box::new(move |row, out| drop(write!(out, "{}", values.value(row))))
}

/// Rust's debug form of a finite float is a JSON number and reads back as the same value.
fn float<T: ArrowPrimitiveType>(form: Form, array: &ArrayRef, wide: fn(T::Native) -> f64) -> Writer
where
    T::Native: Debug,
{
    let values = array.as_primitive::<T>().clone();
    Box::new(move |row, out| {
        let value = wide(values.value(row));
        if value.is_finite() {
            drop(write!(out, "{:?}", values.value(row)));
        } else {
            let name = if value.is_nan() {
                "NaN"
            } else if value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            };
            text(form, name, out);
        }
    })
}

fn shown<T: ArrowPrimitiveType>(
    form: Form,
    array: &ArrayRef,
    show: impl Fn(&PrimitiveArray<T>, usize) -> String + Send + 'static,
) -> Writer {
    let values = array.as_primitive::<T>().clone();
    Box::new(move |row, out| text(form, &show(&values, row), out))
}

/// An array: of JSON an array, of CSV the same as text.
fn list(form: Form, item: &Field, array: &ArrayRef) -> Result<Writer> {
    let lists = array.as_list::<i32>().clone();
    let write = writer(Form::Json, item, lists.values())?;
    Ok(Box::new(move |row, out| {
        let offsets = lists.value_offsets();
        let bound = |at: usize| offsets.get(at).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
        let mut json = vec![b'['];
        for (i, at) in (bound(row)..bound(row + 1)).enumerate() {
            if i > 0 {
                json.push(b',');
            }
            write(at, &mut json);
        }
        json.push(b']');
        match form {
            Form::Json => out.append(&mut json),
            Form::Csv => text(form, &String::from_utf8_lossy(&json), out),
        }
    }))
}

/// JSON inside JSON. A line break can only be white space between its tokens, and would break an ndjson line.
fn embedded(json: &str, out: &mut Vec<u8>) {
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
        return text(Form::Json, json, out);
    }
    out.extend(json.bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }));
}

fn date(days: i32) -> String {
    let micros = i64::from(days) * 86_400_000_000;
    DateTime::from_timestamp_micros(micros).map_or_else(|| days.to_string(), |d| d.format("%Y-%m-%d").to_string())
}

fn time(micros: i64) -> String {
    if micros == 86_400_000_000 {
        return "24:00:00.000000".to_owned();
    }
    (NaiveTime::MIN + TimeDelta::microseconds(micros)).format("%H:%M:%S%.6f").to_string()
}

fn timestamp(micros: i64, zone: &str) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |d| format!("{}{zone}", d.format("%Y-%m-%dT%H:%M:%S%.6f")))
}

/// 16 bytes are a uuid, all else bytes.
fn fixed(bytes: &[u8]) -> String {
    match uuid::Uuid::from_slice(bytes) {
        Ok(uuid) => uuid.to_string(),
        Err(_) => STANDARD.encode(bytes),
    }
}
