//! Against a real Apache Kafka: what the mock cluster cannot do.
//!
//! `MILLRACE_KAFKA` names its PLAINTEXT listener; `MILLRACE_KAFKA_SASL` its SASL_PLAINTEXT one, with a user `mallory`
//! (password `mallory-secret`) who may do nothing and `alice` (`alice-secret`) who may do everything.

use super::tests::{LIMITS, PATIENCE, connect, produce, read};
use super::*;
use crate::testing::{Lab, source};
use crate::{IngestConfig, Supervisor};
use millrace_schema::OnGap;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

fn brokers() -> String {
    std::env::var("MILLRACE_KAFKA").expect("MILLRACE_KAFKA=host:port of a real Kafka")
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap()
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(PATIENCE))
}

async fn create(topic: &str, partitions: i32) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    admin().create_topics([&new], &options()).await.unwrap()[0].as_ref().unwrap();
}

async fn delete(topic: &str) {
    admin().delete_topics(&[topic], &options()).await.unwrap()[0].as_ref().unwrap();
}

/// A topic name nobody used before.
fn fresh(name: &str) -> String {
    format!("{name}-{:x}", Clock::system().random())
}

async fn supervisor(lab: &Lab) -> Arc<Supervisor> {
    let config = IngestConfig { ..lab.config() };
    Supervisor::start(Arc::clone(&lab.store), config, lab.clock.clone()).await.unwrap()
}

fn def(topic: &str) -> SourceDef {
    let mut def = source("s", topic);
    def.kafka.brokers = brokers();
    def
}

