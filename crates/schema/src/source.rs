//! Sources: where a table's rows come from.

use crate::ColumnId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the first read of a topic begins; later reads go on from the table's own positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPosition {
    /// The oldest record there is.
    Earliest,
    /// Only records written from now on.
    Latest,
    /// The first record at or after this instant, microseconds since 1970.
    Timestamp(i64),
}

/// What to do when records were deleted before we read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Stop the source and say so.
    Fail,
    /// Go on after the gap and record it in `system.commits`.
    Skip,
}

/// What to do with a record that cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Keep it in the table's dead letters.
    DeadLetter,
    /// Pass over it, counted.
    Skip,
    /// Stop the source and say so.
    Fail,
}

/// How a number becomes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// By magnitude: < 1e11 seconds, < 1e14 ms, < 1e17 µs, else ns.
    Auto,
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

/// Who defined a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceOrigin {
    /// `CREATE SOURCE`.
    Sql,
    /// A file of `sources.d`; only the file changes it.
    File(PathBuf),
}

/// The Kafka end of a source.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaSource {
    /// `host:port[,host:port…]`.
    pub brokers: String,
    /// The one topic.
    pub topic: String,
    /// Where the first read begins.
    pub start: StartPosition,
    /// What a gap means.
    pub on_gap: OnGap,
    /// Any librdkafka setting; values may be `env:NAME` or `file:PATH`, resolved when the client is built.
    pub properties: BTreeMap<String, String>,
}

/// Secrets never reach a log: only the names of properties are shown.
impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("start", &self.start)
            .field("on_gap", &self.on_gap)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// One source, feeding one table from one topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceDef {
    /// Name, unique among sources.
    pub name: String,
    /// Where the records are.
    pub kafka: KafkaSource,
    /// Columns filled from another place than the field of their name: column id → JSON path text.
    pub mapping: BTreeMap<ColumnId, String>,
    /// What becomes of poison.
    pub on_error: OnError,
    /// How numbers become times.
    pub time_unit: TimeUnit,
    /// Who defined it.
    pub origin: SourceOrigin,
    /// Whether the user paused it (or its file vanished).
    pub paused: bool,
}
