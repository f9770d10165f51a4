//! `<data-dir>/addresses.json`: where the doors are, for scripts and tests; and the lock of a running server.
//!
//! The file appears by rename when every door is open, and is gone while the server starts or stops. It may only be
//! touched by the holder of `<data-dir>/server.lock`, so a second server never removes the first one's.

use millrace_error::{Error, ErrorKind, Result};
use serde_json::json;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The data directory, held for this server as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory where needed, takes its lock and removes a stale `addresses.json`.
    ///
    /// # Errors
    /// `WrongState` naming the process that has it; `Io`.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(|e| Error::io(path.display(), e))?;
        let path = path.canonicalize().map_err(|e| Error::io(path.display(), e))?;
        let lock_path = path.join("server.lock");
        let io = |e| Error::io(lock_path.display(), e);
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(&lock_path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path, &mut lock)),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
        write!(lock, "{}", std::process::id()).map_err(io)?;
        let dir = Self { path, _lock: lock };
        dir.withdraw()?;
        Ok(dir)
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `addresses.json`.
    ///
    /// # Errors
    /// `Io`, `DiskFull`.
    pub(crate) fn publish(&self, pg: Option<SocketAddr>, http: Option<SocketAddr>) -> Result<()> {
        let mut addresses = serde_json::Map::new();
        for (door, address) in [("pg", pg), ("http", http)] {
            if let Some(address) = address {
                addresses.insert(door.to_owned(), json!(address.to_string()));
            }
        }
        addresses.insert("pid".to_owned(), json!(std::process::id()));
        let (file, half) = (self.file(), self.path.join("addresses.json.tmp"));
        std::fs::write(&half, format!("{}\n", serde_json::Value::Object(addresses)))
            .and_then(|()| std::fs::rename(&half, &file))
            .map_err(|e| Error::io(file.display(), e))
    }

    /// Removes `addresses.json`.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn withdraw(&self) -> Result<()> {
        match std::fs::remove_file(self.file()) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(self.file().display(), e)),
            _ => Ok(()),
        }
    }

    fn file(&self) -> PathBuf {
        self.path.join("addresses.json")
    }
}

fn held(path: &Path, lock: &mut File) -> Error {
    let mut pid = String::new();
    let by = match lock.read_to_string(&mut pid) {
        Ok(_) if !pid.is_empty() => format!("process {pid}"),
        _ => "another process".to_owned(),
    };
    Error::new(ErrorKind::WrongState, format!("data directory {} is in use by {by}", path.display()))
        .hint("one data directory, one server: stop the other, or give this one its own --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_has_it_and_spares_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::take(&dir.path().join("new")).unwrap();
        first.publish(Some("127.0.0.1:5".parse().unwrap()), None).unwrap();
        let error = DataDir::take(first.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongState);
        assert!(error.message().contains(&format!("process {}", std::process::id())), "{error}");
        let text = std::fs::read_to_string(first.path().join("addresses.json")).unwrap();
        assert_eq!(text.trim(), format!(r#"{{"pg":"127.0.0.1:5","pid":{}}}"#, std::process::id()));
        let path = first.path().to_owned();
        drop(first);
        let again = DataDir::take(&path).unwrap();
        assert!(!again.path().join("addresses.json").exists());
    }
}
