//! The engine: one for the process; sessions are cheap.
//!
//! What enters: a store, the sources, a CPU runtime. What leaves: parsed statements and sessions that run them.
//! Deliberately absent: state of a connection (see [`Session`]).

use crate::admission::Admission;
use crate::catalog::wanted;
use crate::control::SourceControl;
use crate::direct;
use crate::error::{Place, planning};
use crate::explain::Wish;
use crate::naming::name_columns;
use crate::parse::{self, Command, Parsed};
use crate::plan::Query;
use crate::runtime::Runtime;
use crate::session::Session;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use millrace_error::{Error, Result};
use millrace_storage::Store;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Plans under way for each partition a large one is split into. Memory is bounded by the pool, not by this.
const PLANS_PER_CORE: usize = 32;

/// Settings of an [`Engine`].
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Partitions a large query is split into; the number of cores.
    pub parallelism: usize,
}

/// Plans and runs statements over a store.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    sources: Arc<dyn SourceControl>,
    cpu: Handle,
    datafusion: Runtime,
    admission: Admission,
}

/// One parsed statement.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) kind: StatementKind,
}

/// What it is.
#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    /// Rows by a plan.
    Query(Arc<Query>),
    /// The plan itself.
    Explain(Arc<Query>, Wish),
    /// Anything else.
    Command(Command),
}

impl Engine {
    /// An engine over `store`. `runtime` is the CPU runtime on which plans run.
    ///
    /// # Errors
    /// `Internal` when DataFusion cannot be set up.
    pub fn new(
        store: Arc<Store>,
        sources: Arc<dyn SourceControl>,
        runtime: Handle,
        config: EngineConfig,
    ) -> Result<Arc<Self>> {
        let datafusion = Runtime::new(store.memory().queries_limit(), &config)
            .map_err(|error| Error::internal(format!("DataFusion cannot be set up: {error}")))?;
        let admission = Admission::new(config.parallelism.max(1) * PLANS_PER_CORE, store.clock().clone());
        Ok(Arc::new(Self { store, sources, cpu: runtime, datafusion, admission }))
    }

    /// Parses a string of statements separated by `;`. Empty where there is none.
    ///
    /// # Errors
    /// `Syntax` with the position.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>> {
        parse::parse(sql)?.into_iter().map(statement).collect()
    }

    /// A fresh session.
    pub fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self))
    }

    /// Bytes that queries hold of their share of the memory limit.
    pub fn query_memory(&self) -> usize {
        self.datafusion.reserved()
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn sources(&self) -> &Arc<dyn SourceControl> {
        &self.sources
    }

    pub(crate) fn cpu(&self) -> &Handle {
        &self.cpu
    }

    pub(crate) fn datafusion(&self) -> &Runtime {
        &self.datafusion
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }
}

fn statement(parsed: Parsed) -> Result<Statement> {
    let kind = match parsed {
        Parsed::Query { statement, text, offset } => StatementKind::Query(query(*statement, text, offset)?),
        Parsed::Explain { statement, text, offset, analyze, verbose } => {
            StatementKind::Explain(query(*statement, text, offset)?, Wish { analyze, verbose })
        }
        Parsed::Command(command) => StatementKind::Command(command),
    };
    Ok(Statement { kind })
}

fn query(mut statement: Ast, text: String, offset: usize) -> Result<Arc<Query>> {
    let shape = direct::shape(&statement);
    let wanted = wanted(&statement).map_err(|error| planning(error, Place { text: &text, offset }))?;
    let names = name_columns(&mut statement);
    Ok(Arc::new(Query { statement, names, text, offset, wanted, shape }))
}
