//! Filters of a query as ranges of columns that storage can prune by.
//!
//! What enters: the conjuncts DataFusion pushed down. What leaves: a [`ScanFilter`] that lets through at least every row
//! that matches. Whatever is not understood is left out: it can only prune less. The filters run again above the scan.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use millrace_schema::{Column, ColumnId, Scalar, TableDef};
use millrace_storage::scan::{ColumnRange, ScanFilter};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The ranges that `filters` (a conjunction) leave of `table`'s columns.
pub(crate) fn scan_filter(table: &TableDef, filters: &[Expr]) -> ScanFilter {
    let mut ranges: BTreeMap<ColumnId, ColumnRange> = BTreeMap::new();
    for conjunct in filters.iter().flat_map(split_conjunction) {
        for found in ranges_of(table, conjunct) {
            match ranges.entry(found.column) {
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(found);
                }
                std::collections::btree_map::Entry::Occupied(mut entry) => intersect(entry.get_mut(), found),
            }
        }
    }
    ScanFilter { ranges: ranges.into_values().collect() }
}

fn range(column: &Column) -> ColumnRange {
    ColumnRange { column: column.id, low: None, high: None, one_of: None }
}

/// What one conjunct says; empty where it says nothing that we understand.
fn ranges_of(table: &TableDef, expr: &Expr) -> Vec<ColumnRange> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            same_value(table, left, right).into_iter().collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => comparison(table, left, *op, right).into_iter().collect(),
        Expr::InList(InList { expr, list, negated: false }) => in_list(table, expr, list).into_iter().collect(),
        Expr::Between(Between { expr, negated: false, low, high }) => {
            [comparison(table, expr, Operator::GtEq, low), comparison(table, expr, Operator::LtEq, high)]
                .into_iter()
                .flatten()
                .collect()
        }
        _ => Vec::new(),
    }
}

fn comparison(table: &TableDef, left: &Expr, op: Operator, right: &Expr) -> Option<ColumnRange> {
    let (column, op, value) = match (column(table, left), column(table, right)) {
        (Some(column), None) => (column, op, literal(column, right)?),
        (None, Some(column)) => (column, op.swap()?, literal(column, left)?),
        _ => return None,
    };
    let mut wanted = range(column);
    match op {
        Operator::Eq => wanted.one_of = Some(vec![value]),
        Operator::Gt => wanted.low = Some((value, false)),
        Operator::GtEq => wanted.low = Some((value, true)),
        Operator::Lt => wanted.high = Some((value, false)),
        Operator::LtEq => wanted.high = Some((value, true)),
        _ => return None,
    }
    Some(wanted)
}

fn in_list(table: &TableDef, expr: &Expr, list: &[Expr]) -> Option<ColumnRange> {
    let column = column(table, expr)?;
    let mut wanted = range(column);
    wanted.one_of = Some(list.iter().map(|value| literal(column, value)).collect::<Option<Vec<_>>>()?);
    Some(wanted)
}

/// `c = 1 OR c = 2 OR c IN (3)`: DataFusion writes short lists so.
fn same_value(table: &TableDef, left: &Expr, right: &Expr) -> Option<ColumnRange> {
    let side = |expr: &Expr| match ranges_of(table, expr).as_slice() {
        [one] if one.low.is_none() && one.high.is_none() => Some(one.clone()),
        _ => None,
    };
    let (mut left, right) = (side(left)?, side(right)?);
    if left.column != right.column {
        return None;
    }
    left.one_of.as_mut()?.extend(right.one_of?);
    Some(left)
}

fn column<'t>(table: &'t TableDef, expr: &Expr) -> Option<&'t Column> {
    match expr {
        Expr::Column(column) => table.column_named(&column.name),
        Expr::Alias(alias) => column(table, &alias.expr),
        _ => None,
    }
}

/// A constant in the physical form of `column`; `None` where it is no constant, NULL, or not exactly such a value.
fn literal(column: &Column, expr: &Expr) -> Option<Scalar> {
    let value = match expr {
        Expr::Literal(value, _) => value.clone(),
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(cast.field.data_type()).ok()?,
            _ => return None,
        },
        Expr::Alias(alias) => return literal(column, &alias.expr),
        _ => return None,
    };
    if value.is_null() {
        return None;
    }
    let target = column.ty.arrow();
    let same = value.data_type() == target || (is_text(&value.data_type()) && is_text(&target));
    if same {
        return scalar(&value);
    }
    let cast = value.cast_to(&target).ok()?;
    let back = cast.cast_to(&value.data_type()).ok()?;
    if back == value { scalar(&cast) } else { None }
}

fn is_text(ty: &DataType) -> bool {
    matches!(ty, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

/// An Arrow value as storage's; `None` for NULL, NaN and types that no column has.
fn scalar(value: &ScalarValue) -> Option<Scalar> {
    Some(match value {
        ScalarValue::Boolean(v) => Scalar::Bool((*v)?),
        ScalarValue::Int16(v) => Scalar::Int(i64::from((*v)?)),
        ScalarValue::Int32(v) | ScalarValue::Date32(v) => Scalar::Int(i64::from((*v)?)),
        ScalarValue::Int64(v) | ScalarValue::Time64Microsecond(v) | ScalarValue::TimestampMicrosecond(v, _) => {
            Scalar::Int((*v)?)
        }
        ScalarValue::Float32(v) => Scalar::Float(f64::from((*v)?)),
        ScalarValue::Float64(v) => Scalar::Float((*v)?),
        ScalarValue::Decimal128(v, _, _) => Scalar::Numeric((*v)?),
        ScalarValue::Utf8(v) | ScalarValue::Utf8View(v) | ScalarValue::LargeUtf8(v) => Scalar::Text(v.clone()?),
        ScalarValue::Binary(v)
        | ScalarValue::BinaryView(v)
        | ScalarValue::LargeBinary(v)
        | ScalarValue::FixedSizeBinary(_, v) => Scalar::Bytes(v.clone()?),
        _ => return None,
    })
    .filter(|s| !matches!(s, Scalar::Float(f) if f.is_nan()))
}

fn intersect(into: &mut ColumnRange, other: ColumnRange) {
    into.low = tighter(into.low.take(), other.low, Ordering::Greater);
    into.high = tighter(into.high.take(), other.high, Ordering::Less);
    into.one_of = match (into.one_of.take(), other.one_of) {
        (Some(a), Some(b)) => Some(a.into_iter().filter(|v| b.contains(v)).collect()),
        (a, b) => a.or(b),
    };
}

type Bound = Option<(Scalar, bool)>;

/// The bound that lies further in `direction`; of two equal ones the exclusive.
fn tighter(a: Bound, b: Bound, direction: Ordering) -> Bound {
    match (a, b) {
        (Some(a), Some(b)) => match b.0.partial_cmp(&a.0) {
            Some(order) if order == direction => Some(b),
            Some(Ordering::Equal) if !b.1 => Some(b),
            _ => Some(a),
        },
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
#[path = "predicate/tests.rs"]
mod tests;