fn ids(from: i64, to: i64) -> Vec<String> {
    (from..to).map(|id| format!(r#"{{"id":{id}}}"#)).collect()
}

fn send(topic: &str, from: i64, to: i64) {
    let ids = ids(from, to);
    produce(&brokers(), topic, &ids.iter().map(String::as_str).collect::<Vec<_>>());
}

fn transact(topic: &str, id: &str, payloads: &[String], commit: bool) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers()).set("transactional.id", id).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for payload in payloads {
        producer.send(BaseRecord::to(topic).partition(0).key("k").payload(payload)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    if commit { producer.commit_transaction(PATIENCE).unwrap() } else { producer.abort_transaction(PATIENCE).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn aborted_transactions_and_control_records_pass_over() {
    let topic = fresh("tx");
    create(&topic, 1).await;
    let lab = Lab::new().await;
    let supervisor = supervisor(&lab).await;
    assert_eq!(supervisor.create("t", def(&topic)).await.unwrap(), None);
    transact(&topic, &topic, &ids(0, 5), true);
    transact(&topic, &topic, &ids(5, 10), false);
    // 5 rows, 5 aborted records, 2 control records: the tail is no record at all.
    lab.until("position passes the aborted tail", || lab.family.view().offsets()["s"][&topic][&0] == 12).await;
    assert_eq!(lab.mutable_ids(), (0..5).collect::<Vec<_>>());
    send(&topic, 10, 12);
    lab.until("rows after it", || lab.rows() == 7).await;
    lab.until("caught up", || supervisor.caught_up()).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn partitions_grow_and_a_recreated_topic_fails_until_told() {
    let topic = fresh("grow");
    create(&topic, 1).await;
    send(&topic, 0, 10);
    let lab = Lab::new().await;
    let supervisor = supervisor(&lab).await;
    assert_eq!(supervisor.create("t", def(&topic)).await.unwrap(), None);
    lab.until("rows", || lab.rows() == 10).await;
    admin().create_partitions(&[NewPartitions::new(&topic, 2)], &options()).await.unwrap()[0].as_ref().unwrap();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap();
    producer.send(BaseRecord::to(&topic).partition(1).key("k").payload(r#"{"id":77}"#)).unwrap();
    producer.flush(PATIENCE).unwrap();
    // The topic is asked about every ten seconds.
    lab.clock.sleep(Duration::from_secs(10)).await;
    lab.until("rows of the new partition", || lab.rows() == 11).await;
    delete(&topic).await;
    lab.clock.sleep(Duration::from_millis(500)).await;
    create(&topic, 1).await;
    send(&topic, 100, 103);
    lab.clock.sleep(Duration::from_secs(10)).await;
    let report = lab.state(&supervisor, "s", "failed").await;
    let error = report.error.unwrap();
    assert!(error.contains("created again") || error.contains("deleted"), "{error}");
    assert_eq!(lab.rows(), 11, "nothing of the new topic was read");
    supervisor.resume("s").await.unwrap();
    lab.until("rows of the new topic", || lab.rows() == 14).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn deleted_records_are_a_gap() {
    let topic = fresh("gap");
    create(&topic, 1).await;
    send(&topic, 0, 10);
    let lab = Lab::new().await;
    let supervisor = supervisor(&lab).await;
    let mut def = def(&topic);
    def.kafka.on_gap = OnGap::Skip;
    assert_eq!(supervisor.create("t", def).await.unwrap(), None);
    lab.until("rows", || lab.rows() == 10).await;
    supervisor.pause("s").await.unwrap();
    send(&topic, 10, 20);
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(&topic, 0, Offset::Offset(15)).unwrap();
    admin().delete_records(&until, &options()).await.unwrap();
    supervisor.resume("s").await.unwrap();
    lab.until("rows after the gap", || lab.rows() == 15).await;
    assert!(lab.family.commits().iter().any(|c| c.operation == "gap" && c.offsets[0].2 == 10 && c.offsets[0].3 == 15));
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn rights_and_passwords_are_told() {
    let topic = fresh("denied");
    create(&topic, 1).await;
    let sasl = std::env::var("MILLRACE_KAFKA_SASL").expect("MILLRACE_KAFKA_SASL=host:port");
    let lab = Lab::new().await;
    let supervisor = supervisor(&lab).await;
    let mut def = def(&topic);
    def.kafka.brokers = sasl;
    let mut as_user = |user: &str, password: &str| {
        for (key, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", user),
            ("sasl.password", password),
        ] {
            def.kafka.properties.insert(key.into(), value.into());
        }
        def.clone()
    };
    let warning = supervisor.create("t", as_user("mallory", "mallory-secret")).await.unwrap().unwrap();
    assert!(warning.contains("TOPIC_AUTHORIZATION_FAILED"), "{warning}");
    lab.state(&supervisor, "s", "failed").await;
    supervisor.drop_source("s").await.unwrap();
    let warning = supervisor.create("t", as_user("alice", "wrong")).await.unwrap().unwrap();
    assert!(warning.to_lowercase().contains("auth"), "{warning}");
    supervisor.drop_source("s").await.unwrap();
    assert_eq!(supervisor.create("t", as_user("alice", "alice-secret")).await.unwrap(), None);
    send(&topic, 0, 3);
    lab.until("rows", || lab.rows() == 3).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn starts_are_resolved_and_progress_is_committed() {
    let topic = fresh("start");
    create(&topic, 1).await;
    send(&topic, 0, 3);
    let clock = Clock::system();
    clock.sleep(Duration::from_millis(50)).await;
    let between = clock.now();
    clock.sleep(Duration::from_millis(50)).await;
    send(&topic, 3, 5);
    let mut log = connect(&brokers(), &topic);
    log.describe(PATIENCE).unwrap();
    let at = |log: &mut Box<dyn LogSource>, start| log.resolve(&[0], &start, PATIENCE).unwrap()[&0];
    assert_eq!(at(&mut log, StartPosition::Timestamp(between)), 3);
    assert_eq!(at(&mut log, StartPosition::Timestamp(between + 3_600_000_000)), 5);
    assert_eq!(at(&mut log, StartPosition::Latest), 5);
    log.assign(&BTreeMap::from([(0, 0)])).unwrap();
    assert_eq!(read(log.as_mut(), 5).0.len(), 5);
    log.commit_progress(&BTreeMap::from([(0, 4)]));
    let lag: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers()).set("group.id", "millrace.t").create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&topic, 0);
    for _ in 0..100 {
        log.poll(LIMITS, Duration::from_millis(50), &mut |_| {});
        let answer = lag.committed_offsets(asked.clone(), PATIENCE).unwrap();
        if answer.elements()[0].offset() == Offset::Offset(4) {
            return;
        }
    }
    panic!("the group's commit never arrived");
}

/// From `produce()` to visible, 5,000 records a second for five seconds. Prints what it met; the bound only tells a stall
/// from a busy machine (`benches/freshness` is what measures).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka"]
async fn records_are_visible_within_milliseconds() {
    let topic = fresh("fresh");
    create(&topic, 4).await;
    let lab = Lab::new().await;
    let supervisor = supervisor(&lab).await;
    assert_eq!(supervisor.create("t", def(&topic)).await.unwrap(), None);
    let clock = lab.clock.clone();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers()).set("linger.ms", "1").create().unwrap();
    let named = topic.clone();
    let producing = std::thread::spawn(move || {
        let begun = clock.monotonic();
        let mut sent = Vec::new();
        for id in 0..25_000_u64 {
            let due = begun + Duration::from_micros(200) * u32::try_from(id).unwrap();
            while clock.monotonic() < due {
                clock.block(Duration::from_micros(100));
            }
            sent.push(clock.monotonic());
            let payload = format!(r#"{{"id":{id}}}"#);
            let partition = i32::try_from(id % 4).unwrap();
            producer.send(BaseRecord::to(&named).partition(partition).key("k").payload(&payload)).unwrap();
            producer.poll(Duration::ZERO);
        }
        producer.flush(PATIENCE).unwrap();
        sent
    });
    // When each count of rows was first seen.
    let mut seen: Vec<Duration> = Vec::new();
    while seen.len() < 25_000 && lab.clock.monotonic() < Duration::from_secs(40) {
        let rows = usize::try_from(lab.rows()).unwrap();
        seen.resize(rows.max(seen.len()), lab.clock.monotonic());
        lab.clock.block(Duration::from_micros(300));
    }
    let sent = producing.join().unwrap();
    assert_eq!(seen.len(), 25_000);
    let mut delays: Vec<Duration> = sent.iter().zip(&seen).map(|(sent, seen)| seen.saturating_sub(*sent)).collect();
    delays.sort_unstable();
    println!("p50 {:?} p99 {:?} max {:?}", delays[12_500], delays[24_750], delays[24_999]);
    supervisor.stop().await;
    assert!(delays[12_500] < Duration::from_secs(5), "{:?}", delays[12_500]);
}
