//! PostgreSQL's input functions: text → value.
//!
//! What enters: text and the type it is to be. What leaves: a value, or the error PostgreSQL gives. Deliberately absent:
//! dates and times (see `moment`).

use super::{Value, moment};
use crate::pg::pg_type::PgType;
use crate::pg::zone::Zone;
use millrace_error::{Error, ErrorKind, Result};
use std::fmt::Write;

/// Reads `text` as a value of `ty`; an instant without a zone is in `zone`.
pub(super) fn value(text: &str, ty: PgType, zone: Zone) -> Result<Value> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace());
    Ok(match ty {
        PgType::Bool => Value::Bool(boolean(trimmed).ok_or_else(|| invalid("boolean", text))?),
        PgType::Int2 => Value::Int(integer(trimmed, "smallint", i64::from(i16::MIN), i64::from(i16::MAX))?),
        PgType::Int4 => Value::Int(integer(trimmed, "integer", i64::from(i32::MIN), i64::from(i32::MAX))?),
        PgType::Int8 => Value::Int(integer(trimmed, "bigint", i64::MIN, i64::MAX)?),
        PgType::Oid => Value::Int(integer(trimmed, "oid", 0, i64::from(u32::MAX))?),
        PgType::Float4 | PgType::Float8 => Value::Float(float(trimmed)?),
        PgType::Numeric => Value::Numeric(numeric(trimmed).ok_or_else(|| invalid("numeric", text))?),
        PgType::Text | PgType::Varchar | PgType::Name => Value::Text(text.to_owned()),
        PgType::Json => Value::Text(json(text, "json")?),
        PgType::Jsonb => Value::Text(json(text, "jsonb")?),
        PgType::Bytea => Value::Bytes(bytea(text)?),
        PgType::Uuid => Value::Uuid(uuid(trimmed).ok_or_else(|| invalid("uuid", text))?),
        PgType::Date => Value::Date(moment::date(trimmed)?),
        PgType::Time => Value::Time(moment::time(trimmed)?),
        PgType::Timestamp => Value::Timestamp(moment::timestamp(trimmed)?.0),
        PgType::TimestampTz => Value::Instant(moment::instant(trimmed, zone)?),
        PgType::Interval => moment::interval(trimmed)?,
        PgType::Array(element) => Value::List(list(trimmed, element.ty(), zone)?),
    })
}

pub(super) fn invalid(type_name: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {type_name}: \"{text}\""))
}

fn out_of_range(type_name: &str, text: &str) -> Error {
    Error::new(ErrorKind::OutOfRange, format!("value \"{text}\" is out of range for type {type_name}"))
}

/// `boolin`: any unambiguous beginning of true, false, yes, no, on, off, 1, 0.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str, at_least: usize| text.len() >= at_least && word.starts_with(&text);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || text == "1" {
        return Some(true);
    }
    (begins("false", 1) || begins("no", 1) || begins("off", 2) || text == "0").then_some(false)
}

fn integer(text: &str, type_name: &str, min: i64, max: i64) -> Result<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(type_name, text));
    }
    let value = text.parse::<i64>().ok().filter(|v| (min..=max).contains(v));
    value.ok_or_else(|| out_of_range(type_name, text))
}

/// `float8in`.
pub(super) fn float(text: &str) -> Result<f64> {
    let (negative, bare) = match text.strip_prefix(['-', '+']) {
        Some(bare) => (text.starts_with('-'), bare),
        None => (false, text),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    match bare.to_ascii_lowercase().as_str() {
        "nan" => return Ok(f64::NAN),
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    if !bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(invalid("double precision", text));
    }
    let value: f64 = bare.parse().map_err(|_| invalid("double precision", text))?;
    let lost = value.is_infinite() || (value == 0.0 && has_digits(bare));
    if lost {
        return Err(Error::new(ErrorKind::OutOfRange, format!("\"{text}\" is out of range for type double precision")));
    }
    Ok(sign * value)
}

/// Whether the mantissa of a number has a digit other than 0.
fn has_digits(number: &str) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b))
}

