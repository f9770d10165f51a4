//! What sessions can be set to.

use super::*;
use millrace_error::ErrorKind;

fn set(name: &str, value: &str) -> Result<String> {
    let mut settings = Settings::new();
    settings.set(name, Some(value), false)?;
    settings.get(name).map(|(_, value)| value)
}

#[test]
fn values_are_shown_as_postgresql_shows_them() {
    for (name, value, want) in [
        ("timezone", "utc", "UTC"),
        ("TimeZone", "Europe/Berlin", "Europe/Berlin"),
        ("timezone", "america/new_york", "America/New_York"),
        ("timezone", "-7", "-07:00"),
        ("timezone", "5.5", "+05:30"),
        ("timezone", "0", "UTC"),
        ("timezone", "interval +02:00", "+02:00"),
        ("statement_timeout", "1500", "1500ms"),
        ("statement_timeout", "60000", "1min"),
        ("statement_timeout", "10 s", "10s"),
        ("statement_timeout", "0", "0"),
        ("datestyle", "iso, dmy", "ISO, DMY"),
        ("client_encoding", "utf-8", "UTF8"),
        ("extra_float_digits", "3", "3"),
        ("millrace.report_snapshot", "TRUE", "on"),
        ("millrace.rollup_rewrite", "0", "off"),
        ("transaction_isolation", "SERIALIZABLE", "serializable"),
        ("client_min_messages", "Warning", "warning"),
        ("application_name", "psql", "psql"),
        ("search_path", "public", "public"),
    ] {
        assert_eq!(set(name, value).unwrap(), want, "{name} = {value}");
    }
}

fn zone_of(settings: &Settings) -> String {
    settings.get("TimeZone").unwrap().1
}

#[test]
fn every_default_and_zone_is_one_that_arrow_and_set_accept() {
    for line in Settings::new().all() {
        let fixed = matches!(set(line.name, &line.value), Err(e) if matches!(e.kind(), ErrorKind::Denied | ErrorKind::NotSupported));
        assert!(fixed || set(line.name, &line.value).unwrap() == line.value, "{line:?}");
    }
    let mut settings = Settings::new();
    for zone in ["-7", "Asia/Kolkata", "gmt", "interval -03:30"] {
        settings.set("timezone", Some(zone), false).unwrap();
        assert!(zone_of(&settings).parse::<arrow::array::timezone::Tz>().is_ok(), "{zone}");
    }
}

#[test]
fn bad_values_are_refused() {
    for (name, value, kind, hint) in [
        ("timezon", "UTC", ErrorKind::UnknownObject, "TimeZone"),
        ("millrace.wait_fro", "", ErrorKind::UnknownObject, "millrace.wait_for"),
        ("nonsense.of.mine", "1", ErrorKind::UnknownObject, "SHOW ALL"),
        ("timezone", "Mars/Olympus", ErrorKind::InvalidValue, "Europe/Berlin"),
        ("timezone", "+03:00", ErrorKind::InvalidValue, "INTERVAL"),
        ("timezone", "99", ErrorKind::InvalidValue, ""),
        ("timezone", "nan", ErrorKind::InvalidValue, ""),
        ("statement_timeout", "-1", ErrorKind::InvalidValue, "10s"),
        ("statement_timeout", "100 years", ErrorKind::InvalidValue, ""),
        ("extra_float_digits", "4", ErrorKind::InvalidValue, "-15"),
        ("datestyle", "german", ErrorKind::NotSupported, "ISO"),
        ("client_encoding", "latin1", ErrorKind::NotSupported, "UTF8"),
        ("standard_conforming_strings", "off", ErrorKind::NotSupported, ""),
        ("server_version", "99", ErrorKind::Denied, ""),
        ("millrace.insert_token", "x", ErrorKind::NotSupported, ""),
        ("millrace.report_snapshot", "maybe", ErrorKind::InvalidValue, "on or off"),
        ("millrace.wait_for", "{\"s\":{\"t\":{\"x\":1}}}", ErrorKind::InvalidValue, "{\"source\""),
        ("millrace.wait_for", "{\"s\":{\"t\":{\"0\":-1}}}", ErrorKind::InvalidValue, ""),
        ("millrace.wait_for", "[]", ErrorKind::InvalidValue, ""),
    ] {
        let error = set(name, value).unwrap_err();
        assert_eq!(error.kind(), kind, "{name} = {value}: {error:?}");
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{name} = {value}: {error:?}");
    }
}

#[test]
fn typed_values_follow() {
    let mut settings = Settings::new();
    assert_eq!(settings.statement_timeout(), None);
    assert_eq!(settings.wait_timeout(), Duration::from_secs(10));
    assert!(settings.wait_for().is_empty() && !settings.report_snapshot());
    settings.set("millrace.wait_for", Some("{\"wiki\":{\"wikipedia\":{\"0\":123,\"3\":9}}}"), false).unwrap();
    settings.set("statement_timeout", Some("2s"), false).unwrap();
    settings.set("millrace.wait_timeout", Some("250ms"), false).unwrap();
    assert_eq!(settings.wait_for()["wiki"]["wikipedia"], BTreeMap::from([(0, 123), (3, 9)]));
    assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(2)));
    assert_eq!(settings.wait_timeout(), Duration::from_millis(250));
    settings.set("millrace.wait_for", None, false).unwrap();
    assert!(settings.wait_for().is_empty());
    settings.reset_all();
    assert_eq!(settings.statement_timeout(), None);
}

#[test]
fn transactions_keep_or_undo() {
    let mut settings = Settings::new();
    assert_eq!(settings.set("timezone", Some("Asia/Tokyo"), true).unwrap().unwrap().code, "25P01");
    assert_eq!(settings.commit().unwrap().code, "25P01");
    assert!(settings.begin().is_none() && settings.in_transaction());
    assert_eq!(settings.begin().unwrap().code, "25001");
    settings.set("application_name", Some("kept"), false).unwrap();
    settings.set("timezone", Some("Asia/Tokyo"), true).unwrap();
    assert_eq!(zone_of(&settings), "Asia/Tokyo");
    assert!(settings.commit().is_none());
    assert_eq!((zone_of(&settings).as_str(), settings.get("application_name").unwrap().1.as_str()), ("UTC", "kept"));
    settings.begin();
    settings.set("application_name", Some("undone"), false).unwrap();
    settings.set("millrace.wait_for", Some("{\"a\":{}}"), false).unwrap();
    settings.rollback();
    assert_eq!(settings.get("application_name").unwrap().1, "kept");
    assert!(settings.wait_for().is_empty());
}
