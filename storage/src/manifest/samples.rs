//! Definitions, parts and random commits for the tests of this module.

use super::{Bounds, Commit, Manifest, Op, PartMeta, PartitionKey, PartitionTime};
use millrace_schema::{
    Column, ColumnId, ColumnType, KafkaSource, OnError, OnGap, PartId, PartitionUnit, Partitioning, Scalar, SourceDef,
    SourceOrigin, StartPosition, TableDef, TableId, TableOptions, TimeUnit, TopicKey,
};
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) fn id(n: u64) -> Uuid {
    Uuid::from_u64_pair(0x0199_0000_0000_7000, 0x8000_0000_0000_0000 | n)
}

pub(crate) fn table(schema_version: u32) -> TableDef {
    let column = |id, name: &str, ty| Column { id: ColumnId(id), name: name.into(), ty, nullable: true, default: None };
    TableDef {
        name: "edits".into(),
        schema_version,
        columns: vec![column(1, "time", ColumnType::TimestampTz), column(2, "page", ColumnType::Text)],
        time_column: Some(ColumnId(1)),
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: vec![ColumnId(2), ColumnId(1)],
        options: TableOptions::default(),
    }
}

pub(crate) fn source(name: &str, topic: &str) -> SourceDef {
    SourceDef {
        name: name.into(),
        kafka: KafkaSource {
            brokers: "localhost:9092".into(),
            topic: topic.into(),
            start: StartPosition::Earliest,
            on_gap: OnGap::Fail,
            properties: [("client.id".to_owned(), "x".to_owned())].into(),
        },
        mapping: [(ColumnId(2), "$.title".to_owned())].into(),
        on_error: OnError::DeadLetter,
        time_unit: TimeUnit::Auto,
        origin: SourceOrigin::Sql,
        paused: false,
    }
}

pub(crate) fn topic(n: u64) -> TopicKey {
    TopicKey { cluster: "c".into(), topic_uuid: id(500 + n), topic: format!("topic-{n}") }
}

/// A part of day `n % 7`.
pub(crate) fn part(n: u64) -> PartMeta {
    PartMeta {
        id: PartId(id(n)),
        table: TableId::BASE,
        partition: PartitionKey { time: PartitionTime::Day(i64::try_from(n % 7).unwrap()), bucket: None },
        schema_version: 1,
        level: 0,
        rows: 1_000 + n,
        bytes: 30_000,
        created_at: 1_700_000_000_000_000,
        min_time: Some(1_442_062_800_000_000),
        max_time: Some(1_442_066_400_000_000),
        key_bounds: vec![
            Some(Bounds { min: Scalar::Text("Aachen".into()), max: Scalar::Text("Zwolle".into()), has_null: false }),
            Some(Bounds {
                min: Scalar::Int(1_442_062_800_000_000),
                max: Scalar::Int(1_442_066_400_000_000),
                has_null: true,
            }),
        ],
        crc: 0xDEAD_BEEF,
    }
}

/// The commit of `ops` on top of `manifest`.
pub(crate) fn commit(manifest: &Manifest, ops: Vec<Op>) -> Commit {
    let version = manifest.version + 1;
    Commit {
        version,
        parent: manifest.commit_uuid,
        uuid: id(1_000_000 + version),
        at: 1_700_000_000_000_000 + i64::try_from(version).unwrap(),
        epoch: 0,
        schema_version: 0,
        operation: "test".into(),
        ops,
    }
}

/// A family with both tables at schema version 1.
pub(crate) fn created(family: Uuid) -> Manifest {
    let empty = Manifest::empty(family);
    let ops = vec![Op::PutTable(TableId::BASE, table(1)), Op::PutTable(TableId::DEAD_LETTERS, table(1))];
    super::apply(&empty, &commit(&empty, ops)).unwrap()
}

