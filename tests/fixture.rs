//! A data directory written by every released version opens with this one and answers the same.
//!
//! `tests/fixtures/<version>/` is a data directory with its server off, beside `expected.json`: SQL → rows. A new
//! format adds a folder (`MILLRACE_WRITE_FIXTURE=1 cargo test --test fixture`) and never changes one.

use millrace_tests::{Kafka, Server, checkout};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const QUESTIONS: [&str; 5] = [
    "SELECT count(*), sum(id), min(ts), max(ts), count(DISTINCT name) FROM f",
    "SELECT kind, count(*), sum(amount) FROM f GROUP BY kind ORDER BY kind",
    "SELECT * FROM f WHERE id < 5 ORDER BY id",
    "SELECT reason, count(*) FROM f_dead_letters GROUP BY reason ORDER BY reason",
    "SELECT name, topic, state FROM system.sources",
];

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_s_directory_opens() {
    let root = checkout().join("tests/fixtures");
    if std::env::var_os("MILLRACE_WRITE_FIXTURE").is_some() {
        write(&root.join(env!("CARGO_PKG_VERSION"))).await;
    }
    let mut opened = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let fixture = entry.unwrap().path();
        if !fixture.is_dir() {
            continue;
        }
        let mut server = Server::start().await;
        server.stop().await;
        std::fs::remove_dir_all(&server.dir).unwrap();
        copy(&fixture.join("data"), &server.dir);
        server.restart().await;
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(fixture.join("expected.json")).unwrap()).unwrap();
        for (sql, rows) in expected.as_object().unwrap() {
            assert_eq!(&serde_json::json!(server.sql(sql).await), rows, "{}: {sql}", fixture.display());
        }
        opened += 1;
    }
    assert!(opened > 0, "no fixture");
}

async fn write(fixture: &Path) {
    let kafka = Kafka::shared();
    let topic = "fixture";
    kafka.create_topic(topic, 1, &[]).await;
    let good = (0..500).map(|i| {
        let (day, name) = (i % 5 + 1, i % 7);
        format!(r#"{{"id":{i},"ts":"2026-01-{day:02}T00:00:00Z","name":"n{name}","amount":{i}.25}}"#)
    });
    kafka.produce(topic, good.chain((0..3).map(|_| "{".to_owned())));
    let mut server = Server::start().await;
    server
        .sql("CREATE TABLE f (id bigint NOT NULL, ts timestamptz, name text, kind varchar(10) DEFAULT 'plain', amount numeric(12,2)) WITH (time_column = 'ts', sort_by = 'name, ts', partition_by = 'day, bucket(2, id)')")
        .await;
    let brokers = kafka.brokers();
    server
        .sql(&format!("CREATE SOURCE f TO f FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"))
        .await;
    server.until("SELECT count(*) FROM f", "500", Duration::from_secs(30)).await;
    server.sql("SEAL TABLE f").await;
    server.sql("ALTER SOURCE f PAUSE").await;
    let mut expected = serde_json::Map::new();
    for sql in QUESTIONS {
        expected.insert(sql.to_owned(), serde_json::json!(server.sql(sql).await));
    }
    server.stop().await;
    std::fs::create_dir_all(fixture).unwrap();
    copy(&server.dir, &fixture.join("data"));
    std::fs::remove_file(fixture.join("data/LOCK")).unwrap();
    std::fs::write(fixture.join("expected.json"), serde_json::to_string_pretty(&expected).unwrap()).unwrap();
}
