//! What holds for every input: neighbours untouched, agreement with arrow-json, no panic.

use super::*;
use arrow::compute::concat_batches;
use proptest::prelude::*;
use proptest::sample::Index;

fn columns() -> Vec<(&'static str, ColumnType)> {
    vec![
        ("b", Boolean),
        ("s", SmallInt),
        ("i", Integer),
        ("l", BigInt),
        ("r", Real),
        ("d", Double),
        ("n", Numeric { precision: 20, scale: 4 }),
        ("t", Text),
        ("ts", TimestampTz),
        ("day", Date),
    ]
}

/// Every type there is.
fn all_columns() -> Vec<(&'static str, ColumnType)> {
    let more =
        [("v", Varchar(5)), ("by", Bytea), ("tm", Time), ("lts", Timestamp), ("u", Uuid), ("j", Json), ("jb", Jsonb)];
    columns().into_iter().chain(more).collect()
}

/// The field's text for a column, valid for it and read the same way by arrow-json.
fn field(name: &str, ty: ColumnType) -> BoxedStrategy<String> {
    let value: BoxedStrategy<String> = match ty {
        Boolean => any::<bool>().prop_map(|v| v.to_string()).boxed(),
        SmallInt => any::<i16>().prop_map(|v| v.to_string()).boxed(),
        Integer => any::<i32>().prop_map(|v| v.to_string()).boxed(),
        BigInt => any::<i64>().prop_map(|v| v.to_string()).boxed(),
        Real => any::<f32>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:e}")).boxed(),
        Double => any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:e}")).boxed(),
        Numeric { .. } => "-?(0|[1-9][0-9]{0,15})\\.[0-9]{1,4}".boxed(),
        TimestampTz | Timestamp => (0_i64..253_402_300_799_999_999)
            .prop_map(|v| format!("\"{}\"", chrono::DateTime::from_timestamp_micros(v).unwrap().to_rfc3339()))
            .boxed(),
        Date => (1_i32..9999, 1_u32..13, 1_u32..29).prop_map(|(y, m, d)| format!("\"{y:04}-{m:02}-{d:02}\"")).boxed(),
        Time => (0_u32..24, 0_u32..60, 0_u32..60).prop_map(|(h, m, s)| format!("\"{h:02}:{m:02}:{s:02}\"")).boxed(),
        Uuid => any::<u128>().prop_map(|v| format!("\"{v:032x}\"")).boxed(),
        Varchar(_) => "[a-zé]{0,5}".prop_map(|v| format!("\"{v}\"")).boxed(),
        Bytea => "([a-f0-9]{2}){0,9}".prop_map(|v| format!("\"\\\\x{v}\"")).boxed(),
        Json | Jsonb => r#"\{"k": ?[0-9]{1,30}, "l":\[(true, ?)?"[a-z]*"\]\}"#.prop_map(|v| v.replace(":0", ":1").replace(": 0", ": 1")).boxed(),
        Text => "[^\\x00]{0,20}".prop_map(|v| serde_json::to_string(&v).unwrap()).boxed(),
    };
    let name = name.to_owned();
    prop_oneof![1 => Just("null".to_owned()), 9 => value].prop_map(move |v| format!("\"{name}\" : {v}")).boxed()
}

/// A valid record: some of the fields, in any order, with a field that nobody wants.
fn record(columns: Vec<(&'static str, ColumnType)>) -> impl Strategy<Value = String> {
    let count = columns.len();
    let mut fields: Vec<BoxedStrategy<String>> = columns.into_iter().map(|(name, ty)| field(name, ty)).collect();
    fields.push(Just("\"zz\":[{\"l\":1}]".to_owned()).boxed());
    fields
        .prop_flat_map(move |fields| proptest::sample::subsequence(fields, 0..=count + 1).prop_shuffle())
        .prop_map(|fields| format!("{{{}}}", fields.join(",")))
}

/// Flips, cuts or inserts.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Index, u8),
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), 1_u8..).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::Cut(a, b)),
        (any::<Index>(), proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'9'), Just(b'{')], 1..5))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ]
}

fn mutate(payload: &mut Vec<u8>, mutation: &Mutation) {
    let len = payload.len();
    match mutation {
        Mutation::Flip(at, bits) => payload[at.index(len)] ^= bits,
        Mutation::Cut(a, b) => {
            let (a, b) = (a.index(len), b.index(len));
            payload.drain(a.min(b)..a.max(b));
        }
        Mutation::Insert(at, bytes) => {
            let at = at.index(len);
            payload.splice(at..at, bytes.iter().copied());
        }
    }
}

/// Each payload decoded alone.
fn alone(payload: &[u8]) -> Option<RecordBatch> {
    let mut decoder = decoder(&all_columns());
    decoder.push(Some(payload)).ok()?;
    Some(decoder.finish().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_mutated_message_changes_no_other_row(
        records in proptest::collection::vec(record(all_columns()), 1..6),
        victim: Index,
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let mut payloads: Vec<Vec<u8>> = records.into_iter().map(String::into_bytes).collect();
        let victim = victim.index(payloads.len());
        for m in &mutations {
            if !payloads[victim].is_empty() {
                mutate(&mut payloads[victim], m);
            }
        }
        let mut together = decoder(&all_columns());
        let mut expected = Vec::new();
        for (i, payload) in payloads.iter().enumerate() {
            let taken = together.push(Some(payload));
            let single = alone(payload);
            prop_assert_eq!(taken.is_ok(), single.is_some());
            prop_assert!(taken.is_ok() || i == victim, "{:?} {}", taken, String::from_utf8_lossy(payload));
            expected.extend(single);
        }
        let got = together.finish().unwrap();
        prop_assert_eq!(&got, &concat_batches(&got.schema(), &expected).unwrap());
    }

    #[test]
    fn valid_records_read_as_arrow_json_reads_them(records in proptest::collection::vec(record(columns()), 1..8)) {
        let def = table(&columns());
        let mut ours = decoder_with(def.clone(), &[]);
        let mut oracle = arrow::json::ReaderBuilder::new(def.arrow_schema()).build_decoder().unwrap();
        for record in &records {
            ours.push(Some(record.as_bytes())).map_err(|e| TestCaseError::fail(format!("{e} {record}")))?;
            oracle.decode(record.as_bytes()).unwrap();
        }
        let want = oracle.flush().unwrap().unwrap();
        prop_assert_eq!(ours.finish().unwrap(), want, "{:?}", records);
    }

    #[test]
    fn anything_is_a_row_or_poison(payload in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut decoder = decoder(&all_columns());
        let taken = decoder.push(Some(&payload)).is_ok();
        prop_assert_eq!(decoder.finish().unwrap().num_rows(), usize::from(taken));
    }

    #[test]
    fn jsonb_means_what_its_json_means(text in r#"\{("[ab\\n"]?" ?: ?|[\[\]{},0-9.e-]|null|"x\\u0041"|, ?){0,20}\}"#) {
        let Ok(want) = serde_json::from_str::<serde_json::Value>(&text) else { return Ok(()) };
        let got = one(Jsonb, &text).map_err(|e| TestCaseError::fail(format!("{e} {text}")))?;
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&got).unwrap(), want, "{}", text);
    }
}
