//! Settings: texts from file, environment and flags become one checked [`Config`].
//!
//! ```text
//!  defaults < file (TOML) < environment < flags      RawConfig: key → text and where it came from
//!     │ check: every text parsed, every rule asked
//!     ▼
//!  Config                                            nothing left to refuse
//! ```
//! What enters: texts. What leaves: values that the wiring can use without asking again. Deliberately absent: the
//! settings of sources and tables, which have their own files and statements.

mod keys;

use keys::{KEYS, Standing, nearest};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::parse_bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Settings as texts, each with its origin; a later layer overrides an earlier one.
#[derive(Debug, Default, Clone)]
pub struct RawConfig {
    values: BTreeMap<&'static str, Raw>,
}

#[derive(Debug, Clone)]
struct Raw {
    text: String,
    origin: String,
}

/// Checked settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The PostgreSQL door; `None`: off.
    pub pg: Option<SocketAddr>,
    /// The HTTP door; `None`: off.
    pub http: Option<SocketAddr>,
    /// The Flight SQL door, which this version does not open.
    pub flight: Option<SocketAddr>,
    /// Names under which the HTTP door may be reached besides loopback ones, lower case, without port.
    pub http_hosts: Vec<String>,
    /// The memory limit of the whole process, bytes.
    pub memory_limit: u64,
    /// Bounds of single requests.
    pub limits: Limits,
}

/// Bounds of single requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections to each door.
    pub connections: usize,
    /// Bytes of a request body or of a statement.
    pub body_bytes: usize,
    /// Bytes of a Kafka record; longer ones are dead letters.
    pub record_bytes: u64,
}