/// Checks the form of a numeric and writes out its exponent. `None` where it is not one, or longer than 1,000 digits.
fn numeric(text: &str) -> Option<String> {
    if text.eq_ignore_ascii_case("nan") {
        return Some("NaN".to_owned());
    }
    let (sign, bare) = match text.strip_prefix(['-', '+']) {
        Some(bare) => (if text.starts_with('-') { "-" } else { "" }, bare),
        None => ("", text),
    };
    let (mantissa, exponent) = bare.split_once(['e', 'E']).unwrap_or((bare, "0"));
    let exponent: i64 = exponent.parse().ok().filter(|e: &i64| e.abs() <= 1_000)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > 1_000 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()? + exponent;
    let before = usize::try_from(point.max(0)).ok()?;
    let leading = usize::try_from((-point).max(0)).ok()?;
    let padded = format!("{}{digits:0<before$}", "0".repeat(leading));
    let (whole, fraction) = padded.split_at_checked(before)?;
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// The unscaled integer of plain decimal text at `scale`, rounded half away from zero.
pub(super) fn unscaled(text: &str, precision: u8, scale: i8) -> Result<i128> {
    let overflow = || {
        Error::new(ErrorKind::OutOfRange, "numeric field overflow")
            .detail(format!("the value {text} does not fit precision {precision}, scale {scale}"))
    };
    let (negative, bare) = text.strip_prefix('-').map_or((false, text), |b| (true, b));
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    let keep = i64::try_from(whole.len()).map_err(|_| overflow())? + i64::from(scale);
    let digits = whole.bytes().chain(fraction.bytes());
    let (mut value, mut position) = (0i128, 0i64);
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(overflow());
        }
        let digit = i128::from(digit - b'0');
        if position < keep {
            value = value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or_else(overflow)?;
        } else if position == keep && digit >= 5 {
            value += 1;
        }
        position += 1;
    }
    while position < keep {
        value = value.checked_mul(10).ok_or_else(overflow)?;
        position += 1;
    }
    if 10i128.checked_pow(u32::from(precision)).is_some_and(|limit| value >= limit) {
        return Err(overflow());
    }
    Ok(if negative { -value } else { value })
}

/// The text as it is, if it is JSON.
fn json(text: &str, type_name: &str) -> Result<String> {
    let checked = serde_json::from_str::<serde::de::IgnoredAny>(text);
    checked.map_err(|e| {
        Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {type_name}")).detail(e.to_string())
    })?;
    Ok(text.to_owned())
}

/// `\x` and hex digits, or the escape format.
fn bytea(text: &str) -> Result<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: String = digits.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        return hex::decode(digits).map_err(|e| {
            Error::new(ErrorKind::InvalidText, format!("invalid hexadecimal data: {}", e.to_string().to_lowercase()))
        });
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        if let Some(tail) = tail.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = tail;
            continue;
        }
        let (octal, tail) = tail.split_at_checked(3).ok_or_else(|| invalid("bytea", text))?;
        let octal = std::str::from_utf8(octal).ok().and_then(|o| u8::from_str_radix(o, 8).ok());
        bytes.push(octal.ok_or_else(|| invalid("bytea", text))?);
        rest = tail;
    }
    Ok(bytes)
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes)
}

/// A uuid as it is printed.
pub(super) fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    // Writing to memory cannot fail.
    let _ = write!(text, "{}", uuid::Uuid::from_bytes(*bytes));
    text
}

/// `{1,NULL,"a b"}`, one dimension.
fn list(text: &str, element: PgType, zone: Zone) -> Result<Vec<Option<Value>>> {
    let malformed = || {
        Error::new(ErrorKind::InvalidText, format!("malformed array literal: \"{text}\""))
            .hint("write a one-dimensional array like {1,2,NULL}")
    };
    let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(malformed)?;
    let mut items = Vec::new();
    let mut chars = inner.chars().peekable();
    if inner.trim().is_empty() {
        return Ok(items);
    }
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'"').is_some();
        let mut item = String::new();
        loop {
            match chars.peek().copied() {
                Some('\\') => {
                    chars.next();
                    item.push(chars.next().ok_or_else(malformed)?);
                }
                Some('"') if quoted => {
                    chars.next();
                    break;
                }
                Some('{' | '}' | '"') if !quoted => return Err(malformed()),
                Some(',') | None if !quoted => break,
                None => return Err(malformed()),
                Some(c) => {
                    chars.next();
                    item.push(c);
                }
            }
        }
        let bare = if quoted { item.as_str() } else { item.trim_end() };
        if !quoted && bare.is_empty() {
            return Err(malformed());
        }
        let null = !quoted && bare.eq_ignore_ascii_case("null");
        items.push(if null { None } else { Some(value(bare, element, zone)?) });
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        match chars.next() {
            Some(',') => {}
            None => return Ok(items),
            Some(_) => return Err(malformed()),
        }
    }
}
