//! The settings that a client is told of (ParameterStatus), at the start and whenever they change.
//!
//! What enters: the start-up packet; later, the fact that a SET ran. What leaves: names and values to report. The values
//! live in the engine's session; what the session does not know has a fixed value here. Deliberately absent: what
//! settings do.

use crate::pg::reply::{self, Report, Trouble};
use crate::pg::startup::Start;
use crate::pg::zone::Zone;
use bytes::BytesMut;
use millrace_error::ErrorKind;
use millrace_sql::Session;

/// Reported settings with the values of a fresh session. Drivers refuse to work without some of these.
const REPORTED: [(&str, &str); 13] = [
    ("server_version", "14.19"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("application_name", ""),
    ("is_superuser", "off"),
    ("session_authorization", "millrace"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("default_transaction_read_only", "off"),
    ("in_hot_standby", "off"),
];

/// Those that a session can change.
const CHANGEABLE: [&str; 4] = ["application_name", "DateStyle", "IntervalStyle", "TimeZone"];

/// What the client was told last.
#[derive(Debug)]
pub(crate) struct Settings {
    values: Vec<(&'static str, String)>,
    zone: Zone,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: REPORTED.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            zone: Zone::default(),
        }
    }
}

impl Settings {
    /// Applies the settings of a start-up packet as if by SET. One that nobody knows is passed over; a bad value of a
    /// known one ends the connection, as with PostgreSQL.
    pub(crate) fn apply(&mut self, session: &mut Session, start: &Start) -> Result<(), Trouble> {
        for (name, value) in &start.settings {
            if name.eq_ignore_ascii_case("client_encoding") {
                check_encoding(value)?;
                continue;
            }
            match session.set(name, value) {
                // The JDBC driver always sends the zone of its machine: better UTC than no connection.
                Err(e) if e.kind() == ErrorKind::InvalidValue && !name.eq_ignore_ascii_case("TimeZone") => {
                    return Err(Trouble::Fatal(Report::from(&e)));
                }
                Err(error) => tracing::debug!(name, value, %error, "start-up setting passed over"),
                Ok(_) => {}
            }
        }
        for (name, _) in REPORTED {
            if let Ok(value) = session.setting(name) {
                self.put(name, &value);
            }
        }
        self.put("session_authorization", &start.user);
        Ok(())
    }

    /// The zone in which instants are shown and read.
    pub(crate) fn zone(&self) -> Zone {
        self.zone
    }

    /// Puts out every setting.
    pub(crate) fn report_all(&self, out: &mut BytesMut) {
        self.values.iter().for_each(|(name, value)| reply::parameter_status(name, value, out));
    }

    /// Reads the changeable settings again; what has changed.
    pub(crate) fn refresh(&mut self, session: &Session) -> Vec<(&'static str, String)> {
        let current = CHANGEABLE.into_iter().filter_map(|name| Some((name, session.setting(name).ok()?)));
        current.filter(|(name, value)| self.put(name, value)).collect()
    }

    /// Whether that changed it.
    fn put(&mut self, name: &str, value: &str) -> bool {
        let Some((_, old)) = self.values.iter_mut().find(|(known, _)| *known == name) else { return false };
        let changed = old != value;
        if changed && name == "TimeZone" {
            self.zone = Zone::named(value);
        }
        value.clone_into(old);
        changed
    }
}

/// Text goes both ways as UTF-8; plain ASCII is a part of it.
fn check_encoding(value: &str) -> Result<(), Trouble> {
    let plain = value.trim_matches(['\'', '"']).to_ascii_lowercase().replace(['-', '_'], "");
    if matches!(plain.as_str(), "utf8" | "unicode" | "sqlascii" | "auto" | "default" | "") {
        return Ok(());
    }
    let report = Report::new("0A000", format!("client_encoding \"{value}\" is not supported"));
    Err(Trouble::Fatal(report.hint("use UTF8, for example by PGCLIENTENCODING=UTF8")))
}
