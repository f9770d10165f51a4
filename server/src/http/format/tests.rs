//! Formats: the surface's rules for values, and errors on the way.

use super::*;
use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int64Array, ListArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Int32Type};
use futures::StreamExt;
use millrace_schema::TYPE_KEY;
use millrace_sql::{Notice, SnapshotName};
use std::collections::{BTreeMap, HashMap};

fn answer(schema: &SchemaRef) -> Answer {
    let offsets = BTreeMap::from([("wiki".to_owned(), BTreeMap::from([("t".to_owned(), BTreeMap::from([(0, 7)]))]))]);
    let snapshot = BTreeMap::from([("t".to_owned(), SnapshotName { version: 3, offsets })]);
    let rows = futures::stream::empty().boxed();
    Answer { notices: Vec::new(), snapshot, body: Body::Rows { schema: Arc::clone(schema), rows, tag: "SELECT" } }
}

fn batch(columns: Vec<(&str, Option<&str>, ArrayRef)>) -> RecordBatch {
    let fields = columns.iter().map(|(name, ty, array)| {
        let metadata = ty.map(|ty| (TYPE_KEY.to_owned(), ty.to_owned())).into_iter().collect::<HashMap<_, _>>();
        Field::new(*name, array.data_type().clone(), true).with_metadata(metadata)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, columns.into_iter().map(|(_, _, array)| array).collect()).unwrap()
}

fn encode(format: Format, batches: &[RecordBatch]) -> String {
    let mut encoder = Encoder::new(format, &answer(&batches[0].schema())).unwrap();
    let mut out = Vec::new();
    encoder.head(&mut out);
    for batch in batches {
        encoder.batch(batch, &mut out).unwrap();
    }
    encoder.tail(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The one value of a column, as JSON, and its type.
fn cell(ty: Option<&str>, array: ArrayRef) -> (String, String) {
    let text = encode(Format::Json, &[batch(vec![("c", ty, array)])]);
    let value = text.split_once("\"rows\":[[").unwrap().1.split_once("]],\"snapshot\"").unwrap().0;
    let parsed: Value = serde_json::from_str(&text).unwrap();
    (value.to_owned(), parsed["columns"][0]["type"].as_str().unwrap().to_owned())
}

fn check(ty: Option<&str>, array: impl arrow::array::Array + 'static, value: &str, name: &str) {
    assert_eq!(cell(ty, Arc::new(array)), (value.to_owned(), name.to_owned()));
}

#[test]
fn numbers_and_texts() {
    check(None, Int64Array::from(vec![i64::MAX]), "9223372036854775807", "bigint");
    check(None, BooleanArray::from(vec![true]), "true", "boolean");
    check(None, Float64Array::from(vec![1e300]), "1e300", "double precision");
    check(None, Float64Array::from(vec![f64::NAN]), "\"NaN\"", "double precision");
    check(None, Float64Array::from(vec![f64::NEG_INFINITY]), "\"-Infinity\"", "double precision");
    let numeric = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(10, 2).unwrap();
    check(Some("numeric(10,2)"), numeric.clone(), "\"-123.45\"", "numeric(10,2)");
    check(None, numeric, "\"-123.45\"", "numeric");
    check(None, StringViewArray::from(vec!["a\"\n\u{1}ü"]), "\"a\\\"\\n\\u0001ü\"", "text");
    check(None, BinaryViewArray::from(vec![&b"\x00\xff"[..]]), "\"AP8=\"", "bytea");
    check(None, Int64Array::from(vec![None::<i64>]), "null", "bigint");
    let uuid = FixedSizeBinaryArray::try_from_iter([[0x11u8; 16]].into_iter()).unwrap();
    check(None, uuid, "\"11111111-1111-1111-1111-111111111111\"", "uuid");
    let dictionary: DictionaryArray<Int32Type> = vec!["x"].into_iter().collect();
    check(None, dictionary, "\"x\"", "text");
}

#[test]
fn times() {
    let at = 1_442_018_818_771_000;
    let utc = TimestampMicrosecondArray::from(vec![at]).with_timezone("UTC");
    check(None, utc, "\"2015-09-12T00:46:58.771000Z\"", "timestamp with time zone");
    let bare = TimestampNanosecondArray::from(vec![at * 1_000]);
    check(None, bare, "\"2015-09-12T00:46:58.771000\"", "timestamp without time zone");
    check(None, Date32Array::from(vec![-1]), "\"1969-12-31\"", "date");
    check(None, Time64MicrosecondArray::from(vec![61_000_001]), "\"00:01:01.000001\"", "time without time zone");
}

#[test]
fn arrays_and_json_are_json() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    check(None, list, "[1,null]", "integer[]");
    check(Some("json"), StringViewArray::from(vec!["{\"a\":\n1.50}"]), "{\"a\": 1.50}", "json");
    check(Some("json"), StringViewArray::from(vec!["{oops"]), "\"{oops\"", "json");
}

#[test]
fn json_spans_batches() {
    let one = |n: i64| batch(vec![("a", None, Arc::new(Int64Array::from(vec![n, n + 1])))]);
    assert_eq!(
        encode(Format::Json, &[one(1), one(3)]),
        "{\"columns\":[{\"name\":\"a\",\"type\":\"bigint\"}],\"rows\":[[1],[2],[3],[4]],\
         \"snapshot\":{\"t\":{\"version\":3,\"offsets\":{\"wiki\":{\"t\":{\"0\":7}}}}}}\n"
    );
}

#[test]
fn lines_and_csv() {
    let text: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a,\"b\""), Some(""), None]));
    let rows = batch(vec![("n", None, Arc::new(Int64Array::from(vec![1, 2, 3]))), ("t\"x", None, text)]);
    assert_eq!(
        encode(Format::Csv, std::slice::from_ref(&rows)),
        "n,\"t\"\"x\"\r\n1,\"a,\"\"b\"\"\"\r\n2,\"\"\r\n3,\r\n"
    );
    assert_eq!(
        encode(Format::NdJson, &[rows]),
        "{\"n\":1,\"t\\\"x\":\"a,\\\"b\\\"\"}\n{\"n\":2,\"t\\\"x\":\"\"}\n{\"n\":3,\"t\\\"x\":null}\n"
    );
}

