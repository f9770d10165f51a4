//! The session's time zone: offsets from UTC at an instant, and instants of a local time.
//!
//! What enters: the value of the setting `TimeZone`. What leaves: seconds and microseconds. Deliberately absent: the zone
//! rules themselves (chrono-tz, as DataFusion uses them).

use arrow::array::timezone::Tz;
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// A zone; the default is UTC.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Zone(Option<Tz>);

impl Zone {
    /// The zone of this name or offset; UTC for a name that nobody knows (the setting refuses those).
    pub(crate) fn named(name: &str) -> Self {
        let utc = ["utc", "etc/utc", "gmt", "z", "+00:00"].iter().any(|n| name.eq_ignore_ascii_case(n));
        Self(if utc { None } else { name.parse().ok() })
    }

    /// Seconds east of UTC at an instant.
    pub(crate) fn offset_at(self, micros: i64) -> i64 {
        let Some((zone, utc)) = self.0.zip(naive(micros)) else { return 0 };
        i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    }

    /// The instant of a local time. Of two, the one in standard time; of none, the offset before the gap counts, as in
    /// PostgreSQL. `None` when it is out of range.
    pub(crate) fn instant_of(self, local_micros: i64) -> Option<i64> {
        let Some((zone, local)) = self.0.zip(naive(local_micros)) else { return Some(local_micros) };
        let offset = match zone.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => {
                i64::from(offset.fix().local_minus_utc())
            }
            // A day earlier no gap is near: zones change their offset months apart.
            LocalResult::None => self.offset_at(local_micros.checked_sub(86_400 * MICROS_PER_SECOND)?),
        };
        local_micros.checked_sub(offset * MICROS_PER_SECOND)
    }
}

fn naive(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|instant| instant.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `select extract(epoch from timestamptz '…')` of PostgreSQL 15 with TimeZone = Europe/Berlin.
    #[test]
    fn as_postgresql_reads_local_times() {
        let berlin = Zone::named("Europe/Berlin");
        for (local, utc) in [
            (1_704_070_800, 1_704_067_200), // 2024-01-01 01:00
            (1_711_852_200, 1_711_848_600), // 2024-03-31 02:30, in the gap
            (1_729_996_200, 1_729_992_600), // 2024-10-27 02:30, twice
        ] {
            assert_eq!(berlin.instant_of(local * MICROS_PER_SECOND), Some(utc * MICROS_PER_SECOND));
        }
        assert_eq!(berlin.offset_at(1_719_792_000 * MICROS_PER_SECOND), 7_200);
        assert_eq!(Zone::named("+05:30").offset_at(0), 19_800);
        assert_eq!(Zone::named("UTC").instant_of(5), Some(5));
        assert_eq!(berlin.offset_at(i64::MAX), 0);
    }
}
