//! The rules of "JSON in", one table for each.

mod properties;
mod speed;

use super::*;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use millrace_schema::{
    Column, ColumnId, ColumnType, DefaultValue, PartitionUnit, Partitioning, Scalar, TableDef, TableOptions, TimeUnit,
};
use std::sync::Arc;

use ColumnType::{
    BigInt, Boolean, Bytea, Date, Double, Integer, Json, Jsonb, Numeric, Real, SmallInt, Text, Time, Timestamp,
    TimestampTz, Uuid, Varchar,
};
use PoisonReason::{
    InvalidJson, InvalidTime, InvalidUtf8, MissingNotNull, NotAnObject, NullPayload, OutOfRange, TooDeep, TooLarge,
    WrongType,
};

/// A table of nullable columns, ids from 1.
fn table(columns: &[(&str, ColumnType)]) -> TableDef {
    let columns = (1..).zip(columns).map(|(id, (name, ty))| Column {
        id: ColumnId(id),
        name: (*name).to_owned(),
        ty: *ty,
        nullable: true,
        default: None,
    });
    TableDef {
        name: "t".to_owned(),
        schema_version: 1,
        columns: columns.collect(),
        time_column: None,
        partitioning: Partitioning { unit: PartitionUnit::None, bucket: None },
        sort_key: vec![],
        options: TableOptions::default(),
    }
}

fn decoder_with(table: TableDef, mapping: &[(i32, &str)]) -> JsonDecoder {
    JsonDecoder::new(DecoderConfig {
        table: Arc::new(table),
        mapping: mapping.iter().map(|(id, path)| (ColumnId(*id), (*path).to_owned())).collect(),
        time_unit: TimeUnit::Auto,
        record_bytes: 1 << 20,
    })
    .unwrap()
}

fn decoder(columns: &[(&str, ColumnType)]) -> JsonDecoder {
    decoder_with(table(columns), &[])
}

fn show(batch: &RecordBatch, column: usize, row: usize) -> String {
    let array = batch.column(column);
    if array.is_null(row) { "NULL".to_owned() } else { array_value_to_string(array, row).unwrap() }
}

/// What becomes of `value` in a column of type `ty`.
fn one(ty: ColumnType, value: &str) -> Result<String, PoisonReason> {
    let mut decoder = decoder(&[("v", ty)]);
    let payload = format!("{{\"v\": {value} }}");
    let got = decoder.push(Some(payload.as_bytes()));
    assert_eq!(decoder.rows(), usize::from(got.is_ok()), "{payload}");
    let batch = decoder.finish().unwrap();
    match got {
        Ok(_) => Ok(show(&batch, 0, 0)),
        Err(poison) => {
            assert!(poison.detail.len() > 5, "{poison}");
            Err(poison.reason)
        }
    }
}

fn check(cases: &[(ColumnType, &str, Result<&str, PoisonReason>)]) {
    for (ty, value, want) in cases {
        assert_eq!(one(*ty, value), want.map(str::to_owned), "{value} into {ty}");
    }
}

#[test]
fn integers() {
    check(&[
        (BigInt, "1", Ok("1")),
        (BigInt, "1.0", Ok("1")),
        (BigInt, "1e3", Ok("1000")),
        (BigInt, "-0", Ok("0")),
        (BigInt, "-0.0", Ok("0")),
        (BigInt, "12.5e1", Ok("125")),
        (BigInt, "9223372036854775807", Ok("9223372036854775807")),
        (BigInt, "-9223372036854775808", Ok("-9223372036854775808")),
        (BigInt, "9007199254740993.0", Ok("9007199254740993")),
        (BigInt, "9223372036854775808", Err(OutOfRange)),
        (BigInt, "-9223372036854775809", Err(OutOfRange)),
        (BigInt, "18446744073709551616", Err(OutOfRange)),
        (BigInt, "99999999999999999999", Err(OutOfRange)),
        (BigInt, "1e400", Err(OutOfRange)),
        (BigInt, "1.5", Err(WrongType)),
        (BigInt, "1e-1", Err(WrongType)),
        (BigInt, "\"1\"", Err(WrongType)),
        (BigInt, "true", Err(WrongType)),
        (BigInt, "{\"a\": 1}", Err(WrongType)),
        (BigInt, "[1]", Err(WrongType)),
        (BigInt, "null", Ok("NULL")),
        (Integer, "2147483647", Ok("2147483647")),
        (Integer, "2147483648", Err(OutOfRange)),
        (Integer, "-2147483649", Err(OutOfRange)),
        (SmallInt, "-32768", Ok("-32768")),
        (SmallInt, "32768", Err(OutOfRange)),
    ]);
}

