//! Settings: precedence, refusals, the shipped example.

use super::*;

fn checked(toml: &str) -> Result<Config> {
    let mut raw = RawConfig::default();
    raw.add_toml(toml, "test.toml")?;
    raw.check()
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let mut raw = RawConfig::default();
    assert_eq!(raw.check().unwrap().pg, Some("127.0.0.1:5433".parse().unwrap()));
    raw.add_toml("data_dir = '/file'\nmemory_limit = '1GiB'\n[pg]\nlisten = '127.0.0.1:1'", "f").unwrap();
    raw.add_environment(|name| match name {
        "MILLRACE_PG_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "MILLRACE_DATA_DIR" => Some("/env".to_owned()),
        _ => None,
    });
    raw.add_flag("pg.listen", "--pg", Some("127.0.0.1:3"));
    raw.add_flag("http.listen", "--http", None);
    let config = raw.check().unwrap();
    assert_eq!(config.pg, Some("127.0.0.1:3".parse().unwrap()));
    assert_eq!(config.data_dir, PathBuf::from("/env"));
    assert_eq!(config.memory_limit, 1 << 30);
    assert_eq!(config.http, Some("127.0.0.1:8080".parse().unwrap()));
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let error = checked("memory_limt = '1GiB'").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidValue);
    assert_eq!(error.hint_text(), Some("did you mean \"memory_limit\"?"));
    let error = checked("[pg]\nlissten = '127.0.0.1:1'").unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean \"pg.listen\"?"));
    assert!(checked("[nonsense]").is_err());
    assert!(checked("pg = 7").is_err());
}

#[test]
fn what_this_version_lacks_is_refused() {
    for toml in
        ["[object_store]\nurl = 's3://a/b'", "[tls]\ncert = 'a'", "disk_high_water = '90%'", "[wal]\ndurability = 's3'"]
    {
        assert_eq!(checked(toml).unwrap_err().kind(), ErrorKind::NotSupported, "{toml}");
    }
    assert!(checked("[wal]\ndurability = 'local'\n[object_store]\n[tls]").is_ok());
}

#[test]
fn only_loopback_may_be_listened_on() {
    for bad in ["0.0.0.0:5433", "192.168.1.1:5433", "[::]:5433"] {
        assert_eq!(checked(&format!("pg.listen = '{bad}'")).unwrap_err().kind(), ErrorKind::Denied, "{bad}");
    }
    for good in ["127.0.0.1:0", "127.8.8.8:1", "[::1]:5", "localhost:77"] {
        assert!(checked(&format!("http.listen = '{good}'")).unwrap().http.is_some(), "{good}");
    }
    assert_eq!(checked("http.listen = 'off'").unwrap().http, None);
    assert_eq!(checked("http.listen = 'nowhere'").unwrap_err().kind(), ErrorKind::InvalidValue);
}

#[test]
fn sizes_have_bounds() {
    assert_eq!(checked("memory_limit = '1MiB'").unwrap_err().kind(), ErrorKind::InvalidValue);
    assert_eq!(checked("memory_limit = 'lots'").unwrap_err().kind(), ErrorKind::InvalidValue);
    assert_eq!(checked("limits.connections = 0").unwrap_err().kind(), ErrorKind::InvalidValue);
    assert_eq!(checked("limits.connections = 9").unwrap().limits.connections, 9);
    assert_eq!(checked("limits.record_bytes = '1MiB'").unwrap().limits.record_bytes, 1 << 20);
    assert_eq!(checked("http.hosts = ['A.example', 'b']").unwrap().http_hosts, ["a.example", "b"]);
}

#[test]
fn a_broken_file_is_named() {
    let error = checked("data_dir = ").unwrap_err();
    assert!(error.to_string().contains("test.toml"), "{error}");
}

#[test]
fn the_shipped_example_is_valid_and_names_every_setting() {
    let text = include_str!("../../../deploy/millrace.toml");
    assert_eq!(checked(text).unwrap(), checked("").unwrap(), "the example must spell out the defaults");
    for key in KEYS.iter() {
        let last = key.name.rsplit('.').next().unwrap();
        assert!(text.contains(last), "{} is missing", key.name);
    }
}
