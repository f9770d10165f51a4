//! Logs: to stderr, for people on a terminal, as JSON otherwise.
//!
//! `MILLRACE_LOG` or else `RUST_LOG` says how much, in tracing's filter syntax (`info,millrace_ingest=debug`).

use millrace_error::{Error, ErrorKind, Result};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging; `default` is the level of our own crates when the environment says nothing.
///
/// # Errors
/// `InvalidValue` for a filter that cannot be read.
pub(crate) fn start(default: &str) -> Result<()> {
    let named = ["MILLRACE_LOG", "RUST_LOG"].into_iter().find_map(|v| std::env::var(v).ok().filter(|t| !t.is_empty()));
    // librdkafka and DataFusion have much to say that concerns nobody.
    let text = named.unwrap_or_else(|| format!("warn,millrace={default},{}", own_crates(default)));
    let filter = EnvFilter::try_new(&text).map_err(|e| {
        Error::new(ErrorKind::InvalidValue, format!("log filter {text:?}: {e}"))
            .hint("write it like info or warn,millrace_ingest=debug")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    started.map_err(|e| Error::internal(format!("cannot start logging: {e}")))
}

fn own_crates(level: &str) -> String {
    let crates = ["server", "ingest", "sql", "storage"];
    crates.map(|name| format!("millrace_{name}={level}")).join(",")
}
