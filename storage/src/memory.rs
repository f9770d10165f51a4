//! One memory limit, divided: segments, resident columns of parts, consumer queues, queries.
//!
//! What enters: charges for bytes held. What leaves: whether to seal early (soft) or stop polling (hard). A [`Charge`]
//! gives its bytes back when it drops, so a chunk pinned by a query stays charged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The division of `memory_limit`.
///
/// | share | part of the limit | past it |
/// | --- | --- | --- |
/// | segments | 40 % (soft at 60 % of it) | soft: the largest segment seals; hard: polling stops |
/// | resident | 10 % | parts are read from Parquet |
/// | queues | 5 % | the consumer stops fetching |
/// | queries | 30 % | `53200` naming the operator |
/// | rest | 15 % | seal buffers, metadata, the allocator's slack |
#[derive(Debug)]
pub struct MemoryBudget {
    limit: u64,
    segments: Arc<AtomicU64>,
    resident: Arc<AtomicU64>,
}

impl MemoryBudget {
    /// A budget over `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, segments: Arc::default(), resident: Arc::default() }
    }

    /// The whole limit, bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// What queries may hold in all, bytes.
    pub fn queries_limit(&self) -> u64 {
        self.limit / 10 * 3
    }

    /// What consumer queues may hold in all, bytes.
    pub fn queues_limit(&self) -> u64 {
        self.limit / 20
    }

    /// What mutable and sealing segments may hold, bytes.
    pub fn segments_limit(&self) -> u64 {
        self.limit / 10 * 4
    }

    /// What resident columns may hold, bytes.
    pub fn resident_limit(&self) -> u64 {
        self.limit / 10
    }

    /// What segments hold now, bytes; chunks pinned by queries included.
    pub fn segments_used(&self) -> u64 {
        self.segments.load(Ordering::Relaxed)
    }

    /// What resident columns hold now, bytes.
    pub fn resident_used(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// Whether the largest segment should seal now.
    pub fn over_soft(&self) -> bool {
        self.segments_used() > self.segments_limit() / 10 * 6
    }

    /// Whether sources must stop polling until a seal has freed memory.
    pub fn over_hard(&self) -> bool {
        self.segments_used() > self.segments_limit()
    }

    /// Charges segments with `bytes`; never refuses: the caller looked at [`MemoryBudget::over_hard`] before polling.
    pub fn charge_segment(&self, bytes: u64) -> Charge {
        Charge::take(&self.segments, bytes)
    }

    /// Charges resident columns with `bytes`, or refuses with `None` when the share is used up.
    pub fn charge_resident(&self, bytes: u64) -> Option<Charge> {
        (self.resident_used() + bytes <= self.resident_limit()).then(|| Charge::take(&self.resident, bytes))
    }
}

/// Bytes held; given back on drop.
#[derive(Debug)]
pub struct Charge {
    pool: Arc<AtomicU64>,
    bytes: u64,
}

impl Charge {
    fn take(pool: &Arc<AtomicU64>, bytes: u64) -> Self {
        pool.fetch_add(bytes, Ordering::Relaxed);
        Self { pool: Arc::clone(pool), bytes }
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.pool.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_come_back() {
        let budget = MemoryBudget::new(1_000);
        let a = budget.charge_segment(300);
        assert!(budget.over_soft() && !budget.over_hard());
        let b = budget.charge_segment(200);
        assert!(budget.over_hard());
        drop((a, b));
        assert_eq!(budget.segments_used(), 0);
        assert!(budget.charge_resident(101).is_none());
    }
}
