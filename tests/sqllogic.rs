//! Runs every `.slt` file over each physical state of the data: mutable, sealed, restarted. Answers must be identical.
//!
//! The format is sqllogictest's, with one directive of ours: `feed TABLE` followed by JSON records, one a line, which go
//! through a scripted log and the real pipeline into the table. Statements go over the real Postgres door, in process.

use millrace_clock::Clock;
use millrace_ingest::source::scripted::ScriptedBroker;
use millrace_ingest::{IngestConfig, Supervisor};
use millrace_server::control::SupervisorControl;
use millrace_server::pg;
use millrace_sql::{Engine, EngineConfig};
use millrace_storage::{Store, StoreConfig};
use millrace_tests::{checkout, server::rows};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

/// What is done to the data after a feed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Mutable,
    Sealed,
    Restarted,
}

/// One record of a file, with the line it begins on.
#[derive(Debug)]
enum Step {
    Ok(String),
    Error(String, String),
    Query(String, Vec<String>),
    Feed(String, Vec<String>),
}

fn parse(text: &str) -> Vec<(usize, Step)> {
    let mut steps = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        while let Some((_, next)) = lines.next_if(|(_, l)| !l.is_empty()) {
            block.push(next.to_owned());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let step = match words[..] {
            ["statement", "ok"] => Step::Ok(block.join("\n")),
            ["statement", "error", code] => Step::Error(code.to_owned(), block.join("\n")),
            ["feed", table] => Step::Feed(table.to_owned(), block),
            ["query", _] => {
                let split = block.iter().position(|l| l == "----").expect("a query needs ----");
                Step::Query(block[..split].join("\n"), block[split + 1..].to_vec())
            }
            _ => panic!("line {}: {line}", at + 1),
        };
        steps.push((at + 1, step));
    }
    steps
}

/// A whole Millrace in this process, over a scripted broker.
struct Running {
    store: Arc<Store>,
    supervisor: Arc<Supervisor>,
    shutdown: CancellationToken,
    client: Client,
}

async fn start(dir: &Path, broker: &ScriptedBroker) -> Running {
    let clock = Clock::system();
    let store = Store::open(StoreConfig::new(dir, 1 << 30), clock.clone()).await.unwrap();
    let config = IngestConfig {
        sources_dir: dir.join("sources.d"),
        record_bytes: 16 << 20,
        stop_timeout: Duration::from_secs(10),
    };
    let supervisor =
        Supervisor::start_with(Arc::clone(&store), config, clock.clone(), Arc::new(broker.clone())).await.unwrap();
    let control = Arc::new(SupervisorControl::new(Arc::clone(&supervisor)));
    let runtime = tokio::runtime::Handle::current();
    let engine = Engine::new(Arc::clone(&store), control, runtime, EngineConfig { parallelism: 2 }).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = CancellationToken::new();
    tokio::spawn(pg::serve(listener, engine, pg::PgConfig::new(clock), shutdown.clone()));
    let config = format!("host=127.0.0.1 port={port} user=millrace dbname=millrace");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await.unwrap();
    tokio::spawn(connection);
    Running { store, supervisor, shutdown, client }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.supervisor.stop().await;
        self.store.close().await;
    }

    /// Feeds records and waits until they are visible, as rows or as dead letters.
    async fn feed(&self, broker: &ScriptedBroker, table: &str, records: &[String]) {
        if broker.end(table, 0).is_none() {
            broker.create_topic(table, 1);
            let create = format!(
                "CREATE SOURCE {table} TO {table} FROM KAFKA (brokers = 'scripted', topic = '{table}') FORMAT JSON"
            );
            self.client.simple_query(&create).await.unwrap();
        }
        for record in records {
            broker.push(table, 0, 0, Some(record.clone().into_bytes()));
        }
        let end = broker.end(table, 0).unwrap().to_string();
        self.visible(table, &end).await;
    }

    async fn visible(&self, table: &str, end: &str) {
        let sql = format!("SELECT min(visible_offset) FROM system.source_partitions WHERE source = '{table}'");
        millrace_tests::wait_for("fed records", Duration::from_secs(20), || async {
            let seen = rows(&self.client, &sql).await.unwrap();
            (seen[0][0].as_deref() == Some(end)).then_some(())
        })
        .await;
    }
}

async fn run_file(path: &Path, state: State) {
    let text = std::fs::read_to_string(path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let broker = ScriptedBroker::new();
    let mut running = start(dir.path(), &broker).await;
    for (line, step) in parse(&text) {
        let at = format!("{}:{line} ({state:?})", path.file_name().unwrap().display());
        match step {
            Step::Ok(sql) => {
                running.client.simple_query(&sql).await.unwrap_or_else(|e| panic!("{at}: {sql}: {e:?}"));
            }
            Step::Error(code, sql) => {
                let error =
                    running.client.simple_query(&sql).await.err().unwrap_or_else(|| panic!("{at}: {sql} went well"));
                let got = error.as_db_error().map(|e| (e.code().code().to_owned(), e.message().to_owned()));
                assert_eq!(got.as_ref().map(|(c, _)| c.as_str()), Some(code.as_str()), "{at}: {sql}: {got:?}");
            }
            Step::Query(sql, wanted) => {
                let got = rows(&running.client, &sql).await.unwrap_or_else(|e| panic!("{at}: {sql}: {e:?}"));
                let line = |row: &Vec<Option<String>>| {
                    row.iter().map(|v| v.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" ")
                };
                assert_eq!(got.iter().map(line).collect::<Vec<_>>(), wanted, "{at}: {sql}");
            }
            Step::Feed(table, records) => {
                running.feed(&broker, &table, &records).await;
                if state != State::Mutable {
                    running.client.simple_query(&format!("SEAL TABLE {table}")).await.unwrap();
                }
                if state == State::Restarted {
                    running.stop().await;
                    running = start(dir.path(), &broker).await;
                }
            }
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answers_in_every_state() {
    let folder = checkout().join("tests/slt");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "slt"));
    files.sort();
    assert!(files.len() >= 5);
    for file in files {
        for state in [State::Mutable, State::Sealed, State::Restarted] {
            run_file(&file, state).await;
        }
    }
}
