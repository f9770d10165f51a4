//! The threads behind the sources: launching, halting, reporting.

use super::{PartitionReport, SourceReport, Supervisor};
use crate::lag::{Shared, State};
use crate::pipeline::Pipeline;
use millrace_schema::{SourceDef, SourceOrigin};
use millrace_storage::Family;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a wait for a thread looks.
const LOOK: Duration = Duration::from_millis(5);
/// How long CREATE SOURCE waits for the broker's first answer.
const FIRST_WORD: Duration = Duration::from_secs(3);

/// One source of the supervisor.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) table: String,
    pub(super) family: Arc<Family>,
    pub(super) def: SourceDef,
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Option<std::thread::JoinHandle<()>>,
}

impl Entry {
    /// A source without a thread.
    pub(super) fn new(table: &str, family: Arc<Family>, def: SourceDef) -> Self {
        let state = if def.paused { State::Paused } else { State::Connecting };
        Self { table: table.to_owned(), family, def, shared: Arc::new(Shared::new(state, None)), thread: None }
    }

    /// What `system.sources` shows.
    pub(super) fn report(&self, name: &str, now: i64) -> SourceReport {
        let told = self.shared.lock();
        let connecting = (told.state == State::Connecting).then(|| "connecting to the broker".to_owned());
        SourceReport {
            name: name.to_owned(),
            table: self.table.clone(),
            state: told.state.as_str(),
            error: told.error.clone().or(connecting),
            def: self.def.clone(),
            unknown_fields: told.unknown_fields,
            partitions: told
                .partitions
                .iter()
                .map(|(partition, lag)| PartitionReport {
                    partition: *partition,
                    high_watermark: lag.end,
                    lag_seconds: lag.seconds(now),
                })
                .collect(),
        }
    }
}

impl Supervisor {
    /// Takes over the sources that SQL defined before; those of files wait for the files.
    pub(super) fn adopt(&self) {
        for (table, family) in self.store.families() {
            let sources: Vec<SourceDef> = family.view().manifest.sources.values().map(|s| s.def.clone()).collect();
            for def in sources {
                let entry = Entry::new(&table, Arc::clone(&family), def);
                if entry.def.origin == SourceOrigin::Sql {
                    self.launch(entry, false);
                } else {
                    let name = entry.def.name.clone();
                    entry.shared.set(State::Paused, Some("its file has not been read yet".into()));
                    entry.shared.finish();
                    self.entries().insert(name, entry);
                }
            }
        }
    }

    /// Registers a source and, unless it is paused, starts its thread. `told`: go on after a failure.
    pub(super) fn launch(&self, mut entry: Entry, told: bool) {
        let name = entry.def.name.clone();
        if !entry.def.paused {
            self.sharers.fetch_add(1, Ordering::Relaxed);
            let pipeline = Pipeline {
                store: Arc::clone(&self.store),
                family: Arc::clone(&entry.family),
                def: entry.def.clone(),
                factory: Arc::clone(&self.factory),
                runtime: self.runtime.clone(),
                clock: self.clock.clone(),
                record_bytes: self.config.record_bytes,
                sharers: Arc::clone(&self.sharers),
                shared: Arc::clone(&entry.shared),
                told,
                missing_since: None,
                beyond: 0,
            };
            let named = std::thread::Builder::new().name(format!("source {name}"));
            match named.spawn(move || pipeline.run()) {
                Ok(thread) => entry.thread = Some(thread),
                Err(error) => {
                    self.sharers.fetch_sub(1, Ordering::Relaxed);
                    entry.shared.set(State::Failed, Some(format!("no thread for the source: {error}")));
                    entry.shared.finish();
                }
            }
        }
        self.entries().insert(name, entry);
    }

    /// Replaces a halted source's definition and state, keeping what is known of its partitions.
    pub(super) fn settle(&self, name: &str, def: SourceDef, state: State, why: Option<String>) {
        if let Some(entry) = self.entries().get_mut(name) {
            let shared = Shared::new(state, why);
            shared.lock().partitions = entry.shared.lock().partitions.clone();
            shared.finish();
            entry.def = def;
            entry.shared = Arc::new(shared);
        }
    }

    /// Stops a source's thread; when this returns it appends nothing more, or `stop_timeout` has passed.
    pub(super) async fn halt(&self, name: &str) {
        let halted = self.entries().get_mut(name).map(|entry| {
            entry.shared.stop();
            (Arc::clone(&entry.shared), entry.thread.take())
        });
        let Some((shared, thread)) = halted else { return };
        if thread.is_some() {
            self.sharers.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.wait_until(self.config.stop_timeout, || shared.finished()).await {
            tracing::warn!(source = name, "the source's thread did not stop in time and is left behind");
        }
    }

    /// Forgets the sources of dropped tables.
    pub(super) async fn reap(&self) {
        let dropped = |entry: &Entry| entry.family.is_dropped();
        let gone: Vec<String> =
            self.entries().iter().filter(|(_, entry)| dropped(entry)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.halt(&name).await;
            self.entries().remove(&name);
        }
    }

    /// Stops every thread, within `stop_timeout` in all.
    pub(super) async fn halt_all(&self) {
        let mut shareds = Vec::new();
        let mut threads = Vec::new();
        for entry in self.entries().values_mut() {
            entry.shared.stop();
            shareds.push(Arc::clone(&entry.shared));
            threads.extend(entry.thread.take());
        }
        self.sharers.store(0, Ordering::Relaxed);
        if !self.wait_until(self.config.stop_timeout, || shareds.iter().all(|s| s.finished())).await {
            tracing::warn!("some sources did not stop in time; their threads are left behind");
            return;
        }
        // Clients say goodbye to their brokers after the last append; the process need not wait long for that.
        let goodbye = self.config.stop_timeout.min(Duration::from_secs(1));
        self.wait_until(goodbye, || threads.iter().all(std::thread::JoinHandle::is_finished)).await;
    }

    /// What a new source met within [`FIRST_WORD`]; `None`: it runs.
    pub(super) async fn first_word(&self, name: &str) -> Option<String> {
        let shared = self.entries().get(name).map(|entry| Arc::clone(&entry.shared))?;
        self.wait_until(FIRST_WORD, || shared.state() != State::Connecting).await;
        let told = shared.lock();
        match told.state {
            State::Running | State::Paused => None,
            State::Connecting => Some("no answer from the broker yet".into()),
            State::Waiting | State::Failed => told.error.clone(),
        }
    }

    async fn wait_until(&self, limit: Duration, reached: impl Fn() -> bool) -> bool {
        let until = self.clock.monotonic() + limit;
        while !reached() {
            if self.clock.monotonic() >= until {
                return false;
            }
            self.clock.sleep(LOOK).await;
        }
        true
    }
}
