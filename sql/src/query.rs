//! A query's life: pin → direct, or admit → plan → execute.
//!
//! What enters: a parsed query and the session's limits. What leaves: an [`Answer`] with a stream of rows and the name of
//! the snapshot they are of (Q-1: pinned once, before planning).

use crate::answer::{Answer, Body};
use crate::engine::Engine;
use crate::plan::{Plan, Planned, Query, plan};
use crate::snapshot::Snapshot;
use crate::stream::{self, Deadline, Tied};
use crate::wait;
use arrow::array::ArrayRef;
use millrace_error::Result;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// What a session lets a query do.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// When it must have ended.
    pub(crate) deadline: Deadline,
    /// What its snapshot must contain.
    pub(crate) wait_for: Option<wait::WaitLimit>,
}

/// Runs a query to its stream of rows.
///
/// # Errors
/// By kind; errors of execution come out of the stream.
pub(crate) async fn run(
    engine: &Arc<Engine>,
    query: &Arc<Query>,
    parameters: Vec<ArrayRef>,
    limits: Limits,
) -> Result<Answer> {
    let snapshot = pin(engine, query, &limits).await?;
    let prepared = prepare(engine, query, &snapshot, parameters).await?;
    execute(engine, prepared, snapshot, limits.deadline)
}

/// One view per family named, at or past what the session waits for.
pub(crate) async fn pin(engine: &Arc<Engine>, query: &Query, limits: &Limits) -> Result<Arc<Snapshot>> {
    let pin = || Snapshot::pin(engine.store(), &query.wanted);
    match &limits.wait_for {
        None => Ok(Arc::new(pin())),
        Some(wanted) => wait::pin_past(engine.store(), wanted, pin).await.map(Arc::new),
    }
}

/// Chooses the lane; plans where that is DataFusion's, on the CPU runtime.
pub(crate) async fn prepare(
    engine: &Arc<Engine>,
    query: &Arc<Query>,
    snapshot: &Arc<Snapshot>,
    parameters: Vec<ArrayRef>,
) -> Result<Prepared> {
    if let Some(direct) = query.shape.clone().and_then(|shape| shape.over(snapshot)) {
        return Ok(Prepared { plan: Plan::Direct(direct), permit: None });
    }
    let (planned, permit) = prepare_datafusion(engine, query, snapshot, parameters).await?;
    Ok(Prepared { plan: Plan::DataFusion(planned), permit: Some(permit) })
}

/// A plan and, where it needs one, the permit to run it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// DataFusion's plan of a query, whatever its shape.
pub(crate) async fn prepare_datafusion(
    engine: &Arc<Engine>,
    query: &Arc<Query>,
    snapshot: &Arc<Snapshot>,
    parameters: Vec<ArrayRef>,
) -> Result<(Planned, OwnedSemaphorePermit)> {
    let permit = engine.admission().enter().await?;
    let (on, query, snapshot) = (Arc::clone(engine), Arc::clone(query), Arc::clone(snapshot));
    let mut planning = Tied::spawn(engine.cpu(), async move { plan(&on, &query, &snapshot, &parameters).await });
    Ok((planning.join().await??, permit))
}

/// Starts a plan.
pub(crate) fn execute(
    engine: &Engine,
    prepared: Prepared,
    snapshot: Arc<Snapshot>,
    deadline: Deadline,
) -> Result<Answer> {
    let names = snapshot.names();
    let (schema, rows) = match (prepared.plan, prepared.permit) {
        (Plan::Direct(direct), _) => {
            let batch = direct.batch()?;
            (batch.schema(), stream::ready(vec![batch]))
        }
        (Plan::DataFusion(planned), Some(permit)) => {
            let schema = Arc::clone(&planned.schema);
            (schema, stream::start(engine.cpu(), planned, snapshot, permit, deadline))
        }
        (Plan::DataFusion(_), None) => return Err(millrace_error::Error::internal("a plan without a permit")),
    };
    Ok(Answer { notices: Vec::new(), snapshot: names, body: Body::Rows { schema, rows, tag: "SELECT" } })
}
