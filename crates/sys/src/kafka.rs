//! Small questions to a consumer that `rdkafka` does not pass on: cluster id, position, known end of a partition.

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka_sys as native;
use std::ffi::{CStr, CString};
use std::time::Duration;

/// Milliseconds as C wants them.
pub(crate) fn millis(duration: Duration) -> libc::c_int {
    libc::c_int::try_from(duration.as_millis()).unwrap_or(libc::c_int::MAX)
}

/// The id of the cluster behind a consumer, or `None` where no broker told it within `timeout`. Blocks until then only
/// while no metadata arrived yet.
pub fn cluster_id<C: ConsumerContext>(consumer: &BaseConsumer<C>, timeout: Duration) -> Option<String> {
    let client = consumer.client().native_ptr();
    // SAFETY: `client` lives as long as `consumer`, which is borrowed for the whole call. The answer is NULL or a
    // NUL-terminated string that we own and must give back with `rd_kafka_mem_free` (`rdkafka` 0.39 leaks it).
    unsafe {
        let text = native::rd_kafka_clusterid(client, millis(timeout));
        if text.is_null() {
            return None;
        }
        let owned = CStr::from_ptr(text).to_string_lossy().into_owned();
        native::rd_kafka_mem_free(client, text.cast());
        Some(owned)
    }
}

/// The position of one partition: one past the last record (control records included) that was handed to us since
/// `assign`; `None` where none was. No request, no round trip to librdkafka's own thread.
pub fn position<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, partition: i32) -> Option<i64> {
    let name = CString::new(topic).ok()?;
    let client = consumer.client().native_ptr();
    // SAFETY: the list is ours from `new` to `destroy`; `add` copies the name and returns a pointer into the list, which
    // has exactly one element, so that `elems` points to it afterwards; `rd_kafka_position` only fills in its offset.
    unsafe {
        let list = native::rd_kafka_topic_partition_list_new(1);
        if list.is_null() {
            return None;
        }
        native::rd_kafka_topic_partition_list_add(list, name.as_ptr(), partition);
        let answer = native::rd_kafka_position(client, list);
        let offset = if (*list).cnt == 1 { (*(*list).elems).offset } else { -1 };
        native::rd_kafka_topic_partition_list_destroy(list);
        (answer == native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && offset >= 0).then_some(offset)
    }
}

/// The end of one partition's log as the last fetch answer told it; `None` before the first. No request.
pub fn cached_end<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, partition: i32) -> Option<i64> {
    let name = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1_i64, -1_i64);
    // SAFETY: `name`, `low` and `high` outlive the call, which writes two integers and keeps no pointer.
    let answer = unsafe {
        native::rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            name.as_ptr(),
            partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (answer == native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// The names of every setting this build of librdkafka knows, to suggest one for a misspelt name.
pub fn known_properties() -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: `conf` is ours from `new` to `destroy`. `dump` returns `count` pointers, name and value in turn; names are
    // NUL-terminated; the array lives until `dump_free`, before which every name is copied.
    unsafe {
        let conf = native::rd_kafka_conf_new();
        let mut count = 0_usize;
        let array = native::rd_kafka_conf_dump(conf, &raw mut count);
        if !array.is_null() {
            for i in (0..count).step_by(2) {
                let name = *array.add(i);
                if !name.is_null() {
                    names.push(CStr::from_ptr(name).to_string_lossy().into_owned());
                }
            }
            native::rd_kafka_conf_dump_free(array, count);
        }
        native::rd_kafka_conf_destroy(conf);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;

    #[test]
    fn settings_have_names() {
        let names = known_properties();
        assert!(names.iter().any(|n| n == "fetch.queue.backoff.ms"), "{names:?}");
        assert!(names.iter().any(|n| n == "security.protocol"));
    }

    #[test]
    fn without_a_broker_nothing_is_known_and_nothing_hangs() {
        let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", "127.0.0.1:9").create().unwrap();
        assert_eq!(cluster_id(&consumer, Duration::from_millis(20)), None);
        assert_eq!(position(&consumer, "t", 0), None);
        assert_eq!(cached_end(&consumer, "t", 0), None);
        assert_eq!(position(&consumer, "nul\0", 0), None);
    }
}
