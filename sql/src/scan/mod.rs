//! The scan leaf: one table of a pinned view as a DataFusion plan.
//!
//! What enters: pushed-down filters and a projection. What leaves: a plan over the chunks, resident parts and Parquet
//! parts that can hold a wanted row; all others are left out before any I/O. Deliberately absent: whether a row matches
//! (the filters run again above; row groups and pages are pruned by DataFusion's Parquet source).

mod memory;
mod reader;
mod statistics;

use crate::error::wrap;
use crate::predicate::scan_filter;
use crate::snapshot::Snapshot;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use millrace_schema::{TableDef, TableId};
use millrace_storage::manifest::PartMeta;
use millrace_storage::part::{Part, Resident};
use millrace_storage::scan::ScanFilter;
use millrace_storage::{Chunk, Family, FamilyView};
use std::sync::{Arc, Mutex, PoisonError};

/// What the scans of one query came to, and what must live as long as its rows.
#[derive(Debug, Default)]
pub(crate) struct ScanReport {
    lines: Mutex<Vec<ScanLine>>,
    resident: Mutex<Vec<Arc<Resident>>>,
}

/// One scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScanLine {
    pub(crate) table: String,
    pub(crate) parts: usize,
    pub(crate) total_parts: usize,
    pub(crate) resident: usize,
    pub(crate) chunks: usize,
    pub(crate) rows: u64,
}

impl ScanReport {
    pub(crate) fn lines(&self) -> Vec<ScanLine> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, line: ScanLine) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn hold(&self, resident: &Arc<Resident>) {
        self.resident.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(resident));
    }
}

/// A table of a pinned view.
#[derive(Debug)]
pub(crate) struct FamilyTable {
    family: Arc<Family>,
    view: Arc<FamilyView>,
    id: TableId,
    def: Arc<TableDef>,
    schema: SchemaRef,
    snapshot: Arc<Snapshot>,
    report: Arc<ScanReport>,
}

/// What is left of a table after pruning.
#[derive(Debug)]
struct Units {
    chunks: Vec<Arc<Chunk>>,
    parts: Vec<Arc<PartMeta>>,
    total_parts: usize,
}

impl Units {
    fn rows(&self) -> u64 {
        let chunks: usize = self.chunks.iter().map(|c| c.rows.num_rows()).sum();
        let parts: u64 = self.parts.iter().map(|p| p.rows).sum();
        parts.saturating_add(u64::try_from(chunks).unwrap_or(u64::MAX))
    }
}

impl FamilyTable {
    /// The table called `name` of the snapshot; `None` where it has none of that name.
    pub(crate) fn open(snapshot: &Arc<Snapshot>, name: &str, report: &Arc<ScanReport>) -> Option<Self> {
        let (pinned, id, def) = snapshot.table(name)?;
        Some(Self {
            family: Arc::clone(&pinned.family),
            view: Arc::clone(&pinned.view),
            id,
            schema: def.arrow_schema(),
            def: Arc::clone(def),
            snapshot: Arc::clone(snapshot),
            report: Arc::clone(report),
        })
    }

    /// Rows left after pruning by `filters`: how large a scan will be.
    pub(crate) fn rows_left(&self, filters: &[Expr]) -> u64 {
        self.prune(&scan_filter(&self.def, filters)).rows()
    }

    fn prune(&self, filter: &ScanFilter) -> Units {
        let chunks = self.view.chunks(self.id).filter(|c| filter.keeps_chunk(&self.def, c)).cloned().collect();
        let mut total_parts = 0;
        let parts = self
            .view
            .parts(self.id)
            .inspect(|_| total_parts += 1)
            .filter(|p| filter.keeps_part(&self.def, p))
            .cloned()
            .collect();
        Units { chunks, parts, total_parts }
    }

    /// Parquet parts as one source, in at most `partitions` groups.
    fn parquet(
        &self,
        parts: Vec<(Arc<PartMeta>, Arc<Part>)>,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        partitions: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut files = Vec::with_capacity(parts.len());
        let mut all = Vec::with_capacity(parts.len());
        for (meta, part) in parts {
            let statistics = statistics::of_part(&self.def, &self.schema, &meta);
            all.push(statistics.clone());
            let path = format!("{}.parquet", meta.id);
            files.push(
                PartitionedFile::new(path, meta.bytes)
                    .with_statistics(Arc::new(statistics))
                    .with_extension(reader::PartFile(part)),
            );
        }
        let statistics = Statistics::try_merge_iter(all.iter(), &self.schema)?;
        let per_group = files.len().div_ceil(partitions.max(1)).max(1);
        let mut groups = Vec::new();
        while !files.is_empty() {
            let rest = files.split_off(per_group.min(files.len()));
            groups.push(FileGroup::new(std::mem::replace(&mut files, rest)));
        }
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_parquet_file_reader_factory(Arc::new(reader::PartReaderFactory))
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(false);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

#[async_trait]
impl TableProvider for FamilyTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = scan_filter(&self.def, filters);
        let units = self.prune(&filter);
        let mut batches = memory::of_chunks(&self.def, &filter, &units.chunks);
        let mut cold = Vec::new();
        let mut resident = 0;
        for meta in &units.parts {
            let part = self.snapshot.store().part(&self.family, meta);
            match part.resident() {
                Some(rows) => {
                    memory::of_resident(&self.def, &filter, &rows, &mut batches);
                    self.report.hold(&rows);
                    resident += 1;
                }
                None => cold.push((Arc::clone(meta), part)),
            }
        }
        self.report.add(ScanLine {
            table: self.def.name.clone(),
            parts: units.parts.len(),
            total_parts: units.total_parts,
            resident,
            chunks: units.chunks.len(),
            rows: units.rows(),
        });
        let partitions = state.config().target_partitions();
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        if !batches.is_empty() || cold.is_empty() {
            let groups = memory::divide(batches, partitions);
            let source = MemorySourceConfig::try_new(&groups, Arc::clone(&self.schema), projection.cloned())?;
            inputs.push(DataSourceExec::from_data_source(source));
        }
        if !cold.is_empty() {
            inputs.push(self.parquet(cold, projection, limit, partitions)?);
        }
        match inputs.len() {
            1 => inputs.pop().ok_or_else(|| wrap(millrace_error::Error::internal("a scan of nothing"))),
            _ => UnionExec::try_new(inputs),
        }
    }
}
