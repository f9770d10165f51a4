//! SHOW: tables, sources, definitions, settings.
//!
//! What enters: what to show. What leaves: one batch of rows. Deliberately absent: secrets, which are never shown.

use super::source::unknown_source;
use super::{CommandContext, family};
use crate::answer::{Answer, Body};
use crate::control::SourceStatus;
use crate::parse::{Name, ShowWhat, quoted};
use crate::settings::Settings;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::StreamExt;
use millrace_error::{Error, Result};
use millrace_schema::{
    ColumnType, DEAD_LETTER_SUFFIX, OnError, OnGap, SourceDef, SourceOrigin, StartPosition, TableDef, TableId,
    TimeUnit, format_bytes, format_duration,
};
use millrace_storage::FamilyView;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Columns of the answer.
pub(super) fn columns(what: &ShowWhat, settings: &Settings) -> Result<SchemaRef> {
    let text = |name: &str| Field::new(name, ColumnType::Text.arrow(), true);
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let fields = match what {
        ShowWhat::Tables => vec![text("name"), text("kind"), number("rows"), number("parts")],
        ShowWhat::Sources => {
            let mut fields: Vec<Field> =
                ["name", "table_name", "kind", "topic", "state", "error"].into_iter().map(text).collect();
            fields.extend([number("rows"), number("dead_letters")]);
            fields
        }
        ShowWhat::CreateTable(_) => vec![text("create_table")],
        ShowWhat::CreateSource(_) => vec![text("create_source")],
        ShowWhat::AllSettings => vec![text("name"), text("setting"), text("description")],
        ShowWhat::Setting(name) => vec![text(settings.get(&name.text).map_err(|e| e.at(name.at))?.0)],
    };
    Ok(Arc::new(Schema::new(fields)))
}

/// Answers a SHOW.
pub(super) fn show(what: &ShowWhat, ctx: &CommandContext<'_>, settings: &Settings) -> Result<Answer> {
    let schema = columns(what, settings)?;
    let arrays = match what {
        ShowWhat::Tables => tables(ctx),
        ShowWhat::Sources => sources(ctx),
        ShowWhat::CreateTable(relation) => {
            let table = relation.user_table()?;
            let (base, id) = match table.strip_suffix(DEAD_LETTER_SUFFIX) {
                Some(base) if ctx.store.family(base).is_some() => (base, TableId::DEAD_LETTERS),
                _ => (table, TableId::BASE),
            };
            let view = family(ctx, base, relation.at)?.view();
            let def = view.table(id).ok_or_else(|| Error::internal("a family without a table").with("table", table))?;
            vec![texts([Some(create_table(def))])]
        }
        ShowWhat::CreateSource(name) => vec![texts([Some(create_source_of(ctx, name)?)])],
        ShowWhat::AllSettings => {
            let all = settings.all();
            vec![
                texts(all.iter().map(|s| Some(s.name))),
                texts(all.iter().map(|s| Some(s.value.as_str()))),
                texts(all.iter().map(|s| Some(s.about))),
            ]
        }
        ShowWhat::Setting(name) => vec![texts([Some(settings.get(&name.text).map_err(|e| e.at(name.at))?.1)])],
    };
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|e| Error::internal("the rows of SHOW do not fit its columns").caused_by(e))?;
    let rows = futures::stream::iter([Ok(batch)]).boxed();
    Ok(Answer { notices: Vec::new(), snapshot: BTreeMap::new(), body: Body::Rows { schema, rows, tag: "SHOW" } })
}

fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringViewArray>())
}

fn counts(values: impl IntoIterator<Item = u64>) -> ArrayRef {
    Arc::new(values.into_iter().map(|n| i64::try_from(n).unwrap_or(i64::MAX)).map(Some).collect::<Int64Array>())
}

fn tables(ctx: &CommandContext<'_>) -> Vec<ArrayRef> {
    let mut lines: Vec<(String, &str, u64, u64)> = Vec::new();
    for (_, family) in ctx.store.families() {
        let view = family.view();
        for (id, def) in view.manifest.tables.iter() {
            let kind = if *id == TableId::DEAD_LETTERS { "dead_letters" } else { "table" };
            let parts = u64::try_from(view.parts(*id).count()).unwrap_or(u64::MAX);
            lines.push((def.name.clone(), kind, view.rows(*id), parts));
        }
    }
    vec![
        texts(lines.iter().map(|l| Some(&l.0))),
        texts(lines.iter().map(|l| Some(l.1))),
        counts(lines.iter().map(|l| l.2)),
        counts(lines.iter().map(|l| l.3)),
    ]
}

fn sources(ctx: &CommandContext<'_>) -> Vec<ArrayRef> {
    let all = ctx.sources.status();
    let seen: Vec<(u64, u64)> =
        all.iter().map(|s| ctx.store.family(&s.table).map_or((0, 0), |family| rows_from(&family.view(), s))).collect();
    vec![
        texts(all.iter().map(|s| Some(&s.name))),
        texts(all.iter().map(|s| Some(&s.table))),
        texts(all.iter().map(|_| Some("kafka"))),
        texts(all.iter().map(|s| Some(&s.def.kafka.topic))),
        texts(all.iter().map(|s| Some(s.state))),
        texts(all.iter().map(|s| s.error.as_ref())),
        counts(seen.iter().map(|s| s.0)),
        counts(seen.iter().map(|s| s.1)),
    ]
}

