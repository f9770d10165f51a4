//! Rows of a plan: made on the CPU runtime, handed over a bounded channel.
//!
//! What enters: a physical plan. What leaves: a [`RowStream`]. Dropping it aborts the task, and with it everything the
//! plan holds (P-1). The task keeps the snapshot and the resident parts it reads alive.

use crate::answer::RowStream;
use crate::error::execution;
use crate::naming::dress;
use crate::plan::Planned;
use crate::runtime::Lane;
use crate::scan::ScanReport;
use crate::snapshot::Snapshot;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, stream};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_storage::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

/// Batches made ahead of the reader.
const BATCHES_AHEAD: usize = 2;
/// How long an unread result may pin segments while memory for them is used up, and how often that is looked at.
const PINNED_MAX: Duration = Duration::from_secs(5);
const PINNED_CHECK: Duration = Duration::from_millis(250);

/// When a statement must have ended.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    clock: Clock,
    at: Option<Duration>,
    after: Duration,
}

impl Deadline {
    /// So long from now; `None` never.
    pub(crate) fn new(clock: &Clock, after: Option<Duration>) -> Self {
        let at = after.and_then(|after| clock.monotonic().checked_add(after));
        Self { clock: clock.clone(), at, after: after.unwrap_or_default() }
    }

    /// Awaits `work`, or fails with `57014` when its time is over.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(left) = self.left()? else { return work.await };
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(left) => Err(self.over()),
        }
    }

    fn left(&self) -> Result<Option<Duration>> {
        let Some(at) = self.at else { return Ok(None) };
        let left = at.saturating_sub(self.clock.monotonic());
        if left.is_zero() { Err(self.over()) } else { Ok(Some(left)) }
    }

    fn over(&self) -> Error {
        let after = millrace_schema::format_duration(self.after);
        Error::new(ErrorKind::Timeout, format!("statement ran longer than statement_timeout ({after})"))
            .hint("SET statement_timeout to more, or to 0 for no limit")
    }
}

/// A task that ends with whoever waits for it.
#[derive(Debug)]
pub(crate) struct Tied<T>(JoinHandle<T>);

impl<T> Drop for Tied<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Tied<T> {
    /// Starts `work` on `runtime`.
    pub(crate) fn spawn(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        Self(runtime.spawn(work))
    }

    /// Its result.
    ///
    /// # Errors
    /// `Internal` where it panicked; `ShuttingDown` where its runtime ended.
    pub(crate) async fn join(&mut self) -> Result<T> {
        (&mut self.0).await.map_err(|error| {
            if error.is_panic() {
                Error::internal("a query's task panicked").hint("please report this with the statement")
            } else {
                Error::new(ErrorKind::ShuttingDown, "the server is stopping")
            }
        })
    }
}

/// One plan under way. Fields drop in this order: the task first.
struct Running {
    task: Tied<Result<()>>,
    batches: mpsc::Receiver<RecordBatch>,
    schema: SchemaRef,
    deadline: Deadline,
    _permit: OwnedSemaphorePermit,
}

/// Starts a plan.
pub(crate) fn start(
    runtime: &Handle,
    planned: Planned,
    snapshot: Arc<Snapshot>,
    permit: OwnedSemaphorePermit,
    deadline: Deadline,
) -> RowStream {
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    let Planned { plan, lane, schema, report } = planned;
    let task = Tied::spawn(runtime, make(plan, lane, report, snapshot, sender));
    let running = Running { task, batches, schema, deadline, _permit: permit };
    stream::unfold(Some(running), |running| async move {
        let mut running = running?;
        match running.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(running))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// Makes the rows. What they are read from is held here, so that it goes when this ends, read to the end or not.
async fn make(
    plan: Arc<dyn ExecutionPlan>,
    lane: Lane,
    report: Arc<ScanReport>,
    snapshot: Arc<Snapshot>,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<()> {
    let _held = report;
    let mut rows = execute_stream(plan, lane.task).map_err(execution)?;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(execution)?;
        tokio::select! {
            biased;
            sent = sender.send(batch) => if sent.is_err() { return Ok(()) },
            error = in_the_way(snapshot.store()) => return Err(error),
        }
    }
    Ok(())
}

/// Ends, with the error for it, when memory for segments has been used up for [`PINNED_MAX`] while nobody reads: what the
/// query pins must not stop ingestion for as long as its client likes.
async fn in_the_way(store: &Store) -> Error {
    let mut since = None;
    loop {
        store.clock().sleep(PINNED_CHECK).await;
        let now = store.clock().monotonic();
        if !store.memory().over_hard() {
            since = None;
        } else if now.saturating_sub(*since.get_or_insert(now)) >= PINNED_MAX {
            return Error::new(ErrorKind::OutOfMemory, "the query's unread result held memory that ingestion needs")
                .hint("read the result faster, or ask for less at a time");
        }
    }
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let received = {
            let batches = &mut self.batches;
            self.deadline.bound(async { Ok(batches.recv().await) }).await?
        };
        match received {
            Some(batch) => dress(&batch, &self.schema).map(Some),
            None => {
                self.task.join().await??;
                Ok(None)
            }
        }
    }
}

/// A stream of what is there already.
pub(crate) fn ready(batches: Vec<RecordBatch>) -> RowStream {
    stream::iter(batches.into_iter().map(Ok)).boxed()
}
