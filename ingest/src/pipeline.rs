//! One source's thread: connect → bind → position → read → append, and again after trouble.
//!
//! ```text
//!  describe ── topic id is the bound one? ── first positions committed (zero rows) ── open the shard ── assign
//!      ▲                                                                                              │
//!      │ away, unknown, gap, partitions added, schema changed                                         ▼
//!      └──────────────────────────────────────────── poll → decode → append (rows, dead letters, offsets)
//! ```
//! What enters: a source's definition. What leaves: micro-batches with the offsets they cover. Exactly once, because the
//! read position only ever comes from the family's own view, and an append names where it must stand. Deliberately
//! absent: sealing (storage), definitions (supervisor).

mod bind;
mod consume;

use crate::lag::{Shared, State};
use crate::source::{LogSource, SourceFactory, SourceFault};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind};
use millrace_schema::{SourceDef, TableId};
use millrace_storage::{Family, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long one question to the broker may take. Below the three seconds that CREATE SOURCE waits for an answer.
const ASK_TIMEOUT: Duration = Duration::from_millis(2_500);
/// Between attempts while the broker or the topic is away: from the first to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// A bound topic that is not found for so long was deleted; a broker that has just started may not know it yet.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// How often a wait looks whether it should end.
const NAP: Duration = Duration::from_millis(10);

/// What a source's thread works with.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) store: Arc<Store>,
    pub(crate) family: Arc<Family>,
    pub(crate) def: SourceDef,
    pub(crate) factory: Arc<dyn SourceFactory>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) clock: Clock,
    pub(crate) record_bytes: u64,
    /// How many sources share the memory for queues.
    pub(crate) sharers: Arc<AtomicU64>,
    pub(crate) shared: Arc<Shared>,
    /// Somebody said "go on" after a failure: a re-created topic is accepted, once.
    pub(crate) told: bool,
    /// Since when a bound topic is not found, on the monotonic clock.
    pub(crate) missing_since: Option<Duration>,
    /// How often in a row a position stood past the end of its log.
    pub(crate) beyond: u32,
}

/// Marks the thread's end, also where it panics.
struct Finish(Arc<Shared>);

impl Drop for Finish {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(State::Failed, Some("internal error: the source's thread ended; see the log".into()));
        }
        // Another thread may take over before the client has said goodbye to its broker.
        self.0.finish();
    }
}

/// Why a session ended, other than by being told to stop.
#[derive(Debug)]
pub(crate) enum End {
    /// Told to stop.
    Stop,
    /// Start over at once.
    Again,
    /// Start over at once, and look for records that were deleted before we read them.
    CheckGaps,
    /// Start over with a new connection.
    Reconnect,
    /// Start over after a while; why.
    Wait(String),
    /// Somebody must decide; why.
    Fail(String),
}

impl From<SourceFault> for End {
    fn from(fault: SourceFault) -> Self {
        match fault {
            SourceFault::Denied(why) => Self::Fail(why),
            SourceFault::OutOfRange => Self::CheckGaps,
            other => Self::Wait(other.to_string()),
        }
    }
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Conflict => Self::Again,
            _ if error.retryable() || error.kind() == ErrorKind::WrongState => Self::Wait(error.to_string()),
            _ => Self::Fail(error.to_string()),
        }
    }
}

/// How much a source may queue: a power-of-two share, so that shares change seldom.
pub(crate) fn queue_share(limit: u64, sharers: u64) -> u64 {
    (limit / sharers.max(1).checked_next_power_of_two().unwrap_or(1)).max(1 << 20)
}