/// Rows and dead letters that came from a source's topic, unsealed ones included.
fn rows_from(view: &FamilyView, source: &SourceStatus) -> (u64, u64) {
    let Some(topic) = view.manifest.sources.get(&source.name).and_then(|s| s.topic.as_ref()) else { return (0, 0) };
    let sealed = view.manifest.positions.get(topic).into_iter().flat_map(BTreeMap::values);
    let (rows, dead) = sealed.fold((0, 0), |sum, p| (sum.0 + p.rows, sum.1 + p.dead_letters));
    let shards = view.shards.iter().filter(|s| *s.topic == *topic);
    let unsealed = shards.flat_map(|s| s.positions.values());
    unsealed.fold((rows, dead), |sum, p| (sum.0 + p.rows, sum.1 + p.dead_letters))
}

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The statement that makes this table again.
fn create_table(def: &TableDef) -> String {
    let mut sql = format!("CREATE TABLE {} (\n", quoted(&def.name));
    for (i, column) in def.columns.iter().enumerate() {
        let comma = if i + 1 < def.columns.len() { "," } else { "" };
        let not_null = if column.nullable { "" } else { " NOT NULL" };
        let default = column.default.as_ref().map_or_else(String::new, |d| format!(" DEFAULT {}", d.sql));
        let _ = writeln!(sql, "    {} {}{not_null}{default}{comma}", quoted(&column.name), column.ty);
    }
    let mut options: Vec<(&str, String)> = Vec::new();
    if let Some(column) = def.time_column.and_then(|id| def.column(id)) {
        options.push(("time_column", string(&column.name)));
    }
    options.push(("partition_by", string(&def.partition_by())));
    options.push(("sort_by", string(&def.sort_by())));
    options.push(("seal_rows", def.options.seal_rows.to_string()));
    options.push(("seal_bytes", string(&format_bytes(def.options.seal_bytes))));
    options.push(("seal_age", string(&format_duration(def.options.seal_age))));
    options.push(("compression", string(&def.options.compression.to_string())));
    options.push(("version_retention", string(&format_duration(def.options.version_retention))));
    options.push(("dead_letter_retention", string(&format_duration(def.options.dead_letter_retention))));
    let lines: Vec<String> = options.iter().map(|(name, value)| format!("    {name} = {value}")).collect();
    let _ = write!(sql, ") WITH (\n{}\n)", lines.join(",\n"));
    sql
}

fn create_source_of(ctx: &CommandContext<'_>, name: &Name) -> Result<String> {
    let all = ctx.sources.status();
    let source = all.iter().find(|s| s.name == name.text).ok_or_else(|| unknown_source(ctx, name))?;
    let view = ctx.store.family(&source.table).map(|f| f.view());
    let table = view.as_ref().and_then(|v| v.table(TableId::BASE));
    Ok(create_source(&source.def, &source.table, table.map(AsRef::as_ref)))
}

/// The statement that makes this source again, but for its secrets.
fn create_source(def: &SourceDef, table: &str, columns: Option<&TableDef>) -> String {
    let mut kafka = vec![
        format!("    brokers = {}", string(&def.kafka.brokers)),
        format!("    topic = {}", string(&def.kafka.topic)),
        format!("    start = {}", string(&start(&def.kafka.start))),
        format!(
            "    on_gap = {}",
            match def.kafka.on_gap {
                OnGap::Fail => "'fail'",
                OnGap::Skip => "'skip'",
            }
        ),
    ];
    for (key, value) in &def.kafka.properties {
        let shown = if is_secret(key, value) { "***" } else { value };
        kafka.push(format!("    {} = {}", string(key), string(shown)));
    }
    let mut sql = format!(
        "CREATE SOURCE {} TO {} FROM KAFKA (\n{}\n) FORMAT JSON",
        quoted(&def.name),
        quoted(table),
        kafka.join(",\n")
    );
    let mapped: Vec<String> = def
        .mapping
        .iter()
        .filter_map(|(id, path)| columns?.column(*id).map(|c| format!("    {} = {}", quoted(&c.name), string(path))))
        .collect();
    if !mapped.is_empty() {
        let _ = write!(sql, " (\n{}\n)", mapped.join(",\n"));
    }
    let on_error = match def.on_error {
        OnError::DeadLetter => "dead_letter",
        OnError::Skip => "skip",
        OnError::Fail => "fail",
    };
    let time_unit = match def.time_unit {
        TimeUnit::Auto => "auto",
        TimeUnit::S => "s",
        TimeUnit::Ms => "ms",
        TimeUnit::Us => "us",
        TimeUnit::Ns => "ns",
    };
    let _ = write!(sql, " WITH (on_error = '{on_error}', time_unit = '{time_unit}')");
    if let SourceOrigin::File(path) = &def.origin {
        let _ = write!(sql, "\n-- defined by file {}", path.display());
    }
    sql
}

fn start(start: &StartPosition) -> String {
    match start {
        StartPosition::Earliest => "earliest".to_owned(),
        StartPosition::Latest => "latest".to_owned(),
        StartPosition::Timestamp(micros) => chrono::DateTime::from_timestamp_micros(*micros)
            .map_or_else(|| micros.to_string(), |t| t.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
    }
}

/// Whether a property's value is to be hidden. A reference to where the secret is kept is none itself.
fn is_secret(key: &str, value: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let named =
        ["password", "secret", "key", "token", "jaas", "oauthbearer.config"].iter().any(|word| key.contains(word));
    named && !value.starts_with("env:") && !value.starts_with("file:")
}

#[cfg(test)]
mod tests;
