//! Tables: columns, sort key, time column, partitioning, options.

use crate::{Column, ColumnId};
use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The time unit of partitions; boundaries are UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionUnit {
    /// One partition an hour.
    Hour,
    /// One a day.
    Day,
    /// One a calendar month.
    Month,
    /// No partition by time.
    None,
}

impl fmt::Display for PartitionUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::None => "none",
        })
    }
}

/// A second partition dimension: hash of a column modulo `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How many buckets, 1 to 1024.
    pub count: u32,
    /// The column hashed.
    pub column: ColumnId,
}

/// How a table's rows are divided into partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partitioning {
    /// By time.
    pub unit: PartitionUnit,
    /// And by hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
}

/// How parts are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// zstd level 1.
    Zstd,
    /// LZ4 raw blocks.
    Lz4,
    /// Not at all.
    None,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::None => "none",
        })
    }
}

/// Settings of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableOptions {
    /// Seal at so many mutable rows.
    pub seal_rows: u64,
    /// Seal at so many mutable bytes.
    pub seal_bytes: u64,
    /// Seal at this age once there are 10,000 rows; ten times as late otherwise. Default 60 s.
    pub seal_age: Duration,
    /// Compression of parts.
    pub compression: Compression,
    /// How long versions stay readable.
    pub version_retention: Duration,
    /// How long dead letters are kept.
    pub dead_letter_retention: Duration,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            seal_rows: 2_000_000,
            seal_bytes: 256 << 20,
            seal_age: Duration::from_secs(60),
            compression: Compression::Zstd,
            version_retention: Duration::from_secs(3_600),
            dead_letter_retention: Duration::from_secs(30 * 86_400),
        }
    }
}

/// What a table is. Immutable: a change makes a new value with a higher `schema_version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableDef {
    /// Name, as stored.
    pub name: String,
    /// Grows with every change of this definition.
    pub schema_version: u32,
    /// Columns in order; ids unique.
    pub columns: Vec<Column>,
    /// The column that says when a row happened.
    pub time_column: Option<ColumnId>,
    /// How rows are divided.
    pub partitioning: Partitioning,
    /// The sort key: ascending, NULLs last; may be empty.
    pub sort_key: Vec<ColumnId>,
    /// Settings.
    pub options: TableOptions,
}

impl TableDef {
    /// The column of this id.
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|c| c.id == id)
    }

    /// The column of this name.
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Where the column of this id stands in the Arrow schema.
    pub fn index_of(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|c| c.id == id)
    }

    /// Positions of the sort key's columns in the Arrow schema, in key order.
    pub fn sort_key_indices(&self) -> Vec<usize> {
        self.sort_key.iter().filter_map(|id| self.index_of(*id)).collect()
    }

    /// The Arrow schema of a record batch of this table: columns in order, types by [`crate::ColumnType::arrow`].
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::field).collect::<Vec<_>>()))
    }

    /// `partition_by` as the user would write it.
    pub fn partition_by(&self) -> String {
        let unit = self.partitioning.unit.to_string();
        match self.partitioning.bucket {
            Some(b) => {
                let column = self.column(b.column).map_or("?", |c| c.name.as_str());
                format!("{unit}, bucket({}, {column})", b.count)
            }
            None => unit,
        }
    }

    /// `sort_by` as the user would write it.
    pub fn sort_by(&self) -> String {
        let names: Vec<&str> =
            self.sort_key.iter().filter_map(|id| self.column(*id)).map(|c| c.name.as_str()).collect();
        names.join(", ")
    }
}
