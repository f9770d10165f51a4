//! Writing one part: rows merged in sort-key order → Parquet → checksummed blocks → its final name.

use super::bounds::ColumnBounds;
use super::{Context, WrittenPart, encoding};
use crate::manifest::{Bounds, PartMeta};
use crate::part::blocks::{BlockWriter, sync_folder};
use crate::part::path;
use crate::seal::sort::Merge;
use crate::seal::split::Share;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use millrace_error::{Error, Result};
use millrace_schema::{ColumnType, PartId, Scalar};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

/// Rows merged and written at a time.
const BATCH_ROWS: usize = 8_192;

const DAY: i64 = 86_400_000_000;

/// A part while it is written.
pub(super) struct PartFile<'a> {
    context: &'a Context<'a>,
    id: PartId,
    target: PathBuf,
    writer: ArrowWriter<BlockWriter>,
    /// Per sort-key column.
    keys: Vec<(usize, ColumnBounds)>,
    /// Of the time column.
    time: Option<(usize, ColumnBounds)>,
    /// The rows, where they are to stay in memory.
    kept: Option<Vec<RecordBatch>>,
}

impl<'a> PartFile<'a> {
    /// Mints the id and creates the file; with `keep` the rows are gathered too.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(super) fn new(context: &'a Context<'a>, share: &Share, keep: bool) -> Result<Self> {
        let input = context.input;
        let id = PartId(input.clock.uuid());
        let folder = path::partition(&input.dir, &share.partition);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(folder.display(), e))?;
        let target = path::parquet(&input.dir, &share.partition, id);
        let options = ArrowWriterOptions::new()
            .with_properties(encoding::properties(&input.table, &context.profile, share.rows, id)?)
            .with_parquet_schema(encoding::parquet_schema(&input.table)?)
            .with_skip_arrow_metadata(true);
        let writer =
            ArrowWriter::try_new_with_options(BlockWriter::create(&target)?, Arc::clone(&context.schema), options)
                .map_err(|e| failed(&target, e))?;
        let bounds = |at: usize| (at, ColumnBounds::default());
        Ok(Self {
            context,
            id,
            target,
            writer,
            keys: input.table.sort_key_indices().into_iter().map(bounds).collect(),
            time: input.table.time_column.and_then(|time| input.table.index_of(time)).map(bounds),
            kept: keep.then(Vec::new),
        })
    }

    /// Writes the rows of a share and makes the part durable.
    ///
    /// # Errors
    /// `Io`, `DiskFull`; the file is removed.
    pub(super) fn write(mut self, batches: &[RecordBatch], share: &Share) -> Result<WrittenPart> {
        let mut merge = Merge::new(&self.context.keys, batches, &share.runs, self.kept.is_some())?;
        while let Some(mut batch) = merge.next_batch(BATCH_ROWS)? {
            for (column, bounds) in self.keys.iter_mut().chain(&mut self.time) {
                if let Some(column) = batch.columns().get(*column) {
                    bounds.update(column);
                }
            }
            if let Some(kept) = &mut self.kept {
                batch = compact(&batch)?;
                kept.push(batch.clone());
            }
            self.writer.write(&batch).map_err(|e| failed(&self.target, e))?;
        }
        self.publish(share)
    }

    /// fsync both files → name both → fsync the folder (S-6).
    fn publish(self, share: &Share) -> Result<WrittenPart> {
        let input = self.context.input;
        let rows = self.writer.into_inner().map_err(|e| failed(&self.target, e))?.finish()?;
        let bytes = rows.bytes;
        let crc = crc32c::crc32c(&rows.sums);
        let sums_target = path::checksums(&input.dir, &share.partition, self.id);
        let mut sums = BlockWriter::create(&sums_target)?;
        sums.write_all(&rows.sums).map_err(|e| Error::io(sums_target.display(), e))?;
        sums.finish()?.publish(&sums_target)?;
        rows.publish(&self.target)?;
        sync_folder(&path::partition(&input.dir, &share.partition))?;
        let (min_time, max_time) = self.time.and_then(|(at, bounds)| self.context.micros(at, bounds.finish()?)).unzip();
        Ok(WrittenPart {
            meta: PartMeta {
                id: self.id,
                table: input.table_id,
                partition: share.partition,
                schema_version: input.table.schema_version,
                level: 0,
                rows: u64::try_from(share.rows).map_err(|_| Error::internal("too many rows"))?,
                bytes,
                created_at: input.clock.now(),
                min_time,
                max_time,
                key_bounds: self.keys.into_iter().map(|(_, bounds)| bounds.finish()).collect(),
                crc,
            },
            rows: self.kept,
        })
    }
}

impl Context<'_> {
    /// Bounds of the time column in microseconds since 1970.
    fn micros(&self, column: usize, bounds: Bounds) -> Option<(i64, i64)> {
        let unit = if self.input.table.columns.get(column)?.ty == ColumnType::Date { DAY } else { 1 };
        match (bounds.min, bounds.max) {
            (Scalar::Int(min), Scalar::Int(max)) => Some((min.saturating_mul(unit), max.saturating_mul(unit))),
            _ => None,
        }
    }
}

/// A copy whose string views hold their own bytes only, so that it does not pin the chunks it came from.
fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
        .map_err(|e| Error::internal("compaction changed a batch").caused_by(e))
}

/// An error of the Parquet library: mostly one of the file under it.
fn failed(target: &std::path::Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => Error::io(target.display(), *io),
            Err(other) => Error::internal(format!("a part cannot be written: {other}")).with("file", target.display()),
        },
        other => Error::internal("a part cannot be written").with("file", target.display()).caused_by(other),
    }
}
