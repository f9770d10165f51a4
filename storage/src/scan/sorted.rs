//! Binary search on rows that are in sort-key order: resident columns of parts, sorted chunks.

use super::prune::{ColumnRange, ScanFilter};
use super::value::Value;
use arrow::array::{Array, RecordBatch};
use millrace_schema::{Scalar, TableDef};
use std::cmp::Ordering;
use std::ops::Range;

/// The ends of a range, `IN` lists taken into account.
struct Ends<'a> {
    low: Option<(&'a Scalar, bool)>,
    high: Option<(&'a Scalar, bool)>,
}

/// The rows that can be wanted of a batch in sort-key order: narrowed by the first column of the sort key, and by each
/// following one as long as those before are bound to one value. Every wanted row is inside; others may be too.
///
/// The batch must be in the table's Arrow schema and in sort-key order.
pub fn resident_ranges(filter: &ScanFilter, table: &TableDef, batch: &RecordBatch) -> Range<usize> {
    let mut rows = 0..batch.num_rows();
    for id in &table.sort_key {
        let Some(range) = filter.range(*id) else { break };
        let Some(column) = table.index_of(*id).and_then(|at| batch.columns().get(at)) else { break };
        let Some(ends) = Ends::of(range) else { return 0..0 };
        rows = ends.narrow(column, rows);
        if !ends.is_point() || rows.is_empty() {
            break;
        }
    }
    rows
}

/// What is left of sorted batches after [`resident_ranges`]: slices without a copy, empty ones left out.
pub fn narrow(filter: &ScanFilter, table: &TableDef, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    batches
        .iter()
        .filter_map(|batch| {
            let rows = resident_ranges(filter, table, batch);
            (!rows.is_empty()).then(|| batch.slice(rows.start, rows.len()))
        })
        .collect()
}

impl<'a> Ends<'a> {
    /// `None` where nothing is wanted at all.
    fn of(range: &'a ColumnRange) -> Option<Self> {
        let mut ends = Self {
            low: range.low.as_ref().map(|(v, wanted)| (v, *wanted)),
            high: range.high.as_ref().map(|(v, wanted)| (v, *wanted)),
        };
        let Some(values) = &range.one_of else { return Some(ends) };
        let (mut least, mut greatest) = (values.first()?, values.first()?);
        for value in values {
            // Values of several variants cannot be ordered: leave the ends as they are.
            match (Value::of(value).compare(Value::of(least)), Value::of(value).compare(Value::of(greatest))) {
                (Some(low), Some(high)) => {
                    least = if low.is_lt() { value } else { least };
                    greatest = if high.is_gt() { value } else { greatest };
                }
                _ => return Some(ends),
            }
        }
        if ends.low.is_none_or(|(low, _)| Value::of(least).compare(Value::of(low)) == Some(Ordering::Greater)) {
            ends.low = Some((least, true));
        }
        if ends.high.is_none_or(|(high, _)| Value::of(greatest).compare(Value::of(high)) == Some(Ordering::Less)) {
            ends.high = Some((greatest, true));
        }
        Some(ends)
    }

    /// Whether all rows left have one and the same value, so that the next column of the key is sorted among them.
    /// Never for floats: the two zeros are equal but sort apart.
    fn is_point(&self) -> bool {
        match (self.low, self.high) {
            (Some((low, true)), Some((high, true))) => low == high && !matches!(low, Scalar::Float(_)),
            _ => false,
        }
    }

    /// Narrows `rows` of a sorted column. NULLs stand last and are never wanted.
    fn narrow(&self, column: &dyn Array, rows: Range<usize>) -> Range<usize> {
        if !self.comparable(column, rows.start) {
            return rows;
        }
        let before = |row: usize| match (Value::at(column, row), self.low) {
            (Some(value), Some((low, wanted))) => match value.compare(Value::of(low)) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => !wanted,
                _ => false,
            },
            _ => false,
        };
        let not_after = |row: usize| match (Value::at(column, row), self.high) {
            (None, _) => false,
            (Some(value), Some((high, wanted))) => match value.compare(Value::of(high)) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => wanted,
                _ => false,
            },
            (Some(_), None) => true,
        };
        let start = partition_point(rows.clone(), before);
        start..partition_point(start..rows.end, not_after)
    }

    /// Whether the ends can be compared with the column's values. A leading NaN is a negative one, which SQL holds to be
    /// the greatest value and the sort order to be the least: such a column is not narrowed, nor is one by a NaN.
    fn comparable(&self, column: &dyn Array, first: usize) -> bool {
        let Some(value) = Value::at(column, first) else { return true };
        let fits = |end: Option<(&Scalar, bool)>| {
            end.is_none_or(|(end, _)| !Value::of(end).is_nan() && value.compare(Value::of(end)).is_some())
        };
        !value.is_nan() && fits(self.low) && fits(self.high)
    }
}

/// The first row of `rows` where `holds` is false; `holds` must be true for a prefix only.
fn partition_point(rows: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (rows.start, rows.end);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
