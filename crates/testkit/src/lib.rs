//! Tables, topics and rows that the crates' own tests share. A dev-dependency only.
//!
//! What enters: a few words of intent. What leaves: definitions and batches. Deliberately absent: I/O, processes (those
//! are in `tests/`).
#![allow(clippy::expect_used, reason = "for tests alone: a wrong fixture should stop the test")]

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use millrace_clock::Clock;
use millrace_schema::{Column, ColumnId, ColumnType, PartitionUnit, Partitioning, TableDef, TableOptions, TopicKey};
use std::sync::Arc;

/// 2026-01-01T00:00:00Z, microseconds since 1970: where simulated clocks start.
pub const NEW_YEAR_2026: i64 = 1_767_225_600_000_000;

/// A seeded clock that starts at [`NEW_YEAR_2026`].
pub fn clock(seed: u64) -> Clock {
    Clock::simulated(seed, NEW_YEAR_2026)
}

/// A table of nullable columns, sorted by the first one, not partitioned.
pub fn table(name: &str, columns: &[(&str, ColumnType)]) -> TableDef {
    let columns: Vec<Column> = (1..)
        .zip(columns)
        .map(|(id, (name, ty))| Column {
            id: ColumnId(id),
            name: (*name).to_owned(),
            ty: *ty,
            nullable: true,
            default: None,
        })
        .collect();
    TableDef {
        name: name.to_owned(),
        schema_version: 1,
        time_column: None,
        partitioning: Partitioning { unit: PartitionUnit::None, bucket: None },
        sort_key: columns.first().map(|c| c.id).into_iter().collect(),
        columns,
        options: TableOptions::default(),
    }
}

/// Events: `id bigint, ts timestamptz, name text`, by day of `ts`, sorted by `name, ts`.
pub fn events(name: &str) -> TableDef {
    let columns = [("id", ColumnType::BigInt), ("ts", ColumnType::TimestampTz), ("name", ColumnType::Text)];
    TableDef {
        time_column: Some(ColumnId(2)),
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: vec![ColumnId(3), ColumnId(2)],
        ..table(name, &columns)
    }
}

/// Rows `ids` of [`events`], one second apart from [`NEW_YEAR_2026`] on, named `n0` to `n9`.
pub fn event_rows(table: &TableDef, ids: std::ops::Range<i64>) -> RecordBatch {
    let times = ids.clone().map(|i| NEW_YEAR_2026 + i * 1_000_000);
    let names = ids.clone().map(|i| format!("n{}", i % 10));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(StringViewArray::from_iter_values(names)),
    ];
    RecordBatch::try_new(table.arrow_schema(), columns).expect("rows of the events table")
}

/// A topic of this name in a cluster of the tests' own.
pub fn topic(name: &str) -> TopicKey {
    TopicKey { cluster: "test".to_owned(), topic_uuid: clock(1).uuid(), topic: name.to_owned() }
}
