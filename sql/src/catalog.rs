//! Names → what DataFusion plans with, for one query: tables of its pinned snapshot, system tables, functions.
//!
//! What enters: names in a statement. What leaves: table sources over the snapshot. Deliberately absent: any lock or
//! wait; the snapshot was pinned before.

use crate::control::SourceControl;
use crate::error::wrap;
use crate::functions::{OFFSETS, offsets_function};
use crate::scan::{FamilyTable, ScanReport};
use crate::snapshot::{Snapshot, Wanted};
use crate::system;
use arrow::datatypes::{DataType, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{DFSchema, Result, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, Statement, Value, visit_expressions,
};
use millrace_error::{Error, ErrorKind};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The one catalog.
pub(crate) const CATALOG: &str = "millrace";
/// Where users' tables are.
pub(crate) const PUBLIC: &str = "public";

/// Everything a name can mean to one query.
#[derive(Debug)]
pub(crate) struct QueryCatalog<'q> {
    state: &'q SessionState,
    sources: &'q Arc<dyn SourceControl>,
    snapshot: &'q Arc<Snapshot>,
    report: &'q Arc<ScanReport>,
    now: DateTime<Utc>,
    offsets: Arc<ScalarUDF>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

/// What a table's name stands for.
pub(crate) enum Named<'n> {
    /// A table of schema `public`.
    Public(&'n str),
    /// A table of schema `system`.
    System(&'n str),
    /// Neither.
    Elsewhere,
}

/// Sorts a name by its schema.
pub(crate) fn named(name: &TableReference) -> Named<'_> {
    if name.catalog().is_some_and(|catalog| catalog != CATALOG) {
        return Named::Elsewhere;
    }
    match name.schema() {
        None | Some(PUBLIC) => Named::Public(name.table()),
        Some(system::SCHEMA) => Named::System(name.table()),
        Some(_) => Named::Elsewhere,
    }
}

/// Which families a statement needs, before it is planned.
///
/// # Errors
/// As DataFusion gives them for names it cannot take.
pub(crate) fn wanted(statement: &Statement) -> Result<Wanted> {
    let (relations, _) = resolve_table_references(&DfStatement::Statement(Box::new(statement.clone())), true)?;
    let mut wanted = Wanted::default();
    for relation in &relations {
        match named(relation) {
            Named::Public(table) => {
                wanted.tables.insert(table.to_owned());
            }
            Named::System(_) => wanted.all = true,
            Named::Elsewhere => {}
        }
    }
    let _ = visit_expressions(statement, |expr| {
        wanted.tables.extend(offsets_argument(expr));
        ControlFlow::<()>::Continue(())
    });
    Ok(wanted)
}

/// `t` of `millrace_offsets('t')`.
fn offsets_argument(expr: &SqlExpr) -> Option<String> {
    let SqlExpr::Function(function) = expr else { return None };
    let name = function.name.0.last()?.as_ident()?;
    if !name.value.eq_ignore_ascii_case(OFFSETS) {
        return None;
    }
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Value(value)))] => match &value.value {
            Value::SingleQuotedString(table) => Some(crate::functions::fold(table)),
            _ => None,
        },
        _ => None,
    }
}

impl<'q> QueryCatalog<'q> {
    /// The names of a query on `snapshot`, which began at `now`.
    pub(crate) fn new(
        state: &'q SessionState,
        sources: &'q Arc<dyn SourceControl>,
        snapshot: &'q Arc<Snapshot>,
        report: &'q Arc<ScanReport>,
        now: DateTime<Utc>,
    ) -> Self {
        let planners = state.expr_planners().to_vec();
        Self { state, sources, snapshot, report, now, offsets: offsets_function(snapshot), planners }
    }

    fn unknown(&self, name: &TableReference) -> Error {
        match named(name) {
            Named::Public(table) => self.snapshot.unknown_table(table),
            Named::System(_) => Error::new(ErrorKind::UnknownTable, format!("relation \"{name}\" does not exist"))
                .hint(format!("schema system has {}", system::NAMES.join(", "))),
            Named::Elsewhere => Error::new(ErrorKind::UnknownTable, format!("relation \"{name}\" does not exist"))
                .hint("the schemas are public and system"),
        }
    }
}

impl ContextProvider for QueryCatalog<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let provider = match named(&name) {
            Named::Public(table) => {
                FamilyTable::open(self.snapshot, table, self.report).map(|table| provider_as_source(Arc::new(table)))
            }
            Named::System(table) => {
                system::table(table, self.snapshot, self.sources.as_ref()).map_err(wrap)?.map(provider_as_source)
            }
            Named::Elsewhere => None,
        };
        provider.ok_or_else(|| wrap(self.unknown(&name)))
    }

    fn get_table_function_source(&self, name: &str, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(&name.to_lowercase()).cloned().ok_or_else(|| {
            wrap(Error::new(ErrorKind::UnknownFunction, format!("function {name} does not exist in FROM")))
        })?;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(Some(self.now))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let none = DFSchema::empty();
        let args = args
            .into_iter()
            .map(|arg| simplifier.coerce(arg, &none).and_then(|arg| simplifier.simplify(arg)))
            .collect::<Result<Vec<_>>>()?;
        Ok(provider_as_source(function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(crate::dialect::Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        if name == OFFSETS {
            return Some(Arc::clone(&self.offsets));
        }
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
