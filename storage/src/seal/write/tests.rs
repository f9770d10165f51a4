//! What a seal writes, read back from disk.

use super::*;
use crate::manifest::{PartitionKey, PartitionTime};
use crate::part::{Part, PartCache};
use crate::scan::value::Value;
use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, StringViewArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::util::pretty::pretty_format_batches;
use millrace_error::ErrorKind;
use millrace_schema::{Bucket, Column, ColumnId, ColumnType, Compression, PartitionUnit, Partitioning, TableOptions};
use parquet::basic::{Encoding, LogicalType};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn columns(types: &[(&str, ColumnType)]) -> Vec<Column> {
    let column = |(id, (name, ty)): (i32, &(&str, ColumnType))| Column {
        id: ColumnId(id),
        name: (*name).to_owned(),
        ty: *ty,
        nullable: true,
        default: None,
    };
    (1..).zip(types).map(column).collect()
}

/// `ts timestamptz, k text, n bigint`, by day, sorted by `k, ts`.
fn events() -> TableDef {
    TableDef {
        name: "events".into(),
        schema_version: 3,
        columns: columns(&[("ts", ColumnType::TimestampTz), ("k", ColumnType::Text), ("n", ColumnType::BigInt)]),
        time_column: Some(ColumnId(1)),
        partitioning: Partitioning { unit: PartitionUnit::Day, bucket: None },
        sort_key: vec![ColumnId(2), ColumnId(1)],
        options: TableOptions::default(),
    }
}

fn event_batch(table: &TableDef, rows: &[(Option<i64>, Option<&str>, i64)]) -> RecordBatch {
    let times = TimestampMicrosecondArray::from_iter(rows.iter().map(|r| r.0)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times),
        Arc::new(StringViewArray::from_iter(rows.iter().map(|r| r.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.2))),
    ];
    RecordBatch::try_new(table.arrow_schema(), columns).unwrap()
}

fn input(dir: &Path, table: TableDef, batches: &[(RecordBatch, bool)]) -> SealInput {
    let memory = Arc::new(MemoryBudget::new(1 << 30));
    let chunk = |(rows, sorted): &(RecordBatch, bool)| {
        Arc::new(Chunk::new(TableId::BASE, &table, rows.clone(), *sorted, Duration::ZERO, &memory))
    };
    let chunks = batches.iter().map(chunk).collect();
    SealInput {
        table: Arc::new(table),
        table_id: TableId::BASE,
        chunks,
        dir: dir.to_owned(),
        clock: Clock::simulated(1, 1_700_000_000_000_000),
        memory,
    }
}

fn read(dir: &Path, table: &TableDef, meta: &PartMeta) -> RecordBatch {
    let part = Arc::new(Part::open(dir, Arc::new(meta.clone())));
    let batches: Vec<RecordBatch> = part.batches(table).unwrap().map(Result::unwrap).collect();
    concat_batches(&table.arrow_schema(), &batches).unwrap()
}

