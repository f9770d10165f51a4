//! 39,244 real events through a real broker: equal to DuckDB on the file while mutable, sealed and restarted.

use millrace_tests::{Kafka, Server, WIKIPEDIA_DDL, oracle, wikipedia_lines};
use std::time::Duration;

const SUMMARY: &str = r#"SELECT count(*), count("user"), sum(added), sum(deleted), sum(delta), min(added), max(added),
 count(DISTINCT "user"), count(DISTINCT page), count(*) FILTER (WHERE "isRobot"), min("time"), max("time") FROM wikipedia"#;
const BY_HOUR_AND_CHANNEL: &str = r#"SELECT date_trunc('hour', "time") AS h, channel, count(*) AS n, sum(added) AS a, sum(delta) AS d,
 count(DISTINCT page) AS p, count(DISTINCT "user") AS u FROM wikipedia GROUP BY 1, 2 ORDER BY 1, 2"#;
const FILTERED: &str = r##"SELECT page, added FROM wikipedia WHERE channel = '#en.wikipedia' AND "time" >= '2015-09-12 13:00:00+00'
 AND "time" < '2015-09-12 14:00:00+00' AND added > 1000 ORDER BY added DESC, page LIMIT 20"##;

async fn check(server: &Server, state: &str) {
    for sql in [SUMMARY, BY_HOUR_AND_CHANNEL, FILTERED] {
        oracle::assert_same(&server.sql(sql).await, &oracle::duckdb(sql), state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_events_are_exact_in_every_state() {
    let kafka = Kafka::shared();
    let topic = format!("wikipedia-{}", std::process::id());
    kafka.create_topic(&topic, 4, &[]).await;
    let lines = wikipedia_lines();
    assert_eq!(lines.len(), 39_244);
    kafka.produce(&topic, &lines);

    let mut server = Server::start().await;
    server.sql(WIKIPEDIA_DDL).await;
    let brokers = kafka.brokers();
    server
        .sql(&format!(
            "CREATE SOURCE wiki TO wikipedia FROM KAFKA (brokers = '{brokers}', topic = '{topic}', start = 'earliest') FORMAT JSON"
        ))
        .await;
    server.until("SELECT count(*) FROM wikipedia", "39244", Duration::from_secs(60)).await;
    check(&server, "mutable").await;
    server.sql("SEAL TABLE wikipedia").await;
    check(&server, "sealed").await;
    let offsets = "SELECT sum(committed_offset) FROM system.source_partitions WHERE source = 'wiki'";
    assert_eq!(server.one(offsets).await, "39244");
    server.kill();
    server.restart().await;
    check(&server, "restarted").await;

    kafka.produce(&topic, &lines[..1_000]);
    server.until("SELECT count(*) FROM wikipedia", "40244", Duration::from_secs(60)).await;
    server.sql("SEAL TABLE wikipedia").await;
    assert!(server.stop().await.success(), "SIGTERM ends it well");
    parts_are_plain_parquet(&server);
}

/// With the server off, DuckDB reads the files that `millrace parts` lists and agrees.
fn parts_are_plain_parquet(server: &Server) {
    let listed = server.parts("wikipedia");
    let files: Vec<String> =
        listed.split_whitespace().filter(|word| word.ends_with(".parquet")).map(|path| format!("'{path}'")).collect();
    assert!(!files.is_empty(), "millrace parts lists no file: {listed}");
    let sql = format!("SELECT count(*), sum(added), count(DISTINCT page) FROM read_parquet([{}])", files.join(", "));
    let ours = oracle::duckdb(&sql);
    let theirs = oracle::duckdb(
        "SELECT count(*), sum(added), count(DISTINCT page) FROM (SELECT * FROM wikipedia UNION ALL (SELECT * FROM wikipedia LIMIT 1000))",
    );
    assert_eq!(ours, theirs);
}
