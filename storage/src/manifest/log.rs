//! The commit log of a family: where versions are made durable, and how the newest is found again.
//!
//! ```text
//!  commit:  apply (pure) → encode → create families/<uuid>/manifest/<20 digits>.commit → floor not above? → publish
//!                                     └ exists: the same bytes are ours (an answer was lost), others are a conflict
//!           every 100 commits or 1 MiB: a checkpoint
//!  open:    newest whole checkpoint → the commits after it, in order, each checked: frame, number, parent, ops
//! ```
//! What enters: commits. What leaves: manifests that are durable. Deliberately absent: who decides what to commit.

use super::checkpoint::{Checkpoint, Folders, HISTORY, newest};
use super::frame::damage;
use super::{Commit, CommitSummary, Manifest, apply, codec};
use crate::commit_store::{Appended, CommitStore, append, numbered, read_all};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Commits between checkpoints.
const CHECKPOINT_COMMITS: u64 = 100;
/// Bytes of commits between checkpoints.
const CHECKPOINT_BYTES: u64 = 1 << 20;
/// Commits until the next attempt after a checkpoint could not be written.
const CHECKPOINT_RETRY: u64 = 10;

/// The log of one family. One committer at a time: of two that make the same version, one gets `Conflict`.
#[derive(Debug)]
pub struct CommitLog {
    store: Arc<dyn CommitStore>,
    clock: Clock,
    folders: Folders,
    prefix: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    checkpoint: Arc<Checkpoint>,
    /// Bytes of the commits since the checkpoint.
    bytes: u64,
    /// No checkpoint before this version.
    not_before: u64,
    /// The latest commits, oldest first, at most [`HISTORY`].
    history: VecDeque<CommitSummary>,
}

impl CommitLog {
    /// Opens the log of a family: its newest version, and the latest commits, newest first, at most 1,000.
    /// Reads one checkpoint and the commits after it. A family without a commit is at version 0.
    ///
    /// # Errors
    /// `Damage` naming file and offset; `NotSupported` for what a newer version wrote; `Io`.
    pub async fn open(
        store: Arc<dyn CommitStore>,
        family: Uuid,
        clock: Clock,
    ) -> Result<(Self, Manifest, Vec<CommitSummary>)> {
        let folders = Folders::of(family);
        let prefix = format!("families/{family}/manifest/");
        let found = newest(&*store, &folders).await?;
        let state =
            State { not_before: 0, bytes: 0, history: found.history.into(), checkpoint: Arc::new(found.checkpoint) };
        let log = Self { store, clock, folders, prefix, state: Mutex::new(state) };
        let manifest = log.read_after(found.manifest).await?;
        if manifest.version < found.reached {
            return Err(Error::new(ErrorKind::Damage, "commits are missing from the log")
                .with("missing", numbered(&log.prefix, manifest.version.saturating_add(1), "commit"))
                .with("checkpoint", found.reached)
                .hint("restore the missing files from a backup"));
        }
        let history = log.history();
        Ok((log, manifest, history))
    }

    /// Makes `commit` durable on top of `manifest` and answers the version it makes. Sends the same bytes again, for less
    /// than 2 s, while the store does not answer; not to be cancelled on the way: spawn it where the caller may go.
    ///
    /// # Errors
    /// `Conflict` when an op does not fit or another writer made this version; then nothing was changed. `Io` when it is
    /// not known whether it happened: [`Self::catch_up`] tells. `DiskFull`. After an error for which
    /// [`crate::commit_store::must_stop`] holds, nothing may be written any more.
    pub async fn commit(&self, manifest: &Manifest, commit: Commit) -> Result<Manifest> {
        let next = self.fit(manifest, &commit)?;
        let bytes = codec::encode(&commit)?;
        match append(&*self.store, &self.clock, &self.prefix, commit.version, &bytes).await? {
            Appended::Mine => {}
            Appended::Taken => {
                return Err(Error::new(ErrorKind::Conflict, "another writer made this version")
                    .with("family", manifest.family)
                    .with("version", commit.version)
                    .hint("read what it committed, then try again"));
            }
        }
        self.note(&commit, bytes.len());
        self.checkpoint_if_due(&next).await;
        Ok(next)
    }

