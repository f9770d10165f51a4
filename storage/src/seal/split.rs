//! Dividing the rows of a seal into partitions.
//!
//! What enters: chunks, and for unsorted ones their sort order. What leaves: for each part to write, the rows of each
//! chunk in sort-key order. A chunk inside one partition is handed on whole, without a look at its rows.

use crate::manifest::{PartitionKey, PartitionTime};
use crate::scan::bucket::bucket_of;
use crate::scan::value::Value;
use crate::segment::Chunk;
use arrow::array::RecordBatch;
use millrace_error::{Error, Result};
use millrace_schema::{Bucket, ColumnType, PartitionUnit, TableDef};
use std::collections::HashMap;

/// Parts of one seal at most.
pub(super) const PARTS_MAX: usize = 64;

const DAY: i64 = 86_400_000_000;

/// The rows of one chunk that go into one part.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    /// Which chunk.
    pub(super) chunk: usize,
    /// Its rows in sort-key order; `None`: all of them, as they stand.
    pub(super) rows: Option<Vec<u32>>,
}

/// The rows of one part.
#[derive(Debug, PartialEq)]
pub(super) struct Share {
    /// Its partition.
    pub(super) partition: PartitionKey,
    /// How many rows.
    pub(super) rows: usize,
    /// Where they are, in chunk order.
    pub(super) runs: Vec<Run>,
}

/// In which partition the rows of a chunk are, by ordinal.
enum Place {
    Whole(usize),
    Rows(Vec<u32>),
}

/// Finds partitions and numbers them as they come.
struct Places<'a> {
    unit: PartitionUnit,
    /// Position of the time column, and whether it holds days.
    time: Option<(usize, bool)>,
    bucket: Option<(usize, Bucket)>,
    chunks: &'a [(&'a Chunk, &'a RecordBatch)],
    ordinals: HashMap<PartitionKey, usize>,
    /// By ordinal: the partition and how many rows it has.
    found: Vec<(PartitionKey, usize)>,
}

/// Divides chunks into at most [`PARTS_MAX`] shares: the largest partitions each get their own, the others share a mixed
/// one. `orders` gives the sort order of a chunk that does not stand in it.
///
/// # Errors
/// `Internal` where a chunk has too many rows.
pub(super) fn split(
    table: &TableDef,
    chunks: &[(&Chunk, &RecordBatch)],
    orders: &[Option<Vec<u32>>],
) -> Result<Vec<Share>> {
    let mut places = Places::new(table, chunks);
    let placed = (0..chunks.len()).map(|chunk| places.place(chunk)).collect::<Result<Vec<Place>>>()?;
    let (slots, mut shares) = choose(&places.found);
    for (chunk, place) in placed.into_iter().enumerate() {
        let order = orders.get(chunk).and_then(Option::as_ref);
        match place {
            Place::Whole(ordinal) => {
                let share = slots.get(ordinal).and_then(|slot| shares.get_mut(*slot)).ok_or_else(lost)?;
                share.runs.push(Run { chunk, rows: order.cloned() });
            }
            Place::Rows(ordinals) => deal(chunk, &ordinals, order, &slots, &mut shares)?,
        }
    }
    Ok(shares)
}

/// Deals the rows of one chunk out to their shares, in sort-key order.
fn deal(chunk: usize, ordinals: &[u32], order: Option<&Vec<u32>>, slots: &[usize], shares: &mut [Share]) -> Result<()> {
    let mut dealt: Vec<Vec<u32>> = shares.iter().map(|_| Vec::new()).collect();
    let mut put = |row: u32| {
        let ordinal = ordinals.get(usize::try_from(row).ok()?)?;
        let slot = slots.get(usize::try_from(*ordinal).ok()?)?;
        dealt.get_mut(*slot)?.push(row);
        Some(())
    };
    match order {
        Some(order) => order.iter().try_for_each(|row| put(*row)),
        None => (0..u32::try_from(ordinals.len()).map_err(|_| lost())?).try_for_each(&mut put),
    }
    .ok_or_else(lost)?;
    for (share, rows) in shares.iter_mut().zip(dealt).filter(|(_, rows)| !rows.is_empty()) {
        share.runs.push(Run { chunk, rows: Some(rows) });
    }
    Ok(())
}

