//! The manifest: an immutable value that says what a family is at one version.
//!
//! What enters: commits. What leaves: the next manifest, or why not. [`apply`] is pure: the server, recovery and the
//! tests all go through it. Deliberately absent: rows, I/O (see [`log`] for where commits are kept).

mod apply;
mod checkpoint;
mod codec;
mod commit;
pub(crate) mod fields;
pub(crate) mod frame;
pub mod log;
mod partition;
#[cfg(test)]
mod samples;

pub use apply::{Conflict, apply};
pub use commit::{Commit, CommitSummary, Op};
pub use log::CommitLog;
pub use partition::{PartitionKey, PartitionTime};

use millrace_schema::{PartId, Scalar, SourceDef, TableDef, TableId, TopicKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// What a family is at one version: definitions, sources, positions, live parts.
///
/// Cheap to derive from its predecessor: whatever a commit does not touch is shared behind `Arc`s.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The family's id; names its folder.
    pub family: Uuid,
    /// 0 before the first commit, then one more with each.
    pub version: u64,
    /// The commit that made this version; the next names it as its parent.
    pub commit_uuid: Uuid,
    /// When that commit was made, microseconds since 1970.
    pub at: i64,
    /// Definitions: the base table and its dead letters.
    pub tables: Arc<BTreeMap<TableId, Arc<TableDef>>>,
    /// Sources that feed the base table, by name.
    pub sources: Arc<BTreeMap<String, Arc<SourceState>>>,
    /// Committed positions.
    pub positions: Arc<BTreeMap<TopicKey, BTreeMap<i32, Position>>>,
    /// Live parts, a page per table and partition, each in order of id.
    pub parts: Arc<BTreeMap<PageKey, Arc<Vec<Arc<PartMeta>>>>>,
}

/// Which page of the manifest a part stands on.
pub type PageKey = (TableId, PartitionKey);

/// A source and the topic it was bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceState {
    /// Its definition.
    pub def: SourceDef,
    /// The topic it reads, once resolved; `None` until the broker answered for the first time.
    pub topic: Option<TopicKey>,
}

/// How far a table has come in one partition of a topic; half-open: `next` is the first offset not contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The first offset this table ever was to contain.
    pub first: i64,
    /// The first offset not contained.
    pub next: i64,
    /// Rows that came from it.
    pub rows: u64,
    /// Dead letters that came from it.
    pub dead_letters: u64,
    /// The greatest event time seen, microseconds since 1970.
    pub max_event_time: Option<i64>,
}

/// What the manifest knows of a part: enough to prune it without opening it.
#[derive(Debug, Clone, PartialEq)]
pub struct PartMeta {
    /// Identity; also its file name.
    pub id: PartId,
    /// Whose rows.
    pub table: TableId,
    /// Which partition.
    pub partition: PartitionKey,
    /// The schema version it was written under.
    pub schema_version: u32,
    /// 0 from a seal, one more with each merge.
    pub level: u32,
    /// Rows in it.
    pub rows: u64,
    /// File size.
    pub bytes: u64,
    /// When it was sealed, microseconds since 1970.
    pub created_at: i64,
    /// Least time-column value, microseconds since 1970 (dates as midnight UTC); `None`: no non-null time.
    pub min_time: Option<i64>,
    /// Greatest.
    pub max_time: Option<i64>,
    /// Bounds per sort-key column, in key order: least and greatest non-null value; `None`: unknown, never prune by it.
    pub key_bounds: Vec<Option<Bounds>>,
    /// CRC32C over the file's block checksums (see [`crate::part`]).
    pub crc: u32,
}

/// Least and greatest non-null value of a column in a part. Long texts are left out (unknown) rather than cut.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// Inclusive.
    pub min: Scalar,
    /// Inclusive.
    pub max: Scalar,
    /// Whether there are NULLs too.
    pub has_null: bool,
}

impl Manifest {
    /// The empty manifest of a family that has no commit yet.
    pub fn empty(family: Uuid) -> Self {
        Self {
            family,
            version: 0,
            commit_uuid: Uuid::nil(),
            at: 0,
            tables: Arc::default(),
            sources: Arc::default(),
            positions: Arc::default(),
            parts: Arc::default(),
        }
    }

    /// The definition of one of the family's tables.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableDef>> {
        self.tables.get(&id)
    }

    /// Live parts of a table, by partition, then id.
    pub fn parts_of(&self, table: TableId) -> impl Iterator<Item = &Arc<PartMeta>> {
        self.parts.iter().filter(move |((t, _), _)| *t == table).flat_map(|(_, page)| page.iter())
    }

    /// Committed position of one partition.
    pub fn position(&self, topic: &TopicKey, partition: i32) -> Option<Position> {
        self.positions.get(topic)?.get(&partition).copied()
    }
}
