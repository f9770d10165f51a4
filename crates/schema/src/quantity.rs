//! Durations and sizes as users write them: `60s`, `7 days`, `256MiB`, PostgreSQL interval text; one grammar everywhere.

use millrace_error::{Error, ErrorKind, Result};
use std::time::Duration;

/// Parses `60s`, `1.5h`, `7 days`, `1 day 02:30:00`, `250ms`. A month is 30 days, a year 365.
///
/// # Errors
/// `InvalidValue` naming the text.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let bad = || {
        Error::new(ErrorKind::InvalidValue, format!("invalid duration {text:?}"))
            .hint("write it like 60s, 250ms, 7 days or 1 day 02:30:00")
    };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        if let Some((clock, tail)) = clock_time(rest) {
            total = total.checked_add(clock).ok_or_else(bad)?;
            rest = tail.trim_start();
            continue;
        }
        let tail = tail.trim_start();
        let end = tail.find(|c: char| !c.is_ascii_alphabetic() && c != 'µ').unwrap_or(tail.len());
        let (unit, after) = tail.split_at(end);
        let part = unit_nanos(unit).and_then(|nanos| times(number, nanos)).ok_or_else(bad)?;
        total = total.checked_add(part).ok_or_else(bad)?;
        rest = after.trim_start();
    }
    Ok(total)
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// `HH:MM[:SS]` at the start of `text`.
fn clock_time(text: &str) -> Option<(Duration, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let mut fields = clock.split(':');
    let (hours, minutes) = (fields.next()?, fields.next()?);
    let seconds = fields.next().unwrap_or("0");
    if fields.next().is_some() {
        return None;
    }
    let seconds = hours.parse::<u64>().ok()?.checked_mul(3600)?
        + minutes.parse::<u64>().ok().filter(|m| *m < 60)? * 60
        + seconds.parse::<u64>().ok().filter(|s| *s < 60)?;
    Some((Duration::from_secs(seconds), rest))
}

/// `number` (digits, perhaps with a point) times `nanos`, exactly; below a nanosecond it is cut.
fn times(number: &str, nanos: u128) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let nanos = digits.parse::<u128>().ok()?.checked_mul(nanos)? / scale;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, u32::try_from(nanos % 1_000_000_000).ok()?))
}

fn unit_nanos(unit: &str) -> Option<u128> {
    const SECOND: u128 = 1_000_000_000;
    Some(match unit.to_ascii_lowercase().as_str() {
        "us" | "µs" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => SECOND,
        "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND,
        "h" | "hour" | "hours" => 3_600 * SECOND,
        "d" | "day" | "days" => 86_400 * SECOND,
        "w" | "week" | "weeks" => 604_800 * SECOND,
        "mon" | "mons" | "month" | "months" => 2_592_000 * SECOND,
        "y" | "year" | "years" => 31_536_000 * SECOND,
        _ => return None,
    })
}

/// Parses `256MiB`, `1 GB`, `1048576`: KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB of 1000.
///
/// # Errors
/// `InvalidValue` naming the text.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let bad = || {
        Error::new(ErrorKind::InvalidValue, format!("invalid size {text:?}"))
            .hint("write it like 256MiB, 8GiB or 1000000")
    };
    let (number, unit) = split_number(text.trim());
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(bad);
    }
    let (whole, fraction) = number.split_once('.').ok_or_else(bad)?;
    let digits = u32::try_from(fraction.len()).ok().filter(|d| (1..=9).contains(d)).ok_or_else(bad)?;
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let fraction: u64 = fraction.parse().map_err(|_| bad())?;
    let part = fraction.checked_mul(factor).ok_or_else(bad)? / 10u64.pow(digits);
    whole.checked_mul(factor).and_then(|w| w.checked_add(part)).ok_or_else(bad)
}

/// Prints a duration so that [`parse_duration`] reads it back, in its largest whole unit.
pub fn format_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    for (unit, size) in
        [(" days", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000)]
    {
        if micros != 0 && micros.is_multiple_of(size) {
            return format!("{}{unit}", micros / size);
        }
    }
    format!("{micros}us")
}

/// Prints a size so that [`parse_bytes`] reads it back, in its largest whole unit.
pub fn format_bytes(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes != 0 && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let seconds = |t: &str| parse_duration(t).unwrap().as_secs_f64();
        assert_eq!(seconds("60s"), 60.0);
        assert_eq!(seconds("7 days"), 604_800.0);
        assert_eq!(seconds("1 day 02:30:00"), 95_400.0);
        assert_eq!(seconds("250ms"), 0.25);
        assert_eq!(seconds("1.5h"), 5_400.0);
        assert_eq!(seconds("10 min"), 600.0);
        for bad in ["", "x", "10", "10 parsecs", "-5s", "1:99:00"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("256MiB").unwrap(), 256 << 20);
        assert_eq!(parse_bytes("1.5 KiB").unwrap(), 1536);
        assert_eq!(parse_bytes("10 MB").unwrap(), 10_000_000);
        assert_eq!(parse_bytes("77").unwrap(), 77);
        for bad in ["", "x", "1.MiB", "99999999TiB", "5 stone"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_we_print_we_read(micros in 0u64..10_000_000_000_000, bytes in any::<u64>()) {
            let d = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&format_duration(d)).unwrap(), d);
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)).unwrap(), bytes);
        }
    }
}
