//! Result columns as PostgreSQL names and types them.
//!
//! What enters: a SELECT list and the plan's schema. What leaves: the statement with repeated expressions made unique
//! (DataFusion refuses two columns of one name), and the schema that the client sees: PostgreSQL's names, types that a
//! table could have, nullable throughout.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef, TimeUnit};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{self, Ident, SelectItem, SetExpr, Statement, VisitMut, VisitorMut};
use millrace_schema::TYPE_KEY;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Names of the columns where the SELECT list alone decides them; `None` leaves the plan's.
pub(crate) type Names = Vec<Option<String>>;

/// Gives expressions that stand twice in the outermost SELECT list different names, and says what PostgreSQL calls each.
/// Empty where a wildcard leaves it to the plan.
pub(crate) fn name_columns(statement: &mut Statement) -> Names {
    match statement {
        Statement::Query(query) => name_body(&mut query.body),
        _ => Vec::new(),
    }
}

/// Of a set operation the left side names the columns; the right has to be unique only.
fn name_body(body: &mut SetExpr) -> Names {
    match body {
        SetExpr::Select(select) => name_list(select),
        SetExpr::Query(query) => name_body(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            name_body(right);
            name_body(left)
        }
        _ => Vec::new(),
    }
}

fn name_list(select: &mut ast::Select) -> Names {
    let plain = select.distinct.is_none();
    let mut names = Vec::with_capacity(select.projection.len());
    let mut seen = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (expr, name, key) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name_of(expr), plan_name(expr, plain)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(folded(alias)), folded(alias)),
            _ => return Vec::new(),
        };
        if !seen.insert(key.to_lowercase()) {
            let alias = Ident::with_quote('"', format!("{key} {index}"));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
        names.push(name);
    }
    names
}

/// The same for all expressions that DataFusion may give one name: casts, qualifiers, and which of its names a function is
/// called by do not count. With `plain` functions of the same arguments are the same: an alias does no harm there.
fn plan_name(expr: &ast::Expr, plain: bool) -> String {
    let mut expr = expr.clone();
    let _ = expr.visit(&mut Bare);
    let text = match &expr {
        ast::Expr::Identifier(name) => return name.value.clone(),
        ast::Expr::Function(function) if plain => {
            let text = function.to_string();
            text.strip_prefix(&function.name.to_string()).map(str::to_owned).unwrap_or(text)
        }
        other => other.to_string(),
    };
    // DataFusion calls every subquery the same.
    if text.contains("SELECT ") { "(<subquery>)".to_owned() } else { text }
}

/// Leaves of an expression what DataFusion names it by.
struct Bare;

impl VisitorMut for Bare {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<()> {
        let bare = match expr {
            ast::Expr::Cast { expr, .. } | ast::Expr::Nested(expr) => expr.as_ref().clone(),
            ast::Expr::Identifier(name) => ast::Expr::Identifier(Ident::new(folded(name))),
            ast::Expr::CompoundIdentifier(names) => {
                ast::Expr::Identifier(Ident::new(names.last().map(folded).unwrap_or_default()))
            }
            ast::Expr::TypedString(typed) => ast::Expr::Value(typed.value.clone()),
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(digits, _) => match digits.parse::<f64>() {
                    Ok(number) => ast::Expr::value(ast::Value::Number(number.to_string(), false)),
                    Err(_) => return ControlFlow::Continue(()),
                },
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        *expr = bare;
        ControlFlow::Continue(())
    }
}

fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// PostgreSQL's FigureColname.
fn name_of(expr: &ast::Expr) -> Option<String> {
    use ast::Expr as E;
    let fixed = match expr {
        E::Identifier(name) => return Some(folded(name)),
        E::CompoundIdentifier(names) => return names.last().map(folded),
        E::Function(function) => return function.name.0.last().and_then(|part| part.as_ident()).map(folded),
        E::Nested(inner) | E::Collate { expr: inner, .. } => return name_of(inner),
        E::Cast { expr, data_type, .. } => {
            return match name_of(expr).as_deref() {
                None | Some("?column?") => Some(type_name(data_type)),
                Some(inner) => Some(inner.to_owned()),
            };
        }
        E::TypedString(typed) => return Some(type_name(&typed.data_type)),
        E::Subquery(query) => return subquery_name(query),
        E::Case { .. } => "case",
        E::Extract { .. } => "extract",
        E::Exists { .. } => "exists",
        E::Substring { .. } => "substring",
        E::Position { .. } => "position",
        E::Trim { .. } => "btrim",
        E::Overlay { .. } => "overlay",
        E::Ceil { .. } => "ceil",
        E::Floor { .. } => "floor",
        E::Array(_) => "array",
        E::Interval(_) => "interval",
        E::Value(value) if matches!(value.value, ast::Value::Boolean(_)) => "bool",
        E::AtTimeZone { .. } => "timezone",
        _ => "?column?",
    };
    Some(fixed.to_owned())
}

fn subquery_name(query: &ast::Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Some("?column?".to_owned()) };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr)] => name_of(expr),
        [SelectItem::ExprWithAlias { alias, .. }] => Some(folded(alias)),
        _ => Some("?column?".to_owned()),
    }
}

