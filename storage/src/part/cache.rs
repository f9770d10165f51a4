//! Opened parts, a bounded number, and which of them keep their rows in memory.
//!
//! What enters: parts that queries ask for, rows of parts just sealed. What leaves: the opened form. The parts used
//! longest ago are closed first; the rows sealed longest ago leave memory first.

use super::{Part, Resident};
use crate::MemoryBudget;
use crate::manifest::PartMeta;
use crate::seal::WrittenPart;
use arrow::array::RecordBatch;
use millrace_schema::PartId;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many parts a store keeps open: each holds a file descriptor and its footer.
const CAPACITY: usize = 512;

/// Keeps at most `capacity` parts open beside those with resident rows.
#[derive(Debug)]
pub(crate) struct PartCache {
    memory: Arc<MemoryBudget>,
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    parts: HashMap<PartId, Entry>,
    /// Parts with resident rows, oldest first.
    residents: VecDeque<Arc<Part>>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    part: Arc<Part>,
    last_use: u64,
}

impl PartCache {
    /// An empty cache; resident rows are charged to `memory`.
    pub(crate) fn new(memory: Arc<MemoryBudget>) -> Self {
        Self::with_capacity(memory, CAPACITY)
    }

    fn with_capacity(memory: Arc<MemoryBudget>, capacity: usize) -> Self {
        Self { memory, capacity: capacity.max(1), inner: Mutex::default() }
    }

    /// The opened form of a part of the family whose `data` folder this is. Does no I/O.
    pub(crate) fn get(&self, data: &Path, meta: &Arc<PartMeta>) -> Arc<Part> {
        self.lock().open(data, meta, self.capacity)
    }

    /// Takes up a part that was just committed, and its rows where they fit the resident share.
    pub(crate) fn insert(&self, data: &Path, written: WrittenPart) {
        let meta = Arc::new(written.meta);
        let resident = written.rows.and_then(|batches| {
            let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
            let charge = self.charge_resident(u64::try_from(bytes).unwrap_or(u64::MAX))?;
            Some(Arc::new(Resident { batches, charge }))
        });
        let mut inner = self.lock();
        let part = inner.open(data, &meta, self.capacity);
        if resident.is_some() {
            part.set_resident(resident);
            inner.residents.push_back(part);
        }
    }

    /// Charges the resident share with `bytes`, letting go of the oldest resident rows as needed; `None` where that
    /// does not help: too many bytes, or queries hold on to rows.
    fn charge_resident(&self, bytes: u64) -> Option<crate::Charge> {
        if bytes > self.memory.resident_limit() {
            return None;
        }
        loop {
            if let Some(charge) = self.memory.charge_resident(bytes) {
                return Some(charge);
            }
            let oldest = self.lock().residents.pop_front()?;
            oldest.set_resident(None);
        }
    }

    /// Forgets parts that are live no more; queries that hold them may go on reading.
    pub(crate) fn forget(&self, ids: impl IntoIterator<Item = PartId>) {
        let mut inner = self.lock();
        for id in ids {
            inner.parts.remove(&id);
            if let Some(at) = inner.residents.iter().position(|part| part.meta().id == id)
                && let Some(part) = inner.residents.remove(at)
            {
                part.set_resident(None);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open(&mut self, data: &Path, meta: &Arc<PartMeta>, capacity: usize) -> Arc<Part> {
        self.uses += 1;
        let last_use = self.uses;
        if let Some(entry) = self.parts.get_mut(&meta.id) {
            entry.last_use = last_use;
            return Arc::clone(&entry.part);
        }
        let resident = self.residents.iter().find(|part| part.meta().id == meta.id);
        let part = resident.map_or_else(|| Arc::new(Part::open(data, Arc::clone(meta))), Arc::clone);
        self.parts.insert(meta.id, Entry { part: Arc::clone(&part), last_use });
        if self.parts.len() > capacity {
            self.close_oldest(capacity);
        }
        part
    }

    /// Closes down to three quarters of the capacity, so that the search for the oldest is paid for once in many calls.
    fn close_oldest(&mut self, capacity: usize) {
        let mut uses: Vec<u64> = self.parts.values().map(|entry| entry.last_use).collect();
        uses.sort_unstable_by(|a, b| b.cmp(a));
        let keep = (capacity / 4 * 3).max(1);
        let oldest_kept = uses.get(keep - 1).copied().unwrap_or(0);
        self.parts.retain(|_, entry| entry.last_use >= oldest_kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{PartitionKey, PartitionTime};
    use millrace_schema::TableId;
    use uuid::Uuid;

    fn meta(id: u128) -> Arc<PartMeta> {
        Arc::new(PartMeta {
            id: PartId(Uuid::from_u128(id)),
            table: TableId::BASE,
            partition: PartitionKey { time: PartitionTime::All, bucket: None },
            schema_version: 1,
            level: 0,
            rows: 0,
            bytes: 0,
            created_at: 0,
            min_time: None,
            max_time: None,
            key_bounds: Vec::new(),
            crc: 0,
        })
    }

    #[test]
    fn the_least_used_are_closed_but_resident_rows_stay() {
        let cache = PartCache::with_capacity(Arc::new(MemoryBudget::new(1 << 20)), 8);
        let data = Path::new("/nowhere");
        cache.insert(data, WrittenPart { meta: (*meta(100)).clone(), rows: Some(Vec::new()) });
        let first = cache.get(data, &meta(1));
        for id in 2..50 {
            cache.get(data, &meta(id));
            assert!(Arc::ptr_eq(&cache.get(data, &meta(1)), &first), "in use all the time");
            assert!(cache.lock().parts.len() <= 8);
        }
        assert!(!cache.lock().parts.contains_key(&meta(2).id));
        assert!(cache.get(data, &meta(100)).resident().is_some(), "closed, but not forgotten");
    }
}
