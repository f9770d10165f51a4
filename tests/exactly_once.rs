//! The promise: every answer holds exactly the records below the offsets it names, and no reader ever sees it decrease.

use millrace_tests::{Kafka, Server, kafka::send, server::rows};
use rdkafka::producer::{BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const READERS: usize = 8;
const ANSWERS: usize = 10_000;
const QUERY: &str =
    "SELECT (SELECT count(*) FROM promise), (SELECT count(*) FROM promise_dead_letters), millrace_offsets('promise')";

/// Produces good records and every 50th poison, until told to stop; how many.
fn produce(kafka: &Kafka, topic: &str, stop: &AtomicBool) -> usize {
    let producer = kafka.producer(&[]);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..50 {
            let payload = if n % 50 == 7 { "{poison".to_owned() } else { format!(r#"{{"id":{n},"v":{}}}"#, n % 1_000) };
            send(&producer, BaseRecord::<(), [u8]>::to(topic).payload(payload.as_bytes()));
            n += 1;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    n
}

/// Records below the next offsets of an answer; every partition began at 0.
fn covered(offsets: &str) -> u64 {
    let offsets: serde_json::Value = serde_json::from_str(offsets).unwrap();
    let topics = offsets.as_object().unwrap().values().flat_map(|t| t.as_object().unwrap().values());
    topics.flat_map(|p| p.as_object().unwrap().values()).map(|n| n.as_u64().unwrap()).sum()
}

/// Reads until enough answers were seen by all readers together; the answers this one saw.
async fn read(server: Arc<Server>, seen: Arc<AtomicUsize>) -> usize {
    let client = server.connect().await;
    let (mut last, mut own) = (0, 0);
    while seen.fetch_add(1, Ordering::Relaxed) < ANSWERS {
        let answer = rows(&client, QUERY).await.unwrap();
        let field = |i: usize| answer[0][i].clone().unwrap();
        let (good, dead): (u64, u64) = (field(0).parse().unwrap(), field(1).parse().unwrap());
        let covered = covered(&field(2));
        assert_eq!(good + dead, covered, "rows {good}, dead letters {dead}, offsets {}", field(2));
        assert!(covered >= last, "a reader saw {covered} after {last}");
        last = covered;
        own += 1;
    }
    own
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_records_below_its_offsets() {
    let kafka = Arc::new(Kafka::shared());
    let topic = format!("promise-{}", std::process::id());
    kafka.create_topic(&topic, 4, &[]).await;
    let server = Arc::new(Server::start().await);
    server.sql("CREATE TABLE promise (id bigint NOT NULL, v integer) WITH (sort_by = 'id', seal_rows = 5000, seal_age = '500ms')").await;
    let brokers = kafka.brokers();
    server
        .sql(&format!(
            "CREATE SOURCE promise TO promise FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"
        ))
        .await;

    let stop = Arc::new(AtomicBool::new(false));
    let producer = {
        let (kafka, stop, topic) = (Arc::clone(&kafka), Arc::clone(&stop), topic.clone());
        std::thread::spawn(move || produce(&kafka, &topic, &stop))
    };
    let seen = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..READERS).map(|_| tokio::spawn(read(Arc::clone(&server), Arc::clone(&seen)))).collect();
    let mut answers = 0;
    for reader in readers {
        answers += reader.await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let produced = producer.join().unwrap();
    assert!(answers >= ANSWERS, "{answers} answers");
    let seals: u64 = server.one("SELECT count(*) FROM system.commits WHERE operation = 'seal'").await.parse().unwrap();
    assert!(seals >= 3, "only {seals} seals while reading");
    let dead = (produced + 42) / 50;
    server.until("SELECT count(*) FROM promise", &(produced - dead).to_string(), Duration::from_secs(30)).await;
    server
        .until("SELECT count(DISTINCT id) FROM promise", &(produced - dead).to_string(), Duration::from_secs(5))
        .await;
    server.until("SELECT count(*) FROM promise_dead_letters", &dead.to_string(), Duration::from_secs(5)).await;
}
