//! Apache Kafka through librdkafka: one consumer a source, partitions assigned by hand.
//!
//! What enters: positions. What leaves: records straight from librdkafka's buffers. Deliberately absent: groups (the group
//! id serves lag tools alone), rebalances, retries of our own: librdkafka reconnects by itself.

use super::kafka_properties::{client_config, refused, validate_kafka};
use super::{Event, LogSource, PollLimits, Record, SourceFactory, SourceFault, TopicInfo, Watermarks};
use millrace_clock::Clock;
use millrace_error::Result;
use millrace_schema::{SourceDef, StartPosition};
use millrace_sys::{DescribeError, Respondent, TopicAnswer, TopicQuery};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// How long all brokers must have been down before a describe gives up early: a name with two addresses reports "all down"
/// after the first.
const SURELY_DOWN: Duration = Duration::from_millis(1_200);

/// Makes consumers.
#[derive(Debug, Clone)]
pub struct KafkaFactory {
    clock: Clock,
}

/// One consumer of one topic.
struct KafkaLog {
    consumer: Arc<BaseConsumer<Watcher>>,
    topic: String,
    clock: Clock,
    assigned: bool,
    respondent: Respondent,
    query: Option<TopicQuery<Watcher>>,
}

/// Hears what librdkafka says beside the records.
#[derive(Debug, Default)]
struct Watcher {
    last: Mutex<Option<(RDKafkaErrorCode, String)>>,
    /// The topic under this name became another one. librdkafka goes on at the old offset and only logs it.
    replaced: AtomicBool,
}

impl KafkaFactory {
    /// A factory of real consumers.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl SourceFactory for KafkaFactory {
    fn validate(&self, def: &SourceDef) -> Result<()> {
        validate_kafka(&def.kafka)
    }

    fn connect(&self, table: &str, def: &SourceDef, queue_bytes: u64) -> Result<Box<dyn LogSource>> {
        let config = client_config(table, &def.kafka, queue_bytes)?;
        let consumer = config.create_with_context(Watcher::default()).map_err(|e| refused(&e))?;
        Ok(Box::new(KafkaLog {
            consumer: Arc::new(consumer),
            topic: def.kafka.topic.clone(),
            clock: self.clock.clone(),
            assigned: false,
            respondent: Respondent::Unknown,
            query: None,
        }))
    }
}

impl Watcher {
    fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.replaced.store(false, Ordering::Release);
    }
}

