//! The lock of a data directory: one directory, one server.

use millrace_error::{Error, ErrorKind, Result};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A data directory held for this process as long as this value lives.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    _file: File,
}

impl DirLock {
    /// Creates the directory where needed and takes its lock: `<dir>/LOCK`, which holds the holder's pid.
    ///
    /// # Errors
    /// `WrongState` naming the process that has it; `Io`.
    pub fn take(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir.display(), e))?;
        let path = dir.canonicalize().map_err(|e| Error::io(dir.display(), e))?;
        let file = path.join("LOCK");
        let io = |e| Error::io(file.display(), e);
        let mut lock = File::options().read(true).write(true).create(true).truncate(false).open(&file).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path, &mut lock)),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        lock.set_len(0).map_err(io)?;
        writeln!(lock, "{}", std::process::id()).map_err(io)?;
        Ok(Self { path, _file: lock })
    }

    /// The directory, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn held(path: &Path, lock: &mut File) -> Error {
    let mut pid = String::new();
    let _unreadable = lock.read_to_string(&mut pid);
    Error::new(ErrorKind::WrongState, format!("data directory {} is in use", path.display()))
        .with("pid", pid.trim())
        .hint("stop the other millrace, or name another directory with --data-dir")
}
