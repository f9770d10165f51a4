//! One user's session: settings, and running statements under them.
//!
//! What enters: parsed statements with parameters. What leaves: answers. Deliberately absent: the wire.

use crate::answer::{Answer, Description, Notice};
use crate::ddl::{CommandContext, command_columns, run_command};
use crate::engine::{Engine, Statement, StatementKind};
use crate::explain;
use crate::plan::{Query, describe};
use crate::query::{self, Limits};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, offsets_json};
use crate::stream::{Deadline, Tied};
use crate::wait::WaitLimit;
use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use millrace_error::Result;
use std::sync::Arc;

/// One user's session: settings and nothing else.
#[derive(Debug)]
pub struct Session {
    engine: Arc<Engine>,
    settings: Settings,
}

impl Session {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, settings: Settings::new() }
    }

    /// Sets what `SET` would: start-up parameters, request headers.
    ///
    /// # Errors
    /// `UnknownObject` for no such setting; `InvalidValue` and others for a value it does not take.
    pub fn set(&mut self, name: &str, value: &str) -> Result<Option<Notice>> {
        self.settings.set(name, Some(value), false)
    }

    /// What `SHOW` would show.
    ///
    /// # Errors
    /// `UnknownObject` for no such setting.
    pub fn setting(&self, name: &str) -> Result<String> {
        self.settings.get(name).map(|(_, value)| value)
    }

    /// Whether a transaction block is open.
    pub fn in_transaction(&self) -> bool {
        self.settings.in_transaction()
    }

    /// Types of parameters and columns. `hints[i]` is the client's type for `$i+1`, where it said one.
    ///
    /// # Errors
    /// As planning gives them.
    pub async fn describe(&mut self, statement: &Statement, hints: &[Option<DataType>]) -> Result<Description> {
        match &statement.kind {
            StatementKind::Query(query) => self.describe_query(query, hints).await,
            StatementKind::Explain(query, _) => {
                let inner = self.describe_query(query, hints).await?;
                Ok(Description { parameters: inner.parameters, columns: Some(explain::schema()) })
            }
            StatementKind::Command(command) => {
                let columns = command_columns(command, &self.settings)?;
                Ok(Description { parameters: Vec::new(), columns })
            }
        }
    }

    async fn describe_query(&self, query: &Arc<Query>, hints: &[Option<DataType>]) -> Result<Description> {
        if let Some(shape) = &query.shape
            && hints.is_empty()
        {
            let snapshot = Snapshot::pin(self.engine.store(), &query.wanted);
            if shape.clone().over(&snapshot).is_some() {
                return Ok(Description { parameters: Vec::new(), columns: Some(shape.schema()) });
            }
        }
        let (engine, query, hints) = (Arc::clone(&self.engine), Arc::clone(query), hints.to_vec());
        let mut work = Tied::spawn(self.engine.cpu(), async move {
            let snapshot = Arc::new(Snapshot::pin(engine.store(), &query.wanted));
            describe(&engine, &query, &snapshot, &hints)
        });
        work.join().await?
    }

    /// Runs one statement. `parameters` are arrays of one value each, of the types that [`Session::describe`] gave.
    /// Dropping the future or the stream of the answer cancels it.
    ///
    /// # Errors
    /// By kind; with position and hint where known.
    pub async fn run(&mut self, statement: &Statement, parameters: Vec<ArrayRef>) -> Result<Answer> {
        let deadline = Deadline::new(self.engine.store().clock(), self.settings.statement_timeout());
        let limits = Limits { deadline: deadline.clone(), wait_for: self.wait_for() };
        let engine = Arc::clone(&self.engine);
        let mut answer = match &statement.kind {
            StatementKind::Query(query) => deadline.bound(query::run(&engine, query, parameters, limits)).await?,
            StatementKind::Explain(query, wish) => {
                deadline.bound(explain::run(&engine, query, parameters, limits, *wish)).await?
            }
            StatementKind::Command(command) => {
                let context = CommandContext { store: engine.store(), sources: engine.sources() };
                deadline.bound(run_command(command.clone(), &context, &mut self.settings)).await?
            }
        };
        if self.settings.report_snapshot() {
            answer.notices.extend(snapshot_notice(&answer));
        }
        Ok(answer)
    }

    fn wait_for(&self) -> Option<WaitLimit> {
        let offsets = Arc::clone(self.settings.wait_for());
        (!offsets.is_empty()).then(|| WaitLimit { offsets, timeout: self.settings.wait_timeout() })
    }
}

/// `millrace.report_snapshot = on`.
fn snapshot_notice(answer: &Answer) -> Option<Notice> {
    if answer.snapshot.is_empty() {
        return None;
    }
    let families: Vec<String> = answer
        .snapshot
        .iter()
        .map(|(table, name)| {
            let table = serde_json::Value::from(table.as_str());
            format!("{table}:{{\"version\":{},\"offsets\":{}}}", name.version, offsets_json(&name.offsets))
        })
        .collect();
    let message = format!("millrace snapshot: {{{}}}", families.join(","));
    Some(Notice { severity: "NOTICE", code: "00000", message })
}
