//! The sort key: ascending, NULLs last. Sorting one batch, merging many sorted runs.
//!
//! Keys are compared in Arrow's row format: bytes whose order is the order of the key. Their first eight bytes are kept
//! as a number, which settles most comparisons. The merge converts keys a window at a time, so that what it holds grows
//! with the number of runs, not with their rows.

use super::split::Run;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave_record_batch, take, take_record_batch};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use millrace_error::{Error, Result};
use millrace_schema::TableDef;
use std::cmp::Ordering;
use std::fmt;

/// Rows of a run whose keys are held in row format at a time.
const WINDOW: usize = 4_096;

/// Makes comparable keys of a table's rows.
pub(super) struct Keys {
    /// `None` where the table has no sort key: every order will do.
    converter: Option<RowConverter>,
    columns: Vec<usize>,
}

/// Merges sorted runs into batches; ties go by run, then by row.
pub(super) struct Merge<'a> {
    keys: &'a Keys,
    runs: Vec<Cursor<'a>>,
    batches: Vec<&'a RecordBatch>,
    /// `losers[0]` is the run with the least key; the others lost the match at their node.
    losers: Vec<usize>,
    /// Whether batches must be copies, not slices of a run.
    copies: bool,
}

/// Where the merge stands in one run.
struct Cursor<'a> {
    batch: &'a RecordBatch,
    rows: Option<&'a [u32]>,
    len: usize,
    at: usize,
    window: Option<Rows>,
    window_start: usize,
    window_end: usize,
    prefix: u64,
}

/// A batch in sort-key order. String views of the result share the buffers of the input.
///
/// # Errors
/// `Internal` where the batch is not of the table.
pub(crate) fn sort_batch(table: &TableDef, batch: &RecordBatch) -> Result<RecordBatch> {
    match Keys::new(table)?.order(batch)? {
        Some(order) => take_record_batch(batch, &UInt32Array::from(order)).map_err(internal),
        None => Ok(batch.clone()),
    }
}

impl Keys {
    pub(super) fn new(table: &TableDef) -> Result<Self> {
        let columns = table.sort_key_indices();
        let options = SortOptions { descending: false, nulls_first: false };
        let fields = columns.iter().filter_map(|at| table.columns.get(*at));
        let fields: Vec<SortField> = fields.map(|c| SortField::new_with_options(c.ty.arrow(), options)).collect();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields).map_err(internal)?) };
        Ok(Self { converter, columns })
    }

    /// The order that sorts a batch, stably; `None` where it stands in it.
    pub(super) fn order(&self, batch: &RecordBatch) -> Result<Option<Vec<u32>>> {
        let Some(converter) = &self.converter else { return Ok(None) };
        let keys = converter.convert_columns(&self.columns(batch)?).map_err(internal)?;
        if keys.iter().is_sorted() {
            return Ok(None);
        }
        let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::internal("a chunk has too many rows"))?;
        let mut order: Vec<(u64, u32)> =
            (0..rows).zip(keys.iter()).map(|(row, key)| (prefix(key.data()), row)).collect();
        let key = |row: u32| usize::try_from(row).map_or(&[][..], |row| keys.row(row).data());
        order.sort_by(|(a, i), (b, j)| a.cmp(b).then_with(|| key(*i).cmp(key(*j))));
        Ok(Some(order.into_iter().map(|(_, row)| row).collect()))
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let columns: Option<Vec<ArrayRef>> = self.columns.iter().map(|at| batch.columns().get(*at).cloned()).collect();
        columns.ok_or_else(|| Error::internal("a batch lacks a column of the sort key"))
    }
}

impl fmt::Debug for Merge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("runs", &self.runs.len()).finish_non_exhaustive()
    }
}

