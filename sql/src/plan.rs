//! Statement + snapshot → plan.
//!
//! What enters: a parsed query, its pinned snapshot, its parameters. What leaves: a [`Plan`] ready to run, or a
//! description. No `ctx.sql()`: the session states are shared, only names are resolved anew.

use crate::answer::Description;
use crate::catalog::QueryCatalog;
use crate::cooperate::cooperate;
use crate::direct::{Direct, Shape};
use crate::engine::Engine;
use crate::error::{Place, planning};
use crate::naming::{Names, output_schema, with_wire_types};
use crate::runtime::Lane;
use crate::scan::{FamilyTable, ScanReport};
use crate::snapshot::{Snapshot, Wanted};
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use chrono::{DateTime, Utc};
use datafusion::common::alias::AliasGenerator;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{ParamValues, Result as DfResult, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::planner::{ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement as Ast;
use millrace_error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parameters one statement can have, as the protocol counts them.
const PARAMETERS_MAX: usize = 65_535;

/// A query as parsed: everything that does not depend on a snapshot.
#[derive(Debug)]
pub(crate) struct Query {
    /// Always `Statement::Query`.
    pub(crate) statement: Ast,
    /// What the columns are called.
    pub(crate) names: Names,
    /// Its text, for positions.
    pub(crate) text: String,
    /// Characters before it.
    pub(crate) offset: usize,
    /// The families it reads.
    pub(crate) wanted: Wanted,
    /// Its shape, where the direct lane knows it.
    pub(crate) shape: Option<Shape>,
}

/// How a query runs.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Answered by the view.
    Direct(Direct),
    /// Run by DataFusion.
    DataFusion(Planned),
}

/// A physical plan and what it needs.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) lane: Lane,
    /// The columns the client sees.
    pub(crate) schema: SchemaRef,
    pub(crate) report: Arc<ScanReport>,
}

impl Query {
    fn place(&self) -> Place<'_> {
        Place { text: &self.text, offset: self.offset }
    }
}

/// Plans a query on its snapshot.
///
/// # Errors
/// By kind, with the position in the statement where it is known.
pub(crate) async fn plan(
    engine: &Engine,
    query: &Query,
    snapshot: &Arc<Snapshot>,
    parameters: &[ArrayRef],
) -> Result<Planned> {
    let planner = Planner::new(engine, query, snapshot);
    let fail = |error| planning(error, query.place());
    let types = parameters.iter().map(|p| Some(parameter_field(p.data_type().clone()))).collect();
    let logical = planner.logical(types).map_err(fail)?;
    let logical = bind(logical, parameters).map_err(fail)?;
    let analyzed = planner.analyze(logical).map_err(fail)?;
    let optimized = planner.optimize(analyzed).map_err(fail)?;
    let lane = engine.datafusion().lane(rows_left(&optimized).map_err(fail)?).clone();
    let plan = lane.state.query_planner().create_physical_plan(&optimized, lane.state.as_ref()).await.map_err(fail)?;
    let plan = cooperate(plan).map_err(fail)?;
    let schema = output_schema(&plan.schema(), &query.names);
    Ok(Planned { plan, lane, schema, report: planner.report })
}

/// What a query takes and gives.
///
/// # Errors
/// As [`plan`].
pub(crate) fn describe(
    engine: &Engine,
    query: &Query,
    snapshot: &Arc<Snapshot>,
    hints: &[Option<DataType>],
) -> Result<Description> {
    let planner = Planner::new(engine, query, snapshot);
    let fail = |error| planning(error, query.place());
    let hinted: Vec<_> = hints.iter().map(|hint| hint.clone().map(parameter_field)).collect();
    let first = planner.logical(hinted).map_err(fail)?;
    let parameters = parameter_types(&first, hints).map_err(fail)?;
    let logical = if parameters.is_empty() {
        first
    } else {
        planner.logical(parameters.iter().map(|ty| Some(parameter_field(ty.clone()))).collect()).map_err(fail)?
    };
    let analyzed = planner.analyze(logical).map_err(fail)?;
    let columns = output_schema(analyzed.schema().as_arrow(), &query.names);
    Ok(Description { parameters, columns: Some(columns) })
}

fn parameter_field(ty: DataType) -> FieldRef {
    Arc::new(Field::new("", ty, true))
}

