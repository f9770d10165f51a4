//! One JSON value → one slot of its column's type, or the reason why not. No coercion.
//!
//! What enters: the place of a value and what its column wants. What leaves: a [`Slot`] that fits, or [`Poison`].
//! Numbers are taken from the tape where it holds them exactly, else from the text they came as.

use super::column::Slot;
use super::fields::Found;
use super::{Poison, excerpt, jsonb, number, source_text, time};
use millrace_schema::{ColumnType, JsonPath, PoisonReason, TimeUnit};
use simd_json::{Node, StaticNode};

/// What a column wants.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) ty: ColumnType,
    pub(super) path: JsonPath,
    pub(super) nullable: bool,
    /// What a missing value becomes.
    pub(super) default: Slot,
}

/// One document being converted.
#[derive(Debug)]
pub(super) struct Source<'a, 'p> {
    pub(super) nodes: &'a [Node<'p>],
    pub(super) payload: &'a [u8],
    /// The tape's numbers are not the document's: read every number from the text.
    pub(super) numbers_hidden: bool,
    pub(super) time_unit: TimeUnit,
    /// The row's scratch for text.
    pub(super) text: &'a mut String,
    /// The row's scratch for bytes.
    pub(super) bytes: &'a mut Vec<u8>,
}

/// A number of the document.
enum Number<'a> {
    Int(i64),
    Text(&'a [u8]),
}

