//! Two runtimes: one for sockets, timers and short work, one on which query plans compute. A long query on the second
//! never keeps the first from answering.

use millrace_error::{Error, Result};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of the runtime for sockets.
const IO_THREADS: usize = 2;
/// Planning recurses as deep as a statement nests: the parser's bounds (160 levels, 1,000 operators) must fit, also in a
/// build without optimisation. Only what is touched becomes memory.
const STACK_BYTES: usize = 128 << 20;
/// Threads for blocking work at once.
const BLOCKING_THREADS: usize = 64;
/// How long tasks left behind may take to notice that the runtime ends.
const STOP_BOUND: Duration = Duration::from_millis(500);

/// Both runtimes.
#[derive(Debug)]
pub(crate) struct Runtimes {
    io: Runtime,
    cpu: Runtime,
}

impl Runtimes {
    pub(crate) fn start() -> Result<Self> {
        let io = build("millrace-io", IO_THREADS)?;
        let cpu = build("millrace-cpu", crate::machine::cores())?;
        Ok(Self { io, cpu })
    }

    /// The runtime of query plans.
    pub(crate) fn cpu(&self) -> Handle {
        self.cpu.handle().clone()
    }

    /// Runs `work` on the runtime of sockets, then ends both.
    pub(crate) fn finish<T>(self, work: impl Future<Output = T>) -> T {
        let result = self.io.block_on(work);
        self.cpu.shutdown_timeout(STOP_BOUND);
        self.io.shutdown_timeout(STOP_BOUND);
        result
    }
}

/// Runs a command that needs no query plans.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = build("millrace-io", IO_THREADS)?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(STOP_BOUND);
    result
}

fn build(name: &str, threads: usize) -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|e| Error::internal(format!("cannot start the runtime {name}: {e}")).caused_by(e))
}
