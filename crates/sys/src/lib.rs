//! The only crate that may hold `unsafe`: what librdkafka and the kernel offer and no safe wrapper does.
//!
//! What enters: a consumer of `rdkafka`, names, time limits. What leaves: topic ids, cluster ids, positions, the names of
//! librdkafka's settings; a lowered thread priority; a tuned allocator. Deliberately absent: policy, retries, anything that waits without a
//! limit. Every `unsafe` block says why it is sound.
#![allow(
    unsafe_code,
    reason = "the one crate that calls C: librdkafka's admin API, setpriority(2), mimalloc's options"
)]

mod allocator;
mod kafka;
mod priority;
mod topic_query;

pub use allocator::tune_allocator;
pub use kafka::{cached_end, cluster_id, known_properties, position};
pub use priority::lower_thread_priority;
pub use topic_query::{DescribeError, Respondent, TopicAnswer, TopicQuery, respondent};
