//! Text where a value of another type is meant, read by PostgreSQL's input rules.
//!
//! What enters: comparisons and casts between text and typed expressions. What leaves: the same with constants read as values
//! of the type beside them, uuids parsed or printed, and `varchar(n)` cut. Deliberately absent: the rules (see `parse`), and
//! text that is no constant, which but for uuids is left to DataFusion.

use super::uuid::{BYTES, parsed, printed};
use crate::dialect::WIDTH_KEY;
use crate::error::wrap;
use crate::parse::parse_text;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::unicode::expr_fn::left as left_of;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use millrace_schema::{ColumnType, Scalar};

/// Digits a numeric can have.
const DIGITS_MAX: usize = 38;

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// The column type whose input rules hold for an Arrow type; none where text stays text or DataFusion reads it.
fn rules(ty: &DataType, text: &str) -> Option<ColumnType> {
    Some(match ty {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int16 => ColumnType::SmallInt,
        DataType::Int32 => ColumnType::Integer,
        DataType::Int64 => ColumnType::BigInt,
        DataType::Float32 => ColumnType::Real,
        DataType::Float64 => ColumnType::Double,
        DataType::Decimal128(..) => exact(text)?,
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => ColumnType::Bytea,
        DataType::Date32 => ColumnType::Date,
        DataType::Time64(TimeUnit::Microsecond) => ColumnType::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => ColumnType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => ColumnType::TimestampTz,
        DataType::FixedSizeBinary(16) => ColumnType::Uuid,
        _ => return None,
    })
}

/// A numeric that holds every digit of the text: PostgreSQL compares unrounded.
fn exact(text: &str) -> Option<ColumnType> {
    let text = text.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if text.contains(['e', 'E']) || digits.max(decimals) > DIGITS_MAX {
        return None;
    }
    let (precision, scale) = (u8::try_from(digits.max(decimals).max(1)).ok()?, i8::try_from(decimals).ok()?);
    Some(ColumnType::Numeric { precision, scale })
}

/// A value of storage as Arrow's of type `ty`.
fn arrow_value(value: Scalar, column: ColumnType, ty: &DataType) -> Option<ScalarValue> {
    Some(match (value, ty) {
        (Scalar::Bool(v), DataType::Boolean) => ScalarValue::Boolean(Some(v)),
        (Scalar::Int(v), DataType::Int16) => ScalarValue::Int16(i16::try_from(v).ok()),
        (Scalar::Int(v), DataType::Int32) => ScalarValue::Int32(i32::try_from(v).ok()),
        (Scalar::Int(v), DataType::Int64) => ScalarValue::Int64(Some(v)),
        (Scalar::Float(v), DataType::Float32 | DataType::Float64) => ScalarValue::Float64(Some(v)).cast_to(ty).ok()?,
        (Scalar::Numeric(v), _) => match column {
            ColumnType::Numeric { precision, scale } => ScalarValue::Decimal128(Some(v), precision, scale),
            _ => return None,
        },
        (Scalar::Int(v), DataType::Date32) => ScalarValue::Date32(i32::try_from(v).ok()),
        (Scalar::Int(v), DataType::Time64(_)) => ScalarValue::Time64Microsecond(Some(v)),
        (Scalar::Int(v), DataType::Timestamp(_, zone)) => ScalarValue::TimestampMicrosecond(Some(v), zone.clone()),
        (Scalar::Bytes(v), DataType::FixedSizeBinary(size)) => ScalarValue::FixedSizeBinary(*size, Some(v)),
        (Scalar::Bytes(v), DataType::Binary) => ScalarValue::Binary(Some(v)),
        (Scalar::Bytes(v), DataType::LargeBinary) => ScalarValue::LargeBinary(Some(v)),
        (Scalar::Bytes(v), DataType::BinaryView) => ScalarValue::BinaryView(Some(v)),
        _ => return None,
    })
}

/// A text constant read as a value of `ty`; `None` where it is no text constant or the type has no rules here.
fn read(expr: &Expr, ty: &DataType) -> Result<Option<Expr>> {
    let Expr::Literal(value, _) = expr else { return Ok(None) };
    let Some(Some(text)) = value.try_as_str() else { return Ok(None) };
    let Some(column) = rules(ty, text) else { return Ok(None) };
    let value = parse_text(column, text).map_err(wrap)?;
    Ok(arrow_value(value, column, ty).map(|value| Expr::Literal(value, None)))
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok()
}