impl ClientContext for Watcher {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // The first id a topic gets is "changed" from the all-zero one.
        if message.contains("changed id from") && !message.contains("from AAAAAAAAAAAAAAAAAAAAAA to") {
            self.replaced.store(true, Ordering::Release);
        }
        // Connection trouble is told once, by the pipeline's state, not with each of librdkafka's attempts.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::warn!(facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let aside = matches!(code, RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::GroupAuthorizationFailed);
        if aside {
            return;
        }
        tracing::debug!(?code, "librdkafka: {reason}");
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // "1/1 brokers are down" follows the reason and says less.
        if code != RDKafkaErrorCode::AllBrokersDown || last.is_none() {
            *last = Some((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Watcher {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!("group commit for lag tools failed: {error}");
        }
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// What a librdkafka error means; `None`: nothing that concerns reading.
    fn fault(&self, error: &KafkaError) -> Option<SourceFault> {
        use RDKafkaErrorCode as E;
        let code = error.rdkafka_error_code().unwrap_or(E::Fail);
        let reason = || self.consumer.context().last().map_or_else(|| code.to_string(), |(_, text)| text);
        match code {
            // One broker of several, or the reason that precedes "all down".
            E::BrokerTransportFailure | E::Resolve | E::OperationTimedOut | E::SSL => None,
            E::GroupAuthorizationFailed | E::NoOffset | E::PartitionEOF => None,
            E::AllBrokersDown | E::Authentication | E::SaslAuthenticationFailed => Some(SourceFault::Away(reason())),
            E::TopicAuthorizationFailed => Some(SourceFault::Denied("TOPIC_AUTHORIZATION_FAILED".into())),
            E::ClusterAuthorizationFailed => Some(SourceFault::Denied("CLUSTER_AUTHORIZATION_FAILED".into())),
            E::UnknownTopic | E::UnknownTopicOrPartition | E::UnknownPartition | E::UnknownTopicId => {
                Some(SourceFault::UnknownTopic)
            }
            E::AutoOffsetReset | E::OffsetOutOfRange => Some(SourceFault::OutOfRange),
            other => Some(SourceFault::Other(format!("{other}: {}", reason()))),
        }
    }

    /// The same for an answer we waited for.
    fn failed(&self, error: &KafkaError) -> SourceFault {
        self.fault(error).unwrap_or_else(|| SourceFault::Away(self.why(&error.to_string())))
    }

    /// The latest reason librdkafka gave, or `otherwise`.
    fn why(&self, otherwise: &str) -> String {
        self.consumer.context().last().map_or_else(|| otherwise.to_owned(), |(_, text)| text)
    }

    /// Serves logs and errors while nothing is assigned, so that no record can be lost by it.
    fn serve_aside(&self) {
        if !self.assigned {
            for _ in 0..16 {
                if self.consumer.poll(Duration::ZERO).is_none() {
                    break;
                }
            }
        }
    }

    fn start_query(&self, timeout: Duration) -> Result<TopicQuery<Watcher>, DescribeError> {
        let broker = match self.respondent {
            Respondent::Broker(id) => Some(id),
            Respondent::Unknown | Respondent::Controller => None,
        };
        TopicQuery::start(Arc::clone(&self.consumer), &self.topic, broker, timeout)
    }

    fn refusal(&self) -> Option<SourceFault> {
        let (code, text) = self.consumer.context().last()?;
        let refused = matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed);
        refused.then_some(SourceFault::Denied(text))
    }

    fn info(&self, answer: Result<TopicAnswer, DescribeError>, timeout: Duration) -> Result<TopicInfo, SourceFault> {
        let topic = answer.map_err(|error| match error {
            DescribeError::UnknownTopic => SourceFault::UnknownTopic,
            DescribeError::Denied => SourceFault::Denied("TOPIC_AUTHORIZATION_FAILED".into()),
            DescribeError::Away(text) => SourceFault::Away(self.why(&text)),
            DescribeError::Other(text) => SourceFault::Other(text),
        })?;
        let cluster = millrace_sys::cluster_id(&self.consumer, timeout)
            .ok_or_else(|| SourceFault::Away(self.why("the cluster told no id")))?;
        Ok(TopicInfo { cluster, topic_uuid: Uuid::from_u128(topic.topic_id), partitions: topic.partitions })
    }

    fn list(&self, positions: &BTreeMap<i32, i64>) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(list)
    }

    fn at_or_after(
        &mut self,
        partitions: &[i32],
        micros: i64,
        timeout: Duration,
    ) -> Result<BTreeMap<i32, i64>, SourceFault> {
        // Kafka counts milliseconds: round up, so that no record before the instant is read.
        let millis = micros.div_euclid(1_000) + i64::from(micros.rem_euclid(1_000) > 0);
        let times = partitions.iter().map(|p| (*p, millis.max(0))).collect();
        let list = self.list(&times).map_err(|e| self.failed(&e))?;
        let found = self.consumer.offsets_for_times(list, timeout).map_err(|e| self.failed(&e))?;
        let mut offsets = BTreeMap::new();
        for element in found.elements() {
            element.error().map_err(|e| self.failed(&e))?;
            let offset = match element.offset() {
                Offset::Offset(offset) => offset,
                // No record that late yet: begin at the end.
                _ => self.watermarks(element.partition(), timeout)?.high,
            };
            offsets.insert(element.partition(), offset);
        }
        Ok(offsets)
    }
}

impl LogSource for KafkaLog {
    fn describe(&mut self, timeout: Duration) -> Result<TopicInfo, SourceFault> {
        self.query = None;
        if self.assigned {
            self.assigned = false;
            self.consumer.unassign().map_err(|e| self.failed(&e))?;
        }
        self.consumer.context().forget();
        let begun = self.clock.monotonic();
        self.respondent = Respondent::Unknown;
        let mut query = match self.start_query(timeout) {
            Ok(query) => query,
            Err(error) => return self.info(Err(error), timeout),
        };
        loop {
            let answer = query.poll(Duration::from_millis(10));
            self.serve_aside();
            if answer.is_none() && self.respondent == Respondent::Unknown {
                self.respondent = millrace_sys::respondent(&self.consumer, &self.topic, Duration::from_millis(500));
                if let (Respondent::Broker(_), Ok(other)) = (self.respondent, self.start_query(timeout)) {
                    query = other;
                }
            }
            let passed = self.clock.monotonic().saturating_sub(begun);
            if let Some(answer) = answer {
                let info = self.info(answer, timeout.saturating_sub(passed).max(Duration::from_millis(100)));
                return info.map_err(|fault| {
                    self.refusal().filter(|_| matches!(fault, SourceFault::Away(_))).unwrap_or(fault)
                });
            }
            if let Some(refusal) = self.refusal() {
                return Err(refusal);
            }
            let down = passed > SURELY_DOWN && self.consumer.context().last().is_some();
            if down || passed > timeout + Duration::from_millis(500) {
                return Err(SourceFault::Away(self.why("no answer in time")));
            }
        }
    }

