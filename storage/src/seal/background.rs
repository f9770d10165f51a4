//! The background threads: one coalesces, one task seals. Both obey pure policies.

use crate::family::{Family, Shared};
use crate::segment::coalesce_once;
use arc_swap::ArcSwap;
use millrace_error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Families by base-table name, as the store publishes them.
pub(crate) type Families = ArcSwap<BTreeMap<String, Arc<Family>>>;

/// How often policies are asked.
const TICK: Duration = Duration::from_millis(50);
/// How long the coalescer rests when there was nothing to merge.
const REST: Duration = Duration::from_millis(10);
/// How long a family whose seal failed is left alone.
const SEAL_RETRY: Duration = Duration::from_secs(2);

/// The running background work of a store.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Arc<AtomicBool>,
    coalescer: Mutex<Option<std::thread::JoinHandle<()>>>,
    sealer: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Background {
    /// Starts both. Needs a tokio runtime.
    pub(crate) fn start(families: Arc<Families>, shared: &Arc<Shared>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let coalescer = std::thread::Builder::new()
            .name("coalesce".into())
            .spawn({
                let (families, shared, stop) = (Arc::clone(&families), Arc::clone(shared), Arc::clone(&stop));
                move || coalesce(&families, &shared, &stop)
            })
            .map_err(|e| Error::io("coalesce thread", e))?;
        let sealer = tokio::spawn({
            let (shared, stop) = (Arc::clone(shared), Arc::clone(&stop));
            async move { seal(&families, &shared, &stop).await }
        });
        Ok(Self { stop, coalescer: Mutex::new(Some(coalescer)), sealer: Mutex::new(Some(sealer)) })
    }

    /// Stops both and waits for them: the coalescer for one merge, the sealer for the seal under way.
    pub(crate) async fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let sealer = self.sealer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sealer) = sealer {
            let _ended = sealer.await;
        }
        let coalescer = self.coalescer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(coalescer) = coalescer {
            let _ended = tokio::task::spawn_blocking(move || coalescer.join()).await;
        }
    }
}

fn coalesce(families: &Families, shared: &Shared, stop: &AtomicBool) {
    (shared.on_background_thread)();
    while !stop.load(Ordering::Acquire) {
        let mut merged = false;
        for (table, family) in families.load().iter() {
            match coalesce_once(family) {
                Ok(did) => merged |= did,
                Err(error) => tracing::error!(table, %error, "coalescing failed"),
            }
        }
        if !merged {
            shared.clock.block(REST);
        }
    }
}

async fn seal(families: &Families, shared: &Shared, stop: &AtomicBool) {
    let mut retry_at: BTreeMap<String, Duration> = BTreeMap::new();
    while !stop.load(Ordering::Acquire) {
        shared.clock.sleep(TICK).await;
        let now = shared.clock.monotonic();
        let resting = |table: &str| retry_at.get(table).is_some_and(|at| now < *at);
        for (table, family) in wanting(&families.load(), shared, resting) {
            if stop.load(Ordering::Acquire) {
                return;
            }
            match family.seal().await {
                Ok(done) => {
                    retry_at.remove(&table);
                    tracing::debug!(table, version = done.version, rows = done.rows, parts = done.parts, "sealed");
                }
                Err(error) => {
                    tracing::warn!(table, %error, "seal failed; the rows stay in memory and are tried again");
                    retry_at.insert(table, now + SEAL_RETRY);
                }
            }
        }
    }
}

/// Families that should seal now: by their own settings, and the largest one while memory is short.
fn wanting(
    families: &BTreeMap<String, Arc<Family>>,
    shared: &Shared,
    resting: impl Fn(&str) -> bool,
) -> Vec<(String, Arc<Family>)> {
    let awake = || families.iter().filter(|(table, family)| !family.is_dropped() && !resting(table));
    let largest = awake().map(|(_, family)| (family.unsealed().bytes, family)).max_by_key(|(bytes, _)| *bytes);
    // Where queries pin the memory, sealing a little frees nothing and makes tiny parts.
    let worth = shared.memory.segments_limit() / 8;
    let largest = largest.filter(|(bytes, _)| shared.memory.over_soft() && *bytes >= worth).map(|(_, family)| family);
    awake()
        .filter(|(_, family)| family.seal_due() || largest.is_some_and(|l| Arc::ptr_eq(l, family)))
        .map(|(table, family)| (table.clone(), Arc::clone(family)))
        .collect()
}

/// Runs blocking work on a thread of its own, of low priority where the server arranged that.
///
/// # Errors
/// `Io` where no thread can be had; `Internal` where the work ended without an answer.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    name: &str,
    on_start: fn(),
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (answer, wait) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            on_start();
            let _caller_gone = answer.send(work());
        })
        .map_err(|e| Error::io(name, e))?;
    wait.await.map_err(|e| Error::internal("a background thread ended early").caused_by(e))
}
