//! Known texts and bytes of PostgreSQL 15, and properties of the encoders.

use super::*;
use crate::pg::pg_type::PgType;
use arrow::array::*;
use arrow::datatypes::*;
use proptest::prelude::*;
use std::sync::Arc;

fn value(array: &ArrayRef, ty: PgType, format: Format) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    (scalar::encoder(array, ty, Style { format, zone: Zone::default() })?)(0, &mut out)?;
    Ok(out.to_vec())
}

fn text(array: impl Array + 'static) -> String {
    let array: ArrayRef = Arc::new(array);
    let ty = PgType::from_arrow(array.data_type());
    String::from_utf8(value(&array, ty, Format::Text).unwrap()).unwrap()
}

fn binary(array: impl Array + 'static) -> String {
    let array: ArrayRef = Arc::new(array);
    let ty = PgType::from_arrow(array.data_type());
    hex::encode(value(&array, ty, Format::Binary).unwrap())
}

fn decimal(unscaled: i128, precision: u8, scale: i8) -> Decimal128Array {
    Decimal128Array::from(vec![unscaled]).with_precision_and_scale(precision, scale).unwrap()
}

/// `select x::float8, x::float4` of PostgreSQL 15.
#[test]
fn floats() {
    for (x, expected) in [
        (1.0, "1"),
        (100.0, "100"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e14, "100000000000000"),
        (123_456_789_012_345.0, "123456789012345"),
        (1e15, "1e+15"),
        (1e20, "1e+20"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00012, "0.00012"),
        (0.00001, "1e-05"),
        (-2.5e-7, "-2.5e-07"),
        (-0.0, "-0"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (f64::NAN, "NaN"),
    ] {
        assert_eq!(text(Float64Array::from(vec![x])), expected);
    }
    for (x, expected) in
        [(1.1f32, "1.1"), (100_000.0, "100000"), (1e6, "1e+06"), (1_234_567.0, "1.234567e+06"), (0.25, "0.25")]
    {
        assert_eq!(text(Float32Array::from(vec![x])), expected);
    }
    assert_eq!(binary(Float64Array::from(vec![1.0])), "3ff0000000000000");
}

#[test]
fn integers_and_booleans() {
    assert_eq!(text(Int64Array::from(vec![i64::MIN])), "-9223372036854775808");
    assert_eq!(binary(Int32Array::from(vec![-2])), "fffffffe");
    assert_eq!(binary(UInt32Array::from(vec![u32::MAX])), "00000000ffffffff");
    assert_eq!(binary(Int8Array::from(vec![-1])), "ffff");
    assert_eq!(text(BooleanArray::from(vec![true])), "t");
    let big: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    assert_eq!(value(&big, PgType::Int8, Format::Text).unwrap_err().kind(), ErrorKind::OutOfRange);
    let oid: ArrayRef = Arc::new(Int64Array::from(vec![16_384]));
    assert_eq!(hex::encode(value(&oid, PgType::Oid, Format::Binary).unwrap()), "00004000");
}

/// `numeric_send` of PostgreSQL 15: `select encode(numeric_send(x), 'hex')`.
#[test]
fn numerics() {
    for (unscaled, scale, shown, sent) in [
        (0, 2, "0.00", "0000000000000002"),
        (1, 0, "1", "00010000000000000001"),
        (-1_250, 2, "-12.50", "000200004000000200 0c1388"),
        (12_345_678, 2, "123456.78", "000300010000000 2000c0d801e78"),
        (1, 5, "0.00001", "0001fffe000000 0503e8"),
        (10_000, 0, "10000", "000100010000 00000001"),
        (123, -2, "12300", "00020001000000 0000010 8fc"),
    ] {
        let precision = 30;
        assert_eq!(text(decimal(unscaled, precision, scale)), shown);
        assert_eq!(binary(decimal(unscaled, precision, scale)), sent.replace(' ', ""), "{shown}");
        let wide = Decimal256Array::from(vec![i256::from_i128(unscaled)]).with_precision_and_scale(50, scale).unwrap();
        assert_eq!(text(wide), shown);
    }
    assert_eq!(text(decimal(-(10i128.pow(38) - 1), 38, 38)), format!("-0.{}", "9".repeat(38)));
}

#[test]
fn texts_and_bytes() {
    assert_eq!(text(StringViewArray::from(vec!["déjà"])), "déjà");
    assert_eq!(text(LargeStringArray::from(vec!["x"])), "x");
    assert_eq!(text(BinaryArray::from(vec![&b"\x00\xffa"[..]])), "\\x00ff61");
    assert_eq!(text(BinaryViewArray::from(vec![&b""[..]])), "\\x");
    let id = FixedSizeBinaryArray::try_from_iter([[0x12u8; 16]].into_iter()).unwrap();
    assert_eq!(text(id), "12121212-1212-1212-1212-121212121212");
    let json: ArrayRef = Arc::new(StringArray::from(vec!["{}"]));
    assert_eq!(value(&json, PgType::Jsonb, Format::Binary).unwrap(), b"\x01{}");
    assert_eq!(value(&json, PgType::Json, Format::Binary).unwrap(), b"{}");
    let mut keys = StringDictionaryBuilder::<Int32Type>::new();
    keys.append_value("packed");
    assert_eq!(text(keys.finish()), "packed");
}

#[test]
fn dates_and_times() {
    let date = |days| text(Date32Array::from(vec![days]));
    assert_eq!(date(0), "1970-01-01");
    assert_eq!(date(19_782), "2024-02-29");
    assert_eq!(date(-735_160), "0044-03-15 BC");
    assert_eq!(date(-719_162), "0001-01-01");
    assert_eq!(date(-719_163), "0001-12-31 BC");
    assert_eq!(date(2_932_897), "10000-01-01");
    assert_eq!(binary(Date32Array::from(vec![10_957])), "00000000");
    let stamp = |micros| text(TimestampMicrosecondArray::from(vec![micros]));
    assert_eq!(stamp(1_709_211_906_789_000), "2024-02-29 13:05:06.789");
    assert_eq!(stamp(-1), "1969-12-31 23:59:59.999999");
    assert_eq!(stamp(0), "1970-01-01 00:00:00");
    let instant = |array: TimestampMicrosecondArray| array.with_timezone("UTC");
    assert_eq!(text(instant(TimestampMicrosecondArray::from(vec![10]))), "1970-01-01 00:00:00.00001+00");
    assert_eq!(
        text(instant(TimestampMicrosecondArray::from(vec![-62_135_596_800_000_001]))),
        "0001-12-31 23:59:59.999999+00 BC"
    );
    assert_eq!(text(TimestampNanosecondArray::from(vec![-1])), "1969-12-31 23:59:59.999999");
    assert_eq!(text(TimestampSecondArray::from(vec![1])), "1970-01-01 00:00:01");
    assert_eq!(binary(TimestampMicrosecondArray::from(vec![946_684_800_000_001])), "0000000000000001");
    assert_eq!(text(Time64MicrosecondArray::from(vec![14_706_789_000])), "04:05:06.789");
    assert_eq!(text(Time32SecondArray::from(vec![86_399])), "23:59:59");
    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    assert_eq!(value(&far, PgType::Timestamp, Format::Text).unwrap_err().kind(), ErrorKind::OutOfRange);
}

/// `select interval '…'` of PostgreSQL 15.
#[test]
fn intervals() {
    let shown = |months, days, micros: i64| {
        text(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, days, micros * 1_000)]))
    };
    assert_eq!(shown(0, 0, 0), "00:00:00");
    assert_eq!(shown(14, 3, 14_706_789_000), "1 year 2 mons 3 days 04:05:06.789");
    assert_eq!(shown(-14, 3, 1_000_000), "-1 years -2 mons +3 days 00:00:01");
    assert_eq!(shown(0, -1, 3_600_000_000), "-1 days +01:00:00");
    assert_eq!(shown(0, 1, -3_600_000_000), "1 day -01:00:00");
    assert_eq!(shown(1, 0, 0), "1 mon");
    assert_eq!(shown(0, 0, 360_000_000_000), "100:00:00");
    assert_eq!(text(DurationMicrosecondArray::from(vec![90_000_000_000])), "1 day 01:00:00");
    let days = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000)]);
    assert_eq!(binary(days), "00000000000000030000000200000001");
}

