//! `system.parts`, `system.segments`: where rows are.

use super::frame::Frame;
use super::tables::every;
use crate::snapshot::Snapshot;
use arrow::array::RecordBatch;
use millrace_error::Result;
use millrace_storage::Chunk;
use std::sync::Arc;

pub(super) fn parts(snapshot: &Snapshot) -> Result<RecordBatch> {
    let tables = every(snapshot);
    let all: Vec<_> = tables
        .iter()
        .flat_map(|(pinned, id, def)| pinned.view.parts(*id).map(move |part| (&def.name, &pinned.family, part)))
        .collect();
    let each = || all.iter();
    Frame::default()
        .text("table_name", each().map(|(table, _, _)| Some(table)))
        .text("part", each().map(|(_, _, part)| Some(part.id.to_string())))
        .text("partition", each().map(|(_, _, part)| Some(part.partition.to_string())))
        .count("rows", each().map(|(_, _, part)| part.rows))
        .count("bytes", each().map(|(_, _, part)| part.bytes))
        .time("min_time", each().map(|(_, _, part)| part.min_time))
        .time("max_time", each().map(|(_, _, part)| part.max_time))
        .count("level", each().map(|(_, _, part)| u64::from(part.level)))
        .text("location", each().map(|_| Some("local")))
        .time("created_at", each().map(|(_, _, part)| Some(part.created_at)))
        .text("path", each().map(|(_, family, part)| Some(family.part_path(part).display().to_string())))
        .count("deleted_rows", each().map(|_| 0))
        .finish()
}

/// One run of chunks: a table's share of a shard in one state.
struct Segment {
    table: String,
    name: String,
    state: &'static str,
    rows: u64,
    bytes: u64,
    age_ms: u64,
}

pub(super) fn segments(snapshot: &Snapshot) -> Result<RecordBatch> {
    let now = snapshot.store().clock().monotonic();
    let mut all = Vec::new();
    for (pinned, id, def) in every(snapshot) {
        for shard in &pinned.view.shards {
            for (state, chunks) in [("sealing", &shard.sealing), ("mutable", &shard.mutable)] {
                let chunks: Vec<&Arc<Chunk>> = chunks.iter().filter(|c| c.table == id).collect();
                let Some(born) = chunks.iter().map(|c| c.born).min() else { continue };
                all.push(Segment {
                    table: def.name.clone(),
                    name: format!("{}/{}", shard.topic.topic, shard.topic.topic_uuid),
                    state,
                    rows: chunks.iter().map(|c| u64::try_from(c.rows.num_rows()).unwrap_or(0)).sum(),
                    bytes: chunks.iter().map(|c| c.charge.bytes()).sum(),
                    age_ms: u64::try_from(now.saturating_sub(born).as_millis()).unwrap_or(u64::MAX),
                });
            }
        }
    }
    let each = || all.iter();
    Frame::default()
        .text("table_name", each().map(|s| Some(&s.table)))
        .text("segment", each().map(|s| Some(&s.name)))
        .text("state", each().map(|s| Some(s.state)))
        .count("rows", each().map(|s| s.rows))
        .count("bytes", each().map(|s| s.bytes))
        .count("age_ms", each().map(|s| s.age_ms))
        .finish()
}