/// Pure: which partitions get a part of their own. Returns the share of each ordinal, and the shares, by partition.
fn choose(found: &[(PartitionKey, usize)]) -> (Vec<usize>, Vec<Share>) {
    let share = |partition, rows| Share { partition, rows, runs: Vec::new() };
    let mut ordinals: Vec<usize> = (0..found.len()).collect();
    let of = |ordinal: &usize| found.get(*ordinal).copied().unwrap_or((MIXED, 0));
    let own = if found.len() <= PARTS_MAX { found.len() } else { PARTS_MAX - 1 };
    ordinals.sort_unstable_by_key(|ordinal| (std::cmp::Reverse(of(ordinal).1), of(ordinal).0));
    let rest = ordinals.split_off(own);
    ordinals.sort_unstable_by_key(|ordinal| of(ordinal).0);
    let mut shares: Vec<Share> = ordinals.iter().map(|ordinal| share(of(ordinal).0, of(ordinal).1)).collect();
    let mut slots = vec![shares.len(); found.len()];
    for (slot, ordinal) in ordinals.iter().enumerate() {
        if let Some(entry) = slots.get_mut(*ordinal) {
            *entry = slot;
        }
    }
    if !rest.is_empty() {
        shares.push(share(MIXED, rest.iter().map(|ordinal| of(ordinal).1).sum()));
    }
    (slots, shares)
}

const MIXED: PartitionKey = PartitionKey { time: PartitionTime::Mixed, bucket: None };

impl<'a> Places<'a> {
    fn new(table: &TableDef, chunks: &'a [(&'a Chunk, &'a RecordBatch)]) -> Self {
        let column =
            table.time_column.and_then(|id| Some((table.index_of(id)?, table.column(id)?.ty == ColumnType::Date)));
        let unit = if column.is_some() { table.partitioning.unit } else { PartitionUnit::None };
        Self {
            unit,
            time: column.filter(|_| unit != PartitionUnit::None),
            bucket: table.partitioning.bucket.and_then(|bucket| Some((table.index_of(bucket.column)?, bucket))),
            chunks,
            ordinals: HashMap::new(),
            found: Vec::new(),
        }
    }

    fn place(&mut self, chunk: usize) -> Result<Place> {
        let (chunk, rows) = *self.chunks.get(chunk).ok_or_else(lost)?;
        if self.bucket.is_none()
            && let Some(time) = self.common_time(chunk)
        {
            return Ok(Place::Whole(self.count(PartitionKey { time, bucket: None }, rows.num_rows())));
        }
        let mut ordinals = Vec::with_capacity(rows.num_rows());
        // Neighbours are mostly in one partition: look up only where it changes.
        let mut last: Option<(PartitionKey, usize)> = None;
        for row in 0..rows.num_rows() {
            let key = PartitionKey { time: self.time_of(rows, row), bucket: self.bucket_of(rows, row) };
            let ordinal = match last {
                Some((partition, ordinal)) if partition == key => ordinal,
                _ => self.count(key, 0),
            };
            last = Some((key, ordinal));
            if let Some((_, rows)) = self.found.get_mut(ordinal) {
                *rows += 1;
            }
            ordinals.push(u32::try_from(ordinal).map_err(|_| lost())?);
        }
        Ok(Place::Rows(ordinals))
    }

    /// The stretch of time that all rows of a chunk are in, by its bounds.
    fn common_time(&self, chunk: &Chunk) -> Option<PartitionTime> {
        if self.time.is_none() {
            return Some(PartitionTime::All);
        }
        let of = |micros| PartitionTime::of(self.unit, micros);
        match chunk.time_bounds {
            Some((min, max)) => (!chunk.has_null_time && of(Some(min)) == of(Some(max))).then(|| of(Some(min))),
            None => chunk.has_null_time.then_some(PartitionTime::Null),
        }
    }

    fn time_of(&self, rows: &RecordBatch, row: usize) -> PartitionTime {
        let Some((column, days)) = self.time else { return PartitionTime::All };
        let micros = match rows.columns().get(column).and_then(|column| Value::at(column, row)) {
            Some(Value::Int(days_)) if days => Some(days_.saturating_mul(DAY)),
            Some(Value::Int(micros)) => Some(micros),
            _ => None,
        };
        PartitionTime::of(self.unit, micros)
    }

    fn bucket_of(&self, rows: &RecordBatch, row: usize) -> Option<u32> {
        let (column, bucket) = self.bucket?;
        let value = rows.columns().get(column).and_then(|column| Value::at(column, row));
        Some(bucket_of(value, bucket.count))
    }

    /// The ordinal of a partition, with `rows` more rows in it.
    fn count(&mut self, key: PartitionKey, rows: usize) -> usize {
        let next = self.found.len();
        let ordinal = *self.ordinals.entry(key).or_insert(next);
        match self.found.get_mut(ordinal) {
            Some((_, counted)) => *counted += rows,
            None => self.found.push((key, rows)),
        }
        ordinal
    }
}

fn lost() -> Error {
    Error::internal("a row of a seal has no partition")
}
