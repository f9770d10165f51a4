//! The encoder of a column, chosen by its Arrow type, SQL type and format.
//!
//! What enters: one Arrow array. What leaves: a closure that writes the value of a row. Deliberately absent: NULLs and
//! lengths (see the parent module).

use super::calendar::{EPOCH_2000_DAYS, EPOCH_2000_MICROS, MICROS_PER_DAY, MICROS_PER_SECOND};
use super::{Encode, Format, Style, calendar, list, number};
use crate::pg::pg_type::PgType;
use crate::pg::zone::Zone;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use millrace_error::{Error, ErrorKind, Result};
use std::fmt::Write;

/// Chooses the encoder of `array`.
pub(super) fn encoder(array: &ArrayRef, ty: PgType, style: Style) -> Result<Encode> {
    use DataType as D;
    if let Some(list) = list::encoder(array, ty, style)? {
        return Ok(list);
    }
    let format = style.format;
    Ok(match array.data_type() {
        D::Boolean => boolean(array, format),
        D::Int8 => integer::<Int8Type, 2>(array, format, |v| Some(i16::from(v).to_be_bytes())),
        D::Int16 => integer::<Int16Type, 2>(array, format, |v| Some(v.to_be_bytes())),
        D::UInt8 => integer::<UInt8Type, 2>(array, format, |v| Some(i16::from(v).to_be_bytes())),
        D::Int32 => integer::<Int32Type, 4>(array, format, |v| Some(v.to_be_bytes())),
        D::UInt16 => integer::<UInt16Type, 4>(array, format, |v| Some(i32::from(v).to_be_bytes())),
        D::UInt32 if ty == PgType::Oid => integer::<UInt32Type, 4>(array, format, |v| Some(v.to_be_bytes())),
        D::Int64 if ty == PgType::Oid => {
            integer::<Int64Type, 4>(array, format, |v| u32::try_from(v).ok().map(u32::to_be_bytes))
        }
        D::UInt32 => integer::<UInt32Type, 8>(array, format, |v| Some(i64::from(v).to_be_bytes())),
        D::Int64 => integer::<Int64Type, 8>(array, format, |v| Some(v.to_be_bytes())),
        D::UInt64 => integer::<UInt64Type, 8>(array, format, |v| i64::try_from(v).ok().map(i64::to_be_bytes)),
        D::Float16 | D::Float32 | D::Float64 => float(array, format),
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => decimal(array, format),
        D::Utf8 | D::LargeUtf8 | D::Utf8View => text(array, ty, format),
        D::FixedSizeBinary(16) => uuid(array, format),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => bytea(array, format)?,
        D::Date32 | D::Date64 => date(array, format),
        D::Time32(_) | D::Time64(_) => time(array, format)?,
        D::Timestamp(unit, zone) => timestamp(array, *unit, zone.as_ref().map(|_| style.zone), format),
        D::Interval(_) | D::Duration(_) => interval(array, format)?,
        D::Dictionary(_, value) => encoder(&unpack(array, value)?, ty, style)?,
        D::RunEndEncoded(_, value) => encoder(&unpack(array, value.data_type())?, ty, style)?,
        D::Null => Box::new(|_, _| Ok(())),
        _ => shown(array)?,
    })
}

/// The values of a dictionary or of runs, one for each row.
fn unpack(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    cast(array, ty).map_err(|e| Error::internal(format!("cannot unpack {}", array.data_type())).caused_by(e))
}

fn out_of_range(type_name: &str) -> Error {
    Error::new(ErrorKind::OutOfRange, format!("{type_name} out of range"))
}

fn boolean(array: &ArrayRef, format: Format) -> Encode {
    let array = array.as_boolean().clone();
    match format {
        Format::Text => Box::new(move |row, out| {
            out.put_u8(if array.value(row) { b't' } else { b'f' });
            Ok(())
        }),
        Format::Binary => Box::new(move |row, out| {
            out.put_u8(u8::from(array.value(row)));
            Ok(())
        }),
    }
}

/// `wire` gives the N bytes in which the number travels; `None` where it does not fit, in text too.
fn integer<T: ArrowPrimitiveType, const N: usize>(
    array: &ArrayRef,
    format: Format,
    wire: fn(T::Native) -> Option<[u8; N]>,
) -> Encode
where
    T::Native: std::fmt::Display,
{
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    let bad = || out_of_range("bigint");
    match format {
        Format::Text => Box::new(move |row, out| {
            let value = array.value(row);
            wire(value).ok_or_else(bad)?;
            // Writing to memory cannot fail.
            let _ = write!(out, "{value}");
            Ok(())
        }),
        Format::Binary => Box::new(move |row, out| {
            out.put_slice(&wire(array.value(row)).ok_or_else(bad)?);
            Ok(())
        }),
    }
}