#[test]
fn arrow_reads_back() {
    let rows = batch(vec![("n", None, Arc::new(Int64Array::from(vec![1, 2])))]);
    let mut encoder = Encoder::new(Format::Arrow, &answer(&rows.schema())).unwrap();
    let mut out = Vec::new();
    encoder.head(&mut out);
    encoder.batch(&rows, &mut out).unwrap();
    encoder.tail(&mut out).unwrap();
    let mut reader = arrow::ipc::reader::StreamReader::try_new(&out[..], None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), rows);
    assert!(reader.next().is_none());
}

#[test]
fn a_late_failure_is_still_a_document() {
    let rows = batch(vec![("n", None, Arc::new(Int64Array::from(vec![1])))]);
    let mut encoder = Encoder::new(Format::Json, &answer(&rows.schema())).unwrap();
    let mut out = Vec::new();
    encoder.head(&mut out);
    encoder.batch(&rows, &mut out).unwrap();
    assert!(encoder.failure(r#"{"code":"53200"}"#, &mut out));
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["error"]["code"], "53200");
    assert_eq!(document["rows"][0][0], 1);
    let encoder = Encoder::new(Format::Csv, &answer(&rows.schema())).unwrap();
    assert!(!encoder.failure("{}", &mut out));
}

#[test]
fn commands_say_their_tag() {
    let notices = vec![Notice { severity: "WARNING", code: "01000", message: "broker away".to_owned() }];
    let answer = Answer { notices, snapshot: BTreeMap::new(), body: Body::Command("CREATE SOURCE".to_owned()) };
    let mut encoder = Encoder::new(Format::Json, &answer).unwrap();
    let mut out = Vec::new();
    encoder.head(&mut out);
    encoder.tail(&mut out).unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["command"], "CREATE SOURCE");
    assert_eq!(document["notices"][0]["severity"], "WARNING");
    assert_eq!(document["rows"], json!([]));
}
