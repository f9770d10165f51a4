//! What a store needs to know, already checked.

use std::path::PathBuf;

/// Settings of a [`crate::Store`].
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Where everything is kept. Locked against a second server while open.
    pub data_dir: PathBuf,
    /// The whole process's memory limit, bytes; see [`crate::MemoryBudget`] for its shares.
    pub memory_limit: u64,
    /// Called once at the start of each background thread; the server lowers its priority here.
    pub on_background_thread: fn(),
}

impl StoreConfig {
    /// Settings for a data directory, with a limit of `memory_limit` bytes.
    pub fn new(data_dir: impl Into<PathBuf>, memory_limit: u64) -> Self {
        Self { data_dir: data_dir.into(), memory_limit, on_background_thread: || {} }
    }
}