#[test]
fn booleans_and_floats() {
    check(&[
        (Boolean, "true", Ok("true")),
        (Boolean, "false", Ok("false")),
        (Boolean, "1", Err(WrongType)),
        (Boolean, "\"true\"", Err(WrongType)),
        (Double, "1", Ok("1.0")),
        (Double, "0.1", Ok("0.1")),
        (Double, "18446744073709551616", Ok("1.8446744073709552e19")),
        (Double, "1e308", Ok("1e308")),
        (Double, "1e309", Err(OutOfRange)),
        (Double, "-1e309", Err(OutOfRange)),
        (Double, "\"NaN\"", Err(WrongType)),
        (Double, "false", Err(WrongType)),
        (Real, "0.1", Ok("0.1")),
        (Real, "16777217", Ok("16777216.0")),
        (Real, "1e39", Err(OutOfRange)),
        (Real, "1e400", Err(OutOfRange)),
        (Real, "\"1\"", Err(WrongType)),
    ]);
}

#[test]
fn numerics_from_their_text() {
    let n = |precision, scale| Numeric { precision, scale };
    check(&[
        (n(38, 10), "1234567890123456789012345678.0123456789", Ok("1234567890123456789012345678.0123456789")),
        (n(38, 0), "99999999999999999999999999999999999999", Ok("99999999999999999999999999999999999999")),
        (n(38, 0), "999999999999999999999999999999999999995e-1", Err(OutOfRange)),
        (n(38, 0), "100000000000000000000000000000000000000", Err(OutOfRange)),
        (n(10, 2), "1.005", Ok("1.01")),
        (n(10, 2), "-1.005", Ok("-1.01")),
        (n(10, 2), "7", Ok("7.00")),
        (n(10, 2), "-7", Ok("-7.00")),
        (n(10, 2), "1.5e3", Ok("1500.00")),
        (n(10, 2), "0.1", Ok("0.10")),
        (n(4, 2), "99.99", Ok("99.99")),
        (n(4, 2), "99.995", Err(OutOfRange)),
        (n(4, 2), "100", Err(OutOfRange)),
        (n(4, 2), "1e99999999999", Err(OutOfRange)),
        (n(4, 2), "1e-99999999999", Ok("0.00")),
        (n(4, 2), "\"1\"", Err(WrongType)),
        (n(20, 0), "18446744073709551615", Ok("18446744073709551615")),
    ]);
}

