//! Dates and times as text → numbers, by PostgreSQL's ISO rules.
//!
//! What enters: text. What leaves: days since 1970, microseconds since midnight or since 1970 (UTC where no zone is said).
//! Deliberately absent: names of months and weekdays, `now`: a constant must not depend on who reads it.

use arrow::array::timezone::Tz;
use chrono::{DateTime, MappedLocalTime, NaiveDate, Offset, TimeDelta, TimeZone};
use millrace_error::{Error, ErrorKind, Result};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

fn bad(ty: &str, text: &str) -> Error {
    let shown = super::fault::shorten(text);
    Error::new(ErrorKind::InvalidTime, format!("invalid input syntax for type {ty}: \"{shown}\""))
        .hint("write it like 2026-01-31, 12:30:00.5 or 2026-01-31T12:30:00Z")
}

/// Days since 1970.
pub(super) fn date(text: &str) -> Result<i64> {
    match whole(text) {
        Some(Moment { days, micros: None, zone: None }) => Ok(days),
        // As PostgreSQL does, a time after the date is read and dropped.
        Some(Moment { days, .. }) => Ok(days),
        None => Err(bad("date", text)),
    }
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64> {
    let (micros, rest) = clock(text.trim()).ok_or_else(|| bad("time", text))?;
    if rest.is_empty() { Ok(micros) } else { Err(bad("time", text)) }
}

/// Microseconds since 1970 in no zone; a zone that is said is passed over, as PostgreSQL does.
pub(super) fn timestamp(text: &str) -> Result<i64> {
    let moment = whole(text).ok_or_else(|| bad("timestamp", text))?;
    Ok(moment.days * MICROS_PER_DAY + moment.micros.unwrap_or(0))
}

/// Microseconds since 1970 UTC; no zone means UTC.
pub(super) fn timestamptz(text: &str) -> Result<i64> {
    let moment = whole(text).ok_or_else(|| bad("timestamp with time zone", text))?;
    let local = moment.days * MICROS_PER_DAY + moment.micros.unwrap_or(0);
    let east = match moment.zone {
        None => 0,
        Some(Zone::East(seconds)) => seconds,
        Some(Zone::Named(zone)) => east_of_utc(zone, local).ok_or_else(|| bad("timestamp with time zone", text))?,
    };
    Ok(local - east * MICROS_PER_SECOND)
}

/// Seconds east of UTC of `Z`, `UTC`, `+02`, `-0330`, `+05:30:00`.
pub(crate) fn zone_offset(text: &str) -> Option<i64> {
    let text = text.trim();
    if ["z", "utc", "gmt", "zulu"].iter().any(|z| text.eq_ignore_ascii_case(z)) {
        return Some(0);
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text.get(1..)?;
    let fields: Vec<&str> = match digits.len() {
        _ if digits.contains(':') => digits.split(':').collect(),
        1 | 2 => vec![digits],
        4 => vec![digits.get(..2)?, digits.get(2..)?],
        _ => return None,
    };
    let mut seconds = 0;
    for (i, unit) in [3_600, 60, 1].into_iter().enumerate() {
        let value = fields.get(i).map_or(Some(0), |f| field(f, 2))?;
        let max = if i == 0 { 15 } else { 59 };
        seconds += (value <= max).then_some(value * unit)?;
    }
    (fields.len() <= 3).then_some(sign * seconds)
}

/// Seconds east of UTC of a zone by its name, at a local time. As PostgreSQL does: of two the later moment's, of none the one
/// before the gap.
fn east_of_utc(zone: Tz, local_micros: i64) -> Option<i64> {
    let local = DateTime::from_timestamp_micros(local_micros)?.naive_utc();
    let offset = match zone.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => offset,
        MappedLocalTime::None => zone.offset_from_utc_datetime(&local.checked_sub_signed(TimeDelta::try_days(1)?)?),
    };
    Some(i64::from(offset.fix().local_minus_utc()))
}

/// A zone as it stands after a time.
pub(super) enum Zone {
    /// So many seconds east of UTC.
    East(i64),
    /// A zone of the time zone database.
    Named(Tz),
}

/// The zone of this name, or so far from UTC.
pub(super) fn zone_of(text: &str) -> Option<Zone> {
    if let Some(seconds) = zone_offset(text) {
        return Some(Zone::East(seconds));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    text.parse().ok().map(Zone::Named)
}

struct Moment {
    days: i64,
    micros: Option<i64>,
    zone: Option<Zone>,
}

fn whole(text: &str) -> Option<Moment> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("epoch") {
        return Some(Moment { days: 0, micros: Some(0), zone: Some(Zone::East(0)) });
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let days = calendar(date)?;
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    if rest.is_empty() {
        return Some(Moment { days, micros: None, zone: None });
    }
    let (micros, zone) = clock(rest)?;
    let zone = zone.trim();
    let zone = if zone.is_empty() { None } else { Some(zone_of(zone)?) };
    Some(Moment { days, micros: Some(micros), zone })
}

/// `2026-01-31` or `20260131`, years 0001 to 9999.
fn calendar(text: &str) -> Option<i64> {
    let fields: Vec<&str> = match text.len() {
        8 if !text.contains('-') => vec![text.get(..4)?, text.get(4..6)?, text.get(6..)?],
        _ => text.split('-').collect(),
    };
    let [year, month, day] = fields.as_slice() else { return None };
    if year.len() != 4 {
        return None;
    }
    let year = i32::try_from(field(year, 4)?).ok().filter(|y| *y >= 1)?;
    let (month, day) = (u32::try_from(field(month, 2)?).ok()?, u32::try_from(field(day, 2)?).ok()?);
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    Some(date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1)?).num_days())
}