/// `expr` beside something of type `ty`: read or parsed where it is text. Says whether it changed.
fn beside(expr: Expr, ty: Option<&DataType>, schema: &DFSchema) -> Result<(Expr, bool)> {
    let Some(ty) = ty.filter(|ty| !is_text(ty)) else { return Ok((expr, false)) };
    if let Some(value) = read(&expr, ty)? {
        return Ok((value, true));
    }
    let text = *ty == BYTES && type_of(&expr, schema).is_some_and(|ty| is_text(&ty));
    Ok(if text { (parsed(expr), true) } else { (expr, false) })
}

/// Both sides of a comparison.
fn meet(left: Expr, right: Expr, schema: &DFSchema) -> Result<(Expr, Expr, bool)> {
    let (left_type, right_type) = (type_of(&left, schema), type_of(&right, schema));
    let (left, changed) = beside(left, right_type.as_ref(), schema)?;
    let (right, too) = beside(right, left_type.as_ref(), schema)?;
    Ok((left, right, changed || too))
}

/// Compares with text as soon as the expression is read, so that its type is known.
#[derive(Debug)]
pub(crate) struct InputPlanner;

impl ExprPlanner for InputPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        let RawBinaryExpr { op, left, right } = expr;
        if !matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq) {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let (left, right, _) = meet(left, right, schema)?;
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// The same for lists, ranges and casts, which the planner offers no hook for. Runs before types are coerced.
#[derive(Debug)]
pub(crate) struct InputRule;

impl AnalyzerRule for InputRule {
    fn name(&self) -> &'static str {
        "millrace_input"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
            }
            let names = NamePreserver::new(&plan);
            let done = plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let done = expr.transform_up(|expr| rewrite(expr, &schema))?;
                Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
            })?;
            if done.transformed { done.map_data(LogicalPlan::recompute_schema) } else { Ok(done) }
        })
        .map(|done| done.data)
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (left, right, changed) = meet(*left, *right, schema)?;
            let expr = Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) });
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        }
        Expr::InList(InList { expr, list, negated }) => {
            let ty = type_of(&expr, schema);
            let items = list.into_iter().map(|item| beside(item, ty.as_ref(), schema)).collect::<Result<Vec<_>>>()?;
            let changed = items.iter().any(|(_, changed)| *changed);
            let list = items.into_iter().map(|(item, _)| item).collect();
            Ok(Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let ty = type_of(&expr, schema);
            let ((low, first), (high, second)) =
                (beside(*low, ty.as_ref(), schema)?, beside(*high, ty.as_ref(), schema)?);
            let between = Between { expr, negated, low: Box::new(low), high: Box::new(high) };
            Ok(Transformed::new_transformed(Expr::Between(between), first || second))
        }
        Expr::Cast(cast) => rewrite_cast(cast, schema),
        other => Ok(Transformed::no(other)),
    }
}

fn rewrite_cast(Cast { expr, field }: Cast, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (from, to) = (type_of(&expr, schema), field.data_type());
    if let Some(width) = field.metadata().get(WIDTH_KEY).and_then(|width| width.parse::<i64>().ok()) {
        let text = rewrite_cast(Cast::new(expr, DataType::Utf8View), schema)?.data;
        let cut = Cast::new(Box::new(left_of(text, lit(width))), DataType::Utf8View);
        return Ok(Transformed::yes(Expr::Cast(cut)));
    }
    if let Some(value) = read(&expr, to)?
        && !matches!(to, DataType::Decimal128(..))
    {
        return Ok(Transformed::yes(value));
    }
    if from == Some(BYTES) && is_text(to) {
        let text = printed(*expr);
        let same = *to == DataType::Utf8View;
        Ok(Transformed::yes(if same { text } else { Expr::Cast(Cast { expr: Box::new(text), field }) }))
    } else if *to == BYTES && from.as_ref().is_some_and(is_text) {
        Ok(Transformed::yes(parsed(*expr)))
    } else {
        Ok(Transformed::no(Expr::Cast(Cast { expr, field })))
    }
}
