//! The only source of time, sleep, randomness and ids.
//!
//! What enters: nothing, or a seed. What leaves: instants, sleeps, random numbers, uuids. `clippy.toml` bans every other
//! way to get them, so that a test can replace them all with a seeded [`Clock::simulated`] one.

mod simulated;

use simulated::Simulated;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// A moment of wall-clock time: microseconds since 1970-01-01T00:00:00Z.
pub type UnixMicros = i64;

/// A handle on time, randomness and ids; cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    System { start: Instant },
    Simulated(Simulated),
}

impl Clock {
    /// The machine's clock and randomness.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    pub fn system() -> Self {
        Self(Arc::new(Kind::System { start: Instant::now() }))
    }

    /// A clock that stands still until [`Clock::advance`], with randomness from `seed`: equal seeds, equal runs.
    pub fn simulated(seed: u64, start: UnixMicros) -> Self {
        Self(Arc::new(Kind::Simulated(Simulated::new(seed, start))))
    }

    /// Wall-clock time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
    pub fn now(&self) -> UnixMicros {
        match &*self.0 {
            Kind::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|d| i64::try_from(d.as_micros()).ok())
                .unwrap_or(0),
            Kind::Simulated(s) => s.now(),
        }
    }

    /// Time since this clock was made; never goes back.
    pub fn monotonic(&self) -> Duration {
        match &*self.0 {
            Kind::System { start } => start.elapsed(),
            Kind::Simulated(s) => s.elapsed(),
        }
    }

    /// Sleeps without blocking the thread. Dropping the future ends the sleep. Needs a tokio runtime with time.
    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    pub async fn sleep(&self, duration: Duration) {
        match &*self.0 {
            Kind::System { .. } => tokio::time::sleep(duration).await,
            Kind::Simulated(s) => s.sleep(duration).await,
        }
    }

    /// Blocks this thread; for our own threads, never inside a future. A simulated clock advances instead.
    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    pub fn block(&self, duration: Duration) {
        match &*self.0 {
            Kind::System { .. } => std::thread::sleep(duration),
            Kind::Simulated(s) => s.advance(duration),
        }
    }

    /// A time-ordered id (UUID version 7), never handed out twice.
    #[expect(clippy::disallowed_methods, reason = "the one place that mints ids")]
    pub fn uuid(&self) -> Uuid {
        match &*self.0 {
            Kind::System { .. } => Uuid::now_v7(),
            Kind::Simulated(s) => s.uuid(),
        }
    }

    /// 64 random bits.
    #[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    pub fn random(&self) -> u64 {
        match &*self.0 {
            Kind::System { .. } => Uuid::new_v4().as_u64_pair().1.rotate_left(17) ^ Uuid::new_v4().as_u64_pair().0,
            Kind::Simulated(s) => s.random(),
        }
    }

    /// Moves a simulated clock forward and wakes its sleepers; a system clock ignores it.
    pub fn advance(&self, duration: Duration) {
        if let Kind::Simulated(s) = &*self.0 {
            s.advance(duration);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_runs() {
        let (a, b) = (Clock::simulated(7, 1_000), Clock::simulated(7, 1_000));
        assert_eq!(a.random(), b.random());
        assert_eq!(a.uuid(), b.uuid());
        assert_ne!(a.random(), a.random());
        a.advance(Duration::from_micros(5));
        assert_eq!(a.now(), 1_005);
        assert_eq!(a.monotonic(), Duration::from_micros(5));
    }

    #[test]
    fn ids_grow_with_time() {
        let clock = Clock::system();
        let (a, b) = (clock.uuid(), clock.uuid());
        assert!(a < b);
    }
}
