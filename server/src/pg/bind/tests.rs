//! Input functions against what PostgreSQL takes and refuses, and round trips with the encoders.

use super::*;
use crate::pg::encode::BatchEncoder;
use arrow::array::RecordBatch;
use arrow::array::cast::AsArray;
use arrow::datatypes::{Decimal128Type, Field, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use bytes::BytesMut;
use proptest::prelude::*;

fn form(format: Format) -> Form {
    Form { format, zone: Zone::default() }
}

fn read(text: &str, ty: PgType) -> Result<ArrayRef> {
    parameter(Some(text.as_bytes()), Some(ty), &ty.arrow(), form(Format::Text))
}

fn shown(text: &str, ty: PgType) -> String {
    array_value_to_string(&read(text, ty).unwrap(), 0).unwrap()
}

fn kind(text: &str, ty: PgType) -> ErrorKind {
    read(text, ty).unwrap_err().kind()
}

/// The value of a one-row array as the encoder sends it.
fn sent(array: &ArrayRef, ty: PgType, format: Format) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", array.data_type().clone(), true)]));
    let batch = RecordBatch::try_new(schema, vec![array.clone()]).unwrap();
    let mut out = BytesMut::new();
    BatchEncoder::new(&batch, &[ty], &[format], Zone::default()).unwrap().put_row(0, &mut out).unwrap();
    out.get(11..).unwrap().to_vec()
}

