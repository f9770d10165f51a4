//! The table of what could not be stored: its columns and the reasons.

use crate::{Column, ColumnId, ColumnType};
use std::fmt;

/// A family's dead letters are the table of its name with this suffix.
pub const DEAD_LETTER_SUFFIX: &str = "_dead_letters";

/// The dead-letter table's name for a base table.
pub fn dead_letter_name(table: &str) -> String {
    format!("{table}{DEAD_LETTER_SUFFIX}")
}

/// Columns of every dead-letter table, in order: source, topic, partition, record_offset, line, record_time, dead_at,
/// key, payload, payload_bytes, truncated, reason, detail.
pub fn dead_letter_columns() -> Vec<Column> {
    use ColumnType::{BigInt, Boolean, Bytea, Integer, Text, TimestampTz};
    let columns = [
        ("source", Text, false),
        ("topic", Text, true),
        ("partition", Integer, true),
        ("record_offset", BigInt, true),
        ("line", BigInt, true),
        ("record_time", TimestampTz, true),
        ("dead_at", TimestampTz, false),
        ("key", Bytea, true),
        ("payload", Bytea, true),
        ("payload_bytes", BigInt, false),
        ("truncated", Boolean, false),
        ("reason", Text, false),
        ("detail", Text, true),
    ];
    (1..)
        .zip(columns)
        .map(|(id, (name, ty, nullable))| Column {
            id: ColumnId(id),
            name: name.to_owned(),
            ty,
            nullable,
            default: None,
        })
        .collect()
}

/// Why a record became a dead letter; the text in column `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoisonReason {
    /// Not JSON, or something after the first value.
    InvalidJson,
    /// JSON, but not an object.
    NotAnObject,
    /// A value of another type than its column.
    WrongType,
    /// A number or text outside its column's range.
    OutOfRange,
    /// NULL or missing where NOT NULL is declared and no DEFAULT.
    MissingNotNull,
    /// Not a time, or outside years 0001 to 9999.
    InvalidTime,
    /// Bytes that are not UTF-8, or a lone surrogate.
    InvalidUtf8,
    /// Above `record_bytes`.
    TooLarge,
    /// Nested deeper than 128.
    TooDeep,
    /// A record without a payload.
    NullPayload,
    /// Later than `max_lateness` allows.
    TooLate,
    /// Further in the future than `max_future` allows.
    TooFarFuture,
    /// Its schema cannot be had or does not fit.
    Schema,
}

impl PoisonReason {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::MissingNotNull => "missing_not_null",
            Self::InvalidTime => "invalid_time",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::NullPayload => "null_payload",
            Self::TooLate => "too_late",
            Self::TooFarFuture => "too_far_future",
            Self::Schema => "schema",
        }
    }
}

impl fmt::Display for PoisonReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
