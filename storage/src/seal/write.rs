//! Writing the parts of a seal: divide → merge → Parquet, fsynced and named before any commit names them (S-6).
//!
//! What enters: the chunks of one table that a seal froze. What leaves: parts in their final place, and their rows where
//! they may stay in memory. Deliberately absent: the commit. Parts that no commit names are removed at the next start.

mod bounds;
mod encoding;
mod file;

use super::sort::Keys;
use super::split::{Share, split};
use crate::manifest::PartMeta;
use crate::memory::MemoryBudget;
use crate::part::{blocks, path};
use crate::segment::Chunk;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use encoding::Profile;
use file::PartFile;
use millrace_clock::Clock;
use millrace_error::{Error, Result};
use millrace_schema::{TableDef, TableId};
use std::path::PathBuf;
use std::sync::Arc;

/// What a seal writes of one table.
#[derive(Debug)]
pub(crate) struct SealInput {
    /// The table, in the schema version of the chunks.
    pub(crate) table: Arc<TableDef>,
    /// Its id in the family.
    pub(crate) table_id: TableId,
    /// The frozen rows, oldest first.
    pub(crate) chunks: Vec<Arc<Chunk>>,
    /// The family's `data` folder.
    pub(crate) dir: PathBuf,
    /// Where part ids and times come from.
    pub(crate) clock: Clock,
    /// Says how many rows may stay in memory.
    pub(crate) memory: Arc<MemoryBudget>,
}

/// A part in its final place, durable, that no commit names yet.
#[derive(Debug)]
pub(crate) struct WrittenPart {
    /// What the commit says of it.
    pub(crate) meta: PartMeta,
    /// Its rows, compact, in file order, where they may stay in memory; not yet charged.
    pub(crate) rows: Option<Vec<RecordBatch>>,
}

/// What every part of a seal is written with.
struct Context<'a> {
    input: &'a SealInput,
    schema: SchemaRef,
    keys: Keys,
    profile: Profile,
}

/// Writes the parts of a seal: at most 64, one a partition, the smallest partitions together in a mixed one.
///
/// Blocks for the length of the work: call it on a background thread.
///
/// # Errors
/// `Io`, `DiskFull`; whatever was written is removed.
pub(crate) fn write_parts(input: SealInput) -> Result<Vec<WrittenPart>> {
    let schema = input.table.arrow_schema();
    let full: Vec<&Arc<Chunk>> = input.chunks.iter().filter(|chunk| chunk.rows.num_rows() > 0).collect();
    let batches = full.iter().map(|chunk| conform(&chunk.rows, &schema)).collect::<Result<Vec<RecordBatch>>>()?;
    let keys = Keys::new(&input.table)?;
    let order = |(chunk, rows): (&&Arc<Chunk>, &RecordBatch)| if chunk.sorted { Ok(None) } else { keys.order(rows) };
    let orders = full.iter().zip(&batches).map(order).collect::<Result<Vec<Option<Vec<u32>>>>>()?;
    let chunks: Vec<(&Chunk, &RecordBatch)> = full.iter().map(|chunk| -> &Chunk { chunk }).zip(&batches).collect();
    let shares = split(&input.table, &chunks, &orders)?;
    drop(orders);
    let profile = Profile::of(&schema, &batches);
    write_shares(&Context { input: &input, schema, keys, profile }, &batches, &shares)
}

/// One file after another; removes them all where one fails.
fn write_shares(context: &Context<'_>, batches: &[RecordBatch], shares: &[Share]) -> Result<Vec<WrittenPart>> {
    let data = &context.input.dir;
    let mut room = resident_room(context.input);
    let mut written: Vec<WrittenPart> = Vec::with_capacity(shares.len());
    let all = shares.iter().try_for_each(|share| {
        let wanted = resident_bytes(batches, share);
        let keep = wanted <= room;
        room -= if keep { wanted } else { 0 };
        written.push(PartFile::new(context, share, keep)?.write(batches, share)?);
        Ok(())
    });
    // The partition's entry in `data`, and that of `data` itself, which the first seal makes.
    let sync = || blocks::sync_folder(data).and_then(|()| data.parent().map_or(Ok(()), blocks::sync_folder));
    if let Err(error) = all.and_then(|()| if written.is_empty() { Ok(()) } else { sync() }) {
        for part in &written {
            remove(data, &part.meta);
        }
        return Err(error);
    }
    Ok(written)
}

/// Bytes of rows that one seal may leave in memory. Dead letters are looked at rarely: none of theirs.
fn resident_room(input: &SealInput) -> u64 {
    if input.table_id == TableId::DEAD_LETTERS { 0 } else { input.memory.resident_limit() }
}

/// What the rows of a share would hold in memory, compact.
fn resident_bytes(batches: &[RecordBatch], share: &Share) -> u64 {
    let runs = share.runs.iter().filter_map(|run| {
        let batch = batches.get(run.chunk)?;
        let (rows, of) = (run.rows.as_ref().map_or(batch.num_rows(), Vec::len), batch.num_rows().max(1));
        Some(batch.columns().iter().map(|column| held(column)).sum::<usize>() / of * rows)
    });
    u64::try_from(runs.sum::<usize>()).unwrap_or(u64::MAX)
}

fn held(column: &dyn Array) -> usize {
    let views = column.len() * size_of::<u128>();
    match column.data_type() {
        DataType::Utf8View => views + column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => views + column.as_binary_view().total_buffer_bytes_used(),
        _ => column.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 1_024),
    }
}

/// The rows under the table's own schema.
fn conform(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec())
        .map_err(|e| Error::internal("a chunk does not have its table's schema").caused_by(e))
}

/// Best effort: what stays is removed at the next start.
pub(crate) fn remove(data: &std::path::Path, part: &PartMeta) {
    for file in [path::part_path(data, part), path::checksums(data, &part.partition, part.id)] {
        drop(std::fs::remove_file(file));
    }
}

#[cfg(test)]
mod tests;
