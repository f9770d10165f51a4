//! What must hold before a source is committed.

use super::Supervisor;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{JsonPath, KafkaSource, SourceDef, TableId};
use millrace_storage::Family;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Supervisor {
    /// The family a new source may be added to.
    pub(super) fn check(&self, table: &str, source: &SourceDef) -> Result<Arc<Family>> {
        let family = self.store.family(table).ok_or_else(|| {
            Error::new(ErrorKind::UnknownTable, format!("table {table:?} does not exist"))
                .hint("a source feeds one existing table; CREATE TABLE it first")
        })?;
        {
            let entries = self.entries();
            if entries.get(&source.name).is_some_and(|entry| !entry.family.is_dropped()) {
                let message = format!("source {:?} already exists", source.name);
                return Err(Error::new(ErrorKind::DuplicateObject, message).hint("choose another name, or DROP SOURCE"));
            }
        }
        self.check_def(&family, source)?;
        Ok(family)
    }

    /// Whether a definition fits its table and the table's other sources.
    pub(super) fn check_def(&self, family: &Arc<Family>, source: &SourceDef) -> Result<()> {
        if source.name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidValue, "a source needs a name"));
        }
        let view = family.view();
        let table = view.table(TableId::BASE).ok_or_else(|| Error::internal("the family has no base table"))?;
        for (id, path) in &source.mapping {
            if table.column(*id).is_none() {
                let message = format!("table {:?} has no column with id {}", table.name, id.0);
                return Err(Error::new(ErrorKind::UnknownColumn, message));
            }
            JsonPath::parse(path)?;
        }
        self.factory.validate(source)?;
        let same = view
            .manifest
            .sources
            .iter()
            .find(|(name, state)| **name != source.name && same_topic(&state.def.kafka, &source.kafka));
        match same {
            None => Ok(()),
            Some((other, _)) => {
                let message = format!(
                    "source {other:?} already reads topic {:?} into table {:?}",
                    source.kafka.topic, table.name
                );
                let hint = "one topic feeds a table through one source; its rows would be doubled";
                Err(Error::new(ErrorKind::DuplicateObject, message).hint(hint))
            }
        }
    }
}

/// Whether two sources surely read the same topic: another list of brokers is only told apart once they have answered.
fn same_topic(a: &KafkaSource, b: &KafkaSource) -> bool {
    let brokers = |kafka: &KafkaSource| -> BTreeSet<String> {
        kafka.brokers.split(',').map(|broker| broker.trim().to_lowercase()).collect()
    };
    a.topic == b.topic && !brokers(a).is_disjoint(&brokers(b))
}
