//! What is known of a running source: its state, why, and how far behind each partition is.
//!
//! Written by the source's thread, read by `system.sources`, `/readyz` and the supervisor; a lock held for a few lines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not connected yet since it was started.
    Connecting,
    /// Reading.
    Running,
    /// Cannot read now, tries again by itself.
    Waiting,
    /// Told not to read.
    Paused,
    /// Cannot go on without somebody's decision.
    Failed,
}

impl State {
    /// The word users see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Connecting | Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// How far one partition is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PartitionLag {
    /// The first offset not visible.
    pub(crate) next: i64,
    /// The end of the log as last heard.
    pub(crate) end: Option<i64>,
    /// When the newest record read was written, milliseconds since 1970.
    pub(crate) newest_ms: Option<i64>,
    /// The end that must be reached to have caught up once.
    pub(crate) target: Option<i64>,
    /// Whether that end, or any end, was reached.
    pub(crate) caught_up: bool,
}

impl PartitionLag {
    /// Seconds between the newest record read and `now` (microseconds since 1970); 0 where all is read.
    pub(crate) fn seconds(&self, now: i64) -> Option<f64> {
        if self.next >= self.end? {
            return Some(0.0);
        }
        let behind = now.saturating_sub(self.newest_ms?.saturating_mul(1_000)).max(0);
        Some(std::time::Duration::from_micros(behind.unsigned_abs()).as_secs_f64())
    }
}

/// What the thread tells and is told.
#[derive(Debug)]
pub(crate) struct Shared {
    told: Mutex<Told>,
    stop: AtomicBool,
    done: AtomicBool,
}

/// What the thread tells.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) state: State,
    pub(crate) error: Option<String>,
    pub(crate) unknown_fields: u64,
    pub(crate) partitions: BTreeMap<i32, PartitionLag>,
}

impl Shared {
    /// For a source in `state`.
    pub(crate) fn new(state: State, error: Option<String>) -> Self {
        Self {
            told: Mutex::new(Told { state, error, unknown_fields: 0, partitions: BTreeMap::new() }),
            stop: AtomicBool::new(false),
            done: AtomicBool::new(!matches!(state, State::Connecting)),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets state and reason; says whether anything changed.
    pub(crate) fn set(&self, state: State, error: Option<String>) -> bool {
        let mut told = self.lock();
        let changed = told.state != state || told.error != error;
        told.state = state;
        told.error = error;
        changed
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The thread holds no writer any more and appends nothing more.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Release);
    }

    pub(crate) fn finished(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Whether it reached the end of its log once since it started, or will not without help.
    pub(crate) fn caught_up(&self) -> bool {
        let told = self.lock();
        match told.state {
            State::Connecting => false,
            State::Running => !told.partitions.is_empty() && told.partitions.values().all(|p| p.caught_up),
            State::Waiting | State::Paused | State::Failed => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_zero_at_the_end_and_unknown_before_the_first_answer() {
        let mut lag = PartitionLag { next: 5, newest_ms: Some(1_000), ..PartitionLag::default() };
        assert_eq!(lag.seconds(3_000_000), None);
        lag.end = Some(5);
        assert_eq!(lag.seconds(3_000_000), Some(0.0));
        lag.end = Some(6);
        assert_eq!(lag.seconds(3_000_000), Some(2.0));
        assert_eq!(lag.seconds(0), Some(0.0), "a record from the future is not behind");
    }

    #[test]
    fn a_source_has_caught_up_when_every_partition_has() {
        let shared = Shared::new(State::Connecting, None);
        assert!(!shared.caught_up() && !shared.finished());
        shared.set(State::Running, None);
        assert!(!shared.caught_up(), "no partition known yet");
        shared.lock().partitions.insert(0, PartitionLag { caught_up: true, ..PartitionLag::default() });
        shared.lock().partitions.insert(1, PartitionLag::default());
        assert!(!shared.caught_up());
        shared.lock().partitions.insert(1, PartitionLag { caught_up: true, ..PartitionLag::default() });
        assert!(shared.caught_up());
        assert!(shared.set(State::Failed, Some("x".into())) && !shared.set(State::Failed, Some("x".into())));
    }
}
