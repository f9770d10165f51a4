//! How many plans run at once, and who waits.
//!
//! What enters: a query that needs the CPU runtime. What leaves: a permit that its rows hold, or `53300` after a bounded
//! wait. The direct lane does not come here.

use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Queries that may wait for a permit.
const WAITING_MAX: usize = 512;
/// How long one waits.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The door.
#[derive(Debug)]
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    clock: Clock,
}

/// Counts one who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// A door for `slots` plans.
    pub(crate) fn new(slots: usize, clock: Clock) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), waiting: AtomicUsize::new(0), clock }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `TooMany` when too many wait already, or after ten seconds.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => return Ok(permit),
            Err(TryAcquireError::Closed) => return Err(closed()),
            Err(TryAcquireError::NoPermits) => {}
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return Err(too_many("too many queries are waiting"));
        }
        let permit = tokio::select! {
            permit = Arc::clone(&self.slots).acquire_owned() => permit.map_err(|_| closed()),
            () = self.clock.sleep(WAIT_MAX) => Err(too_many("waited ten seconds for other queries to end")),
        };
        drop(waiting);
        permit
    }
}

fn too_many(message: &str) -> Error {
    Error::new(ErrorKind::TooMany, message).hint("retry later, or end queries whose rows nobody fetches")
}

fn closed() -> Error {
    Error::new(ErrorKind::ShuttingDown, "the server is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_permit_lets_the_next_in_and_waiting_is_bounded() {
        let clock = Clock::simulated(1, 0);
        let door = Arc::new(Admission::new(1, clock.clone()));
        let permit = door.enter().await.unwrap();
        let waiter = tokio::spawn({
            let door = Arc::clone(&door);
            async move { door.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(permit);
        waiter.await.unwrap().unwrap();
        let _held = door.enter().await.unwrap();
        let late = tokio::spawn({
            let door = Arc::clone(&door);
            async move { door.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        clock.advance(WAIT_MAX);
        assert_eq!(late.await.unwrap().unwrap_err().kind(), ErrorKind::TooMany);
    }
}
