//! How SQL reaches the sources without knowing what a source is made of: `server` wires `ingest` in behind this trait.

use async_trait::async_trait;
use millrace_error::Result;
use millrace_schema::SourceDef;

/// Commands on sources, and what is known of them.
#[async_trait]
pub trait SourceControl: Send + Sync + std::fmt::Debug + 'static {
    /// Commits a source and starts it. A broker that is away is a warning, not an error.
    ///
    /// # Errors
    /// `DuplicateObject`, `UnknownTable`, `InvalidValue` (an option librdkafka refuses), `Io`.
    async fn create(&self, table: &str, source: SourceDef) -> Result<CreatedSource>;
    /// Stops and removes a source; its rows and positions stay.
    ///
    /// # Errors
    /// `UnknownObject`; `WrongState` for a file's source.
    async fn drop_source(&self, name: &str) -> Result<()>;
    /// Stops the pipelines of a table that is about to be dropped, without removing its sources.
    async fn stop_table(&self, table: &str);
    /// Stops fetching; stays paused over restarts. Errors as [`SourceControl::drop_source`].
    async fn pause(&self, name: &str) -> Result<()>;
    /// Starts fetching again, also after a failure. Errors as [`SourceControl::drop_source`].
    async fn resume(&self, name: &str) -> Result<()>;
    /// Every source, by name. Does not block on the network.
    fn status(&self) -> Vec<SourceStatus>;
}

/// What `CREATE SOURCE` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedSource {
    /// Why it is not running yet, to be shown as a WARNING.
    pub warning: Option<String>,
}

/// One row of `system.sources`, with its partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStatus {
    /// Name.
    pub name: String,
    /// The table it feeds.
    pub table: String,
    /// `running`, `waiting`, `paused`, `failed`.
    pub state: &'static str,
    /// Why it waits or failed.
    pub error: Option<String>,
    /// The definition.
    pub def: SourceDef,
    /// Unknown fields passed over since start.
    pub unknown_fields: u64,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionStatus>,
}

/// What only the consumer knows of a partition; positions come from the family's view.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: i32,
    /// The end of the log, where known.
    pub high_watermark: Option<i64>,
    /// Seconds between the newest record read and now, 0 where all is read.
    pub lag_seconds: Option<f64>,
    /// State, as the source's.
    pub state: &'static str,
    /// Why.
    pub error: Option<String>,
}
