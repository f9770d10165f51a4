//! Who is connected, and how to cancel what they run.
//!
//! What enters: connections, cancel requests. What leaves: a cancellation of exactly the statement that runs now: a late
//! request finds no statement, or none that it could mean, and does nothing. Deliberately absent: I/O.

use bytes::Bytes;
use millrace_clock::Clock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// All connections of this server.
#[derive(Debug)]
pub(crate) struct Registry {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_pid: i32,
    connections: HashMap<i32, Arc<Slot>>,
}

/// One connection's place. Leaves the registry when dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    registry: Arc<Registry>,
    pub(crate) pid: i32,
    slot: Arc<Slot>,
}

#[derive(Debug)]
struct Slot {
    secret: Bytes,
    running: Mutex<Option<CancellationToken>>,
}

/// A running statement. It cannot be cancelled any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    slot: Arc<Slot>,
    token: CancellationToken,
}

impl Registry {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::new(State::default()) })
    }

    /// Gives a connection its number and a secret of `secret_bytes` (a multiple of 4, at most 32).
    pub(crate) fn register(self: &Arc<Self>, secret_bytes: usize) -> Registered {
        let random: Vec<u8> = (0..4).flat_map(|_| self.clock.random().to_be_bytes()).collect();
        let secret = Bytes::from(random).slice(..secret_bytes.min(32));
        let slot = Arc::new(Slot { secret, running: Mutex::new(None) });
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            state.last_pid = state.last_pid.checked_add(1).unwrap_or(1);
            let pid = state.last_pid;
            if let std::collections::hash_map::Entry::Vacant(place) = state.connections.entry(pid) {
                place.insert(slot.clone());
                return Registered { registry: self.clone(), pid, slot };
            }
        }
    }

    /// Cancels what connection `pid` runs, if `secret` is its own. Tells the caller nothing either way.
    pub(crate) fn cancel(&self, pid: i32, secret: &[u8]) {
        let slot = self.state.lock().unwrap_or_else(PoisonError::into_inner).connections.get(&pid).cloned();
        let Some(slot) = slot else { return };
        // Constant time: no early exit on the first byte that differs.
        let difference = slot.secret.iter().zip(secret).fold(0, |sum, (a, b)| sum | (a ^ b));
        if slot.secret.len() != secret.len() || difference != 0 {
            tracing::warn!(pid, "wrong key in cancel request");
            return;
        }
        if let Some(token) = slot.running.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            token.cancel();
        }
    }
}

impl Registered {
    pub(crate) fn secret(&self) -> Bytes {
        self.slot.secret.clone()
    }

    /// Begins a statement that cancel requests will mean.
    pub(crate) fn begin(&self) -> Running {
        let token = CancellationToken::new();
        *self.slot.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Running { slot: self.slot.clone(), token }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.state.lock().unwrap_or_else(PoisonError::into_inner).connections.remove(&self.pid);
    }
}

impl Running {
    /// Completes when somebody cancels it.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *self.slot.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_cancels_and_only_what_runs() {
        let registry = Registry::new(Clock::simulated(1, 0));
        let (a, b) = (registry.register(32), registry.register(4));
        assert_ne!(a.pid, b.pid);
        assert_eq!((a.secret().len(), b.secret().len()), (32, 4));
        registry.cancel(a.pid, &a.secret());
        let running = a.begin();
        assert!(!running.token.is_cancelled(), "a late request must not hit the next statement");
        registry.cancel(a.pid, &b.secret());
        registry.cancel(b.pid, &a.secret());
        assert!(!running.token.is_cancelled());
        registry.cancel(a.pid, &a.secret());
        assert!(running.token.is_cancelled());
        drop(running);
        assert!(!a.begin().token.is_cancelled());
        let pid = a.pid;
        drop(a);
        assert!(!registry.state.lock().unwrap().connections.contains_key(&pid));
    }
}
