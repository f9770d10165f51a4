//! Pruning against a look at every row: nothing wanted is ever lost.

use super::*;
use crate::MemoryBudget;
use crate::manifest::PartitionKey;
use crate::scan::resident_ranges;
use arrow::array::{
    ArrayRef, Date32Array, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use millrace_schema::{Bucket, PartId, Partitioning, TableId, TableOptions};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Columns: 1 time, 2 bigint, 3 text, 4 double, 5 uuid.
fn table(time: ColumnType, unit: PartitionUnit, bucket: Option<Bucket>, sort_key: &[i32]) -> TableDef {
    let types = [time, ColumnType::BigInt, ColumnType::Text, ColumnType::Double, ColumnType::Uuid];
    let columns = (1..).zip(types).map(|(id, ty)| Column {
        id: ColumnId(id),
        name: format!("c{id}"),
        ty,
        nullable: true,
        default: None,
    });
    TableDef {
        name: "t".into(),
        schema_version: 1,
        columns: columns.collect(),
        time_column: Some(ColumnId(1)),
        partitioning: Partitioning { unit, bucket },
        sort_key: sort_key.iter().map(|id| ColumnId(*id)).collect(),
        options: TableOptions::default(),
    }
}

type Row = (Option<i64>, Option<i64>, Option<String>, Option<f64>, Option<u8>);

fn batch(table: &TableDef, rows: &[Row]) -> RecordBatch {
    let times = rows.iter().map(|r| r.0);
    let time: ArrayRef = match table.columns[0].ty {
        ColumnType::Date => Arc::new(Date32Array::from_iter(times.map(|t| t.map(|t| i32::try_from(t).unwrap())))),
        _ => Arc::new(TimestampMicrosecondArray::from_iter(times.map(|t| t.map(|t| t * DAY / 7))).with_timezone("UTC")),
    };
    let uuids = rows.iter().map(|r| r.4.map(|byte| [byte; 16]));
    let columns: Vec<ArrayRef> = vec![
        time,
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.1))),
        Arc::new(StringViewArray::from_iter(rows.iter().map(|r| r.2.as_deref()))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.3))),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids, 16).unwrap()),
    ];
    RecordBatch::try_new(table.arrow_schema(), columns).unwrap()
}

fn option<S: Strategy>(values: S) -> impl Strategy<Value = Option<S::Value>> {
    proptest::option::weighted(0.85, values)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let float = prop_oneof![Just(-0.0), Just(0.0), Just(f64::NAN), Just(-f64::NAN), -3.0..3.0];
    let text = prop_oneof!["[a-c]{0,2}", Just("x".repeat(80))];
    let row = (option(-40_i64..40), option(-3_i64..3), option(text), option(float), option(0_u8..3));
    proptest::collection::vec(row, 1..40)
}

/// A value of column `id`; now and then of another type than the column's.
fn scalar(id: i32, time: ColumnType) -> BoxedStrategy<Scalar> {
    let factor = if time == ColumnType::Date { 1 } else { DAY / 7 };
    let own = match id {
        1 => (-45_i64..45).prop_map(move |t| Scalar::Int(t * factor)).boxed(),
        2 => (-4_i64..4).prop_map(Scalar::Int).boxed(),
        3 => "[a-c]{0,2}".prop_map(Scalar::Text).boxed(),
        4 => prop_oneof![Just(-0.0), Just(0.0), Just(f64::NAN), Just(1.5), -3.0..3.0].prop_map(Scalar::Float).boxed(),
        _ => (0_u8..4).prop_map(|byte| Scalar::Bytes(vec![byte; 16])).boxed(),
    };
    prop_oneof![30 => own, 1 => Just(Scalar::Bool(true))].boxed()
}

fn range(id: i32, time: ColumnType) -> impl Strategy<Value = ColumnRange> {
    let end = || proptest::option::of((scalar(id, time), any::<bool>()));
    let one_of = proptest::option::weighted(0.3, proptest::collection::vec(scalar(id, time), 0..3));
    let equal = proptest::option::weighted(0.3, scalar(id, time));
    (end(), end(), one_of, equal).prop_map(move |(low, high, one_of, equal)| match equal {
        Some(v) => {
            ColumnRange { column: ColumnId(id), low: Some((v.clone(), true)), high: Some((v, true)), one_of: None }
        }
        None => ColumnRange { column: ColumnId(id), low, high, one_of },
    })
}

fn filter(time: ColumnType) -> impl Strategy<Value = ScanFilter> {
    let ranges: Vec<_> = (1..=5).map(|id| proptest::option::weighted(0.4, range(id, time)).boxed()).collect();
    ranges.prop_map(|ranges| ScanFilter { ranges: ranges.into_iter().flatten().collect() })
}

