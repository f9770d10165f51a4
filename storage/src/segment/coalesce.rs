//! Coalescing: small chunks become larger ones, geometrically, on a background thread.
//!
//! Rows are copied at most four times on their way to 64 Ki. A chunk of 64 Ki rows is sorted by the sort key, so that a
//! seal is a streaming merge. A run is replaced only where it still stands whole in the view: a seal that froze it wins.

use super::Chunk;
use crate::family::Family;
use crate::seal::sort_batch;
use crate::view::ShardView;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use millrace_error::{Error, Result};
use millrace_schema::TableId;
use std::sync::Arc;

/// Rows at which a chunk leaves one class for the next.
const CLASSES: [usize; 4] = [32, 1_024, 8_192, 65_536];

/// A run of neighbouring chunks of one table that should become one.
#[derive(Debug)]
struct Run {
    chunks: Vec<Arc<Chunk>>,
    rows: usize,
}

/// Pure: the run to merge next, of the largest class that is full; `None` where there is nothing to do.
fn choose(shard: &ShardView) -> Option<Run> {
    for table in [TableId::BASE, TableId::DEAD_LETTERS] {
        let chunks: Vec<&Arc<Chunk>> = shard.mutable.iter().filter(|c| c.table == table).collect();
        for class in CLASSES.iter().rev() {
            if let Some(run) = full_run(&chunks, *class) {
                return Some(run);
            }
        }
    }
    None
}

/// The oldest run of two or more chunks below `class` rows each that together reach it.
fn full_run(chunks: &[&Arc<Chunk>], class: usize) -> Option<Run> {
    let mut run = Run { chunks: Vec::new(), rows: 0 };
    for chunk in chunks {
        let rows = chunk.rows.num_rows();
        let fits = rows < class && run.chunks.first().is_none_or(|c| c.schema_version == chunk.schema_version);
        if !fits {
            run = Run { chunks: Vec::new(), rows: 0 };
            continue;
        }
        run.chunks.push(Arc::clone(chunk));
        run.rows += rows;
        if run.rows >= class && run.chunks.len() > 1 {
            return Some(run);
        }
    }
    None
}

impl Run {
    /// The one chunk that takes the run's place.
    fn merged(&self, family: &Family) -> Result<Chunk> {
        let first = self.chunks.first().ok_or_else(|| Error::internal("empty run"))?;
        let view = family.view();
        let table = view.table(first.table).ok_or_else(|| Error::internal("run of an unknown table"))?;
        let batches = self.chunks.iter().map(|c| &c.rows);
        let rows = concat_batches(&first.rows.schema(), batches)
            .map_err(|e| Error::internal("chunks do not fit together").caused_by(e))?;
        let sorted = self.rows >= CLASSES.last().copied().unwrap_or(usize::MAX) && !table.sort_key.is_empty();
        let rows = if sorted { sort_batch(table, &rows)? } else { rows };
        Ok(Chunk::new(first.table, table, compacted(&rows)?, sorted, first.born, family.memory()))
    }
}

/// Copies view arrays so that they hold their own bytes and nothing else: a concatenation shares every input's buffers.
fn compacted(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = rows
        .columns()
        .iter()
        .map(|column| -> ArrayRef {
            match column.data_type() {
                DataType::Utf8View => Arc::new(column.as_string_view().gc()),
                DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
                _ => Arc::clone(column),
            }
        })
        .collect();
    RecordBatch::try_new(rows.schema(), columns).map_err(|e| Error::internal("compaction changed a batch").caused_by(e))
}

/// Merges one run of the family, if there is one to merge; says whether it did. Blocks for the length of one merge.
///
/// # Errors
/// `Internal` where chunks of one table do not fit together.
pub(crate) fn coalesce_once(family: &Family) -> Result<bool> {
    let view = family.view();
    for shard in &view.shards {
        if let Some(run) = choose(shard) {
            let merged = Arc::new(run.merged(family)?);
            family.replace_run(&shard.topic, &run.chunks, merged);
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryBudget;
    use arrow::array::Int64Array;
    use millrace_schema::ColumnType;
    use std::time::Duration;

    fn shard(sizes: &[usize]) -> ShardView {
        let table = millrace_testkit::table("t", &[("a", ColumnType::BigInt)]);
        let memory = MemoryBudget::new(1 << 30);
        let chunk = |n: &usize| {
            let values = Int64Array::from_iter_values((0..*n).map(|i| i64::try_from(i).unwrap()));
            let rows = RecordBatch::try_new(table.arrow_schema(), vec![Arc::new(values)]).unwrap();
            Arc::new(Chunk::new(TableId::BASE, &table, rows, false, Duration::ZERO, &memory))
        };
        ShardView {
            topic: Arc::new(millrace_testkit::topic("t")),
            sealing: Vec::new(),
            mutable: sizes.iter().map(chunk).collect(),
            positions: Arc::default(),
        }
    }

    #[test]
    fn the_largest_full_class_goes_first() {
        let chosen = |sizes: &[usize]| choose(&shard(sizes)).map(|run| (run.chunks.len(), run.rows));
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[10, 10]), None);
        assert_eq!(chosen(&[10, 10, 12]), Some((3, 32)));
        assert_eq!(chosen(&[1_000, 10, 14]), Some((3, 1_024)));
        assert_eq!(chosen(&[8_192; 8]), Some((8, 65_536)));
        assert_eq!(chosen(&[65_536, 70_000]), None, "the largest are left alone");
        assert_eq!(chosen(&[500, 8_192, 500]), None, "a run is of neighbours");
    }
}