fn float(array: &ArrayRef, format: Format) -> Encode {
    if let Some(array) = array.as_primitive_opt::<Float64Type>().cloned() {
        return match format {
            Format::Text => Box::new(move |row, out| {
                number::put_float8(array.value(row), out);
                Ok(())
            }),
            Format::Binary => Box::new(move |row, out| {
                out.put_f64(array.value(row));
                Ok(())
            }),
        };
    }
    let single: PrimitiveArray<Float32Type> = match array.as_primitive_opt::<Float16Type>() {
        Some(half) => half.unary(f32::from),
        None => array.as_primitive::<Float32Type>().clone(),
    };
    match format {
        Format::Text => Box::new(move |row, out| {
            number::put_float4(single.value(row), out);
            Ok(())
        }),
        Format::Binary => Box::new(move |row, out| {
            out.put_f32(single.value(row));
            Ok(())
        }),
    }
}

fn decimal(array: &ArrayRef, format: Format) -> Encode {
    let (value, scale): (Box<dyn Fn(usize) -> i128 + Send + Sync>, i8) = match array.data_type() {
        DataType::Decimal32(_, scale) => {
            let array = array.as_primitive::<Decimal32Type>().clone();
            (Box::new(move |row| i128::from(array.value(row))), *scale)
        }
        DataType::Decimal64(_, scale) => {
            let array = array.as_primitive::<Decimal64Type>().clone();
            (Box::new(move |row| i128::from(array.value(row))), *scale)
        }
        DataType::Decimal128(_, scale) => {
            let array = array.as_primitive::<Decimal128Type>().clone();
            (Box::new(move |row| array.value(row)), *scale)
        }
        _ => return wide_decimal(array, format),
    };
    match format {
        Format::Text => Box::new(move |row, out| {
            number::put_decimal128(value(row), scale, out);
            Ok(())
        }),
        Format::Binary => Box::new(move |row, out| {
            number::put_numeric_binary(&value(row).to_string(), scale, out);
            Ok(())
        }),
    }
}

fn wide_decimal(array: &ArrayRef, format: Format) -> Encode {
    let scale = if let DataType::Decimal256(_, scale) = array.data_type() { *scale } else { 0 };
    let array = array.as_primitive::<Decimal256Type>().clone();
    Box::new(move |row, out| {
        let digits = array.value(row).to_string();
        match format {
            Format::Text => number::put_decimal_text(&digits, scale, out),
            Format::Binary => number::put_numeric_binary(&digits, scale, out),
        }
        Ok(())
    })
}

fn text(array: &ArrayRef, ty: PgType, format: Format) -> Encode {
    // jsonb_send puts a version byte in front.
    let versioned = ty == PgType::Jsonb && format == Format::Binary;
    macro_rules! of {
        ($array:expr) => {{
            let array = $array.clone();
            Box::new(move |row, out: &mut BytesMut| {
                if versioned {
                    out.put_u8(1);
                }
                out.put_slice(array.value(row).as_bytes());
                Ok(())
            })
        }};
    }
    match array.data_type() {
        DataType::Utf8View => of!(array.as_string_view()),
        DataType::LargeUtf8 => of!(array.as_string::<i64>()),
        _ => of!(array.as_string::<i32>()),
    }
}

fn bytea(array: &ArrayRef, format: Format) -> Result<Encode> {
    fn put(bytes: &[u8], format: Format, out: &mut BytesMut) -> Result<()> {
        if format == Format::Binary {
            out.put_slice(bytes);
        } else {
            out.put_slice(b"\\x");
            put_hex(bytes, out);
        }
        Ok(())
    }
    let array = match array.data_type() {
        DataType::BinaryView => array.clone(),
        _ => unpack(array, &DataType::BinaryView)?,
    };
    let array = array.as_binary_view().clone();
    Ok(Box::new(move |row, out| put(array.value(row), format, out)))
}