/// Whether a row is wanted: SQL's truth, where an ordering that is unknown may be anything, so is wanted.
fn wanted(filter: &ScanFilter, table: &TableDef, batch: &RecordBatch, row: usize) -> bool {
    filter.ranges.iter().all(|range| {
        let at = table.index_of(range.column).unwrap();
        let Some(value) = Value::at(batch.column(at), row) else { return false };
        // A listed value outside the range is wanted by nobody, comparable to the row's or not.
        let within = |value: &Value<'_>| {
            let compare = |scalar: &Scalar| value.compare(Value::of(scalar));
            let low = |(v, with): &(Scalar, bool)| compare(v).is_none_or(|o| o.is_gt() || (*with && o.is_eq()));
            let high = |(v, with): &(Scalar, bool)| compare(v).is_none_or(|o| o.is_lt() || (*with && o.is_eq()));
            range.low.as_ref().is_none_or(low) && range.high.as_ref().is_none_or(high)
        };
        let is = |v: &Scalar| value.compare(Value::of(v)).is_none_or(Ordering::is_eq) && within(&Value::of(v));
        within(&value) && range.one_of.as_ref().is_none_or(|all| all.iter().any(is))
    })
}

fn any_wanted(filter: &ScanFilter, table: &TableDef, batch: &RecordBatch) -> bool {
    (0..batch.num_rows()).any(|row| wanted(filter, table, batch, row))
}

/// Seals the rows for good: what is pruned is what was written.
fn seal(folder: &std::path::Path, table: &TableDef, batch: &RecordBatch) -> Vec<(PartMeta, RecordBatch)> {
    let memory = Arc::new(MemoryBudget::new(1 << 30));
    let chunk = Chunk::new(TableId::BASE, table, batch.clone(), false, Duration::ZERO, &memory);
    let input = crate::seal::SealInput {
        table: Arc::new(table.clone()),
        table_id: TableId::BASE,
        chunks: vec![Arc::new(chunk)],
        dir: folder.to_owned(),
        clock: millrace_clock::Clock::simulated(1, 0),
        memory,
    };
    let written = crate::seal::write_parts(input).unwrap();
    let whole = |rows: Vec<RecordBatch>| arrow::compute::concat_batches(&table.arrow_schema(), &rows).unwrap();
    written.into_iter().map(|part| (part.meta, whole(part.rows.unwrap()))).collect()
}

fn units() -> impl Strategy<Value = PartitionUnit> {
    proptest::sample::select(vec![PartitionUnit::Hour, PartitionUnit::Day, PartitionUnit::Month, PartitionUnit::None])
}

fn times() -> impl Strategy<Value = ColumnType> {
    proptest::sample::select(vec![ColumnType::Date, ColumnType::TimestampTz])
}

