//! Commits in an object store, by `PutMode::Create`.

use super::{CommitStore, Created, check_key};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use millrace_error::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, PutMode, PutOptions};
use std::sync::Arc;

/// A commit store over any `object_store` whose conditional put is atomic.
#[derive(Debug)]
pub struct ObjectCommitStore {
    store: Arc<dyn ObjectStore>,
    root: Path,
}

#[async_trait]
impl CommitStore for ObjectCommitStore {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(key)?, bytes.into(), options).await {
            Ok(_) => Ok(Created::Yes),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Created::Exists)
            }
            Err(e) => Err(failed(key, e)),
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        match self.store.get_opts(&self.path(key)?, GetOptions::default()).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|e| failed(key, e)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(key, e)),
        }
    }

    async fn list_from(&self, prefix: &str, start: &str) -> Result<Vec<String>> {
        let folder = self.path(prefix.trim_end_matches('/'))?;
        let below = format!("{folder}/");
        // The store's offset is exclusive: a cut key is less than `start` and greater than almost all before it.
        let mut cut = start.strip_prefix(prefix).unwrap_or_default().to_owned();
        cut.pop();
        let listing = if cut.is_empty() {
            self.store.list(Some(&folder))
        } else {
            self.store.list_with_offset(Some(&folder), &Path::from(format!("{below}{cut}")))
        };
        let found: Vec<_> = listing.try_collect().await.map_err(|e| failed(prefix, e))?;
        let mut keys: Vec<String> = found
            .iter()
            .filter_map(|meta| meta.location.as_ref().strip_prefix(&below))
            .filter(|name| !name.contains('/'))
            .map(|name| format!("{prefix}{name}"))
            .filter(|key| key.as_str() >= start)
            .collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

impl ObjectCommitStore {
    /// A commit store below `root` of `store`.
    pub fn new(store: Arc<dyn ObjectStore>, root: Path) -> Self {
        Self { store, root }
    }

    fn path(&self, key: &str) -> Result<Path> {
        check_key(key)?;
        Ok(self.root.parts().chain(Path::from(key).parts()).collect())
    }
}

fn failed(key: &str, error: object_store::Error) -> Error {
    let kind = match &error {
        object_store::Error::PermissionDenied { .. } => ErrorKind::Denied,
        object_store::Error::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("object store: {error}")).with("key", key).caused_by(error)
}
