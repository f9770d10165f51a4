//! Newtypes for every id.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// A column's stable id inside its table: survives renames, never reused; the Parquet `field_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnId(pub i32);

/// A table inside its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u32);

impl TableId {
    /// The base table of a family.
    pub const BASE: Self = Self(0);
    /// The dead letters of a family.
    pub const DEAD_LETTERS: Self = Self(1);
}

/// A part: a time-ordered uuid, minted before its file is written, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartId(pub Uuid);

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which log a position belongs to: not a source's name, but the topic itself.
///
/// A dropped and re-created source over the same topic goes on where the table's data ends; a re-created topic has
/// another `topic_uuid` and so positions of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicKey {
    /// Kafka's cluster id.
    pub cluster: String,
    /// Kafka's topic id as a uuid.
    pub topic_uuid: Uuid,
    /// The topic's name, for people.
    pub topic: String,
}
