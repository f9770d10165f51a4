//! Prometheus text. Every metric's name is in this file.
//!
//! What enters: counts of queries as they end, and at each scrape the store and the sources. What leaves: text. Nothing
//! is sampled in between.

use millrace_clock::Clock;
use millrace_schema::TableId;
use millrace_sql::SourceStatus;
use millrace_storage::{Family, Store};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of `millrace_query_seconds`.
const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Where a query came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The PostgreSQL wire.
    Pg,
    /// HTTP.
    Http,
}

/// Counts since start.
#[derive(Debug, Default)]
pub struct Metrics {
    pg: DoorCounts,
    http: DoorCounts,
}

#[derive(Debug, Default)]
struct DoorCounts {
    ok: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    /// Queries by bucket; the last is beyond every bound.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    total: Mutex<Duration>,
}

/// A query under way. Dropped without a verdict, it counts as cancelled.
#[derive(Debug)]
pub struct QueryTimer {
    metrics: Arc<Metrics>,
    door: Door,
    clock: Clock,
    begun: Duration,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Ok,
    Failed,
    Cancelled,
}

impl Metrics {
    /// Starts the time of a query.
    pub fn start(self: &Arc<Self>, door: Door, clock: &Clock) -> QueryTimer {
        let (metrics, clock, begun) = (Arc::clone(self), clock.clone(), clock.monotonic());
        QueryTimer { metrics, door, clock, begun, outcome: Outcome::Cancelled }
    }

    /// Everything, as text.
    pub fn render(&self, store: &Store, sources: &[SourceStatus]) -> String {
        let mut page = Page::default();
        page.store(store);
        page.sources(store, sources);
        for (name, counts) in [("pg", &self.pg), ("http", &self.http)] {
            page.queries(name, counts);
        }
        page.finish()
    }

    fn counts(&self, door: Door) -> &DoorCounts {
        match door {
            Door::Pg => &self.pg,
            Door::Http => &self.http,
        }
    }
}

impl QueryTimer {
    /// It ended well.
    pub fn succeeded(mut self) {
        self.outcome = Outcome::Ok;
    }

    /// It ended with an error.
    pub fn failed(mut self) {
        self.outcome = Outcome::Failed;
    }

    /// It ended, well or not.
    pub fn ended(self, well: bool) {
        if well { self.succeeded() } else { self.failed() }
    }
}

impl Drop for QueryTimer {
    fn drop(&mut self) {
        let counts = self.metrics.counts(self.door);
        let count = match self.outcome {
            Outcome::Ok => &counts.ok,
            Outcome::Failed => &counts.failed,
            Outcome::Cancelled => &counts.cancelled,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let took = self.clock.monotonic().saturating_sub(self.begun);
        let bucket = BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = counts.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        *counts.total.lock().unwrap_or_else(PoisonError::into_inner) += took;
    }
}

/// Samples grouped by metric: the text format wants those of one name together.
#[derive(Debug, Default)]
struct Page {
    metrics: Vec<Metric>,
}

#[derive(Debug)]
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: String,
}

