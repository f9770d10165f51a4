//! Trouble with real Kafka, each kind with its outcome: the topic never stops for bad data, and no good row is lost.

use millrace_tests::{Kafka, Server, kafka::send, wait_for};
use rdkafka::producer::{BaseRecord, Producer};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn topic(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn numbered(range: std::ops::Range<u64>) -> impl Iterator<Item = String> {
    range.map(|i| format!("{{\"id\":{i}}}"))
}

async fn table(server: &Server, name: &str) {
    server.sql(&format!("CREATE TABLE {name} (id bigint NOT NULL) WITH (sort_by = 'id')")).await;
}

fn source(name: &str, brokers: &str, topic: &str, more: &str) -> String {
    format!("CREATE SOURCE {name} TO {name} FROM KAFKA (brokers = '{brokers}', topic = '{topic}'{more}) FORMAT JSON")
}

async fn state(server: &Server, name: &str, wanted: &str) -> String {
    wait_for(&format!("{name} {wanted}"), LIMIT, || async {
        let rows = server.sql(&format!("SELECT state, error FROM system.sources WHERE name = '{name}'")).await;
        let row = rows.first()?;
        (row[0].as_deref() == Some(wanted)).then(|| row[1].clone().unwrap_or_default())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_waited_for() {
    let kafka = Kafka::own();
    let topic = topic("away");
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.stop();
    let server = Server::start().await;
    table(&server, "a").await;
    let (ok, out, err) = server.psql(&["-c", &source("a", &kafka.brokers(), &topic, "")]);
    assert!(ok && out.contains("CREATE SOURCE") && err.contains("WARNING"), "{out}{err}");
    state(&server, "a", "waiting").await;
    kafka.start();
    kafka.produce(&topic, numbered(0..10));
    server.until("SELECT count(*) FROM a", "10", LIMIT).await;
    state(&server, "a", "running").await;
    kafka.stop();
    let error = state(&server, "a", "waiting").await;
    assert!(!error.is_empty(), "a waiting source says why");
    kafka.start();
    kafka.produce(&topic, numbered(10..20));
    server.until("SELECT count(*) FROM a", "20", LIMIT).await;
    state(&server, "a", "running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_come_grow_and_go() {
    let kafka = Kafka::shared();
    let topic = topic("grow");
    let server = Server::start().await;
    table(&server, "g").await;
    server.sql(&source("g", &kafka.brokers(), &topic, "")).await;
    let error = state(&server, "g", "waiting").await;
    assert!(error.contains(&topic), "names the topic: {error}");
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(0..10));
    server.until("SELECT count(*) FROM g", "10", LIMIT).await;

    kafka.add_partitions(&topic, 3).await;
    kafka.produce(&topic, numbered(10..100));
    server.until("SELECT count(*) FROM g", "100", LIMIT).await;
    server.until("SELECT count(*) FROM system.source_partitions WHERE source = 'g'", "3", LIMIT).await;
    server.sql("SEAL TABLE g").await;

    kafka.delete_topic(&topic).await;
    state(&server, "g", "failed").await;
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(100..110));
    let error = state(&server, "g", "failed").await;
    assert!(!error.is_empty());
    assert_eq!(server.one("SELECT count(*) FROM g").await, "100", "nothing of another topic slips in");
    server.sql("ALTER SOURCE g RESUME").await;
    server.until("SELECT count(*) FROM g", "110", LIMIT).await;
}

/// librdkafka takes a new topic of the same name for the old one where its log is long enough: we must not.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_re_created_with_a_longer_log_is_not_the_old_one() {
    let kafka = Kafka::shared();
    let topic = topic("longer");
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(0..10));
    let server = Server::start().await;
    table(&server, "n").await;
    server.sql(&source("n", &kafka.brokers(), &topic, "")).await;
    server.until("SELECT count(*) FROM n", "10", LIMIT).await;
    kafka.delete_topic(&topic).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(100..160));
    state(&server, "n", "failed").await;
    assert_eq!(server.one("SELECT count(*) FROM n").await, "10", "nothing of the new topic slips in");
    server.sql("ALTER SOURCE n RESUME").await;
    server.until("SELECT count(*) FROM n", "70", LIMIT).await;
    assert_eq!(server.one("SELECT count(DISTINCT id) FROM n").await, "70");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_right_to_the_topic_says_so() {
    let kafka = Kafka::shared();
    let topic = topic("secret");
    kafka.create_topic(&topic, 1, &[]).await;
    let server = Server::start().await;
    table(&server, "s").await;
    let mallory = ", 'security.protocol' = 'SASL_PLAINTEXT', 'sasl.mechanism' = 'PLAIN', 'sasl.username' = 'mallory', 'sasl.password' = 'mallory-secret'";
    server.sql(&source("s", &kafka.listener(1), &topic, mallory)).await;
    let error = state(&server, "s", "failed").await;
    assert!(error.contains("TOPIC_AUTHORIZATION_FAILED"), "{error}");
    let shown = server.sql("SHOW CREATE SOURCE s").await;
    assert!(!format!("{shown:?}").contains("mallory-secret"), "secrets are never shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_scram_work() {
    let kafka = Kafka::shared();
    let topic = topic("safe");
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(0..5));
    let server = Server::start().await;
    table(&server, "t").await;
    let ca = kafka.dir().join("tls/ca.pem");
    let scram = format!(
        ", 'security.protocol' = 'SASL_SSL', 'ssl.ca.location' = '{}', 'sasl.mechanism' = 'SCRAM-SHA-256', 'sasl.username' = 'scram', 'sasl.password' = 'scram-secret'",
        ca.display()
    );
    server.sql(&source("t", &kafka.listener(3), &topic, &scram)).await;
    server.until("SELECT count(*) FROM t", "5", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_gone_fail_or_are_a_recorded_gap() {
    let kafka = Kafka::shared();
    let server = Server::start().await;
    for (name, on_gap) in [("gf", "fail"), ("gs", "skip")] {
        let topic = topic(name);
        kafka.create_topic(&topic, 1, &[]).await;
        kafka.produce(&topic, numbered(0..10));
        table(&server, name).await;
        server.sql(&source(name, &kafka.brokers(), &topic, &format!(", on_gap = '{on_gap}'"))).await;
        server.until(&format!("SELECT count(*) FROM {name}"), "10", LIMIT).await;
        server.sql(&format!("SEAL TABLE {name}")).await;
        server.sql(&format!("ALTER SOURCE {name} PAUSE")).await;
        state(&server, name, "paused").await;
        kafka.produce(&topic, numbered(10..30));
        kafka.delete_records(&topic, 0, 20).await;
        server.sql(&format!("ALTER SOURCE {name} RESUME")).await;
    }
    let error = state(&server, "gf", "failed").await;
    assert!(error.contains("10"), "says which offsets: {error}");
    assert_eq!(server.one("SELECT count(*) FROM gf").await, "10");
    server.until("SELECT count(*) FROM gs", "20", LIMIT).await;
    let gaps = "SELECT count(*) FROM system.commits WHERE table_name = 'gs' AND operation = 'gap'";
    server.until(gaps, "1", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_transactions_pass_over() {
    let kafka = Kafka::shared();
    let topic = topic("tx");
    kafka.create_topic(&topic, 1, &[]).await;
    let producer = kafka.producer(&[("transactional.id", &topic), ("enable.idempotence", "true")]);
    producer.init_transactions(LIMIT).unwrap();
    let transaction = |range: std::ops::Range<u64>, commit: bool| {
        producer.begin_transaction().unwrap();
        for payload in numbered(range) {
            send(&producer, BaseRecord::<(), [u8]>::to(&topic).payload(payload.as_bytes()));
        }
        producer.flush(LIMIT).unwrap();
        if commit { producer.commit_transaction(LIMIT).unwrap() } else { producer.abort_transaction(LIMIT).unwrap() }
    };
    transaction(0..10, true);
    transaction(1_000..1_010, false);
    transaction(10..20, true);
    transaction(2_000..2_010, false);
    let server = Server::start().await;
    table(&server, "x").await;
    server.sql(&source("x", &kafka.brokers(), &topic, "")).await;
    server.until("SELECT count(*) FROM x", "20", LIMIT).await;
    assert_eq!(server.one("SELECT max(id) FROM x").await, "19");
    // Positions reach the end of the log: 40 records and 4 control records, the tail all aborted.
    server.until("SELECT visible_offset FROM system.source_partitions WHERE source = 'x'", "44", LIMIT).await;
    server.sql("SEAL TABLE x").await;
    server.until("SELECT lag FROM system.source_partitions WHERE source = 'x'", "0", LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_has_holes() {
    let kafka = Kafka::shared();
    let topic = topic("holes");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("max.compaction.lag.ms", "200"),
    ];
    kafka.create_topic(&topic, 1, &settings).await;
    let producer = kafka.producer(&[]);
    for round in 0..6 {
        for i in 0..20u64 {
            let payload = format!("{{\"id\":{}}}", round * 100 + i);
            let key = i.to_string();
            producer.send(BaseRecord::to(&topic).key(&key).payload(&payload)).unwrap();
        }
        producer.flush(LIMIT).unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let server = Server::start().await;
    table(&server, "c").await;
    server.sql(&source("c", &kafka.brokers(), &topic, "")).await;
    server.until("SELECT visible_offset FROM system.source_partitions WHERE source = 'c'", "120", LIMIT).await;
    // Whatever the cleaner left: every key's last record is there, once.
    assert_eq!(server.one("SELECT count(DISTINCT id) FROM c WHERE id >= 500").await, "20");
    assert_eq!(server.one("SELECT count(*) - count(DISTINCT id) FROM c").await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_own_tool_sees_our_lag() {
    let kafka = Kafka::shared();
    let topic = topic("lag");
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, numbered(0..100));
    let server = Server::start().await;
    table(&server, "l").await;
    server.sql(&source("l", &kafka.brokers(), &topic, "")).await;
    server.until("SELECT count(*) FROM l", "100", LIMIT).await;
    server.sql("SEAL TABLE l").await;
    let brokers = kafka.brokers();
    let described = wait_for("the group's lag", LIMIT, || async {
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        let text = kafka.tool(class, &["--bootstrap-server", &brokers, "--describe", "--all-groups"]);
        let line = text.lines().find(|l| l.contains(&topic))?.to_owned();
        line.split_whitespace().any(|w| w == "100").then_some(line)
    })
    .await;
    assert!(described.split_whitespace().any(|w| w == "0"), "lag 0: {described}");
}
