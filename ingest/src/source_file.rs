//! Source files: `<data-dir>/sources.d/*.toml`, one source each.
//!
//! What enters: a file's path and text. What leaves: a [`SourceFile`], checked as far as possible without its table, or an
//! error naming file and key. Unknown keys are refused with a suggestion.

use crate::suggest::closest;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{
    JsonPath, KafkaSource, OnError, OnGap, SourceDef, SourceOrigin, StartPosition, TableDef, TimeUnit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::{Table, Value};

/// A source as its file defines it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFile {
    /// The table it feeds.
    pub table: String,
    /// The definition; its `mapping` is empty until [`SourceFile::resolve`].
    pub def: SourceDef,
    /// Columns filled from another place than the field of their name: column name → JSON path.
    pub columns: BTreeMap<String, String>,
}

impl SourceFile {
    /// The definition with its columns found in `table`.
    ///
    /// # Errors
    /// `UnknownColumn` naming the column.
    pub fn resolve(&self, table: &TableDef) -> Result<SourceDef> {
        let mut def = self.def.clone();
        for (name, path) in &self.columns {
            let Some(column) = table.column_named(name) else {
                let message = format!("table {:?} has no column {name:?}", table.name);
                let error = Error::new(ErrorKind::UnknownColumn, message);
                let near = closest(name, table.columns.iter().map(|c| c.name.as_str()));
                return Err(near.map_or(error, |near| suggest_error(name, near, table)));
            };
            def.mapping.insert(column.id, path.clone());
        }
        Ok(def)
    }
}

fn suggest_error(name: &str, near: &str, table: &TableDef) -> Error {
    let message = format!("table {:?} has no column {name:?}", table.name);
    Error::new(ErrorKind::UnknownColumn, message).hint(format!("did you mean {near:?}?"))
}

/// Parses a source file.
///
/// # Errors
/// `InvalidValue` naming file and key; `NotSupported` for what a later version brings.
pub fn parse_source_file(path: &Path, text: &str) -> Result<SourceFile> {
    parse(path, text).map_err(|e| e.with("file", path.display()))
}

/// Parses where a first read begins: `earliest`, `latest` or an RFC 3339 time.
///
/// # Errors
/// `InvalidValue`.
pub fn parse_start(text: &str) -> Result<StartPosition> {
    match text {
        "earliest" => Ok(StartPosition::Earliest),
        "latest" => Ok(StartPosition::Latest),
        _ => chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| StartPosition::Timestamp(time.timestamp_micros()))
            .map_err(|_| invalid("start", text, "earliest, latest or a time like 2026-01-31T00:00:00Z")),
    }
}

fn parse(path: &Path, text: &str) -> Result<SourceFile> {
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text.get(..span.start).map_or(1, |head| head.matches('\n').count() + 1));
        Error::new(ErrorKind::InvalidValue, format!("not TOML: {}", e.message())).with("line", line)
    })?;
    let mut top = Section::new("", table);
    let name = top.text("name")?;
    if name.is_empty() {
        return Err(invalid("name", "", "any name that is not empty"));
    }
    let target = top.text("table")?;
    let on_error = match top.text_or("on_error", "dead_letter")?.as_str() {
        "dead_letter" => OnError::DeadLetter,
        "skip" => OnError::Skip,
        "fail" => OnError::Fail,
        other => return Err(invalid("on_error", other, "dead_letter, skip or fail")),
    };
    for key in ["max_lateness", "max_future"] {
        if top.text_or(key, "off")? != "off" {
            return Err(Error::not_supported(format!("{key} other than \"off\" is not supported yet")));
        }
    }
    let kafka = kafka(top.section("kafka", true)?)?;
    let time_unit = format(top.section("format", false)?)?;
    let columns = columns(top.section("columns", false)?)?;
    top.end()?;
    let origin = SourceOrigin::File(path.to_owned());
    let def = SourceDef { name, kafka, mapping: BTreeMap::new(), on_error, time_unit, origin, paused: false };
    Ok(SourceFile { table: target, def, columns })
}

