//! Dates, times and intervals as text → days, microseconds, months.
//!
//! What enters: ISO 8601 and what PostgreSQL prints. What leaves: numbers since 1970. Deliberately absent: other orders of
//! day and month, names of months and zones (UTC apart), `infinity`.

use super::Value;
use crate::pg::encode::{MICROS_PER_DAY, MICROS_PER_SECOND, days_from_civil};
use crate::pg::zone::Zone;
use millrace_error::{Error, ErrorKind, Result};

/// `date_in`: a time of day that follows is passed over.
pub(super) fn date(text: &str) -> Result<i32> {
    let bad = || invalid("date", text);
    let (days, rest) = take_date(text).ok_or_else(bad)?;
    if !rest.is_empty() && timestamp(text).is_err() {
        return Err(bad());
    }
    i32::try_from(days).map_err(|_| out_of_range(text))
}

/// `time_in`.
pub(super) fn time(text: &str) -> Result<i64> {
    match take_clock(text) {
        Some((micros, "")) => Ok(micros),
        _ => Err(invalid("time", text)),
    }
}

/// `timestamp_in`, with the offset from UTC in seconds where there is one (which the type without zone ignores).
pub(super) fn timestamp(text: &str) -> Result<(i64, Option<i64>)> {
    let bad = || invalid("timestamp", text);
    let (text_era, bc) = strip_bc(text);
    let (days, rest) = take_date_of_era(text_era, bc).ok_or_else(bad)?;
    let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
    let (micros, rest) = if rest.is_empty() { (0, "") } else { take_clock(rest).ok_or_else(bad)? };
    let offset = zone(rest.trim()).ok_or_else(bad)?;
    let whole = days.checked_mul(MICROS_PER_DAY).and_then(|d| d.checked_add(micros));
    Ok((whole.ok_or_else(|| out_of_range(text))?, offset))
}

/// `timestamptz_in`; without a zone of its own it is in `session_zone`.
pub(super) fn instant(text: &str, session_zone: Zone) -> Result<i64> {
    let (micros, offset) = timestamp(text)?;
    let instant = match offset {
        Some(offset) => micros.checked_sub(offset * MICROS_PER_SECOND),
        None => session_zone.instant_of(micros),
    };
    instant.ok_or_else(|| out_of_range(text))
}

fn invalid(type_name: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidTime, format!("invalid input syntax for type {type_name}: \"{text}\""))
        .hint("write it like 2024-02-29 13:05:06.789+00")
}

fn out_of_range(text: &str) -> Error {
    Error::new(ErrorKind::OutOfRange, format!("date/time field value out of range: \"{text}\""))
}

fn strip_bc(text: &str) -> (&str, bool) {
    match text.len().checked_sub(3).and_then(|at| text.split_at_checked(at)) {
        Some((head, tail)) if tail.eq_ignore_ascii_case(" bc") => (head.trim_end(), true),
        _ => (text, false),
    }
}

fn take_date(text: &str) -> Option<(i64, &str)> {
    let (text, bc) = strip_bc(text);
    take_date_of_era(text, bc)
}

/// `YYYY-MM-DD…` or `YYYYMMDD`; days since 1970 and the rest.
fn take_date_of_era(text: &str, bc: bool) -> Option<(i64, &str)> {
    let (year, rest) = take_digits(text)?;
    let (year, month, day, rest) = if let Some(rest) = rest.strip_prefix('-') {
        let (month, rest) = take_digits(rest)?;
        let (day, rest) = take_digits(rest.strip_prefix('-')?)?;
        if year.len() < 3 {
            return None;
        }
        (year, month, day, rest)
    } else {
        if year.len() != 8 {
            return None;
        }
        (year.get(..4)?, year.get(4..6)?, year.get(6..)?, rest)
    };
    let year: i64 = year.parse().ok().filter(|y| (1..=294_276).contains(y))?;
    let year = if bc { 1 - year } else { year };
    let month: i64 = month.parse().ok().filter(|m| (1..=12).contains(m))?;
    let day: i64 = day.parse().ok().filter(|d| (1..=month_length(year, month)).contains(d))?;
    Some((days_from_civil(year, month, day), rest))
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn take_digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// `HH:MM[:SS[.ffffff…]]`, rounded to microseconds; 24:00:00 is the end of the day.
fn take_clock(text: &str) -> Option<(i64, &str)> {
    let (hours, rest) = take_digits(text)?;
    let (minutes, rest) = take_digits(rest.strip_prefix(':')?)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => take_digits(rest)?,
        None => ("0", rest),
    };
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => take_digits(rest).unwrap_or(("", rest)),
        None => ("", rest),
    };
    let hours: i64 = hours.parse().ok().filter(|h| (0..=24).contains(h))?;
    let minutes: i64 = minutes.parse().ok().filter(|m| (0..60).contains(m))?;
    let seconds: i64 = seconds.parse().ok().filter(|s| (0..=60).contains(s))?;
    let micros = (hours * 3_600 + minutes * 60 + seconds) * MICROS_PER_SECOND + fraction_micros(fraction)?;
    (micros <= MICROS_PER_DAY).then_some((micros, rest))
}

