//! Which settings there are, their defaults, and which values each takes.
//!
//! What enters: a name and a value as text. What leaves: the value as it is shown. Deliberately absent: sessions.

use crate::parse::{self, nearest};
use arrow::array::timezone::Tz;
use millrace_error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of PostgreSQL whose behaviour we show; psql chooses its catalog queries by it.
pub(crate) const SERVER_VERSION: &str = "14.19";

/// Source → topic → partition → next offset.
pub(crate) type WaitFor = BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>;

/// One setting.
#[derive(Debug)]
pub(super) struct Spec {
    /// As it is shown; found in any case.
    pub(super) name: &'static str,
    /// Its value in a fresh session.
    pub(super) default: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
    /// For `SHOW ALL`.
    pub(super) about: &'static str,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// on or off.
    Switch,
    /// A whole number in a range, ends included.
    Whole(i64, i64),
    /// Milliseconds, or a number with a unit; 0 is none.
    Wait,
    /// One of the words before `None`; those after are PostgreSQL's but not ours.
    Words(&'static [&'static str], &'static [&'static str]),
    /// A time zone.
    Zone,
    /// ISO and an order of fields.
    DateStyle,
    /// UTF-8 by any of its names.
    Encoding,
    /// JSON of offsets.
    Offsets,
    /// Cannot be changed.
    Fixed,
    /// Of a later version.
    Later,
}

const ISOLATION: &[&str] = &["serializable", "repeatable read", "read committed", "read uncommitted"];
const LEVELS: &[&str] = &["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];

const fn spec(name: &'static str, default: &'static str, kind: Kind, about: &'static str) -> Spec {
    Spec { name, default, kind, about }
}

/// Every setting, in order of name.
pub(super) const SPECS: &[Spec] = &[
    spec("application_name", "", Kind::Text, "the application's name, for logs and system.queries"),
    spec("bytea_output", "hex", Kind::Words(&["hex"], &["escape"]), "how bytea is shown"),
    spec("client_encoding", "UTF8", Kind::Encoding, "the client's encoding"),
    spec("client_min_messages", "notice", Kind::Words(LEVELS, &[]), "which messages are sent"),
    spec("DateStyle", "ISO, MDY", Kind::DateStyle, "how dates are shown"),
    spec("default_transaction_deferrable", "off", Kind::Switch, "has no effect"),
    spec(
        "default_transaction_isolation",
        "read committed",
        Kind::Words(ISOLATION, &[]),
        "has no effect: one snapshot a statement",
    ),
    spec("default_transaction_read_only", "off", Kind::Switch, "has no effect"),
    spec("extra_float_digits", "1", Kind::Whole(-15, 3), "digits of floating-point numbers"),
    spec("idle_in_transaction_session_timeout", "0", Kind::Wait, "has no effect"),
    spec("in_hot_standby", "off", Kind::Fixed, "always off"),
    spec("integer_datetimes", "on", Kind::Fixed, "always on"),
    spec(
        "IntervalStyle",
        "postgres",
        Kind::Words(&["postgres"], &["postgres_verbose", "sql_standard", "iso_8601"]),
        "how intervals are shown",
    ),
    spec("is_superuser", "off", Kind::Fixed, "always off"),
    spec("jit", "off", Kind::Switch, "has no effect"),
    spec("lock_timeout", "0", Kind::Wait, "has no effect: nothing locks"),
    spec("max_identifier_length", "63", Kind::Fixed, "bytes a name may have"),
    spec("millrace.insert_token", "", Kind::Later, "makes an INSERT idempotent"),
    spec("millrace.report_snapshot", "off", Kind::Switch, "sends a NOTICE with the snapshot of each query"),
    spec("millrace.rollup_rewrite", "on", Kind::Switch, "lets queries be answered from rollups"),
    spec("millrace.wait_for", "", Kind::Offsets, "offsets a query's snapshot must have reached"),
    spec("millrace.wait_timeout", "10s", Kind::Wait, "how long a query waits for them"),
    spec("row_security", "on", Kind::Switch, "has no effect"),
    spec("search_path", "\"$user\", public", Kind::Text, "schemas in which unqualified names are looked up"),
    spec("server_encoding", "UTF8", Kind::Fixed, "always UTF8"),
    spec("server_version", SERVER_VERSION, Kind::Fixed, "the version of PostgreSQL whose behaviour is shown"),
    spec("server_version_num", "140019", Kind::Fixed, "the same as a number"),
    spec("session_authorization", "millrace", Kind::Fixed, "the user"),
    spec("standard_conforming_strings", "on", Kind::Words(&["on"], &["off"]), "backslashes in strings are literal"),
    spec("statement_timeout", "0", Kind::Wait, "how long a statement may run; 0: for ever"),
    spec("synchronous_commit", "on", Kind::Text, "has no effect: commits are always durable"),
    spec("TimeZone", "UTC", Kind::Zone, "the zone in which times are shown and read"),
    spec("transaction_deferrable", "off", Kind::Switch, "has no effect"),
    spec(
        "transaction_isolation",
        "read committed",
        Kind::Words(ISOLATION, &[]),
        "has no effect: one snapshot a statement",
    ),
    spec("transaction_read_only", "off", Kind::Switch, "has no effect"),
];

/// The setting of this name, in any case.
///
/// # Errors
/// `UnknownObject` with a suggestion.
pub(super) fn find(name: &str) -> Result<&'static Spec> {
    let alias = match name {
        "time_zone" => "timezone",
        "names" => "client_encoding",
        other => other,
    };
    SPECS.iter().find(|s| s.name.eq_ignore_ascii_case(alias)).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        let error = Error::new(ErrorKind::UnknownObject, format!("unrecognized configuration parameter \"{shown}\""));
        match nearest(name, SPECS.iter().map(|s| s.name).chain(["tables", "sources"])) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("SHOW ALL lists the settings"),
        }
    })
}

