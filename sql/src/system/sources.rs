//! `system.sources`, `system.source_partitions`: what sources say of themselves, with positions from the views.

use super::frame::Frame;
use crate::control::{PartitionStatus, SourceControl, SourceStatus};
use crate::snapshot::Snapshot;
use arrow::array::RecordBatch;
use millrace_error::Result;
use millrace_schema::TopicKey;
use millrace_storage::FamilyView;
use millrace_storage::manifest::Position;
use std::collections::{BTreeMap, BTreeSet};

/// One source and the view of the table it feeds.
struct Fed<'s> {
    name: String,
    table: String,
    topic: String,
    state: &'static str,
    error: Option<String>,
    view: Option<&'s FamilyView>,
    key: Option<TopicKey>,
    partitions: Vec<PartitionStatus>,
}

/// Every source that is defined; one that nobody runs is `waiting`.
fn fed<'s>(snapshot: &'s Snapshot, control: &dyn SourceControl) -> Vec<Fed<'s>> {
    let mut running: BTreeMap<String, SourceStatus> =
        control.status().into_iter().map(|status| (status.name.clone(), status)).collect();
    let mut all = Vec::new();
    for pinned in snapshot.families() {
        for (name, state) in pinned.view.manifest.sources.iter() {
            let status = running.remove(name);
            let (word, error, partitions) = match status {
                Some(status) => (status.state, status.error, status.partitions),
                None if state.def.paused => ("paused", None, Vec::new()),
                None => ("waiting", Some("not started yet".to_owned()), Vec::new()),
            };
            all.push(Fed {
                name: name.clone(),
                table: pinned.name.clone(),
                topic: state.def.kafka.topic.clone(),
                state: word,
                error,
                view: Some(&pinned.view),
                key: state.topic.clone(),
                partitions,
            });
        }
    }
    // Defined, but not in a view yet: a source file whose table is missing, say.
    all.extend(running.into_values().map(|status| Fed {
        name: status.name,
        table: status.table,
        topic: status.def.kafka.topic,
        state: status.state,
        error: status.error,
        view: None,
        key: None,
        partitions: status.partitions,
    }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

impl Fed<'_> {
    /// What the manifest holds of each partition.
    fn committed(&self) -> Option<&BTreeMap<i32, Position>> {
        self.view?.manifest.positions.get(self.key.as_ref()?)
    }

    /// Sums a count over what is sealed and what is not.
    fn sum(
        &self,
        sealed: impl Fn(&Position) -> u64,
        unsealed: impl Fn(&millrace_storage::VisiblePosition) -> u64,
    ) -> u64 {
        let committed: u64 = self.committed().into_iter().flat_map(BTreeMap::values).map(sealed).sum();
        let shards =
            self.view.iter().flat_map(|view| &view.shards).filter(|s| Some(s.topic.as_ref()) == self.key.as_ref());
        committed.saturating_add(shards.flat_map(|s| s.positions.values()).map(unsealed).sum())
    }
}

pub(super) fn sources(snapshot: &Snapshot, control: &dyn SourceControl) -> Result<RecordBatch> {
    let all = fed(snapshot, control);
    let each = || all.iter();
    Frame::default()
        .text("name", each().map(|s| Some(&s.name)))
        .text("table_name", each().map(|s| Some(&s.table)))
        .text("kind", each().map(|_| Some("kafka")))
        .text("topic", each().map(|s| Some(&s.topic)))
        .text("state", each().map(|s| Some(s.state)))
        .text("error", each().map(|s| s.error.as_ref()))
        .count("rows", each().map(|s| s.sum(|p| p.rows, |p| p.rows)))
        .count("dead_letters", each().map(|s| s.sum(|p| p.dead_letters, |p| p.dead_letters)))
        .finish()
}

/// One partition of one source.
struct Line<'f> {
    source: &'f Fed<'f>,
    partition: i32,
    status: Option<&'f PartitionStatus>,
    committed: Option<Position>,
    visible: Option<i64>,
    last_event: Option<i64>,
}

impl<'f> Line<'f> {
    fn of(source: &'f Fed<'f>, partition: i32) -> Self {
        let committed = source.committed().and_then(|p| p.get(&partition)).copied();
        let view = source.view.zip(source.key.as_ref());
        let shard = view.and_then(|(view, key)| view.shards.iter().find(|s| *s.topic == *key));
        let unsealed = shard.and_then(|s| s.positions.get(&partition)).and_then(|p| p.max_event_time);
        Self {
            source,
            partition,
            status: source.partitions.iter().find(|p| p.partition == partition),
            committed,
            visible: view.and_then(|(view, key)| view.next_offset(key, partition)),
            last_event: committed.and_then(|p| p.max_event_time).max(unsealed),
        }
    }

    fn high_watermark(&self) -> Option<i64> {
        self.status.and_then(|s| s.high_watermark)
    }

    fn lag(&self) -> Option<i64> {
        Some(self.high_watermark()?.saturating_sub(self.visible?).max(0))
    }
}

pub(super) fn partitions(snapshot: &Snapshot, control: &dyn SourceControl) -> Result<RecordBatch> {
    let all = fed(snapshot, control);
    let mut lines = Vec::new();
    for source in &all {
        let known = source.committed().into_iter().flat_map(BTreeMap::keys).copied();
        let partitions: BTreeSet<i32> = known.chain(source.partitions.iter().map(|p| p.partition)).collect();
        lines.extend(partitions.into_iter().map(|partition| Line::of(source, partition)));
    }
    let each = || lines.iter();
    Frame::default()
        .text("source", each().map(|l| Some(&l.source.name)))
        .text("topic", each().map(|l| Some(&l.source.topic)))
        .bigint("partition", each().map(|l| Some(i64::from(l.partition))))
        .bigint("committed_offset", each().map(|l| l.committed.map(|p| p.next)))
        .bigint("visible_offset", each().map(|l| l.visible))
        .bigint("high_watermark", each().map(Line::high_watermark))
        .bigint("lag", each().map(Line::lag))
        .double("lag_seconds", each().map(|l| l.status.and_then(|s| s.lag_seconds)))
        .time("last_event_time", each().map(|l| l.last_event))
        .text("state", each().map(|l| Some(l.status.map_or(l.source.state, |s| s.state))))
        .text("error", each().map(|l| l.status.and_then(|s| s.error.as_ref()).or(l.source.error.as_ref())))
        .bigint("first_offset", each().map(|l| l.committed.map(|p| p.first)))
        .finish()
}
