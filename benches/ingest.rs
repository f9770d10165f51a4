//! Ingestion of JSON Wikipedia events from a real broker: rows per CPU-second of the server, until visible and until in parts.
//!
//! Usage: `bench-ingest [ROWS]`, default 2,000,000: the 39,244 real events again and again.

use millrace_tests::{Kafka, Server, WIKIPEDIA_DDL, kafka::send, wikipedia_lines};
use rdkafka::producer::{BaseRecord, Producer};
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() {
    let rows = std::env::args().nth(1).map_or(2_000_000, |a| a.parse::<usize>().expect("a number"));
    let kafka = Kafka::shared();
    let topic = format!("ingest-{}", std::process::id());
    kafka.create_topic(&topic, 4, &[]).await;
    let lines = wikipedia_lines();
    let producer = kafka.producer(&[("linger.ms", "20")]);
    for line in lines.iter().cycle().take(rows) {
        send(&producer, BaseRecord::<(), [u8]>::to(&topic).payload(line.as_bytes()));
    }
    producer.flush(Duration::from_secs(120)).unwrap();

    let server = Server::start().await;
    server.sql(WIKIPEDIA_DDL).await;
    let (start, before) = (Instant::now(), server.cpu_seconds());
    let brokers = kafka.brokers();
    server
        .sql(&format!("CREATE SOURCE w TO wikipedia FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"))
        .await;
    server.until("SELECT count(*) FROM wikipedia", &rows.to_string(), Duration::from_secs(600)).await;
    report("until visible", rows, server.cpu_seconds() - before, start.elapsed());
    server.sql("SEAL TABLE wikipedia").await;
    report("until in parts", rows, server.cpu_seconds() - before, start.elapsed());
    let parts = server.one("SELECT sum(bytes) FROM system.parts").await;
    let bytes: f64 = parts.parse().unwrap();
    println!("ingest parts hold {:.1} bytes a row", bytes / rows as f64);
}

fn report(what: &str, rows: usize, cpu: f64, wall: Duration) {
    println!(
        "ingest {what:14} {rows} rows  {cpu:6.2} CPU-s  {:5.3} M rows per CPU-s  {:5.3} M rows/s by the wall",
        rows as f64 / cpu / 1e6,
        rows as f64 / wall.as_secs_f64() / 1e6
    );
}
