//! A family: one base table and everything that must move with it.
//!
//! The life of a seal is [`Family::seal`]; of any other change, [`Family::commit`]. Both run to their end once begun,
//! whatever becomes of the caller's future: a durable commit must reach the view.

use crate::commit_store::{CommitStore, must_stop};
use crate::manifest::log::CommitLog;
use crate::manifest::{Commit, CommitSummary, Manifest, Op, PartMeta};
use crate::memory::MemoryBudget;
use crate::part::{PartCache, part_path};
use crate::publish::{Frozen, Published};
use crate::seal::{SealInput, Unsealed, WrittenPart, due, on_own_thread, remove, write_parts};
use crate::segment::{Chunk, OffsetRange, ShardWriter};
use crate::view::FamilyView;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{TableId, TopicKey};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Commits that `system.commits` remembers.
const HISTORY: usize = 1_000;
/// How long the outcome of a commit may stay unknown: ten seconds.
const OUTCOME_ATTEMPTS: u32 = 40;
const OUTCOME_PAUSE: Duration = Duration::from_millis(250);

/// What every family of a store shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) memory: Arc<MemoryBudget>,
    pub(crate) parts: PartCache,
    pub(crate) on_background_thread: fn(),
}

/// One base table, its dead letters, its sources and their positions, behind one commit log and one view.
#[derive(Debug)]
pub struct Family {
    id: Uuid,
    dir: PathBuf,
    shared: Arc<Shared>,
    published: Published,
    log: CommitLog,
    /// One commit at a time.
    committing: tokio::sync::Mutex<()>,
    /// One seal at a time.
    sealing: tokio::sync::Mutex<()>,
    writers: Mutex<HashSet<TopicKey>>,
    history: Mutex<VecDeque<CommitSummary>>,
    dropped: AtomicBool,
}

/// What a seal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealOutcome {
    /// The version at which everything visible when the seal began is in parts.
    pub version: u64,
    /// Rows sealed (base table and dead letters); 0 where there was nothing to seal.
    pub rows: u64,
    /// Parts written.
    pub parts: u64,
}

impl Family {
    /// Recovers a family from its commit log. `dir` is its folder.
    pub(crate) async fn open(
        id: Uuid,
        dir: PathBuf,
        store: Arc<dyn CommitStore>,
        shared: Arc<Shared>,
    ) -> Result<Arc<Self>> {
        let (log, manifest, history) = CommitLog::open(store, id, shared.clock.clone()).await?;
        Ok(Arc::new(Self {
            id,
            dir,
            shared,
            published: Published::new(manifest),
            log,
            committing: tokio::sync::Mutex::default(),
            sealing: tokio::sync::Mutex::default(),
            writers: Mutex::default(),
            history: Mutex::new(history.into()),
            dropped: AtomicBool::new(false),
        }))
    }

    /// Its id; the name of its folder.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The current state; pin it by keeping the `Arc`. Wait-free.
    pub fn view(&self) -> Arc<FamilyView> {
        self.published.view()
    }

    /// Commits definitions, sources and positions: durable and in the view when it returns.
    /// `operation` is the word `system.commits` shows.
    ///
    /// # Errors
    /// `Conflict` where an op does not fit the current state; `Io`, `DiskFull`.
    pub async fn commit(self: &Arc<Self>, operation: &str, ops: Vec<Op>) -> Result<u64> {
        let family = Arc::clone(self);
        let operation = operation.to_owned();
        let task = tokio::spawn(async move {
            let _one = family.committing.lock().await;
            let manifest = family.next_version(operation, ops, 0).await?;
            Ok(family.published.publish(manifest, None).manifest.version)
        });
        task.await.map_err(|e| Error::internal("a commit ended early").caused_by(e))?
    }

