//! Whether answers are complete yet: what `/readyz` says.
//!
//! After a crash the rows that were not sealed are read again from Kafka; until then a snapshot may be older than one
//! that was already seen. The server is ready once every source has caught up, or after a bound.

use millrace_clock::Clock;
use millrace_ingest::Supervisor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long catching up may hold readiness back.
const CATCH_UP_BOUND: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// A shared answer to "are you ready?".
#[derive(Debug, Clone)]
pub struct Readiness(Arc<Mutex<Option<&'static str>>>);

impl Readiness {
    /// Not ready, for this reason.
    pub fn not_yet(reason: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Some(reason))))
    }

    /// Why not; `None`: ready.
    pub fn reason(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the answer. "stopping" is final.
    pub fn set(&self, reason: Option<&'static str>) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != Some(STOPPING) {
            *current = reason;
        }
    }
}

/// The reason given while the server drains.
pub const STOPPING: &str = "stopping";

/// Turns ready when the sources have caught up, or when they took too long.
pub async fn when_caught_up(readiness: Readiness, supervisor: Arc<Supervisor>, clock: Clock) {
    let begun = clock.monotonic();
    while !supervisor.caught_up() {
        if clock.monotonic().saturating_sub(begun) > CATCH_UP_BOUND {
            tracing::warn!("sources have not caught up within 30 s; ready all the same");
            break;
        }
        clock.sleep(PAUSE).await;
    }
    readiness.set(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_is_final() {
        let readiness = Readiness::not_yet("reading again what was not sealed");
        assert!(readiness.reason().is_some());
        readiness.set(None);
        assert_eq!(readiness.reason(), None);
        readiness.set(Some(STOPPING));
        readiness.set(None);
        assert_eq!(readiness.reason(), Some(STOPPING));
    }
}