#[test]
fn scalars_as_text() {
    assert_eq!(shown(" TRU ", PgType::Bool), "true");
    assert_eq!(shown("of", PgType::Bool), "false");
    assert_eq!(shown(" -7 ", PgType::Int2), "-7");
    assert_eq!(shown("9223372036854775807", PgType::Int8), "9223372036854775807");
    assert_eq!(shown("-Infinity", PgType::Float8), "-inf");
    assert_eq!(shown(".5e1", PgType::Float8), "5.0");
    assert_eq!(shown("1.25e2", PgType::Numeric), "125.0000000000");
    assert_eq!(shown("-0.00000000005", PgType::Numeric), "-0.0000000001");
    assert_eq!(shown("\\xDEad", PgType::Bytea), "dead");
    assert_eq!(shown("a\\\\b\\001", PgType::Bytea), "615c6201");
    assert_eq!(shown("{12121212-1212-1212-1212-121212121212}", PgType::Uuid), "12".repeat(16));
    assert_eq!(shown(" x ", PgType::Text), " x ");
    assert_eq!(shown(r#"{"a": 1}"#, PgType::Jsonb), r#"{"a": 1}"#);
}

#[test]
fn bad_text_is_refused_with_its_kind() {
    for (text, ty) in [
        ("maybe", PgType::Bool),
        ("o", PgType::Bool),
        ("", PgType::Int4),
        ("1.5", PgType::Int4),
        ("x", PgType::Float8),
        ("1e", PgType::Numeric),
        ("1.2.3", PgType::Numeric),
        ("\\xabc", PgType::Bytea),
        ("zz", PgType::Uuid),
        ("{", PgType::Json),
        ("{1,2", PgType::Array(crate::pg::pg_type::Element::of(PgType::Int4).unwrap())),
    ] {
        assert_eq!(kind(text, ty), ErrorKind::InvalidText, "{text} as {ty:?}");
    }
    for (text, ty) in [
        ("40000", PgType::Int2),
        ("-1", PgType::Oid),
        ("1e400", PgType::Float8),
        ("1e-400", PgType::Float8),
        ("1e60", PgType::Numeric),
        ("294277-01-01", PgType::Timestamp),
    ] {
        assert!(matches!(kind(text, ty), ErrorKind::OutOfRange | ErrorKind::InvalidTime), "{text} as {ty:?}");
    }
    for (text, ty) in [
        ("2023-02-29", PgType::Date),
        ("2023-13-01", PgType::Date),
        ("25:00", PgType::Time),
        ("2024-01-01 00:00:00 nowhere", PgType::TimestampTz),
        ("3 moons", PgType::Interval),
        ("2024-01-01x", PgType::Date),
    ] {
        assert_eq!(kind(text, ty), ErrorKind::InvalidTime, "{text} as {ty:?}");
    }
    assert_eq!(
        parameter(Some(b"\xff"), None, &DataType::Utf8, form(Format::Text)).unwrap_err().kind(),
        ErrorKind::InvalidText
    );
}

#[test]
fn moments() {
    let micros = |text: &str, ty| read(text, ty).unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
    let base = 1_709_211_906_000_000;
    for text in [
        "2024-02-29 13:05:06",
        "2024-02-29T13:05:06Z",
        "20240229 13:05:06",
        "2024-02-29 15:05:06+02",
        "2024-02-29 09:35:06-0330",
    ] {
        assert_eq!(micros(text, PgType::TimestampTz), base, "{text}");
    }
    assert_eq!(micros("2024-02-29 13:05:06+05", PgType::Timestamp), base, "a zone is ignored without time zone");
    assert_eq!(micros("2024-02-29 13:05:06.1234567", PgType::Timestamp), base + 123_457);
    assert_eq!(micros("2024-02-29", PgType::Timestamp), 1_709_164_800_000_000);
    let berlin = Form { format: Format::Text, zone: Zone::named("Europe/Berlin") };
    let local = parameter(Some(b"2024-02-29 14:05:06"), None, &PgType::TimestampTz.arrow(), berlin).unwrap();
    assert_eq!(local.as_primitive::<TimestampMicrosecondType>().value(0), base);
    assert_eq!(shown("0044-03-15 BC", PgType::Date), "-0043-03-15");
    assert_eq!(shown("04:05", PgType::Time), "04:05:00");
    let interval = |text: &str| match text::value(text, PgType::Interval, Zone::default()).unwrap() {
        Value::Interval { months, days, micros } => (months, days, micros),
        other => panic!("{other:?}"),
    };
    assert_eq!(interval("1 year -2 mons 3 days 04:05:06.7"), (10, 3, 14_706_700_000));
    assert_eq!(interval("-1.5 hours"), (0, 0, -5_400_000_000));
    assert_eq!(interval("1 week 5 ms"), (0, 7, 5_000));
    assert_eq!(interval("-100:00:00"), (0, 0, -360_000_000_000));
    assert_eq!(interval("0.5 days"), (0, 0, 43_200_000_000));
}

#[test]
fn declared_and_wanted_types_may_differ() {
    let numeric = DataType::Decimal128(10, 2);
    let int4 = parameter(Some(&7i32.to_be_bytes()), Some(PgType::Int4), &numeric, form(Format::Binary)).unwrap();
    assert_eq!(int4.as_primitive::<Decimal128Type>().value(0), 700);
    let wide = parameter(Some(b"9000000000"), Some(PgType::Int8), &DataType::Int32, form(Format::Text));
    assert_eq!(wide.unwrap_err().kind(), ErrorKind::OutOfRange);
    let typed = parameter(Some(b"12"), Some(PgType::Text), &DataType::Int64, form(Format::Text)).unwrap();
    assert_eq!(typed.as_primitive::<Int64Type>().value(0), 12);
    let half = parameter(Some(b"2.5"), Some(PgType::Numeric), &DataType::Int32, form(Format::Text)).unwrap();
    assert_eq!(half.as_primitive::<Int32Type>().value(0), 3);
    let view = parameter(Some(b"x"), Some(PgType::Varchar), &DataType::Utf8View, form(Format::Binary)).unwrap();
    assert_eq!(view.data_type(), &DataType::Utf8View);
    let nanos = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    assert_eq!(parameter(Some(b"2024-01-01"), None, &nanos, form(Format::Text)).unwrap().data_type(), &nanos);
    let null = parameter(None, Some(PgType::Int4), &numeric, form(Format::Binary)).unwrap();
    assert!(null.is_null(0) && null.data_type() == &numeric);
}

#[test]
fn binary_of_a_wrong_length_is_a_protocol_error() {
    for ty in
        [PgType::Bool, PgType::Int4, PgType::Float8, PgType::Numeric, PgType::Date, PgType::Uuid, PgType::Interval]
    {
        let error = parameter(Some(b"abc"), Some(ty), &ty.arrow(), form(Format::Binary)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{ty:?}");
    }
}

#[test]
fn arrays_both_ways() {
    let ty = PgType::Array(crate::pg::pg_type::Element::of(PgType::Int4).unwrap());
    let array = read("{1, NULL ,3}", ty).unwrap();
    assert_eq!(sent(&array, ty, Format::Text), b"{1,NULL,3}");
    let bytes = sent(&array, ty, Format::Binary);
    let back = parameter(Some(&bytes), Some(ty), &ty.arrow(), form(Format::Binary)).unwrap();
    assert_eq!(&back, &array);
    let texts = PgType::Array(crate::pg::pg_type::Element::of(PgType::Text).unwrap());
    let array = read(r#"{"1","a,b",x y}"#, texts).unwrap();
    assert_eq!(sent(&array, texts, Format::Text), br#"{1,"a,b","x y"}"#);
}

proptest! {
    #[test]
    fn numerics_survive_both_formats(x in any::<i64>(), scale in 0i8..=18) {
        let wanted = DataType::Decimal128(38, scale);
        let array = Decimal128Array::from(vec![i128::from(x)]).with_precision_and_scale(38, scale).unwrap();
        let array: ArrayRef = Arc::new(array);
        for format in [Format::Text, Format::Binary] {
            let bytes = sent(&array, PgType::Numeric, format);
            let back = parameter(Some(&bytes), Some(PgType::Numeric), &wanted, form(format)).unwrap();
            prop_assert_eq!(&back, &array);
        }
    }

    #[test]
    fn timestamps_survive_both_formats(micros in -62_135_596_800_000_000i64 * 2..9_000_000_000_000_000) {
        let ty = PgType::TimestampTz;
        let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC"));
        for format in [Format::Text, Format::Binary] {
            let back = parameter(Some(&sent(&array, ty, format)), Some(ty), array.data_type(), form(format)).unwrap();
            prop_assert_eq!(&back, &array);
        }
    }

    #[test]
    fn no_text_and_no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), words in "[-+0-9a-z:. {},\"]{0,24}") {
        for oid in [16, 20, 21, 23, 25, 26, 114, 700, 701, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802, 17, 1007, 1009] {
            let ty = PgType::from_oid(oid).unwrap();
            let _ = parameter(Some(&bytes), Some(ty), &ty.arrow(), form(Format::Binary));
            let _ = parameter(Some(words.as_bytes()), Some(ty), &ty.arrow(), form(Format::Text));
        }
    }
}
