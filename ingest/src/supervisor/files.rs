//! Source files: read at start, looked at again every few seconds.
//!
//! What the folder says becomes commits: a new file a source, a changed one a changed source, a vanished one a paused
//! source. A bad file is reported and changes nothing.

use super::threads::Entry;
use super::{SourceReport, Supervisor};
use crate::lag::State;
use crate::pipeline::described;
use crate::source_file::{SourceFile, parse_source_file};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{KafkaSource, OnError, OnGap, SourceDef, SourceOrigin, StartPosition, TableId, TimeUnit};
use millrace_storage::manifest::Op;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, Weak};
use std::time::{Duration, SystemTime};

/// How often the folder is looked at.
const RESCAN: Duration = Duration::from_secs(2);

/// What is known of the folder.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Files that became sources, as they were then.
    good: BTreeMap<PathBuf, Known>,
    /// Why a file is not a source.
    bad: BTreeMap<PathBuf, String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    name: String,
    text: String,
    modified: Option<SystemTime>,
}

/// A file as it is now.
struct Found {
    path: PathBuf,
    modified: Option<SystemTime>,
    text: Result<String>,
}

impl Files {
    /// Reports of files that are no sources.
    pub(super) fn bad(&self) -> Vec<SourceReport> {
        let report = |(path, error): (&PathBuf, &String)| {
            let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            SourceReport {
                name: name.clone(),
                table: String::new(),
                state: State::Failed.as_str(),
                error: Some(error.clone()),
                def: nothing(name, path),
                unknown_fields: 0,
                partitions: Vec::new(),
            }
        };
        self.bad.iter().map(report).collect()
    }
}

/// A definition that stands for a file that has none.
fn nothing(name: String, path: &Path) -> SourceDef {
    SourceDef {
        name,
        kafka: KafkaSource {
            brokers: String::new(),
            topic: String::new(),
            start: StartPosition::Earliest,
            on_gap: OnGap::Fail,
            properties: BTreeMap::new(),
        },
        mapping: BTreeMap::new(),
        on_error: OnError::DeadLetter,
        time_unit: TimeUnit::Auto,
        origin: SourceOrigin::File(path.to_owned()),
        paused: true,
    }
}

/// Looks at the folder again and again, until the supervisor is gone or the task aborted.
pub(super) async fn watch(supervisor: Weak<Supervisor>, clock: Clock) {
    loop {
        clock.sleep(RESCAN).await;
        let Some(supervisor) = supervisor.upgrade() else { return };
        supervisor.rescan().await;
    }
}

