//! `millrace demo`: everything in one process, to look at.
//!
//! ```text
//!  generator → embedded broker → source → table → a dashboard's query, once a second
//! ```
//! What enters: a rate and maybe an end. What leaves: lines on stdout. The broker is librdkafka's mock cluster: it speaks
//! the Kafka protocol on a loopback port and forgets everything at the end.

mod broker;
mod edit;
mod freshness;
mod screen;

use crate::app::{App, Signals};
use crate::args::DemoArgs;
use crate::config::{Config, RawConfig};
use crate::runtimes::Runtimes;
use broker::Broker;
use freshness::Freshness;
use futures::StreamExt;
use millrace_clock::Clock;
use millrace_error::{Error, Result};
use millrace_schema::{TableId, parse_duration};
use millrace_sql::{Body, Engine};
use millrace_storage::Store;
use screen::Line;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;

const TABLE: &str = "wikipedia";
const SOURCE: &str = "wiki";

const CREATE_TABLE: &str = r#"CREATE TABLE IF NOT EXISTS wikipedia (
    time timestamptz NOT NULL, channel text, page text, "user" text, namespace text, comment text, "countryName" text,
    "isRobot" boolean, "isNew" boolean, added bigint, deleted bigint, delta bigint
) WITH (time_column = 'time', partition_by = 'hour', sort_by = 'channel, time', seal_age = '10s')"#;

/// What a dashboard asks again and again.
const DASHBOARD: &str = "SELECT channel, count(*) AS edits, sum(added) AS added FROM wikipedia \
WHERE time > now() - interval '1 minute' GROUP BY channel ORDER BY edits DESC LIMIT 5";

/// Where the demo keeps its data.
#[derive(Debug)]
enum Place {
    Temporary(TempDir),
    Kept(PathBuf),
}

/// Shows the demo until Ctrl-C, SIGTERM or the end asked for.
///
/// # Errors
/// As building a server gives them; `InvalidValue` for a duration that cannot be read.
pub fn run(args: &DemoArgs) -> Result<()> {
    let end = args.duration.as_deref().map(parse_duration).transpose()?;
    let place = Place::of(args)?;
    let config = config(&place)?;
    let runtimes = Runtimes::start()?;
    let cpu = runtimes.cpu();
    runtimes.finish(show(&config, &place, args.rate, end, cpu))
}

async fn show(config: &Config, place: &Place, rate: u32, end: Option<Duration>, cpu: Handle) -> Result<()> {
    let clock = Clock::system();
    let mut signals = Signals::listen()?;
    let app = App::build(config, cpu, clock.clone()).await?;
    let before = rows(app.store());
    let store = Arc::clone(app.store());
    let broker = Broker::start(rate, clock.clone(), move || rows(&store).saturating_sub(before))?;
    define(&app, &broker).await?;
    print!("{}", screen::greeting(&app, place.shown(), &broker, rate, DASHBOARD));
    let freshness = Freshness::watch(broker.samples(), Arc::clone(app.store()), clock.clone());
    broker.begin();
    let begun = clock.monotonic();
    let told = tokio::select! {
        watched = watch(&app, &freshness, &clock) => watched,
        name = signals.next() => {
            println!("\n{name}: stopping");
            Ok(())
        }
        () = until(&clock, begun, end) => Ok(()),
    };
    signals.exit_at_next();
    broker.stop();
    app.drain().await;
    println!("{}", place.farewell());
    told
}

/// The table and its source. A demo on a kept directory finds the source of its last run, whose broker is gone.
async fn define(app: &App, broker: &Broker) -> Result<()> {
    execute(app.engine(), CREATE_TABLE).await?;
    if app.control().status().iter().any(|s| s.name == SOURCE) {
        execute(app.engine(), &format!("DROP SOURCE {SOURCE}")).await?;
    }
    let (brokers, topic) = (broker.servers(), broker.topic());
    // A real broker answers a waiting fetch as soon as there is a record; this one only when the wait is over.
    let sql = format!(
        "CREATE SOURCE {SOURCE} TO {TABLE} FROM KAFKA (brokers = '{brokers}', topic = '{topic}', start = 'earliest', \
         'fetch.wait.max.ms' = '2') FORMAT JSON"
    );
    execute(app.engine(), &sql).await
}

/// A line a second, for ever.
async fn watch(app: &App, freshness: &Freshness, clock: &Clock) -> Result<()> {
    let begun = clock.monotonic();
    let (mut last_rows, mut last_at) = (rows(app.store()), begun);
    for second in 1u32.. {
        clock.sleep((begun + Duration::from_secs(1) * second).saturating_sub(clock.monotonic())).await;
        let asked = clock.monotonic();
        execute(app.engine(), DASHBOARD).await?;
        let now = clock.monotonic();
        let rows = rows(app.store());
        let line = Line {
            at: now.saturating_sub(begun),
            rows,
            rows_since: rows.saturating_sub(last_rows),
            since: now.saturating_sub(last_at),
            parts: app.store().family(TABLE).map_or(0, |f| f.view().parts(TableId::BASE).count()),
            fresh: freshness.median(),
            query: now.saturating_sub(asked),
        };
        println!("{line}");
        (last_rows, last_at) = (rows, now);
    }
    Ok(())
}

fn rows(store: &Store) -> u64 {
    store.family(TABLE).map_or(0, |family| family.view().rows(TableId::BASE))
}

async fn until(clock: &Clock, begun: Duration, end: Option<Duration>) {
    match end {
        Some(end) => clock.sleep((begun + end).saturating_sub(clock.monotonic())).await,
        None => std::future::pending().await,
    }
}

/// Runs one statement and reads its rows to the end.
async fn execute(engine: &Arc<Engine>, sql: &str) -> Result<()> {
    let mut session = engine.session();
    for statement in engine.parse(sql)? {
        let answer = session.run(&statement, Vec::new()).await?;
        if let Body::Rows { mut rows, .. } = answer.body {
            while let Some(batch) = rows.next().await {
                batch?;
            }
        }
    }
    Ok(())
}

fn config(place: &Place) -> Result<Config> {
    let mut raw = RawConfig::default();
    raw.add_environment(|name| std::env::var(name).ok());
    raw.add_flag("data_dir", "--data-dir", place.path().to_str());
    raw.add_flag("flight.listen", "demo", Some("off"));
    let mut config = raw.check()?;
    for door in [&mut config.pg, &mut config.http].into_iter().flatten() {
        // A demo beside a running server still works: it takes any free port and says which.
        if TcpListener::bind(*door).is_err() {
            door.set_port(0);
        }
    }
    Ok(config)
}

impl Place {
    fn of(args: &DemoArgs) -> Result<Self> {
        if let Some(dir) = &args.data_dir {
            return Ok(Self::Kept(dir.clone()));
        }
        let dir = tempfile::Builder::new().prefix("millrace-demo-").tempdir();
        dir.map(Self::Temporary).map_err(|e| Error::io(std::env::temp_dir().display(), e))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    fn shown(&self) -> String {
        self.path().display().to_string()
    }

    fn farewell(&self) -> String {
        match self {
            Self::Temporary(_) => "stopped; its data is removed (keep it with --data-dir)".to_owned(),
            Self::Kept(dir) => {
                let dir = dir.display();
                format!("stopped; list its Parquet files with: millrace parts {TABLE} --data-dir {dir}")
            }
        }
    }
}
