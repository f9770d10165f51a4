//! The catalog: which name stands for which family.
//!
//! A log of its own, `catalog/<20 digits>.commit`, beside those of the families. Its commit is the atomic point of CREATE
//! and DROP: a family whose name was not committed does not exist, whatever files it has. What enters: names and family
//! ids. What leaves: the same, durable. Deliberately absent: what a family is (see [`crate::manifest`]); checkpoints, since
//! every step is one statement of a user and reading ten thousand takes less than a second.

use crate::commit_store::{Appended, CommitStore, append, numbered, read_all};
use crate::manifest::fields::{uuid_bytes, uuid_of};
use crate::manifest::frame::{self, FORMAT, Kind, damage};
use arc_swap::ArcSwap;
use bytes::Bytes;
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_proto::manifest as pb;
use millrace_schema::dead_letter_name;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const PREFIX: &str = "catalog/";
/// How often another writer may come first before an attempt is given up.
const ATTEMPTS: usize = 16;

/// The names of a store. Reading is wait-free; changes wait for one another.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn CommitStore>,
    clock: Clock,
    current: ArcSwap<Names>,
    writer: tokio::sync::Mutex<()>,
}

/// The names at one version of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// 0 before the first change.
    pub version: u64,
    /// The commit that made this version.
    pub commit_uuid: Uuid,
    /// Base table name → family.
    pub families: BTreeMap<String, Uuid>,
}

/// A change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Create(String, Uuid),
    Drop(String),
}

/// A step of the catalog, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    version: u64,
    parent: Uuid,
    uuid: Uuid,
    at: i64,
    changes: Vec<Change>,
}

impl Catalog {
    /// Opens the catalog and reads all of its log.
    ///
    /// # Errors
    /// `Damage` naming file and offset; `NotSupported` for what a newer version wrote; `Io`.
    pub async fn open(store: Arc<dyn CommitStore>, clock: Clock) -> Result<Self> {
        let names = read_after(&*store, Names::default()).await?;
        Ok(Self { store, clock, current: ArcSwap::from_pointee(names), writer: tokio::sync::Mutex::new(()) })
    }

    /// The current names.
    pub fn names(&self) -> Arc<Names> {
        self.current.load_full()
    }

    /// Makes `name` stand for `family`. Durable when it answers.
    ///
    /// # Errors
    /// `DuplicateTable` when the name or that of its dead letters is taken; `Io`, `DiskFull`.
    pub async fn create(&self, name: &str, family: Uuid) -> Result<()> {
        self.change(Change::Create(name.to_owned(), family)).await
    }

    /// Removes `name`. Durable when it answers.
    ///
    /// # Errors
    /// `UnknownTable`; `Io`, `DiskFull`.
    pub async fn drop(&self, name: &str) -> Result<()> {
        self.change(Change::Drop(name.to_owned())).await
    }

    async fn change(&self, change: Change) -> Result<()> {
        let _writer = self.writer.lock().await;
        for _ in 0..ATTEMPTS {
            let names = self.names();
            let step = Step {
                version: names.version.saturating_add(1),
                parent: names.commit_uuid,
                uuid: self.clock.uuid(),
                at: self.clock.now(),
                changes: vec![change.clone()],
            };
            let next = match step_forward(&names, &step) {
                Ok(next) => next,
                // Perhaps another writer made the name, or removed it, since we looked.
                Err(refused) => match self.look_again(&names).await? {
                    true => continue,
                    false => return Err(refused),
                },
            };
            match append(&*self.store, &self.clock, PREFIX, step.version, &encode(&step)?).await {
                Ok(Appended::Mine) => {
                    self.current.store(Arc::new(next));
                    return Ok(());
                }
                Ok(Appended::Taken) => {
                    self.look_again(&names).await?;
                }
                // It may have happened: what the log says decides.
                Err(error) => {
                    if let Err(unread) = self.look_again(&names).await {
                        tracing::warn!(error = %unread, "catalog cannot be read after a failed change");
                    }
                    if self.names().commit_uuid == step.uuid {
                        return Ok(());
                    }
                    return Err(error);
                }
            }
        }
        Err(Error::new(ErrorKind::Conflict, "other writers keep changing the catalog").hint("try again"))
    }