fn fraction_micros(fraction: &str) -> Option<i64> {
    let seven: String = format!("{fraction:0<7}").chars().take(7).collect();
    seven.parse::<i64>().ok().map(|tenths| (tenths + 5) / 10)
}

/// Nothing, `Z`, `UTC`, `+05`, `+05:30`, `+0530`, `+05:30:15`. The outer `None` is a text that is no zone.
fn zone(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if ["z", "utc", "gmt", "zulu"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(Some(0));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (first, rest) = take_digits(text.strip_prefix(['+', '-'])?)?;
    let (hours, minutes, rest) = match (first.len(), rest.strip_prefix(':')) {
        (1 | 2, Some(rest)) => {
            let (minutes, rest) = take_digits(rest)?;
            (first, minutes, rest)
        }
        (1 | 2, None) => (first, "0", rest),
        (3 | 4, _) => {
            let (hours, minutes) = first.split_at_checked(first.len() - 2)?;
            (hours, minutes, rest)
        }
        _ => return None,
    };
    let seconds = match rest.strip_prefix(':') {
        Some(rest) => rest,
        None if rest.is_empty() => "0",
        None => return None,
    };
    let hours: i64 = hours.parse().ok().filter(|h| (0..=15).contains(h))?;
    let minutes: i64 = minutes.parse().ok().filter(|m| (0..60).contains(m))?;
    let seconds: i64 = seconds.parse().ok().filter(|s| (0..60).contains(s))?;
    Some(Some(sign * (hours * 3_600 + minutes * 60 + seconds)))
}

/// `interval_in` for the style `postgres`: numbers with units, and a clock: `1 year -2 mons 3 days 04:05:06.7`.
pub(super) fn interval(text: &str) -> Result<Value> {
    parse_interval(text).ok_or_else(|| {
        Error::new(ErrorKind::InvalidTime, format!("invalid input syntax for type interval: \"{text}\""))
            .hint("write it like 1 day 02:30:00")
    })
}

fn parse_interval(text: &str) -> Option<Value> {
    let (mut months, mut days, mut micros) = (0i64, 0i64, 0i64);
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (sign, clock) = word.strip_prefix('-').map_or((1, word.trim_start_matches('+')), |c| (-1, c));
            micros = micros.checked_add(sign * long_clock(clock)?)?;
            continue;
        }
        let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        let unit = if unit.is_empty() { words.next().unwrap_or("s") } else { unit };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let negative = whole.starts_with('-');
        let whole: i64 = whole.parse().ok()?;
        let part = if fraction.is_empty() { 0 } else { fraction_micros(fraction)? };
        let part = if negative { -part } else { part };
        let clock = |seconds: i64| {
            whole.checked_mul(seconds)?.checked_mul(MICROS_PER_SECOND)?.checked_add(part.checked_mul(seconds)?)
        };
        match unit.to_ascii_lowercase().as_str() {
            "year" | "years" | "y" | "yr" | "yrs" if part == 0 => {
                months = months.checked_add(whole.checked_mul(12)?)?
            }
            "mon" | "mons" | "month" | "months" if part == 0 => months = months.checked_add(whole)?,
            "week" | "weeks" | "w" if part == 0 => days = days.checked_add(whole.checked_mul(7)?)?,
            "day" | "days" | "d" => {
                days = days.checked_add(whole)?;
                micros = micros.checked_add(part.checked_mul(86_400)?)?;
            }
            "hour" | "hours" | "h" | "hr" | "hrs" => micros = micros.checked_add(clock(3_600)?)?,
            "minute" | "minutes" | "min" | "mins" | "m" => micros = micros.checked_add(clock(60)?)?,
            "second" | "seconds" | "sec" | "secs" | "s" => micros = micros.checked_add(clock(1)?)?,
            "millisecond" | "milliseconds" | "ms" if part == 0 => {
                micros = micros.checked_add(whole.checked_mul(1_000)?)?
            }
            "microsecond" | "microseconds" | "us" if part == 0 => micros = micros.checked_add(whole)?,
            _ => return None,
        }
    }
    Some(Value::Interval { months: i32::try_from(months).ok()?, days: i32::try_from(days).ok()?, micros })
}

/// A clock of any number of hours.
fn long_clock(text: &str) -> Option<i64> {
    let (hours, rest) = text.split_once(':')?;
    let hours: i64 = hours.parse().ok().filter(|h: &i64| (0..100_000_000).contains(h))?;
    let (micros, rest) = take_clock(&format!("0:{rest}")).map(|(m, r)| (m, r.is_empty()))?;
    rest.then_some(hours * 3_600 * MICROS_PER_SECOND + micros)
}
