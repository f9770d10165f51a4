//! PostgreSQL's receive functions: binary → value.
//!
//! What enters: the bytes of one parameter. What leaves: a value. Deliberately absent: types without a binary form here
//! (they are refused by name).

use super::{Value, text, utf8};
use crate::pg::encode::{EPOCH_2000_DAYS, EPOCH_2000_MICROS};
use crate::pg::pg_type::PgType;
use crate::pg::zone::Zone;
use bytes::Buf;
use millrace_error::{Error, ErrorKind, Result};

/// Reads `bytes` as a value of `ty`; `zone` is for types whose binary form is text.
pub(super) fn value(bytes: &[u8], ty: PgType, zone: Zone) -> Result<Value> {
    Ok(match ty {
        PgType::Bool => Value::Bool(u8::from_be_bytes(exact(bytes, "boolean")?) != 0),
        PgType::Int2 => Value::Int(i64::from(i16::from_be_bytes(exact(bytes, "smallint")?))),
        PgType::Int4 => Value::Int(i64::from(i32::from_be_bytes(exact(bytes, "integer")?))),
        PgType::Int8 => Value::Int(i64::from_be_bytes(exact(bytes, "bigint")?)),
        PgType::Oid => Value::Int(i64::from(u32::from_be_bytes(exact(bytes, "oid")?))),
        PgType::Float4 => Value::Float(f64::from(f32::from_be_bytes(exact(bytes, "real")?))),
        PgType::Float8 => Value::Float(f64::from_be_bytes(exact(bytes, "double precision")?)),
        PgType::Numeric => Value::Numeric(numeric(bytes)?),
        PgType::Text | PgType::Varchar | PgType::Name | PgType::Json => text::value(utf8(bytes)?, ty, zone)?,
        PgType::Jsonb => {
            let json = bytes.strip_prefix(&[1]).ok_or_else(|| {
                Error::new(ErrorKind::Protocol, "unsupported version of the binary form of jsonb")
                    .hint("send version 1")
            })?;
            text::value(utf8(json)?, ty, zone)?
        }
        PgType::Bytea => Value::Bytes(bytes.to_vec()),
        PgType::Uuid => Value::Uuid(exact(bytes, "uuid")?),
        PgType::Date => {
            let days = i32::from_be_bytes(exact(bytes, "date")?).checked_add(EPOCH_2000_DAYS);
            Value::Date(days.ok_or_else(|| out_of_range("date"))?)
        }
        PgType::Time => {
            let micros = i64::from_be_bytes(exact(bytes, "time")?);
            let valid = (0..=86_400_000_000).contains(&micros);
            Value::Time(if valid { micros } else { return Err(out_of_range("time")) })
        }
        PgType::Timestamp => Value::Timestamp(since_2000(bytes)?),
        PgType::TimestampTz => Value::Instant(since_2000(bytes)?),
        PgType::Interval => {
            let mut bytes: &[u8] = &exact::<16>(bytes, "interval")?;
            let (micros, days, months) = (bytes.get_i64(), bytes.get_i32(), bytes.get_i32());
            Value::Interval { months, days, micros }
        }
        PgType::Array(element) => Value::List(list(bytes, element.ty(), zone)?),
    })
}

fn exact<const N: usize>(bytes: &[u8], type_name: &str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| {
        let message = format!("incorrect binary data format: {} bytes for type {type_name}, expected {N}", bytes.len());
        Error::new(ErrorKind::Protocol, message)
    })
}

fn out_of_range(type_name: &str) -> Error {
    Error::new(ErrorKind::OutOfRange, format!("{type_name} out of range"))
}

fn truncated(type_name: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("incorrect binary data format: truncated {type_name}"))
}

fn since_2000(bytes: &[u8]) -> Result<i64> {
    let micros = i64::from_be_bytes(exact(bytes, "timestamp")?);
    // i64's ends are infinity and -infinity.
    let finite = micros != i64::MAX && micros != i64::MIN;
    let since = finite.then(|| micros.checked_add(EPOCH_2000_MICROS)).flatten();
    since.ok_or_else(|| out_of_range("timestamp").hint("infinity is not supported"))
}

/// `numeric_recv`, as plain decimal text.
fn numeric(mut bytes: &[u8]) -> Result<String> {
    let short = || truncated("numeric");
    let count = usize::from(bytes.try_get_u16().map_err(|_| short())?);
    let weight = i32::from(bytes.try_get_i16().map_err(|_| short())?);
    let sign = bytes.try_get_u16().map_err(|_| short())?;
    let places = usize::from(bytes.try_get_u16().map_err(|_| short())?);
    if bytes.len() != count * 2 {
        return Err(short());
    }
    let negative = match sign {
        0 => false,
        0x4000 => true,
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 | 0xF000 => return Err(out_of_range("numeric").hint("infinity is not supported")),
        _ => return Err(Error::new(ErrorKind::Protocol, "invalid sign in external \"numeric\" value")),
    };
    if !(-1_000..=1_000).contains(&weight) || places > 1_000 {
        return Err(out_of_range("numeric"));
    }
    let mut groups = Vec::with_capacity(count);
    while let Ok(group) = bytes.try_get_u16() {
        if group > 9_999 {
            return Err(Error::new(ErrorKind::Protocol, "invalid digit in external \"numeric\" value"));
        }
        groups.push(group);
    }
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let whole: String = (0..=weight).map(|at| format!("{:04}", group(at))).collect();
    let last = i32::try_from(places.div_ceil(4)).map_err(|_| out_of_range("numeric"))?;
    let mut fraction: String = (1..=last).map(|at| format!("{:04}", group(weight + at))).collect();
    fraction.truncate(places);
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if negative { "-" } else { "" };
    Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// `array_recv`, one dimension.
fn list(mut bytes: &[u8], element: PgType, zone: Zone) -> Result<Vec<Option<Value>>> {
    let short = || truncated("array");
    let dimensions = bytes.try_get_i32().map_err(|_| short())?;
    bytes.try_get_i32().map_err(|_| short())?;
    let oid = bytes.try_get_u32().map_err(|_| short())?;
    match dimensions {
        0 => return Ok(Vec::new()),
        1 => {}
        _ => return Err(Error::not_supported("arrays of several dimensions are not supported as parameters")),
    }
    // The element's own type says how the bytes are to be read; it may be narrower than the declared one.
    let element = PgType::from_oid(oid).filter(|ty| !matches!(ty, PgType::Array(_))).unwrap_or(element);
    let count = bytes.try_get_i32().ok().and_then(|n| usize::try_from(n).ok()).ok_or_else(short)?;
    bytes.try_get_i32().map_err(|_| short())?;
    // Each element has at least its length.
    if count > bytes.len() / 4 {
        return Err(short());
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let Ok(length) = usize::try_from(bytes.try_get_i32().map_err(|_| short())?) else {
            items.push(None);
            continue;
        };
        let (item, rest) = bytes.split_at_checked(length).ok_or_else(short)?;
        items.push(Some(value(item, element, zone)?));
        bytes = rest;
    }
    Ok(items)
}
