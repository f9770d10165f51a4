//! The direct lane: shapes that a view answers by itself, on the connection's own task.
//!
//! What enters: a parsed query and its snapshot. What leaves: its one row, or nothing where DataFusion must do it.
//! Today: `SELECT count(*) [AS c] FROM t [AS a]`. Both lanes must agree; a test says so.

use crate::catalog::{Named, named};
use crate::snapshot::Snapshot;
use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::sql::planner::object_name_to_table_reference;
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement, TableFactor};
use millrace_error::{Error, Result};
use std::sync::Arc;

/// A query that the view answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Direct {
    /// The table as stored.
    pub(crate) table: String,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its live parts, none of which is read.
    pub(crate) parts: usize,
    column: String,
}

/// What of a statement makes it one for this lane; needs no snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    table: String,
    column: String,
}

/// Whether a statement has a shape of this lane.
pub(crate) fn shape(statement: &Statement) -> Option<Shape> {
    let Statement::Query(query) = statement else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [item] = select.projection.as_slice() else { return None };
    let [from] = select.from.as_slice() else { return None };
    let TableFactor::Table { name, alias, args: None, .. } = &from.relation else { return None };
    let (expr, column) = match item {
        SelectItem::UnnamedExpr(expr) => (expr, "count".to_owned()),
        SelectItem::ExprWithAlias { expr, alias } => (expr, folded(alias)),
        _ => return None,
    };
    if !counts_all(expr) || alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
        return None;
    }
    // Whatever else a query can have would show here.
    let bare = match alias {
        Some(alias) => format!("SELECT {item} FROM {name} {alias}"),
        None => format!("SELECT {item} FROM {name}"),
    };
    let text = query.to_string();
    if text != bare && text != bare.replacen(&format!("FROM {name} "), &format!("FROM {name} AS "), 1) {
        return None;
    }
    let reference: TableReference = object_name_to_table_reference(name.clone(), true).ok()?;
    match named(&reference) {
        Named::Public(table) => Some(Shape { table: table.to_owned(), column }),
        Named::System(_) | Named::Elsewhere => None,
    }
}

fn counts_all(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(_)) && expr.to_string().eq_ignore_ascii_case("count(*)")
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

impl Shape {
    /// The query over a snapshot; `None` where it has no such table: planning says so.
    pub(crate) fn over(self, snapshot: &Snapshot) -> Option<Direct> {
        let (pinned, id, _) = snapshot.table(&self.table)?;
        let parts = pinned.view.parts(id).count();
        Some(Direct { rows: pinned.view.rows(id), parts, table: self.table, column: self.column })
    }

    /// The answer's columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        schema(&self.column)
    }
}

fn schema(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Int64, true)]))
}

impl Direct {
    /// The answer.
    ///
    /// # Errors
    /// `Internal` for more rows than bigint can count.
    pub(crate) fn batch(&self) -> Result<RecordBatch> {
        let rows = i64::try_from(self.rows).map_err(|_| Error::internal("more rows than bigint can count"))?;
        RecordBatch::try_new(schema(&self.column), vec![Arc::new(Int64Array::from(vec![rows]))])
            .map_err(|error| Error::internal(error.to_string()))
    }
}
