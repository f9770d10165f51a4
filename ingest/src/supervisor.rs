//! Starts, stops and watches the pipelines of every source.
//!
//! What enters: `CREATE/ALTER/DROP SOURCE`, source files. What leaves: commits of definitions, one thread a source, and
//! reports for `system.sources`. One change at a time; reports never wait for one.

mod create;
mod files;
mod threads;

use crate::lag::State;
use crate::source::{KafkaFactory, SourceFactory};
use files::Files;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{SourceDef, SourceOrigin};
use millrace_storage::Store;
use millrace_storage::manifest::Op;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use threads::Entry;

/// Settings of ingestion.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// The folder of source files, `<data-dir>/sources.d`.
    pub sources_dir: PathBuf,
    /// Records above this many bytes are dead letters.
    pub record_bytes: u64,
    /// How long a stop may take before threads are left behind.
    pub stop_timeout: Duration,
}

/// Owner of every source's pipeline.
#[derive(Debug)]
pub struct Supervisor {
    store: Arc<Store>,
    config: IngestConfig,
    clock: Clock,
    factory: Arc<dyn SourceFactory>,
    runtime: tokio::runtime::Handle,
    /// How many sources read now; they share the memory for queues.
    sharers: Arc<AtomicU64>,
    entries: Mutex<BTreeMap<String, Entry>>,
    files: Mutex<Files>,
    /// Held over a whole change, so that changes do not overlap.
    changing: tokio::sync::Mutex<()>,
    watch: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// What is known of one source; positions come from the family's view.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReport {
    /// Name.
    pub name: String,
    /// The table it feeds.
    pub table: String,
    /// `running`, `waiting`, `paused`, `failed`.
    pub state: &'static str,
    /// Why it waits or failed.
    pub error: Option<String>,
    /// The definition.
    pub def: SourceDef,
    /// Unknown fields passed over since start.
    pub unknown_fields: u64,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionReport>,
}

/// What the consumer knows of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionReport {
    /// The partition.
    pub partition: i32,
    /// The end of the log, where known.
    pub high_watermark: Option<i64>,
    /// Seconds between the newest record read and now, 0 where all is read.
    pub lag_seconds: Option<f64>,
}

impl Supervisor {
    /// Starts the pipelines of every committed source and of every source file. A bad file is reported and skipped.
    ///
    /// # Errors
    /// `Io` when the store cannot commit.
    pub async fn start(store: Arc<Store>, config: IngestConfig, clock: Clock) -> Result<Arc<Self>> {
        let factory = Arc::new(KafkaFactory::new(clock.clone()));
        Self::start_with(store, config, clock, factory).await
    }

    /// [`Supervisor::start`] over another kind of log than Kafka, such as [`crate::source::scripted::ScriptedBroker`].
    ///
    /// # Errors
    /// `Io` when the store cannot commit.
    pub async fn start_with(
        store: Arc<Store>,
        config: IngestConfig,
        clock: Clock,
        factory: Arc<dyn SourceFactory>,
    ) -> Result<Arc<Self>> {
        let supervisor = Arc::new(Self {
            store,
            config,
            clock,
            factory,
            runtime: tokio::runtime::Handle::current(),
            sharers: Arc::default(),
            entries: Mutex::default(),
            files: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            watch: Mutex::default(),
        });
        supervisor.adopt();
        supervisor.rescan().await;
        let watch = tokio::spawn(files::watch(Arc::downgrade(&supervisor), supervisor.clock.clone()));
        *supervisor.watch.lock().unwrap_or_else(PoisonError::into_inner) = Some(watch);
        Ok(supervisor)
    }

    /// Commits a source and starts it; `Some(why)` where the broker is not reachable yet.
    ///
    /// # Errors
    /// `DuplicateObject`, `UnknownTable`, `InvalidValue`, `Io`.
    pub async fn create(&self, table: &str, source: SourceDef) -> Result<Option<String>> {
        let name = source.name.clone();
        {
            let _changing = self.changing.lock().await;
            let family = self.check(table, &source)?;
            family.commit("source", vec![Op::PutSource(source.clone())]).await?;
            self.launch(Entry::new(table, family, source), false);
        }
        Ok(self.first_word(&name).await)
    }

