//! What one query reads: a pinned view per family it names.
//!
//! What enters: names of tables. What leaves: the families with one `Arc<FamilyView>` each, taken once. A base table and
//! its dead letters share one view. Deliberately absent: plans.

use crate::answer::SnapshotName;
use crate::error::did_you_mean;
use millrace_error::{Error, ErrorKind};
use millrace_schema::{DEAD_LETTER_SUFFIX, TableDef, TableId, dead_letter_name};
use millrace_storage::{Family, FamilyView, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which families a statement needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Tables of schema `public`, by stored name.
    pub(crate) tables: BTreeSet<String>,
    /// All of them: it reads schema `system`.
    pub(crate) all: bool,
}

/// One family at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    /// The base table's name.
    pub(crate) name: String,
    pub(crate) family: Arc<Family>,
    pub(crate) view: Arc<FamilyView>,
    /// Whether the statement names one of its tables, or only reads schema `system`.
    pub(crate) named: bool,
}

/// Everything a query may read. Never changes.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    store: Arc<Store>,
    families: BTreeMap<String, Pinned>,
}

impl Snapshot {
    /// Pins what is wanted. Names that no table has are left out: planning says so, with the position.
    pub(crate) fn pin(store: &Arc<Store>, wanted: &Wanted) -> Self {
        let mut families = BTreeMap::new();
        let mut pin = |name: String, family: Arc<Family>, named: bool| {
            families.entry(name).or_insert_with_key(|name| Pinned {
                name: name.clone(),
                view: family.view(),
                family,
                named,
            });
        };
        for name in &wanted.tables {
            if let Some((base, family)) = resolve(store, name) {
                pin(base, family, true);
            }
        }
        if wanted.all {
            for (name, family) in store.families() {
                pin(name, family, false);
            }
        }
        Self { store: Arc::clone(store), families }
    }

    /// The store it was taken from.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Every pinned family, by name.
    pub(crate) fn families(&self) -> impl Iterator<Item = &Pinned> {
        self.families.values()
    }

    /// The pinned table of this name.
    pub(crate) fn table(&self, name: &str) -> Option<(&Pinned, TableId, &Arc<TableDef>)> {
        let (pinned, id) = match self.families.get(name) {
            Some(pinned) => (pinned, TableId::BASE),
            None => (self.families.get(name.strip_suffix(DEAD_LETTER_SUFFIX)?)?, TableId::DEAD_LETTERS),
        };
        Some((pinned, id, pinned.view.table(id)?))
    }

    /// `42P01`, with the nearest name there is.
    pub(crate) fn unknown_table(&self, name: &str) -> Error {
        let error = Error::new(ErrorKind::UnknownTable, format!("relation \"{name}\" does not exist"));
        let families = self.store.families();
        let names: Vec<String> = families.iter().flat_map(|(name, _)| [name.clone(), dead_letter_name(name)]).collect();
        match did_you_mean(name, names.iter().map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error.hint("SHOW TABLES lists those there are"),
        }
    }

    /// How the answer names what it is of.
    pub(crate) fn names(&self) -> BTreeMap<String, SnapshotName> {
        self.families
            .iter()
            .filter(|(_, pinned)| pinned.named)
            .map(|(name, pinned)| {
                let version = pinned.view.manifest.version;
                (name.clone(), SnapshotName { version, offsets: pinned.view.offsets() })
            })
            .collect()
    }
}

/// The family behind a table's name, with the base table's name.
fn resolve(store: &Store, name: &str) -> Option<(String, Arc<Family>)> {
    if let Some(family) = store.family(name) {
        return Some((name.to_owned(), family));
    }
    let base = name.strip_suffix(DEAD_LETTER_SUFFIX)?;
    store.family(base).map(|family| (base.to_owned(), family))
}

/// Offsets as `millrace_offsets` prints them.
pub(crate) fn offsets_json(offsets: &BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>) -> String {
    serde_json::to_string(offsets).unwrap_or_else(|_| "{}".to_owned())
}
