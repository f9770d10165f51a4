//! Times: every accepted and refused form, and chrono as oracle.

use super::*;
use chrono::{DateTime, NaiveDate, SecondsFormat};
use proptest::prelude::*;

fn day(text: &str) -> Option<i32> {
    day_of(instant(text)?)
}

#[test]
fn reads_every_form() {
    let noon = 1_767_268_800_000_000;
    for text in [
        "2026-01-01T12:00:00Z",
        "2026-01-01t12:00:00z",
        "2026-01-01 12:00:00",
        "2026-01-01T12:00",
        "2026-01-01T12:00:00.000",
        "2026-01-01T14:00:00+02",
        "2026-01-01T14:00:00+0200",
        "2026-01-01T14:30:00+02:30",
        "2026-01-01 07:00:00-05:00",
        "2026-01-01T11:59:60Z",
        "2026-01-01T11:59:59.9999995Z",
    ] {
        assert_eq!(instant(text), Some(noon), "{text}");
    }
    assert_eq!(instant("2026-01-01T12:00:00.123456499Z"), Some(noon + 123_456));
    assert_eq!(instant("2026-01-01T12:00:00.1234565Z"), Some(noon + 123_457));
    assert_eq!(instant("2025-12-31T24:00:00Z"), instant("2026-01-01"));
    assert_eq!(instant("0001-01-01"), Some(MIN));
    assert_eq!(instant("9999-12-31T23:59:59.999999Z"), Some(MAX));
}

#[test]
fn refuses_what_is_no_time() {
    for text in [
        "",
        "not a time",
        "2026",
        "2026-13-01",
        "2026-02-29",
        "2026-00-01",
        "2026-01-00",
        "0000-01-01",
        "2026-1-1",
        "2026-01-01X12:00:00",
        "2026-01-01T",
        "2026-01-01T25:00:00",
        "2026-01-01T12:60:00",
        "2026-01-01T12:00:61",
        "2026-01-01T24:00:01",
        "2026-01-01T12:00:00.",
        "2026-01-01T12:00:00 Z",
        "2026-01-01T12:00:00Zx",
        "2026-01-01T12:00:00+1",
        "2026-01-01T12:00:00+24:00",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:60Z",
        "10000-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "２026-01-01",
    ] {
        assert_eq!(instant(text), None, "{text}");
    }
    for text in ["24:00:00", "12", "12:00:00Z", "12:61", "23:59:60"] {
        assert_eq!(time_of_day(text), None, "{text}");
    }
    assert_eq!(time_of_day("12:34:56.5"), Some(45_296_500_000));
    assert_eq!(day("1969-12-31"), Some(-1));
    assert_eq!(day("2026-01-01T23:00:00-05:00"), day("2026-01-02"));
}

#[test]
fn numbers_by_magnitude_or_unit() {
    let noon = 1_767_268_800_000_000;
    for text in
        ["1767268800", "1767268800000", "1767268800000000", "1767268800000000000", "1.7672688e9", "1767268800.0"]
    {
        assert_eq!(from_number(text.as_bytes(), TimeUnit::Auto), Some(noon), "{text}");
        if let Ok(value) = text.parse() {
            assert_eq!(from_int(value, TimeUnit::Auto), Some(noon), "{text}");
        }
    }
    assert_eq!(from_number(b"1767268800.1234565", TimeUnit::S), Some(noon + 123_457));
    assert_eq!(from_int(-1, TimeUnit::S), Some(-1_000_000));
    assert_eq!(from_int(99_999_999_999, TimeUnit::Auto), Some(99_999_999_999_000_000));
    assert_eq!(from_int(100_000_000_000, TimeUnit::Auto), Some(100_000_000_000_000));
    assert_eq!(from_int(1_767_268_800_000, TimeUnit::S), None);
    assert_eq!(from_int(i64::MIN, TimeUnit::S), None);
    assert_eq!(from_int(i64::MIN, TimeUnit::Auto), from_number(i64::MIN.to_string().as_bytes(), TimeUnit::Auto));
    assert_eq!(from_number(b"1e300", TimeUnit::Auto), None);
    assert_eq!(from_number(b"99999999999999999999", TimeUnit::Ns), Some(100_000_000_000_000_000));
    assert_eq!(from_number(b"999999999999999999999", TimeUnit::Ns), None);
    assert_eq!((from_int(1_500, TimeUnit::Ns), from_int(-1_500, TimeUnit::Ns)), (Some(2), Some(-2)));
}

proptest! {
    #[test]
    fn agrees_with_chrono(micros in MIN..=MAX) {
        let text = DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(SecondsFormat::Micros, true);
        prop_assert_eq!(instant(&text), Some(micros), "{}", text);
    }

    #[test]
    fn days_agree_with_chrono(year in 0_i32..10_000, month in 0_u32..14, d in 0_u32..33) {
        let want = NaiveDate::from_ymd_opt(year, month, d).filter(|_| year > 0).map(|date| {
            i32::try_from(date.signed_duration_since(NaiveDate::from_ymd_opt(1970, 1, 1).unwrap()).num_days()).unwrap()
        });
        prop_assert_eq!(day(&format!("{year:04}-{month:02}-{d:02}")), want);
    }

    #[test]
    fn numbers_agree_with_their_text(value: i64) {
        prop_assert_eq!(from_int(value, TimeUnit::Auto), from_number(value.to_string().as_bytes(), TimeUnit::Auto));
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}", near in "[0-9TZ:. +-]{0,30}") {
        let _ = (instant(&text), time_of_day(&text), day(&near), time_of_day(&near));
    }
}
