//! The one place where a family's view changes: every change is one swap of one `Arc` (S-5).
//!
//! What enters: chunks, a merged run, a freeze, a new manifest. What leaves: the next view. Readers never wait; writers
//! hold a lock for as long as it takes to copy a list of `Arc`s.

use crate::manifest::Manifest;
use crate::segment::{Chunk, OffsetRange};
use crate::view::{FamilyView, ShardView, VisiblePosition};
use arc_swap::ArcSwap;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{TableId, TopicKey};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A family's current view, and the lock of those who change it.
#[derive(Debug)]
pub(crate) struct Published {
    view: ArcSwap<FamilyView>,
    state: Mutex<State>,
}

/// What only writers need to know.
#[derive(Debug, Default)]
struct State {
    /// Since when something has been unsealed, on the monotonic clock.
    unsealed_since: Option<Duration>,
    /// The same for what came after the last freeze.
    unsealed_since_freeze: Option<Duration>,
}

/// What a seal took: everything visible at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    /// The view right after the freeze.
    pub(crate) view: Arc<FamilyView>,
}

impl Frozen {
    /// The frozen chunks of one table.
    pub(crate) fn chunks(&self, table: TableId) -> Vec<Arc<Chunk>> {
        self.view.shards.iter().flat_map(|s| &s.sealing).filter(|c| c.table == table).cloned().collect()
    }

    /// Every shard's visible positions at the freeze.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&TopicKey, i32, &VisiblePosition)> {
        self.view.shards.iter().flat_map(|s| s.positions.iter().map(|(p, position)| (&*s.topic, *p, position)))
    }
}

impl Published {
    pub(crate) fn new(manifest: Manifest) -> Self {
        let view = FamilyView { manifest: Arc::new(manifest), shards: Vec::new() };
        Self { view: ArcSwap::from_pointee(view), state: Mutex::default() }
    }

    /// The current view. Wait-free.
    pub(crate) fn view(&self) -> Arc<FamilyView> {
        self.view.load_full()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when something has been unsealed, on the monotonic clock.
    pub(crate) fn unsealed_since(&self) -> Option<Duration> {
        self.lock().unsealed_since
    }

    /// Makes chunks and the offsets they cover visible together.
    pub(crate) fn append(
        &self,
        topic: &Arc<TopicKey>,
        chunks: Vec<Arc<Chunk>>,
        offsets: &[OffsetRange],
        schema_version: u32,
        now: Duration,
    ) -> Result<()> {
        let mut state = self.lock();
        let view = self.view();
        if view.table(TableId::BASE).is_none_or(|t| t.schema_version != schema_version) {
            return Err(Error::new(ErrorKind::Conflict, "the table's schema changed while rows were decoded"));
        }
        let mut shards = view.shards.clone();
        let shard = shard_mut(&mut shards, topic);
        let mut positions = BTreeMap::clone(&shard.positions);
        for range in offsets {
            advance(&view, topic, &mut positions, range)?;
        }
        shard.positions = Arc::new(positions);
        shard.mutable.extend(chunks);
        if !offsets.is_empty() {
            state.unsealed_since.get_or_insert(now);
            state.unsealed_since_freeze.get_or_insert(now);
        }
        self.view.store(Arc::new(FamilyView { manifest: Arc::clone(&view.manifest), shards }));
        Ok(())
    }

    /// Puts `merged` in the place of `run`, if the run still stands whole.
    pub(crate) fn replace_run(&self, topic: &TopicKey, run: &[Arc<Chunk>], merged: Arc<Chunk>) {
        let _state = self.lock();
        let view = self.view();
        let mut shards = view.shards.clone();
        let Some(shard) = shards.iter_mut().find(|s| *s.topic == *topic).map(Arc::make_mut) else { return };
        let in_run = |chunk: &Arc<Chunk>| run.iter().any(|r| Arc::ptr_eq(r, chunk));
        if shard.mutable.iter().filter(|c| in_run(c)).count() != run.len() {
            return;
        }
        let mut merged = Some(merged);
        let mut next = Vec::with_capacity(shard.mutable.len());
        for chunk in shard.mutable.drain(..) {
            if in_run(&chunk) {
                next.extend(merged.take());
            } else {
                next.push(chunk);
            }
        }
        shard.mutable = next;
        self.view.store(Arc::new(FamilyView { manifest: Arc::clone(&view.manifest), shards }));
    }

    /// Takes everything visible for a seal. Rows stay visible; what comes later is not part of it.
    pub(crate) fn freeze(&self) -> Frozen {
        let mut state = self.lock();
        let view = self.view();
        let mut shards = view.shards.clone();
        for shard in &mut shards {
            let shard = Arc::make_mut(shard);
            let mutable = std::mem::take(&mut shard.mutable);
            shard.sealing.extend(mutable);
        }
        state.unsealed_since_freeze = None;
        let view = Arc::new(FamilyView { manifest: Arc::clone(&view.manifest), shards });
        self.view.store(Arc::clone(&view));
        Frozen { view }
    }

    /// Gives a freeze back after a seal that failed: the rows are mutable again, before those that came since.
    pub(crate) fn thaw(&self) {
        let mut state = self.lock();
        let view = self.view();
        let mut shards = view.shards.clone();
        for shard in &mut shards {
            let shard = Arc::make_mut(shard);
            let mut mutable = std::mem::take(&mut shard.sealing);
            mutable.append(&mut shard.mutable);
            shard.mutable = mutable;
        }
        state.unsealed_since_freeze = state.unsealed_since;
        self.view.store(Arc::new(FamilyView { manifest: Arc::clone(&view.manifest), shards }));
    }

    /// Publishes a committed manifest; with `frozen`, the chunks it now holds as parts leave in the same swap.
    pub(crate) fn publish(&self, manifest: Manifest, frozen: Option<&Frozen>) -> Arc<FamilyView> {
        let mut state = self.lock();
        let view = self.view();
        let mut shards = view.shards.clone();
        for shard in &mut shards {
            let shard = Arc::make_mut(shard);
            if frozen.is_some() {
                shard.sealing.clear();
            }
            let mut positions = BTreeMap::clone(&shard.positions);
            if let Some(sealed) = frozen.and_then(|f| f.view.shards.iter().find(|s| s.topic == shard.topic)) {
                subtract(&mut positions, &sealed.positions);
            }
            follow(&mut positions, &manifest, &shard.topic);
            shard.positions = Arc::new(positions);
        }
        if frozen.is_some() {
            state.unsealed_since = state.unsealed_since_freeze;
        }
        let view = Arc::new(FamilyView { manifest: Arc::new(manifest), shards });
        self.view.store(Arc::clone(&view));
        view
    }
}

fn shard_mut<'a>(shards: &'a mut Vec<Arc<ShardView>>, topic: &Arc<TopicKey>) -> &'a mut ShardView {
    let at = shards.iter().position(|s| s.topic == *topic).unwrap_or_else(|| {
        shards.push(Arc::new(ShardView {
            topic: Arc::clone(topic),
            sealing: Vec::new(),
            mutable: Vec::new(),
            positions: Arc::default(),
        }));
        shards.len() - 1
    });
    Arc::make_mut(&mut shards[at])
}