fn type_name(ty: &ast::DataType) -> String {
    use ast::DataType as T;
    match ty {
        T::Int(_) | T::Integer(_) | T::Int4(_) => "int4".to_owned(),
        T::BigInt(_) | T::Int8(_) => "int8".to_owned(),
        T::SmallInt(_) | T::Int2(_) => "int2".to_owned(),
        T::DoublePrecision | T::Double(_) | T::Float8 => "float8".to_owned(),
        T::Real | T::Float4 => "float4".to_owned(),
        T::Boolean | T::Bool => "bool".to_owned(),
        T::Varchar(_) | T::CharacterVarying(_) => "varchar".to_owned(),
        T::Timestamp(_, ast::TimezoneInfo::Tz | ast::TimezoneInfo::WithTimeZone) => "timestamptz".to_owned(),
        T::Timestamp(..) => "timestamp".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// Casts what no wire type carries, at the very top: unsigned, nanoseconds, dictionaries.
///
/// # Errors
/// As DataFusion gives them for plans it cannot build.
pub(crate) fn with_wire_types(plan: LogicalPlan) -> Result<LogicalPlan> {
    let fields: Vec<_> = plan.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
    if fields.iter().all(|(_, field)| wire_type(field.data_type()).is_none()) {
        return Ok(plan);
    }
    let exprs = fields.into_iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::new(qualifier.clone(), field.name()));
        match wire_type(field.data_type()) {
            Some(ty) => cast(column, ty).alias_qualified(qualifier, field.name()),
            None => column,
        }
    });
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}

/// The type a column of this type is sent as, where that is another.
fn wire_type(ty: &DataType) -> Option<DataType> {
    Some(match ty {
        DataType::UInt64 | DataType::UInt32 => DataType::Int64,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt8 | DataType::Int8 => DataType::Int16,
        DataType::Float16 => DataType::Float32,
        DataType::Null | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::LargeBinary => DataType::BinaryView,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(unit, Some(zone)) if *unit != TimeUnit::Microsecond || zone.as_ref() != "UTC" => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::Timestamp(unit, None) if *unit != TimeUnit::Microsecond => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        DataType::Duration(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Dictionary(_, value) => wire_type(value).unwrap_or_else(|| value.as_ref().clone()),
        _ => return None,
    })
}

/// The schema the client sees.
pub(crate) fn output_schema(plan: &Schema, names: &Names) -> SchemaRef {
    let named = names.len() == plan.fields().len();
    let fields = plan.fields().iter().enumerate().map(|(index, field)| {
        let name = names.get(index).filter(|_| named).cloned().flatten().unwrap_or_else(|| field.name().clone());
        let mut metadata = field.metadata().clone();
        if metadata.get(TYPE_KEY).is_some_and(|ty| !fits(ty, field.data_type())) {
            metadata.remove(TYPE_KEY);
        }
        Field::new(name, field.data_type().clone(), true).with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whether a SQL type's text can still be true of a column: DataFusion carries metadata along through some functions.
fn fits(sql: &str, arrow: &DataType) -> bool {
    let base = sql.split('(').next().unwrap_or(sql).trim();
    match arrow {
        DataType::Boolean => base == "boolean",
        DataType::Int16 => base == "smallint",
        DataType::Int32 => base == "integer",
        DataType::Int64 => base == "bigint",
        DataType::Float32 => base == "real",
        DataType::Float64 => base == "double precision",
        DataType::Decimal128(precision, scale) => sql == format!("numeric({precision},{scale})"),
        DataType::Utf8 | DataType::Utf8View => matches!(base, "text" | "character varying" | "json" | "jsonb"),
        DataType::Binary | DataType::BinaryView => base == "bytea",
        DataType::Date32 => base == "date",
        DataType::Time64(_) => base.starts_with("time") && !base.starts_with("timestamp"),
        DataType::Timestamp(_, Some(_)) => sql.starts_with("timestamp") && sql.contains("with time zone"),
        DataType::Timestamp(_, None) => sql.starts_with("timestamp") && !sql.contains("with time zone"),
        DataType::FixedSizeBinary(16) => base == "uuid",
        _ => false,
    }
}

/// A batch under the schema the client sees.
///
/// # Errors
/// Where the types differ, which is a bug.
pub(crate) fn dress(batch: &RecordBatch, schema: &SchemaRef) -> millrace_error::Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
        .map_err(|error| millrace_error::Error::internal(format!("a plan gave other columns than it said: {error}")))
}
