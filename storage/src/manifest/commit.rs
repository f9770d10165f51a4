//! A commit: what changes between two versions.

use super::PartMeta;
use millrace_schema::{PartId, SourceDef, TableDef, TableId, TopicKey};
use uuid::Uuid;

/// One step from a version to the next. Immutable once written.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The version it makes.
    pub version: u64,
    /// The commit that made the version before; nil for the first.
    pub parent: Uuid,
    /// Its own id, by which an ambiguous write recognises itself.
    pub uuid: Uuid,
    /// When, microseconds since 1970. For people; no answer depends on it.
    pub at: i64,
    /// The writer's fencing epoch; 0 while there is one node.
    pub epoch: u64,
    /// The schema version of the base table it was built for; 0: does not matter.
    pub schema_version: u32,
    /// What it was for: `create`, `seal`, `source`, `position`, …
    pub operation: String,
    /// What it changes, in order.
    pub ops: Vec<Op>,
}

/// One change. Every op that concerns a table names it, so that a family can hold several.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Defines or redefines a table of the family.
    PutTable(TableId, TableDef),
    /// Adds or redefines a source; an existing one keeps its bound topic.
    PutSource(SourceDef),
    /// Removes a source. Its positions stay: they belong to the table.
    RemoveSource(String),
    /// Binds a source to the topic its name stands for.
    BindSource {
        /// The source.
        source: String,
        /// The topic.
        topic: TopicKey,
    },
    /// Sets where a partition begins; only where none is set yet.
    FirstPosition {
        /// The topic.
        topic: TopicKey,
        /// The partition.
        partition: i32,
        /// The first offset that is to be read.
        offset: i64,
    },
    /// Moves a position over `[from, to)`; refused unless the stored one is `from` (S-2).
    MoveOffset {
        /// The topic.
        topic: TopicKey,
        /// The partition.
        partition: i32,
        /// Where the position must stand.
        from: i64,
        /// Where it goes.
        to: i64,
        /// Rows stored from this range.
        rows: u64,
        /// Dead letters stored from it.
        dead_letters: u64,
        /// Greatest event time in it.
        max_event_time: Option<i64>,
    },
    /// Moves a position over records that are gone, `[from, to)`.
    Gap {
        /// The topic.
        topic: TopicKey,
        /// The partition.
        partition: i32,
        /// Where the position must stand.
        from: i64,
        /// The first offset there is.
        to: i64,
        /// Why they are gone.
        reason: String,
    },
    /// Adds a live part.
    AddPart(PartMeta),
    /// Removes a live part.
    RemovePart(TableId, PartId),
}

/// What `system.commits` tells of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitSummary {
    /// The version it made.
    pub version: u64,
    /// When, microseconds since 1970.
    pub at: i64,
    /// What it was for.
    pub operation: String,
    /// Rows added (base table and dead letters).
    pub rows: u64,
    /// Parts added.
    pub parts_added: u64,
    /// Parts removed.
    pub parts_removed: u64,
    /// Positions moved or set: topic, partition, from, to, and for a gap the reason.
    pub offsets: Vec<(TopicKey, i32, i64, i64, Option<String>)>,
}

impl Commit {
    /// Sums the commit up for `system.commits`.
    pub fn summary(&self) -> CommitSummary {
        let mut summary = CommitSummary {
            version: self.version,
            at: self.at,
            operation: self.operation.clone(),
            rows: 0,
            parts_added: 0,
            parts_removed: 0,
            offsets: Vec::new(),
        };
        for op in &self.ops {
            match op {
                Op::AddPart(part) => {
                    summary.parts_added += 1;
                    summary.rows += part.rows;
                }
                Op::RemovePart(..) => summary.parts_removed += 1,
                Op::FirstPosition { topic, partition, offset } => {
                    summary.offsets.push((topic.clone(), *partition, *offset, *offset, None));
                }
                Op::MoveOffset { topic, partition, from, to, .. } => {
                    summary.offsets.push((topic.clone(), *partition, *from, *to, None));
                }
                Op::Gap { topic, partition, from, to, reason } => {
                    summary.offsets.push((topic.clone(), *partition, *from, *to, Some(reason.clone())));
                }
                Op::PutTable(..) | Op::PutSource(_) | Op::RemoveSource(_) | Op::BindSource { .. } => {}
            }
        }
        summary
    }
}