#[test]
fn instants_are_shown_in_the_sessions_zone() {
    let shown = |micros, zone| {
        let mut out = BytesMut::new();
        calendar::put_timestamp(micros, Some(Zone::named(zone)), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(shown(1_719_792_000_000_000, "Europe/Berlin"), "2024-07-01 02:00:00+02");
    assert_eq!(shown(1_719_792_000_500_000, "Asia/Kolkata"), "2024-07-01 05:30:00.5+05:30");
    assert_eq!(shown(-5_364_662_400_000_000, "Europe/Berlin"), "1800-01-01 00:53:28+00:53:28");
    assert_eq!(shown(0, "America/New_York"), "1969-12-31 19:00:00-05");
}

fn strings(items: Vec<Option<&str>>) -> ListArray {
    let mut list = ListBuilder::new(StringBuilder::new());
    items.into_iter().for_each(|item| list.values().append_option(item));
    list.append(true);
    list.finish()
}

#[test]
fn lists() {
    let items = || vec![Some("a"), None, Some("b c"), Some("null"), Some("x\"y\\z"), Some("")];
    assert_eq!(text(strings(items())), r#"{a,NULL,"b c","null","x\"y\\z",""}"#);
    assert_eq!(text(strings(vec![])), "{}");
    assert_eq!(binary(strings(vec![])), "000000000000000000000019");
    let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(7), None])]);
    assert_eq!(text(numbers.clone()), "{7,NULL}");
    let sent = "00000001 00000001 00000017 00000002 00000001 00000004 00000007 ffffffff".replace(' ', "");
    assert_eq!(binary(numbers), sent);
    let mut nested = ListBuilder::new(ListBuilder::new(Int64Builder::new()));
    nested.values().append_value([Some(1), Some(2)]);
    nested.values().append_value([Some(3)]);
    nested.append(true);
    let nested: ArrayRef = Arc::new(nested.finish());
    let ty = PgType::from_arrow(nested.data_type());
    assert_eq!(value(&nested, ty, Format::Text).unwrap(), b"{{1,2},{3}}");
    assert_eq!(value(&nested, ty, Format::Binary).unwrap_err().kind(), ErrorKind::NotSupported);
}

