//! Commits on the local disk, fsynced.
//!
//! ```text
//!  create(key): mkdir -p + fsync of each parent · write _tmp-… · fsync · link(_tmp-…, key) · unlink _tmp-… · fsync folder
//! ```
//! `link` is the create-if-absent: it fails where the key exists, and what it names is whole. A crash leaves a `_tmp-…`
//! behind, never half a commit; it is removed when its folder is first used again.

use super::{CommitStore, Created, check_key};
use async_trait::async_trait;
use bytes::Bytes;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// No key segment has a `_`, so these never meet one.
const TMP: &str = "_tmp-";

/// A commit store in a folder. One process at a time: the caller holds the lock of the data directory.
#[derive(Debug)]
pub struct LocalCommitStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Marks this process's temporary files.
    nonce: String,
    next_tmp: AtomicU64,
    /// Folders whose own entry and content at first use are known to be on disk.
    settled: Mutex<HashSet<PathBuf>>,
    /// An fsync failed: what the disk holds is no longer known, and no later fsync can tell.
    broken: AtomicBool,
}

/// The cause inside an error after which this process must not go on writing (S-8); see [`must_stop`].
#[derive(Debug)]
pub struct FsyncFailed(io::Error);

/// Whether an error means that an fsync failed, so that the process must stop: after it the kernel may have dropped the
/// data and forgotten the failure, and asking again would answer a success that is none.
pub fn must_stop(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<FsyncFailed>())
}

impl FsyncFailed {
    /// The error of a failed fsync at `path`.
    pub fn at(path: &Path, cause: io::Error) -> Error {
        Error::new(ErrorKind::Io, format!("fsync failed: {cause}"))
            .with("path", path.display())
            .hint("the server stops because the disk may have lost data; check the disk, then start it again")
            .caused_by(Self(cause))
    }
}

impl std::fmt::Display for FsyncFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fsync failed: {}", self.0)
    }
}

impl std::error::Error for FsyncFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[async_trait]
impl CommitStore for LocalCommitStore {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        let key = checked(key)?;
        self.blocking(move |inner| inner.create(&key, &bytes)).await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let key = checked(key)?;
        self.blocking(move |inner| {
            let path = inner.root.join(&key);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(Bytes::from(bytes))),
                Err(e) if is_absent(&e) => Ok(None),
                Err(e) => Err(Error::io(path.display(), e)),
            }
        })
        .await
    }

    async fn list_from(&self, prefix: &str, start: &str) -> Result<Vec<String>> {
        let folder = checked(prefix.trim_end_matches('/'))?;
        let start = start.to_owned();
        self.blocking(move |inner| inner.list(&folder, &start)).await
    }
}

impl LocalCommitStore {
    /// Opens the store in `root`, creating the folder if needed. Blocks on local I/O.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub fn open(root: impl Into<PathBuf>, clock: &Clock) -> Result<Self> {
        let root = root.into();
        let missing = root.ancestors().take_while(|a| !a.as_os_str().is_empty() && !a.exists()).count();
        fs::create_dir_all(&root).map_err(|e| Error::io(root.display(), e))?;
        // The parents of what was made now hold a new entry.
        for parent in root.ancestors().skip(1).take(missing) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let synced = File::open(parent).and_then(|folder| folder.sync_all());
            synced.map_err(|e| FsyncFailed::at(parent, e))?;
        }
        Ok(Self(Arc::new(Inner {
            root,
            nonce: clock.uuid().simple().to_string(),
            next_tmp: AtomicU64::new(0),
            settled: Mutex::default(),
            broken: AtomicBool::new(false),
        })))
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|e| Error::new(ErrorKind::ShuttingDown, format!("disk access was cut off: {e}")))?
    }
}

