//! The server's life: build, run, drain.
//!
//! ```text
//!  build   lock → bind → recover → start sources → open doors → addresses.json
//!  run     until SIGTERM or Ctrl-C
//!  drain   withdraw addresses → stop polling → close doors, seal what can be sealed quickly → close the store
//! ```
//! What enters: checked settings. What leaves: a running [`App`]. Whatever the drain leaves unsealed is read again from
//! Kafka at the next start, so each of its steps may be cut short.

mod signals;

pub use signals::Signals;

use crate::addresses::DataDir;
use crate::config::Config;
use crate::control::SupervisorControl;
use crate::http::{self, HttpConfig, HttpState};
use crate::machine;
use crate::metrics::Metrics;
use crate::pg::{self, PgConfig};
use crate::readiness::{self, Readiness, STOPPING};
use crate::runtimes::Runtimes;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_ingest::{IngestConfig, Supervisor};
use millrace_sql::{Engine, EngineConfig, SourceControl};
use millrace_storage::{Store, StoreConfig};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long sources may take to stop polling.
const STOP_SOURCES: Duration = Duration::from_secs(2);
/// How long doors may take to let their last answers end.
const STOP_DOORS: Duration = Duration::from_secs(3);
/// How long the last seals may take.
const LAST_SEALS: Duration = Duration::from_secs(3);
/// How long the store may take to close.
const CLOSE_STORE: Duration = Duration::from_secs(2);

/// A running server.
#[derive(Debug)]
pub struct App {
    clock: Clock,
    data_dir: DataDir,
    store: Arc<Store>,
    supervisor: Arc<Supervisor>,
    control: Arc<dyn SourceControl>,
    engine: Arc<Engine>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
    doors: Vec<JoinHandle<()>>,
    /// Where the PostgreSQL door is, unless it is off.
    pub pg: Option<SocketAddr>,
    /// Where the HTTP door is, unless it is off.
    pub http: Option<SocketAddr>,
}

/// Serves until a signal says stop. Returns after the drain, which takes ten seconds at most.
///
/// # Errors
/// As [`App::build`]; nothing after it.
pub fn serve(config: &Config) -> Result<()> {
    let runtimes = Runtimes::start()?;
    let cpu = runtimes.cpu();
    runtimes.finish(async {
        let mut signals = Signals::listen()?;
        let app = tokio::select! {
            app = App::build(config, cpu, Clock::system()) => app?,
            name = signals.next() => {
                tracing::info!(signal = name, "stopped while starting");
                return Ok(());
            }
        };
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping; a second signal ends at once");
        signals.exit_at_next();
        app.drain().await;
        Ok(())
    })
}

impl App {
    /// Starts everything, in this order; returns when every door is open.
    ///
    /// # Errors
    /// `WrongState` when another server has the data directory; `Io` naming an address that is taken; as recovery gives
    /// them (`Damage`, `Io`).
    pub async fn build(config: &Config, cpu: Handle, clock: Clock) -> Result<Self> {
        let begun = clock.monotonic();
        let mut data_dir = DataDir::take(&config.data_dir)?;
        let pg_listener = bind("pg", config.pg).await?;
        let http_listener = bind("http", config.http).await?;
        if config.flight.is_some() {
            tracing::info!("the Flight SQL door is not in this version: no port is opened");
        }
        let lock = data_dir.lock()?;
        let store = Store::open_locked(lock, &store_config(config, &data_dir), clock.clone()).await?;
        let supervisor =
            Supervisor::start(Arc::clone(&store), ingest_config(config, &data_dir)?, clock.clone()).await?;
        let control: Arc<dyn SourceControl> = Arc::new(SupervisorControl::new(Arc::clone(&supervisor)));
        let engine_config = EngineConfig { parallelism: machine::cores() };
        let engine = Engine::new(Arc::clone(&store), Arc::clone(&control), cpu, engine_config)?;
        let readiness = Readiness::not_yet("sources are catching up");
        tokio::spawn(readiness::when_caught_up(readiness.clone(), Arc::clone(&supervisor), clock.clone()));
        let (stop, doors, metrics) = (CancellationToken::new(), Vec::new(), Arc::default());
        let mut app = Self {
            clock,
            data_dir,
            store,
            supervisor,
            control,
            engine,
            readiness,
            metrics,
            stop,
            doors,
            pg: None,
            http: None,
        };
        app.open_pg(config, pg_listener)?;
        app.open_http(config, http_listener)?;
        app.data_dir.publish(app.pg, app.http)?;
        let took = app.clock.monotonic().saturating_sub(begun);
        tracing::info!(pg = shown(app.pg), http = shown(app.http), data_dir = %app.data_dir.path().display(), ?took, "ready");
        Ok(app)
    }

