//! SIGTERM and Ctrl-C.

use millrace_error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a server to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from here on. Needs a tokio runtime.
    ///
    /// # Errors
    /// `Internal` where the system refuses.
    pub fn listen() -> Result<Self> {
        let take =
            |kind| signal(kind).map_err(|e| Error::internal(format!("cannot take signals over: {e}")).caused_by(e));
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    /// Waits for the next one and gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// From now on a signal ends the process at once.
    pub fn exit_at_next(mut self) {
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "a second signal: ending at once");
            std::process::exit(1);
        });
    }
}
