//! The seeded clock of tests: it stands still until it is told to move.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Simulated {
    start: i64,
    state: Mutex<State>,
    moved: tokio::sync::Notify,
}

#[derive(Debug)]
struct State {
    elapsed: Duration,
    seed: u64,
}

impl Simulated {
    pub(crate) fn new(seed: u64, start: i64) -> Self {
        Self { start, state: Mutex::new(State { elapsed: Duration::ZERO, seed }), moved: tokio::sync::Notify::new() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.state().elapsed
    }

    pub(crate) fn now(&self) -> i64 {
        self.start.saturating_add(i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.state().elapsed += by;
        self.moved.notify_waiters();
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        let until = self.elapsed() + duration;
        loop {
            let moved = self.moved.notified();
            if self.elapsed() >= until {
                return;
            }
            moved.await;
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    pub(crate) fn random(&self) -> u64 {
        let mut state = self.state();
        state.seed = state.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn uuid(&self) -> Uuid {
        let millis = u64::try_from(self.now() / 1_000).unwrap_or(0);
        let (high, low) = (self.random(), self.random());
        let high = (millis << 16) | 0x7000 | (high & 0x0FFF);
        let low = (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000;
        Uuid::from_u64_pair(high, low)
    }
}
