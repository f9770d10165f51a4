//! What a query pins: one manifest version and every shard's unsealed chunks, behind one `Arc`.
//!
//! A view never changes. Base rows, dead letters and offsets in it belong together (S-5): for every partition, the rows
//! and dead letters of `[first, next)` are in it exactly once.

use crate::manifest::{Manifest, PartMeta};
use crate::segment::Chunk;
use millrace_schema::{TableDef, TableId, TopicKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One consistent state of a family.
#[derive(Debug, Clone)]
pub struct FamilyView {
    /// Sealed state.
    pub manifest: Arc<Manifest>,
    /// Unsealed state, one shard a topic.
    pub shards: Vec<Arc<ShardView>>,
}

/// The unsealed rows of one topic.
#[derive(Debug, Clone)]
pub struct ShardView {
    /// The topic.
    pub topic: Arc<TopicKey>,
    /// Chunks frozen for a seal that is under way, oldest first.
    pub sealing: Vec<Arc<Chunk>>,
    /// Chunks still growing in number, oldest first.
    pub mutable: Vec<Arc<Chunk>>,
    /// Visible positions, at or past the committed ones.
    pub positions: Arc<BTreeMap<i32, VisiblePosition>>,
}

/// How far the visible rows of one partition reach, beyond what is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisiblePosition {
    /// The first offset not visible.
    pub next: i64,
    /// Unsealed rows from this partition.
    pub rows: u64,
    /// Unsealed dead letters from it.
    pub dead_letters: u64,
    /// Greatest event time in the unsealed rows, microseconds since 1970.
    pub max_event_time: Option<i64>,
}

impl FamilyView {
    /// The definition of one of the family's tables.
    pub fn table(&self, id: TableId) -> Option<&Arc<TableDef>> {
        self.manifest.table(id)
    }

    /// Unsealed chunks of a table, oldest first within a shard. Chunks of no rows are left out.
    pub fn chunks(&self, table: TableId) -> impl Iterator<Item = &Arc<Chunk>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.sealing.iter().chain(&shard.mutable))
            .filter(move |chunk| chunk.table == table)
    }

    /// Live parts of a table.
    pub fn parts(&self, table: TableId) -> impl Iterator<Item = &Arc<PartMeta>> {
        self.manifest.parts_of(table)
    }

    /// Rows of a table, unsealed ones included. Costs one pass over chunks and parts.
    pub fn rows(&self, table: TableId) -> u64 {
        let unsealed: usize = self.chunks(table).map(|c| c.rows.num_rows()).sum();
        let sealed: u64 = self.parts(table).map(|p| p.rows).sum();
        sealed.saturating_add(u64::try_from(unsealed).unwrap_or(u64::MAX))
    }

    /// The first offset of one partition that this view does not contain.
    pub fn next_offset(&self, topic: &TopicKey, partition: i32) -> Option<i64> {
        self.shards
            .iter()
            .find(|shard| *shard.topic == *topic)
            .and_then(|shard| shard.positions.get(&partition).map(|p| p.next))
            .or_else(|| self.manifest.position(topic, partition).map(|p| p.next))
    }

    /// Next offsets of this view, for `millrace_offsets`: source → topic → partition → next offset.
    /// Positions of topics that no source reads any more are under the source name `""`.
    pub fn offsets(&self) -> BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>> {
        let mut all: BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>> = BTreeMap::new();
        for (topic, positions) in self.manifest.positions.iter() {
            let source = self
                .manifest
                .sources
                .iter()
                .find(|(_, state)| state.topic.as_ref() == Some(topic))
                .map_or("", |(name, _)| name.as_str());
            let topics = all.entry(source.to_owned()).or_default();
            // Earlier topics of the same name keep an entry of their own.
            let key = match topics.contains_key(&topic.topic) {
                true => format!("{}@{}", topic.topic, topic.topic_uuid),
                false => topic.topic.clone(),
            };
            let partitions = topics.entry(key).or_default();
            for (partition, position) in positions {
                partitions.insert(*partition, self.next_offset(topic, *partition).unwrap_or(position.next));
            }
        }
        all
    }
}
