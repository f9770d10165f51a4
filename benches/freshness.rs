//! Freshness on real Kafka: from `produce()` to the first pgwire answer that holds the record.
//!
//! One partition, so that an answer of `count(*) = n` holds exactly the first n records. Every record is a sample.
//! Usage: `bench-freshness [RATE [SECONDS]]`, default 5,000 events/s for 60 s, then the same while sealing each second.

use millrace_tests::{Kafka, Server, kafka::send, server::rows};
use rdkafka::producer::{BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BATCHES_PER_SECOND: u64 = 1_000;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().expect("a number"));
    let rate = args.next().unwrap_or(5_000);
    let seconds = args.next().unwrap_or(60);
    let kafka = Arc::new(Kafka::shared());
    for (name, options) in [("steady", ""), ("sealing", ", seal_rows = 5000, seal_age = '1s'")] {
        let latencies = measure(&kafka, name, options, rate, seconds).await;
        windows(&latencies, rate);
        report(name, rate, latencies);
    }
}

/// The latency of every record, microseconds.
async fn measure(kafka: &Arc<Kafka>, name: &str, options: &str, rate: u64, seconds: u64) -> Vec<u64> {
    let topic = format!("freshness-{name}-{}", std::process::id());
    kafka.create_topic(&topic, 1, &[]).await;
    let server = Arc::new(Server::start().await);
    server
        .sql(&format!(
            "CREATE TABLE f (id bigint NOT NULL, ts timestamptz, name text) WITH (time_column = 'ts'{options})"
        ))
        .await;
    let brokers = kafka.brokers();
    server
        .sql(&format!("CREATE SOURCE f TO f FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"))
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let start = Instant::now();
    let total = rate * seconds;
    let producing = {
        let kafka = Arc::clone(kafka);
        std::thread::spawn(move || produce(&kafka, &topic, start, rate, total))
    };
    let done = Arc::new(AtomicBool::new(false));
    let answers = answers(&server, start, total, &done).await;
    let produced = producing.join().unwrap();
    let mut latencies = Vec::with_capacity(produced.len());
    let mut next = 0;
    for (at, count) in answers {
        while next < count.min(produced.len()) {
            latencies.push(at.saturating_sub(produced[next]));
            next += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    latencies
}

/// Produces at an even pace; when each record was handed to `produce()`, microseconds after `start`.
fn produce(kafka: &Kafka, topic: &str, start: Instant, rate: u64, total: u64) -> Vec<u64> {
    let producer = kafka.producer(&[("linger.ms", "0")]);
    let mut times = Vec::with_capacity(usize::try_from(total).unwrap());
    let mut sent = 0;
    for tick in 1.. {
        let due = (tick * rate / BATCHES_PER_SECOND).min(total);
        while sent < due {
            let payload = format!(r#"{{"id":{sent},"ts":"2026-01-01T00:00:00Z","name":"event {}"}}"#, sent % 100);
            times.push(u64::try_from(start.elapsed().as_micros()).unwrap());
            send(&producer, BaseRecord::<(), [u8]>::to(topic).payload(payload.as_bytes()));
            sent += 1;
        }
        if sent == total {
            break;
        }
        let next = Duration::from_micros(tick * 1_000_000 / BATCHES_PER_SECOND);
        // Not `poll(wait)`: below a millisecond the client spins, and takes a core from those it measures.
        producer.poll(Duration::ZERO);
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    times
}

/// Asks over pgwire, again and again, how many records there are: (microseconds after `start`, count).
async fn answers(server: &Server, start: Instant, total: u64, done: &AtomicBool) -> Vec<(u64, usize)> {
    let client = server.connect().await;
    let mut answers = Vec::new();
    let wanted = usize::try_from(total).unwrap();
    while !done.load(Ordering::Relaxed) {
        let count: usize =
            rows(&client, "SELECT count(*) FROM f").await.unwrap()[0][0].as_ref().unwrap().parse().unwrap();
        answers.push((u64::try_from(start.elapsed().as_micros()).unwrap(), count));
        if count >= wanted {
            break;
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    answers
}

/// Median and p99 of each five seconds, in order: warm-up and stalls show here.
fn windows(latencies: &[u64], rate: u64) {
    let shown = latencies.chunks(usize::try_from(rate * 5).unwrap()).map(|window| {
        let mut sorted = window.to_vec();
        sorted.sort_unstable();
        format!("{:.1}/{:.1}", sorted[sorted.len() / 2] as f64 / 1e3, sorted[sorted.len() * 99 / 100] as f64 / 1e3)
    });
    println!("freshness p50/p99 ms of each 5 s: {}", shown.collect::<Vec<_>>().join(" "));
}

fn report(name: &str, rate: u64, mut latencies: Vec<u64>) {
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize] as f64 / 1_000.0;
    println!(
        "freshness {name:8} {rate:6} events/s  {:7} samples  p50 {:6.1} ms  p90 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
        latencies.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