    /// Reads what was committed after `names`; answers whether there was anything. Only for the holder of `writer`.
    async fn look_again(&self, names: &Names) -> Result<bool> {
        let newer = read_after(&*self.store, names.clone()).await?;
        let moved = newer.version > names.version;
        if moved {
            self.current.store(Arc::new(newer));
        }
        Ok(moved)
    }
}

/// The names after a step. Pure.
fn step_forward(names: &Names, step: &Step) -> Result<Names> {
    let follows = names.version.checked_add(1) == Some(step.version) && names.commit_uuid == step.parent;
    if !follows {
        return Err(Error::new(ErrorKind::Conflict, "catalog commit does not follow the one before")
            .with("version", step.version)
            .with("current", names.version));
    }
    let mut families = names.families.clone();
    for change in &step.changes {
        match change {
            Change::Create(name, family) => {
                if let Some(taken) = taken(&families, name) {
                    return Err(Error::new(ErrorKind::DuplicateTable, format!("table {taken:?} already exists")));
                }
                families.insert(name.clone(), *family);
            }
            Change::Drop(name) => {
                if families.remove(name).is_none() {
                    return Err(Error::new(ErrorKind::UnknownTable, format!("table {name:?} does not exist")));
                }
            }
        }
    }
    Ok(Names { version: step.version, commit_uuid: step.uuid, families })
}

/// A table takes two names, its own and that of its dead letters: the one of them that is not free.
fn taken(families: &BTreeMap<String, Uuid>, name: &str) -> Option<String> {
    let dead_letters = dead_letter_name(name);
    if families.contains_key(name) || families.keys().any(|other| dead_letter_name(other) == name) {
        return Some(name.to_owned());
    }
    families.contains_key(&dead_letters).then_some(dead_letters)
}

async fn read_after(store: &dyn CommitStore, mut names: Names) -> Result<Names> {
    let known = names.version;
    let first = known.saturating_add(1);
    let steps = read_all(store, PREFIX, first).await?;
    if steps.first().is_some_and(|(version, ..)| *version != first) {
        return Err(Error::new(ErrorKind::Damage, "commits are missing from the catalog")
            .with("missing", numbered(PREFIX, first, "commit"))
            .hint("restore the missing files from a backup"));
    }
    for (version, key, bytes) in steps {
        let step = decode(&key, &bytes)?;
        if step.version != version {
            return Err(damage(&key, 8, "commit stands under another version's name").with("says", step.version));
        }
        names = step_forward(&names, &step)
            .map_err(|e| damage(&key, 8, &format!("commit does not follow from the one before: {e}")))?;
    }
    Ok(names)
}

fn encode(step: &Step) -> Result<Bytes> {
    use pb::catalog_op::Kind as OpKind;
    let op = |change: &Change| {
        let kind = match change {
            Change::Create(name, family) => {
                OpKind::Create(pb::CreateName { name: name.clone(), family: uuid_bytes(*family) })
            }
            Change::Drop(name) => OpKind::Drop(pb::DropName { name: name.clone() }),
        };
        pb::CatalogOp { kind: Some(kind) }
    };
    let message = pb::CatalogCommit {
        version: step.version,
        parent: uuid_bytes(step.parent),
        uuid: uuid_bytes(step.uuid),
        at: step.at,
        ops: step.changes.iter().map(op).collect(),
        min_reader: FORMAT,
    };
    frame::seal(Kind::Catalog, &message)
}

fn decode(key: &str, bytes: &Bytes) -> Result<Step> {
    use pb::catalog_op::Kind as OpKind;
    let message: pb::CatalogCommit = frame::open(Kind::Catalog, key, bytes)?;
    frame::check_reader(key, message.min_reader)?;
    let id = |bytes: &[u8]| uuid_of(bytes, "uuid").map_err(|e| e.with("file", key).with("offset", 8));
    let mut changes = Vec::with_capacity(message.ops.len());
    for (place, op) in message.ops.into_iter().enumerate() {
        changes.push(match op.kind {
            Some(OpKind::Create(op)) => Change::Create(op.name, id(&op.family)?),
            Some(OpKind::Drop(op)) => Change::Drop(op.name),
            None => return Err(frame::newer(key, &format!("catalog op {place} is of an unknown kind"))),
        });
    }
    Ok(Step {
        version: message.version,
        parent: id(&message.parent)?,
        uuid: id(&message.uuid)?,
        at: message.at,
        changes,
    })
}

#[cfg(test)]
mod tests;
