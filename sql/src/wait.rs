//! `millrace.wait_for`: a query waits until its snapshot contains what was asked for, within bounds.

use crate::settings::WaitFor as Offsets;
use crate::snapshot::Snapshot;
use millrace_error::{Error, ErrorKind, Result};
use millrace_storage::Store;
use std::sync::Arc;
use std::time::Duration;

/// How often the views are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What to wait for, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WaitLimit {
    /// The least next offsets.
    pub(crate) offsets: Arc<Offsets>,
    /// At most so long.
    pub(crate) timeout: Duration,
}

/// Pins until the snapshot's next offsets are at or past those wanted. A source that feeds none of the query's tables
/// holds nothing up.
///
/// # Errors
/// `UnknownObject` for a source that no table has; `Timeout`.
pub(crate) async fn pin_past(store: &Arc<Store>, wanted: &WaitLimit, pin: impl Fn() -> Snapshot) -> Result<Snapshot> {
    let clock = store.clock();
    let until = clock.monotonic().saturating_add(wanted.timeout);
    known(store, &wanted.offsets)?;
    loop {
        let snapshot = pin();
        let Some(behind) = behind(&snapshot, &wanted.offsets) else { return Ok(snapshot) };
        if clock.monotonic() >= until {
            let after = millrace_schema::format_duration(wanted.timeout);
            return Err(Error::new(ErrorKind::Timeout, format!("millrace.wait_for was not reached within {after}"))
                .detail(behind)
                .hint(
                    "raise millrace.wait_timeout, or look at system.source_partitions for what holds the source up",
                ));
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

fn known(store: &Store, offsets: &Offsets) -> Result<()> {
    let families = store.families();
    for source in offsets.keys() {
        if !families.iter().any(|(_, family)| family.view().manifest.sources.contains_key(source)) {
            return Err(Error::new(
                ErrorKind::UnknownObject,
                format!("millrace.wait_for names source \"{source}\", which does not exist"),
            )
            .hint("SHOW SOURCES lists those there are"));
        }
    }
    Ok(())
}

/// The first partition that is not there yet, in words.
fn behind(snapshot: &Snapshot, wanted: &Offsets) -> Option<String> {
    for pinned in snapshot.families().filter(|pinned| pinned.named) {
        let have = pinned.view.offsets();
        let sources = wanted.iter().filter(|(source, _)| pinned.view.manifest.sources.contains_key(*source));
        for (source, topics) in sources {
            for (topic, partitions) in topics {
                let at = have.get(source).and_then(|topics| topics.get(topic));
                for (partition, next) in partitions {
                    let at = at.and_then(|partitions| partitions.get(partition)).copied();
                    if at.is_none_or(|at| at < *next) {
                        let at = at.map_or("none yet".to_owned(), |at| at.to_string());
                        return Some(format!(
                            "source {source}, topic {topic}, partition {partition}: {at}, wanted {next}"
                        ));
                    }
                }
            }
        }
    }
    None
}
