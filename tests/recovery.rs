//! kill -9 at any moment loses nothing and doubles nothing.

use millrace_tests::{Kafka, Server, ServerOptions, kafka::send, rounds};
use rdkafka::producer::{BaseRecord, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KEYS: u64 = 16;

/// What was produced in all.
#[derive(Debug, Clone, Copy, Default)]
struct Produced {
    good: u64,
    poison: u64,
}

fn payload(n: u64) -> String {
    if n % 97 == 3 { format!("{{poison {n}") } else { format!(r#"{{"id":{n},"key":{},"seq":{n}}}"#, n % KEYS) }
}

/// Produces numbered records until told to stop.
fn produce(kafka: &Kafka, topic: &str, stop: &AtomicBool) -> Produced {
    let producer = kafka.producer(&[]);
    let mut made = Produced::default();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            let partition = i32::try_from(n % 4).unwrap();
            send(&producer, BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(payload(n).as_bytes()));
            if n % 97 == 3 {
                made.poison += 1
            } else {
                made.good += 1
            }
            n += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    made
}

async fn set_up(kafka: &Kafka, topic: &str, server: &Server) {
    kafka.create_topic(topic, 4, &[]).await;
    let table = "CREATE TABLE r (id bigint NOT NULL, key bigint, seq bigint) WITH (sort_by = 'key, seq', seal_rows = 2000, seal_age = '300ms')";
    server.sql(table).await;
    let brokers = kafka.brokers();
    server
        .sql(&format!("CREATE SOURCE r TO r FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"))
        .await;
}

/// Count = distinct = produced, the greatest number of every key right, dead letters neither lost nor doubled.
async fn check(server: &Server, made: Produced) {
    server.until("SELECT count(*) FROM r", &made.good.to_string(), Duration::from_secs(60)).await;
    assert_eq!(server.one("SELECT count(DISTINCT id) FROM r").await, made.good.to_string());
    let total = made.good + made.poison;
    for row in server.sql("SELECT key, max(seq) FROM r GROUP BY key ORDER BY key").await {
        let (key, max): (u64, u64) =
            (row[0].as_ref().unwrap().parse().unwrap(), row[1].as_ref().unwrap().parse().unwrap());
        let wanted = (0..total).rev().find(|n| n % KEYS == key && n % 97 != 3).unwrap();
        assert_eq!(max, wanted, "greatest of key {key}");
    }
    let letters = server.sql("SELECT count(*), count(DISTINCT (partition, record_offset)) FROM r_dead_letters").await;
    let poison = made.poison.to_string();
    assert_eq!(letters[0], [Some(poison.clone()), Some(poison)], "dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments() {
    let kafka = Arc::new(Kafka::shared());
    let topic = format!("kills-{}", std::process::id());
    let mut server = Server::start().await;
    set_up(&kafka, &topic, &server).await;
    let stop = Arc::new(AtomicBool::new(false));
    let producer = {
        let (kafka, stop, topic) = (Arc::clone(&kafka), Arc::clone(&stop), topic.clone());
        std::thread::spawn(move || produce(&kafka, &topic, &stop))
    };
    let mut random = u64::from(std::process::id());
    for _ in 0..rounds(20, 200) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(100 + (random >> 33) % 900)).await;
        server.kill();
        server.spawn(&ServerOptions::default());
        // Now and then during the recovery itself.
        if random >> 62 == 0 {
            tokio::time::sleep(Duration::from_millis((random >> 40) % 60)).await;
            server.kill();
            server.spawn(&ServerOptions::default());
        }
        server.ready().await;
    }
    stop.store(true, Ordering::Relaxed);
    let made = producer.join().unwrap();
    check(&server, made).await;
    server.sql("SEAL TABLE r").await;
    check(&server, made).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_every_pair_of_steps_of_a_seal() {
    let kafka = Kafka::shared();
    for (i, step) in ["frozen", "parts-written", "committed", "published"].iter().enumerate() {
        let topic = format!("step-{i}-{}", std::process::id());
        let crash = ServerOptions { env: vec![("MILLRACE_CRASH_AT".into(), (*step).into())], args: vec![] };
        let mut server = Server::start().await;
        set_up(&kafka, &topic, &server).await;
        kafka.produce(&topic, (0..1_500).map(payload));
        let poison = (0..1_500).filter(|n| n % 97 == 3).count() as u64;
        let made = Produced { good: 1_500 - poison, poison };
        check_counts(&server, made).await;
        server.kill();
        server.restart_with(&crash).await;
        // The seal comes by itself; the process dies at the step.
        let client = server.connect().await;
        let _dies = client.simple_query("SEAL TABLE r").await;
        assert!(!server.ended(Duration::from_secs(30)).await.success(), "{step}");
        server.restart().await;
        check_counts(&server, made).await;
        server.sql("SEAL TABLE r").await;
        check_counts(&server, made).await;
    }
}

async fn check_counts(server: &Server, made: Produced) {
    server.until("SELECT count(*) FROM r", &made.good.to_string(), Duration::from_secs(60)).await;
    assert_eq!(server.one("SELECT count(DISTINCT id) FROM r").await, made.good.to_string());
    assert_eq!(server.one("SELECT count(*) FROM r_dead_letters").await, made.poison.to_string());
}