impl Spec {
    fn refuse(&self, value: &str) -> Error {
        let shown: String = value.chars().take(64).collect();
        Error::new(ErrorKind::InvalidValue, format!("invalid value for parameter \"{}\": \"{shown}\"", self.name))
    }

    /// The value as it is stored and shown.
    ///
    /// # Errors
    /// `InvalidValue`; `NotSupported` for what PostgreSQL has and we have not; `Denied` for what cannot be changed.
    pub(super) fn canonical(&self, value: &str) -> Result<String> {
        match self.kind {
            Kind::Text => Ok(value.to_owned()),
            Kind::Switch => match parse::parse_text(millrace_schema::ColumnType::Boolean, value) {
                Ok(millrace_schema::Scalar::Bool(true)) => Ok("on".to_owned()),
                Ok(_) => Ok("off".to_owned()),
                Err(_) => Err(self.refuse(value).hint("it is on or off")),
            },
            Kind::Whole(min, max) => match value.trim().parse::<i64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(n.to_string()),
                _ => Err(self.refuse(value).hint(format!("it is a whole number from {min} to {max}"))),
            },
            Kind::Wait => wait(value).map(show_wait).ok_or_else(|| {
                self.refuse(value).hint("write milliseconds, or a number with a unit such as '10s'; 0 is none")
            }),
            Kind::Words(ours, theirs) => self.word(value, ours, theirs),
            Kind::Zone => zone(value).ok_or_else(|| self.bad_zone(value)),
            Kind::DateStyle => self.date_style(value),
            Kind::Encoding => {
                match value.to_ascii_lowercase().replace(['-', '_', '"'], "").as_str() {
                    "utf8" | "unicode" => Ok("UTF8".to_owned()),
                    _ => Err(Error::not_supported(format!("encoding \"{}\" is not supported", value.trim()))
                        .hint("it is UTF8")),
                }
            }
            Kind::Offsets => wait_for(value).map(|_| value.trim().to_owned()).map_err(|why| {
                self.refuse(value).detail(why).hint("write it like {\"source\":{\"topic\":{\"0\":123}}}")
            }),
            Kind::Fixed => Err(Error::new(ErrorKind::Denied, format!("parameter \"{}\" cannot be changed", self.name))),
            Kind::Later => {
                Err(Error::not_supported(format!("parameter {} is not supported in this version", self.name)))
            }
        }
    }

    fn word(&self, value: &str, ours: &[&str], theirs: &[&str]) -> Result<String> {
        let word = value.trim();
        let is = |other: &&&str| other.eq_ignore_ascii_case(word);
        if let Some(found) = ours.iter().find(is) {
            return Ok((*found).to_owned());
        }
        if theirs.iter().any(|w| is(&w)) {
            return Err(Error::not_supported(format!("{} = {word} is not supported in this version", self.name)));
        }
        Err(self.refuse(value).hint(format!("it is one of {}", ours.join(", "))))
    }

    fn bad_zone(&self, value: &str) -> Error {
        if value.trim_start().starts_with(['+', '-']) {
            return self.refuse(value).hint(
                "PostgreSQL reads such text with the sign reversed; write SET TIME ZONE INTERVAL '+03:00' or a zone's name",
            );
        }
        self.refuse(value).hint("write a zone such as 'UTC' or 'Europe/Berlin'")
    }

    fn date_style(&self, value: &str) -> Result<String> {
        let mut order = "MDY";
        for word in value.split(',').map(|w| w.trim().trim_matches('"').to_ascii_lowercase()) {
            match word.as_str() {
                "iso" => {}
                "mdy" | "us" | "noneuro" | "noneuropean" => order = "MDY",
                "dmy" | "euro" | "european" => order = "DMY",
                "ymd" => order = "YMD",
                "sql" | "postgres" | "german" => {
                    return Err(Error::not_supported(format!("DateStyle {word} is not supported")).hint("it is ISO"));
                }
                _ => return Err(self.refuse(value).hint("it is ISO, MDY")),
            }
        }
        Ok(format!("ISO, {order}"))
    }
}

