//! A chunk: an immutable run of rows of a segment.

use crate::memory::{Charge, MemoryBudget};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};
use millrace_schema::{TableDef, TableId};
use std::time::Duration;

/// An immutable run of unsealed rows. Queries share it; it stays charged to the memory budget until its last `Arc` drops.
#[derive(Debug)]
pub struct Chunk {
    /// Whose rows.
    pub table: TableId,
    /// The schema version they were decoded under.
    pub schema_version: u32,
    /// The rows, in the table's Arrow schema.
    pub rows: RecordBatch,
    /// Whether they are in sort-key order.
    pub sorted: bool,
    /// Least and greatest time-column value, microseconds since 1970; `None`: no non-null time (or no time column).
    pub time_bounds: Option<(i64, i64)>,
    /// Whether some row's time is NULL.
    pub has_null_time: bool,
    /// When its oldest row became visible, on the monotonic clock.
    pub born: Duration,
    /// What it holds of the memory budget.
    pub charge: Charge,
}

impl Chunk {
    /// Wraps rows of `table`, looks up their time bounds and charges the budget with what they hold.
    pub fn new(
        id: TableId,
        table: &TableDef,
        rows: RecordBatch,
        sorted: bool,
        born: Duration,
        memory: &MemoryBudget,
    ) -> Self {
        let (time_bounds, has_null_time) = time_bounds(table, &rows);
        let bytes = u64::try_from(rows.get_array_memory_size()).unwrap_or(u64::MAX);
        Self {
            table: id,
            schema_version: table.schema_version,
            rows,
            sorted,
            time_bounds,
            has_null_time,
            born,
            charge: memory.charge_segment(bytes),
        }
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Least and greatest time of a batch, microseconds since 1970, and whether some time is NULL.
fn time_bounds(table: &TableDef, rows: &RecordBatch) -> (Option<(i64, i64)>, bool) {
    let Some(column) = table.time_column.and_then(|id| table.index_of(id)).and_then(|i| rows.columns().get(i)) else {
        return (None, false);
    };
    let bounds = match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            min(days).zip(max(days)).map(|(a, b)| (i64::from(a) * DAY_MICROS, i64::from(b) * DAY_MICROS))
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive_opt::<TimestampMicrosecondType>();
            times.and_then(|t| min(t).zip(max(t)))
        }
        _ => None,
    };
    (bounds, column.null_count() > 0)
}
