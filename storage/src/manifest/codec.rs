//! Commits ⇄ bytes. The layout of a file is drawn in [`super::frame`], its messages in `proto/proto/manifest.proto`.
//!
//! What enters: a commit, or the bytes of one with the key they were read from. What leaves: the other. An op that this
//! version does not know is refused, never dropped: a manifest without it would be another one.

use super::fields::{from_json, json, part_in, part_out, topic_in, topic_out, uuid_bytes, uuid_of};
use super::frame::{self, FORMAT, Kind};
use super::{Commit, Op};
use bytes::Bytes;
use millrace_error::{Error, ErrorKind, Result};
use millrace_proto::manifest as pb;
use millrace_schema::{PartId, TableId};
use pb::op::Kind as OpKind;

/// The bytes of a commit; equal commits give equal bytes.
///
/// # Errors
/// `TooLarge`; `Internal` where a definition cannot be written.
pub(crate) fn encode(commit: &Commit) -> Result<Bytes> {
    let message = pb::Commit {
        version: commit.version,
        parent: uuid_bytes(commit.parent),
        uuid: uuid_bytes(commit.uuid),
        at: commit.at,
        epoch: commit.epoch,
        schema_version: commit.schema_version,
        operation: commit.operation.clone(),
        ops: commit.ops.iter().map(op_out).collect::<Result<_>>()?,
        min_reader: FORMAT,
    };
    frame::seal(Kind::Commit, &message)
}

/// The commit in `bytes`, which were read from `key`.
///
/// # Errors
/// `Damage` naming the key and the offset; `NotSupported` for what a newer version wrote.
pub(crate) fn decode(key: &str, bytes: &Bytes) -> Result<Commit> {
    let message: pb::Commit = frame::open(Kind::Commit, key, bytes)?;
    frame::check_reader(key, message.min_reader)?;
    let mut ops = Vec::with_capacity(message.ops.len());
    for (place, op) in message.ops.into_iter().enumerate() {
        let Some(kind) = op.kind else {
            return Err(frame::newer(key, &format!("op {place} is of an unknown kind")));
        };
        let op = op_in(TableId(op.table), kind).map_err(|e| located(e, key).with("op", place))?;
        ops.push(op);
    }
    Ok(Commit {
        version: message.version,
        parent: uuid_of(&message.parent, "parent").map_err(|e| located(e, key))?,
        uuid: uuid_of(&message.uuid, "commit uuid").map_err(|e| located(e, key))?,
        at: message.at,
        epoch: message.epoch,
        schema_version: message.schema_version,
        operation: message.operation,
        ops,
    })
}

/// Says in which file a message could not be understood; messages begin at offset 8.
pub(crate) fn located(error: Error, key: &str) -> Error {
    error.with("file", key).with("offset", 8)
}

fn op_out(op: &Op) -> Result<pb::Op> {
    let base = TableId::BASE;
    let (table, kind) = match op {
        Op::PutTable(id, def) => (*id, OpKind::PutTable(pb::PutTable { definition: json(def)? })),
        Op::PutSource(def) => (base, OpKind::PutSource(pb::PutSource { definition: json(def)? })),
        Op::RemoveSource(name) => (base, OpKind::RemoveSource(pb::RemoveSource { name: name.clone() })),
        Op::BindSource { source, topic } => {
            (base, OpKind::BindSource(pb::BindSource { source: source.clone(), topic: Some(topic_out(topic)) }))
        }
        Op::FirstPosition { topic, partition, offset } => {
            let topic = Some(topic_out(topic));
            (base, OpKind::FirstPosition(pb::FirstPosition { topic, partition: *partition, offset: *offset }))
        }
        Op::MoveOffset { topic, partition, from, to, rows, dead_letters, max_event_time } => {
            let moved = pb::MoveOffset {
                topic: Some(topic_out(topic)),
                partition: *partition,
                from: *from,
                to: *to,
                rows: *rows,
                dead_letters: *dead_letters,
                max_event_time: *max_event_time,
            };
            (base, OpKind::MoveOffset(moved))
        }
        Op::Gap { topic, partition, from, to, reason } => {
            let gap = pb::Gap {
                topic: Some(topic_out(topic)),
                partition: *partition,
                from: *from,
                to: *to,
                reason: reason.clone(),
            };
            (base, OpKind::Gap(gap))
        }
        Op::AddPart(part) => (part.table, OpKind::AddPart(part_out(part))),
        Op::RemovePart(table, id) => (*table, OpKind::RemovePart(pb::RemovePart { part: uuid_bytes(id.0) })),
    };
    Ok(pb::Op { table: table.0, kind: Some(kind) })
}

fn op_in(table: TableId, kind: OpKind) -> Result<Op> {
    let of_table = matches!(kind, OpKind::PutTable(_) | OpKind::AddPart(_) | OpKind::RemovePart(_));
    if !of_table && table != TableId::BASE {
        let what = format!("a source of table {} is of a newer version of Millrace", table.0);
        return Err(Error::new(ErrorKind::NotSupported, what));
    }
    Ok(match kind {
        OpKind::PutTable(op) => Op::PutTable(table, from_json(&op.definition, "table definition")?),
        OpKind::PutSource(op) => Op::PutSource(from_json(&op.definition, "source definition")?),
        OpKind::RemoveSource(op) => Op::RemoveSource(op.name),
        OpKind::BindSource(op) => Op::BindSource { source: op.source, topic: topic_in(op.topic)? },
        OpKind::FirstPosition(op) => {
            Op::FirstPosition { topic: topic_in(op.topic)?, partition: op.partition, offset: op.offset }
        }
        OpKind::MoveOffset(op) => Op::MoveOffset {
            topic: topic_in(op.topic)?,
            partition: op.partition,
            from: op.from,
            to: op.to,
            rows: op.rows,
            dead_letters: op.dead_letters,
            max_event_time: op.max_event_time,
        },
        OpKind::Gap(op) => {
            Op::Gap { topic: topic_in(op.topic)?, partition: op.partition, from: op.from, to: op.to, reason: op.reason }
        }
        OpKind::AddPart(part) => Op::AddPart(part_in(part, None)?),
        OpKind::RemovePart(op) => Op::RemovePart(table, PartId(uuid_of(&op.part, "part id")?)),
    })
}

#[cfg(test)]
mod tests;