    /// Moves every row visible now into parts, in one commit with its offsets and dead letters.
    /// A position that moved without a row is committed too. Concurrent calls wait for one another.
    ///
    /// # Errors
    /// `Conflict`, `Io`, `DiskFull`; the rows stay visible and a later seal tries again.
    pub async fn seal(self: &Arc<Self>) -> Result<SealOutcome> {
        let family = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _one = family.sealing.lock().await;
            let frozen = family.published.freeze();
            crash_point("frozen");
            let sealed = family.seal_frozen(&frozen).await;
            if let Err(error) = &sealed {
                stop_if_lost(error);
                family.published.thaw();
            }
            sealed
        });
        task.await.map_err(|e| Error::internal("a seal ended early").caused_by(e))?
    }

    /// Write parts → commit them with the offsets → publish. Nothing is visible of it before the publish.
    async fn seal_frozen(self: &Arc<Self>, frozen: &Frozen) -> Result<SealOutcome> {
        let moves = moved_offsets(frozen);
        let rows: usize = frozen.view.shards.iter().flat_map(|s| &s.sealing).map(|c| c.rows.num_rows()).sum();
        if moves.is_empty() && rows == 0 {
            return Ok(SealOutcome { version: frozen.view.manifest.version, rows: 0, parts: 0 });
        }
        let mut written = Vec::new();
        for table in [TableId::BASE, TableId::DEAD_LETTERS] {
            match self.write_table(frozen, table).await {
                Ok(parts) => written.extend(parts),
                Err(error) => {
                    self.discard(&written);
                    return Err(error);
                }
            }
        }
        crash_point("parts-written");
        let parts = written.iter().map(|w| Op::AddPart(w.meta.clone()));
        let ops = parts.chain(moves).collect();
        let schema_version = frozen.view.table(TableId::BASE).map_or(0, |t| t.schema_version);
        let _one = self.committing.lock().await;
        // An error means that the log does not hold the commit: what is not known ends the process.
        let manifest =
            self.next_version("seal".to_owned(), ops, schema_version).await.inspect_err(|_| self.discard(&written))?;
        crash_point("committed");
        let parts = u64::try_from(written.len()).unwrap_or(u64::MAX);
        for part in written {
            self.shared.parts.insert(&self.data_dir(), part);
        }
        let version = self.published.publish(manifest, Some(frozen)).manifest.version;
        crash_point("published");
        Ok(SealOutcome { version, rows: u64::try_from(rows).unwrap_or(u64::MAX), parts })
    }

    async fn write_table(self: &Arc<Self>, frozen: &Frozen, table_id: TableId) -> Result<Vec<WrittenPart>> {
        let chunks = frozen.chunks(table_id);
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let table =
            frozen.view.table(table_id).cloned().ok_or_else(|| Error::internal("rows of an undefined table"))?;
        let input = SealInput {
            table,
            table_id,
            chunks,
            dir: self.data_dir(),
            clock: self.shared.clock.clone(),
            memory: Arc::clone(&self.shared.memory),
        };
        on_own_thread("seal", self.shared.on_background_thread, move || write_parts(input)).await?
    }

    /// Makes the next version durable. The caller holds `committing` and publishes it.
    async fn next_version(&self, operation: String, ops: Vec<Op>, schema_version: u32) -> Result<Manifest> {
        if self.is_dropped() {
            return Err(Error::new(ErrorKind::WrongState, "the table was dropped"));
        }
        let current = Arc::clone(&self.view().manifest);
        let commit = Commit {
            version: current.version + 1,
            parent: current.commit_uuid,
            uuid: self.shared.clock.uuid(),
            at: self.shared.clock.now(),
            epoch: 0,
            schema_version,
            operation,
            ops,
        };
        let summary = commit.summary();
        let uuid = commit.uuid;
        let next = match self.log.commit(&current, commit).await {
            Ok(next) => next,
            Err(error) => {
                stop_if_lost(&error);
                if error.kind() == ErrorKind::Conflict {
                    return Err(error);
                }
                self.outcome(&current, uuid).await.ok_or(error)?
            }
        };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push_front(summary);
        history.truncate(HISTORY);
        Ok(next)
    }

    /// Whether the log holds our commit after an error that leaves it open. What stays unknown must not be built on: the
    /// process stops, and the next start reads it from the log.
    async fn outcome(&self, current: &Manifest, uuid: Uuid) -> Option<Manifest> {
        for _ in 0..OUTCOME_ATTEMPTS {
            match self.log.catch_up(current).await {
                Ok(found) => return (found.commit_uuid == uuid).then_some(found),
                Err(error) => tracing::warn!(%error, "cannot tell yet whether a commit happened"),
            }
            self.shared.clock.sleep(OUTCOME_PAUSE).await;
        }
        tracing::error!("cannot tell whether a commit happened; stopping, the next start reads it from the log");
        std::process::abort()
    }

    /// Removes parts of a seal that no commit will ever name.
    fn discard(&self, written: &[WrittenPart]) {
        written.iter().for_each(|part| remove(&self.data_dir(), &part.meta));
    }

    /// Opens the writer of a topic's shard.
    ///
    /// # Errors
    /// `WrongState` while another writer of this topic is open, or the family was dropped.
    pub fn open_shard(self: &Arc<Self>, topic: &TopicKey) -> Result<ShardWriter> {
        if self.is_dropped() {
            return Err(Error::new(ErrorKind::WrongState, "the table was dropped"));
        }
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if !writers.insert(topic.clone()) {
            let message = "another source feeds this table from this topic";
            return Err(Error::new(ErrorKind::WrongState, message).with("topic", &topic.topic));
        }
        Ok(ShardWriter::new(Arc::clone(self), Arc::new(topic.clone())))
    }

    pub(crate) fn release_shard(&self, topic: &TopicKey) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).remove(topic);
    }

    pub(crate) fn append(
        &self,
        topic: &Arc<TopicKey>,
        chunks: Vec<Arc<Chunk>>,
        offsets: &[OffsetRange],
        schema_version: u32,
    ) -> Result<()> {
        if self.is_dropped() {
            return Err(Error::new(ErrorKind::WrongState, "the table was dropped"));
        }
        self.published.append(topic, chunks, offsets, schema_version, self.shared.clock.monotonic())
    }

    pub(crate) fn replace_run(&self, topic: &TopicKey, run: &[Arc<Chunk>], merged: Arc<Chunk>) {
        self.published.replace_run(topic, run, merged);
    }

    /// What is unsealed.
    pub(crate) fn unsealed(&self) -> Unsealed {
        let view = self.view();
        let chunks = || view.shards.iter().flat_map(|s| s.sealing.iter().chain(&s.mutable));
        let now = self.shared.clock.monotonic();
        Unsealed {
            rows: chunks().map(|c| u64::try_from(c.rows.num_rows()).unwrap_or(0)).sum(),
            bytes: chunks().map(|c| c.charge.bytes()).sum(),
            age: self.published.unsealed_since().map(|since| now.saturating_sub(since)),
        }
    }

    /// Whether it should seal by its own settings.
    pub(crate) fn seal_due(&self) -> bool {
        let options = self.view().table(TableId::BASE).map(|t| t.options.clone());
        options.is_some_and(|options| !self.is_dropped() && due(&options, &self.unsealed()))
    }

    /// The latest commits, newest first, at most 1,000.
    pub fn commits(&self) -> Vec<CommitSummary> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The absolute path of a part's Parquet file.
    pub fn part_path(&self, part: &PartMeta) -> PathBuf {
        part_path(&self.data_dir(), part)
    }

    /// Since when something has been unsealed.
    pub fn unsealed_age(&self) -> Option<Duration> {
        self.unsealed().age
    }

    /// Whether a `DROP TABLE` removed it; its last view stays readable.
    pub fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// Marks it dropped and gives back what its parts hold in memory.
    pub(crate) fn set_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
        let view = self.view();
        self.shared.parts.forget(view.manifest.parts.values().flat_map(|page| page.iter().map(|p| p.id)));
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub(crate) fn memory(&self) -> &MemoryBudget {
        &self.shared.memory
    }
}

/// One `MoveOffset` for each partition whose visible position is past the committed one.
fn moved_offsets(frozen: &Frozen) -> Vec<Op> {
    let manifest = &frozen.view.manifest;
    let moved = frozen.positions().filter_map(|(topic, partition, visible)| {
        let from = manifest.position(topic, partition)?.next;
        (visible.next > from).then(|| Op::MoveOffset {
            topic: topic.clone(),
            partition,
            from,
            to: visible.next,
            rows: visible.rows,
            dead_letters: visible.dead_letters,
            max_event_time: visible.max_event_time,
        })
    });
    moved.collect()
}

/// Ends the process after a failed fsync: the kernel may have dropped the bytes, and no later fsync would say so.
fn stop_if_lost(error: &Error) {
    if must_stop(error) {
        tracing::error!(%error, "fsync failed; stopping so that nothing is built on bytes that may be lost");
        std::process::abort();
    }
}

/// A named step of a seal, at which the recovery tests kill the process: `MILLRACE_CRASH_AT=<step>`.
fn crash_point(step: &str) {
    if std::env::var("MILLRACE_CRASH_AT").is_ok_and(|at| at == step) {
        std::process::abort();
    }
}
