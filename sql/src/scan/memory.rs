//! Rows that are in memory: chunks, and resident parts. Sorted runs are cut by storage's binary search on the sort key.

use arrow::array::RecordBatch;
use millrace_schema::TableDef;
use millrace_storage::Chunk;
use millrace_storage::part::Resident;
use millrace_storage::scan::{ScanFilter, narrow};
use std::sync::Arc;

/// The rows of chunks that may match.
pub(super) fn of_chunks(table: &TableDef, filter: &ScanFilter, chunks: &[Arc<Chunk>]) -> Vec<RecordBatch> {
    let mut batches = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        if chunk.sorted {
            batches.extend(narrow(filter, table, std::slice::from_ref(&chunk.rows)));
        } else if chunk.rows.num_rows() > 0 {
            batches.push(chunk.rows.clone());
        }
    }
    batches
}

/// The rows of a resident part that may match.
pub(super) fn of_resident(table: &TableDef, filter: &ScanFilter, part: &Resident, into: &mut Vec<RecordBatch>) {
    into.extend(narrow(filter, table, &part.batches));
}

/// Batches in at most `groups` groups of about as many rows each; at least one group.
pub(super) fn divide(batches: Vec<RecordBatch>, groups: usize) -> Vec<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let share = rows.div_ceil(groups.max(1)).max(1);
    let mut all = vec![Vec::new()];
    let mut filled = 0;
    for batch in batches {
        if filled >= share && all.len() < groups.max(1) {
            all.push(Vec::new());
            filled = 0;
        }
        filled += batch.num_rows();
        if let Some(last) = all.last_mut() {
            last.push(batch);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};

    #[test]
    fn groups_are_even_and_never_none() {
        assert_eq!(divide(Vec::new(), 4).len(), 1);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1; 10]));
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let groups = divide(vec![batch; 8], 4);
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
    }
}