    /// Reads what was committed after `manifest`, by whomever.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn catch_up(&self, manifest: &Manifest) -> Result<Manifest> {
        self.read_after(manifest.clone()).await
    }

    /// The latest commits, newest first, at most 1,000.
    pub fn history(&self) -> Vec<CommitSummary> {
        self.state().history.iter().rev().cloned().collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fit(&self, manifest: &Manifest, commit: &Commit) -> Result<Manifest> {
        apply(manifest, commit).map_err(|conflict| {
            Error::new(ErrorKind::Conflict, conflict.0)
                .with("family", manifest.family)
                .with("version", commit.version)
                .with("operation", &commit.operation)
        })
    }

    /// Applies the commits after `manifest`, checking the chain: the commit that made it must be there with its uuid.
    async fn read_after(&self, mut manifest: Manifest) -> Result<Manifest> {
        let known = manifest.version;
        let commits = read_all(&*self.store, &self.prefix, known.max(1)).await?;
        let first = commits.first().map_or(0, |(version, ..)| *version);
        if (known > 0 && first != known && known > self.store.floor(&self.prefix).await?) || (known == 0 && first > 1) {
            let missing = numbered(&self.prefix, known.max(1), "commit");
            return Err(Error::new(ErrorKind::Damage, "commits are missing from the log")
                .with("missing", missing)
                .with("version", known)
                .hint("restore the missing files from a backup"));
        }
        for (version, key, bytes) in commits {
            let commit = codec::decode(&key, &bytes)?;
            if commit.version != version {
                return Err(damage(&key, 8, "commit stands under another version's name").with("says", commit.version));
            }
            if version == known {
                if commit.uuid != manifest.commit_uuid {
                    return Err(damage(&key, 8, "commit is not the one that its checkpoint was made of"));
                }
                continue;
            }
            manifest = apply(&manifest, &commit).map_err(|conflict| {
                damage(&key, 8, &format!("commit does not follow from the one before: {conflict}"))
            })?;
            self.note(&commit, bytes.len());
        }
        Ok(manifest)
    }

    /// Remembers a commit for `system.commits` and the next checkpoint.
    fn note(&self, commit: &Commit, bytes: usize) {
        let mut state = self.state();
        if state.history.back().is_some_and(|last| last.version >= commit.version) {
            return;
        }
        state.bytes = state.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        state.history.push_back(commit.summary());
        while state.history.len() > HISTORY {
            state.history.pop_front();
        }
    }

    /// The commit is durable: a checkpoint that cannot be written costs only a slower start.
    async fn checkpoint_if_due(&self, manifest: &Manifest) {
        let (last, recent) = {
            let state = self.state();
            let since = manifest.version.saturating_sub(state.checkpoint.version);
            let due = since >= CHECKPOINT_COMMITS || state.bytes >= CHECKPOINT_BYTES;
            if !due || manifest.version < state.not_before {
                return;
            }
            let after = |summary: &&CommitSummary| summary.version > state.checkpoint.version;
            (Arc::clone(&state.checkpoint), state.history.iter().filter(after).cloned().collect::<Vec<_>>())
        };
        let written = last.next(&*self.store, &self.folders, &self.clock, manifest, &recent).await;
        let mut state = self.state();
        match written {
            Ok(next) => {
                state.bytes = 0;
                state.checkpoint = Arc::new(next);
            }
            Err(error) => {
                tracing::error!(%error, family = %manifest.family, version = manifest.version, "checkpoint not written");
                state.not_before = manifest.version.saturating_add(CHECKPOINT_RETRY);
            }
        }
    }
}

#[cfg(test)]
mod tests;