fn kafka(mut section: Section) -> Result<KafkaSource> {
    let source = KafkaSource {
        brokers: section.text("brokers")?,
        topic: section.text("topic")?,
        start: parse_start(&section.text_or("start", "earliest")?)?,
        on_gap: match section.text_or("on_gap", "fail")?.as_str() {
            "fail" => OnGap::Fail,
            "skip" => OnGap::Skip,
            other => return Err(invalid("kafka.on_gap", other, "fail or skip")),
        },
        properties: section.section("properties", false)?.scalars()?,
    };
    section.end()?;
    Ok(source)
}

fn format(mut section: Section) -> Result<TimeUnit> {
    match section.text_or("type", "json")?.as_str() {
        "json" => {}
        "avro" | "protobuf" | "csv" => {
            return Err(Error::not_supported("only format.type = \"json\" is supported yet"));
        }
        other => return Err(invalid("format.type", other, "json")),
    }
    let unit = match section.text_or("time_unit", "auto")?.as_str() {
        "auto" => TimeUnit::Auto,
        "s" => TimeUnit::S,
        "ms" => TimeUnit::Ms,
        "us" => TimeUnit::Us,
        "ns" => TimeUnit::Ns,
        other => return Err(invalid("format.time_unit", other, "auto, s, ms, us or ns")),
    };
    section.end()?;
    Ok(unit)
}

fn columns(section: Section) -> Result<BTreeMap<String, String>> {
    let columns = section.scalars()?;
    for (column, path) in &columns {
        JsonPath::parse(path).map_err(|e| e.with("column", column))?;
    }
    Ok(columns)
}

fn invalid(key: &str, value: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("invalid value {value:?} for {key}")).hint(format!("use {wanted}"))
}

/// A TOML table being taken apart; what is left over at the end is unknown.
struct Section {
    prefix: String,
    table: Table,
    asked: BTreeSet<&'static str>,
}

impl Section {
    fn new(prefix: &str, table: Table) -> Self {
        Self { prefix: prefix.to_owned(), table, asked: BTreeSet::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.insert(key);
        self.table.remove(key)
    }

    fn text_of(&self, key: &str, value: Value) -> Result<String> {
        match value {
            Value::String(text) => Ok(text),
            Value::Datetime(time) => Ok(time.to_string()),
            other => {
                let message = format!("{}{key} must be text, not {}", self.prefix, other.type_str());
                Err(Error::new(ErrorKind::InvalidValue, message))
            }
        }
    }

    fn text(&mut self, key: &'static str) -> Result<String> {
        match self.take(key) {
            Some(value) => self.text_of(key, value),
            None => {
                let message = format!("{}{key} is missing", self.prefix);
                // A misspelt key explains it better than its absence.
                let near = closest(key, self.table.keys().map(String::as_str)).map(str::to_owned);
                let error = Error::new(ErrorKind::InvalidValue, message);
                Err(near.map_or(error, |near| unknown_key(&self.prefix, &near, Some(key))))
            }
        }
    }

    fn text_or(&mut self, key: &'static str, default: &str) -> Result<String> {
        self.take(key).map_or_else(|| Ok(default.to_owned()), |value| self.text_of(key, value))
    }

    fn section(&mut self, key: &'static str, required: bool) -> Result<Self> {
        let prefix = format!("{}{key}.", self.prefix);
        match self.take(key) {
            Some(Value::Table(table)) => Ok(Self::new(&prefix, table)),
            Some(other) => {
                let message = format!("{}{key} must be a table, not {}", self.prefix, other.type_str());
                Err(Error::new(ErrorKind::InvalidValue, message))
            }
            None if required => {
                Err(Error::new(ErrorKind::InvalidValue, format!("the table [{}{key}] is missing", self.prefix)))
            }
            None => Ok(Self::new(&prefix, Table::new())),
        }
    }

    /// Every key with its scalar value as text.
    fn scalars(self) -> Result<BTreeMap<String, String>> {
        let mut scalars = BTreeMap::new();
        for (key, value) in self.table {
            let text = match value {
                Value::String(text) => text,
                Value::Integer(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Boolean(flag) => flag.to_string(),
                other => {
                    let message = format!("{}{key:?} must be text, not {}", self.prefix, other.type_str());
                    return Err(Error::new(ErrorKind::InvalidValue, message));
                }
            };
            scalars.insert(key, text);
        }
        Ok(scalars)
    }

    fn end(self) -> Result<()> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(unknown_key(&self.prefix, key, closest(key, self.asked.iter().copied()))),
        }
    }
}

