//! One memory limit: 5 M rows arrive and a sort that cannot fit is refused, while ingestion goes on.

use millrace_tests::{Kafka, Server, ServerOptions, kafka::send, rounds};
use rdkafka::producer::{BaseRecord, Producer};
use std::time::{Duration, Instant};

const LIMIT: u64 = 1 << 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_under_load() {
    let rows = rounds(1_500_000, 5_000_000);
    let kafka = Kafka::shared();
    let topic = format!("memory-{}", std::process::id());
    kafka.create_topic(&topic, 4, &[]).await;
    let options = ServerOptions { env: vec![("MILLRACE_MEMORY_LIMIT".into(), "1GiB".into())], args: vec![] };
    let server = Server::start_with(&options).await;
    server.sql("CREATE TABLE m (id bigint NOT NULL, name text, v double precision) WITH (sort_by = 'id')").await;
    let brokers = kafka.brokers();
    server
        .sql(&format!("CREATE SOURCE m TO m FROM KAFKA (brokers = '{brokers}', topic = '{topic}') FORMAT JSON"))
        .await;
    let producing = std::thread::spawn(move || {
        let producer = kafka.producer(&[("linger.ms", "20")]);
        for i in 0..rows {
            let payload =
                format!(r#"{{"id":{i},"name":"a name that is long enough to weigh something {i}","v":{i}.5}}"#);
            send(&producer, BaseRecord::<(), [u8]>::to(&topic).payload(payload.as_bytes()));
        }
        producer.flush(Duration::from_secs(120)).unwrap();
        kafka
    });
    let (start, mut peak, mut refused) = (Instant::now(), 0, 0);
    loop {
        let count: usize = server.one("SELECT count(*) FROM m").await.parse().unwrap();
        peak = peak.max(server.anonymous_rss());
        if count == rows {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(400), "{count} of {rows} rows");
        if count > rows / 2 && refused < 3 {
            let sort = "SELECT a.name, a.v, b.name, b.v FROM m a JOIN m b ON a.id = b.id ORDER BY a.name DESC, b.v";
            let (code, message) = server.sql_error(sort).await;
            assert_eq!(code, "53200", "{message}");
            refused += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(producing.join().unwrap());
    assert!(refused > 0, "the sort was never refused");
    assert_eq!(server.one("SELECT count(DISTINCT id) FROM m").await, rows.to_string());
    assert!(peak <= LIMIT / 10 * 12, "anonymous memory reached {} MiB", peak >> 20);
}
