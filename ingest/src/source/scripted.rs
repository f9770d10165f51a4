//! An in-memory log with faults: what a broker can do to us, on demand.
//!
//! What enters: records and faults, from tests and `.slt` directives. What leaves: the same [`LogSource`] a real broker
//! gives. A [`ScriptedBroker`] is a handle; clones share one broker.

use super::{Event, LogSource, PollLimits, Record, SourceFactory, SourceFault, TopicInfo, Watermarks};
use millrace_error::Result;
use millrace_schema::{SourceDef, StartPosition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// A broker in memory.
#[derive(Debug, Clone, Default)]
pub struct ScriptedBroker(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    away: bool,
    denied: bool,
    uuids: u128,
    topics: BTreeMap<String, Topic>,
    committed: BTreeMap<(String, i32), i64>,
}

#[derive(Debug)]
struct Topic {
    uuid: Uuid,
    partitions: Vec<Log>,
}

#[derive(Debug, Default)]
struct Log {
    low: i64,
    next: i64,
    records: VecDeque<Stored>,
}

#[derive(Debug, Clone)]
struct Stored {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
}

/// One reader of one topic.
#[derive(Debug)]
struct ScriptedLog {
    broker: ScriptedBroker,
    topic: String,
    positions: BTreeMap<i32, Reader>,
    asked: bool,
}

#[derive(Debug, Clone, Copy)]
struct Reader {
    next: i64,
    ended_at: Option<i64>,
    broken: bool,
}

impl ScriptedBroker {
    /// A broker without topics.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.0.changed.notify_all();
    }

    fn change_log(&self, topic: &str, partition: i32, change: impl FnOnce(&mut Log)) {
        self.change(|state| {
            if let Some(log) = state.topics.get_mut(topic).and_then(|t| t.log_mut(partition)) {
                change(log);
            }
        });
    }

    /// Creates a topic with empty partitions; over an existing one: deletes and re-creates it, under another id.
    pub fn create_topic(&self, topic: &str, partitions: usize) {
        self.change(|state| {
            state.uuids += 1;
            let uuid = Uuid::from_u128((0xA110 << 112) | state.uuids);
            let partitions = (0..partitions).map(|_| Log::default()).collect();
            state.topics.insert(topic.to_owned(), Topic { uuid, partitions });
        });
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, topic: &str) {
        self.change(|state| {
            state.topics.remove(topic);
        });
    }

    /// Adds empty partitions.
    pub fn add_partitions(&self, topic: &str, more: usize) {
        self.change(|state| {
            if let Some(topic) = state.topics.get_mut(topic) {
                topic.partitions.extend((0..more).map(|_| Log::default()));
            }
        });
    }

    /// Appends a record and returns its offset; -1 where there is no such partition.
    pub fn push(&self, topic: &str, partition: i32, timestamp_ms: i64, payload: impl Into<Option<Vec<u8>>>) -> i64 {
        self.push_keyed(topic, partition, timestamp_ms, None, payload.into())
    }

    /// The same, with a key.
    pub fn push_keyed(
        &self,
        topic: &str,
        partition: i32,
        timestamp_ms: i64,
        key: Option<Vec<u8>>,
        payload: Option<Vec<u8>>,
    ) -> i64 {
        let mut given = -1;
        self.change_log(topic, partition, |log| {
            given = log.next;
            log.records.push_back(Stored { offset: log.next, timestamp_ms, key, payload });
            log.next += 1;
        });
        given
    }

    /// Appends `count` offsets without a record: control records, aborted transactions, compaction holes.
    pub fn push_hole(&self, topic: &str, partition: i32, count: i64) {
        self.change_log(topic, partition, |log| log.next += count.max(0));
    }

    /// Deletes every record below `offset`, as retention does.
    pub fn delete_before(&self, topic: &str, partition: i32, offset: i64) {
        self.change_log(topic, partition, |log| {
            log.low = offset.clamp(log.low, log.next);
            log.records.retain(|r| r.offset >= log.low);
        });
    }

    /// Cuts the log off at `offset`, as an unclean election does.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) {
        self.change_log(topic, partition, |log| {
            log.next = offset.clamp(log.low, log.next);
            log.records.retain(|r| r.offset < offset);
        });
    }

    /// Makes the broker reachable or not.
    pub fn set_away(&self, away: bool) {
        self.change(|state| state.away = away);
    }

    /// Takes or gives the right to describe and read.
    pub fn set_denied(&self, denied: bool) {
        self.change(|state| state.denied = denied);
    }

    /// What was last committed for lag tools.
    pub fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        self.state().committed.get(&(topic.to_owned(), partition)).copied()
    }

    /// The end of a partition's log.
    pub fn end(&self, topic: &str, partition: i32) -> Option<i64> {
        self.state().topics.get(topic).and_then(|t| t.log(partition)).map(|log| log.next)
    }
}

impl SourceFactory for ScriptedBroker {
    fn validate(&self, def: &SourceDef) -> Result<()> {
        super::validate_kafka(&def.kafka)
    }

    fn connect(&self, _table: &str, def: &SourceDef, _queue_bytes: u64) -> Result<Box<dyn LogSource>> {
        Ok(Box::new(ScriptedLog {
            broker: self.clone(),
            topic: def.kafka.topic.clone(),
            positions: BTreeMap::new(),
            asked: false,
        }))
    }
}

