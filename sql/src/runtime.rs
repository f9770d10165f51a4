//! DataFusion set up once: dialect, functions, memory pool, and two session states that every query shares.
//!
//! What enters: the store's memory budget. What leaves: a [`Lane`] for small plans (one partition) and one for large.
//! Deliberately absent: spilling to disk. A query beyond its memory ends with `53200`.

use crate::catalog::{CATALOG, PUBLIC};
use crate::engine::EngineConfig;
use crate::functions::{self, InputPlanner, InputRule};
use datafusion::common::Result;
use datafusion::config::{ConfigOptions, Dialect};
use datafusion::execution::context::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SessionState, config::SessionConfig};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::analyzer::Analyzer;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Plans of fewer rows than this, after pruning, run in one partition: fanning out costs more than it gains.
pub(crate) const SMALL_ROWS: u64 = 1_000_000;

/// Consumers that a memory error names.
const CONSUMERS_SHOWN: usize = 3;

/// How plans of one size run.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) state: Arc<SessionState>,
    pub(crate) task: Arc<TaskContext>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("partitions", &self.state.config().target_partitions()).finish_non_exhaustive()
    }
}

/// DataFusion, ready.
#[derive(Clone)]
pub(crate) struct Runtime {
    small: Lane,
    large: Lane,
    pool: Arc<dyn MemoryPool>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("reserved", &self.pool.reserved()).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Sets DataFusion up with `queries_limit` bytes for all queries together.
    pub(crate) fn new(queries_limit: u64, config: &EngineConfig) -> Result<Self> {
        let limit = usize::try_from(queries_limit).unwrap_or(usize::MAX);
        let shown = NonZeroUsize::new(CONSUMERS_SHOWN).unwrap_or(NonZeroUsize::MIN);
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(GreedyMemoryPool::new(limit), shown));
        let env = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&pool))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        let small = lane(&env, 1);
        let large = lane(&env, config.parallelism.max(1));
        Ok(Self { small, large, pool })
    }

    /// The lane for a plan over so many rows.
    pub(crate) fn lane(&self, rows: u64) -> &Lane {
        if rows < SMALL_ROWS { &self.small } else { &self.large }
    }

    /// Bytes that running queries hold.
    pub(crate) fn reserved(&self) -> usize {
        self.pool.reserved()
    }
}

fn lane(env: &Arc<RuntimeEnv>, partitions: usize) -> Lane {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(InputPlanner)];
    let mut builder = SessionStateBuilder::new()
        .with_config(session_config(partitions))
        .with_runtime_env(Arc::clone(env))
        .with_default_features();
    planners.append(builder.expr_planners().get_or_insert_default());
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(InputRule)];
    rules.extend(Analyzer::new().rules);
    builder.scalar_functions().get_or_insert_default().extend(functions::all());
    let state = builder.with_expr_planners(planners).with_analyzer_rules(rules).build();
    let task = state.task_ctx();
    Lane { state: Arc::new(state), task }
}

fn session_config(partitions: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    options(config.options_mut(), partitions);
    config
}

/// Why each: `sql/adr/0001-own-pipeline.md`.
fn options(options: &mut ConfigOptions, partitions: usize) {
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.collect_spans = true;
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.planning_concurrency = partitions;
    options.execution.use_row_number_estimates_to_optimize_partitioning = true;
    options.execution.parquet.pushdown_filters = false;
    options.execution.parquet.enable_page_index = true;
    options.optimizer.prefer_existing_union = true;
    options.optimizer.repartition_file_min_size = 8 << 20;
}