fn cases() -> impl Strategy<Value = (TableDef, RecordBatch, Vec<ScanFilter>)> {
    let bucket = (1_u32..5, proptest::sample::select(vec![2, 3, 4, 5]));
    let bucket = proptest::option::of(bucket.prop_map(|(count, id)| Bucket { count, column: ColumnId(id) }));
    let keys = proptest::sample::select(vec![vec![], vec![1], vec![2, 1], vec![3, 2, 4], vec![4, 2], vec![5, 3]]);
    (times(), units(), bucket, keys, rows()).prop_flat_map(|(time, unit, bucket, key, rows)| {
        let table = table(time, unit, bucket, &key);
        let batch = batch(&table, &rows);
        (Just(table), Just(batch), proptest::collection::vec(filter(time), 20))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_wanted_row_is_lost((table, batch, filters) in cases()) {
        let folder = tempfile::tempdir().unwrap();
        let parts = seal(folder.path(), &table, &batch);
        prop_assert_eq!(parts.iter().map(|(_, rows)| rows.num_rows()).sum::<usize>(), batch.num_rows());
        let memory = MemoryBudget::new(1 << 30);
        for filter in &filters {
            let chunk = Chunk::new(TableId::BASE, &table, batch.clone(), false, Duration::ZERO, &memory);
            prop_assert!(filter.keeps_chunk(&table, &chunk) || !any_wanted(filter, &table, &batch), "{:?}", filter);
            for (meta, rows) in &parts {
                prop_assert!(filter.keeps_part(&table, meta) || !any_wanted(filter, &table, rows), "{:?} {:?}", filter, meta);
                let kept = resident_ranges(filter, &table, rows);
                for row in 0..rows.num_rows() {
                    prop_assert!(kept.contains(&row) || !wanted(filter, &table, rows, row), "{:?} row {}", filter, row);
                }
            }
        }
    }
}

fn part(partition: PartitionKey, times: Option<(i64, i64)>, key_bounds: Vec<Option<Bounds>>) -> PartMeta {
    PartMeta {
        id: PartId(Uuid::nil()),
        table: TableId::BASE,
        partition,
        schema_version: 1,
        level: 0,
        rows: 1,
        bytes: 1,
        created_at: 0,
        min_time: times.map(|t| t.0),
        max_time: times.map(|t| t.1),
        key_bounds,
        crc: 0,
    }
}

fn at_least(id: i32, low: Scalar) -> ScanFilter {
    ScanFilter { ranges: vec![ColumnRange { column: ColumnId(id), low: Some((low, true)), high: None, one_of: None }] }
}

fn one_of(id: i32, values: Vec<Scalar>) -> ScanFilter {
    ScanFilter { ranges: vec![ColumnRange { column: ColumnId(id), low: None, high: None, one_of: Some(values) }] }
}

#[test]
fn what_can_be_pruned_is() {
    let bucket = Bucket { count: 8, column: ColumnId(2) };
    let table = table(ColumnType::TimestampTz, PartitionUnit::Day, Some(bucket), &[3]);
    let key = |time, bucket| PartitionKey { time, bucket };
    let bounds = Bounds { min: Scalar::Text("b".into()), max: Scalar::Text("d".into()), has_null: true };
    let day = part(key(PartitionTime::Day(3), Some(1)), Some((3 * DAY, 4 * DAY - 1)), vec![Some(bounds)]);
    let keeps = |filter: &ScanFilter| filter.keeps_part(&table, &day);
    assert!(keeps(&at_least(1, Scalar::Int(4 * DAY - 1))) && !keeps(&at_least(1, Scalar::Int(4 * DAY))));
    assert!(keeps(&at_least(3, Scalar::Text("d".into()))) && !keeps(&at_least(3, Scalar::Text("da".into()))));
    assert!(!keeps(&one_of(3, vec![Scalar::Text("a".into()), Scalar::Text("e".into())])));
    let own: Vec<Scalar> = (0..100).filter(|i| bucket_of(Some(Value::Int(*i)), 8) == 1).map(Scalar::Int).collect();
    let other: Vec<Scalar> = (0..100).filter(|i| bucket_of(Some(Value::Int(*i)), 8) != 1).map(Scalar::Int).collect();
    assert!(keeps(&one_of(2, own)) && !keeps(&one_of(2, other)));
    assert!(!keeps(&one_of(4, Vec::new())) || !one_of(3, Vec::new()).keeps_part(&table, &day), "nothing is wanted");
    let null = part(key(PartitionTime::Null, None), None, vec![None]);
    assert!(!at_least(1, Scalar::Int(0)).keeps_part(&table, &null) && ScanFilter::default().keeps_part(&table, &null));
    let mixed = part(key(PartitionTime::Mixed, None), Some((0, 9 * DAY)), vec![None]);
    assert!(at_least(1, Scalar::Int(5 * DAY)).keeps_part(&table, &mixed));
    assert!(!at_least(1, Scalar::Int(10 * DAY)).keeps_part(&table, &mixed));
}

#[test]
fn sorted_rows_are_narrowed_by_key_prefix() {
    let table = table(ColumnType::Date, PartitionUnit::None, None, &[2, 3]);
    let row = |n: Option<i64>, text: &str| (None, n, Some(text.to_owned()), None, None);
    let rows = [row(Some(1), "a"), row(Some(1), "b"), row(Some(2), "a"), row(Some(2), "c"), row(None, "a")];
    let batch = batch(&table, &rows);
    let both = |n: i64, text: &str| {
        let mut filter = one_of(2, vec![Scalar::Int(n)]);
        filter.ranges.extend(at_least(3, Scalar::Text(text.to_owned())).ranges);
        resident_ranges(&filter, &table, &batch)
    };
    assert_eq!((both(1, "b"), both(2, "b"), both(2, "d")), (1..2, 3..4, 4..4));
    assert_eq!(resident_ranges(&at_least(2, Scalar::Int(2)), &table, &batch), 2..4, "NULLs are not wanted");
    assert_eq!(resident_ranges(&at_least(3, Scalar::Text("b".into())), &table, &batch), 0..5, "not a prefix");
    assert_eq!(crate::scan::narrow(&at_least(2, Scalar::Int(3)), &table, &[batch]).len(), 0);
}