impl Inner {
    fn create(&self, key: &str, bytes: &[u8]) -> Result<Created> {
        if self.broken.load(Ordering::Acquire) {
            let cause = io::Error::other("an earlier fsync of this process failed");
            return Err(FsyncFailed::at(&self.root.join(key), cause));
        }
        let path = self.root.join(key);
        let folder = path.parent().unwrap_or(&self.root);
        self.settle(folder, true)?;
        let tmp = folder.join(format!("{TMP}{}-{}", self.nonce, self.next_tmp.fetch_add(1, Ordering::Relaxed)));
        let created = self.write(&tmp, bytes).and_then(|()| link(&tmp, &path));
        // Best effort: a file left behind is removed when the folder is first used again.
        if let Err(error) = fs::remove_file(&tmp)
            && !is_absent(&error)
        {
            tracing::warn!(%error, path = %tmp.display(), "temporary file stays behind");
        }
        let created = created?;
        // Also where the key exists: it may be our own earlier attempt, whose folder was not synced yet.
        self.sync_folder(folder)?;
        Ok(created)
    }

    fn write(&self, tmp: &Path, bytes: &[u8]) -> Result<()> {
        let io = |e| Error::io(tmp.display(), e);
        let mut file = OpenOptions::new().write(true).create_new(true).open(tmp).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        match file.sync_all() {
            // Nothing names this file yet: a full disk costs nothing but the attempt.
            Err(e) if e.kind() == io::ErrorKind::StorageFull => Err(io(e)),
            Err(e) => Err(self.fsync_failed(tmp, e)),
            Ok(()) => Ok(()),
        }
    }

    fn sync_folder(&self, folder: &Path) -> Result<()> {
        let file = File::open(folder).map_err(|e| Error::io(folder.display(), e))?;
        file.sync_all().map_err(|e| self.fsync_failed(folder, e))
    }

    fn fsync_failed(&self, path: &Path, cause: io::Error) -> Error {
        self.broken.store(true, Ordering::Release);
        FsyncFailed::at(path, cause)
    }

    /// At the first use of a folder in this process: makes it where asked to, removes what a crash left in it, and makes
    /// sure that its entry and content are on disk. Answers whether it is there.
    fn settle(&self, folder: &Path, create: bool) -> Result<bool> {
        if self.settled().contains(folder) {
            return Ok(true);
        }
        if folder != self.root {
            let parent = folder.parent().ok_or_else(|| Error::internal("a folder outside the store"))?;
            if !self.settle(parent, create)? {
                return Ok(false);
            }
        }
        match fs::create_dir(folder) {
            _ if !create => {}
            Ok(()) => self.sync_folder(folder.parent().unwrap_or(folder))?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(folder.display(), e)),
        }
        match self.remove_leftovers(folder) {
            Ok(()) => {}
            Err(e) if is_absent(&e) && !create => return Ok(false),
            Err(e) => return Err(Error::io(folder.display(), e)),
        }
        self.sync_folder(folder)?;
        self.settled().insert(folder.to_owned());
        Ok(true)
    }

    fn remove_leftovers(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(TMP)) else {
                continue;
            };
            if !rest.starts_with(&self.nonce) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn list(&self, folder: &str, start: &str) -> Result<Vec<String>> {
        let path = self.root.join(folder);
        if !self.settle(&path, false)? {
            return Ok(Vec::new());
        }
        let io = |e| Error::io(path.display(), e);
        let mut keys = Vec::new();
        for entry in fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let key = format!("{folder}/{name}");
            if key.as_str() >= start && check_key(&name).is_ok() && entry.file_type().map_err(io)?.is_file() {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    fn settled(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn link(tmp: &Path, path: &Path) -> Result<Created> {
    match fs::hard_link(tmp, path) {
        Ok(()) => Ok(Created::Yes),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Exists),
        Err(e) if matches!(e.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            Err(Error::io(path.display(), e)
                .hint("the data directory must be writable and its file system must know hard links"))
        }
        Err(e) => Err(Error::io(path.display(), e)),
    }
}

fn checked(key: &str) -> Result<String> {
    check_key(key)?;
    Ok(key.to_owned())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