    /// Stops, in this order, each step within its bound.
    pub async fn drain(self) {
        let begun = self.clock.monotonic();
        self.readiness.set(Some(STOPPING));
        if let Err(error) = self.data_dir.withdraw() {
            tracing::warn!(%error, "addresses.json is left behind");
        }
        let clock = &self.clock;
        within(clock, "sources", STOP_SOURCES + Duration::from_millis(500), self.supervisor.stop()).await;
        self.stop.cancel();
        let seals = within(clock, "seals", LAST_SEALS, seal_everything(&self.store));
        tokio::join!(seals, within(clock, "doors", STOP_DOORS, all(self.doors)));
        within(clock, "store", CLOSE_STORE, self.store.close()).await;
        tracing::info!(took = ?self.clock.monotonic().saturating_sub(begun), "stopped");
    }

    /// Runs statements.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Holds the rows.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The sources.
    pub fn control(&self) -> &Arc<dyn SourceControl> {
        &self.control
    }

    fn open_pg(&mut self, config: &Config, listener: Option<TcpListener>) -> Result<()> {
        let Some(listener) = listener else { return Ok(()) };
        self.pg = Some(local_address(&listener)?);
        let pg_config = PgConfig {
            max_connections: config.limits.connections,
            message_bytes_max: config.limits.body_bytes,
            drain_timeout: Duration::from_secs(1),
            metrics: Arc::clone(&self.metrics),
            ..PgConfig::new(self.clock.clone())
        };
        let serve = pg::serve(listener, Arc::clone(&self.engine), pg_config, self.stop.clone());
        self.doors.push(tokio::spawn(serve));
        Ok(())
    }

    fn open_http(&mut self, config: &Config, listener: Option<TcpListener>) -> Result<()> {
        let Some(listener) = listener else { return Ok(()) };
        self.http = Some(local_address(&listener)?);
        let limits = config.limits;
        let (connections, body_bytes, hosts) = (limits.connections, limits.body_bytes, config.http_hosts.clone());
        let state = HttpState {
            engine: Arc::clone(&self.engine),
            store: Arc::clone(&self.store),
            sources: Arc::clone(&self.control),
            metrics: Arc::clone(&self.metrics),
            readiness: self.readiness.clone(),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
            config: Arc::new(HttpConfig { connections, body_bytes, hosts }),
        };
        self.doors.push(tokio::spawn(http::serve(listener, state)));
        Ok(())
    }
}

/// Saves the next start the reading again. A seal cut short is like a crash in it: nothing is lost.
async fn seal_everything(store: &Store) {
    let mut seals = JoinSet::new();
    for (table, family) in store.families() {
        seals.spawn(async move {
            match family.seal().await {
                Ok(outcome) => tracing::info!(table, rows = outcome.rows, "sealed"),
                Err(error) => tracing::warn!(table, %error, "not sealed; its rows are read again at the next start"),
            }
        });
    }
    while seals.join_next().await.is_some() {}
}

async fn within(clock: &Clock, what: &str, bound: Duration, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = clock.sleep(bound) => tracing::warn!(step = what, ?bound, "took too long; going on without it"),
    }
}

async fn all(doors: Vec<JoinHandle<()>>) {
    for door in doors {
        let _ = door.await;
    }
}

fn store_config(config: &Config, data_dir: &DataDir) -> StoreConfig {
    let mut store = StoreConfig::new(data_dir.path(), config.memory_limit);
    store.on_background_thread = || {
        let _ = millrace_sys::lower_thread_priority();
    };
    store
}

fn ingest_config(config: &Config, data_dir: &DataDir) -> Result<IngestConfig> {
    let sources_dir = data_dir.path().join("sources.d");
    std::fs::create_dir_all(&sources_dir).map_err(|e| Error::io(sources_dir.display(), e))?;
    Ok(IngestConfig { sources_dir, record_bytes: config.limits.record_bytes, stop_timeout: STOP_SOURCES })
}

async fn bind(door: &str, address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    TcpListener::bind(address).await.map(Some).map_err(|e| {
        Error::new(ErrorKind::Io, format!("cannot listen on {address} for {door}: {e}"))
            .hint(format!("stop what listens there, or choose another address with --{door}"))
            .caused_by(e)
    })
}

fn shown(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "off".to_owned(), |a| a.to_string())
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|e| Error::io("listener", e))
}