impl Supervisor {
    /// Brings sources in line with the folder.
    pub(super) async fn rescan(&self) {
        let folder = self.config.sources_dir.clone();
        let found = match tokio::task::spawn_blocking(move || read_folder(&folder)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                // Not to be read is not the same as empty: change nothing.
                tracing::warn!("source files cannot be read: {error}");
                return;
            }
            Err(_) => return,
        };
        let _changing = self.changing.lock().await;
        self.reap().await;
        let mut bad = BTreeMap::new();
        let mut present = BTreeSet::new();
        for file in found {
            match self.take(&file, &present).await {
                Ok(name) => {
                    present.insert(name);
                }
                Err(error) => {
                    // What the file said before goes on, if it said something.
                    present.extend(self.lock_files().good.get(&file.path).map(|known| known.name.clone()));
                    bad.insert(file.path, described(&error));
                }
            }
        }
        self.pause_vanished(&present).await;
        let mut files = self.lock_files();
        for (path, error) in bad.iter().filter(|(path, error)| files.bad.get(*path) != Some(*error)) {
            tracing::error!(file = %path.display(), "source file refused: {error}");
        }
        files.bad = bad;
    }

    fn lock_files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one file a source, or leaves it as it is; returns the source's name.
    async fn take(&self, file: &Found, present: &BTreeSet<String>) -> Result<String> {
        let text = file.text.as_ref().map_err(|e| Error::new(e.kind(), e.to_string()))?;
        let known = self.lock_files().good.get(&file.path).cloned();
        let parsed = parse_source_file(&file.path, text)?;
        let name = parsed.def.name.clone();
        if present.contains(&name) {
            return Err(taken(&name, "by another file"));
        }
        let current = Known { name: name.clone(), text: text.clone(), modified: file.modified };
        let (running, failed) = {
            let entries = self.entries();
            let entry = entries.get(&name).filter(|entry| !entry.family.is_dropped());
            if entry.is_some_and(|entry| entry.def.origin == SourceOrigin::Sql) {
                return Err(taken(&name, "in SQL"));
            }
            let state = entry.map(|entry| (entry.def.paused, entry.shared.state()));
            let running = state.is_some_and(|(paused, state)| !paused && state != State::Paused);
            (running, state.is_some_and(|(_, state)| state == State::Failed))
        };
        if running && known.as_ref() == Some(&current) {
            return Ok(name);
        }
        self.put(&parsed, failed).await?;
        self.lock_files().good.insert(file.path.clone(), current);
        Ok(name)
    }

    /// Commits what a file says and starts it.
    async fn put(&self, file: &SourceFile, told: bool) -> Result<()> {
        let family = self.store.family(&file.table).ok_or_else(|| {
            Error::new(ErrorKind::UnknownTable, format!("table {:?} does not exist", file.table))
                .hint("CREATE TABLE it; the file is tried again by itself")
        })?;
        let view = family.view();
        let table = view.table(TableId::BASE).ok_or_else(|| Error::internal("the family has no base table"))?;
        let def = file.resolve(table)?;
        self.check_def(&family, &def)?;
        let name = def.name.as_str();
        self.halt(name).await;
        if let Ok((old, _)) = self.known(name)
            && old.id() != family.id()
        {
            old.commit("source", vec![Op::RemoveSource(name.to_owned())]).await?;
        }
        if view.manifest.sources.get(name).is_none_or(|state| state.def != def) {
            family.commit("source", vec![Op::PutSource(def.clone())]).await?;
        }
        self.launch(Entry::new(&file.table, family, def), told);
        Ok(())
    }

    /// Pauses every file's source whose file is no more.
    async fn pause_vanished(&self, present: &BTreeSet<String>) {
        let vanished: Vec<(String, SourceDef)> = self
            .entries()
            .iter()
            .filter(|(name, entry)| entry.def.origin != SourceOrigin::Sql && !present.contains(*name))
            .filter(|(_, entry)| !entry.family.is_dropped())
            .map(|(name, entry)| (name.clone(), entry.def.clone()))
            .collect();
        for (name, mut def) in vanished {
            let SourceOrigin::File(path) = &def.origin else { continue };
            let why = format!("its file {} is gone", path.display());
            {
                let mut files = self.lock_files();
                if files.good.get(path).is_some_and(|known| known.name == name) {
                    files.good.remove(path);
                }
            }
            if !def.paused {
                def.paused = true;
                let Ok((family, _)) = self.known(&name) else { continue };
                if let Err(error) = family.commit("source", vec![Op::PutSource(def.clone())]).await {
                    tracing::error!(source = %name, "a source whose file is gone could not be paused: {error}");
                    continue;
                }
                tracing::warn!(source = %name, "source paused: {why}");
            }
            self.halt(&name).await;
            self.settle(&name, def, State::Paused, Some(why));
        }
    }
}

fn taken(name: &str, by: &str) -> Error {
    Error::new(ErrorKind::DuplicateObject, format!("source {name:?} is defined {by} already"))
        .hint("give the source of this file another name")
}

/// Every `*.toml` of the folder, by path; none where there is no folder.
fn read_folder(folder: &Path) -> Result<Vec<Found>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder.display(), e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder.display(), e))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let modified = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(path.display(), e));
        found.push(Found { path, modified, text });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
