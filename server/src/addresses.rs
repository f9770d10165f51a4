//! `<data-dir>/addresses.json`: where the doors are, for scripts and tests.
//!
//! The file appears by rename when every door is open, and is gone while the server starts or stops. It may only be
//! touched by the holder of the data directory's lock, so a second server never removes the first one's.

use millrace_error::{Error, Result};
use millrace_storage::DirLock;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The data directory, held for this server as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    lock: Option<DirLock>,
}

impl DataDir {
    /// Creates the directory where needed, takes its lock and removes a stale `addresses.json`.
    ///
    /// # Errors
    /// `WrongState` naming the process that has it; `Io`.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let lock = DirLock::take(path)?;
        let dir = Self { path: lock.path().to_owned(), lock: Some(lock) };
        dir.withdraw()?;
        Ok(dir)
    }

    /// Hands the lock on to the store, which keeps it until it is closed.
    pub(crate) fn lock(&mut self) -> Result<DirLock> {
        self.lock.take().ok_or_else(|| Error::internal("the data directory's lock was handed on before"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_error::ErrorKind;

    #[test]
    fn a_second_server_is_told_who_has_it_and_spares_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::take(&dir.path().join("new")).unwrap();
        first.publish(Some("127.0.0.1:5".parse().unwrap()), None).unwrap();
        let error = DataDir::take(first.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongState);
        assert!(error.to_string().contains(&format!("pid={}", std::process::id())), "{error}");
        let text = std::fs::read_to_string(first.path().join("addresses.json")).unwrap();
        assert_eq!(text.trim(), format!(r#"{{"pg":"127.0.0.1:5","pid":{}}}"#, std::process::id()));
        let path = first.path().to_owned();
        drop(first);
        let again = DataDir::take(&path).unwrap();
        assert!(!again.path().join("addresses.json").exists());
    }
}
