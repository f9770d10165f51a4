//! The consumer against librdkafka's mock cluster.

use super::*;
use crate::testing::source;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const LIMITS: PollLimits = PollLimits { records: 100, bytes: 1 << 20 };

pub(super) fn connect(brokers: &str, topic: &str) -> Box<dyn LogSource> {
    let mut def = source("s", topic);
    def.kafka.brokers = brokers.into();
    KafkaFactory::new(Clock::system()).connect("t", &def, 1 << 20).unwrap()
}

pub(super) fn produce(brokers: &str, topic: &str, payloads: &[&str]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    for payload in payloads {
        producer.send(BaseRecord::to(topic).partition(0).key("k").payload(*payload)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Polls until `count` records and the end were met; returns their texts.
pub(super) fn read(log: &mut dyn LogSource, count: usize) -> (Vec<String>, Option<i64>) {
    let clock = Clock::system();
    let (mut texts, mut end) = (Vec::new(), None);
    while (texts.len() < count || end.is_none()) && clock.monotonic() < PATIENCE {
        log.poll(LIMITS, Duration::from_millis(100), &mut |event| match event {
            Event::Record(record) => {
                assert_eq!(record.key, Some(&b"k"[..]));
                texts.push(String::from_utf8(record.payload.unwrap().to_vec()).unwrap());
            }
            Event::AtEnd { next, .. } => end = Some(next),
            Event::Fault(fault) => panic!("{fault}"),
        });
    }
    (texts, end)
}

#[test]
fn records_are_read_from_the_position_given() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("topic", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    produce(&brokers, "topic", &["a", "b", "c"]);
    let mut log = connect(&brokers, "topic");
    let info = log.describe(PATIENCE).unwrap();
    assert_eq!(info.partitions, 1);
    assert!(!info.cluster.is_empty());
    let start = |log: &mut Box<dyn LogSource>, start| log.resolve(&[0], &start, PATIENCE).unwrap()[&0];
    assert_eq!(start(&mut log, StartPosition::Earliest), 0);
    assert_eq!(start(&mut log, StartPosition::Latest), 3);
    log.assign(&BTreeMap::from([(0, 1)])).unwrap();
    let (texts, end) = read(log.as_mut(), 2);
    assert_eq!((texts, end), (vec!["b".to_owned(), "c".to_owned()], Some(3)));
    assert_eq!(log.known_end(0), Some(3));
    log.commit_progress(&BTreeMap::from([(0, 3)]));
    // Asking again leaves reading alone.
    log.ask(PATIENCE);
    produce(&brokers, "topic", &["d"]);
    assert_eq!(read(log.as_mut(), 1).0, vec!["d".to_owned()]);
    let clock = Clock::system();
    let answer = loop {
        if let Some(answer) = log.described() {
            break answer;
        }
        assert!(clock.monotonic() < PATIENCE);
        log.poll(LIMITS, Duration::from_millis(10), &mut |_| {});
    };
    assert_eq!(answer.unwrap(), info);
    // From an older position once more, after a second describe.
    assert_eq!(log.describe(PATIENCE).unwrap(), info);
    log.assign(&BTreeMap::from([(0, 0)])).unwrap();
    assert_eq!(read(log.as_mut(), 4).0.len(), 4);
}

#[test]
fn a_position_beyond_the_end_is_out_of_range() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("topic", 1, 1).unwrap();
    let mut log = connect(&cluster.bootstrap_servers(), "topic");
    log.describe(PATIENCE).unwrap();
    log.assign(&BTreeMap::from([(0, 50)])).unwrap();
    let clock = Clock::system();
    let mut met = None;
    while met.is_none() && clock.monotonic() < PATIENCE {
        log.poll(LIMITS, Duration::from_millis(100), &mut |event| {
            if let Event::Fault(fault) = event {
                met = Some(fault);
            }
        });
    }
    assert_eq!(met, Some(SourceFault::OutOfRange));
    assert_eq!(log.watermarks(0, PATIENCE).unwrap(), Watermarks { low: 0, high: 0 });
}

#[test]
fn a_dead_broker_is_away_soon() {
    let mut log = connect("127.0.0.1:9", "topic");
    let clock = Clock::system();
    let fault = log.describe(Duration::from_millis(2_500)).unwrap_err();
    assert!(matches!(fault, SourceFault::Away(_)), "{fault:?}");
    assert!(clock.monotonic() < Duration::from_secs(3));
}
