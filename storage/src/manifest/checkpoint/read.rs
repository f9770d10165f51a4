//! Reads the newest checkpoint that is whole.

use super::{Checkpoint, Folders, HISTORY, Page, Written};
use crate::commit_store::CommitStore;
use crate::manifest::codec::located;
use crate::manifest::fields::{from_json, part_in, partition_in, summary_in, topic_in, uuid_of};
use crate::manifest::frame::{self, Kind, damage};
use crate::manifest::{CommitSummary, Manifest, PageKey, Position, SourceState};
use futures::{StreamExt, TryStreamExt};
use millrace_error::{Error, ErrorKind, Result};
use millrace_proto::manifest as pb;
use millrace_schema::{TableId, TopicKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// Page files read at the same time.
const READERS: usize = 16;

/// A version as it was read back.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) manifest: Manifest,
    /// Oldest first; shorter where its files cannot be read.
    pub(crate) history: Vec<CommitSummary>,
    /// The newest version that any checkpoint was made of, readable or not: the log must reach it.
    pub(crate) reached: u64,
}

/// What was taken from a page file.
struct PagesRead {
    file: Uuid,
    /// Pages it was written with.
    written: usize,
    wanted: Vec<(PageKey, Written)>,
}

/// The newest checkpoint of a family that can be read whole; version 0 where there is none. Damaged ones are logged and
/// passed over: the log from an older one on, or from the start, says the same.
///
/// # Errors
/// `NotSupported` for what a newer version wrote; `Io`.
pub(crate) async fn newest(store: &dyn CommitStore, folders: &Folders) -> Result<Found> {
    let roots = store.list_from(&folders.roots, &folders.roots).await?;
    let version = |key: &String| key.strip_prefix(&folders.roots)?.strip_suffix(".checkpoint")?.parse().ok();
    let reached = roots.iter().rev().find_map(version).unwrap_or(0);
    for key in roots.iter().rev().filter(|key| version(key).is_some()) {
        match read(store, folders, key).await {
            Ok(found) => return Ok(Found { reached, ..found }),
            Err(error) if error.kind() == ErrorKind::Damage => {
                tracing::error!(%error, checkpoint = %key, "checkpoint cannot be read, an older one is taken");
            }
            Err(error) => return Err(error),
        }
    }
    let manifest = Manifest::empty(folders.family);
    Ok(Found { checkpoint: Checkpoint::none(), manifest, history: Vec::new(), reached })
}

async fn read(store: &dyn CommitStore, folders: &Folders, key: &str) -> Result<Found> {
    let bytes = store.get(key).await?.ok_or_else(|| damage(key, 0, "a listed checkpoint is gone"))?;
    let root: pb::Checkpoint = frame::open(Kind::Checkpoint, key, &bytes)?;
    frame::check_reader(key, root.min_reader)?;
    let history_refs = root.history.clone();
    let (mut manifest, refs) = root_in(folders.family, root).map_err(|e| located(e, key))?;
    if *key != format!("{}{:020}.checkpoint", folders.roots, manifest.version) {
        return Err(damage(key, 8, "checkpoint stands under another version's name"));
    }
    let (pages, files) = read_pages(store, folders, key, refs).await?;
    manifest.parts = Arc::new(pages.iter().map(|(key, written)| (*key, Arc::clone(&written.page))).collect());
    let history = read_history(store, folders, &history_refs).await;
    let checkpoint = Checkpoint { version: manifest.version, pages, files, history: history_refs.into() };
    Ok(Found { reached: manifest.version, checkpoint, manifest, history })
}

fn root_in(family: Uuid, root: pb::Checkpoint) -> Result<(Manifest, Vec<pb::PageRef>)> {
    if uuid_of(&root.family, "family")? != family {
        return Err(Error::new(ErrorKind::Damage, "checkpoint is of another family"));
    }
    let mut tables = BTreeMap::new();
    for table in root.tables {
        tables.insert(TableId(table.id), Arc::new(from_json(&table.definition, "table definition")?));
    }
    let mut sources = BTreeMap::new();
    for source in root.sources {
        only_base(source.table)?;
        let topic = source.topic.map(|topic| topic_in(Some(topic))).transpose()?;
        let state = SourceState { def: from_json(&source.definition, "source definition")?, topic };
        sources.insert(state.def.name.clone(), Arc::new(state));
    }
    let mut positions: BTreeMap<TopicKey, BTreeMap<i32, Position>> = BTreeMap::new();
    for topic in root.positions {
        only_base(topic.table)?;
        positions.insert(topic_in(topic.topic)?, topic.positions.iter().map(position_in).collect());
    }
    let manifest = Manifest {
        family,
        version: root.version,
        commit_uuid: uuid_of(&root.commit_uuid, "commit uuid")?,
        at: root.at,
        tables: Arc::new(tables),
        sources: Arc::new(sources),
        positions: Arc::new(positions),
        parts: Arc::default(),
    };
    Ok((manifest, root.pages))
}

