//! What the demo prints.

use super::broker::Broker;
use crate::app::App;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What happened in about a second.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) rows: u64,
    pub(super) rows_since: u64,
    pub(super) since: Duration,
    pub(super) parts: usize,
    /// Median time from `produce()` to visible.
    pub(super) fresh: Option<Duration>,
    /// Time of the dashboard's query.
    pub(super) query: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.since.as_micros().max(1);
        let rate = u64::try_from(u128::from(self.rows_since) * 1_000_000 / micros).unwrap_or(u64::MAX);
        let fresh = self.fresh.map_or("-".to_owned(), millis);
        write!(
            f,
            "{:>4} s  {:>7} events/s  {:>11} rows  {:>3} parts  visible after {fresh} ms  dashboard query {} ms",
            self.at.as_secs(),
            grouped(rate),
            grouped(self.rows),
            self.parts,
            millis(self.query),
        )
    }
}

/// What is running and what to try.
pub(super) fn greeting(app: &App, data_dir: String, broker: &Broker, rate: u32, query: &str) -> String {
    let mut text = format!(
        "Millrace demo: {rate} made-up Wikipedia edits a second -> Kafka protocol broker on {} -> table wikipedia in {data_dir}\n",
        broker.servers()
    );
    text.push_str("Ctrl-C stops it. Try in another terminal:\n\n");
    if let Some(pg) = app.pg {
        text.push_str(&format!("  {}\n", psql(pg, "SELECT count(*), max(time) FROM wikipedia")));
        text.push_str(&format!("  {}\n", psql(pg, query)));
        text.push_str(&format!("  {}\n", psql(pg, "SELECT millrace_offsets('wikipedia'), count(*) FROM wikipedia")));
    }
    if let Some(http) = app.http {
        text.push_str(&format!("  curl -s http://{http}/v1/query --data-binary \"{query}\"\n"));
        text.push_str(&format!("  curl -s http://{http}/metrics\n"));
    }
    text.push('\n');
    text
}

fn psql(address: SocketAddr, query: &str) -> String {
    format!("psql -h {} -p {} -U millrace millrace -c \"{query}\"", address.ip(), address.port())
}

fn millis(time: Duration) -> String {
    format!("{:>5.1}", time.as_secs_f64() * 1_000.0)
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_well() {
        let line = Line {
            at: Duration::from_secs(12),
            rows: 1_024_036,
            rows_since: 2_003,
            since: Duration::from_secs(1),
            parts: 3,
            fresh: Some(Duration::from_micros(3_140)),
            query: Duration::from_micros(4_200),
        };
        let text = line.to_string();
        assert!(
            text.contains("2,003 events/s") && text.contains("1,024,036 rows") && text.contains("  3.1 ms"),
            "{text}"
        );
    }
}
