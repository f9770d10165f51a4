//! Numbers as text → numbers, by PostgreSQL's rules.
//!
//! What enters: text. What leaves: integers, floats, and numerics as the unscaled integer of a scale, rounded half away
//! from zero. Deliberately absent: JSON's rules, which are stricter (see `ingest`).

use millrace_error::{Error, ErrorKind, Result};

/// Digits a numeric may hold.
const DIGITS_MAX: usize = 38;

fn bad(ty: &str, text: &str) -> Error {
    let shown = super::fault::shorten(text);
    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type {ty}: \"{shown}\""))
}

fn out_of_range(ty: &str, text: &str) -> Error {
    let shown = super::fault::shorten(text);
    Error::new(ErrorKind::OutOfRange, format!("value \"{shown}\" is out of range for type {ty}"))
}

/// A whole number between `min` and `max`.
pub(super) fn integer(text: &str, ty: &str, min: i64, max: i64) -> Result<i64> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad(ty, text));
    }
    trimmed.parse().ok().filter(|n| (min..=max).contains(n)).ok_or_else(|| out_of_range(ty, text))
}

/// A double, NaN and infinities by name included.
pub(super) fn float(text: &str, ty: &str) -> Result<f64> {
    let trimmed = text.trim();
    let value: f64 = trimmed.parse().map_err(|_| bad(ty, text))?;
    let named = trimmed.contains(['n', 'N']);
    let vanished =
        value == 0.0 && trimmed.split(['e', 'E']).next().is_some_and(|m| m.contains(|c| matches!(c, '1'..='9')));
    if (value.is_infinite() && !named) || vanished {
        return Err(out_of_range(ty, text));
    }
    Ok(value)
}

/// A real: the nearest single-precision number, widened.
pub(super) fn real(text: &str) -> Result<f64> {
    let value = float(text, "real")?;
    let narrow: f32 = text.trim().parse().map_err(|_| bad("real", text))?;
    if (narrow.is_infinite() && value.is_finite()) || (narrow == 0.0 && value != 0.0) {
        return Err(out_of_range("real", text));
    }
    Ok(f64::from(narrow))
}

/// A numeric of this precision and scale, unscaled.
pub(super) fn numeric(text: &str, precision: u8, scale: i8) -> Result<i128> {
    let ty = "numeric";
    let trimmed = text.trim();
    let (negative, unsigned) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, trimmed.get(1..).unwrap_or_default()),
        Some(b'+') => (false, trimmed.get(1..).unwrap_or_default()),
        _ => (false, trimmed),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad(ty, text))?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(bad(ty, text));
    }
    let overflow = || {
        Error::new(ErrorKind::OutOfRange, format!("numeric field overflow: \"{}\"", super::fault::shorten(text)))
            .detail(format!("a field with precision {precision}, scale {scale} holds {precision} digits in all"))
    };
    let digits: String = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // Where the point of the unscaled integer falls among the significant digits.
    let leading = i64::try_from(digits.len() - significant.len()).map_err(|_| overflow())?;
    let whole_len = i64::try_from(whole.len()).map_err(|_| overflow())?;
    let kept = whole_len - leading + i64::from(exponent) + i64::from(scale);
    if kept < 0 {
        return Ok(0);
    }
    let kept = usize::try_from(kept).ok().filter(|k| *k <= DIGITS_MAX).ok_or_else(overflow)?;
    let mut unscaled: i128 = 0;
    for i in 0..kept {
        let digit = significant.as_bytes().get(i).map_or(0, |b| i128::from(b - b'0'));
        unscaled = unscaled * 10 + digit;
    }
    if significant.as_bytes().get(kept).is_some_and(|b| *b >= b'5') {
        unscaled += 1;
    }
    if unscaled >= 10i128.pow(u32::from(precision)) {
        return Err(overflow());
    }
    Ok(if negative { -unscaled } else { unscaled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numerics_round_half_away_from_zero() {
        for (text, precision, scale, want) in [
            ("1.005", 10, 2, 101),
            ("-1.005", 10, 2, -101),
            ("1.0049", 10, 2, 100),
            ("12e2", 10, 0, 1200),
            ("12e-3", 10, 3, 12),
            (".5", 3, 0, 1),
            ("0.05", 3, 1, 1),
            ("0.04", 3, 1, 0),
            ("0.00004", 3, 1, 0),
            ("99999999999999999999999999999999999999", 38, 0, 10i128.pow(38) - 1),
            ("0", 5, 2, 0),
            (" 7. ", 5, 2, 700),
        ] {
            assert_eq!(numeric(text, precision, scale).unwrap(), want, "{text}");
        }
        for text in ["999.995", "1e40", "1e2147483647"] {
            assert_eq!(numeric(text, 5, 2).unwrap_err().kind(), ErrorKind::OutOfRange, "{text}");
        }
        for text in ["", "-", ".", "1e", "1.2.3", "0x1", "NaN", "1 2", "--1"] {
            assert_eq!(numeric(text, 5, 2).unwrap_err().kind(), ErrorKind::InvalidText, "{text}");
        }
    }

    #[test]
    fn integers_and_floats() {
        assert_eq!(integer(" -7 ", "bigint", i64::MIN, i64::MAX).unwrap(), -7);
        assert_eq!(integer("32768", "smallint", -32768, 32767).unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(integer("1.0", "integer", 0, 9).unwrap_err().kind(), ErrorKind::InvalidText);
        assert!(float("NaN", "double precision").unwrap().is_nan());
        assert_eq!(float("-Infinity", "double precision").unwrap(), f64::NEG_INFINITY);
        assert_eq!(float("1e400", "double precision").unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(float("1e-400", "double precision").unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(real("1e39").unwrap_err().kind(), ErrorKind::OutOfRange);
        assert_eq!(real("0.1").unwrap(), f64::from(0.1f32));
    }

    proptest! {
        #[test]
        fn whole_numerics_are_themselves(n in -10i128.pow(30)..10i128.pow(30), scale in 0i8..8) {
            let unscaled = numeric(&n.to_string(), 38, scale).unwrap();
            prop_assert_eq!(unscaled, n * 10i128.pow(u32::try_from(scale).unwrap()));
        }

        #[test]
        fn nothing_panics(text in "[-+0-9.eE]{0,60}", p in 1u8..39, s in 0i8..39) {
            let _ = numeric(&text, p, s);
            let _ = float(&text, "x");
            let _ = real(&text);
        }
    }
}
