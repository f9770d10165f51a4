//! What the whole-system tests share: a real Kafka, a real server process, real clients, DuckDB as oracle.
//!
//! Everything runs on loopback and is stopped by its pid. Nothing here asserts what Millrace answers.

pub mod http;
pub mod kafka;
pub mod oracle;
pub mod server;

pub use kafka::Kafka;
pub use server::{Server, ServerOptions};

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The top of the checkout. Asked at run time first: a cached build of another checkout may be taken for this one's.
pub fn checkout() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).parent().unwrap().to_owned()
}

/// `cargo metadata` of the checkout, for this machine's platform, offline.
pub fn cargo_metadata() -> serde_json::Value {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", &platform])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The folder that keeps what tests fetch.
pub fn cache() -> PathBuf {
    match std::env::var_os("MILLRACE_CACHE") {
        Some(dir) => dir.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/millrace"),
    }
}

/// The Wikipedia events, one JSON document each, unpacked through Python's gzip.
pub fn wikipedia_lines() -> Vec<String> {
    let file = checkout().join("tests/data/wikiticker-2015-09-12-sampled.json.gz");
    let output = std::process::Command::new("gzip").arg("-dc").arg(file).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

/// The table of the Wikipedia events.
pub const WIKIPEDIA_DDL: &str = r#"CREATE TABLE wikipedia ("time" timestamptz NOT NULL, channel text NOT NULL, "cityName" text, comment text,
 "countryIsoCode" text, "countryName" text, "isAnonymous" boolean, "isMinor" boolean, "isNew" boolean, "isRobot" boolean,
 "isUnpatrolled" boolean, "metroCode" integer, namespace text, page text, "regionIsoCode" text, "regionName" text, "user" text,
 delta bigint, added bigint, deleted bigint) WITH (time_column = 'time', partition_by = 'day', sort_by = 'channel, time')"#;

/// Polls until `check` says something, or panics with `what` after `limit`.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How often a test of chance runs: `short` in CI, `long` under `make test-long`.
pub fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("MILLRACE_TEST_LONG").is_some() { long } else { short }
}
