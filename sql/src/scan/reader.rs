//! Reads parts for DataFusion's Parquet source: footers from memory, bytes verified by storage.

use crate::error::wrap;
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use millrace_error::Error;
use millrace_storage::part::Part;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use std::ops::Range;
use std::sync::Arc;

/// The part behind a `PartitionedFile`.
#[derive(Debug)]
pub(super) struct PartFile(pub(super) Arc<Part>);

/// Makes readers over parts.
#[derive(Debug)]
pub(super) struct PartReaderFactory;

/// Answers at once: local reads are short, and run on the CPU runtime's threads.
#[derive(Debug)]
struct PartReader(Arc<Part>);

impl ParquetFileReaderFactory for PartReaderFactory {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let part = file
            .extension::<PartFile>()
            .ok_or_else(|| wrap(Error::internal(format!("no part behind {}", file.object_meta.location))))?;
        Ok(Box::new(PartReader(Arc::clone(&part.0))))
    }
}

impl AsyncFileReader for PartReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        ready(self.0.read(range).map_err(ours)).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        ready(self.0.metadata().map_err(ours)).boxed()
    }
}

fn ours(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
