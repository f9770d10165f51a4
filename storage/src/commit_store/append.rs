//! Numbered logs over a commit store: append a version once, read a stretch in order.

use super::{CommitStore, Created, must_stop};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use std::time::Duration;

/// Blobs read at the same time when a log is opened.
const READERS: usize = 16;
/// Attempts at one create.
const ATTEMPTS: u32 = 6;
/// The pause after the first failed attempt; doubles each time, so all of them together stay below 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(40);

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Appended {
    /// The version holds these bytes, durably.
    Mine,
    /// The version holds another writer's bytes.
    Taken,
}

/// The key of a version.
pub(crate) fn numbered(prefix: &str, version: u64, suffix: &str) -> String {
    format!("{prefix}{version:020}.{suffix}")
}

/// Makes `version` of the log at `prefix`, sending identical bytes again while the store answers `Io` or `Timeout`. A key
/// that holds these very bytes is ours: they contain the commit's uuid, so an earlier attempt of ours wrote them.
///
/// # Errors
/// `Conflict` when the version is at or below the floor (S-7); what the store answered last.
pub(crate) async fn append(
    store: &dyn CommitStore,
    clock: &Clock,
    prefix: &str,
    version: u64,
    bytes: &Bytes,
) -> Result<Appended> {
    let key = numbered(prefix, version, "commit");
    let mut attempt = 1;
    let appended = loop {
        match create_once(store, &key, bytes).await {
            Ok(appended) => break appended,
            Err(error) if attempt < ATTEMPTS && may_resend(&error) => {
                tracing::warn!(%error, key, attempt, "commit not acknowledged, sending it again");
                clock.sleep(FIRST_PAUSE * (1 << (attempt - 1))).await;
                attempt += 1;
            }
            Err(error) => return Err(error.with("commit", key).with("attempts", attempt)),
        }
    };
    let floor = store.floor(prefix).await?;
    if version <= floor {
        return Err(Error::new(ErrorKind::Conflict, "this version was cleaned up while it was written")
            .with("commit", key)
            .with("floor", floor)
            .hint("this writer is out of date: open the log again"));
    }
    Ok(appended)
}

async fn create_once(store: &dyn CommitStore, key: &str, bytes: &Bytes) -> Result<Appended> {
    if store.create(key, bytes.clone()).await? == Created::Yes {
        return Ok(Appended::Mine);
    }
    match store.get(key).await? {
        Some(there) if there == *bytes => Ok(Appended::Mine),
        Some(_) => Ok(Appended::Taken),
        None => Err(Error::new(ErrorKind::Io, "a commit exists and cannot be read").with("key", key)),
    }
}

fn may_resend(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Timeout) && !must_stop(error)
}

/// Reads every version of the log at `prefix` from `first` on, in order, several at a time.
///
/// # Errors
/// `Damage` when a version is missing between two that exist; what the store answers.
pub(crate) async fn read_all(store: &dyn CommitStore, prefix: &str, first: u64) -> Result<Vec<(u64, String, Bytes)>> {
    let mut keys = Vec::new();
    for key in store.list_from(prefix, &numbered(prefix, first, "commit")).await? {
        let number =
            key.strip_prefix(prefix).and_then(|name| name.strip_suffix(".commit")).and_then(|n| n.parse().ok());
        let Some(version): Option<u64> = number else {
            continue;
        };
        if let Some((before, _)) = keys.last()
            && version != before + 1
        {
            return Err(Error::new(ErrorKind::Damage, "commits are missing from the log")
                .with("missing", numbered(prefix, before + 1, "commit"))
                .with("next", key)
                .hint("restore the missing files from a backup"));
        }
        keys.push((version, key));
    }
    futures::stream::iter(keys)
        .map(|(version, key)| async move {
            let gone = || Error::new(ErrorKind::Damage, "a listed commit is gone").with("file", &key);
            let bytes = store.get(&key).await?.ok_or_else(gone)?;
            Ok((version, key, bytes))
        })
        .buffered(READERS)
        .try_collect()
        .await
}