/// `12:30`, `12:30:00.123456` at the start; what follows. More than six digits are rounded, as PostgreSQL does.
fn clock(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut fields = clock.split(':');
    let (hour, minute) = (field(fields.next()?, 2)?, field(fields.next()?, 2)?);
    let (second, fraction) = match fields.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("0", ""),
    };
    let second = field(second, 2)?;
    if fields.next().is_some() || minute > 59 || second > 60 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digit = |i: usize| fraction.as_bytes().get(i).map_or(0, |b| i64::from(b - b'0'));
    let micros = (0..6).fold(0, |sum, i| sum * 10 + digit(i)) + i64::from(digit(6) >= 5);
    let total = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
    (total <= MICROS_PER_DAY).then_some((total, rest))
}

fn field(text: &str, len_max: usize) -> Option<i64> {
    let ok = !text.is_empty() && text.len() <= len_max && text.bytes().all(|b| b.is_ascii_digit());
    if ok { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants() {
        for (text, want) in [
            ("1970-01-01", 0),
            ("1970-01-02T00:00:00Z", MICROS_PER_DAY),
            ("1970-01-01 02:00:00+02", 0),
            ("1970-01-01 00:00:00.1234567+00:00", 123_457),
            ("1969-12-31 23:59:59-00:00:01", 0),
            ("epoch", 0),
            ("0001-01-01", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] {
            assert_eq!(timestamptz(text).unwrap(), want, "{text}");
        }
        for text in
            ["", "x", "2026", "2026-13-01", "2026-02-30", "0000-01-01", "10000-01-01", "2026-01-01T25:00", "now"]
        {
            assert_eq!(timestamptz(text).unwrap_err().kind(), ErrorKind::InvalidTime, "{text}");
        }
        for (text, utc) in [
            ("2015-09-12 12:00 Europe/Berlin", "2015-09-12 10:00"),
            ("2015-03-29 02:30 Europe/Berlin", "2015-03-29 01:30"),
            ("2015-10-25 02:30 Europe/Berlin", "2015-10-25 01:30"),
        ] {
            assert_eq!(timestamptz(text).unwrap(), timestamptz(utc).unwrap(), "{text}");
        }
        assert!(timestamptz("2015-09-12 12:00 Europe/Nowhere").is_err());
        assert_eq!(timestamp("1970-01-01 01:00:00+05").unwrap(), 3_600_000_000);
        assert_eq!(date("1970-02-01").unwrap(), 31);
        assert_eq!(date("19700201").unwrap(), 31);
        assert_eq!(time("24:00:00").unwrap(), MICROS_PER_DAY);
        assert_eq!(time("00:00:01.5").unwrap(), 1_500_000);
        assert!(time("24:00:01").is_err());
        assert!(time("1").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,40}", like in "[-0-9T:.Z+ ]{0,40}") {
            for t in [text, like] {
                let _ = (date(&t), time(&t), timestamp(&t), timestamptz(&t), zone_offset(&t));
            }
        }
    }
}
