//! Checkpoints: a whole version as a root and immutable pages, so that opening need not read every commit.
//!
//! ```text
//!  families/<uuid>/checkpoint/<20 digits>.checkpoint   the root: definitions, sources, positions, where each page is
//!  families/<uuid>/pages/<uuid>.page                   pages (the parts of one table in one partition), many to a file;
//!                                                      or the summaries of the commits since the checkpoint before
//! ```
//! Only changed pages are written again, and those of files that became mostly stale, so at most half of what an opening
//! reads is stale. What enters: a manifest whose version is committed. What leaves: the same, read back. A checkpoint is
//! never needed while the log is whole; so failing to write one is logged, and an unreadable one is passed over.

mod read;

pub(crate) use read::newest;

use super::fields::{json, part_out, partition_out, summary_out, topic_out, uuid_bytes};
use super::frame::{self, FORMAT, Kind};
use super::{CommitSummary, Manifest, PageKey, PartMeta, Position, SourceState};
use crate::commit_store::CommitStore;
use millrace_clock::Clock;
use millrace_error::Result;
use millrace_proto::Message;
use millrace_proto::manifest as pb;
use millrace_schema::{TableId, TopicKey};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// A page file is closed at this size.
const FILE_BYTES: usize = 1 << 20;
/// Summaries kept for `system.commits`.
pub(crate) const HISTORY: usize = 1_000;

/// Where checkpoints of a family are, and what the last one wrote.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    /// The version it holds; 0: there is none.
    pub(crate) version: u64,
    pages: BTreeMap<PageKey, Written>,
    /// How many pages each file was written with.
    files: HashMap<Uuid, usize>,
    history: VecDeque<pb::HistoryRef>,
}

/// A page as a manifest holds it.
type Page = Arc<Vec<Arc<PartMeta>>>;

/// A page and where it was written.
#[derive(Debug, Clone)]
struct Written {
    page: Page,
    file: Uuid,
    index: u32,
}

/// The folders of one family's checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) family: Uuid,
    pub(crate) roots: String,
    pages: String,
}

impl Folders {
    pub(crate) fn of(family: Uuid) -> Self {
        Self { family, roots: format!("families/{family}/checkpoint/"), pages: format!("families/{family}/pages/") }
    }

    fn page_file(&self, file: Uuid) -> String {
        format!("{}{file}.page", self.pages)
    }
}

impl Checkpoint {
    /// Before the first one.
    pub(crate) fn none() -> Self {
        Self { version: 0, pages: BTreeMap::new(), files: HashMap::new(), history: VecDeque::new() }
    }

    /// Writes a checkpoint of `manifest`; `recent` are the summaries of the commits since this one, oldest first.
    /// Pages are durable before the root that names them (S-6).
    ///
    /// # Errors
    /// What the store answers; then this checkpoint stays the last one.
    pub(crate) async fn next(
        &self,
        store: &dyn CommitStore,
        folders: &Folders,
        clock: &Clock,
        manifest: &Manifest,
        recent: &[CommitSummary],
    ) -> Result<Self> {
        let mut next = Self { version: manifest.version, ..self.clone() };
        let stale = next.keep_unchanged(manifest);
        let files = next.lay_out(folders.family, stale, clock);
        for (id, file) in &files {
            store.create(&folders.page_file(*id), frame::seal(Kind::Pages, file)?).await?;
        }
        if let (Some(first), Some(last)) = (recent.first(), recent.last()) {
            let id = clock.uuid();
            let history = recent.iter().map(summary_out).collect();
            let file =
                pb::PageFile { family: uuid_bytes(folders.family), history, min_reader: FORMAT, ..Default::default() };
            store.create(&folders.page_file(id), frame::seal(Kind::Pages, &file)?).await?;
            next.history.push_back(pb::HistoryRef { file: uuid_bytes(id), first: first.version, last: last.version });
            let enough =
                |first: u64| manifest.version.saturating_sub(first) >= u64::try_from(HISTORY).unwrap_or(u64::MAX);
            while next.history.get(1).is_some_and(|second| enough(second.first)) {
                next.history.pop_front();
            }
        }
        let root = next.root(manifest)?;
        let key = format!("{}{:020}.checkpoint", folders.roots, manifest.version);
        store.create(&key, frame::seal(Kind::Checkpoint, &root)?).await?;
        Ok(next)
    }