/// Why a value does not fit: the reason and what was wanted.
type Misfit = (PoisonReason, &'static str);

const WRONG: PoisonReason = PoisonReason::WrongType;
const RANGE: PoisonReason = PoisonReason::OutOfRange;

impl<'a> Source<'a, '_> {
    /// The slot of a column, from where its value was found.
    ///
    /// # Errors
    /// The poison, naming column, path and value.
    #[inline]
    pub(super) fn slot(&mut self, wanted: &Wanted, found: Found) -> Result<Slot, Poison> {
        if found.node == 0 {
            if matches!(wanted.default, Slot::Null) && !wanted.nullable {
                return Err(missing(wanted, "is missing"));
            }
            return Ok(wanted.default.clone());
        }
        match self.nodes.get(found.node).copied() {
            None | Some(Node::Static(StaticNode::Null)) if wanted.nullable => Ok(Slot::Null),
            None | Some(Node::Static(StaticNode::Null)) => Err(missing(wanted, "is null")),
            Some(node) => self.typed(wanted.ty, node, found).map_err(|misfit| self.poison(wanted, found, misfit)),
        }
    }

    #[inline]
    fn typed(&mut self, ty: ColumnType, node: Node<'_>, found: Found) -> Result<Slot, Misfit> {
        match ty {
            ColumnType::Boolean => match node {
                Node::Static(StaticNode::Bool(b)) => Ok(Slot::Bool(b)),
                _ => Err((WRONG, "true or false")),
            },
            ColumnType::SmallInt => self.int(node, found, i16::MIN.into(), i16::MAX.into()),
            ColumnType::Integer => self.int(node, found, i32::MIN.into(), i32::MAX.into()),
            ColumnType::BigInt => self.int(node, found, i64::MIN, i64::MAX),
            ColumnType::Real => self.real(node, found),
            ColumnType::Double => self.double(node, found),
            ColumnType::Numeric { precision, scale } => self.numeric(node, found, precision, scale),
            ColumnType::Text => text(node, u32::MAX).map(|_| Slot::Node(found.node)),
            ColumnType::Varchar(most) => text(node, most).map(|_| Slot::Node(found.node)),
            ColumnType::Bytea => self.bytea(node),
            ColumnType::Date => {
                let day = time::day_of(self.instant(node, found)?);
                day.map(|d| Slot::Int(d.into())).ok_or(NO_TIME)
            }
            ColumnType::Timestamp | ColumnType::TimestampTz => self.instant(node, found).map(Slot::Int),
            ColumnType::Time => match node {
                Node::String(text) => time::time_of_day(text)
                    .map(Slot::Int)
                    .ok_or((PoisonReason::InvalidTime, "a time of day like 12:34:56.789")),
                _ => Err((WRONG, "a time of day as a string")),
            },
            ColumnType::Uuid => match node {
                Node::String(text) if matches!(text.len(), 32 | 36) => {
                    uuid::Uuid::try_parse(text).map(|id| Slot::Uuid(id.into_bytes())).map_err(|_| (WRONG, "a uuid"))
                }
                _ => Err((WRONG, "a uuid as a string")),
            },
            ColumnType::Json => self.json(found),
            ColumnType::Jsonb => self.jsonb(found),
        }
    }

    /// The text of a value as it came.
    fn source(&self, found: Found) -> &'a [u8] {
        source_text::value(self.payload, found.value_at(self.payload))
    }

    #[inline]
    fn number(&self, node: Node<'_>, found: Found) -> Option<Number<'a>> {
        match node {
            Node::Static(StaticNode::I64(value)) if !self.numbers_hidden => Some(Number::Int(value)),
            Node::Static(StaticNode::U64(value)) if !self.numbers_hidden => {
                Some(i64::try_from(value).map_or_else(|_| Number::Text(self.source(found)), Number::Int))
            }
            Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_)) => {
                Some(Number::Text(self.source(found)))
            }
            _ => None,
        }
    }

    #[inline]
    fn int(&self, node: Node<'_>, found: Found, least: i64, most: i64) -> Result<Slot, Misfit> {
        let value = match self.number(node, found).ok_or((WRONG, "a whole number"))? {
            Number::Int(value) => value,
            Number::Text(text) => match number::scaled(text, 0) {
                Some(n) if !n.exact => return Err((WRONG, "a whole number")),
                Some(n) => i64::try_from(n.value).map_err(|_| (RANGE, "a number that fits"))?,
                None => return Err((RANGE, "a number that fits")),
            },
        };
        if (least..=most).contains(&value) { Ok(Slot::Int(value)) } else { Err((RANGE, "a number that fits")) }
    }

    fn real(&self, node: Node<'_>, found: Found) -> Result<Slot, Misfit> {
        // From the text, not from the tape's double, which would round twice.
        self.number(node, found).ok_or((WRONG, "a number"))?;
        let text = std::str::from_utf8(self.source(found)).unwrap_or_default();
        match text.parse::<f32>() {
            Ok(value) if value.is_finite() => Ok(Slot::Real(value)),
            Ok(_) => Err((RANGE, "a number that fits")),
            Err(_) => Err((WRONG, "a number")),
        }
    }

    fn double(&self, node: Node<'_>, found: Found) -> Result<Slot, Misfit> {
        if let (Node::Static(StaticNode::F64(value)), false) = (node, self.numbers_hidden) {
            return Ok(Slot::Double(value));
        }
        match self.number(node, found).ok_or((WRONG, "a number"))? {
            Number::Int(value) => Ok(Slot::Double(number::double_of(value))),
            Number::Text(text) => match std::str::from_utf8(text).unwrap_or_default().parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Slot::Double(value)),
                Ok(_) => Err((RANGE, "a number that fits")),
                Err(_) => Err((WRONG, "a number")),
            },
        }
    }

    fn numeric(&self, node: Node<'_>, found: Found, precision: u8, scale: i8) -> Result<Slot, Misfit> {
        const TOO_BIG: Misfit = (RANGE, "a number that fits");
        let value = match self.number(node, found).ok_or((WRONG, "a number"))? {
            Number::Int(value) => {
                let factor = u32::try_from(scale).ok().and_then(number::pow10).ok_or(TOO_BIG)?;
                i128::from(value).checked_mul(factor).ok_or(TOO_BIG)?
            }
            Number::Text(text) => number::scaled(text, scale.into()).ok_or(TOO_BIG)?.value,
        };
        let limit = number::pow10(precision.into()).ok_or(TOO_BIG)?;
        if value.unsigned_abs() < limit.unsigned_abs() { Ok(Slot::Numeric(value)) } else { Err(TOO_BIG) }
    }

    fn bytea(&mut self, node: Node<'_>) -> Result<Slot, Misfit> {
        const WANTED: Misfit = (WRONG, "bytes as base64 or as \\x and hexadecimal digits");
        let Node::String(text) = node else { return Err(WANTED) };
        let start = self.bytes.len();
        let decoded = match text.strip_prefix("\\x") {
            Some(hex) => from_hex(hex.as_bytes(), self.bytes),
            None => from_base64(text.as_bytes(), self.bytes),
        };
        decoded.map(|()| Slot::Scratch(start..self.bytes.len())).ok_or(WANTED)
    }

    /// Microseconds since 1970.
    #[inline]
    fn instant(&self, node: Node<'_>, found: Found) -> Result<i64, Misfit> {
        let at = match node {
            Node::String(text) => time::instant(text),
            _ => match self.number(node, found).ok_or((WRONG, "a time"))? {
                Number::Int(value) => time::from_int(value, self.time_unit),
                Number::Text(text) => time::from_number(text, self.time_unit),
            },
        };
        at.ok_or(NO_TIME)
    }

    fn json(&mut self, found: Found) -> Result<Slot, Misfit> {
        let source = std::str::from_utf8(self.source(found)).map_err(|_| (PoisonReason::InvalidUtf8, "UTF-8"))?;
        let start = self.text.len();
        self.text.push_str(source);
        Ok(Slot::Scratch(start..self.text.len()))
    }

    fn jsonb(&mut self, found: Found) -> Result<Slot, Misfit> {
        let start = self.text.len();
        let mut writer = jsonb::Writer { nodes: self.nodes, payload: self.payload, out: self.text, nul: false };
        writer.value(found.node, found.value_at(self.payload));
        if writer.nul { Err(NUL) } else { Ok(Slot::Scratch(start..self.text.len())) }
    }

    #[cold]
    fn poison(&self, wanted: &Wanted, found: Found, (reason, expected): Misfit) -> Poison {
        let value = excerpt(self.source(found));
        Poison::new(
            reason,
            format!("column {:?} ({}, {}): expected {expected}, found {value}", wanted.name, wanted.path, wanted.ty),
        )
    }
}

