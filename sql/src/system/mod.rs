//! Schema `system`: what there is, as tables.
//!
//! What enters: a snapshot of every family and what the sources say. What leaves: one in-memory table. First columns are
//! fixed by the surface. Deliberately absent: any write.

mod commits;
mod frame;
mod parts;
mod sources;
mod tables;

use crate::control::SourceControl;
use crate::snapshot::Snapshot;
use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use millrace_error::{Error, Result};
use std::sync::Arc;

/// The schema's name.
pub(crate) const SCHEMA: &str = "system";

/// Its tables.
pub(crate) const NAMES: [&str; 7] =
    ["tables", "columns", "parts", "segments", "sources", "source_partitions", "commits"];

/// The system table of this name, as of the snapshot; `None` where there is none.
///
/// # Errors
/// `Internal` where its columns do not fit together, which is a bug.
pub(crate) fn table(
    name: &str,
    snapshot: &Snapshot,
    sources: &dyn SourceControl,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let Some(batch) = batch(name, snapshot, sources) else { return Ok(None) };
    let batch = batch?;
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Some(Arc::new(table)))
}

fn batch(name: &str, snapshot: &Snapshot, sources: &dyn SourceControl) -> Option<Result<RecordBatch>> {
    Some(match name {
        "tables" => tables::tables(snapshot),
        "columns" => tables::columns(snapshot),
        "parts" => parts::parts(snapshot),
        "segments" => parts::segments(snapshot),
        "sources" => sources::sources(snapshot, sources),
        "source_partitions" => sources::partitions(snapshot, sources),
        "commits" => commits::commits(snapshot),
        _ => return None,
    })
}