fn unknown_key(prefix: &str, key: &str, near: Option<&str>) -> Error {
    let error = Error::new(ErrorKind::InvalidValue, format!("unknown key {prefix}{key}"));
    match near {
        Some(near) => error.hint(format!("did you mean {prefix}{near}?")),
        None => error.hint("see the example of a source file in the documentation"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURFACE: &str = r#"
name = "wiki"
table = "wikipedia"
on_error = "dead_letter"
[kafka]
brokers = "127.0.0.1:9092"
topic = "wikipedia"
start = "earliest"
on_gap = "fail"
properties = { "security.protocol" = "PLAINTEXT", "fetch.wait.max.ms" = 5 }
[format]
type = "json"
time_unit = "auto"
[columns]
page = "$.page.title"
"#;

    fn parse_text(text: &str) -> Result<SourceFile> {
        parse_source_file(Path::new("sources.d/wiki.toml"), text)
    }

    #[test]
    fn the_file_of_the_surface_is_read() {
        let file = parse_text(SURFACE).unwrap();
        assert_eq!((file.table.as_str(), file.def.name.as_str()), ("wikipedia", "wiki"));
        assert_eq!(file.def.kafka.properties["fetch.wait.max.ms"], "5");
        assert_eq!(file.columns["page"], "$.page.title");
        assert_eq!(file.def.origin, SourceOrigin::File("sources.d/wiki.toml".into()));
    }

    #[test]
    fn the_least_file_gets_the_defaults() {
        let text = "name='a'\ntable='t'\n[kafka]\nbrokers='b:1'\ntopic='x'\nstart = 2026-01-01T00:00:00Z\n";
        let file = parse_text(text).unwrap();
        assert_eq!(file.def.on_error, OnError::DeadLetter);
        assert_eq!(file.def.kafka.start, StartPosition::Timestamp(1_767_225_600_000_000));
        assert_eq!((file.def.kafka.on_gap, file.def.time_unit), (OnGap::Fail, TimeUnit::Auto));
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let cases = [
            ("on_error =", "on_eror =", "unknown key on_eror", "on_error"),
            ("brokers =", "broker =", "unknown key kafka.broker", "kafka.brokers"),
            ("\"json\"", "\"xml\"", "format.type", "json"),
            ("\"earliest\"", "\"yesterday\"", "start", "latest"),
            ("$.page.title", "page", "invalid JSON path", "$.a"),
            ("name = \"wiki\"", "", "name is missing", ""),
            ("\"dead_letter\"", "7", "on_error must be text", ""),
        ];
        for (from, to, message, hint) in cases {
            let error = parse_text(&SURFACE.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidValue, "{error}");
            assert!(error.to_string().contains(message), "{error}");
            assert!(error.to_string().contains("wiki.toml"), "{error}");
            assert!(error.hint_text().unwrap_or("").contains(hint), "{error:?}");
        }
        let error = parse_text("name = 'a'\nname = ").unwrap_err();
        assert!(error.to_string().contains("line=2"), "{error}");
        let later = SURFACE.replace("\"json\"", "\"avro\"");
        assert_eq!(parse_text(&later).unwrap_err().kind(), ErrorKind::NotSupported);
    }
}