#[test]
fn texts_and_bytes() {
    check(&[
        (Text, r#""""#, Ok("")),
        (Text, r#""a\n\"\u00e9\ud83d\ude00""#, Ok("a\n\"é😀")),
        (
            Text,
            r#""a string longer than twelve bytes, with an \u00e9""#,
            Ok("a string longer than twelve bytes, with an é"),
        ),
        (Text, "1", Err(WrongType)),
        (Text, "{}", Err(WrongType)),
        (Text, r#""a\u0000b""#, Err(InvalidUtf8)),
        (Text, r#""\ud800""#, Err(InvalidUtf8)),
        (Text, r#""\udc00\ud800""#, Err(InvalidUtf8)),
        (Varchar(3), r#""ééé""#, Ok("ééé")),
        (Varchar(3), r#""éééé""#, Err(OutOfRange)),
        (Bytea, r#""\\x00ff""#, Ok("00ff")),
        (Bytea, r#""AP8=""#, Ok("00ff")),
        (Bytea, r#""\\x0""#, Err(WrongType)),
        (Bytea, r#""not base64!""#, Err(WrongType)),
        (Bytea, "1", Err(WrongType)),
        (Uuid, r#""550e8400-e29b-41d4-a716-446655440000""#, Ok("550e8400e29b41d4a716446655440000")),
        (Uuid, r#""550E8400E29B41D4A716446655440000""#, Ok("550e8400e29b41d4a716446655440000")),
        (Uuid, r#""550e8400-e29b-41d4-a716-44665544000g""#, Err(WrongType)),
        (Uuid, r#""""#, Err(WrongType)),
        (Uuid, "5", Err(WrongType)),
    ]);
}

#[test]
fn json_documents() {
    check(&[
        (Json, r#"{"b" : 1.50,  "a":[1 , "x"]}"#, Ok(r#"{"b" : 1.50,  "a":[1 , "x"]}"#)),
        (Json, r#""x\u0000\n""#, Ok(r#""x\u0000\n""#)),
        (Json, "99999999999999999999999", Ok("99999999999999999999999")),
        (Json, "null", Ok("NULL")),
        (Json, " true ", Ok("true")),
        (Jsonb, r#"{"b" : 1.50,  "a":[1 , "x", [], {} , [ ] ]}"#, Ok(r#"{"b":1.50,"a":[1,"x",[],{},[]]}"#)),
        (Jsonb, r#"{"a":1,"b":2,"a":{"c":[3]},"d":null}"#, Ok(r#"{"b":2,"a":{"c":[3]},"d":null}"#)),
        (Jsonb, r#"{"a":{"x":1,"x":2},"\u0061":{"y":1 , "y" : 3}}"#, Ok(r#"{"a":{"y":3}}"#)),
        (Jsonb, r#"{"a\"\\":"\"\\\/\n\r\t\b\f\u0001\u00e9"}"#, Ok(r#"{"a\"\\":"\"\\/\n\r\t\b\f\u0001é"}"#)),
        (Jsonb, "[1e400, 99999999999999999999999 , -0.10]", Ok("[1e400,99999999999999999999999,-0.10]")),
        (Jsonb, r#""x\u0000""#, Err(InvalidUtf8)),
        (Jsonb, "false", Ok("false")),
        (Jsonb, "null", Ok("NULL")),
    ]);
    let many: Vec<String> = (0..40).map(|i| format!("\"k{}\":{i}", i % 30)).collect();
    let last: Vec<String> = (10..40).map(|i| format!("\"k{}\":{i}", i % 30)).collect();
    assert_eq!(one(Jsonb, &format!("{{{}}}", many.join(" , "))), Ok(format!("{{{}}}", last.join(","))));
}

#[test]
fn times() {
    check(&[
        (TimestampTz, r#""2026-01-01T00:00:00Z""#, Ok("2026-01-01T00:00:00Z")),
        (TimestampTz, r#""2026-01-01 02:00:00.5+02:00""#, Ok("2026-01-01T00:00:00.500Z")),
        (TimestampTz, "1767225600", Ok("2026-01-01T00:00:00Z")),
        (TimestampTz, "1767225600123", Ok("2026-01-01T00:00:00.123Z")),
        (TimestampTz, "1767225600.25", Ok("2026-01-01T00:00:00.250Z")),
        (TimestampTz, r#""not a time""#, Err(InvalidTime)),
        (TimestampTz, r#""10000-01-01T00:00:00Z""#, Err(InvalidTime)),
        (TimestampTz, "99999999999999999999", Ok("5138-11-16T09:46:40Z")),
        (TimestampTz, "999999999999999999999", Err(InvalidTime)),
        (TimestampTz, "true", Err(WrongType)),
        (TimestampTz, "[]", Err(WrongType)),
        (Timestamp, r#""2026-01-01T00:00:00+01:00""#, Ok("2025-12-31T23:00:00")),
        (Timestamp, r#""2026-01-01""#, Ok("2026-01-01T00:00:00")),
        (Date, r#""2026-01-01""#, Ok("2026-01-01")),
        (Date, r#""2026-01-01T23:00:00-02:00""#, Ok("2026-01-02")),
        (Date, "1767225600", Ok("2026-01-01")),
        (Date, r#""2026-02-30""#, Err(InvalidTime)),
        (Time, r#""12:34:56.789""#, Ok("12:34:56.789")),
        (Time, r#""25:00:00""#, Err(InvalidTime)),
        (Time, "5", Err(WrongType)),
    ]);
}

#[test]
fn records_that_are_no_rows() {
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(128), "]".repeat(128));
    let just = format!("{{\"x\":{}1{}}}", "[".repeat(127), "]".repeat(127));
    let objects = "{\"a\":".repeat(5000);
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    let cases: Vec<(Option<&[u8]>, PoisonReason)> = vec![
        (None, NullPayload),
        (Some(b""), InvalidJson),
        (Some(b" "), InvalidJson),
        (Some(b"{"), InvalidJson),
        (Some(b"{}{}"), InvalidJson),
        (Some(b"{} x"), InvalidJson),
        (Some(b"{\"v\":1,}"), InvalidJson),
        (Some(b"{\"v\":01}"), InvalidJson),
        (Some(b"{\"v\":1e}"), InvalidJson),
        (Some(b"{\"v\":NaN}"), InvalidJson),
        (Some(b"{\"v\":99999999999999999999,}"), InvalidJson),
        (Some(b"\xef\xbb\xbf{}"), InvalidJson),
        (Some(b"{}\0"), InvalidJson),
        (Some(b"null"), NotAnObject),
        (Some(b"[1,2]"), NotAnObject),
        (Some(b"17"), NotAnObject),
        (Some(b"99999999999999999999"), NotAnObject),
        (Some(b"\"x\""), NotAnObject),
        (Some(b"\xff\xfe\x00"), InvalidUtf8),
        (Some(b"{\"x\":\"\xc3\"}"), InvalidUtf8),
        (Some(b"{\"x\":\"\\udfff\"}"), InvalidUtf8),
        (Some(b"{\"\\ud800\":1}"), InvalidUtf8),
        (Some(deep.as_bytes()), TooDeep),
        (Some(objects.as_bytes()), TooDeep),
        (Some(long.as_bytes()), TooLarge),
    ];
    let mut decoder = decoder(&[("v", BigInt)]);
    for (payload, reason) in cases {
        let shown = excerpt(payload.unwrap_or_default());
        let poison = decoder.push(payload).expect_err(&shown);
        assert_eq!(poison.reason, reason, "{shown}: {poison}");
    }
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    decoder.push(Some(just.as_bytes())).unwrap();
    decoder.push(Some(b" {} \r\n")).unwrap();
    assert_eq!(decoder.rows(), 2);
}

#[test]
fn missing_null_and_defaults() {
    let mut def = table(&[("a", BigInt), ("b", Text), ("c", BigInt), ("d", Bytea)]);
    let value = |scalar| Some(DefaultValue { sql: "e".to_owned(), value: Some(scalar) });
    def.columns[0].nullable = false;
    def.columns[1].default = value(Scalar::Text("a default of more than twelve bytes".to_owned()));
    def.columns[2].default = value(Scalar::Int(7));
    def.columns[2].nullable = false;
    def.columns[3].default = value(Scalar::Bytes(vec![1]));
    let mut decoder = decoder_with(def.clone(), &[]);
    decoder.push(Some(br#"{"a":1}"#)).unwrap();
    decoder.push(Some(br#"{"a":2,"b":null,"c":3,"d":null}"#)).unwrap();
    for payload in [&b"{}"[..], br#"{"a":null}"#, br#"{"a":1,"c":null}"#] {
        assert_eq!(decoder.push(Some(payload)).unwrap_err().reason, MissingNotNull);
    }
    let batch = decoder.finish().unwrap();
    let rows: Vec<Vec<String>> = (0..2).map(|r| (0..4).map(|c| show(&batch, c, r)).collect()).collect();
    assert_eq!(rows[0], ["1", "a default of more than twelve bytes", "7", "01"]);
    assert_eq!(rows[1], ["2", "NULL", "3", "NULL"]);
    assert_eq!(batch.schema(), def.arrow_schema());
    def.columns[0].default = value(Scalar::Text("x".to_owned()));
    let config = DecoderConfig { table: Arc::new(def), mapping: [].into(), time_unit: TimeUnit::Auto, record_bytes: 1 };
    assert_eq!(JsonDecoder::new(config).unwrap_err().kind(), millrace_error::ErrorKind::InvalidValue);
}

#[test]
fn paths_duplicates_and_unknown_fields() {
    let def =
        table(&[("a", BigInt), ("b", Numeric { precision: 9, scale: 2 }), ("c", Text), ("d", Jsonb), ("x.y", BigInt)]);
    let mut decoder = decoder_with(def, &[(2, "$.o.list[1].n"), (3, "$['p.q']"), (4, "$.o")]);
    let rows = [
        // a path, its parent and a field with a dot; c by its own name is unknown
        (
            r#"{"o":{"list":[0, {"n": 1.255}]},"p.q":"v","c":"no","x.y":5}"#,
            ["NULL", "1.26", "v", r#"{"list":[0,{"n":1.255}]}"#, "5"],
            1,
        ),
        // the last one counts, even if the first is of a wrong type
        (r#"{"a":"x","a":2,"p.q":1,"p.q":"w"}"#, ["2", "NULL", "w", "NULL", "NULL"], 0),
        // the last parent counts with all below
        (r#"{"o":{"list":[1,{"n":5}]},"o":{"z":1}}"#, ["NULL", "NULL", "NULL", r#"{"z":1}"#, "NULL"], 0),
        (r#"{"o":{"list":[1,{"n":5}]},"o":7,"u":1,"u":2,"v":3}"#, ["NULL", "NULL", "NULL", "7", "NULL"], 3),
        (r#"{"o":{"list":{"1":{"n":5}}}}"#, ["NULL", "NULL", "NULL", r#"{"list":{"1":{"n":5}}}"#, "NULL"], 0),
        (
            r#"{"o":{"list":[ [1,[2,"]"]] , { "m":[{}], "n" : 99999999999999999999e-15 } ,3]}}"#,
            [
                "NULL",
                "100000.00",
                "NULL",
                r#"{"list":[[1,[2,"]"]],{"m":[{}],"n":99999999999999999999e-15},3]}"#,
                "NULL",
            ],
            0,
        ),
        (r#"{"\u0061":9,"x\u002ey":8,"":1}"#, ["9", "NULL", "NULL", "NULL", "8"], 1),
    ];
    let mut unknown = 0;
    for (payload, _, more) in &rows {
        decoder.push(Some(payload.as_bytes())).unwrap();
        unknown += more;
        assert_eq!(decoder.unknown_fields(), unknown, "{payload}");
    }
    let batch = decoder.finish().unwrap();
    for (row, (payload, want, _)) in rows.iter().enumerate() {
        let got: Vec<String> = (0..5).map(|c| show(&batch, c, row)).collect();
        assert_eq!(got, want, "{payload}");
    }
}

#[test]
fn bad_mappings_are_refused() {
    for (id, path) in [(9, "$.a"), (1, "a"), (1, "$.")] {
        let config = DecoderConfig {
            table: Arc::new(table(&[("a", BigInt)])),
            mapping: [(ColumnId(id), path.to_owned())].into(),
            time_unit: TimeUnit::Auto,
            record_bytes: 10,
        };
        assert_eq!(JsonDecoder::new(config).unwrap_err().kind(), millrace_error::ErrorKind::InvalidValue);
    }
}

#[test]
fn the_detail_says_where_and_what() {
    let mut decoder = decoder_with(table(&[("id", BigInt)]), &[(1, "$.x.id")]);
    let long = format!("{{\"x\":{{\"id\":\"{}\\n\"}}}}", "z".repeat(300));
    let detail = decoder.push(Some(long.as_bytes())).unwrap_err().detail;
    for part in ["\"id\"", "$.x.id", "bigint", "zzzz", "…"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert!(detail.len() < 200, "{detail}");
    let hidden = decoder.push(Some(br#"{"x":{"id":99999999999999999999}}"#)).unwrap_err();
    assert!(hidden.detail.contains("99999999999999999999"), "{hidden}");
}

#[test]
fn event_times() {
    for (ty, value, want) in [
        (TimestampTz, "1767225600", Some(1_767_225_600_000_000)),
        (Timestamp, "\"2026-01-01\"", Some(1_767_225_600_000_000)),
        (Date, "\"2026-01-01T13:00:00Z\"", Some(1_767_225_600_000_000)),
        (TimestampTz, "null", None),
    ] {
        let mut def = table(&[("a", BigInt), ("t", ty)]);
        def.time_column = Some(ColumnId(2));
        let got = decoder_with(def, &[]).push(Some(format!("{{\"t\":{value}}}").as_bytes())).unwrap();
        assert_eq!(got.event_time, want, "{ty}");
    }
}

#[test]
fn every_poison_of_the_acceptance_leaves_its_neighbours() {
    let good = |i: usize| format!(r#"{{"id": {i}, "ts": "2026-01-01T00:00:00Z", "v": {i}}}"#).into_bytes();
    let deep = vec![b'['; 5000];
    let poison: [(&[u8], PoisonReason); 15] = [
        (b"", InvalidJson),
        (b"{", InvalidJson),
        (b"null", NotAnObject),
        (b"[1,2]", NotAnObject),
        (br#"{"id": 1.5, "ts": "2026-01-01T00:00:00Z"}"#, WrongType),
        (br#"{"id": "x", "ts": "2026-01-01T00:00:00Z"}"#, WrongType),
        (br#"{"ts": "2026-01-01T00:00:00Z"}"#, MissingNotNull),
        (br#"{"id": 99999999999999999999, "ts": "2026-01-01T00:00:00Z"}"#, OutOfRange),
        (br#"{"id": 1, "ts": "not a time"}"#, InvalidTime),
        (br#"{"id": 1, "ts": "2026-01-01T00:00:00Z", "v": {"a": 1}}"#, WrongType),
        (b"\xff\xfe\x00", InvalidUtf8),
        (br#"{"id": 1, "ts": "2026-01-01T00:00:00Z"}{"id": 2, "ts": "2026-01-01T00:00:00Z"}"#, InvalidJson),
        (&deep, TooDeep),
        (br#"{"id": null, "ts": "2026-01-01T00:00:00Z"}"#, MissingNotNull),
        (br#"{"id": 1, "ts": "2026-01-01T00:00:00Z", "v": "\ud800"}"#, InvalidUtf8),
    ];
    let mut def = table(&[("id", BigInt), ("ts", TimestampTz), ("v", BigInt)]);
    def.columns[0].nullable = false;
    def.columns[1].nullable = false;
    let mut decoder = decoder_with(def, &[]);
    for (i, (payload, reason)) in poison.into_iter().enumerate() {
        decoder.push(Some(&good(i))).unwrap();
        assert_eq!(decoder.push(Some(payload)).unwrap_err().reason, reason, "{}", excerpt(payload));
    }
    let batch = decoder.finish().unwrap();
    let ids: Vec<i64> = batch.column(2).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
    assert_eq!(ids, (0..15).collect::<Vec<_>>());
}

#[test]
fn a_batch_wastes_no_memory() {
    let mut decoder = decoder(&[("a", BigInt), ("s", Text), ("t", TimestampTz)]);
    for rows in [1, 100, 5_000] {
        for i in 0..rows {
            let payload =
                format!(r#"{{"a":{i},"s":"a text of more than twelve bytes {i}","t":"2026-01-01T00:00:00Z"}}"#);
            decoder.push(Some(payload.as_bytes())).unwrap();
        }
        let about = decoder.bytes();
        let batch = decoder.finish().unwrap();
        let really = batch.get_array_memory_size();
        assert!(really <= about * 5 / 4 + 2_000, "{rows} rows: {really} bytes, {about} needed");
        assert!(about <= really, "{rows} rows: {really} bytes, {about} said");
    }
}