/// The rows as lines of text, in order.
fn lines(batch: &RecordBatch) -> Vec<String> {
    let text = pretty_format_batches(std::slice::from_ref(batch)).unwrap().to_string();
    text.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

const DAY: i64 = 86_400_000_000;

fn every_type() -> (TableDef, RecordBatch) {
    let types = [
        ("boolean", ColumnType::Boolean),
        ("smallint", ColumnType::SmallInt),
        ("integer", ColumnType::Integer),
        ("bigint", ColumnType::BigInt),
        ("real", ColumnType::Real),
        ("double", ColumnType::Double),
        ("numeric.9", ColumnType::Numeric { precision: 9, scale: 2 }),
        ("numeric18", ColumnType::Numeric { precision: 18, scale: 2 }),
        ("numeric38", ColumnType::Numeric { precision: 38, scale: 10 }),
        ("text", ColumnType::Text),
        ("varchar", ColumnType::Varchar(9)),
        ("bytea", ColumnType::Bytea),
        ("date", ColumnType::Date),
        ("time", ColumnType::Time),
        ("timestamp", ColumnType::Timestamp),
        ("timestamptz", ColumnType::TimestampTz),
        ("uuid", ColumnType::Uuid),
        ("json", ColumnType::Json),
        ("jsonb", ColumnType::Jsonb),
    ];
    let table = TableDef { columns: columns(&types), sort_key: vec![ColumnId(16)], time_column: None, ..events() };
    let table = TableDef { partitioning: Partitioning { unit: PartitionUnit::None, bucket: None }, ..table };
    let decimals = |precision, scale, big: i128| {
        Arc::new(
            Decimal128Array::from(vec![Some(big), None, Some(-big)])
                .with_precision_and_scale(precision, scale)
                .unwrap(),
        )
    };
    let long = "a text that does not fit into a view";
    let uuids = [Some([7_u8; 16]), None, Some([255; 16])];
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])),
        Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(-0.0)])),
        Arc::new(Float64Array::from(vec![Some(f64::INFINITY), None, Some(f64::MIN_POSITIVE)])),
        decimals(9, 2, 999_999_999),
        decimals(18, 2, 999_999_999_999_999_999),
        decimals(38, 10, 10_i128.pow(38) - 1),
        Arc::new(StringViewArray::from(vec![Some(long), None, Some("")])),
        Arc::new(StringViewArray::from(vec![Some("äöü"), None, Some("x")])),
        Arc::new(BinaryViewArray::from(vec![Some(&[0_u8, 255][..]), None, Some(&[1; 40])])),
        Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)])),
        Arc::new(Time64MicrosecondArray::from(vec![Some(0), None, Some(DAY - 1)])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1)])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), Some(2), None]).with_timezone("UTC")),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16).unwrap()),
        Arc::new(StringViewArray::from(vec![Some(r#"{"a": 1}"#), None, Some("null")])),
        Arc::new(StringViewArray::from(vec![Some(r#"{"a":1}"#), None, Some("[]")])),
    ];
    let batch = RecordBatch::try_new(table.arrow_schema(), arrays).unwrap();
    (table, batch)
}

#[test]
fn every_type_comes_back_as_it_was() {
    for compression in [Compression::Zstd, Compression::Lz4, Compression::None] {
        let folder = tempfile::tempdir().unwrap();
        let (mut table, batch) = every_type();
        table.options.compression = compression;
        let written = write_parts(input(folder.path(), table.clone(), &[(batch.clone(), false)])).unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(read(folder.path(), &table, &written[0].meta), batch);
        assert_eq!(written[0].rows.as_ref().unwrap()[0], batch, "what stays in memory is the same");
    }
}

#[test]
fn the_file_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (table, batch) = every_type();
    let written = write_parts(input(folder.path(), table.clone(), &[(batch, false)])).unwrap();
    let part = Part::open(folder.path(), Arc::new(written[0].meta.clone()));
    let metadata = part.metadata().unwrap();
    let descriptor = metadata.file_metadata().schema_descr();
    for (field, column) in descriptor.columns().iter().zip(&table.columns) {
        assert_eq!(field.self_type().get_basic_info().id(), column.id.0);
        assert_eq!(field.name(), column.name);
    }
    let logical = |name: &str| {
        descriptor.columns().iter().find(|c| c.name() == name).unwrap().logical_type_ref().unwrap().clone()
    };
    assert_eq!(logical("uuid"), LogicalType::Uuid);
    assert_eq!(logical("json"), LogicalType::String);
    assert!(matches!(logical("timestamptz"), LogicalType::Timestamp(t) if t.is_adjusted_to_u_t_c));
    assert!(matches!(logical("timestamp"), LogicalType::Timestamp(t) if !t.is_adjusted_to_u_t_c));
    let keys = metadata.file_metadata().key_value_metadata().unwrap();
    let value = |key: &str| keys.iter().find(|kv| kv.key == key).and_then(|kv| kv.value.clone());
    assert_eq!(value("millrace.part"), Some(written[0].meta.id.to_string()));
    assert_eq!(value("millrace.schema_version"), Some("3".to_owned()));
    assert_eq!(value("ARROW:schema"), None);
    let group = metadata.row_group(0);
    assert_eq!(group.sorting_columns().unwrap()[0].column_idx, 15);
    assert!(metadata.column_index().is_some() && metadata.offset_index().is_some());
}

#[test]
fn rows_of_sorted_and_unsorted_chunks_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let table = TableDef { partitioning: Partitioning { unit: PartitionUnit::None, bucket: None }, ..events() };
    let names = ["a", "a long name that is kept in a buffer, 1", "a long name that is kept in a buffer, 2", "b"];
    let row = |i: i64| {
        let k = usize::try_from(i * 7 % 5).unwrap();
        ((i % 11 != 0).then_some(i * 37 % 1_000), names.get(k).copied(), i)
    };
    let chunks: Vec<(RecordBatch, bool)> = (0..9)
        .map(|chunk| {
            let rows: Vec<_> = (chunk * 4_000..(chunk + 1) * 4_000).map(row).collect();
            let batch = event_batch(&table, &rows);
            if chunk % 2 == 0 { (super::super::sort_batch(&table, &batch).unwrap(), true) } else { (batch, false) }
        })
        .collect();
    let written = write_parts(input(folder.path(), table.clone(), &chunks)).unwrap();
    let batch = read(folder.path(), &table, &written[0].meta);
    assert_eq!(batch.num_rows(), 36_000);
    assert_eq!(Keys::new(&table).unwrap().order(&batch).unwrap(), None, "sorted, NULLs last");
    let all = concat_batches(&table.arrow_schema(), chunks.iter().map(|c| &c.0)).unwrap();
    assert_eq!(sorted(lines(&batch)), sorted(lines(&all)));
    let kept = concat_batches(&table.arrow_schema(), written[0].rows.as_ref().unwrap()).unwrap();
    assert_eq!(kept, batch);
    let bounds = &written[0].meta.key_bounds;
    let k = bounds[0].as_ref().unwrap();
    assert_eq!((Value::of(&k.min), Value::of(&k.max), k.has_null), (Value::Text("a"), Value::Text("b"), true));
    assert_eq!((written[0].meta.min_time, written[0].meta.max_time), (Some(0), Some(999)));
}

#[test]
fn a_column_of_few_values_gets_a_dictionary() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    let rows: Vec<_> =
        (0..5_000).map(|i| (Some(i), Some(["x", "y"][usize::try_from(i % 2).unwrap()]), i * 977 % 5_003)).collect();
    let written = write_parts(input(folder.path(), table.clone(), &[(event_batch(&table, &rows), false)])).unwrap();
    let metadata = Part::open(folder.path(), Arc::new(written[0].meta.clone())).metadata().unwrap();
    let uses = |column, encoding| metadata.row_group(0).column(column).encodings().any(|e| e == encoding);
    assert!(uses(0, Encoding::DELTA_BINARY_PACKED) && !uses(0, Encoding::RLE_DICTIONARY));
    assert!(uses(1, Encoding::RLE_DICTIONARY));
    assert!(uses(2, Encoding::DELTA_BINARY_PACKED) && !uses(2, Encoding::RLE_DICTIONARY));
}

#[test]
fn ten_years_of_days_are_few_files() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    // Day d has one row, the first 70 days two.
    let days = (0..3_650).chain(0..70);
    let rows: Vec<_> = days.map(|d| (Some(d * DAY + 5), Some("k"), d)).collect();
    let chunks: Vec<_> = rows.chunks(1_000).map(|rows| (event_batch(&table, rows), false)).collect();
    let written = write_parts(input(folder.path(), table.clone(), &chunks)).unwrap();
    assert_eq!(written.len(), 64);
    let mixed: Vec<_> = written.iter().filter(|w| w.meta.partition.time == PartitionTime::Mixed).collect();
    assert_eq!(mixed.len(), 1);
    let own = written.iter().filter(|w| w.meta.partition.time != PartitionTime::Mixed);
    assert!(own.clone().all(|w| w.meta.rows == 2), "the largest get their own");
    let mut seen = BTreeSet::new();
    for part in &written {
        let batch = read(folder.path(), &table, &part.meta);
        assert_eq!(u64::try_from(batch.num_rows()).unwrap(), part.meta.rows);
        assert_eq!(Keys::new(&table).unwrap().order(&batch).unwrap(), None, "sorted");
        for row in 0..batch.num_rows() {
            let Some(Value::Int(micros)) = Value::at(batch.column(0), row) else { panic!() };
            let day = PartitionTime::Day(micros / DAY);
            assert!(part.meta.partition.time == day || part.meta.partition.time == PartitionTime::Mixed);
            seen.insert(micros / DAY);
        }
    }
    assert_eq!(seen.len(), 3_650);
    assert_eq!(written.iter().map(|w| w.meta.rows).sum::<u64>(), 3_720);
}

#[test]
fn rows_go_to_their_time_and_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = Some(Bucket { count: 4, column: ColumnId(3) });
    let table = TableDef { partitioning: Partitioning { unit: PartitionUnit::Hour, bucket }, ..events() };
    let rows: Vec<_> = (0..900).map(|i| ((i % 9 != 0).then_some(i % 3 * 3_600_000_000), None, i % 50)).collect();
    let chunks: Vec<_> = rows.chunks(300).map(|rows| (event_batch(&table, rows), false)).collect();
    let written = write_parts(input(folder.path(), table.clone(), &chunks)).unwrap();
    let mut count = 0;
    for part in &written {
        let batch = read(folder.path(), &table, &part.meta);
        for row in 0..batch.num_rows() {
            let micros = match Value::at(batch.column(0), row) {
                Some(Value::Int(micros)) => Some(micros),
                _ => None,
            };
            let expected = PartitionKey {
                time: PartitionTime::of(PartitionUnit::Hour, micros),
                bucket: Some(crate::scan::bucket::bucket_of(Value::at(batch.column(2), row), 4)),
            };
            assert_eq!(part.meta.partition, expected);
            count += 1;
        }
    }
    assert_eq!(count, 900);
    assert_eq!(written.iter().map(|w| w.meta.partition).collect::<BTreeSet<_>>().len(), written.len());
    let null = written.iter().find(|w| w.meta.partition.time == PartitionTime::Null).unwrap();
    assert_eq!((null.meta.min_time, null.meta.max_time), (None, None));
    assert_eq!(null.meta.key_bounds, vec![None, None], "NULLs have no bounds");
}

#[test]
fn a_flipped_byte_anywhere_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = events();
    table.options.compression = Compression::None;
    let text: Vec<String> = (0..40_000).map(|i| format!("{:x}", i64::wrapping_mul(i, 0x1234_5678_9abc_def1))).collect();
    let rows: Vec<_> = (0..40_000).zip(&text).map(|(i, text)| (Some(i), Some(text.as_str()), i)).collect();
    let written = write_parts(input(folder.path(), table.clone(), &[(event_batch(&table, &rows), false)])).unwrap();
    let meta = Arc::new(written[0].meta.clone());
    assert!(meta.bytes > blocks::BLOCK_BYTES, "more than one block: {}", meta.bytes);
    let files = [path::part_path(folder.path(), &meta), path::checksums(folder.path(), &meta.partition, meta.id)];
    for file in &files {
        let sound = std::fs::read(file).unwrap();
        for at in (0..sound.len()).step_by(sound.len() / 40 + 1).chain([sound.len() - 1]) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(file, &bytes).unwrap();
            let part = Part::open(folder.path(), Arc::clone(&meta));
            let error = part.read(0..meta.bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damage);
            assert!(error.to_string().contains(&file.display().to_string()), "{error}");
        }
        std::fs::write(file, &sound[..sound.len() - 1]).unwrap();
        let cut = Part::open(folder.path(), Arc::clone(&meta)).metadata().unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::Damage, "cut short");
        std::fs::remove_file(file).unwrap();
        let gone = Part::open(folder.path(), Arc::clone(&meta)).read(0..1).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Damage, "missing");
        std::fs::write(file, &sound).unwrap();
    }
    let part = Part::open(folder.path(), Arc::clone(&meta));
    let whole = std::fs::read(&files[0]).unwrap();
    for (start, end) in [(0, 0), (0, 10), (262_140, 262_150), (5, meta.bytes), (meta.bytes - 8, meta.bytes)] {
        let expected = &whole[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
        assert_eq!(part.read(start..end).unwrap(), expected);
        assert_eq!(part.read(start..end).unwrap(), expected, "and again, verified");
    }
    assert!(part.read(0..meta.bytes + 1).is_err());
}