    fn ask(&mut self, timeout: Duration) {
        if self.query.is_none() {
            self.query = self.start_query(timeout).ok();
        }
    }

    fn described(&mut self) -> Option<Result<TopicInfo, SourceFault>> {
        let answer = self.query.as_ref()?.poll(Duration::ZERO)?;
        self.query = None;
        Some(self.info(answer, Duration::from_millis(100)))
    }

    fn resolve(
        &mut self,
        partitions: &[i32],
        start: &StartPosition,
        timeout: Duration,
    ) -> Result<BTreeMap<i32, i64>, SourceFault> {
        if let StartPosition::Timestamp(micros) = start {
            return self.at_or_after(partitions, *micros, timeout);
        }
        let mut offsets = BTreeMap::new();
        for partition in partitions {
            let marks = self.watermarks(*partition, timeout)?;
            offsets.insert(*partition, if *start == StartPosition::Latest { marks.high } else { marks.low });
        }
        Ok(offsets)
    }

    fn watermarks(&mut self, partition: i32, timeout: Duration) -> Result<Watermarks, SourceFault> {
        let (low, high) =
            self.consumer.fetch_watermarks(&self.topic, partition, timeout).map_err(|e| self.failed(&e))?;
        Ok(Watermarks { low, high })
    }

    fn known_end(&self, partition: i32) -> Option<i64> {
        millrace_sys::cached_end(&self.consumer, &self.topic, partition)
    }

    fn assign(&mut self, positions: &BTreeMap<i32, i64>) -> Result<(), SourceFault> {
        let list = self.list(positions).map_err(|e| self.failed(&e))?;
        self.consumer.assign(&list).map_err(|e| SourceFault::Other(e.to_string()))?;
        self.assigned = true;
        Ok(())
    }

    fn poll(&mut self, limits: PollLimits, timeout: Duration, sink: &mut dyn FnMut(Event<'_>)) -> usize {
        let (mut records, mut bytes, mut wait) = (0_usize, 0_usize, timeout);
        while records < limits.records && bytes < limits.bytes {
            let polled = self.consumer.poll(wait);
            // Logs are served by the poll itself, before the first record of the other topic: nothing of it counts.
            if matches!(polled, Some(Ok(_))) && self.consumer.context().replaced.load(Ordering::Acquire) {
                sink(Event::Fault(SourceFault::Other("the topic was deleted and created again".into())));
                break;
            }
            match polled {
                None => break,
                Some(Ok(message)) => {
                    let (key, payload) = (message.key(), message.payload());
                    records += 1;
                    bytes += key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len);
                    sink(Event::Record(Record {
                        partition: message.partition(),
                        offset: message.offset(),
                        timestamp_ms: message.timestamp().to_millis(),
                        key,
                        payload,
                    }));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    // Control records of transactions move the position; nothing read yet leaves it unknown.
                    let next = millrace_sys::position(&self.consumer, &self.topic, partition).unwrap_or(0);
                    sink(Event::AtEnd { partition, next });
                }
                Some(Err(error)) => {
                    if let Some(fault) = self.fault(&error) {
                        sink(Event::Fault(fault));
                    }
                }
            }
            wait = Duration::ZERO;
        }
        records
    }

    fn commit_progress(&mut self, positions: &BTreeMap<i32, i64>) {
        let sent = self.list(positions).and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = sent {
            tracing::debug!("group commit for lag tools failed: {error}");
        }
    }
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