#[test]
fn structs_are_shown() {
    let field = Arc::new(Field::new("a", DataType::Int32, true));
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    assert_eq!(text(StructArray::from(vec![(field, column)])), "{a: 1}");
}

#[test]
fn a_row_has_lengths_and_nulls() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("n", DataType::Null, true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![None, Some(5)])),
        Arc::new(StringArray::from(vec!["x", "yz"])),
        new_null_array(&DataType::Null, 2),
    ];
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let types = [PgType::Int4, PgType::Text, PgType::Text];
    let encoder =
        BatchEncoder::new(&batch, &types, &[Format::Binary, Format::Text, Format::Binary], Zone::default()).unwrap();
    let mut out = BytesMut::new();
    encoder.put_row(0, &mut out).unwrap();
    assert_eq!(hex::encode(&out), "44 00000013 0003 ffffffff 00000001 78 ffffffff".replace(' ', ""));
    out.clear();
    encoder.put_row(1, &mut out).unwrap();
    assert_eq!(hex::encode(&out), "44 00000018 0003 00000004 00000005 00000002 797a ffffffff".replace(' ', ""));
}

proptest! {
    #[test]
    fn float_text_reads_back(x in any::<f64>(), y in any::<f32>()) {
        let back: f64 = text(Float64Array::from(vec![x])).parse().unwrap();
        prop_assert!(back == x || (back.is_nan() && x.is_nan()));
        let back: f32 = text(Float32Array::from(vec![y])).parse().unwrap();
        prop_assert!(back == y || (back.is_nan() && y.is_nan()));
    }

    #[test]
    fn decimal_text_is_arrows(x in any::<i64>(), scale in 0i8..=20) {
        let array = decimal(i128::from(x), 38, scale);
        let expected = array.value_as_string(0);
        prop_assert_eq!(text(array), expected);
    }

    #[test]
    fn calendars_agree(days in -800_000i64..3_000_000) {
        let (y, m, d) = calendar::civil_from_days(days);
        prop_assert_eq!(days_from_civil(y, m, d), days);
        let chrono = chrono::DateTime::from_timestamp(days * 86_400, 0).unwrap().date_naive();
        if (1..=9_999).contains(&y) {
            prop_assert_eq!(text(Date32Array::from(vec![i32::try_from(days).unwrap()])), chrono.to_string());
        }
    }
}