#[test]
fn damage_found_while_decoding_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    let rows: Vec<_> = (0..100).map(|i| (Some(i), Some("k"), i)).collect();
    let written = write_parts(input(folder.path(), table.clone(), &[(event_batch(&table, &rows), false)])).unwrap();
    let part = Arc::new(Part::open(folder.path(), Arc::new(written[0].meta.clone())));
    let mut bytes = std::fs::read(part.path()).unwrap();
    bytes[100] ^= 1;
    std::fs::write(part.path(), bytes).unwrap();
    let error = part.batches(&table).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Damage);
    assert!(error.to_string().contains("checksum differs") && error.to_string().contains(".parquet"), "{error}");
}

#[test]
fn a_failed_seal_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    let rows = [(Some(0), Some("k"), 1), (Some(DAY), Some("k"), 2), (Some(2 * DAY), Some("k"), 3)];
    // The last partition's folder cannot be made: a file is in its place.
    std::fs::write(folder.path().join("1970-01-03"), b"").unwrap();
    let error = write_parts(input(folder.path(), table.clone(), &[(event_batch(&table, &rows), false)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    for day in ["1970-01-01", "1970-01-02"] {
        assert_eq!(std::fs::read_dir(folder.path().join(day)).unwrap().count(), 0);
    }
}

#[test]
fn nothing_makes_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    assert!(write_parts(input(folder.path(), table.clone(), &[(event_batch(&table, &[]), false)])).unwrap().is_empty());
    assert!(write_parts(input(folder.path(), table, &[])).unwrap().is_empty());
}

#[test]
fn resident_rows_make_room_for_newer_ones() {
    let folder = tempfile::tempdir().unwrap();
    let table = events();
    let rows: Vec<_> = (0..1_000).map(|i| (Some(i), Some("a text of more than twelve bytes"), i)).collect();
    let write = |seed| {
        let mut input = input(folder.path(), table.clone(), &[(event_batch(&table, &rows), false)]);
        input.clock = Clock::simulated(seed, 0);
        write_parts(input).unwrap().remove(0)
    };
    let first = write(1);
    let bytes: usize = first.rows.as_ref().unwrap().iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(bytes < 100_000, "compact: {bytes}");
    let memory = Arc::new(MemoryBudget::new(u64::try_from(bytes).unwrap() * 15));
    let cache = PartCache::new(Arc::clone(&memory));
    let metas: Vec<Arc<PartMeta>> = [first, write(2)]
        .into_iter()
        .map(|written| {
            let meta = Arc::new(written.meta.clone());
            cache.insert(folder.path(), written);
            assert!(cache.get(folder.path(), &meta).resident().is_some());
            meta
        })
        .collect();
    assert!(cache.get(folder.path(), &metas[0]).resident().is_none(), "one fits, not two");
    assert!(memory.resident_used() > 0);
    cache.forget(metas.iter().map(|meta| meta.id));
    assert_eq!(memory.resident_used(), 0);
}
