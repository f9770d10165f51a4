//! Text and numbers → dates, times of day and instants.
//!
//! What enters: RFC 3339 text (also a space for the `T`, no seconds, no zone = UTC, `+hh`, `+hhmm`) or a number with
//! its unit. What leaves: microseconds or days since 1970 UTC inside years 0001 to 9999. Fractions beyond microseconds
//! are rounded half up; second 60 is the next minute's 0 and 24:00:00 the next day's midnight, as in PostgreSQL.

use super::number;
use millrace_schema::TimeUnit;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;
/// 0001-01-01T00:00:00Z.
const MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z.
const MAX: i64 = 253_402_300_799_999_999;

fn in_range(micros: i64) -> Option<i64> {
    (MIN..=MAX).contains(&micros).then_some(micros)
}

/// An instant, from text.
pub(super) fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let days = date_part(bytes)?;
    let midnight = days * DAY;
    let Some((separator, rest)) = bytes.get(10..)?.split_first() else {
        return in_range(midnight);
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (clock, zone) = clock_part(rest)?;
    in_range(midnight + clock - zone_part(zone)?)
}

/// The UTC day of an instant.
pub(super) fn day_of(micros: i64) -> Option<i32> {
    i32::try_from(micros.div_euclid(DAY)).ok()
}

/// Microseconds since midnight, from `HH:MM[:SS[.ffffff]]`; no zone.
pub(super) fn time_of_day(text: &str) -> Option<i64> {
    let (clock, rest) = clock_part(text.as_bytes())?;
    (rest.is_empty() && clock < DAY).then_some(clock)
}

/// An instant, from a whole number.
pub(super) fn from_int(value: i64, unit: TimeUnit) -> Option<i64> {
    let micros = match by_magnitude(value.into(), 1, unit) {
        TimeUnit::S => value.checked_mul(1_000_000)?,
        TimeUnit::Ms => value.checked_mul(1_000)?,
        TimeUnit::Ns => value / 1_000 + (value % 1_000) / 500,
        TimeUnit::Us | TimeUnit::Auto => value,
    };
    in_range(micros)
}

/// An instant, from the text of any JSON number.
pub(super) fn from_number(text: &[u8], unit: TimeUnit) -> Option<i64> {
    const MICRO: i128 = 1_000_000;
    let scale = match by_magnitude(number::scaled(text, 6)?.value, MICRO, unit) {
        TimeUnit::S => 6,
        TimeUnit::Ms => 3,
        TimeUnit::Ns => -3,
        TimeUnit::Us | TimeUnit::Auto => 0,
    };
    in_range(i64::try_from(number::scaled(text, scale)?.value).ok()?)
}

/// The unit of a number, given as `value / one`: < 1e11 seconds, < 1e14 ms, < 1e17 µs, else ns.
fn by_magnitude(value: i128, one: i128, unit: TimeUnit) -> TimeUnit {
    if unit != TimeUnit::Auto {
        return unit;
    }
    match value.unsigned_abs() / one.unsigned_abs() {
        0..100_000_000_000 => TimeUnit::S,
        100_000_000_000..100_000_000_000_000 => TimeUnit::Ms,
        100_000_000_000_000..100_000_000_000_000_000 => TimeUnit::Us,
        _ => TimeUnit::Ns,
    }
}

fn digits<const N: usize>(bytes: &[u8], at: usize) -> Option<i64> {
    let mut value = 0;
    for b in bytes.get(at..at + N)? {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(value)
}

/// `YYYY-MM-DD` at the start → days since 1970.
fn date_part(bytes: &[u8]) -> Option<i64> {
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (year, month, day) = (digits::<4>(bytes, 0)?, digits::<2>(bytes, 5)?, digits::<2>(bytes, 8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1 || !(1..=last).contains(&day) {
        return None;
    }
    // Days from civil: years begin in March, so that the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// `HH:MM[:SS[.f…]]` at the start → microseconds and what follows.
fn clock_part(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, minute) = (digits::<2>(bytes, 0)?, digits::<2>(bytes, 3)?);
    if bytes.get(2) != Some(&b':') {
        return None;
    }
    let (mut second, mut fraction) = (0, 0);
    let mut rest = bytes.get(5..)?;
    if rest.first() == Some(&b':') {
        second = digits::<2>(rest, 1)?;
        rest = rest.get(3..)?;
        if matches!(rest.first(), Some(b'.' | b',')) {
            (fraction, rest) = fraction_part(rest.get(1..)?)?;
        }
    }
    let clock = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    (hour <= 24 && minute <= 59 && second <= 60 && (hour < 24 || clock == DAY)).then_some((clock, rest))
}

/// Digits after the point → microseconds, rounded half up, and what follows; at least one digit.
fn fraction_part(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let count = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(bytes.len());
    let (fraction, rest) = bytes.split_at_checked(count)?;
    if fraction.is_empty() {
        return None;
    }
    let micros = (0..6).fold(0, |n, i| n * 10 + fraction.get(i).map_or(0, |d| i64::from(d.wrapping_sub(b'0'))));
    Some((micros + i64::from(fraction.get(6).is_some_and(|d| *d >= b'5')), rest))
}

/// Nothing, `Z`, `+hh`, `+hhmm`, `+hh:mm` → microseconds east of UTC.
fn zone_part(bytes: &[u8]) -> Option<i64> {
    let east = match bytes.first() {
        None => return Some(0),
        Some(b'Z' | b'z') => return (bytes.len() == 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let hours = digits::<2>(bytes, 1)?;
    let minutes = match bytes.len() {
        3 => 0,
        5 => digits::<2>(bytes, 3)?,
        6 if bytes.get(3) == Some(&b':') => digits::<2>(bytes, 4)?,
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then_some(east * (hours * 60 + minutes) * 60_000_000)
}

#[cfg(test)]
mod tests;
