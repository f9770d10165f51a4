//! `system.tables`, `system.columns`.

use super::frame::Frame;
use crate::snapshot::{Pinned, Snapshot};
use arrow::array::RecordBatch;
use millrace_error::Result;
use millrace_schema::{TableDef, TableId};
use std::sync::Arc;

/// Every table of every family, base tables before their dead letters.
pub(super) fn every(snapshot: &Snapshot) -> Vec<(&Pinned, TableId, &Arc<TableDef>)> {
    snapshot
        .families()
        .flat_map(|pinned| pinned.view.manifest.tables.iter().map(move |(id, def)| (pinned, *id, def)))
        .collect()
}

pub(super) fn tables(snapshot: &Snapshot) -> Result<RecordBatch> {
    let all = every(snapshot);
    let each = || all.iter();
    Frame::default()
        .text("name", each().map(|(_, _, def)| Some(&def.name)))
        .text(
            "kind",
            each().map(|(_, id, _)| Some(if *id == TableId::DEAD_LETTERS { "dead_letters" } else { "table" })),
        )
        .count("version", each().map(|(pinned, _, _)| pinned.view.manifest.version))
        .count("rows", each().map(|(pinned, id, _)| pinned.view.rows(*id)))
        .count("parts", each().map(|(pinned, id, _)| pinned.view.parts(*id).map(|_| 1).sum()))
        .count("bytes", each().map(|(pinned, id, _)| pinned.view.parts(*id).map(|p| p.bytes).sum()))
        .text("time_column", each().map(|(_, _, def)| def.time_column.and_then(|c| def.column(c)).map(|c| &c.name)))
        .text("partition_by", each().map(|(_, _, def)| Some(def.partition_by())))
        .text("sort_by", each().map(|(_, _, def)| Some(def.sort_by())))
        .finish()
}

pub(super) fn columns(snapshot: &Snapshot) -> Result<RecordBatch> {
    let tables = every(snapshot);
    let all: Vec<_> = tables.iter().flat_map(|(_, _, def)| def.columns.iter().map(|c| (&def.name, c))).collect();
    let each = || all.iter();
    Frame::default()
        .text("table_name", each().map(|(table, _)| Some(table)))
        .text("name", each().map(|(_, c)| Some(&c.name)))
        .bigint("id", each().map(|(_, c)| Some(i64::from(c.id.0))))
        .text("type", each().map(|(_, c)| Some(c.ty.to_string())))
        .boolean("nullable", each().map(|(_, c)| Some(c.nullable)))
        .text("column_default", each().map(|(_, c)| c.default.as_ref().map(|d| &d.sql)))
        .finish()
}