fn put_hex(bytes: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or(b'0');
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.put_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

fn uuid(array: &ArrayRef, format: Format) -> Encode {
    let array = array.as_fixed_size_binary().clone();
    Box::new(move |row, out| {
        let bytes = array.value(row);
        if format == Format::Binary {
            out.put_slice(bytes);
            return Ok(());
        }
        for (n, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
            if n > 0 {
                out.put_u8(b'-');
            }
            put_hex(bytes.get(range).unwrap_or_default(), out);
        }
        Ok(())
    })
}

fn date(array: &ArrayRef, format: Format) -> Encode {
    let days: Box<dyn Fn(usize) -> i64 + Send + Sync> = match array.as_primitive_opt::<Date32Type>().cloned() {
        Some(array) => Box::new(move |row| i64::from(array.value(row))),
        None => {
            let array = array.as_primitive::<Date64Type>().clone();
            Box::new(move |row| array.value(row).div_euclid(86_400_000))
        }
    };
    Box::new(move |row, out| {
        let days = days(row);
        match format {
            Format::Text => calendar::put_date(days, out),
            Format::Binary => {
                let since = i32::try_from(days).ok().and_then(|d| d.checked_sub(EPOCH_2000_DAYS));
                out.put_i32(since.ok_or_else(|| out_of_range("date"))?);
            }
        }
        Ok(())
    })
}

fn time(array: &ArrayRef, format: Format) -> Result<Encode> {
    let array = unpack(array, &DataType::Time64(TimeUnit::Microsecond))?;
    let array = array.as_primitive::<Time64MicrosecondType>().clone();
    Ok(Box::new(move |row, out| {
        match format {
            Format::Text => calendar::put_time(array.value(row), out),
            Format::Binary => out.put_i64(array.value(row)),
        }
        Ok(())
    }))
}

fn timestamp(array: &ArrayRef, unit: TimeUnit, instant: Option<Zone>, format: Format) -> Encode {
    let micros: Box<dyn Fn(usize) -> Option<i64> + Send + Sync> = match unit {
        TimeUnit::Microsecond => {
            let array = array.as_primitive::<TimestampMicrosecondType>().clone();
            Box::new(move |row| Some(array.value(row)))
        }
        TimeUnit::Nanosecond => {
            let array = array.as_primitive::<TimestampNanosecondType>().clone();
            Box::new(move |row| Some(array.value(row).div_euclid(1_000)))
        }
        TimeUnit::Millisecond => {
            let array = array.as_primitive::<TimestampMillisecondType>().clone();
            Box::new(move |row| array.value(row).checked_mul(1_000))
        }
        TimeUnit::Second => {
            let array = array.as_primitive::<TimestampSecondType>().clone();
            Box::new(move |row| array.value(row).checked_mul(MICROS_PER_SECOND))
        }
    };
    let bad = || out_of_range("timestamp");
    match format {
        Format::Text => Box::new(move |row, out| {
            calendar::put_timestamp(micros(row).ok_or_else(bad)?, instant, out);
            Ok(())
        }),
        Format::Binary => Box::new(move |row, out| {
            out.put_i64(micros(row).and_then(|m| m.checked_sub(EPOCH_2000_MICROS)).ok_or_else(bad)?);
            Ok(())
        }),
    }
}

/// Months, days and microseconds of each row.
fn interval(array: &ArrayRef, format: Format) -> Result<Encode> {
    type Parts = (i32, i32, i64);
    let parts: Box<dyn Fn(usize) -> Parts + Send + Sync> = match array.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let array = array.as_primitive::<IntervalMonthDayNanoType>().clone();
            Box::new(move |row| {
                let v = array.value(row);
                (v.months, v.days, v.nanoseconds / 1_000)
            })
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            let array = array.as_primitive::<IntervalYearMonthType>().clone();
            Box::new(move |row| (array.value(row), 0, 0))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let array = array.as_primitive::<IntervalDayTimeType>().clone();
            Box::new(move |row| {
                let v = array.value(row);
                (0, v.days, i64::from(v.milliseconds) * 1_000)
            })
        }
        // The difference of two timestamps: PostgreSQL counts whole days out of it.
        _ => {
            let array = unpack(array, &DataType::Duration(TimeUnit::Microsecond))?;
            let array = array.as_primitive::<DurationMicrosecondType>().clone();
            Box::new(move |row| {
                let micros = array.value(row);
                (0, i32::try_from(micros / MICROS_PER_DAY).unwrap_or(i32::MAX), micros % MICROS_PER_DAY)
            })
        }
    };
    Ok(Box::new(move |row, out| {
        let (months, days, micros) = parts(row);
        match format {
            Format::Text => calendar::put_interval(months, days, micros, out),
            Format::Binary => {
                out.put_i64(micros);
                out.put_i32(days);
                out.put_i32(months);
            }
        }
        Ok(())
    }))
}

/// Structs, maps and what else PostgreSQL has no type for: as Arrow shows them.
fn shown(array: &ArrayRef) -> Result<Encode> {
    let array = array.clone();
    let bad = |e: arrow::error::ArrowError| Error::internal("cannot show a value").caused_by(e);
    ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).map_err(bad)?;
    Ok(Box::new(move |row, out| {
        let formatter = ArrayFormatter::try_new(array.as_ref(), &FormatOptions::default()).map_err(bad)?;
        formatter.value(row).write(out).map_err(bad)
    }))
}
