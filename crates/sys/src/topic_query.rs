//! Asking what a topic is: its id, its partitions, or why we may not know.
//!
//! `rd_kafka_DescribeTopics` is not wrapped by `rdkafka`. A [`TopicQuery`] is one such request with its own answer queue,
//! so that a consuming thread can ask and go on polling.

use crate::kafka::millis;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka_sys as native;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// What a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicAnswer {
    /// Kafka's topic id, the 128 bits of its uuid; 0 from brokers before 2.8, which have none.
    pub topic_id: u128,
    /// How many partitions; they are numbered from 0.
    pub partitions: i32,
}

/// Why a topic could not be described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescribeError {
    /// The broker knows no such topic.
    UnknownTopic,
    /// We lack the right to describe it.
    Denied,
    /// No broker answered in time; librdkafka's words.
    Away(String),
    /// Anything else; librdkafka's words.
    Other(String),
}

/// Whom to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respondent {
    /// Nobody answered yet.
    Unknown,
    /// The controller, as librdkafka does by itself.
    Controller,
    /// This broker: the controller the cluster names does not exist (librdkafka's mock cluster names broker 0).
    Broker(i32),
}

/// Whom to ask about `topic`, by what is known now. Waits only where the controller is broker 0, which may not exist: then
/// up to `timeout` for the list of brokers.
pub fn respondent<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, timeout: Duration) -> Respondent {
    // SAFETY: the client lives as long as `consumer`; the call reads one cached integer (its time limit is zero).
    let controller = unsafe { native::rd_kafka_controllerid(consumer.client().native_ptr(), 0) };
    if controller != 0 {
        return if controller < 0 { Respondent::Unknown } else { Respondent::Controller };
    }
    let Ok(metadata) = consumer.fetch_metadata(Some(topic), timeout) else { return Respondent::Unknown };
    let mut brokers = metadata.brokers().iter().map(rdkafka::metadata::MetadataBroker::id);
    if brokers.clone().any(|id| id == controller) {
        return Respondent::Controller;
    }
    brokers.next().map_or(Respondent::Unknown, Respondent::Broker)
}

/// One request under way. The answer can be taken once.
pub struct TopicQuery<C: ConsumerContext + 'static> {
    /// Keeps the client alive for as long as the queue exists.
    consumer: Arc<BaseConsumer<C>>,
    queue: NonNull<native::rd_kafka_queue_t>,
}

// SAFETY: librdkafka's queues are thread-safe (INTRODUCTION.md, "Thread safety"), and the pointer is used by whoever holds
// the value alone.
unsafe impl<C: ConsumerContext + 'static> Send for TopicQuery<C> {}

impl<C: ConsumerContext + 'static> fmt::Debug for TopicQuery<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicQuery").finish_non_exhaustive()
    }
}

impl<C: ConsumerContext + 'static> TopicQuery<C> {
    /// Sends the request, to `broker` or else the controller; librdkafka gives up after `timeout` and then answers `Away`.
    ///
    /// # Errors
    /// `Other` where the name holds a NUL byte or librdkafka is out of memory.
    pub fn start(
        consumer: Arc<BaseConsumer<C>>,
        topic: &str,
        broker: Option<i32>,
        timeout: Duration,
    ) -> Result<Self, DescribeError> {
        let name = CString::new(topic).map_err(|_| DescribeError::Other("the topic name holds a NUL byte".into()))?;
        let client = consumer.client().native_ptr();
        // SAFETY: `client` lives as long as `consumer`, which `Self` keeps. Everything made here is destroyed here, but
        // the queue, which `Self` owns: librdkafka copies topics and options before `DescribeTopics` returns. `names`
        // outlives the call that reads it.
        unsafe {
            let queue = NonNull::new(native::rd_kafka_queue_new(client))
                .ok_or_else(|| DescribeError::Other("no queue for the answer".into()))?;
            let query = Self { consumer, queue };
            let mut names = [name.as_ptr()];
            let topics = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            let op = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
            let options = native::rd_kafka_AdminOptions_new(client, op);
            if topics.is_null() || options.is_null() {
                return Err(DescribeError::Other("no memory for the request".into()));
            }
            let mut text: [c_char; 256] = [0; 256];
            native::rd_kafka_AdminOptions_set_request_timeout(options, millis(timeout), text.as_mut_ptr(), text.len());
            if let Some(broker) = broker {
                native::rd_kafka_AdminOptions_set_broker(options, broker, text.as_mut_ptr(), text.len());
            }
            native::rd_kafka_DescribeTopics(client, topics, options, queue.as_ptr());
            native::rd_kafka_AdminOptions_destroy(options);
            native::rd_kafka_TopicCollection_destroy(topics);
            Ok(query)
        }
    }

    /// The consumer asked.
    pub fn consumer(&self) -> &Arc<BaseConsumer<C>> {
        &self.consumer
    }

    /// Waits up to `wait` (zero: not at all) for the answer; `None`: not yet.
    pub fn poll(&self, wait: Duration) -> Option<Result<TopicAnswer, DescribeError>> {
        // SAFETY: the queue is ours until drop. A non-NULL event is ours until `destroy`; whatever `answer` reads from it
        // is copied before that.
        unsafe {
            let event = native::rd_kafka_queue_poll(self.queue.as_ptr(), millis(wait));
            if event.is_null() {
                return None;
            }
            let answer = answer(event);
            native::rd_kafka_event_destroy(event);
            answer
        }
    }
}

