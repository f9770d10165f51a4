//! Scans: 5 M generated rows in parts, 12 queries, against the same Parquet files in DuckDB and in bare DataFusion.
//!
//! Usage: `bench-scan [ROWS]`. Each figure is the median of 7 runs in one process; what counts is the ratios.

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::TryStreamExt;
use millrace_clock::Clock;
use millrace_error::{Error, Result};
use millrace_schema::{SourceDef, TopicKey};
use millrace_sql::{Body, CreatedSource, Engine, EngineConfig, Session, SourceControl, SourceStatus};
use millrace_storage::manifest::Op;
use millrace_storage::{Family, MicroBatch, OffsetRange, Store, StoreConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const RUNS: usize = 7;
const DAY: i64 = 86_400_000_000;
const START: i64 = 1_767_225_600_000_000; // 2026-01-01
const DDL: &str = "CREATE TABLE hits (id bigint NOT NULL, ts timestamptz NOT NULL, country text, url text, user_id bigint, status integer, bytes bigint, latency double precision)
 WITH (time_column = 'ts', partition_by = 'day', sort_by = 'country, ts', seal_rows = 100000000, seal_age = '1 day', seal_bytes = '100GiB')";

const QUERIES: [(&str, &str); 12] = [
    ("count", "SELECT count(*) FROM hits"),
    ("sum", "SELECT sum(bytes), avg(latency) FROM hits"),
    ("filter", "SELECT count(*) FROM hits WHERE status = 404 AND bytes > 5000"),
    ("group low", "SELECT country, count(*), sum(bytes) FROM hits GROUP BY country ORDER BY 2 DESC"),
    ("group high", "SELECT user_id, count(*) FROM hits GROUP BY user_id ORDER BY 2 DESC, 1 LIMIT 10"),
    ("group text", "SELECT url, count(*) FROM hits GROUP BY url ORDER BY 2 DESC, 1 LIMIT 10"),
    ("distinct", "SELECT count(DISTINCT user_id) FROM hits"),
    ("top-k", "SELECT id, latency FROM hits ORDER BY latency DESC, id LIMIT 10"),
    ("like", "SELECT count(*) FROM hits WHERE url LIKE '%/item/77%'"),
    ("key", "SELECT count(*), avg(latency) FROM hits WHERE country = 'C07'"),
    (
        "one day",
        "SELECT count(*), sum(bytes) FROM hits WHERE ts >= '2026-01-03T00:00:00Z' AND ts < '2026-01-04T00:00:00Z'",
    ),
    ("by hour", "SELECT date_trunc('hour', ts) AS h, count(*) FROM hits WHERE country = 'C11' GROUP BY 1 ORDER BY 1"),
];

#[tokio::main]
async fn main() {
    let rows = std::env::args().nth(1).map_or(5_000_000, |a| a.parse::<i64>().expect("a number"));
    let dir = tempfile::tempdir().unwrap();
    // As a user has it: part of the rows stays resident, within a tenth of this limit.
    let store = Store::open(StoreConfig::new(dir.path(), 4 << 30), Clock::system()).await.unwrap();
    let config = EngineConfig { parallelism: 2 };
    let engine =
        Engine::new(Arc::clone(&store), Arc::new(NoSources), tokio::runtime::Handle::current(), config).unwrap();
    let mut session = engine.session();
    run(&engine, &mut session, DDL).await;
    let family = store.family("hits").unwrap();
    load(&family, rows).await;
    let files: Vec<String> = family
        .view()
        .parts(millrace_schema::TableId::BASE)
        .map(|p| family.part_path(p).to_string_lossy().into_owned())
        .collect();
    println!("{rows} rows in {} parts", files.len());
    let bare = bare(&files).await;
    let duck = duckdb(&files, dir.path());
    for (i, (name, sql)) in QUERIES.iter().enumerate() {
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            run(&engine, &mut session, sql).await;
            ours.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            bare.sql(sql).await.unwrap().collect().await.unwrap();
            theirs.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "scan {name:10} millrace {ours:8.2} ms  datafusion {theirs:8.2} ms ({:5.2}x)  duckdb {:8.2} ms ({:5.2}x)",
            ours / theirs,
            duck[i],
            ours / duck[i]
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn run(engine: &Arc<Engine>, session: &mut Session, sql: &str) {
    for statement in engine.parse(sql).unwrap() {
        if let Body::Rows { rows, .. } = session.run(&statement, Vec::new()).await.unwrap().body {
            let _all: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        }
    }
}

async fn bare(files: &[String]) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let config = config.set_bool("datafusion.execution.parquet.pushdown_filters", false);
    let context = SessionContext::new_with_config(config);
    let table = context.read_parquet(files.to_vec(), ParquetReadOptions::default()).await.unwrap();
    context.register_table("hits", table.into_view()).unwrap();
    context
}

/// Medians of DuckDB with two threads over the same files, milliseconds.
fn duckdb(files: &[String], dir: &Path) -> Vec<f64> {
    let input = serde_json::json!({"files": files, "queries": QUERIES.map(|(_, sql)| sql), "runs": RUNS});
    let path = dir.join("duck.json");
    std::fs::write(&path, input.to_string()).unwrap();
    let output = std::process::Command::new(millrace_tests::cache().join("venv/bin/python"))
        .arg(millrace_tests::checkout().join("benches/duck.py"))
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Ten days of rows, sealed once a million.
async fn load(family: &Arc<Family>, rows: i64) {
    let topic = TopicKey { cluster: "bench".into(), topic_uuid: family.id(), topic: "hits".into() };
    let first = Op::FirstPosition { topic: topic.clone(), partition: 0, offset: 0 };
    family.commit("position", vec![first]).await.unwrap();
    let shard = family.open_shard(&topic).unwrap();
    let schema = family.view().table(millrace_schema::TableId::BASE).unwrap().arrow_schema();
    for from in (0..rows).step_by(65_536) {
        let to = (from + 65_536).min(rows);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns(from, to, rows)).unwrap();
        let count = u64::try_from(to - from).unwrap();
        let range = OffsetRange { partition: 0, from, to, rows: count, dead_letters: 0, max_event_time: None };
        shard
            .append(MicroBatch { rows: Some(batch), dead_letters: None, offsets: vec![range], schema_version: 1 })
            .unwrap();
        if to % (16 * 65_536) == 0 {
            family.seal().await.unwrap();
        }
    }
    family.seal().await.unwrap();
}

fn columns(from: i64, to: i64, rows: i64) -> Vec<ArrayRef> {
    let mixed = |i: i64, salt: u64| {
        let z = (i.unsigned_abs() ^ salt.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (z ^ (z >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20
    };
    let ints = |f: &dyn Fn(i64) -> i64| Int64Array::from_iter_values((from..to).map(f));
    let small = |salt: u64, n: u64| move |i: i64| i64::try_from(mixed(i, salt) % n).unwrap();
    let times = (from..to).map(|i| START + (i * (10 * DAY / rows)));
    let texts = |f: &dyn Fn(i64) -> String| StringViewArray::from_iter_values((from..to).map(f));
    vec![
        Arc::new(ints(&|i| i)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(texts(&|i| format!("C{:02}", small(1, 40)(i)))),
        Arc::new(texts(&|i| format!("https://example.org/section/{}/item/{}", small(2, 50)(i), small(3, 100_000)(i)))),
        Arc::new(ints(&small(4, 500_000))),
        Arc::new(Int32Array::from_iter_values((from..to).map(|i| if mixed(i, 5) % 50 == 0 { 404 } else { 200 }))),
        Arc::new(ints(&small(6, 10_000))),
        Arc::new(Float64Array::from_iter_values((from..to).map(|i| small(7, 1_000_000)(i) as f64 / 1_000.0))),
    ]
}

/// A bench has no sources.
#[derive(Debug)]
struct NoSources;

#[async_trait::async_trait]
impl SourceControl for NoSources {
    async fn create(&self, _: &str, _: SourceDef) -> Result<CreatedSource> {
        Err(Error::not_supported("sources"))
    }
    async fn drop_source(&self, _: &str) -> Result<()> {
        Err(Error::not_supported("sources"))
    }
    async fn stop_table(&self, _: &str) {}
    async fn pause(&self, _: &str) -> Result<()> {
        Err(Error::not_supported("sources"))
    }
    async fn resume(&self, _: &str) -> Result<()> {
        Err(Error::not_supported("sources"))
    }
    fn status(&self) -> Vec<SourceStatus> {
        Vec::new()
    }
}
