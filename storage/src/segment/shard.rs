//! The one writer of a shard.

use super::Chunk;
use crate::Family;
use arrow::array::RecordBatch;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{TableDef, TableId, TopicKey};
use std::sync::Arc;

/// A half-open range of offsets of one partition that a micro-batch covers, whatever was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// The partition.
    pub partition: i32,
    /// Where the visible position must stand.
    pub from: i64,
    /// Where it goes.
    pub to: i64,
    /// Rows stored from this range.
    pub rows: u64,
    /// Dead letters stored from it.
    pub dead_letters: u64,
    /// Greatest event time in it, microseconds since 1970.
    pub max_event_time: Option<i64>,
}

/// What one append makes visible, all at once.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    /// Rows in the base table's Arrow schema; may be `None` or empty.
    pub rows: Option<RecordBatch>,
    /// Rows in the dead-letter table's Arrow schema; may be `None` or empty.
    pub dead_letters: Option<RecordBatch>,
    /// The offsets covered, at most one range a partition; they move even where no row came of them (S-3).
    pub offsets: Vec<OffsetRange>,
    /// The base table's schema version the rows were decoded under.
    pub schema_version: u32,
}

/// The one writer of a shard (= topic of a family). Dropping it lets another be opened; its rows stay visible.
#[derive(Debug)]
pub struct ShardWriter {
    family: Arc<Family>,
    topic: Arc<TopicKey>,
}

impl ShardWriter {
    pub(crate) fn new(family: Arc<Family>, topic: Arc<TopicKey>) -> Self {
        Self { family, topic }
    }

    /// Makes a micro-batch visible to every view taken from now on. Does no I/O and does not block beyond a short lock.
    ///
    /// # Errors
    /// `Conflict` where a range does not start at the visible position (nothing is appended), or where the table's
    /// schema changed: re-open and decode again. `WrongState` when the family was dropped.
    pub fn append(&self, batch: MicroBatch) -> Result<()> {
        let view = self.family.view();
        let chunk = |id: TableId, rows: Option<RecordBatch>| -> Result<Option<Arc<Chunk>>> {
            let Some(rows) = rows.filter(|r| r.num_rows() > 0) else { return Ok(None) };
            let table = view.table(id).ok_or_else(|| Error::internal("append to an undefined table"))?;
            check_fit(table, &rows)?;
            let born = self.family.clock().monotonic();
            Ok(Some(Arc::new(Chunk::new(id, table, rows, false, born, self.family.memory()))))
        };
        let chunks = [chunk(TableId::BASE, batch.rows)?, chunk(TableId::DEAD_LETTERS, batch.dead_letters)?];
        self.family.append(&self.topic, chunks.into_iter().flatten().collect(), &batch.offsets, batch.schema_version)
    }

    /// The topic this writer appends for.
    pub fn topic(&self) -> &TopicKey {
        &self.topic
    }
}

impl Drop for ShardWriter {
    fn drop(&mut self) {
        self.family.release_shard(&self.topic);
    }
}

/// Rows must have the table's columns: a wrong batch would poison every later coalesce.
fn check_fit(table: &TableDef, rows: &RecordBatch) -> Result<()> {
    let types = rows.columns().iter().map(|c| c.data_type().clone());
    if types.eq(table.columns.iter().map(|c| c.ty.arrow())) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Internal, "rows are not in the table's schema").with("table", &table.name))
}