fn only_base(table: u32) -> Result<()> {
    if TableId(table) == TableId::BASE {
        return Ok(());
    }
    Err(Error::not_supported(format!("a source of table {table} is of a newer version of Millrace")))
}

fn position_in(p: &pb::Position) -> (i32, Position) {
    let position = Position {
        first: p.first,
        next: p.next,
        rows: p.rows,
        dead_letters: p.dead_letters,
        max_event_time: p.max_event_time,
    };
    (p.partition, position)
}

/// Reads each page file once and takes from it the pages that the root names.
async fn read_pages(
    store: &dyn CommitStore,
    folders: &Folders,
    root: &str,
    refs: Vec<pb::PageRef>,
) -> Result<(BTreeMap<PageKey, Written>, HashMap<Uuid, usize>)> {
    let mut by_file: BTreeMap<Uuid, Vec<pb::PageRef>> = BTreeMap::new();
    for page in refs {
        let file = uuid_of(&page.file, "page file").map_err(|e| located(e, root))?;
        by_file.entry(file).or_default().push(page);
    }
    let read: Vec<PagesRead> = futures::stream::iter(by_file)
        .map(|(file, refs)| read_page_file(store, folders, file, refs))
        .buffer_unordered(READERS)
        .try_collect()
        .await?;
    let files = read.iter().map(|r| (r.file, r.written)).collect();
    Ok((read.into_iter().flat_map(|r| r.wanted).collect(), files))
}

async fn read_page_file(
    store: &dyn CommitStore,
    folders: &Folders,
    file: Uuid,
    refs: Vec<pb::PageRef>,
) -> Result<PagesRead> {
    let (key, mut message) = open_file(store, folders, file).await?;
    let written = message.pages.len();
    let mut pages = Vec::with_capacity(refs.len());
    for wanted in refs {
        let place = usize::try_from(wanted.index).unwrap_or(usize::MAX);
        let page = message.pages.get_mut(place).map(std::mem::take).unwrap_or_default();
        let key_of = |table, partition| Ok::<_, Error>((TableId(table), partition_in(partition)?));
        let page_key = key_of(wanted.table, wanted.partition).map_err(|e| located(e, &key))?;
        let there = key_of(page.table, page.partition).map_err(|e| located(e, &key))?;
        if there != page_key || u64::try_from(page.parts.len()).ok() != Some(wanted.parts) {
            return Err(damage(&key, 8, "page is not the one its checkpoint names").with("page", wanted.index));
        }
        let page = page_in(page.parts, page_key).map_err(|e| located(e, &key))?;
        pages.push((page_key, Written { page, file, index: wanted.index }));
    }
    Ok(PagesRead { file, written, wanted: pages })
}

fn page_in(parts: Vec<pb::PartMeta>, place: PageKey) -> Result<Page> {
    let parts = parts.into_iter().map(|p| part_in(p, Some(place)).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    if !parts.is_sorted_by(|a, b| a.id < b.id) {
        return Err(Error::new(ErrorKind::Damage, "parts of a page are out of order"));
    }
    Ok(Arc::new(parts))
}

async fn open_file(store: &dyn CommitStore, folders: &Folders, file: Uuid) -> Result<(String, pb::PageFile)> {
    let key = folders.page_file(file);
    let bytes = store.get(&key).await?.ok_or_else(|| damage(&key, 0, "page file is missing"))?;
    let message: pb::PageFile = frame::open(Kind::Pages, &key, &bytes)?;
    frame::check_reader(&key, message.min_reader)?;
    if uuid_of(&message.family, "family").map_err(|e| located(e, &key))? != folders.family {
        return Err(damage(&key, 8, "page file is of another family"));
    }
    Ok((key, message))
}

/// History is for people: what cannot be read is left out, with a line in the log.
async fn read_history(store: &dyn CommitStore, folders: &Folders, refs: &[pb::HistoryRef]) -> Vec<CommitSummary> {
    let mut history = Vec::new();
    for wanted in refs {
        let read = async {
            let (_, message) = open_file(store, folders, uuid_of(&wanted.file, "history file")?).await?;
            message.history.into_iter().map(summary_in).collect::<Result<Vec<_>>>()
        };
        match read.await {
            Ok(more) => history.extend(more),
            Err(error) => {
                tracing::warn!(%error, first = wanted.first, last = wanted.last, "commit history is incomplete")
            }
        }
    }
    let surplus = history.len().saturating_sub(HISTORY);
    history.split_off(surplus)
}