/// Moves one visible position over a range, or says why it does not fit.
fn advance(
    view: &FamilyView,
    topic: &TopicKey,
    positions: &mut BTreeMap<i32, VisiblePosition>,
    range: &OffsetRange,
) -> Result<()> {
    let conflict = |why: String| {
        Error::new(ErrorKind::Conflict, why).with("topic", &topic.topic).with("partition", range.partition)
    };
    let at = match positions.get(&range.partition) {
        Some(position) => *position,
        None => {
            let committed = view.manifest.position(topic, range.partition);
            let next = committed.ok_or_else(|| conflict("no first position is committed".into()))?.next;
            VisiblePosition { next, rows: 0, dead_letters: 0, max_event_time: None }
        }
    };
    if at.next != range.from || range.to < range.from {
        return Err(conflict(format!("offsets [{}, {}) do not follow {}", range.from, range.to, at.next)));
    }
    positions.insert(
        range.partition,
        VisiblePosition {
            next: range.to,
            rows: at.rows + range.rows,
            dead_letters: at.dead_letters + range.dead_letters,
            max_event_time: at.max_event_time.max(range.max_event_time),
        },
    );
    Ok(())
}

/// Takes the counts that were sealed out of the visible ones.
fn subtract(positions: &mut BTreeMap<i32, VisiblePosition>, sealed: &BTreeMap<i32, VisiblePosition>) {
    for (partition, gone) in sealed {
        if let Some(position) = positions.get_mut(partition) {
            position.rows = position.rows.saturating_sub(gone.rows);
            position.dead_letters = position.dead_letters.saturating_sub(gone.dead_letters);
        }
    }
}

/// A position that a commit moved past the visible one (a recorded gap) takes the visible one along.
fn follow(positions: &mut BTreeMap<i32, VisiblePosition>, manifest: &Manifest, topic: &TopicKey) {
    for (partition, position) in positions.iter_mut() {
        if let Some(committed) = manifest.position(topic, *partition) {
            position.next = position.next.max(committed.next);
        }
    }
}
