//! How long it takes from `produce()` until a query would see the record.

use super::broker::Sample;
use super::{SOURCE, TABLE};
use millrace_clock::Clock;
use millrace_storage::Store;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

const PAUSE: Duration = Duration::from_micros(500);
/// A sample not seen by then counts as this.
const GIVE_UP: Duration = Duration::from_secs(5);

/// The times measured since last asked.
#[derive(Debug)]
pub(super) struct Freshness {
    times: Arc<Mutex<Vec<Duration>>>,
}

impl Freshness {
    /// Watches samples until their sender is gone.
    pub(super) fn watch(samples: Option<Receiver<Sample>>, store: Arc<Store>, clock: Clock) -> Self {
        let times = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut samples) = samples {
            let times = Arc::clone(&times);
            tokio::spawn(async move {
                while let Some(sample) = samples.recv().await {
                    let took = visible_after(sample, &store, &clock).await;
                    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
                    times.push(took);
                }
            });
        }
        Self { times }
    }

    /// The median since last asked.
    pub(super) fn median(&self) -> Option<Duration> {
        let mut times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }
}

async fn visible_after(sample: Sample, store: &Store, clock: &Clock) -> Duration {
    loop {
        let took = clock.monotonic().saturating_sub(sample.sent);
        if took > GIVE_UP || next_offset(store, sample.partition).is_some_and(|next| next > sample.offset) {
            return took;
        }
        clock.sleep(PAUSE).await;
    }
}

fn next_offset(store: &Store, partition: i32) -> Option<i64> {
    let view = store.family(TABLE)?.view();
    let topic = view.manifest.sources.get(SOURCE)?.topic.as_ref()?;
    view.next_offset(topic, partition)
}
