//! uuid: stored as 16 bytes, written as text.
//!
//! What enters: comparisons and casts between uuid and text. What leaves: the same with the text parsed or the bytes
//! printed. Deliberately absent: the wire (the server prints uuid columns by itself).

use crate::error::wrap;
use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, FixedSizeBinaryBuilder, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::BinaryOperator;
use millrace_error::{Error, ErrorKind};
use std::sync::{Arc, LazyLock};

const BYTES: DataType = DataType::FixedSizeBinary(16);

static PARSE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::new(TypeSignature::Exact(vec![DataType::Utf8View]), Volatility::Immutable);
    Arc::new(ScalarUDF::from(Convert { name: "uuid_parse", returns: BYTES, signature }))
});

static PRINT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::new(TypeSignature::Exact(vec![BYTES]), Volatility::Immutable);
    Arc::new(ScalarUDF::from(Convert { name: "uuid_text", returns: DataType::Utf8View, signature }))
});

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::clone(&PARSE), Arc::clone(&PRINT)]
}

/// Converts between the two forms.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Convert {
    name: &'static str,
    returns: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else { return exec_err!("{} takes one argument", self.name) };
        let array = value.to_array(args.number_rows)?;
        let converted = if self.returns == BYTES { parse(&array)? } else { print(&array)? };
        match value {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(converted)),
        }
    }
}

fn parse(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let Some(texts) = texts.as_any().downcast_ref::<StringViewArray>() else { return exec_err!("not text") };
    let mut bytes = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
    for text in texts {
        match text {
            Some(text) => bytes.append_value(bytes_of(text)?)?,
            None => bytes.append_null(),
        }
    }
    Ok(Arc::new(bytes.finish()))
}

fn print(bytes: &ArrayRef) -> Result<ArrayRef> {
    let Some(bytes) = bytes.as_any().downcast_ref::<FixedSizeBinaryArray>() else { return exec_err!("not uuids") };
    let text = |value: &[u8]| uuid::Uuid::from_slice(value).ok().map(|id| id.to_string());
    Ok(Arc::new(StringViewArray::from_iter(bytes.iter().map(|v| v.and_then(text)))))
}

fn bytes_of(text: &str) -> Result<[u8; 16]> {
    let id = uuid::Uuid::parse_str(text.trim()).map_err(|_| {
        wrap(Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type uuid: \"{text}\"")))
    })?;
    Ok(*id.as_bytes())
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// Text as a uuid: at once where it is a constant.
fn parsed(expr: Expr) -> Result<Expr> {
    if let Expr::Literal(value, _) = &expr
        && let Some(text) = value.try_as_str()
    {
        let bytes = text.map(bytes_of).transpose()?;
        return Ok(Expr::Literal(ScalarValue::FixedSizeBinary(16, bytes.map(|b| b.to_vec())), None));
    }
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&PARSE), vec![expr])))
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    expr.get_type(schema).ok()
}

/// Makes both sides uuids where one is and the other is text.
fn meet(left: Expr, right: Expr, schema: &DFSchema) -> Result<(Expr, Expr, bool)> {
    match (type_of(&left, schema), type_of(&right, schema)) {
        (Some(BYTES), Some(text)) if is_text(&text) => Ok((left, parsed(right)?, true)),
        (Some(text), Some(BYTES)) if is_text(&text) => Ok((parsed(left)?, right, true)),
        _ => Ok((left, right, false)),
    }
}

/// Compares uuid with text as soon as the expression is read, so that its type is known.
#[derive(Debug)]
pub(crate) struct UuidPlanner;

impl ExprPlanner for UuidPlanner {
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
pub(crate) struct UuidRule;

impl AnalyzerRule for UuidRule {
    fn name(&self) -> &'static str {
        "millrace_uuid"
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
        Expr::InList(InList { expr, list, negated }) if type_of(&expr, schema) == Some(BYTES) => {
            let text = |e: &Expr| type_of(e, schema).is_some_and(|ty| is_text(&ty));
            let list =
                list.into_iter().map(|e| if text(&e) { parsed(e) } else { Ok(e) }).collect::<Result<Vec<_>>>()?;
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        Expr::Between(Between { expr, negated, low, high }) if type_of(&expr, schema) == Some(BYTES) => {
            let text = |e: &Expr| type_of(e, schema).is_some_and(|ty| is_text(&ty));
            let side = |e: Box<Expr>| if text(&e) { parsed(*e).map(Box::new) } else { Ok(e) };
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low: side(low)?, high: side(high)? })))
        }
        Expr::Cast(Cast { expr, field }) => {
            let (from, to) = (type_of(&expr, schema), field.data_type());
            if from == Some(BYTES) && is_text(to) {
                let text = Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&PRINT), vec![*expr]));
                let same = *to == DataType::Utf8View;
                Ok(Transformed::yes(if same { text } else { Expr::Cast(Cast { expr: Box::new(text), field }) }))
            } else if *to == BYTES && from.as_ref().is_some_and(is_text) {
                Ok(Transformed::yes(parsed(*expr)?))
            } else {
                Ok(Transformed::no(Expr::Cast(Cast { expr, field })))
            }
        }
        other => Ok(Transformed::no(other)),
    }
}
