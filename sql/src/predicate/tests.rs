//! Filters become ranges that never lose a matching row.

use super::*;
use datafusion::logical_expr::{col, lit};
use millrace_schema::{ColumnType, PartitionUnit, Partitioning, TableOptions};

fn table() -> TableDef {
    let columns = [
        ("time", ColumnType::TimestampTz),
        ("channel", ColumnType::Text),
        ("n", ColumnType::Integer),
        ("day", ColumnType::Date),
    ];
    TableDef {
        name: "t".to_owned(),
        schema_version: 1,
        columns: (1..)
            .zip(columns)
            .map(|(id, (name, ty))| Column {
                id: ColumnId(id),
                name: name.to_owned(),
                ty,
                nullable: true,
                default: None,
            })
            .collect(),
        time_column: Some(ColumnId(1)),
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: vec![ColumnId(2), ColumnId(1)],
        options: TableOptions::default(),
    }
}

fn one(filters: &[Expr]) -> ColumnRange {
    let filter = scan_filter(&table(), filters);
    assert_eq!(filter.ranges.len(), 1, "{filter:?}");
    filter.ranges.into_iter().next().unwrap()
}

fn micros(value: i64) -> Expr {
    Expr::Literal(ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into())), None)
}

#[test]
fn conjuncts_of_one_column_meet() {
    let range = one(&[col("time").gt_eq(micros(5)).and(micros(9).gt(col("time"))), col("time").gt(micros(5))]);
    assert_eq!(range.low, Some((Scalar::Int(5), false)));
    assert_eq!(range.high, Some((Scalar::Int(9), false)));
    let range = one(&[col("time").between(micros(1), micros(2))]);
    assert_eq!((range.low, range.high), (Some((Scalar::Int(1), true)), Some((Scalar::Int(2), true))));
}

#[test]
fn values_in_lists_and_alternatives() {
    let text = |s: &str| Scalar::Text(s.to_owned());
    let range = one(&[col("channel").in_list(vec![lit("a"), lit("b")], false), col("channel").eq(lit("b"))]);
    assert_eq!(range.one_of, Some(vec![text("b")]));
    let range = one(&[col("channel").eq(lit("a")).or(col("channel").eq(lit("b")))]);
    assert_eq!(range.one_of, Some(vec![text("a"), text("b")]));
}

#[test]
fn what_is_not_understood_prunes_nothing() {
    for filter in [
        col("channel").eq(lit("a")).or(col("n").eq(lit(1))),
        col("n").gt(lit(1)).or(col("n").lt(lit(0))),
        col("channel").not_eq(lit("a")),
        col("channel").in_list(vec![lit("a")], true),
        col("channel").eq(col("n")),
        col("n").eq(Expr::Literal(ScalarValue::Int32(None), None)),
        col("n").eq(lit(1.5)),
    ] {
        assert_eq!(scan_filter(&table(), std::slice::from_ref(&filter)), ScanFilter::default(), "{filter}");
    }
}

#[test]
fn literals_become_the_columns_type() {
    let range = one(&[col("n").eq(lit(7i64))]);
    assert_eq!(range.one_of, Some(vec![Scalar::Int(7)]));
    let range = one(&[col("day").gt_eq(Expr::Literal(ScalarValue::Date32(Some(16_690)), None))]);
    assert_eq!(range.low, Some((Scalar::Int(16_690), true)));
}
