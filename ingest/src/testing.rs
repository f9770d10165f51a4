//! What the tests of this crate share: a store in a temporary directory, a table, a source, patience.

use crate::source::scripted::ScriptedBroker;
use crate::{IngestConfig, SourceReport, Supervisor};
use millrace_clock::Clock;
use millrace_schema::{
    Column, ColumnId, ColumnType, KafkaSource, OnError, OnGap, PartitionUnit, Partitioning, SourceDef, SourceOrigin,
    StartPosition, TableDef, TableId, TableOptions, TimeUnit,
};
use millrace_storage::{Family, Store, StoreConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A store and what it lives in.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) family: Arc<Family>,
    pub(crate) broker: ScriptedBroker,
    pub(crate) clock: Clock,
}

/// `CREATE TABLE t (id bigint NOT NULL, ts timestamptz)`, sorted by id.
pub(crate) fn table() -> TableDef {
    let column =
        |id, name: &str, ty, nullable| Column { id: ColumnId(id), name: name.into(), ty, nullable, default: None };
    TableDef {
        name: "t".into(),
        schema_version: 1,
        columns: vec![column(1, "id", ColumnType::BigInt, false), column(2, "ts", ColumnType::TimestampTz, true)],
        time_column: Some(ColumnId(2)),
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: vec![ColumnId(1)],
        options: TableOptions::default(),
    }
}

/// A source of `topic`, all defaults.
pub(crate) fn source(name: &str, topic: &str) -> SourceDef {
    SourceDef {
        name: name.into(),
        kafka: KafkaSource {
            brokers: "scripted:1".into(),
            topic: topic.into(),
            start: StartPosition::Earliest,
            on_gap: OnGap::Fail,
            properties: BTreeMap::new(),
        },
        mapping: BTreeMap::new(),
        on_error: OnError::DeadLetter,
        time_unit: TimeUnit::Auto,
        origin: SourceOrigin::Sql,
        paused: false,
    }
}

impl Lab {
    /// A fresh store with table `t`, and a broker with topic `topic` of two partitions.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = Store::open(StoreConfig::new(dir.path(), 1 << 30), clock.clone()).await.unwrap();
        let family = store.create_table(table()).await.unwrap();
        let broker = ScriptedBroker::new();
        broker.create_topic("topic", 2);
        Self { dir, store, family, broker, clock }
    }

    /// Closes the store and opens it again, as after a crash of a process that had sealed what it had sealed.
    pub(crate) async fn reopen(self) -> Self {
        let Self { dir, store, family, broker, clock } = self;
        drop(family);
        store.close().await;
        drop(store);
        let store = Store::open(StoreConfig::new(dir.path(), 1 << 30), clock.clone()).await.unwrap();
        let family = store.family("t").unwrap();
        Self { dir, store, family, broker, clock }
    }

    pub(crate) fn config(&self) -> IngestConfig {
        IngestConfig {
            sources_dir: self.dir.path().join("sources.d"),
            record_bytes: 1 << 20,
            stop_timeout: Duration::from_secs(5),
        }
    }

    /// A supervisor over the scripted broker.
    pub(crate) async fn supervisor(&self) -> Arc<Supervisor> {
        let factory = Arc::new(self.broker.clone());
        Supervisor::start_with(Arc::clone(&self.store), self.config(), self.clock.clone(), factory).await.unwrap()
    }

    /// Appends `{"id":n}` records, alternating between two partitions.
    pub(crate) fn produce(&self, ids: std::ops::Range<i64>) {
        for id in ids {
            let partition = i32::try_from(id % 2).unwrap();
            self.broker.push("topic", partition, self.clock.now() / 1_000, format!(r#"{{"id":{id}}}"#).into_bytes());
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.family.view().rows(TableId::BASE)
    }

    pub(crate) fn dead_letters(&self) -> u64 {
        self.family.view().rows(TableId::DEAD_LETTERS)
    }

    /// Every id in the table, sorted: the mutable ones from the view after sealing nothing.
    pub(crate) fn mutable_ids(&self) -> Vec<i64> {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        let view = self.family.view();
        let mut ids: Vec<i64> = view
            .chunks(TableId::BASE)
            .flat_map(|chunk| chunk.rows.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Waits until `reached`, at most ten seconds.
    pub(crate) async fn until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        for _ in 0..2_000 {
            if reached() {
                return;
            }
            self.clock.sleep(Duration::from_millis(5)).await;
        }
        panic!("not within ten seconds: {what}");
    }

    /// Waits until a source is in `state`; returns its report.
    pub(crate) async fn state(&self, supervisor: &Supervisor, name: &str, state: &str) -> SourceReport {
        let report = || supervisor.status().into_iter().find(|r| r.name == name);
        self.until(&format!("{name} is {state}: {:?}", report()), || report().is_some_and(|r| r.state == state)).await;
        report().unwrap()
    }
}