/// Milliseconds, or a number with a unit.
pub(super) fn wait(value: &str) -> Option<Duration> {
    let value = value.trim();
    let parsed = match value.parse::<u64>() {
        Ok(ms) => Duration::from_millis(ms),
        Err(_) => millrace_schema::parse_duration(value).ok()?,
    };
    // As PostgreSQL: an int of milliseconds.
    (parsed <= Duration::from_millis(2_147_483_647)).then_some(parsed)
}

fn show_wait(value: Duration) -> String {
    let ms = value.as_millis();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if ms != 0 && ms.is_multiple_of(size) {
            return format!("{}{unit}", ms / size);
        }
    }
    if ms == 0 { "0".to_owned() } else { format!("{ms}ms") }
}

/// A zone as Arrow knows it: a name of the tz database in any case, or `+HH:MM`.
fn zone(value: &str) -> Option<String> {
    let text = value.trim().trim_matches('"');
    if let Some(offset) = text.strip_prefix("interval ") {
        return offset_zone(crate::parse::zone_offset(offset)?);
    }
    if let Ok(hours) = text.parse::<f64>() {
        let tenths = (hours * 3_600.0).round();
        return (tenths.abs() <= 50_400.0).then(|| format!("{tenths:.0}").parse().ok()).flatten().and_then(offset_zone);
    }
    if text.starts_with(['+', '-']) {
        return None;
    }
    if ["utc", "z", "zulu", "gmt"].iter().any(|z| text.eq_ignore_ascii_case(z)) {
        return Some(if text.eq_ignore_ascii_case("gmt") { "GMT" } else { "UTC" }.to_owned());
    }
    [text.to_owned(), titled(text), text.to_ascii_uppercase()].into_iter().find(|name| name.parse::<Tz>().is_ok())
}

fn offset_zone(seconds: i64) -> Option<String> {
    if seconds == 0 {
        return Some("UTC".to_owned());
    }
    let minutes = seconds.abs() / 60;
    let sign = if seconds < 0 { '-' } else { '+' };
    (seconds % 60 == 0).then(|| format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}

/// `america/new_york` → `America/New_York`.
fn titled(text: &str) -> String {
    let mut start = true;
    let upper = |c: char| {
        let out = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        start = matches!(c, '/' | '_' | '-');
        out
    };
    text.chars().map(upper).collect()
}

/// Reads `{"source":{"topic":{"0":123}}}`; empty text is nothing to wait for.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn wait_for(text: &str) -> std::result::Result<WaitFor, String> {
    if text.trim().is_empty() {
        return Ok(WaitFor::new());
    }
    let raw: BTreeMap<String, BTreeMap<String, BTreeMap<String, i64>>> =
        serde_json::from_str(text).map_err(|e| e.to_string())?;
    let partition = |(partition, offset): (String, i64)| {
        let number = partition
            .parse::<i32>()
            .ok()
            .filter(|p| *p >= 0)
            .ok_or_else(|| format!("{partition:?} is not a partition"))?;
        if offset < 0 { Err(format!("{offset} is not an offset")) } else { Ok((number, offset)) }
    };
    raw.into_iter()
        .map(|(source, topics)| {
            let topics = topics
                .into_iter()
                .map(|(topic, partitions)| {
                    let all = partitions.into_iter().map(partition).collect::<std::result::Result<_, String>>()?;
                    Ok((topic, all))
                })
                .collect::<std::result::Result<_, String>>()?;
            Ok((source, topics))
        })
        .collect()
}