impl<C: ConsumerContext + 'static> Drop for TopicQuery<C> {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once, while the client (an `Arc` field) still lives. An answer
        // that comes later finds its own reference to the queue disabled, which librdkafka handles.
        unsafe { native::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Reads one event.
///
/// # Safety
/// `event` is a live event of a queue.
unsafe fn answer(event: *mut native::rd_kafka_event_t) -> Option<Result<TopicAnswer, DescribeError>> {
    use native::rd_kafka_resp_err_t as E;
    // SAFETY: by the contract of this function; results, descriptions and their ids belong to the event and are only
    // read, within their counts.
    unsafe {
        if native::rd_kafka_event_type(event) != native::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT {
            return None;
        }
        let code = native::rd_kafka_event_error(event);
        if code != E::RD_KAFKA_RESP_ERR_NO_ERROR {
            let text = copied(native::rd_kafka_event_error_string(event));
            return Some(Err(failure(code, text)));
        }
        let result = native::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0_usize;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count == 0 || (*topics).is_null() {
            return Some(Err(DescribeError::UnknownTopic));
        }
        let topic = *topics;
        let error = native::rd_kafka_TopicDescription_error(topic);
        let code = if error.is_null() { E::RD_KAFKA_RESP_ERR_NO_ERROR } else { native::rd_kafka_error_code(error) };
        if code != E::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Some(Err(failure(code, copied(native::rd_kafka_error_string(error)))));
        }
        let mut partitions = 0_usize;
        native::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let (high, low) = if id.is_null() {
            (0, 0)
        } else {
            (native::rd_kafka_Uuid_most_significant_bits(id), native::rd_kafka_Uuid_least_significant_bits(id))
        };
        let topic_id = (u128::from(high.cast_unsigned()) << 64) | u128::from(low.cast_unsigned());
        Some(Ok(TopicAnswer { topic_id, partitions: i32::try_from(partitions).unwrap_or(i32::MAX) }))
    }
}

/// What an error code means to us.
fn failure(code: native::rd_kafka_resp_err_t, text: String) -> DescribeError {
    use native::rd_kafka_resp_err_t as E;
    match code {
        E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
        | E::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
        | E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID => DescribeError::UnknownTopic,
        E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED | E::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED => {
            DescribeError::Denied
        }
        E::RD_KAFKA_RESP_ERR__TIMED_OUT
        | E::RD_KAFKA_RESP_ERR__TRANSPORT
        | E::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
        | E::RD_KAFKA_RESP_ERR__RESOLVE
        | E::RD_KAFKA_RESP_ERR__DESTROY
        | E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
        | E::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE => DescribeError::Away(text),
        _ => DescribeError::Other(text),
    }
}

/// An owned copy of a C string, empty for NULL.
///
/// # Safety
/// `text` is NULL or NUL-terminated.
unsafe fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;

    fn consumer(brokers: &str) -> Arc<BaseConsumer> {
        Arc::new(ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap())
    }

    #[test]
    fn a_topic_has_an_id_and_partitions() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("known", 3, 1).unwrap();
        let consumer = consumer(&cluster.bootstrap_servers());
        assert_eq!(respondent(&consumer, "known", Duration::ZERO), Respondent::Unknown);
        assert!(crate::cluster_id(&consumer, Duration::from_secs(5)).is_some());
        let ask = |topic: &str| {
            let broker = match respondent(&consumer, topic, Duration::from_secs(5)) {
                Respondent::Broker(id) => Some(id),
                _ => None,
            };
            let query = TopicQuery::start(Arc::clone(&consumer), topic, broker, Duration::from_secs(5)).unwrap();
            query.poll(Duration::from_secs(8)).expect("an answer within the timeout")
        };
        let known = ask("known").unwrap();
        assert_eq!(known.partitions, 3);
        assert_eq!(ask("known").unwrap(), known, "the id is stable");
    }

    #[test]
    fn a_dead_broker_is_away_in_time() {
        let query = TopicQuery::start(consumer("127.0.0.1:9"), "t", None, Duration::from_millis(300)).unwrap();
        assert_eq!(query.poll(Duration::ZERO), None);
        let answer = query.poll(Duration::from_secs(5)).expect("librdkafka gives up by itself");
        assert!(matches!(answer, Err(DescribeError::Away(_))), "{answer:?}");
    }

    #[test]
    fn a_query_dropped_before_its_answer_is_harmless() {
        let consumer = consumer("127.0.0.1:9");
        drop(TopicQuery::start(Arc::clone(&consumer), "t", None, Duration::from_millis(50)).unwrap());
        assert!(TopicQuery::start(consumer, "a\0b", None, Duration::from_millis(50)).is_err());
    }
}
