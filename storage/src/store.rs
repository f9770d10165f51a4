//! The store: a data directory and the families in it.
//!
//! ```text
//!  <data>/LOCK                       held while open; the holder's pid
//!  <data>/format                     "millrace 1"
//!  <data>/catalog/                   log of table names → family ids
//!  <data>/families/<id>/manifest/    the family's commit log
//!  <data>/families/<id>/data/        its parts
//! ```

use crate::catalog::Catalog;
use crate::commit_store::{CommitStore, LocalCommitStore};
use crate::config::StoreConfig;
use crate::dir_lock::DirLock;
use crate::family::{Family, Shared};
use crate::manifest::{Op, PartMeta};
use crate::memory::MemoryBudget;
use crate::part::{Part, PartCache};
use crate::seal::{Background, Families};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{
    DEAD_LETTER_SUFFIX, PartitionUnit, Partitioning, TableDef, TableId, dead_letter_columns, dead_letter_name,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// An open data directory.
#[derive(Debug)]
pub struct Store {
    data_dir: PathBuf,
    commits: Arc<dyn CommitStore>,
    shared: Arc<Shared>,
    families: Arc<Families>,
    catalog: Catalog,
    /// One change of the set of tables at a time.
    naming: tokio::sync::Mutex<()>,
    background: Background,
    lock: Mutex<Option<DirLock>>,
}

const FORMAT: &str = "millrace 1\n";

impl Store {
    /// Locks and opens a data directory, creating it if needed, and recovers every family. Starts the background threads
    /// (coalescing, sealing). Needs a tokio runtime.
    ///
    /// # Errors
    /// `WrongState` when another process holds the directory; `Damage` naming file and offset; `Io`.
    pub async fn open(config: StoreConfig, clock: Clock) -> Result<Arc<Self>> {
        let lock = DirLock::take(&config.data_dir)?;
        Self::open_locked(lock, &config, clock).await
    }

    /// [`Store::open`] over a directory whose lock the caller took before; `config.data_dir` is not looked at.
    ///
    /// # Errors
    /// `Damage` naming file and offset; `Io`.
    pub async fn open_locked(lock: DirLock, config: &StoreConfig, clock: Clock) -> Result<Arc<Self>> {
        let data_dir = lock.path().to_owned();
        let commits: Arc<dyn CommitStore> = Arc::new(LocalCommitStore::open(&data_dir, &clock)?);
        check_format(&*commits).await?;
        let memory = Arc::new(MemoryBudget::new(config.memory_limit));
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            parts: PartCache::new(Arc::clone(&memory)),
            memory,
            on_background_thread: config.on_background_thread,
        });
        let catalog = Catalog::open(Arc::clone(&commits), clock).await?;
        let mut families = BTreeMap::new();
        for (name, id) in &catalog.names().families {
            let (name, id) = (name.clone(), *id);
            let family = Family::open(id, family_dir(&data_dir, id), Arc::clone(&commits), Arc::clone(&shared)).await?;
            if family.view().manifest.version == 0 {
                let message = format!("the commit log of table {name:?} is gone");
                return Err(Error::new(ErrorKind::Damage, message).with("family", id));
            }
            crate::part::remove_orphans(&family.data_dir(), &family.view().manifest)?;
            families.insert(name, family);
        }
        remove_dropped(&data_dir, &families, catalog.names().version)?;
        let families: Arc<Families> = Arc::new(Families::from_pointee(families));
        let background = Background::start(Arc::clone(&families), &shared)?;
        Ok(Arc::new(Self {
            data_dir,
            commits,
            shared,
            families,
            catalog,
            naming: tokio::sync::Mutex::default(),
            background,
            lock: Mutex::new(Some(lock)),
        }))
    }

    /// Seals nothing, stops the background threads, releases the lock. Unsealed Kafka rows are read again at the next start.
    pub async fn close(&self) {
        self.background.stop().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Creates a table and its dead letters.
    ///
    /// # Errors
    /// `DuplicateTable` when the name (or that of its dead letters) is taken; `Io`, `DiskFull`.
    pub async fn create_table(&self, def: TableDef) -> Result<Arc<Family>> {
        let _one = self.naming.lock().await;
        self.check_name_free(&def.name)?;
        let name = def.name.clone();
        let id = self.shared.clock.uuid();
        let dir = family_dir(&self.data_dir, id);
        let family = Family::open(id, dir, Arc::clone(&self.commits), Arc::clone(&self.shared)).await?;
        let dead_letters = dead_letter_table(&def);
        let ops = vec![Op::PutTable(TableId::BASE, def), Op::PutTable(TableId::DEAD_LETTERS, dead_letters)];
        family.commit("create", ops).await?;
        self.catalog.create(&name, id).await?;
        let mut families = BTreeMap::clone(&self.families.load());
        families.insert(name, Arc::clone(&family));
        self.families.store(Arc::new(families));
        Ok(family)
    }

    fn check_name_free(&self, name: &str) -> Result<()> {
        let families = self.families.load();
        let taken = |name: &str| {
            families.contains_key(name)
                || name.strip_suffix(DEAD_LETTER_SUFFIX).is_some_and(|base| families.contains_key(base))
        };
        for wanted in [name.to_owned(), dead_letter_name(name)] {
            if taken(&wanted) {
                let message = format!("relation \"{wanted}\" already exists");
                return Err(Error::new(ErrorKind::DuplicateTable, message));
            }
        }
        Ok(())
    }

    /// Removes a table's name, its dead letters and its sources. Views already pinned stay readable: the files go at the
    /// next start.
    ///
    /// # Errors
    /// `UnknownTable`; `Io`.
    pub async fn drop_table(&self, name: &str) -> Result<()> {
        let _one = self.naming.lock().await;
        let family = self
            .family(name)
            .ok_or_else(|| Error::new(ErrorKind::UnknownTable, format!("relation \"{name}\" does not exist")))?;
        self.catalog.drop(name).await?;
        family.set_dropped();
        let mut families = BTreeMap::clone(&self.families.load());
        families.remove(name);
        self.families.store(Arc::new(families));
        Ok(())
    }

    /// The family whose base table has this name.
    pub fn family(&self, table: &str) -> Option<Arc<Family>> {
        self.families.load().get(table).cloned()
    }

    /// Every family with its base table's name, by name.
    pub fn families(&self) -> Vec<(String, Arc<Family>)> {
        self.families.load().iter().map(|(name, family)| (name.clone(), Arc::clone(family))).collect()
    }

    /// The opened form of a part, from a bounded cache.
    pub fn part(&self, family: &Family, meta: &Arc<PartMeta>) -> Arc<Part> {
        self.shared.parts.get(&family.data_dir(), meta)
    }

    /// The memory budget.
    pub fn memory(&self) -> &Arc<MemoryBudget> {
        &self.shared.memory
    }

    /// The clock everything in this store goes by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The data directory, absolute.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

fn family_dir(data_dir: &Path, id: Uuid) -> PathBuf {
    data_dir.join("families").join(id.to_string())
}

/// The dead-letter table that belongs to a base table: by day of `dead_at`.
fn dead_letter_table(base: &TableDef) -> TableDef {
    let columns = dead_letter_columns();
    let dead_at = columns.iter().find(|c| c.name == "dead_at").map(|c| c.id);
    TableDef {
        name: dead_letter_name(&base.name),
        schema_version: 1,
        time_column: dead_at,
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: dead_at.into_iter().collect(),
        columns,
        options: base.options.clone(),
    }
}

/// Refuses a directory that a newer version wrote; marks a new one.
async fn check_format(store: &dyn CommitStore) -> Result<()> {
    store.create("format", FORMAT.into()).await?;
    let found = store.get("format").await?.unwrap_or_default();
    if found == FORMAT {
        return Ok(());
    }
    let found = String::from_utf8_lossy(&found);
    Err(Error::new(ErrorKind::NotSupported, format!("unknown data format {:?}", found.trim()))
        .with("file", "format")
        .hint("it was written by another version of millrace"))
}

/// Removes folders of families that no name leads to: dropped ones, and creations that a crash cut short.
fn remove_dropped(data_dir: &Path, families: &BTreeMap<String, Arc<Family>>, catalog_version: u64) -> Result<()> {
    let root = data_dir.join("families");
    let entries = match std::fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(root.display(), e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(root.display(), e))?.path();
        let id = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<Uuid>().ok());
        if id.is_some_and(|id| families.values().all(|f| f.id() != id)) {
            // Without a catalog only a creation that a crash cut short is expected, and that has no parts.
            if catalog_version == 0 && path.join("data").exists() {
                return Err(Error::new(ErrorKind::Damage, "the catalog is gone but families have data")
                    .with("family", path.display())
                    .hint("restore the catalog folder from a backup"));
            }
            std::fs::remove_dir_all(&path).map_err(|e| Error::io(path.display(), e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
