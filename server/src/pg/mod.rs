//! The PostgreSQL door: the wire protocol, versions 3.0 and 3.2, over TCP.
//!
//! What enters: connections of any PostgreSQL driver. What leaves: answers of the SQL engine as they are made, in text or
//! binary. One task per connection reads messages, runs statements and encodes rows; every wait in it ends by a cancel
//! request, by the client leaving, by a time limit, or by the server stopping. Deliberately absent: SQL (see `sql`),
//! passwords and TLS (loopback only until they exist), COPY.
//!
//! ```text
//! accept → startup → connection ─┬─ simple ──┐
//!                                └─ extended ┴─ Session::run → cursor → encode → wire
//! ```

mod bind;
mod connection;
mod cursor;
mod deallocate;
mod encode;
mod extended;
mod frontend;
pub(crate) mod pg_type;
mod registry;
mod reply;
mod settings;
mod simple;
mod startup;
#[cfg(test)]
mod tests;
mod wire;
mod zone;

use crate::metrics::Metrics;
use connection::Shared;
use millrace_clock::Clock;
use millrace_sql::Engine;
use registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Sockets beyond `max_connections` that may wait to be told so, or carry cancel requests.
const SPARE_SOCKETS: usize = 64;
/// What running statements get to end after they were cancelled by a stop.
const FORCED_STOP: Duration = Duration::from_secs(2);

/// Limits of the PostgreSQL door.
#[derive(Debug, Clone)]
pub struct PgConfig {
    /// Sessions at a time; more are refused with 53300.
    pub max_connections: usize,
    /// How long a client may take to say who it is.
    pub startup_timeout: Duration,
    /// How long a session may idle; `None`: as long as it likes.
    pub idle_timeout: Option<Duration>,
    /// How long a client may take no byte of a pending answer.
    pub write_timeout: Duration,
    /// How long running statements may go on once the server stops.
    pub drain_timeout: Duration,
    /// The largest message of a client; a larger one ends the connection with 54000.
    pub message_bytes_max: usize,
    /// Time and randomness.
    pub clock: Clock,
    /// Counts statements.
    pub metrics: Arc<Metrics>,
}

impl PgConfig {
    /// The defaults.
    pub fn new(clock: Clock) -> Self {
        Self {
            max_connections: 256,
            startup_timeout: Duration::from_secs(10),
            idle_timeout: None,
            write_timeout: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(5),
            message_bytes_max: 64 << 20,
            clock,
            metrics: Arc::default(),
        }
    }
}

/// Serves connections of `listener` until `shutdown` fires; then stops accepting, tells idle sessions (57P01), lets
/// running statements end within [`PgConfig::drain_timeout`], cancels the rest, and returns. Dropping the future closes
/// every connection at once.
pub async fn serve(listener: TcpListener, engine: Arc<Engine>, config: PgConfig, shutdown: CancellationToken) {
    let clock = config.clock.clone();
    let drain_timeout = config.drain_timeout;
    let sockets_max = config.max_connections.saturating_add(SPARE_SOCKETS);
    let shared = Arc::new(Shared {
        engine,
        registry: Registry::new(clock.clone()),
        places: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
        config,
        shutdown: shutdown.clone(),
        force: CancellationToken::new(),
    });
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => log_panic(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if tasks.len() < sockets_max => {
                    tasks.spawn(connection::serve(shared.clone(), stream, peer));
                }
                // Beyond the spare sockets nobody is even told: the socket closes.
                Ok(_) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "cannot accept a connection");
                    clock.sleep(Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    if !ended_within(&mut tasks, &clock, drain_timeout).await {
        shared.force.cancel();
        if !ended_within(&mut tasks, &clock, FORCED_STOP).await {
            tracing::warn!(connections = tasks.len(), "connections did not end, dropping them");
            tasks.shutdown().await;
        }
    }
}

async fn ended_within(tasks: &mut JoinSet<()>, clock: &Clock, limit: Duration) -> bool {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            log_panic(ended);
        }
    };
    tokio::select! {
        () = all => true,
        () = clock.sleep(limit) => false,
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}
