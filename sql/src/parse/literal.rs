//! Text → a value of a column type, by the rules of PostgreSQL's input functions.
//!
//! What enters: text and a type. What leaves: a [`Scalar`]. Deliberately absent: JSON's rules (see `ingest`).

use super::{number, time};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{ColumnType, Scalar};
use uuid::Uuid;

/// Reads a value of type `ty`.
///
/// # Errors
/// `InvalidText`, `InvalidTime`, `OutOfRange`, `InvalidValue` (too long), by what is wrong; no position.
pub(crate) fn parse_text(ty: ColumnType, text: &str) -> Result<Scalar> {
    let bad = || {
        let shown = super::fault::shorten(text);
        Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {ty}: \"{shown}\""))
    };
    Ok(match ty {
        ColumnType::Boolean => Scalar::Bool(boolean(text).ok_or_else(bad)?),
        ColumnType::SmallInt => Scalar::Int(number::integer(text, "smallint", i16::MIN.into(), i16::MAX.into())?),
        ColumnType::Integer => Scalar::Int(number::integer(text, "integer", i32::MIN.into(), i32::MAX.into())?),
        ColumnType::BigInt => Scalar::Int(number::integer(text, "bigint", i64::MIN, i64::MAX)?),
        ColumnType::Real => Scalar::Float(number::real(text)?),
        ColumnType::Double => Scalar::Float(number::float(text, "double precision")?),
        ColumnType::Numeric { precision, scale } => Scalar::Numeric(number::numeric(text, precision, scale)?),
        ColumnType::Text => Scalar::Text(text.to_owned()),
        ColumnType::Varchar(n) => Scalar::Text(varchar(text, n)?),
        ColumnType::Bytea => Scalar::Bytes(bytea(text).ok_or_else(bad)?),
        ColumnType::Date => Scalar::Int(time::date(text)?),
        ColumnType::Time => Scalar::Int(time::time(text)?),
        ColumnType::Timestamp => Scalar::Int(time::timestamp(text)?),
        ColumnType::TimestampTz => Scalar::Int(time::timestamptz(text)?),
        ColumnType::Uuid => Scalar::Bytes(Uuid::parse_str(text.trim()).map_err(|_| bad())?.as_bytes().to_vec()),
        ColumnType::Json => {
            serde_json::from_str::<serde_json::Value>(text).map_err(|e| bad().detail(e.to_string()))?;
            Scalar::Text(text.to_owned())
        }
        ColumnType::Jsonb => Scalar::Text(jsonb(text)?),
    })
}

/// `t`, `true`, `yes`, `on`, `1`, their opposites, and what begins them without doubt.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Some(true);
    }
    (begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0").then_some(false)
}

/// Text cut of the blanks past its limit, as PostgreSQL does; anything else past it is refused.
fn varchar(text: &str, limit: u32) -> Result<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    match text.char_indices().nth(limit) {
        None => Ok(text.to_owned()),
        Some((end, _)) if text.get(end..).is_some_and(|rest| rest.bytes().all(|b| b == b' ')) => {
            Ok(text.get(..end).unwrap_or_default().to_owned())
        }
        Some(_) => {
            Err(Error::new(ErrorKind::InvalidValue, format!("value too long for type character varying({limit})")))
        }
    }
}

/// `\xdeadbeef`, or text with `\\` and `\012`.
fn bytea(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if let Some(hex) = text.strip_prefix("\\x") {
        let mut high = None;
        for c in hex.chars() {
            match (c.to_digit(16).and_then(|d| u8::try_from(d).ok()), high) {
                (None, None) if c.is_ascii_whitespace() => {}
                (Some(digit), None) => high = Some(digit),
                (Some(digit), Some(first)) => {
                    out.push(first * 16 + digit);
                    high = None;
                }
                (None, _) => return None,
            }
        }
        return high.is_none().then_some(out);
    }
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            first => {
                let octal = |b: u8| (b'0'..=b'7').contains(&b).then(|| u16::from(b - b'0'));
                let value = octal(first)? * 64 + octal(bytes.next()?)? * 8 + octal(bytes.next()?)?;
                out.push(u8::try_from(value).ok()?);
            }
        }
    }
    Some(out)
}

/// JSON without blanks. A key twice is refused: which of them is meant cannot be seen in a constant.
fn jsonb(text: &str) -> Result<String> {
    let bad = |why: String| Error::new(ErrorKind::InvalidText, "invalid input syntax for type jsonb").detail(why);
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    let (mut compact, mut in_string, mut escaped, mut keys) = (String::with_capacity(text.len()), false, false, 0usize);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => in_string = true,
                ':' => keys += 1,
                ' ' | '\t' | '\n' | '\r' => continue,
                _ => {}
            }
        }
        compact.push(c);
    }
    if keys == count_keys(&value) { Ok(compact) } else { Err(bad("a key stands in an object twice".to_owned())) }
}

fn count_keys(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(fields) => fields.len() + fields.values().map(count_keys).sum::<usize>(),
        serde_json::Value::Array(items) => items.iter().map(count_keys).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_its_text() {
        let text = |t: &str| Scalar::Text(t.to_owned());
        for (ty, input, want) in [
            (ColumnType::Boolean, " TRUE ", Scalar::Bool(true)),
            (ColumnType::Boolean, "of", Scalar::Bool(false)),
            (ColumnType::SmallInt, "-32768", Scalar::Int(-32768)),
            (ColumnType::Double, "1e3", Scalar::Float(1000.0)),
            (ColumnType::Numeric { precision: 5, scale: 2 }, "1.5", Scalar::Numeric(150)),
            (ColumnType::Varchar(2), "ab  ", text("ab")),
            (ColumnType::Varchar(2), "ße", text("ße")),
            (ColumnType::Bytea, "\\xDEad", Scalar::Bytes(vec![0xde, 0xad])),
            (ColumnType::Bytea, "a\\\\\\001", Scalar::Bytes(vec![b'a', b'\\', 1])),
            (ColumnType::Date, "1970-01-02", Scalar::Int(1)),
            (ColumnType::Uuid, "00000000-0000-0000-0000-0000000000ff", {
                let mut bytes = vec![0; 15];
                bytes.push(255);
                Scalar::Bytes(bytes)
            }),
            (ColumnType::Json, "{ \"a\" : 1 }", text("{ \"a\" : 1 }")),
            (ColumnType::Jsonb, "{ \"b\" : [1, \" : \\\" \"], \"a\":{} }", text("{\"b\":[1,\" : \\\" \"],\"a\":{}}")),
        ] {
            assert_eq!(parse_text(ty, input).unwrap(), want, "{ty} {input}");
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_refused() {
        for (ty, input, kind) in [
            (ColumnType::Boolean, "o", ErrorKind::InvalidText),
            (ColumnType::Boolean, "", ErrorKind::InvalidText),
            (ColumnType::Integer, "2147483648", ErrorKind::OutOfRange),
            (ColumnType::Varchar(2), "abc", ErrorKind::InvalidValue),
            (ColumnType::Bytea, "\\xabc", ErrorKind::InvalidText),
            (ColumnType::Bytea, "\\9", ErrorKind::InvalidText),
            (ColumnType::Uuid, "zz", ErrorKind::InvalidText),
            (ColumnType::Json, "{", ErrorKind::InvalidText),
            (ColumnType::Jsonb, "{\"a\":1,\"a\":2}", ErrorKind::InvalidText),
            (ColumnType::Timestamp, "tomorrow", ErrorKind::InvalidTime),
        ] {
            assert_eq!(parse_text(ty, input).unwrap_err().kind(), kind, "{ty} {input}");
        }
    }
}
