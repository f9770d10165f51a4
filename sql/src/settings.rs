//! The settings of one session.
//!
//! What enters: `SET`, `RESET`, start-up parameters, words about transactions. What leaves: values, typed where queries need
//! them. Deliberately absent: obeying them.

mod registry;

pub(crate) use registry::{SERVER_VERSION, WaitFor};

use crate::answer::Notice;
use millrace_error::Result;
use registry::{SPECS, Spec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Settings of one session; a clone is a snapshot of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    values: Values,
    transaction: Option<Box<Transaction>>,
}

/// What differs from the defaults, and what queries ask for often.
#[derive(Debug, Clone, Default)]
struct Values {
    texts: BTreeMap<&'static str, String>,
    wait_for: Arc<WaitFor>,
}

/// Values to go back to.
#[derive(Debug, Clone)]
struct Transaction {
    /// At `BEGIN`; `ROLLBACK` goes back to it.
    before: Values,
    /// With every `SET` but `SET LOCAL`; `COMMIT` goes on with it.
    session: Values,
}

/// One line of `SHOW ALL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettingLine {
    /// Name.
    pub(crate) name: &'static str,
    /// Current value.
    pub(crate) value: String,
    /// What it is for.
    pub(crate) about: &'static str,
}

impl Values {
    fn get(&self, spec: &Spec) -> String {
        self.texts.get(spec.name).map_or_else(|| spec.default.to_owned(), Clone::clone)
    }

    /// `None` is the default.
    fn put(&mut self, spec: &'static Spec, value: Option<String>) {
        if spec.name == "millrace.wait_for" {
            // The text was accepted, so it parses again.
            self.wait_for = Arc::new(registry::wait_for(value.as_deref().unwrap_or("")).unwrap_or_default());
        }
        match value {
            Some(value) => self.texts.insert(spec.name, value),
            None => self.texts.remove(spec.name),
        };
    }
}

impl Settings {
    /// A fresh session's.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets one to a value as text, or to its default. `local`: to the end of the transaction; outside one it does nothing.
    ///
    /// # Errors
    /// `UnknownObject` for no such setting; `InvalidValue`, `NotSupported`, `Denied` for a value it does not take.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<Option<Notice>> {
        let spec = registry::find(name)?;
        let value = match value {
            Some(text) => Some(spec.canonical(text)?),
            // RESET of what cannot be changed is refused as SET is.
            None if matches!(spec.kind, registry::Kind::Fixed) => Some(spec.canonical("")?),
            None => None,
        };
        if local && self.transaction.is_none() {
            return Ok(Some(Notice {
                severity: "WARNING",
                code: "25P01",
                message: "SET LOCAL can only be used in transaction blocks".to_owned(),
            }));
        }
        if !local && let Some(transaction) = &mut self.transaction {
            transaction.session.put(spec, value.clone());
        }
        self.values.put(spec, value);
        Ok(None)
    }

    /// Sets all to their defaults.
    pub(crate) fn reset_all(&mut self) {
        self.values = Values::default();
        if let Some(transaction) = &mut self.transaction {
            transaction.session = Values::default();
        }
    }

    /// The value as it is shown, and the name as it is written.
    ///
    /// # Errors
    /// `UnknownObject` with a suggestion.
    pub(crate) fn get(&self, name: &str) -> Result<(&'static str, String)> {
        registry::find(name).map(|spec| (spec.name, self.values.get(spec)))
    }

    /// Every setting, by name.
    pub(crate) fn all(&self) -> Vec<SettingLine> {
        SPECS.iter().map(|s| SettingLine { name: s.name, value: self.values.get(s), about: s.about }).collect()
    }

    /// Begins a transaction block.
    pub(crate) fn begin(&mut self) -> Option<Notice> {
        if self.transaction.is_some() {
            let message = "there is already a transaction in progress".to_owned();
            return Some(Notice { severity: "WARNING", code: "25001", message });
        }
        self.transaction = Some(Box::new(Transaction { before: self.values.clone(), session: self.values.clone() }));
        None
    }

    /// Ends it, keeping what was set but not what was set LOCAL.
    pub(crate) fn commit(&mut self) -> Option<Notice> {
        self.end(|transaction| transaction.session)
    }

    /// Ends it, going back to what was set at its begin.
    pub(crate) fn rollback(&mut self) -> Option<Notice> {
        self.end(|transaction| transaction.before)
    }

    fn end(&mut self, keep: impl FnOnce(Transaction) -> Values) -> Option<Notice> {
        match self.transaction.take() {
            Some(transaction) => {
                self.values = keep(*transaction);
                None
            }
            None => {
                let message = "there is no transaction in progress".to_owned();
                Some(Notice { severity: "WARNING", code: "25P01", message })
            }
        }
    }

    /// Whether a transaction block is open.
    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// How long a statement may run; `None`: for ever.
    pub(crate) fn statement_timeout(&self) -> Option<Duration> {
        registry::wait(self.text("statement_timeout", "0")).filter(|t| !t.is_zero())
    }

    /// Offsets that a query's snapshot must have reached; empty: none.
    pub(crate) fn wait_for(&self) -> &Arc<WaitFor> {
        &self.values.wait_for
    }

    /// How long to wait for them.
    pub(crate) fn wait_timeout(&self) -> Duration {
        registry::wait(self.text("millrace.wait_timeout", "10s")).unwrap_or(Duration::from_secs(10))
    }

    /// Whether each query sends a NOTICE with its snapshot.
    pub(crate) fn report_snapshot(&self) -> bool {
        self.text("millrace.report_snapshot", "off") == "on"
    }

    fn text(&self, name: &str, default: &'static str) -> &str {
        self.values.texts.get(name).map_or(default, String::as_str)
    }
}

#[cfg(test)]
mod tests;
