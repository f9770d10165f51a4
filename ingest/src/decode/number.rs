//! JSON number text → exact integers at a scale.
//!
//! What enters: the text of a number that is known to follow JSON's grammar. What leaves: its value times a power of
//! ten as a 128-bit integer, never by way of a float. Rounding is half away from zero, as PostgreSQL rounds numeric.

/// A number times 10^scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scaled {
    /// The integer, rounded half away from zero.
    pub(super) value: i128,
    /// Whether nothing was rounded off.
    pub(super) exact: bool,
}

/// Powers of ten that fit.
const POW10: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// 10^n, where it fits 128 bits.
pub(super) fn pow10(n: u32) -> Option<i128> {
    POW10.get(usize::try_from(n).ok()?).copied()
}

/// The value of `text` times 10^scale; `None` beyond 128 bits. Linear in the length of the text.
pub(super) fn scaled(text: &[u8], scale: i32) -> Option<Scaled> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let mantissa_end = text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at_checked(mantissa_end)?;
    let digits_after_point = mantissa.iter().rev().position(|b| *b == b'.').unwrap_or(0);
    let digits = mantissa.iter().filter(|b| **b != b'.');
    let count = mantissa.len() - usize::from(mantissa.contains(&b'.'));
    // The last digit stands for 10^shift.
    let shift =
        exponent_of(exponent).saturating_sub(i64::try_from(digits_after_point).ok()?).saturating_add(scale.into());
    let dropped = usize::try_from(shift.saturating_neg()).unwrap_or(if shift < 0 { usize::MAX } else { 0 });
    let kept = count.saturating_sub(dropped);
    let mut value = 0_i128;
    let mut exact = true;
    let mut round_up = false;
    for (i, digit) in digits.enumerate() {
        let digit = i128::from(digit.wrapping_sub(b'0'));
        if i < kept {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else {
            exact &= digit == 0;
            // Only the first dropped digit decides, and only if it stands right after the last kept place.
            round_up |= i == kept && dropped <= count && digit >= 5;
        }
    }
    value = value.checked_add(i128::from(round_up))?;
    if shift > 0 && value != 0 {
        value = value.checked_mul(pow10(u32::try_from(shift).ok()?)?)?;
    }
    Some(Scaled { value: if negative { -value } else { value }, exact })
}

/// The exponent's value, saturating; 0 where there is none.
fn exponent_of(text: &[u8]) -> i64 {
    let digits = text.get(1..).unwrap_or_default();
    let (negative, digits) = match digits.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, digits),
    };
    let size = digits.iter().fold(0_i64, |n, d| n.saturating_mul(10).saturating_add(i64::from(d.wrapping_sub(b'0'))));
    if negative { -size } else { size }
}

/// The nearest double of a 64-bit integer.
pub(super) fn double_of(value: i64) -> f64 {
    const HIGH: f64 = 4_294_967_296.0;
    let size = value.unsigned_abs();
    // Both halves are exact, so the one addition rounds once, as a direct conversion would.
    let high = u32::try_from(size >> 32).map_or(0.0, f64::from);
    let low = u32::try_from(size & 0xffff_ffff).map_or(0.0, f64::from);
    let size = high * HIGH + low;
    if value < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, scale: i32) -> Option<(i128, bool)> {
        scaled(text.as_bytes(), scale).map(|s| (s.value, s.exact))
    }

    #[test]
    fn rounds_half_away_from_zero() {
        let cases = [
            ("1.005", 2, 101, false),
            ("-1.005", 2, -101, false),
            ("1.004", 2, 100, false),
            ("0.5", 0, 1, false),
            ("-0.5", 0, -1, false),
            ("0.49999", 0, 0, false),
            ("0.05", 0, 0, false),
            ("9.995", 2, 1000, false),
            ("1e3", 0, 1000, true),
            ("1.50", 1, 15, true),
            ("-0", 0, 0, true),
            ("1e-400", 0, 0, false),
            ("5e-1", 0, 1, false),
            ("5e-2", 0, 0, false),
            ("0e999999999999999999999", 0, 0, true),
            ("1234", -3, 1, false),
            ("1500", -3, 2, false),
            ("499", -3, 0, false),
            ("500", -3, 1, false),
            ("99999999999999999999999999999999999999", 0, 99_999_999_999_999_999_999_999_999_999_999_999_999, true),
        ];
        for (text, scale, value, exact) in cases {
            assert_eq!(check(text, scale), Some((value, exact)), "{text} at {scale}");
        }
        for text in ["1e39", "1e999999999999999999999", "999999999999999999999999999999999999999999"] {
            assert_eq!(check(text, 0), None, "{text}");
        }
    }

    /// Schoolbook oracle on decimal strings: digits and a point moved by hand.
    fn oracle(negative: bool, digits: &str, point: i64, scale: i64) -> Option<i128> {
        let keep = point + scale;
        let mut all: Vec<u8> = digits.bytes().map(|b| b - b'0').collect();
        let mut keep = usize::try_from(keep).unwrap_or_else(|_| {
            let zeros = usize::try_from(-keep).unwrap();
            all.splice(0..0, std::iter::repeat_n(0, zeros));
            0
        });
        all.resize(all.len().max(keep + 1), 0);
        let up = all[keep] >= 5;
        all.truncate(keep);
        if up {
            all.insert(0, 0);
            keep = all.len();
            let mut i = keep;
            loop {
                i -= 1;
                if all[i] == 9 {
                    all[i] = 0
                } else {
                    all[i] += 1;
                    break;
                }
            }
        }
        let text: String = all.iter().map(|d| char::from(d + b'0')).collect();
        let value: i128 = if text.is_empty() { 0 } else { text.parse().ok()? };
        Some(if negative { -value } else { value })
    }

    proptest! {
        #[test]
        fn agrees_with_schoolbook(negative: bool, int in "0|[1-9][0-9]{0,24}", frac in "[0-9]{0,20}", exp in -30_i64..30, scale in 0_i64..10) {
            let mut text = format!("{}{int}", if negative { "-" } else { "" });
            if !frac.is_empty() { text = format!("{text}.{frac}"); }
            if exp != 0 { text = format!("{text}e{exp}"); }
            let point = i64::try_from(int.len()).unwrap() + exp;
            let want = oracle(negative, &format!("{int}{frac}"), point, scale);
            let got = check(&text, i32::try_from(scale).unwrap()).map(|(v, _)| v);
            prop_assert_eq!(got, want, "{}", text);
        }

        #[test]
        fn doubles_of_integers(value: i64) {
            prop_assert_eq!(double_of(value), value.to_string().parse::<f64>().unwrap());
        }
    }
}
