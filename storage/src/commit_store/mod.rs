//! Where commits are kept: create-if-absent over named blobs, with a local and an object_store back end.
//!
//! What enters: keys and immutable bytes. What leaves: who created a key first, the bytes, and keys in order.
//! Deliberately absent: what the bytes mean (see [`crate::manifest::log`] and [`crate::catalog`]), overwriting, deletion.

mod append;
#[cfg(test)]
pub(crate) mod conformance;
mod local;
mod object;

pub(crate) use append::{Appended, append, numbered, read_all};
pub use local::{FsyncFailed, LocalCommitStore, must_stop};
pub use object::ObjectCommitStore;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_error::{Error, Result};

/// What became of a create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The key was free; the bytes are durable.
    Yes,
    /// The key holds something already (perhaps these very bytes, after an ambiguous failure: the caller compares).
    Exists,
}

/// A small durable map of blobs. Keys are `/`-separated, of `[a-z0-9.-]`, relative to the store's root.
#[async_trait]
pub trait CommitStore: Send + Sync + std::fmt::Debug + 'static {
    /// Writes a blob unless the key exists. Durable when it answers. After an error it may or may not have happened:
    /// send the same bytes again, unless [`must_stop`] says that the disk is not to be trusted any more.
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created>;

    /// The blob at `key`; `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Keys directly below `prefix` (ends in `/`) that are ≥ `start` (a whole key, or `prefix` for all), ascending.
    async fn list_from(&self, prefix: &str, start: &str) -> Result<Vec<String>>;

    /// Versions at or below the floor are gone for good (S-7): a writer that created one has lost. 0 where none was set.
    ///
    /// The floor is the greatest number among the keys `<prefix>floor/<20 digits>`: with create-if-absent alone it can
    /// only rise, and racing raisers cannot undo each other.
    async fn floor(&self, prefix: &str) -> Result<u64> {
        let folder = format!("{prefix}floor/");
        let keys = self.list_from(&folder, &folder).await?;
        Ok(keys.iter().rev().find_map(|key| key.strip_prefix(&folder)?.parse().ok()).unwrap_or(0))
    }
}

/// Raises the floor of `prefix`; whoever deletes versions does this first (S-7). Lowering it has no effect.
///
/// # Errors
/// What the store's `create` answers.
pub async fn raise_floor(store: &dyn CommitStore, prefix: &str, version: u64) -> Result<()> {
    let key = format!("{prefix}floor/{version:020}");
    store.create(&key, Bytes::from(version.to_string())).await.map(|_| ())
}

/// Refuses keys that a back end could understand in another way than its neighbour.
pub(crate) fn check_key(key: &str) -> Result<()> {
    let good = |segment: &str| {
        let bytes = segment.as_bytes();
        !segment.is_empty()
            && !segment.starts_with('.')
            && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
    };
    if key.split('/').all(good) {
        return Ok(());
    }
    Err(Error::internal("not a key of a commit store").with("key", key))
}
