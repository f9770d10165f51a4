//! Wires ingestion in behind SQL's [`SourceControl`]: the two crates never see each other.

use async_trait::async_trait;
use millrace_error::Result;
use millrace_ingest::{SourceReport, Supervisor};
use millrace_schema::SourceDef;
use millrace_sql::{CreatedSource, PartitionStatus, SourceControl, SourceStatus};
use std::sync::Arc;

/// The supervisor as SQL knows it.
#[derive(Debug)]
pub struct SupervisorControl(Arc<Supervisor>);

impl SupervisorControl {
    /// Over this supervisor.
    pub fn new(supervisor: Arc<Supervisor>) -> Self {
        Self(supervisor)
    }
}

#[async_trait]
impl SourceControl for SupervisorControl {
    async fn create(&self, table: &str, source: SourceDef) -> Result<CreatedSource> {
        let warning = self.0.create(table, source).await?;
        Ok(CreatedSource { warning })
    }

    async fn drop_source(&self, name: &str) -> Result<()> {
        self.0.drop_source(name).await
    }

    async fn stop_table(&self, table: &str) {
        self.0.stop_table(table).await;
    }

    async fn pause(&self, name: &str) -> Result<()> {
        self.0.pause(name).await
    }

    async fn resume(&self, name: &str) -> Result<()> {
        self.0.resume(name).await
    }

    fn status(&self) -> Vec<SourceStatus> {
        self.0.status().into_iter().map(translated).collect()
    }
}

fn translated(report: SourceReport) -> SourceStatus {
    let SourceReport { name, table, state, error, def, unknown_fields, partitions } = report;
    let partitions = partitions
        .into_iter()
        .map(|p| PartitionStatus {
            partition: p.partition,
            high_watermark: p.high_watermark,
            lag_seconds: p.lag_seconds,
            state,
            error: error.clone(),
        })
        .collect();
    SourceStatus { name, table, state, error, def, unknown_fields, partitions }
}
