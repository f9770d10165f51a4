//! `system.commits`: what changed, newest first.

use super::frame::Frame;
use crate::snapshot::Snapshot;
use arrow::array::RecordBatch;
use millrace_error::Result;
use millrace_storage::manifest::CommitSummary;
use serde_json::{Map, Value, json};

pub(super) fn commits(snapshot: &Snapshot) -> Result<RecordBatch> {
    let all: Vec<(&String, CommitSummary)> = snapshot
        .families()
        .flat_map(|pinned| {
            let version = pinned.view.manifest.version;
            let commits = pinned.family.commits().into_iter().filter(move |c| c.version <= version);
            commits.map(move |commit| (&pinned.name, commit))
        })
        .collect();
    let each = || all.iter();
    Frame::default()
        .text("table_name", each().map(|(table, _)| Some(table)))
        .count("version", each().map(|(_, c)| c.version))
        .time("at", each().map(|(_, c)| Some(c.at)))
        .text("operation", each().map(|(_, c)| Some(&c.operation)))
        .count("rows", each().map(|(_, c)| c.rows))
        .count("parts_added", each().map(|(_, c)| c.parts_added))
        .count("parts_removed", each().map(|(_, c)| c.parts_removed))
        .json("offsets", each().map(|(_, c)| Some(offsets(c).to_string())))
        .finish()
}

/// Topic → partition → `{"from", "to"}`, and for a gap its `"reason"`; several moves of one partition are a list.
fn offsets(commit: &CommitSummary) -> Value {
    let mut topics: Map<String, Value> = Map::new();
    for (topic, partition, from, to, reason) in &commit.offsets {
        let moved = match reason {
            Some(reason) => json!({ "from": from, "to": to, "reason": reason }),
            None => json!({ "from": from, "to": to }),
        };
        let partitions = topics.entry(topic.topic.clone()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(partitions) = partitions else { continue };
        match partitions.get_mut(&partition.to_string()) {
            None => {
                partitions.insert(partition.to_string(), moved);
            }
            Some(Value::Array(all)) => all.push(moved),
            Some(one) => *one = json!([one.clone(), moved]),
        }
    }
    Value::Object(topics)
}