fn any_uuid() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn any_topic() -> impl Strategy<Value = TopicKey> {
    ("[a-zA-Z0-9_-]{0,22}", any_uuid(), ".{0,20}").prop_map(|(cluster, topic_uuid, topic)| TopicKey {
        cluster,
        topic_uuid,
        topic,
    })
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Int),
        any::<f64>().prop_filter("NaN differs from itself", |f| !f.is_nan()).prop_map(Scalar::Float),
        any::<i128>().prop_map(Scalar::Numeric),
        ".{0,30}".prop_map(Scalar::Text),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Scalar::Bytes),
    ]
}

fn any_partition() -> impl Strategy<Value = PartitionKey> {
    let time = prop_oneof![
        Just(PartitionTime::All),
        Just(PartitionTime::Null),
        Just(PartitionTime::Mixed),
        any::<i64>().prop_map(PartitionTime::Month),
        any::<i64>().prop_map(PartitionTime::Day),
        any::<i64>().prop_map(PartitionTime::Hour),
    ];
    (time, any::<Option<u32>>()).prop_map(|(time, bucket)| PartitionKey { time, bucket })
}

fn any_part() -> impl Strategy<Value = PartMeta> {
    let bounds =
        (any_scalar(), any_scalar(), any::<bool>()).prop_map(|(min, max, has_null)| Bounds { min, max, has_null });
    (
        (any_uuid(), any::<u32>(), any_partition(), any::<u32>(), any::<u32>()),
        (any::<u64>(), any::<u64>(), any::<i64>(), any::<Option<i64>>(), any::<Option<i64>>(), any::<u32>()),
        proptest::collection::vec(proptest::option::of(bounds), 0..4),
    )
        .prop_map(|(a, b, key_bounds)| PartMeta {
            id: PartId(a.0),
            table: TableId(a.1),
            partition: a.2,
            schema_version: a.3,
            level: a.4,
            rows: b.0,
            bytes: b.1,
            created_at: b.2,
            min_time: b.3,
            max_time: b.4,
            key_bounds,
            crc: b.5,
        })
}

fn any_op() -> impl Strategy<Value = Op> {
    let offsets = || (any_topic(), any::<i32>(), any::<i64>(), any::<i64>());
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(id, version)| Op::PutTable(TableId(id), table(version))),
        (".{0,9}", ".{0,9}").prop_map(|(name, topic)| Op::PutSource(source(&name, &topic))),
        ".{0,9}".prop_map(Op::RemoveSource),
        (".{0,9}", any_topic()).prop_map(|(source, topic)| Op::BindSource { source, topic }),
        offsets().prop_map(|(topic, partition, offset, _)| Op::FirstPosition { topic, partition, offset }),
        (offsets(), any::<u64>(), any::<u64>(), any::<Option<i64>>()).prop_map(|(o, rows, dead_letters, time)| {
            let max_event_time = time;
            Op::MoveOffset { topic: o.0, partition: o.1, from: o.2, to: o.3, rows, dead_letters, max_event_time }
        }),
        (offsets(), ".{0,9}").prop_map(|(o, reason)| Op::Gap {
            topic: o.0,
            partition: o.1,
            from: o.2,
            to: o.3,
            reason
        }),
        any_part().prop_map(Op::AddPart),
        (any::<u32>(), any_uuid()).prop_map(|(table, id)| Op::RemovePart(TableId(table), PartId(id))),
    ]
}

/// Any commit at all; few of them fit anywhere.
pub(crate) fn any_commit() -> impl Strategy<Value = Commit> {
    (
        (any::<u64>(), any_uuid(), any_uuid(), any::<i64>(), any::<u64>(), any::<u32>(), ".{0,9}"),
        proptest::collection::vec(any_op(), 0..6),
    )
        .prop_map(|(c, ops)| Commit {
            version: c.0,
            parent: c.1,
            uuid: c.2,
            at: c.3,
            epoch: c.4,
            schema_version: c.5,
            operation: c.6,
            ops,
        })
}