impl Pipeline {
    /// Runs until told to stop or failed.
    pub(crate) fn run(mut self) {
        let mut source = None;
        let _finish = Finish(Arc::clone(&self.shared));
        let mut pause = PAUSE.0;
        let mut check_gaps = false;
        while !self.shared.stopping() {
            let end = match self.session(&mut source, check_gaps) {
                Ok(never) => match never {},
                Err(end) => end,
            };
            // A wait does not answer the question.
            check_gaps = matches!(end, End::CheckGaps) || (check_gaps && matches!(end, End::Wait(_)));
            if self.family.is_dropped() {
                self.tell(State::Failed, Some("the table was dropped".into()));
                break;
            }
            match end {
                End::Stop => break,
                End::Again | End::CheckGaps => {
                    pause = PAUSE.0;
                    self.nap(NAP);
                }
                End::Reconnect => source = None,
                End::Wait(why) => {
                    if self.shared.state() == State::Running {
                        pause = PAUSE.0;
                    }
                    self.tell(State::Waiting, Some(why));
                    self.nap(pause);
                    pause = (pause * 2).min(PAUSE.1);
                }
                End::Fail(why) => {
                    self.tell(State::Failed, Some(why));
                    break;
                }
            }
        }
    }

    /// From connecting to whatever ends it.
    fn session(
        &mut self,
        source: &mut Option<Box<dyn LogSource>>,
        check_gaps: bool,
    ) -> Result<std::convert::Infallible, End> {
        let share = self.queue_share();
        let source = match source {
            Some(source) => source,
            None => {
                let table = self.table_name();
                let made = self.factory.connect(&table, &self.def, share).map_err(|e| End::Fail(described(&e)))?;
                source.insert(made)
            }
        };
        let info = source.describe(ASK_TIMEOUT).map_err(|fault| self.not_described(fault))?;
        self.missing_since = None;
        if self.shared.stopping() {
            return Err(End::Stop);
        }
        let topic = self.bind(source.as_mut(), &info)?;
        if check_gaps {
            self.mend_gaps(source.as_mut(), &topic, info.partitions)?;
        }
        Err(self.consume(source.as_mut(), &topic, &info, share))
    }

    /// A topic that was never there may come; one that was there and is not was deleted, if it stays away for a while.
    fn not_described(&mut self, fault: SourceFault) -> End {
        let bound = self.family.view().manifest.sources.get(&self.def.name).is_some_and(|state| state.topic.is_some());
        if fault != SourceFault::UnknownTopic {
            self.missing_since = None;
            return fault.into();
        }
        let unknown = || End::Wait(format!("the broker knows no topic {:?}; waiting for it", self.def.kafka.topic));
        if !bound || self.told {
            self.missing_since = None;
            return unknown();
        }
        let now = self.clock.monotonic();
        let since = *self.missing_since.get_or_insert(now);
        if now.saturating_sub(since) < GONE_AFTER {
            return unknown();
        }
        End::Fail(format!(
            "topic {:?} was deleted; once it exists again, ALTER SOURCE … RESUME reads it from its beginning",
            self.def.kafka.topic
        ))
    }

    /// What this source may queue, bytes.
    fn queue_share(&self) -> u64 {
        queue_share(self.store.memory().queues_limit(), self.sharers.load(Ordering::Relaxed))
    }

    fn table_name(&self) -> String {
        self.family.view().table(TableId::BASE).map_or_else(String::new, |t| t.name.clone())
    }

    /// Sets the state and logs a change of it, once.
    fn tell(&self, state: State, why: Option<String>) {
        let reason = why.clone().unwrap_or_default();
        if self.shared.set(state, why) {
            let (source, state) = (self.def.name.as_str(), state.as_str());
            match state {
                "failed" => tracing::error!(source, state, "{reason}"),
                "waiting" => tracing::warn!(source, state, "{reason}"),
                _ => tracing::info!(source, state, "source is {state}"),
            }
        }
    }

    /// Sleeps in small steps, so that a stop is never far.
    fn nap(&self, duration: Duration) {
        let until = self.clock.monotonic() + duration;
        while !self.shared.stopping() {
            let left = until.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return;
            }
            self.clock.block(left.min(NAP));
        }
    }
}

/// An error with its hint, for a state that is one line of text.
pub(crate) fn described(error: &Error) -> String {
    match error.hint_text() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