const NO_TIME: Misfit = (PoisonReason::InvalidTime, "an RFC 3339 time or a number, within years 0001 to 9999");
const NUL: Misfit = (PoisonReason::InvalidUtf8, "text without \\u0000, which text cannot hold");

#[cold]
fn missing(wanted: &Wanted, what: &str) -> Poison {
    let detail = format!("column {:?} ({}, {}) {what} but is NOT NULL", wanted.name, wanted.path, wanted.ty);
    Poison::new(PoisonReason::MissingNotNull, detail)
}

/// A string of at most `most` characters.
#[inline]
fn text(node: Node<'_>, most: u32) -> Result<(), Misfit> {
    let Node::String(text) = node else { return Err((WRONG, "a string")) };
    if text.as_bytes().contains(&0) {
        return Err(NUL);
    }
    // Bytes are never fewer than characters: counting is needed only beyond.
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if text.len() > most && text.chars().count() > most {
        return Err((RANGE, "a shorter string"));
    }
    Ok(())
}

fn from_hex(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let value = |d: &u8| char::from(*d).to_digit(16).and_then(|v| u8::try_from(v).ok());
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    for pair in pairs {
        out.push(value(pair.first()?)? * 16 + value(pair.last()?)?);
    }
    Some(())
}

/// Standard alphabet; padding may be left out.
fn from_base64(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (body, padding) = match text {
        [body @ .., b'=', b'='] => (body, 2),
        [body @ .., b'='] => (body, 1),
        body => (body, 0),
    };
    if body.len() % 4 == 1 || (padding > 0 && (body.len() + padding) % 4 != 0) {
        return None;
    }
    for group in body.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = (bits << 6) | u32::from(value);
        }
        bits <<= 6 * (4 - group.len());
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(bytes.get(..group.len() - 1)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_from_text() {
        let cases: [(&str, Option<&[u8]>); 11] = [
            ("", Some(b"")),
            ("aGVsbG8=", Some(b"hello")),
            ("aGVsbG8", Some(b"hello")),
            ("/+8A", Some(b"\xff\xef\x00")),
            ("aA==", Some(b"h")),
            ("a", None),
            ("aGVsbG8==", None),
            ("a=Vs", None),
            ("aGV_", None),
            ("a b=", None),
            ("====", None),
        ];
        for (text, want) in cases {
            let mut out = Vec::new();
            let got = from_base64(text.as_bytes(), &mut out).map(|()| out.as_slice());
            assert_eq!(got, want, "{text}");
        }
        let mut out = Vec::new();
        assert_eq!(from_hex(b"00fFa1", &mut out), Some(()));
        assert_eq!(out, [0x00, 0xff, 0xa1]);
        assert_eq!(from_hex(b"0", &mut out), None);
        assert_eq!(from_hex(b"0g", &mut out), None);
    }
}