    /// Forgets the pages that changed or stand in files that are less than half live; answers what must be written.
    fn keep_unchanged(&mut self, manifest: &Manifest) -> Vec<(PageKey, Page)> {
        let parts = &manifest.parts;
        self.pages.retain(|key, written| parts.get(key).is_some_and(|page| Arc::ptr_eq(page, &written.page)));
        let mut live: HashMap<Uuid, usize> = HashMap::new();
        for written in self.pages.values() {
            *live.entry(written.file).or_default() += 1;
        }
        self.files.retain(|file, written| live.get(file).is_some_and(|now| now * 2 >= *written));
        let files = &self.files;
        self.pages.retain(|_, written| files.contains_key(&written.file));
        let kept = &self.pages;
        parts.iter().filter(|(key, _)| !kept.contains_key(*key)).map(|(key, page)| (*key, Arc::clone(page))).collect()
    }

    /// Divides pages into new files and notes where each will be.
    fn lay_out(&mut self, family: Uuid, pages: Vec<(PageKey, Page)>, clock: &Clock) -> Vec<(Uuid, pb::PageFile)> {
        let mut files: Vec<(Uuid, pb::PageFile)> = Vec::new();
        let mut room = 0;
        for (key, page) in pages {
            let message = page_out(&key, &page);
            let bytes = message.encoded_len();
            if bytes > room {
                let file = pb::PageFile { family: uuid_bytes(family), min_reader: FORMAT, ..Default::default() };
                files.push((clock.uuid(), file));
                room = FILE_BYTES;
            }
            room = room.saturating_sub(bytes);
            if let Some((id, file)) = files.last_mut() {
                let index = u32::try_from(file.pages.len()).unwrap_or(u32::MAX);
                self.pages.insert(key, Written { page, file: *id, index });
                *self.files.entry(*id).or_default() += 1;
                file.pages.push(message);
            }
        }
        files
    }

    fn root(&self, manifest: &Manifest) -> Result<pb::Checkpoint> {
        let table = |(id, def): (&TableId, &_)| Ok(pb::Table { id: id.0, definition: json(def)? });
        let source = |state: &Arc<SourceState>| {
            let topic = state.topic.as_ref().map(topic_out);
            Ok(pb::Source { definition: json(&state.def)?, topic, table: TableId::BASE.0 })
        };
        let page = |(key, written): (&PageKey, &Written)| pb::PageRef {
            table: key.0.0,
            partition: Some(partition_out(&key.1)),
            file: uuid_bytes(written.file),
            index: written.index,
            parts: u64::try_from(written.page.len()).unwrap_or(u64::MAX),
        };
        Ok(pb::Checkpoint {
            family: uuid_bytes(manifest.family),
            version: manifest.version,
            commit_uuid: uuid_bytes(manifest.commit_uuid),
            at: manifest.at,
            tables: manifest.tables.iter().map(table).collect::<Result<_>>()?,
            sources: manifest.sources.values().map(source).collect::<Result<_>>()?,
            positions: manifest.positions.iter().map(|(topic, by)| positions_out(topic, by)).collect(),
            pages: self.pages.iter().map(page).collect(),
            history: self.history.iter().cloned().collect(),
            min_reader: FORMAT,
        })
    }
}

fn page_out(key: &PageKey, page: &[Arc<PartMeta>]) -> pb::Page {
    let part = |part: &Arc<PartMeta>| pb::PartMeta { table: 0, partition: None, ..part_out(part) };
    pb::Page { table: key.0.0, partition: Some(partition_out(&key.1)), parts: page.iter().map(part).collect() }
}

fn positions_out(topic: &TopicKey, positions: &BTreeMap<i32, Position>) -> pb::TopicPositions {
    let position = |(partition, p): (&i32, &Position)| pb::Position {
        partition: *partition,
        first: p.first,
        next: p.next,
        rows: p.rows,
        dead_letters: p.dead_letters,
        max_event_time: p.max_event_time,
    };
    pb::TopicPositions {
        topic: Some(topic_out(topic)),
        positions: positions.iter().map(position).collect(),
        table: TableId::BASE.0,
    }
}

#[cfg(test)]
mod tests;