impl<'a> Merge<'a> {
    /// Begins a merge of `runs` of `chunks`; with `copies` no batch shares fixed-width buffers with a chunk.
    pub(super) fn new(keys: &'a Keys, chunks: &'a [RecordBatch], runs: &'a [Run], copies: bool) -> Result<Self> {
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            let batch = chunks.get(run.chunk).ok_or_else(|| Error::internal("a run of no chunk"))?;
            let len = run.rows.as_ref().map_or(batch.num_rows(), Vec::len);
            if len > 0 {
                cursors.push(Cursor::new(batch, run.rows.as_deref(), len));
            }
        }
        let mut merge = Self {
            keys,
            batches: cursors.iter().map(|cursor| cursor.batch).collect(),
            losers: vec![usize::MAX; cursors.len()],
            runs: cursors,
            copies,
        };
        for cursor in &mut merge.runs {
            cursor.load(keys)?;
        }
        (0..merge.runs.len()).rev().for_each(|run| merge.replay(run));
        Ok(merge)
    }

    /// The next rows, at most `count`; `None` at the end.
    pub(super) fn next_batch(&mut self, count: usize) -> Result<Option<RecordBatch>> {
        let mut picked: Vec<(usize, usize)> = Vec::with_capacity(count);
        while picked.len() < count
            && let Some(run) = self.losers.first().copied()
            && let Some(cursor) = self.runs.get_mut(run)
            && let Some(row) = cursor.row()
        {
            picked.push((run, row));
            cursor.advance(self.keys)?;
            self.replay(run);
        }
        let (Some((run, start)), Some(last)) = (picked.first().copied(), picked.last()) else { return Ok(None) };
        if !self.copies
            && is_slice(&picked)
            && let Some(batch) = self.batches.get(run)
        {
            return Ok(Some(batch.slice(start, last.1 - start + 1)));
        }
        interleave_record_batch(&self.batches, &picked).map(Some).map_err(internal)
    }

    /// Plays the matches of a run again from its leaf to the root, after its key changed.
    fn replay(&mut self, run: usize) {
        let mut winner = run;
        let mut node = (run + self.runs.len()) / 2;
        while node > 0 {
            if let Some(loser) = self.losers.get(node).copied()
                && self.beats(loser, winner)
            {
                self.losers.get_mut(node).map(|slot| std::mem::replace(slot, winner));
                winner = loser;
            }
            node /= 2;
        }
        if let Some(root) = self.losers.first_mut() {
            *root = winner;
        }
    }

    /// Whether run `a` comes before run `b`. A node nobody reached yet (`usize::MAX`) keeps whom it meets.
    fn beats(&self, a: usize, b: usize) -> bool {
        match (self.runs.get(a), self.runs.get(b)) {
            (Some(x), Some(y)) => x.compare(y).then(a.cmp(&b)).is_lt(),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }
}

impl<'a> Cursor<'a> {
    fn new(batch: &'a RecordBatch, rows: Option<&'a [u32]>, len: usize) -> Self {
        Self { batch, rows, len, at: 0, window: None, window_start: 0, window_end: len, prefix: 0 }
    }

    /// The row it stands at; `None` past the end.
    fn row(&self) -> Option<usize> {
        if self.at >= self.len {
            return None;
        }
        match self.rows {
            Some(rows) => usize::try_from(*rows.get(self.at)?).ok(),
            None => Some(self.at),
        }
    }

    fn advance(&mut self, keys: &Keys) -> Result<()> {
        self.at += 1;
        if self.at >= self.window_end && self.at < self.len {
            return self.load(keys);
        }
        self.prefix = prefix(self.key());
        Ok(())
    }

    /// Converts the keys of the next window.
    fn load(&mut self, keys: &Keys) -> Result<()> {
        let Some(converter) = &keys.converter else { return Ok(()) };
        self.window_start = self.at;
        self.window_end = (self.at + WINDOW).min(self.len);
        let rows = self.rows.and_then(|rows| rows.get(self.window_start..self.window_end));
        let columns = keys.columns(self.batch)?;
        let columns = columns.iter().map(|column| match rows {
            Some(rows) => take(column, &UInt32Array::from(rows.to_vec()), None).map_err(internal),
            None => Ok(column.slice(self.window_start, self.window_end - self.window_start)),
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
        let window = self.window.get_or_insert_with(|| converter.empty_rows(WINDOW, WINDOW * 16));
        window.clear();
        converter.append(window, &columns).map_err(internal)?;
        self.prefix = prefix(self.key());
        Ok(())
    }

    fn key(&self) -> &[u8] {
        match &self.window {
            Some(window) if self.at < self.window_end => window.row(self.at - self.window_start).data(),
            _ => &[],
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let ended = (self.at >= self.len).cmp(&(other.at >= other.len));
        ended.then(self.prefix.cmp(&other.prefix)).then_with(|| self.key().cmp(other.key()))
    }
}

/// The first eight bytes of a key as a number of the same order.
fn prefix(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(key).for_each(|(target, byte)| *target = *byte);
    u64::from_be_bytes(bytes)
}

/// Whether picked rows stand one after another in one run.
fn is_slice(picked: &[(usize, usize)]) -> bool {
    picked.windows(2).all(|pair| matches!(pair, [(a, i), (b, j)] if a == b && i + 1 == *j))
}

fn internal(error: ArrowError) -> Error {
    Error::internal(format!("rows of a seal do not fit together: {error}")).caused_by(error)
}

#[cfg(test)]
mod tests;