impl Page {
    fn add(
        &mut self,
        metric: (&'static str, &'static str, &'static str),
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        let suffix = "";
        self.sample(metric, suffix, labels, value);
    }

    fn sample(
        &mut self,
        (name, kind, help): (&'static str, &'static str, &'static str),
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        let at = self.metrics.iter().position(|m| m.name == name).unwrap_or_else(|| {
            self.metrics.push(Metric { name, kind, help, samples: String::new() });
            self.metrics.len() - 1
        });
        let Some(metric) = self.metrics.get_mut(at) else { return };
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", escaped(v))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(metric.samples, "{name}{suffix}{braces} {value}");
    }

    fn store(&mut self, store: &Store) {
        for (table, family) in store.families() {
            let (view, labels) = (family.view(), [("table", table.as_str())]);
            let unsealed: usize = view.chunks(TableId::BASE).map(|c| c.rows.num_rows()).sum();
            let parts: Vec<_> = view.parts(TableId::BASE).collect();
            self.add(("millrace_rows_total", "gauge", "Rows a query sees."), &labels, view.rows(TableId::BASE));
            self.add(("millrace_unsealed_rows_total", "gauge", "Rows not yet in parts."), &labels, unsealed);
            self.add(
                ("millrace_dead_letters_total", "gauge", "Dead letters kept."),
                &labels,
                view.rows(TableId::DEAD_LETTERS),
            );
            self.add(("millrace_parts_total", "gauge", "Live parts."), &labels, parts.len());
            let bytes: u64 = parts.iter().map(|p| p.bytes).sum();
            self.add(("millrace_parts_bytes", "gauge", "Size of the live parts."), &labels, bytes);
            self.add(("millrace_versions_total", "counter", "Manifest version."), &labels, view.manifest.version);
        }
        let memory = store.memory();
        for (name, help, value) in [
            ("millrace_memory_limit_bytes", "The memory limit.", memory.limit()),
            ("millrace_segments_bytes", "Memory of unsealed rows.", memory.segments_used()),
            ("millrace_segments_limit_bytes", "Past it polling stops.", memory.segments_limit()),
            ("millrace_resident_bytes", "Memory of the resident columns of parts.", memory.resident_used()),
            ("millrace_process_resident_bytes", "Memory of the process.", crate::machine::resident_bytes()),
        ] {
            self.add((name, "gauge", help), &[], value);
        }
        let uptime = store.clock().monotonic().as_secs_f64();
        self.add(("millrace_uptime_seconds", "counter", "Time since start."), &[], format!("{uptime:.3}"));
    }

    fn sources(&mut self, store: &Store, sources: &[SourceStatus]) {
        for state in ["running", "waiting", "paused", "failed"] {
            let count = sources.iter().filter(|s| s.state == state).count();
            self.add(("millrace_sources_total", "gauge", "Sources by state."), &[("state", state)], count);
        }
        for source in sources {
            let labels = [("source", source.name.as_str()), ("table", source.table.as_str())];
            let name = "millrace_unknown_fields_total";
            self.add((name, "counter", "Unknown fields passed over."), &labels, source.unknown_fields);
            if let Some(family) = store.family(&source.table) {
                self.partitions(&family, source);
            }
        }
    }

    fn partitions(&mut self, family: &Family, source: &SourceStatus) {
        let view = family.view();
        let Some(topic) = view.manifest.sources.get(&source.name).and_then(|s| s.topic.clone()) else { return };
        let unsealed =
            view.shards.iter().find(|s| *s.topic == topic).map(|s| Arc::clone(&s.positions)).unwrap_or_default();
        for (partition, position) in view.manifest.positions.get(&topic).into_iter().flatten() {
            let number = partition.to_string();
            let labels = [("source", source.name.as_str()), ("partition", number.as_str())];
            let open = unsealed.get(partition);
            let rows = position.rows + open.map_or(0, |p| p.rows);
            let dead = position.dead_letters + open.map_or(0, |p| p.dead_letters);
            let next = open.map_or(position.next, |p| p.next);
            self.add(("millrace_ingest_rows_total", "counter", "Rows read."), &labels, rows);
            self.add(
                ("millrace_ingest_dead_letters_total", "counter", "Records that became dead letters."),
                &labels,
                dead,
            );
            self.add(("millrace_visible_offset_total", "counter", "First offset not visible."), &labels, next);
            let status = source.partitions.iter().find(|p| p.partition == *partition);
            if let Some(end) = status.and_then(|p| p.high_watermark) {
                let lag = end.saturating_sub(next).max(0);
                self.add(("millrace_lag_records_total", "gauge", "Records not yet visible."), &labels, lag);
            }
            if let Some(seconds) = status.and_then(|p| p.lag_seconds) {
                self.add(
                    ("millrace_lag_seconds", "gauge", "Age of the newest record read, 0 where all is read."),
                    &labels,
                    seconds,
                );
            }
        }
    }

    fn queries(&mut self, door: &str, counts: &DoorCounts) {
        for (outcome, count) in [("ok", &counts.ok), ("failed", &counts.failed), ("cancelled", &counts.cancelled)] {
            let labels = [("door", door), ("outcome", outcome)];
            self.add(("millrace_queries_total", "counter", "Queries ended."), &labels, count.load(Ordering::Relaxed));
        }
        let histogram = ("millrace_query_seconds", "histogram", "Time of a query, to its last row.");
        let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut below = 0;
        for (bound, bucket) in bounds.zip(&counts.buckets) {
            below += bucket.load(Ordering::Relaxed);
            self.sample(histogram, "_bucket", &[("door", door), ("le", &bound)], below);
        }
        let total = counts.total.lock().unwrap_or_else(PoisonError::into_inner).as_secs_f64();
        self.sample(histogram, "_sum", &[("door", door)], total);
        self.sample(histogram, "_count", &[("door", door)], below);
    }

    fn finish(self) -> String {
        let mut text = String::new();
        for Metric { name, kind, help, samples } in self.metrics {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{samples}");
        }
        text
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_counted_by_outcome_and_time() {
        let (metrics, clock) = (Arc::new(Metrics::default()), Clock::simulated(1, 0));
        let timer = metrics.start(Door::Http, &clock);
        clock.advance(Duration::from_millis(7));
        timer.succeeded();
        metrics.start(Door::Http, &clock).failed();
        drop(metrics.start(Door::Http, &clock));
        let mut page = Page::default();
        page.queries("http", &metrics.http);
        let text = page.finish();
        for line in [
            "# TYPE millrace_query_seconds histogram",
            "millrace_queries_total{door=\"http\",outcome=\"ok\"} 1",
            "millrace_queries_total{door=\"http\",outcome=\"cancelled\"} 1",
            "millrace_query_seconds_bucket{door=\"http\",le=\"0.005\"} 2",
            "millrace_query_seconds_bucket{door=\"http\",le=\"0.01\"} 3",
            "millrace_query_seconds_bucket{door=\"http\",le=\"+Inf\"} 3",
            "millrace_query_seconds_sum{door=\"http\"} 0.007",
            "millrace_query_seconds_count{door=\"http\"} 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("# TYPE millrace_queries_total").count(), 1);
    }

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.add(("millrace_rows_total", "gauge", "h"), &[("table", "a\"b\\c\n")], 1);
        assert!(page.finish().contains(r#"{table="a\"b\\c\n"} 1"#));
    }
}
