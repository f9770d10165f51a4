//! Values that commits and checkpoints both hold ⇄ protobuf.
//!
//! What is missing or impossible in a message becomes `Damage`: its checksum was right, so it was written wrongly.

use super::{Bounds, CommitSummary, PartMeta, PartitionKey, PartitionTime};
use millrace_error::{Error, ErrorKind, Result};
use millrace_proto::manifest as pb;
use millrace_schema::{PartId, Scalar, TableId, TopicKey};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A value that a message cannot hold.
pub(crate) fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::Damage, format!("stored message has no valid {what}"))
}

pub(crate) fn uuid_bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

pub(crate) fn uuid_of(bytes: &[u8], what: &str) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|_| wrong(what))
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::internal(format!("definition cannot be written: {e}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| wrong(what).detail(e.to_string()))
}

pub(crate) fn topic_out(topic: &TopicKey) -> pb::Topic {
    pb::Topic { cluster: topic.cluster.clone(), uuid: uuid_bytes(topic.topic_uuid), name: topic.topic.clone() }
}

pub(crate) fn topic_in(topic: Option<pb::Topic>) -> Result<TopicKey> {
    let topic = topic.ok_or_else(|| wrong("topic"))?;
    let topic_uuid = uuid_of(&topic.uuid, "topic id")?;
    Ok(TopicKey { cluster: topic.cluster, topic_uuid, topic: topic.name })
}

pub(crate) fn partition_out(key: &PartitionKey) -> pb::Partition {
    let (unit, at) = match key.time {
        PartitionTime::All => (pb::PartitionUnit::All, 0),
        PartitionTime::Null => (pb::PartitionUnit::Null, 0),
        PartitionTime::Mixed => (pb::PartitionUnit::Mixed, 0),
        PartitionTime::Month(at) => (pb::PartitionUnit::Month, at),
        PartitionTime::Day(at) => (pb::PartitionUnit::Day, at),
        PartitionTime::Hour(at) => (pb::PartitionUnit::Hour, at),
    };
    pb::Partition { unit: unit.into(), at, bucket: key.bucket }
}

pub(crate) fn partition_in(key: Option<pb::Partition>) -> Result<PartitionKey> {
    let key = key.ok_or_else(|| wrong("partition"))?;
    let time = match pb::PartitionUnit::try_from(key.unit) {
        Ok(pb::PartitionUnit::All) => PartitionTime::All,
        Ok(pb::PartitionUnit::Null) => PartitionTime::Null,
        Ok(pb::PartitionUnit::Mixed) => PartitionTime::Mixed,
        Ok(pb::PartitionUnit::Month) => PartitionTime::Month(key.at),
        Ok(pb::PartitionUnit::Day) => PartitionTime::Day(key.at),
        Ok(pb::PartitionUnit::Hour) => PartitionTime::Hour(key.at),
        Ok(pb::PartitionUnit::Unknown) | Err(_) => {
            return Err(Error::not_supported(format!("partition unit {} is of a newer version of Millrace", key.unit)));
        }
    };
    Ok(PartitionKey { time, bucket: key.bucket })
}

pub(crate) fn part_out(part: &PartMeta) -> pb::PartMeta {
    pb::PartMeta {
        id: uuid_bytes(part.id.0),
        table: part.table.0,
        partition: Some(partition_out(&part.partition)),
        schema_version: part.schema_version,
        level: part.level,
        rows: part.rows,
        bytes: part.bytes,
        created_at: part.created_at,
        min_time: part.min_time,
        max_time: part.max_time,
        key_bounds: part.key_bounds.iter().map(bounds_out).collect(),
        crc: part.crc,
    }
}

/// `place` is the table and partition of the page it stands on; without one the part says so itself.
pub(crate) fn part_in(part: pb::PartMeta, place: Option<(TableId, PartitionKey)>) -> Result<PartMeta> {
    let (table, partition) = match place {
        Some(place) => place,
        None => (TableId(part.table), partition_in(part.partition)?),
    };
    Ok(PartMeta {
        id: PartId(uuid_of(&part.id, "part id")?),
        table,
        partition,
        schema_version: part.schema_version,
        level: part.level,
        rows: part.rows,
        bytes: part.bytes,
        created_at: part.created_at,
        min_time: part.min_time,
        max_time: part.max_time,
        key_bounds: part.key_bounds.into_iter().map(bounds_in).collect::<Result<_>>()?,
        crc: part.crc,
    })
}

fn bounds_out(bounds: &Option<Bounds>) -> pb::Bounds {
    bounds.as_ref().map_or_else(pb::Bounds::default, |b| pb::Bounds {
        min: Some(scalar_out(&b.min)),
        max: Some(scalar_out(&b.max)),
        has_null: b.has_null,
    })
}

fn bounds_in(bounds: pb::Bounds) -> Result<Option<Bounds>> {
    match (bounds.min, bounds.max) {
        (None, None) => Ok(None),
        (Some(min), Some(max)) => match (scalar_in(min)?, scalar_in(max)?) {
            (Some(min), Some(max)) => Ok(Some(Bounds { min, max, has_null: bounds.has_null })),
            // A kind of value of a newer version: bounds may only exclude what they prove absent, so know nothing.
            _ => Ok(None),
        },
        _ => Err(wrong("pair of bounds")),
    }
}

fn scalar_out(scalar: &Scalar) -> pb::Scalar {
    use pb::scalar::Value;
    let value = match scalar {
        Scalar::Bool(v) => Value::Boolean(*v),
        Scalar::Int(v) => Value::Int(*v),
        Scalar::Float(v) => Value::Float(*v),
        Scalar::Numeric(v) => Value::Numeric(v.to_be_bytes().to_vec()),
        Scalar::Text(v) => Value::Text(v.clone()),
        Scalar::Bytes(v) => Value::Binary(v.clone()),
    };
    pb::Scalar { value: Some(value) }
}

fn scalar_in(scalar: pb::Scalar) -> Result<Option<Scalar>> {
    use pb::scalar::Value;
    let Some(value) = scalar.value else {
        return Ok(None);
    };
    Ok(Some(match value {
        Value::Boolean(v) => Scalar::Bool(v),
        Value::Int(v) => Scalar::Int(v),
        Value::Float(v) => Scalar::Float(v),
        Value::Numeric(v) => {
            Scalar::Numeric(i128::from_be_bytes(v.try_into().map_err(|_| wrong("numeric of 16 bytes"))?))
        }
        Value::Text(v) => Scalar::Text(v),
        Value::Binary(v) => Scalar::Bytes(v),
    }))
}

pub(crate) fn summary_out(summary: &CommitSummary) -> pb::CommitSummary {
    let moved = summary.offsets.iter().map(|(topic, partition, from, to, reason)| pb::MovedOffset {
        topic: Some(topic_out(topic)),
        partition: *partition,
        from: *from,
        to: *to,
        reason: reason.clone(),
    });
    pb::CommitSummary {
        version: summary.version,
        at: summary.at,
        operation: summary.operation.clone(),
        rows: summary.rows,
        parts_added: summary.parts_added,
        parts_removed: summary.parts_removed,
        offsets: moved.collect(),
    }
}

pub(crate) fn summary_in(summary: pb::CommitSummary) -> Result<CommitSummary> {
    let moved = |m: pb::MovedOffset| Ok((topic_in(m.topic)?, m.partition, m.from, m.to, m.reason));
    Ok(CommitSummary {
        version: summary.version,
        at: summary.at,
        operation: summary.operation,
        rows: summary.rows,
        parts_added: summary.parts_added,
        parts_removed: summary.parts_removed,
        offsets: summary.offsets.into_iter().map(moved).collect::<Result<_>>()?,
    })
}
