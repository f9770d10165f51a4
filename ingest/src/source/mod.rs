//! A log that can be read from any position: topics, partitions, offsets.
//!
//! What enters: positions to read from. What leaves: records, positions moved over what is not a record, and what went
//! wrong. A source commits nothing and decides nothing: retries, gaps and states belong to the pipeline. Two
//! implementations: [`kafka`] and [`scripted`]. Nothing here says that a source owns its connection, so that several may
//! share one client later.

pub(crate) mod kafka;
mod kafka_properties;
pub mod scripted;

use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{SourceDef, StartPosition};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

pub use kafka::KafkaFactory;
pub use kafka_properties::validate_kafka;

/// One record, borrowed from the client's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, milliseconds since 1970, where the log says so.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its payload.
    pub payload: Option<&'a [u8]>,
}

/// What a poll yields, in the log's order within a partition.
#[derive(Debug)]
pub enum Event<'a> {
    /// A record.
    Record(Record<'a>),
    /// The position of a partition moved to `next` over what is no record (control records, aborted transactions, holes
    /// of compaction), or stands there; at the end of what may be read now.
    AtEnd {
        /// The partition.
        partition: i32,
        /// The first offset not read.
        next: i64,
    },
    /// Something went wrong; polling may go on unless the fault says otherwise.
    Fault(SourceFault),
}

/// How much one poll may yield.
#[derive(Debug, Clone, Copy)]
pub struct PollLimits {
    /// Records.
    pub records: usize,
    /// Bytes of keys and payloads; passed by at most one record.
    pub bytes: usize,
}

/// What a topic is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// The cluster's id.
    pub cluster: String,
    /// The topic's id.
    pub topic_uuid: Uuid,
    /// How many partitions, numbered from 0.
    pub partitions: i32,
}

/// The bounds of a partition's log, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub low: i64,
    /// The first offset that is not there yet (of what may be read: open transactions are beyond it).
    pub high: i64,
}

/// What went wrong, as far as the pipeline must tell apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFault {
    /// The broker cannot be reached; the client keeps trying.
    Away(String),
    /// The broker knows no such topic.
    UnknownTopic,
    /// We may not read or describe the topic, or not log in.
    Denied(String),
    /// Some position is not in its log any more, or not yet: look at the watermarks. Its partition is not read on.
    OutOfRange,
    /// Anything else; start over after a while.
    Other(String),
}

/// A connection to one topic. Used by one thread; every call is bounded by its timeout.
pub trait LogSource: Send + fmt::Debug {
    /// What the topic is, asked now. Must not be called between `assign` and the last wanted `poll`: it may discard events.
    ///
    /// # Errors
    /// The fault, once it is sure or `timeout` has passed.
    fn describe(&mut self, timeout: Duration) -> Result<TopicInfo, SourceFault>;

    /// Asks again what the topic is, without waiting; the answer comes from [`LogSource::described`].
    fn ask(&mut self, timeout: Duration);

    /// The answer to [`LogSource::ask`]; `None`: not asked, or no answer yet.
    fn described(&mut self) -> Option<Result<TopicInfo, SourceFault>>;

    /// Where each of `partitions` begins under `start`.
    ///
    /// # Errors
    /// The fault; nothing is known then.
    fn resolve(
        &mut self,
        partitions: &[i32],
        start: &StartPosition,
        timeout: Duration,
    ) -> Result<BTreeMap<i32, i64>, SourceFault>;

    /// The bounds of a partition's log, asked now.
    ///
    /// # Errors
    /// The fault.
    fn watermarks(&mut self, partition: i32, timeout: Duration) -> Result<Watermarks, SourceFault>;

    /// The end of a partition's log as last heard; never waits.
    fn known_end(&self, partition: i32) -> Option<i64>;

    /// Reads on from these positions and no others.
    ///
    /// # Errors
    /// The fault.
    fn assign(&mut self, positions: &BTreeMap<i32, i64>) -> Result<(), SourceFault>;

    /// Waits up to `timeout` for a first event and hands over what is queued, up to `limits`. Returns the number of records.
    fn poll(&mut self, limits: PollLimits, timeout: Duration, sink: &mut dyn FnMut(Event<'_>)) -> usize;

    /// Tells the log how far we have come, for people's lag tools only: never read back, never waits, never fails.
    fn commit_progress(&mut self, positions: &BTreeMap<i32, i64>);
}

/// Makes connections.
pub trait SourceFactory: Send + Sync + fmt::Debug {
    /// Checks everything about a definition that can be checked without a broker.
    ///
    /// # Errors
    /// `InvalidValue` naming the setting.
    fn validate(&self, def: &SourceDef) -> Result<()>;

    /// A connection to the topic of `def`, feeding `table`, that queues at most `queue_bytes`. Does not wait for the broker.
    ///
    /// # Errors
    /// `InvalidValue` naming the setting.
    fn connect(&self, table: &str, def: &SourceDef, queue_bytes: u64) -> Result<Box<dyn LogSource>>;
}

impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => write!(f, "broker not reachable: {why}"),
            Self::UnknownTopic => f.write_str("the broker knows no such topic"),
            Self::Denied(why) => write!(f, "not allowed: {why}"),
            Self::OutOfRange => f.write_str("position outside the log"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// What a source turned out to be when it was only looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The topic.
    pub topic: TopicInfo,
    /// The bounds of each partition.
    pub partitions: BTreeMap<i32, Watermarks>,
}

/// Connects to a source and looks, without reading or committing anything; for `millrace sources test`.
///
/// # Errors
/// `InvalidValue` for a setting; `UnknownObject` for the topic; `Denied`; `Io` where no broker answers.
pub fn probe(factory: &dyn SourceFactory, table: &str, def: &SourceDef, timeout: Duration) -> Result<Probe> {
    factory.validate(def)?;
    let mut source = factory.connect(table, def, 1 << 20)?;
    let failed = |fault: SourceFault| {
        let kind = match fault {
            SourceFault::UnknownTopic => ErrorKind::UnknownObject,
            SourceFault::Denied(_) => ErrorKind::Denied,
            _ => ErrorKind::Io,
        };
        Error::new(kind, fault.to_string()).with("brokers", &def.kafka.brokers).with("topic", &def.kafka.topic)
    };
    let topic = source.describe(timeout).map_err(failed)?;
    let mut partitions = BTreeMap::new();
    for partition in 0..topic.partitions {
        partitions.insert(partition, source.watermarks(partition, timeout).map_err(failed)?);
    }
    Ok(Probe { topic, partitions })
}