impl RawConfig {
    /// Adds what a configuration file says.
    ///
    /// # Errors
    /// `Io` when it cannot be read, `InvalidValue` naming the line or the key.
    pub fn add_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path.display(), e))?;
        self.add_toml(&text, &path.display().to_string())
    }

    /// Adds the text of a configuration file; `origin` names it in errors.
    ///
    /// # Errors
    /// `InvalidValue` naming the line or the key.
    pub fn add_toml(&mut self, text: &str, origin: &str) -> Result<()> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            Error::new(ErrorKind::InvalidValue, e.to_string().trim().to_owned()).with("file", origin)
        })?;
        let mut leaves = Vec::new();
        flatten("", &table, &mut leaves);
        for (key, value) in leaves {
            let known = KEYS.iter().find(|k| k.name == key).ok_or_else(|| unknown_key(&key, origin))?;
            let text = text_of(&value).ok_or_else(|| {
                Error::new(ErrorKind::InvalidValue, format!("{key} must be a text or a number")).with("file", origin)
            })?;
            self.values.insert(known.name, Raw { text, origin: format!("{origin}, {key}") });
        }
        Ok(())
    }

    /// Adds what the environment says; `read` gives a variable's value.
    pub fn add_environment(&mut self, read: impl Fn(&str) -> Option<String>) {
        for key in KEYS {
            if let Some(text) = key.variable.and_then(&read).filter(|t| !t.is_empty()) {
                self.values.insert(key.name, Raw { text, origin: key.variable.unwrap_or_default().to_owned() });
            }
        }
    }

    /// Adds a flag's value, where it was given.
    pub fn add_flag(&mut self, key: &'static str, flag: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.values.insert(key, Raw { text: text.to_owned(), origin: flag.to_owned() });
        }
    }

    /// Judges every text.
    ///
    /// # Errors
    /// `InvalidValue` naming the setting, `NotSupported` for what this version lacks, `Denied` for an address beyond
    /// loopback.
    pub fn check(&self) -> Result<Config> {
        for key in KEYS.iter().filter(|k| k.standing == Standing::Later) {
            if let Some(raw) = self.values.get(key.name) {
                return Err(Error::not_supported(format!("{} is not in this version: remove it", key.name))
                    .with("from", &raw.origin));
            }
        }
        if let Some(raw) = self.values.get("wal.durability").filter(|raw| raw.text != "local") {
            return Err(Error::not_supported(format!("wal.durability {:?} is not in this version", raw.text))
                .with("from", &raw.origin)
                .hint("the only one is \"local\""));
        }
        Ok(Config {
            data_dir: PathBuf::from(self.text("data_dir").unwrap_or("./millrace-data")),
            pg: self.address("pg.listen", "127.0.0.1:5433")?,
            http: self.address("http.listen", "127.0.0.1:8080")?,
            flight: self.address("flight.listen", "127.0.0.1:50051")?,
            http_hosts: self.hosts(),
            memory_limit: self.memory_limit()?,
            limits: Limits {
                connections: self.size("limits.connections", 256, 1..=65_536)?,
                body_bytes: self.size("limits.body_bytes", 16 << 20, 1_024..=1 << 30)?,
                record_bytes: u64::try_from(self.size("limits.record_bytes", 16 << 20, 1_024..=1 << 30)?)
                    .unwrap_or(u64::MAX),
            },
        })
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|raw| raw.text.trim())
    }

    fn invalid(&self, key: &str, message: String) -> Error {
        let error = Error::new(ErrorKind::InvalidValue, message);
        match self.values.get(key) {
            Some(raw) => error.with("from", &raw.origin),
            None => error,
        }
    }

    fn address(&self, key: &str, default: &str) -> Result<Option<SocketAddr>> {
        let text = self.text(key).unwrap_or(default);
        if text.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address: SocketAddr = numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
            self.invalid(key, format!("{text:?} is not an address"))
                .hint("write it like 127.0.0.1:5433; port 0 takes a free one, off turns the door off")
        })?;
        if !address.ip().is_loopback() {
            return Err(Error::new(
                ErrorKind::Denied,
                format!("{key} {address} is reachable from other machines: refused until there is authentication"),
            )
            .hint("listen on 127.0.0.1 and let a proxy or an SSH tunnel in front of it decide who may come in"));
        }
        Ok(Some(address))
    }

    fn hosts(&self) -> Vec<String> {
        let listed = self.text("http.hosts").unwrap_or_default();
        listed.split(',').map(|h| h.trim().to_ascii_lowercase()).filter(|h| !h.is_empty()).collect()
    }

    fn memory_limit(&self) -> Result<u64> {
        const LEAST: u64 = 64 << 20;
        let Some(text) = self.text("memory_limit") else {
            return Ok((crate::machine::memory_bytes() / 2).max(LEAST));
        };
        let bytes = parse_bytes(text).map_err(|e| self.invalid("memory_limit", e.message().to_owned()))?;
        if bytes < LEAST {
            return Err(self.invalid("memory_limit", format!("memory_limit {text:?} is below 64MiB")));
        }
        Ok(bytes)
    }

    fn size(&self, key: &str, default: usize, allowed: std::ops::RangeInclusive<usize>) -> Result<usize> {
        let Some(text) = self.text(key) else { return Ok(default) };
        let bytes = parse_bytes(text).map_err(|e| self.invalid(key, e.message().to_owned()))?;
        usize::try_from(bytes).ok().filter(|n| allowed.contains(n)).ok_or_else(|| {
            self.invalid(key, format!("{key} {text:?} is not from {} to {}", allowed.start(), allowed.end()))
        })
    }
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, toml::Value)>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => flatten(&path, inner, out),
            // An empty section says nothing, provided there is such a section.
            toml::Value::Table(_) if KEYS.iter().any(|k| k.name.starts_with(&format!("{path}."))) => {}
            _ => out.push((path, value.clone())),
        }
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(s) => Some(s.clone()),
        toml::Value::Integer(i) => Some(i.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Float(f) => Some(f.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|t| t.join(","))
        }
        toml::Value::Table(_) | toml::Value::Datetime(_) => None,
    }
}

fn unknown_key(key: &str, origin: &str) -> Error {
    let error = Error::new(ErrorKind::InvalidValue, format!("unknown setting {key:?}")).with("file", origin);
    match nearest(key) {
        Some(known) => error.hint(format!("did you mean {known:?}?")),
        None => error.hint("the example deploy/millrace.toml names every setting"),
    }
}

#[cfg(test)]
mod tests;
