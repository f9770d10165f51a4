//! A real Apache Kafka broker, driven through `tests/kafka/kafka.sh`, and what tests do with it.

use crate::checkout;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A broker.
#[derive(Debug)]
pub struct Kafka {
    dir: PathBuf,
    port: u16,
    /// Whether this value started it and stops it.
    own: Option<tempfile::TempDir>,
}

impl Kafka {
    /// The broker that `tests/run.sh` started; where there is none, a broker of this test's own.
    pub fn shared() -> Self {
        match (std::env::var("MILLRACE_TEST_KAFKA"), std::env::var("MILLRACE_TEST_KAFKA_PORT")) {
            (Ok(dir), Ok(port)) => Self { dir: dir.into(), port: port.parse().unwrap(), own: None },
            _ => Self::own(),
        }
    }

    /// A broker of one's own, to be stopped and started.
    pub fn own() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let top = tempfile::Builder::new().prefix("millrace-kafka-").tempdir().unwrap();
        let offset = u64::from(std::process::id()) * 7 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(30_000 + offset % 2_500 * 10).unwrap();
        let kafka = Self { dir: top.path().join("broker"), port, own: Some(top) };
        kafka.script(&["format", kafka.dir.to_str().unwrap(), &port.to_string()]);
        kafka.start();
        kafka
    }

    fn script(&self, args: &[&str]) -> String {
        let output = Command::new("bash").arg(checkout().join("tests/kafka/kafka.sh")).args(args).output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        assert!(output.status.success(), "kafka.sh {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Starts the broker; returns when it serves.
    pub fn start(&self) {
        self.script(&["start", self.dir.to_str().unwrap()]);
    }

    /// Stops the broker.
    pub fn stop(&self) {
        self.script(&["kill", self.dir.to_str().unwrap()]);
    }

    /// Runs a command-line class of Kafka's and returns what it printed.
    pub fn tool(&self, class: &str, args: &[&str]) -> String {
        self.script(&[&["tool", self.dir.to_str().unwrap(), class], args].concat())
    }

    /// Its folder: certificates are in `tls/`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `host:port` of the plaintext listener.
    pub fn brokers(&self) -> String {
        self.listener(0)
    }

    /// `host:port` of listener 0 plaintext, 1 SASL_PLAINTEXT, 2 SSL, 3 SASL_SSL.
    pub fn listener(&self, n: u16) -> String {
        format!("127.0.0.1:{}", self.port + n)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().unwrap()
    }

    fn options() -> AdminOptions {
        AdminOptions::new()
            .operation_timeout(Some(Duration::from_secs(20)))
            .request_timeout(Some(Duration::from_secs(20)))
    }

    /// Creates a topic with settings such as `("retention.ms", "1000")`.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        for result in self.admin().create_topics([&topic], &Self::options()).await.unwrap() {
            result.unwrap();
        }
        self.wait_for_partitions(name, partitions).await;
    }

    /// Deletes a topic.
    pub async fn delete_topic(&self, name: &str) {
        for result in self.admin().delete_topics(&[name], &Self::options()).await.unwrap() {
            result.unwrap();
        }
    }

    /// Raises a topic's partitions.
    pub async fn add_partitions(&self, name: &str, total: usize) {
        let wanted = NewPartitions::new(name, total);
        for result in self.admin().create_partitions([&wanted], &Self::options()).await.unwrap() {
            result.unwrap();
        }
        self.wait_for_partitions(name, i32::try_from(total).unwrap()).await;
    }

    /// Deletes every record below `offset` of a partition.
    pub async fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).unwrap();
        self.admin().delete_records(&list, &Self::options()).await.unwrap();
    }

    /// Metadata lags behind an admin call: waits until every partition has a leader.
    async fn wait_for_partitions(&self, name: &str, partitions: i32) {
        let consumer: rdkafka::consumer::BaseConsumer = self.config().create().unwrap();
        crate::wait_for("partitions with leaders", Duration::from_secs(20), || async {
            let metadata = consumer.fetch_metadata(Some(name), Duration::from_secs(5)).ok()?;
            let led = metadata.topics().first()?.partitions().iter().filter(|p| p.leader() >= 0).count();
            (i32::try_from(led).unwrap() >= partitions).then_some(())
        })
        .await;
    }

    /// A producer with `settings` on top of quick defaults.
    pub fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer {
        let mut config = self.config();
        config.set("linger.ms", "1").set("queue.buffering.max.messages", "1000000").set("compression.type", "lz4");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create().unwrap()
    }

    /// Produces payloads, spread over the partitions, and waits until the broker has them all.
    pub fn produce<P: AsRef<[u8]>>(&self, topic: &str, payloads: impl IntoIterator<Item = P>) {
        let producer = self.producer(&[("linger.ms", "20")]);
        for payload in payloads {
            send(&producer, BaseRecord::<(), [u8]>::to(topic).payload(payload.as_ref()));
        }
        producer.flush(Duration::from_secs(60)).unwrap();
    }
}

/// Sends one record, polling while the producer's queue is full.
pub fn send(producer: &BaseProducer, record: BaseRecord<'_, (), [u8]>) {
    let mut record = record;
    while let Err((_, back)) = producer.send(record) {
        producer.poll(Duration::from_millis(10));
        record = back;
    }
    producer.poll(Duration::ZERO);
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if self.own.is_some() {
            self.stop();
        }
    }
}
