//! Which partition a row or part belongs to, and how that is written.

use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::PartitionUnit;
use std::fmt;
use std::str::FromStr;

/// A partition: a stretch of time, and a bucket where the table has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// The stretch of time.
    pub time: PartitionTime,
    /// The hash bucket.
    pub bucket: Option<u32>,
}

/// The time of a partition. Boundaries are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionTime {
    /// The table is not divided by time.
    All,
    /// Rows whose time is NULL.
    Null,
    /// Rows of many stretches of one seal; a merge splits them.
    Mixed,
    /// One calendar month: months since 1970-01.
    Month(i64),
    /// One day: days since 1970-01-01.
    Day(i64),
    /// One hour: hours since 1970-01-01T00Z.
    Hour(i64),
}

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

impl PartitionTime {
    /// The partition of a time, microseconds since 1970 UTC.
    pub fn of(unit: PartitionUnit, micros: Option<i64>) -> Self {
        let Some(micros) = micros else {
            return if unit == PartitionUnit::None { Self::All } else { Self::Null };
        };
        match unit {
            PartitionUnit::None => Self::All,
            PartitionUnit::Hour => Self::Hour(micros.div_euclid(HOUR)),
            PartitionUnit::Day => Self::Day(micros.div_euclid(DAY)),
            PartitionUnit::Month => {
                let (year, month, _) = civil(micros.div_euclid(DAY));
                Self::Month((year - 1970) * 12 + month - 1)
            }
        }
    }
}

/// Days since 1970 → year, month 1-12, day 1-31 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = year - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// `2015-09-12T13`, `2015-09-12`, `2015-09`, `null`, `mixed`, `all`; with buckets `2015-09-12+3`.
impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.time {
            PartitionTime::All => f.write_str("all")?,
            PartitionTime::Null => f.write_str("null")?,
            PartitionTime::Mixed => f.write_str("mixed")?,
            PartitionTime::Month(m) => write!(f, "{:04}-{:02}", 1970 + m.div_euclid(12), m.rem_euclid(12) + 1)?,
            PartitionTime::Day(d) => {
                let (year, month, day) = civil(d);
                write!(f, "{year:04}-{month:02}-{day:02}")?;
            }
            PartitionTime::Hour(h) => {
                let (year, month, day) = civil(h.div_euclid(24));
                write!(f, "{year:04}-{month:02}-{day:02}T{:02}", h.rem_euclid(24))?;
            }
        }
        self.bucket.map_or(Ok(()), |b| write!(f, "+{b}"))
    }
}

impl FromStr for PartitionKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(ErrorKind::Damage, format!("not a partition: {text:?}"));
        let (time, bucket) = match text.split_once('+') {
            Some((time, bucket)) => (time, Some(bucket.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let time = match time {
            "all" => PartitionTime::All,
            "null" => PartitionTime::Null,
            "mixed" => PartitionTime::Mixed,
            _ => parse_time(time).ok_or_else(bad)?,
        };
        Ok(Self { time, bucket })
    }
}

fn parse_time(text: &str) -> Option<PartitionTime> {
    let (date, hour) = match text.split_once('T') {
        Some((date, hour)) => (date, Some(hour.parse::<i64>().ok().filter(|h| (0..24).contains(h))?)),
        None => (text, None),
    };
    let mut fields = date.splitn(3, '-');
    let year: i64 = fields.next()?.parse().ok()?;
    let month: i64 = fields.next()?.parse().ok().filter(|m| (1..=12).contains(m))?;
    match (fields.next(), hour) {
        (None, None) => Some(PartitionTime::Month((year - 1970) * 12 + month - 1)),
        (Some(day), hour) => {
            let day = days(year, month, day.parse().ok().filter(|d| (1..=31).contains(d))?);
            Some(hour.map_or(PartitionTime::Day(day), |h| PartitionTime::Hour(day * 24 + h)))
        }
        (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        let at = 1_442_062_800_000_000; // 2015-09-12T13:00:00Z
        for (unit, text) in [
            (PartitionUnit::Hour, "2015-09-12T13"),
            (PartitionUnit::Day, "2015-09-12"),
            (PartitionUnit::Month, "2015-09"),
            (PartitionUnit::None, "all"),
        ] {
            let key = PartitionKey { time: PartitionTime::of(unit, Some(at)), bucket: None };
            assert_eq!(key.to_string(), text);
        }
        assert_eq!(PartitionTime::of(PartitionUnit::Day, None), PartitionTime::Null);
    }

    proptest! {
        #[test]
        fn text_reads_back(micros in -62_135_596_800_000_000i64..253_402_300_800_000_000, bucket in proptest::option::of(0u32..1024)) {
            for unit in [PartitionUnit::Hour, PartitionUnit::Day, PartitionUnit::Month, PartitionUnit::None] {
                let key = PartitionKey { time: PartitionTime::of(unit, Some(micros)), bucket };
                prop_assert_eq!(key.to_string().parse::<PartitionKey>().unwrap(), key);
            }
        }
    }
}
