//! The engine over a real store in a temporary directory.

mod limits;
mod postgres;
mod queries;
mod system;

use crate::{Answer, Body, CreatedSource, Engine, EngineConfig, Session, SourceControl, SourceStatus};
use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch,
    StringViewArray, TimestampMicrosecondArray,
};
use arrow::util::display::array_value_to_string;
use async_trait::async_trait;
use futures::StreamExt;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{
    KafkaSource, OnError, OnGap, SourceDef, SourceOrigin, StartPosition, TableId, TimeUnit, TopicKey,
};
use millrace_storage::manifest::Op;
use millrace_storage::{Family, MicroBatch, OffsetRange, ShardWriter, Store, StoreConfig};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use uuid::Uuid;

/// 2015-09-12T00:00:00Z.
const DAY0: i64 = 1_442_016_000_000_000;
const HOUR: i64 = 3_600_000_000;

/// Sources that only exist on paper.
#[derive(Debug, Default)]
struct Paper(Mutex<Vec<SourceStatus>>);

#[async_trait]
impl SourceControl for Paper {
    async fn create(&self, table: &str, source: SourceDef) -> Result<CreatedSource> {
        self.0.lock().unwrap().push(SourceStatus {
            name: source.name.clone(),
            table: table.to_owned(),
            state: "running",
            error: None,
            def: source,
            unknown_fields: 0,
            partitions: Vec::new(),
        });
        Ok(CreatedSource { warning: None })
    }

    async fn drop_source(&self, name: &str) -> Result<()> {
        self.0.lock().unwrap().retain(|s| s.name != name);
        Ok(())
    }

    async fn stop_table(&self, _: &str) {}

    async fn pause(&self, name: &str) -> Result<()> {
        Err(Error::new(ErrorKind::UnknownObject, format!("source \"{name}\" does not exist")))
    }

    async fn resume(&self, name: &str) -> Result<()> {
        self.pause(name).await
    }

    fn status(&self) -> Vec<SourceStatus> {
        self.0.lock().unwrap().clone()
    }
}

struct Fixture {
    _dir: TempDir,
    store: Arc<Store>,
    engine: Arc<Engine>,
    session: Session,
    paper: Arc<Paper>,
    writer: Option<ShardWriter>,
    next: i64,
}

fn topic() -> TopicKey {
    TopicKey { cluster: "c".to_owned(), topic_uuid: Uuid::from_u128(7), topic: "events".to_owned() }
}

fn source() -> SourceDef {
    SourceDef {
        name: "src".to_owned(),
        kafka: KafkaSource {
            brokers: "127.0.0.1:9".to_owned(),
            topic: "events".to_owned(),
            start: StartPosition::Earliest,
            on_gap: OnGap::Fail,
            properties: Default::default(),
        },
        mapping: Default::default(),
        on_error: OnError::DeadLetter,
        time_unit: TimeUnit::Auto,
        origin: SourceOrigin::Sql,
        paused: false,
    }
}