/// Types of `$1`, `$2`, …: the client's, else what DataFusion infers, else bigint for LIMIT and OFFSET, else text.
fn parameter_types(plan: &LogicalPlan, hints: &[Option<DataType>]) -> DfResult<Vec<DataType>> {
    let mut found: BTreeMap<usize, Option<DataType>> = BTreeMap::new();
    for (name, ty) in plan.get_parameter_types()? {
        if let Some(number) = number(&name) {
            found.insert(number, ty);
        }
    }
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some((number, ty)) = cast_placeholder(expr) {
                    found.insert(number, Some(ty));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if let LogicalPlan::Limit(limit) = node {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                expr.apply(|expr| {
                    if let Some(number) = placeholder(expr) {
                        found.insert(number, Some(DataType::Int64));
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let count = found.last_key_value().map_or(0, |(last, _)| *last).max(hints.len()).min(PARAMETERS_MAX);
    let of = |number: usize| {
        let hint = hints.get(number.saturating_sub(1)).cloned().flatten();
        hint.or_else(|| found.get(&number).cloned().flatten())
            .filter(|ty| *ty != DataType::Null)
            .unwrap_or(DataType::Utf8View)
    };
    Ok((1..=count).map(of).collect())
}

fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Placeholder(placeholder) => number(&placeholder.id),
        _ => None,
    }
}

/// `$1::bigint`: the parameter is of the type it is cast to, as in PostgreSQL.
fn cast_placeholder(expr: &Expr) -> Option<(usize, DataType)> {
    let (inner, ty) = match expr {
        Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
        Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
        _ => return None,
    };
    Some((placeholder(inner)?, ty.clone()))
}

fn number(placeholder: &str) -> Option<usize> {
    placeholder.strip_prefix('$')?.parse().ok()
}

fn bind(plan: LogicalPlan, parameters: &[ArrayRef]) -> DfResult<LogicalPlan> {
    let wanted: Vec<usize> = plan.get_parameter_names()?.iter().filter_map(|name| number(name)).collect();
    if wanted.is_empty() {
        return Ok(plan);
    }
    if let Some(missing) = wanted.iter().find(|number| **number > parameters.len()) {
        return Err(crate::error::wrap(
            Error::new(ErrorKind::Protocol, format!("there is no parameter ${missing}"))
                .hint("bind a value to each parameter of the statement"),
        ));
    }
    let values = parameters.iter().map(|array| ScalarValue::try_from_array(array, 0)).collect::<DfResult<Vec<_>>>()?;
    plan.with_param_values(ParamValues::from(values))
}

/// Rows that all scans of families may read, after pruning.
fn rows_left(plan: &LogicalPlan) -> DfResult<u64> {
    let mut rows = 0u64;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
        {
            let provider: &dyn std::any::Any = provider.as_ref();
            if let Some(table) = provider.downcast_ref::<FamilyTable>() {
                rows = rows.saturating_add(table.rows_left(&scan.filters));
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(rows)
}

/// The steps of planning one query.
struct Planner<'q> {
    engine: &'q Engine,
    query: &'q Query,
    snapshot: &'q Arc<Snapshot>,
    report: Arc<ScanReport>,
    state: Arc<SessionState>,
    now: DateTime<Utc>,
}

impl<'q> Planner<'q> {
    fn new(engine: &'q Engine, query: &'q Query, snapshot: &'q Arc<Snapshot>) -> Self {
        let now = DateTime::from_timestamp_micros(engine.store().clock().now()).unwrap_or_default();
        let state = Arc::clone(&engine.datafusion().lane(0).state);
        Self { engine, query, snapshot, report: Arc::default(), state, now }
    }

    fn logical(&self, parameters: Vec<Option<FieldRef>>) -> DfResult<LogicalPlan> {
        let catalog = QueryCatalog::new(&self.state, self.engine.sources(), self.snapshot, &self.report, self.now);
        let options = ParserOptions::from(&self.state.config_options().sql_parser);
        let planner = SqlToRel::new_with_options(&catalog, options);
        let mut context = PlannerContext::new().with_prepare_param_data_types(parameters);
        planner.sql_statement_to_plan_with_context(self.query.statement.clone(), &mut context)
    }

    fn analyze(&self, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        let plan = with_wire_types(plan)?;
        self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {})
    }

    fn optimize(&self, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        let config = StatementConfig { state: &self.state, now: self.now, aliases: Arc::new(AliasGenerator::new()) };
        self.state.optimizer().optimize(plan, &config, |_, _| {})
    }
}

/// What the optimizer needs of one statement: above all its moment, which `now()` stands for.
struct StatementConfig<'q> {
    state: &'q SessionState,
    now: DateTime<Utc>,
    aliases: Arc<AliasGenerator>,
}

impl OptimizerConfig for StatementConfig<'_> {
    fn query_execution_start_time(&self) -> Option<DateTime<Utc>> {
        Some(self.now)
    }

    fn alias_generator(&self) -> &Arc<AliasGenerator> {
        &self.aliases
    }

    fn options(&self) -> Arc<ConfigOptions> {
        Arc::clone(self.state.config_options())
    }

    fn function_registry(&self) -> Option<&dyn FunctionRegistry> {
        Some(self.state)
    }
}
