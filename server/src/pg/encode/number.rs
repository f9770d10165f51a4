//! Floats and numerics as PostgreSQL prints and sends them.
//!
//! What enters: floats, unscaled decimals with their scale. What leaves: text or the binary form
//! (`ndigits weight sign dscale digit…`, base 10,000). Deliberately absent: parsing (see `bind`).

use bytes::{BufMut, BytesMut};
use std::fmt::{LowerExp, Write};

/// `float4out`: shortest digits that read back the same.
pub(crate) fn put_float4(value: f32, out: &mut BytesMut) {
    put_shortest(value, f64::from(value), 6, out);
}

/// `float8out`.
pub(crate) fn put_float8(value: f64, out: &mut BytesMut) {
    put_shortest(value, value, 15, out);
}

/// Plain notation where -4 ≤ exponent < `plain_below`, else `d.ddde±XX`.
fn put_shortest(value: impl LowerExp, wide: f64, plain_below: i32, out: &mut BytesMut) {
    if wide.is_nan() {
        return out.put_slice(b"NaN");
    }
    if wide.is_infinite() {
        return out.put_slice(if wide > 0.0 { b"Infinity".as_slice() } else { b"-Infinity" });
    }
    let mut text = ShortText::default();
    // Shortest scientific text is at most 24 characters.
    let _ = write!(text, "{value:e}");
    let text = text.as_str();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let (head, tail) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.put_slice(sign.as_bytes());
    if (-4..plain_below).contains(&exponent) {
        put_plain(head, tail, exponent, out);
        return;
    }
    out.put_slice(head.as_bytes());
    if !tail.is_empty() {
        out.put_u8(b'.');
        out.put_slice(tail.as_bytes());
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
}

/// `head` is one digit, `tail` the others; the point belongs `exponent` places to the right of `head`.
fn put_plain(head: &str, tail: &str, exponent: i32, out: &mut BytesMut) {
    let Ok(places) = usize::try_from(exponent) else {
        out.put_slice(b"0.");
        out.put_bytes(b'0', usize::try_from(-exponent - 1).unwrap_or(0));
        out.put_slice(head.as_bytes());
        out.put_slice(tail.as_bytes());
        return;
    };
    out.put_slice(head.as_bytes());
    let (whole, fraction) = tail.split_at_checked(places).unwrap_or((tail, ""));
    out.put_slice(whole.as_bytes());
    out.put_bytes(b'0', places - whole.len());
    if !fraction.is_empty() {
        out.put_u8(b'.');
        out.put_slice(fraction.as_bytes());
    }
}

/// A little text on the stack.
struct ShortText {
    bytes: [u8; 48],
    length: usize,
}

impl Default for ShortText {
    fn default() -> Self {
        Self { bytes: [0; 48], length: 0 }
    }
}

impl ShortText {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("0")
    }
}

impl Write for ShortText {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let end = self.length + s.len();
        self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(s.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// `numeric_out` of a 128-bit decimal; the common case without allocation.
pub(crate) fn put_decimal128(value: i128, scale: i8, out: &mut BytesMut) {
    let Some(places) = usize::try_from(scale).ok().filter(|s| *s > 0) else {
        let _ = write!(out, "{value}");
        if value != 0 {
            out.put_bytes(b'0', usize::from(scale.unsigned_abs()));
        }
        return;
    };
    let sign = if value < 0 { "-" } else { "" };
    let magnitude = value.unsigned_abs();
    let small = u64::try_from(magnitude).ok().zip(u32::try_from(places).ok().and_then(|p| 10u64.checked_pow(p)));
    let _ = if let Some((magnitude, unit)) = small {
        write!(out, "{sign}{}.{:0places$}", magnitude / unit, magnitude % unit)
    } else {
        let unit = u32::try_from(places).ok().and_then(|p| 10u128.checked_pow(p)).unwrap_or(u128::MAX);
        write!(out, "{sign}{}.{:0places$}", magnitude / unit, magnitude % unit)
    };
}

/// `numeric_out` of an integer text `digits` (maybe with a sign) at `scale`.
pub(crate) fn put_decimal_text(digits: &str, scale: i8, out: &mut BytesMut) {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |d| ("-", d));
    out.put_slice(sign.as_bytes());
    let Some(places) = usize::try_from(scale).ok().filter(|s| *s > 0) else {
        out.put_slice(digits.as_bytes());
        if digits != "0" {
            out.put_bytes(b'0', usize::from(scale.unsigned_abs()));
        }
        return;
    };
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.put_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    out.put_u8(b'.');
    out.put_bytes(b'0', places - fraction.len());
    out.put_slice(fraction.as_bytes());
}

/// `numeric_send` of an integer text `digits` (maybe with a sign) at `scale`.
pub(crate) fn put_numeric_binary(digits: &str, scale: i8, out: &mut BytesMut) {
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |d| (true, d));
    let places = usize::try_from(scale).unwrap_or(0);
    let zeros = usize::try_from(-i32::from(scale)).unwrap_or(0);
    let whole_length = digits.len().saturating_sub(places);
    // Pad so that the point lies between two groups of four digits and both ends are full groups.
    let missing = places.saturating_sub(digits.len());
    let whole_digits = whole_length + zeros;
    let mut padded = String::with_capacity(digits.len() + missing + zeros + 8);
    padded.extend(std::iter::repeat_n('0', (4 - whole_digits % 4) % 4 + missing));
    padded.push_str(digits);
    padded.extend(std::iter::repeat_n('0', zeros + (4 - places % 4) % 4));
    let groups: Vec<i16> = padded
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0i16, |n, digit| n * 10 + i16::from(digit.wrapping_sub(b'0'))))
        .collect();
    let first = groups.iter().position(|g| *g != 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|g| *g != 0).map_or(first, |at| at + 1);
    let sent = groups.get(first..last).unwrap_or_default();
    let whole_groups = whole_digits.div_ceil(4);
    let weight = if sent.is_empty() {
        0
    } else {
        i16::try_from(whole_groups).unwrap_or(0) - i16::try_from(first).unwrap_or(0) - 1
    };
    out.put_i16(i16::try_from(sent.len()).unwrap_or(0));
    out.put_i16(weight);
    out.put_u16(if negative && !sent.is_empty() { 0x4000 } else { 0 });
    out.put_u16(u16::try_from(places).unwrap_or(0));
    sent.iter().for_each(|group| out.put_i16(*group));
}