impl Fixture {
    async fn new(memory: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::new(dir.path().join("data"), memory), Clock::system()).await.unwrap();
        let paper = Arc::new(Paper::default());
        let engine = Engine::new(
            Arc::clone(&store),
            paper.clone(),
            tokio::runtime::Handle::current(),
            EngineConfig { parallelism: 2 },
        )
        .unwrap();
        let session = engine.session();
        Self { _dir: dir, store, engine, session, paper, writer: None, next: 100 }
    }

    /// With table `t`, fed by source `src` from offset 100 of one partition.
    async fn fed(memory: u64) -> Self {
        let mut fixture = Self::new(memory).await;
        fixture
            .rows(
                "CREATE TABLE t (time timestamptz, channel text, n bigint, id uuid) \
                 WITH (partition_by = 'day', time_column = 'time', sort_by = 'channel, time')",
            )
            .await;
        let ops = vec![
            Op::PutSource(source()),
            Op::BindSource { source: "src".to_owned(), topic: topic() },
            Op::FirstPosition { topic: topic(), partition: 0, offset: 100 },
        ];
        fixture.family().commit("source", ops).await.unwrap();
        fixture.writer = Some(fixture.family().open_shard(&topic()).unwrap());
        fixture
    }

    fn family(&self) -> Arc<Family> {
        self.store.family("t").unwrap()
    }

    /// Appends `count` rows `hour` hours after [`DAY0`], and one dead letter.
    fn append(&mut self, count: usize, hour: i64) {
        let view = self.family().view();
        let def = view.table(TableId::BASE).unwrap();
        let numbers = || (0..count).map(|n| i64::try_from(n).unwrap());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(numbers().map(|n| DAY0 + hour * HOUR + n))
                    .with_timezone("UTC"),
            ),
            Arc::new(StringViewArray::from_iter_values(numbers().map(|n| format!("#ch{}", n % 10)))),
            Arc::new(Int64Array::from_iter_values(numbers())),
            Arc::new(
                FixedSizeBinaryArray::try_from_iter(
                    numbers().map(|n| *Uuid::from_u128(u128::try_from(n).unwrap()).as_bytes()),
                )
                .unwrap(),
            ),
        ];
        let rows = RecordBatch::try_new(def.arrow_schema(), columns).unwrap();
        let dead = dead_letter(view.table(TableId::DEAD_LETTERS).unwrap().arrow_schema());
        let records = i64::try_from(count).unwrap() + 1;
        let range = OffsetRange {
            partition: 0,
            from: self.next,
            to: self.next + records,
            rows: u64::try_from(count).unwrap(),
            dead_letters: 1,
            max_event_time: Some(DAY0 + hour * HOUR),
        };
        let batch = MicroBatch {
            rows: Some(rows),
            dead_letters: Some(dead),
            offsets: vec![range],
            schema_version: def.schema_version,
        };
        self.writer.as_ref().unwrap().append(batch).unwrap();
        self.next += records;
    }

    async fn answer(&mut self, sql: &str) -> Result<Answer> {
        let mut statements = self.engine.parse(sql)?;
        assert_eq!(statements.len(), 1, "{sql}");
        self.session.run(&statements.remove(0), Vec::new()).await
    }

    /// Every row as text, columns joined by `|`.
    async fn try_rows(&mut self, sql: &str) -> Result<Vec<String>> {
        let answer = self.answer(sql).await?;
        texts(answer).await
    }

    async fn rows(&mut self, sql: &str) -> Vec<String> {
        self.try_rows(sql).await.unwrap_or_else(|e| panic!("{sql}: {e} {:?}", e.detail_text()))
    }

    async fn fails(&mut self, sql: &str) -> Error {
        match self.try_rows(sql).await {
            Ok(rows) => panic!("{sql} gave {rows:?}"),
            Err(error) => error,
        }
    }

    async fn columns(&mut self, sql: &str) -> Vec<String> {
        match self.answer(sql).await.unwrap().body {
            Body::Rows { schema, .. } => schema.fields().iter().map(|f| f.name().clone()).collect(),
            Body::Command(tag) => panic!("{tag}"),
        }
    }
}

async fn texts(answer: Answer) -> Result<Vec<String>> {
    let Body::Rows { schema, mut rows, .. } = answer.body else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        assert_eq!(batch.schema(), schema, "batches have the schema the answer says");
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|c| array_value_to_string(c, row).unwrap());
            all.push(cells.collect::<Vec<_>>().join("|"));
        }
    }
    Ok(all)
}

fn dead_letter(schema: arrow::datatypes::SchemaRef) -> RecordBatch {
    let text = |v: &str| -> ArrayRef { Arc::new(StringViewArray::from(vec![v])) };
    let time = || -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![DAY0]).with_timezone("UTC")) };
    let number = |v: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![v])) };
    let bytes = || -> ArrayRef { Arc::new(BinaryViewArray::from(vec![b"x".as_slice()])) };
    let columns: Vec<ArrayRef> = vec![
        text("src"),
        text("events"),
        Arc::new(Int32Array::from(vec![0])),
        number(1),
        number(0),
        time(),
        time(),
        bytes(),
        bytes(),
        number(1),
        Arc::new(BooleanArray::from(vec![false])),
        text("invalid_json"),
        text("what"),
    ];
    RecordBatch::try_new(schema, columns).unwrap()
}
