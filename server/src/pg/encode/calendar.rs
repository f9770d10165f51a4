//! Dates, times and intervals as PostgreSQL prints them (DateStyle `ISO`, IntervalStyle `postgres`).
//!
//! What enters: days, microseconds, months. What leaves: text. Deliberately absent: zone rules, parsing.

use crate::pg::zone::Zone;
use bytes::{BufMut, BytesMut};
use std::fmt::Write;

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days between 1970-01-01 and PostgreSQL's epoch, 2000-01-01.
pub(crate) const EPOCH_2000_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_2000_MICROS: i64 = 10_957 * MICROS_PER_DAY;

/// Year (0 is 1 BC), month, day of a day since 1970, proleptic Gregorian (Hinnant's `civil_from_days`).
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970 of a date; `month` 1 to 12, `day` as the calendar has it (Hinnant's `days_from_civil`).
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// `2024-02-29`, `0044-03-15 BC`, `12345-01-01`.
pub(crate) fn put_date(days: i64, out: &mut BytesMut) {
    if put_ymd(days, out) {
        out.put_slice(b" BC");
    }
}

/// `04:05:06.789`.
pub(crate) fn put_time(micros: i64, out: &mut BytesMut) {
    put_clock(micros, out);
}

/// `2024-02-29 04:05:06.789`; an instant as it is in its zone, with the offset: `2024-02-29 09:35:06.789+05:30`.
pub(crate) fn put_timestamp(micros: i64, instant: Option<Zone>, out: &mut BytesMut) {
    let offset = instant.map(|zone| zone.offset_at(micros));
    let local = micros.saturating_add(offset.unwrap_or(0) * MICROS_PER_SECOND);
    let bc = put_ymd(local.div_euclid(MICROS_PER_DAY), out);
    out.put_u8(b' ');
    put_clock(local.rem_euclid(MICROS_PER_DAY), out);
    if let Some(offset) = offset {
        put_offset(offset, out);
    }
    if bc {
        out.put_slice(b" BC");
    }
}

/// `+00`, `-03:30`, `+00:53:28`.
fn put_offset(seconds: i64, out: &mut BytesMut) {
    out.put_u8(if seconds < 0 { b'-' } else { b'+' });
    let seconds = seconds.abs();
    put_two(seconds / 3_600, out);
    if seconds % 3_600 != 0 {
        out.put_u8(b':');
        put_two(seconds / 60 % 60, out);
    }
    if seconds % 60 != 0 {
        out.put_u8(b':');
        put_two(seconds % 60, out);
    }
}

/// Writes the date; true when it is before Christ.
fn put_ymd(days: i64, out: &mut BytesMut) -> bool {
    let (year, month, day) = civil_from_days(days);
    let bc = year <= 0;
    let shown = if bc { 1 - year } else { year };
    if shown <= 9_999 {
        put_two(shown / 100, out);
        put_two(shown % 100, out);
    } else {
        put_integer(shown, out);
    }
    out.put_u8(b'-');
    put_two(month, out);
    out.put_u8(b'-');
    put_two(day, out);
    bc
}

fn put_clock(micros: i64, out: &mut BytesMut) {
    let seconds = micros / MICROS_PER_SECOND;
    put_two(seconds / 3_600, out);
    out.put_u8(b':');
    put_two(seconds / 60 % 60, out);
    out.put_u8(b':');
    put_two(seconds % 60, out);
    put_fraction(micros % MICROS_PER_SECOND, out);
}

/// `.789` without trailing zeros; nothing for 0.
fn put_fraction(micros: i64, out: &mut BytesMut) {
    if micros == 0 {
        return;
    }
    out.put_u8(b'.');
    let (mut rest, mut unit) = (micros, 100_000);
    while rest > 0 && unit > 0 {
        out.put_u8(digit(rest / unit));
        rest %= unit;
        unit /= 10;
    }
}

fn digit(n: i64) -> u8 {
    b'0' + u8::try_from(n % 10).unwrap_or(0)
}

fn put_two(n: i64, out: &mut BytesMut) {
    out.put_slice(&[digit(n / 10), digit(n)]);
}

fn put_integer(n: i64, out: &mut BytesMut) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{n}");
}

/// `1 year 2 mons -3 days +04:05:06.7`, as EncodeInterval does for the style `postgres`.
pub(crate) fn put_interval(months: i32, days: i32, micros: i64, out: &mut BytesMut) {
    let mut first = true;
    let mut negative_before = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if first { "" } else { " " };
        let plus = if negative_before && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        // Writing to memory cannot fail.
        let _ = write!(out, "{space}{plus}{value} {unit}{plural}");
        negative_before = value < 0;
        first = false;
    }
    if !first && micros == 0 {
        return;
    }
    if !first {
        out.put_u8(b' ');
    }
    if micros < 0 {
        out.put_u8(b'-');
    } else if negative_before {
        out.put_u8(b'+');
    }
    let micros = i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX);
    let seconds = micros / MICROS_PER_SECOND;
    let hours = seconds / 3_600;
    if hours < 100 {
        put_two(hours, out)
    } else {
        put_integer(hours, out)
    }
    out.put_u8(b':');
    put_two(seconds / 60 % 60, out);
    out.put_u8(b':');
    put_two(seconds % 60, out);
    put_fraction(micros % MICROS_PER_SECOND, out);
}
