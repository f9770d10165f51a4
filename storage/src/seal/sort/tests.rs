//! The merge against a plain sort.

use super::*;
use arrow::array::{Array, Float64Array, Int64Array, StringViewArray};
use arrow::compute::{concat_batches, lexsort_to_indices};
use millrace_schema::{Column, ColumnId, ColumnType, PartitionUnit, Partitioning, TableOptions};
use proptest::prelude::*;
use std::sync::Arc;

fn table(sort_key: &[i32]) -> TableDef {
    let types = [ColumnType::BigInt, ColumnType::Text, ColumnType::Double, ColumnType::BigInt];
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
        time_column: None,
        partitioning: Partitioning { unit: PartitionUnit::None, bucket: None },
        sort_key: sort_key.iter().map(|id| ColumnId(*id)).collect(),
        options: TableOptions::default(),
    }
}

type Row = (Option<i64>, Option<String>, Option<f64>);

fn batch(table: &TableDef, first: i64, rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.0))),
        Arc::new(StringViewArray::from_iter(rows.iter().map(|r| r.1.as_deref()))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.2))),
        Arc::new(Int64Array::from_iter_values((first..).take(rows.len()))),
    ];
    RecordBatch::try_new(table.arrow_schema(), columns).unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = prop_oneof![Just(String::new()), "[a-c]{1,3}", Just("a text that is longer than a view".to_owned())];
    let float = prop_oneof![Just(-0.0), Just(0.0), Just(f64::NAN), -3.0..3.0];
    proptest::collection::vec(
        (proptest::option::of(-3_i64..3), proptest::option::of(text), proptest::option::of(float)),
        0..60,
    )
}

/// The reference: all chunks one after another, sorted stably by Arrow.
fn reference(table: &TableDef, all: &RecordBatch) -> RecordBatch {
    // The last column numbers the rows in order: as the last key it makes the order total.
    let options = Some(SortOptions { descending: false, nulls_first: false });
    let keys = table.sort_key_indices().into_iter().chain([3]);
    let columns: Vec<_> =
        keys.map(|at| arrow::compute::SortColumn { values: Arc::clone(all.column(at)), options }).collect();
    take_record_batch(all, &lexsort_to_indices(&columns, None).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_merge_is_a_stable_sort(
        chunks in proptest::collection::vec((rows(), any::<bool>()), 1..7),
        key in prop_oneof![Just(vec![]), Just(vec![1]), Just(vec![2, 1]), Just(vec![3, 2]), Just(vec![1, 2, 3])],
        copies in any::<bool>(),
        count in 1_usize..50,
    ) {
        let table = table(&key);
        let keys = Keys::new(&table).unwrap();
        let mut first = 0;
        let batches: Vec<RecordBatch> = chunks.iter().map(|(rows, presorted)| {
            let mut batch = batch(&table, first, rows);
            first += 1_000;
            if *presorted {
                batch = sort_batch(&table, &batch).unwrap();
            }
            batch
        }).collect();
        let runs: Vec<Run> = batches.iter().enumerate().map(|(chunk, batch)| Run { chunk, rows: keys.order(batch).unwrap() }).collect();
        let mut merge = Merge::new(&keys, &batches, &runs, copies).unwrap();
        let mut merged = Vec::new();
        while let Some(batch) = merge.next_batch(count).unwrap() {
            prop_assert!(batch.num_rows() <= count && batch.num_rows() > 0);
            merged.push(batch);
        }
        let all = concat_batches(&table.arrow_schema(), &batches).unwrap();
        let merged = concat_batches(&table.arrow_schema(), &merged).unwrap();
        prop_assert_eq!(format!("{:?}", merged.columns()), format!("{:?}", reference(&table, &all).columns()));
    }
}

#[test]
fn windows_are_crossed() {
    let table = table(&[1]);
    let keys = Keys::new(&table).unwrap();
    let runs_of =
        |start: i64, step: i64| -> Vec<Row> { (0..10_000).map(|i| (Some(start + i * step), None, None)).collect() };
    let batches =
        [batch(&table, 0, &runs_of(0, 2)), batch(&table, 0, &runs_of(1, 2)), batch(&table, 0, &runs_of(50_000, 1))];
    let rows = |chunk| Run { chunk, rows: None };
    let every_other = Run { chunk: 2, rows: Some((0..10_000).step_by(2).collect()) };
    let runs = [rows(0), rows(1), every_other];
    let mut merge = Merge::new(&keys, &batches, &runs, false).unwrap();
    let mut values: Vec<i64> = Vec::new();
    while let Some(batch) = merge.next_batch(8_192).unwrap() {
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().clone();
        values.extend(column.values());
    }
    let expected: Vec<i64> = (0..20_000).chain((50_000..60_000).step_by(2)).collect();
    assert_eq!(values, expected);
}