    /// Stops and removes a source. Its positions stay with the table.
    ///
    /// # Errors
    /// `UnknownObject`; `WrongState` for a file's source while its file exists; `Io`.
    pub async fn drop_source(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (family, def) = self.known(name)?;
        // A file's source is paused only when no file defines it any more.
        if let SourceOrigin::File(path) = &def.origin
            && !def.paused
        {
            return Err(of_a_file(name, path, "remove the file first"));
        }
        self.halt(name).await;
        family.commit("source", vec![Op::RemoveSource(name.to_owned())]).await?;
        self.entries().remove(name);
        Ok(())
    }

    /// Stops fetching; stays so over restarts.
    ///
    /// # Errors
    /// `UnknownObject`; `WrongState` for a file's source; `Io`.
    pub async fn pause(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (family, mut def) = self.alterable(name)?;
        if !def.paused {
            def.paused = true;
            family.commit("source", vec![Op::PutSource(def.clone())]).await?;
        }
        self.halt(name).await;
        self.settle(name, def, State::Paused, None);
        Ok(())
    }

    /// Starts fetching again, also after a failure.
    ///
    /// # Errors
    /// `UnknownObject`; `WrongState` for a file's source; `Io`.
    pub async fn resume(&self, name: &str) -> Result<()> {
        let _changing = self.changing.lock().await;
        let (family, mut def) = self.alterable(name)?;
        let state = self.entries().get(name).map(|entry| entry.shared.state());
        if !def.paused && !matches!(state, Some(State::Failed | State::Paused)) {
            return Ok(());
        }
        if def.paused {
            def.paused = false;
            family.commit("source", vec![Op::PutSource(def.clone())]).await?;
        }
        let table = self.entries().get(name).map_or_else(String::new, |entry| entry.table.clone());
        self.halt(name).await;
        self.launch(Entry::new(&table, family, def), state == Some(State::Failed));
        Ok(())
    }

    /// Stops the pipelines of a table that is about to be dropped (without removing its sources).
    pub async fn stop_table(&self, table: &str) {
        let _changing = self.changing.lock().await;
        let names: Vec<(String, SourceDef)> = self
            .entries()
            .iter()
            .filter(|(_, entry)| entry.table == table)
            .map(|(name, entry)| (name.clone(), entry.def.clone()))
            .collect();
        for (name, def) in names {
            self.halt(&name).await;
            self.settle(&name, def, State::Paused, Some("its table is being dropped".into()));
        }
    }

    /// Every source, by name. Does not touch the network.
    pub fn status(&self) -> Vec<SourceReport> {
        let now = self.clock.now();
        let entries = self.entries();
        let alive = entries.iter().filter(|(_, entry)| !entry.family.is_dropped());
        let mut reports: Vec<SourceReport> = alive.map(|(name, entry)| entry.report(name, now)).collect();
        drop(entries);
        reports.extend(self.files.lock().unwrap_or_else(PoisonError::into_inner).bad());
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        reports
    }

    /// Whether every running source has caught up with the end of its log as it was when first asked after start.
    pub fn caught_up(&self) -> bool {
        self.entries().values().all(|entry| entry.shared.caught_up())
    }

    /// Stops polling everywhere, within `stop_timeout`.
    pub async fn stop(&self) {
        if let Some(watch) = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take() {
            watch.abort();
        }
        let _changing = self.changing.lock().await;
        self.halt_all().await;
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A source's family and definition.
    fn known(&self, name: &str) -> Result<(Arc<millrace_storage::Family>, SourceDef)> {
        let entries = self.entries();
        match entries.get(name).filter(|entry| !entry.family.is_dropped()) {
            Some(entry) => Ok((Arc::clone(&entry.family), entry.def.clone())),
            None => Err(Error::new(ErrorKind::UnknownObject, format!("source {name:?} does not exist"))),
        }
    }

    /// The same, of a source that SQL may change.
    fn alterable(&self, name: &str) -> Result<(Arc<millrace_storage::Family>, SourceDef)> {
        let (family, def) = self.known(name)?;
        match &def.origin {
            SourceOrigin::File(path) => Err(of_a_file(name, path, "change the file, or remove it to pause the source")),
            SourceOrigin::Sql => Ok((family, def)),
        }
    }
}

fn of_a_file(name: &str, path: &std::path::Path, hint: &str) -> Error {
    let message = format!("source {name:?} is defined by a file");
    Error::new(ErrorKind::WrongState, message).with("file", path.display()).hint(hint)
}

#[cfg(test)]
mod tests;