impl Topic {
    fn log(&self, partition: i32) -> Option<&Log> {
        usize::try_from(partition).ok().and_then(|p| self.partitions.get(p))
    }

    fn log_mut(&mut self, partition: i32) -> Option<&mut Log> {
        usize::try_from(partition).ok().and_then(|p| self.partitions.get_mut(p))
    }
}

impl State {
    fn topic(&self, name: &str) -> Result<&Topic, SourceFault> {
        if self.away {
            return Err(SourceFault::Away("scripted broker is away".into()));
        }
        if self.denied {
            return Err(SourceFault::Denied("TOPIC_AUTHORIZATION_FAILED".into()));
        }
        self.topics.get(name).ok_or(SourceFault::UnknownTopic)
    }

    fn log(&self, name: &str, partition: i32) -> Result<&Log, SourceFault> {
        self.topic(name)?.log(partition).ok_or(SourceFault::UnknownTopic)
    }
}

impl ScriptedLog {
    fn info(&self) -> Result<TopicInfo, SourceFault> {
        let state = self.broker.state();
        let topic = state.topic(&self.topic)?;
        Ok(TopicInfo {
            cluster: "scripted".into(),
            topic_uuid: topic.uuid,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        })
    }

    /// Hands over what is there now; returns events and records given.
    fn drain(&mut self, limits: PollLimits, sink: &mut dyn FnMut(Event<'_>)) -> (usize, usize) {
        let (mut events, mut records, mut bytes) = (0, 0, 0);
        let state = self.broker.state();
        for (partition, reader) in self.positions.iter_mut().filter(|(_, reader)| !reader.broken) {
            let log = match state.log(&self.topic, *partition) {
                Ok(log) => log,
                Err(fault) => {
                    sink(Event::Fault(fault));
                    return (0, records);
                }
            };
            if reader.next < log.low || reader.next > log.next {
                reader.broken = true;
                events += 1;
                sink(Event::Fault(SourceFault::OutOfRange));
                continue;
            }
            let from = log.records.partition_point(|r| r.offset < reader.next);
            for stored in log.records.range(from..) {
                if records >= limits.records || bytes >= limits.bytes {
                    return (events, records);
                }
                records += 1;
                events += 1;
                bytes += stored.payload.as_ref().map_or(0, Vec::len);
                reader.next = stored.offset + 1;
                sink(Event::Record(Record {
                    partition: *partition,
                    offset: stored.offset,
                    timestamp_ms: Some(stored.timestamp_ms),
                    key: stored.key.as_deref(),
                    payload: stored.payload.as_deref(),
                }));
            }
            reader.next = log.next;
            if reader.ended_at != Some(log.next) {
                reader.ended_at = Some(log.next);
                events += 1;
                sink(Event::AtEnd { partition: *partition, next: log.next });
            }
        }
        (events, records)
    }
}

impl LogSource for ScriptedLog {
    fn describe(&mut self, _timeout: Duration) -> Result<TopicInfo, SourceFault> {
        self.positions.clear();
        self.info()
    }

    fn ask(&mut self, _timeout: Duration) {
        self.asked = true;
    }

    fn described(&mut self) -> Option<Result<TopicInfo, SourceFault>> {
        std::mem::take(&mut self.asked).then(|| self.info())
    }

    fn resolve(
        &mut self,
        partitions: &[i32],
        start: &StartPosition,
        _timeout: Duration,
    ) -> Result<BTreeMap<i32, i64>, SourceFault> {
        let state = self.broker.state();
        let mut offsets = BTreeMap::new();
        for partition in partitions {
            let log = state.log(&self.topic, *partition)?;
            let offset = match start {
                StartPosition::Earliest => log.low,
                StartPosition::Latest => log.next,
                StartPosition::Timestamp(micros) => log
                    .records
                    .iter()
                    .find(|r| r.timestamp_ms.saturating_mul(1_000) >= *micros)
                    .map_or(log.next, |r| r.offset),
            };
            offsets.insert(*partition, offset);
        }
        Ok(offsets)
    }

    fn watermarks(&mut self, partition: i32, _timeout: Duration) -> Result<Watermarks, SourceFault> {
        let state = self.broker.state();
        let log = state.log(&self.topic, partition)?;
        Ok(Watermarks { low: log.low, high: log.next })
    }

    fn known_end(&self, partition: i32) -> Option<i64> {
        self.broker.state().log(&self.topic, partition).ok().map(|log| log.next)
    }

    fn assign(&mut self, positions: &BTreeMap<i32, i64>) -> Result<(), SourceFault> {
        let fresh = |next: &i64| Reader { next: *next, ended_at: None, broken: false };
        self.positions = positions.iter().map(|(partition, next)| (*partition, fresh(next))).collect();
        Ok(())
    }

    fn poll(&mut self, limits: PollLimits, timeout: Duration, sink: &mut dyn FnMut(Event<'_>)) -> usize {
        let (events, records) = self.drain(limits, sink);
        if events > 0 || timeout.is_zero() {
            return records;
        }
        let state = self.broker.state();
        drop(self.broker.0.changed.wait_timeout(state, timeout));
        self.drain(limits, sink).1
    }

    fn commit_progress(&mut self, positions: &BTreeMap<i32, i64>) {
        let mut state = self.broker.state();
        if !state.away {
            for (partition, next) in positions {
                state.committed.insert((self.topic.clone(), *partition), *next);
            }
        }
    }
}
