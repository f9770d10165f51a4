//! `EXPLAIN`: one text column, a line of the plan a row.
//!
//! What enters: a query as `SELECT` would run it. What leaves: its lane, what pruning left, its plan; with `ANALYZE` it
//! runs, and the plan carries what it measured.

use crate::answer::{Answer, Body};
use crate::direct::Direct;
use crate::engine::Engine;
use crate::error::execution;
use crate::plan::{Plan, Planned, Query};
use crate::query::{self, Limits};
use crate::scan::ScanLine;
use crate::stream::{self, Tied};
use arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, execute_stream};
use futures::StreamExt;
use millrace_error::{Error, Result};
use std::sync::Arc;

/// The one column.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8View, true)]))
}

/// What to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Run it.
    pub(crate) analyze: bool,
    /// Statistics and schemas too.
    pub(crate) verbose: bool,
}

/// Explains a query.
///
/// # Errors
/// As running it would give.
pub(crate) async fn run(
    engine: &Arc<Engine>,
    query: &Arc<Query>,
    parameters: Vec<ArrayRef>,
    limits: Limits,
    wish: Wish,
) -> Result<Answer> {
    let snapshot = query::pin(engine, query, &limits).await?;
    let prepared = query::prepare(engine, query, &snapshot, parameters).await?;
    let lines = match &prepared.plan {
        Plan::Direct(direct) => of_direct(direct),
        Plan::DataFusion(planned) => {
            if wish.analyze {
                drain(engine, planned).await?;
            }
            of_plan(planned, wish)
        }
    };
    let column: StringViewArray = lines.into_iter().map(Some).collect();
    let batch = RecordBatch::try_new(schema(), vec![Arc::new(column)]).map_err(|e| Error::internal(e.to_string()))?;
    let body = Body::Rows { schema: schema(), rows: stream::ready(vec![batch]), tag: "EXPLAIN" };
    Ok(Answer { notices: Vec::new(), snapshot: snapshot.names(), body })
}

fn of_direct(direct: &Direct) -> Vec<String> {
    vec![
        "Lane: direct".to_owned(),
        format!("Parts: {0}/{0}", direct.parts),
        format!("Count of \"{}\" from its snapshot, without reading a row: {} rows", direct.table, direct.rows),
    ]
}

fn of_plan(planned: &Planned, wish: Wish) -> Vec<String> {
    let mut lines = vec!["Lane: datafusion".to_owned()];
    let scans = planned.report.lines();
    let several = scans.len() > 1;
    lines.extend(scans.iter().map(|scan| of_scan(scan, several)));
    lines.push(format!("Partitions: {}", planned.plan.output_partitioning().partition_count()));
    let display = if wish.analyze {
        DisplayableExecutionPlan::with_metrics(planned.plan.as_ref())
    } else {
        DisplayableExecutionPlan::new(planned.plan.as_ref())
    };
    let display = display.set_show_statistics(wish.verbose).set_show_schema(wish.verbose);
    lines.extend(display.indent(wish.verbose).to_string().lines().map(str::to_owned));
    lines
}

fn of_scan(scan: &ScanLine, several: bool) -> String {
    let parts = format!("Parts: {}/{}", scan.parts, scan.total_parts);
    let details = format!("{} in memory, {} unsealed chunks, at most {} rows", scan.resident, scan.chunks, scan.rows);
    if several { format!("{parts} of \"{}\" ({details})", scan.table) } else { format!("{parts} ({details})") }
}

/// Runs a plan for its measurements alone.
async fn drain(engine: &Engine, planned: &Planned) -> Result<()> {
    let (plan, task): (Arc<dyn ExecutionPlan>, _) = (Arc::clone(&planned.plan), Arc::clone(&planned.lane.task));
    let mut running = Tied::spawn(engine.cpu(), async move {
        let mut rows = execute_stream(plan, task).map_err(execution)?;
        while let Some(batch) = rows.next().await {
            batch.map_err(execution)?;
        }
        Ok(())
    });
    running.join().await?
}
