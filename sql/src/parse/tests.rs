//! Every statement, every refusal with its place, and no panic on anything.

mod bounds;
mod commands;

use super::*;
use millrace_error::{Error, ErrorKind};
use millrace_schema::{ColumnType, Compression, PartitionUnit, Scalar, StartPosition, TableDef};
use std::time::Duration;

fn one(sql: &str) -> Parsed {
    let mut all = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    assert_eq!(all.len(), 1, "{sql}");
    all.pop().unwrap()
}

fn command_of(sql: &str) -> Command {
    match one(sql) {
        Parsed::Command(command) => command,
        other => panic!("{sql}: {other:?}"),
    }
}

fn table_of(sql: &str) -> TableDef {
    match command_of(sql) {
        Command::CreateTable { def, .. } => *def,
        other => panic!("{sql}: {other:?}"),
    }
}

fn source_of(sql: &str) -> CreateSource {
    match command_of(sql) {
        Command::CreateSource(create) => *create,
        other => panic!("{sql}: {other:?}"),
    }
}

fn refused(sql: &str) -> Error {
    match parse(sql) {
        Err(error) => error,
        Ok(parsed) => panic!("{sql}: {parsed:?}"),
    }
}

/// A refusal whose place is where `near` stands in the statement.
fn check_refusal(sql: &str, kind: ErrorKind, near: &str, hint: &str) {
    let error = refused(sql);
    assert_eq!(error.kind(), kind, "{sql}: {error:?}");
    let byte = sql.rfind(near).unwrap_or_else(|| panic!("{near} in {sql}"));
    let at = sql[..byte].chars().count() + 1;
    assert_eq!(error.position(), Some(at), "{sql}: {error:?}");
    assert!(error.hint_text().unwrap_or_default().contains(hint), "{sql}: {error:?}");
}

#[test]
fn splits_on_semicolons_but_not_in_strings_and_comments() {
    let sql = "/* é; */ SELECT ';' ; ;-- x;\n SELECT $$;$$, $a$;$a$, \"a;b\" ;; SEAL TABLE t;";
    let all = parse(sql).unwrap();
    assert_eq!(all.len(), 3);
    let Parsed::Query { text, offset, .. } = &all[1] else { panic!("{all:?}") };
    assert_eq!(text, "SELECT $$;$$, $a$;$a$, \"a;b\"");
    let chars: Vec<char> = sql.chars().collect();
    assert_eq!(chars[*offset..*offset + 9].iter().collect::<String>(), "SELECT $$");
    for empty in ["", " ", "-- ping", ";", "/* a /* b */ */ ; ;", "\n\t;"] {
        assert!(parse(empty).unwrap().is_empty(), "{empty:?}");
    }
}

#[test]
fn positions_in_a_statement_are_positions_in_the_string() {
    let sql = "SELECT 'é';\n  SELECT a,\n  b FROM t";
    let Parsed::Query { text, offset, .. } = &parse(sql).unwrap()[1] else { panic!() };
    let want = sql.chars().position(|c| c == 'b').unwrap() + 1;
    assert_eq!(position_in(text, *offset, 2, 3), Some(want));
    assert_eq!(position_in(text, *offset, 0, 0), None);
}

#[test]
fn queries_are_queries() {
    for sql in [
        "SELECT 1",
        "select count(*) from wikipedia where time > now() - interval '1 hour' group by 1 order by 2 desc limit 10",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "VALUES (1), (2)",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "SELECT $1::int8 + $2",
        "SELECT 'a' || E'\\n' || U&'\\0041'",
        "SELECT \"Odd Name\" FROM public.\"T\"",
        "SELECT a->>'x' FROM t",
        "SELECT * FROM t WHERE a = ANY (ARRAY[1, 2])",
        "SELECT date_trunc('day', ts) AT TIME ZONE 'UTC' FROM t",
        "SELECT sum(x) FILTER (WHERE y) OVER (PARTITION BY z ORDER BY w) FROM t",
        "TABLE t ORDER BY 1 FETCH FIRST ROW ONLY",
        "SELECT millrace_offsets('t')",
    ] {
        assert!(matches!(one(sql), Parsed::Query { .. }), "{sql}");
    }
}

#[test]
fn explain_has_its_options() {
    for (sql, want) in [
        ("EXPLAIN SELECT 1", (false, false)),
        ("explain analyze select 1", (true, false)),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", (true, true)),
        ("EXPLAIN (ANALYZE, VERBOSE off, COSTS false, FORMAT TEXT) SELECT 1", (true, false)),
        ("EXPLAIN (SELECT 1)", (false, false)),
    ] {
        let Parsed::Explain { analyze, verbose, text, .. } = one(sql) else { panic!("{sql}") };
        assert_eq!((analyze, verbose), want, "{sql}");
        assert!(text.trim_start_matches('(').to_lowercase().starts_with("select"), "{sql}: {text}");
    }
    check_refusal("EXPLAIN (FORMAT JSON) SELECT 1", ErrorKind::NotSupported, "FORMAT", "");
    check_refusal("EXPLAIN (ANALYSER) SELECT 1", ErrorKind::Syntax, "ANALYSER", "ANALYZE");
    check_refusal("EXPLAIN SEAL TABLE t", ErrorKind::NotSupported, "SEAL", "");
    check_refusal("EXPLAIN DELETE FROM t", ErrorKind::NotSupported, "DELETE", "");
    check_refusal("EXPLAIN SELEC 1", ErrorKind::Syntax, "SELEC", "SELECT");
    assert_eq!(refused("EXPLAIN").message(), "syntax error at end of input");
}

#[test]
fn syntax_errors_are_at_their_place() {
    for (sql, near, hint) in [
        ("SELEC 1", "SELEC", "SELECT"),
        ("SELECT 1; SELEC 'é'", "SELEC", "SELECT"),
        ("SELECT 'é', FROM", "FROM", ""),
        ("SELECT * FORM t", "t", "FROM"),
        ("SELECT * FROM t\n  WHER a = 1", "a = 1", "WHERE"),
        ("SELECT * FROM t LIMIT 1 2", "2", ""),
        ("SELECT a b c FROM t", "c FROM", ""),
        ("CREATE TABEL t (a int)", "TABEL", "TABLE"),
        ("DROP SUORCE s", "SUORCE", "SOURCE"),
        ("CREATE TABLE t (a int,)", ")", ""),
        ("CREATE TABLE t (a int) WIHT (x = 1)", "WIHT", ""),
        ("CREATE TABLE select (a int)", "select", "\"select\""),
        ("CREATE TABLE t (a int NOT NULL NULL)", "NULL)", ""),
        ("SEAL t", "t", ""),
        ("SEAL TABEL t", "TABEL", "TABLE"),
        ("SEAL TABLE t u", "u", ""),
        ("ALTER SOURCE s PAUS", "PAUS", "PAUSE"),
        ("CREATE SOURCE s TO t FORM KAFKA (brokers = 'x')", "FORM", "FROM"),
        ("SET x 1", "1", ""),
        ("BEGIN sometimes", "sometimes", ""),
        ("SELECT 'abc", "'abc", ""),
        ("SELECT 1; SELECT \"abc", "\"abc", ""),
        ("SELECT /* é", "/* é", ""),
        ("CREATE TABLE \"\" (a int)", "\"\"", ""),
        ("CREATE TABLE a.b.c.d (a int)", "a.b", ""),
    ] {
        check_refusal(sql, ErrorKind::Syntax, near, hint);
    }
    assert_eq!(refused("SELEC 1").message(), "syntax error at or near \"SELEC\"");
    for (sql, at) in
        [("CREATE TABLE t", 15), ("SELECT 1 +", 11), ("SELECT * FROM ", 14), ("SHOW", 5), ("SELECT (1;", 10)]
    {
        let error = refused(sql);
        assert_eq!(error.message(), "syntax error at end of input", "{sql}");
        assert_eq!(error.position(), Some(at), "{sql}");
    }
}

#[test]
fn what_is_not_due_is_named() {
    for (sql, near, word) in [
        ("INSERT INTO t VALUES (1)", "INSERT", "INSERT"),
        ("DELETE FROM t", "DELETE", "DELETE"),
        ("UPDATE t SET a = 1", "UPDATE", "UPDATE"),
        ("TRUNCATE t", "TRUNCATE", "TRUNCATE"),
        ("COPY t FROM STDIN", "COPY", "COPY"),
        ("ALTER TABLE t ADD COLUMN a int", "ALTER", "ALTER TABLE"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE", "CREATE MATERIALIZED VIEW"),
        ("DROP MATERIALIZED VIEW v", "DROP", "DROP MATERIALIZED VIEW"),
        ("CREATE VIEW v AS SELECT 1", "CREATE", "CREATE VIEW"),
        ("OPTIMIZE TABLE t FINAL", "OPTIMIZE", "OPTIMIZE"),
        ("TIER TABLE t", "TIER", "TIER"),
        ("CHECK TABLE t", "CHECK", "CHECK"),
        ("ALTER SOURCE s SEEK TO ('x')", "SEEK", "SEEK"),
        ("SELECT * FROM t VERSION AS OF 12", "VERSION", "AS OF"),
        ("SELECT * FROM t FOR SYSTEM_TIME AS OF timestamptz '2026-01-01'", "SYSTEM_TIME", "AS OF"),
        ("SELECT 1 INTO x", "SELECT", "SELECT INTO"),
        ("WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "WITH", "DELETE"),
        ("WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a", "WITH", "INSERT"),
        ("SAVEPOINT a", "SAVEPOINT", "SAVEPOINT"),
        ("ROLLBACK TO a", "ROLLBACK", "savepoint"),
        ("CREATE TABLE t AS SELECT 1", "AS", "CREATE TABLE AS"),
        ("CREATE TABLE t (a int PRIMARY KEY)", "PRIMARY", "PRIMARY KEY"),
        ("CREATE TABLE t (a int, UNIQUE (a))", "UNIQUE", "UNIQUE"),
        ("CREATE TABLE t (a int CHECK (a > 0))", "CHECK", "CHECK"),
        ("CREATE TABLE t (a int REFERENCES u)", "REFERENCES", "REFERENCES"),
        ("CREATE TABLE t (a int) PARTITION BY RANGE (a)", "PARTITION", "PARTITION"),
        ("CREATE TABLE t (a int) WITH (retention = '90 days')", "retention", "retention"),
        ("CREATE TABLE t (a int) WITH (tier_after = '90 days')", "tier_after", "tier_after"),
        ("CREATE SOURCE s TO t FROM KAFKA (brokers='b', topic='t') FORMAT AVRO", "AVRO", "JSON"),
        ("CREATE SOURCE s TO t FROM KAFKA (brokers='b', topic='^t') FORMAT JSON", "'^t'", "topics"),
    ] {
        check_refusal(sql, ErrorKind::NotSupported, near, "");
        assert!(refused(sql).message().contains(word), "{sql}: {:?}", refused(sql));
    }
}

#[test]
fn types_have_all_their_names() {
    for (text, ty) in [
        ("bool", ColumnType::Boolean),
        ("int2", ColumnType::SmallInt),
        ("INT", ColumnType::Integer),
        ("int4", ColumnType::Integer),
        ("int8", ColumnType::BigInt),
        ("float4", ColumnType::Real),
        ("float(24)", ColumnType::Real),
        ("float", ColumnType::Double),
        ("double precision", ColumnType::Double),
        ("decimal(10)", ColumnType::Numeric { precision: 10, scale: 0 }),
        ("numeric(38, 38)", ColumnType::Numeric { precision: 38, scale: 38 }),
        ("varchar", ColumnType::Text),
        ("character varying(7)", ColumnType::Varchar(7)),
        ("pg_catalog.text", ColumnType::Text),
        ("timestamp(6) without time zone", ColumnType::Timestamp),
        ("timestamp with time zone", ColumnType::TimestampTz),
        ("timestamptz", ColumnType::TimestampTz),
        ("time without time zone", ColumnType::Time),
        ("bytea", ColumnType::Bytea),
        ("uuid", ColumnType::Uuid),
        ("jsonb", ColumnType::Jsonb),
    ] {
        let def = table_of(&format!("CREATE TABLE t (a {text} NOT NULL)"));
        assert_eq!(def.columns[0].ty, ty, "{text}");
        assert!(!def.columns[0].nullable);
        // What SHOW CREATE TABLE prints is read back as the same.
        assert_eq!(table_of(&format!("CREATE TABLE t (a {ty})")).columns[0].ty, ty);
    }
}

#[test]
fn other_types_are_refused_by_name() {
    for (text, kind, hint) in [
        ("numeric", ErrorKind::NotSupported, "numeric(p,s)"),
        ("numeric(39)", ErrorKind::InvalidValue, ""),
        ("numeric(4,5)", ErrorKind::InvalidValue, ""),
        ("int[]", ErrorKind::NotSupported, ""),
        ("text array", ErrorKind::NotSupported, ""),
        ("serial", ErrorKind::NotSupported, "integer"),
        ("char(3)", ErrorKind::NotSupported, "text"),
        ("character(3)", ErrorKind::NotSupported, "text"),
        ("interval", ErrorKind::NotSupported, ""),
        ("timestamp(3)", ErrorKind::NotSupported, ""),
        ("time with time zone", ErrorKind::NotSupported, ""),
        ("varchar(0)", ErrorKind::InvalidValue, ""),
        ("string", ErrorKind::UnknownObject, "text"),
        ("bigimt", ErrorKind::UnknownObject, "bigint"),
        ("nonsense_here", ErrorKind::UnknownObject, ""),
    ] {
        let error = refused(&format!("CREATE TABLE t (col {text})"));
        assert_eq!(error.kind(), kind, "{text}: {error:?}");
        assert!(error.position().is_some(), "{text}");
        assert!(error.hint_text().unwrap_or_default().contains(hint), "{text}: {error:?}");
        assert!(kind != ErrorKind::NotSupported || error.message().contains("\"col\""), "{error:?}");
    }
}

#[test]
fn defaults_are_evaluated() {
    let text = |t: &str| Some(Scalar::Text(t.to_owned()));
    for (column, want) in [
        ("int DEFAULT -7", Some(Scalar::Int(-7))),
        ("int DEFAULT (+7)", Some(Scalar::Int(7))),
        ("int DEFAULT 2.5", Some(Scalar::Int(3))),
        ("bigint DEFAULT '42'", Some(Scalar::Int(42))),
        ("bigint DEFAULT '42'::int4", Some(Scalar::Int(42))),
        ("numeric(6,2) DEFAULT 1.005 NOT NULL", Some(Scalar::Numeric(101))),
        ("double precision DEFAULT 1e3", Some(Scalar::Float(1000.0))),
        ("text DEFAULT 'it''s'", text("it's")),
        ("text DEFAULT E'a\\tb'", text("a\tb")),
        ("text DEFAULT 12", text("12")),
        ("text DEFAULT $$x$$", text("x")),
        ("boolean DEFAULT true", Some(Scalar::Bool(true))),
        ("boolean DEFAULT 'off'", Some(Scalar::Bool(false))),
        ("text DEFAULT NULL", None),
        ("date DEFAULT date '1970-01-03'", Some(Scalar::Int(2))),
        ("timestamptz DEFAULT timestamptz '1970-01-01 00:00:01+00'", Some(Scalar::Int(1_000_000))),
        ("timestamptz DEFAULT '1970-01-01T01:00:00+01:00'::timestamp with time zone", Some(Scalar::Int(0))),
        ("timestamptz DEFAULT CAST('1970-01-02' AS date)", Some(Scalar::Int(86_400_000_000))),
        ("jsonb DEFAULT '{ \"a\": 1 }'", text("{\"a\":1}")),
    ] {
        let def = table_of(&format!("CREATE TABLE t (a {column}, b int)"));
        let default = def.columns[0].default.clone().unwrap();
        assert_eq!(default.value, want, "{column}");
        // The text is kept as written and read back as the same value.
        let again = table_of(&format!("CREATE TABLE t (a {} DEFAULT {})", def.columns[0].ty, default.sql));
        assert_eq!(again.columns[0].default.clone().unwrap(), default, "{column}");
    }
}

#[test]
fn other_defaults_are_refused() {
    for (column, kind) in [
        ("timestamptz DEFAULT now()", ErrorKind::NotSupported),
        ("int DEFAULT 1 + 1", ErrorKind::NotSupported),
        ("int DEFAULT (1 + 1)", ErrorKind::NotSupported),
        ("text DEFAULT upper('a')", ErrorKind::NotSupported),
        ("timestamptz DEFAULT current_timestamp", ErrorKind::NotSupported),
        ("int DEFAULT 3000000000", ErrorKind::OutOfRange),
        ("int DEFAULT 'x'", ErrorKind::InvalidText),
        ("int DEFAULT true", ErrorKind::TypeMismatch),
        ("boolean DEFAULT 1", ErrorKind::TypeMismatch),
        ("int DEFAULT date '2026-01-01'", ErrorKind::TypeMismatch),
        ("timestamptz DEFAULT 'soon'", ErrorKind::InvalidTime),
        ("int NOT NULL DEFAULT NULL", ErrorKind::InvalidValue),
        ("int DEFAULT 1 DEFAULT 2", ErrorKind::Syntax),
        ("int DEFAULT", ErrorKind::Syntax),
    ] {
        let error = refused(&format!("CREATE TABLE t (a {column}, b int)"));
        assert_eq!(error.kind(), kind, "{column}: {error:?}");
        assert!(error.position().is_some(), "{column}");
    }
}

#[test]
fn a_table_has_the_surface_s_defaults() {
    let def = table_of(
        "CREATE TABLE IF NOT EXISTS Wiki (\"countryName\" text, Time timestamptz) WITH (time_column = 'time')",
    );
    assert_eq!(def.name, "wiki");
    assert_eq!(
        def.columns.iter().map(|c| (c.id.0, c.name.as_str())).collect::<Vec<_>>(),
        [(1, "countryName"), (2, "time")]
    );
    assert_eq!(def.partition_by(), "day");
    assert_eq!(def.sort_by(), "time");
    assert_eq!(def.options, millrace_schema::TableOptions::default());
    let plain = table_of("CREATE TABLE public.t (a int)");
    assert_eq!((plain.partition_by().as_str(), plain.sort_by().as_str(), plain.time_column), ("none", "", None));
}

#[test]
fn table_options_are_read() {
    let def = table_of(
        "CREATE TABLE t (\"countryName\" text, time timestamptz, tenant bigint) WITH (time_column = 'time',
         partition_by = 'hour, bucket(16, tenant)', sort_by = 'countryName, time', seal_rows = 1000, seal_bytes = '1MiB',
         seal_age = '5s', compression = lz4, version_retention = '2 hours', dead_letter_retention = '1 day')",
    );
    assert_eq!(def.partition_by(), "hour, bucket(16, tenant)");
    assert_eq!(def.sort_by(), "countryName, time");
    assert_eq!((def.options.seal_rows, def.options.seal_bytes), (1000, 1 << 20));
    assert_eq!((def.options.seal_age, def.options.compression), (Duration::from_secs(5), Compression::Lz4));
    assert_eq!(def.options.version_retention, Duration::from_secs(7200));
    assert_eq!(def.options.dead_letter_retention, Duration::from_secs(86_400));
    let def = table_of("CREATE TABLE t (a int, d date) WITH (partition_by = 'none, bucket(4, a)', time_column = 'd')");
    assert_eq!(def.partitioning.unit, PartitionUnit::None);
}

#[test]
fn bad_table_options_are_refused_at_their_place() {
    let kinds = (ErrorKind::InvalidValue, ErrorKind::UnknownColumn, ErrorKind::Syntax);
    for (option, kind, near, hint) in [
        ("time_colunm = 'time'", kinds.0, "time_colunm", "time_column"),
        ("time_column = 'tine'", kinds.1, "'tine'", "time"),
        ("time_column = 'Time'", kinds.1, "'Time'", "literal"),
        ("time_column = 'a'", kinds.0, "'a'", "timestamptz"),
        ("partition_by = 'day'", kinds.0, "'day'", "time_column"),
        ("partition_by = 'dya'", kinds.0, "'dya'", "'day'"),
        ("partition_by = 'none, bucket(0, a)'", kinds.0, "'none", ""),
        ("partition_by = 'none, bucket(1025, a)'", kinds.0, "'none", ""),
        ("partition_by = 'none, bucket(4, zz)'", kinds.1, "'none", ""),
        ("partition_by = 'none, buckét(4, a)'", kinds.0, "'none", "bucket(16"),
        ("sort_by = 'a, a'", kinds.0, "'a, a'", ""),
        ("sort_by = 'a,,time'", kinds.1, "'a,,time'", ""),
        ("seal_rows = 0", kinds.0, "0", ""),
        ("seal_rows = -5", kinds.0, "-5", ""),
        ("seal_bytes = '5 stones'", kinds.0, "'5 stones'", "256MiB"),
        ("seal_age = 'soon'", kinds.0, "'soon'", "60s"),
        ("compression = 'gzip'", kinds.0, "'gzip'", "zstd"),
        ("seal_rows = 1, seal_rows = 2", kinds.2, "seal_rows = 2", ""),
    ] {
        check_refusal(&format!("CREATE TABLE t (a int, time timestamptz) WITH ({option})"), kind, near, hint);
    }
}

#[test]
fn bad_tables_are_refused() {
    let long = "x".repeat(64);
    let many = (0..1601).map(|i| format!("c{i} int")).collect::<Vec<_>>().join(", ");
    for (sql, kind) in [
        ("CREATE TABLE t_dead_letters (a int)".to_owned(), ErrorKind::InvalidValue),
        (format!("CREATE TABLE {long} (a int)"), ErrorKind::InvalidValue),
        ("CREATE TABLE t ()".to_owned(), ErrorKind::InvalidValue),
        ("CREATE TABLE t (a int, A text)".to_owned(), ErrorKind::DuplicateColumn),
        (format!("CREATE TABLE t ({many})"), ErrorKind::TooLarge),
        ("CREATE TABLE system.t (a int)".to_owned(), ErrorKind::Denied),
        ("CREATE TABLE other.t (a int)".to_owned(), ErrorKind::UnknownObject),
        ("CREATE TABLE db.public.t (a int)".to_owned(), ErrorKind::NotSupported),
    ] {
        let error = refused(&sql);
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.position().is_some(), "{error:?}");
    }
    assert_eq!(table_of("CREATE TABLE millrace.public.t (a int)").name, "t");
}

#[test]
fn a_source_is_read() {
    let source = source_of(
        "CREATE SOURCE IF NOT EXISTS wiki TO wikipedia FROM KAFKA (brokers = 'a:9092,b:9092', topic = 'Wiki.edits',
         start = '1970-01-01T00:00:01Z', on_gap = 'skip', 'security.protocol' = 'SASL_SSL', sasl.password = 'env:PW')
         FORMAT JSON (page = '$.page.title', \"countryName\" = '$[''x.y'']') WITH (on_error = 'skip', time_unit = 'ms', max_future = 'off')",
    );
    assert!(source.if_not_exists);
    assert_eq!((source.name.text.as_str(), source.table.name.as_str()), ("wiki", "wikipedia"));
    assert_eq!(source.kafka.start, StartPosition::Timestamp(1_000_000));
    assert_eq!(source.kafka.properties["security.protocol"], "SASL_SSL");
    assert_eq!(source.kafka.properties["sasl.password"], "env:PW");
    assert_eq!(source.mapping[1].0.text, "countryName");
    assert_eq!(source.mapping[1].1, "$['x.y']");
    assert!(!format!("{source:?}").contains("env:PW"));
    let plain = source_of("CREATE SOURCE s TO t FROM KAFKA (brokers = 'b', topic = 't') FORMAT JSON");
    assert_eq!(plain.kafka.start, StartPosition::Earliest);
    assert_eq!(plain.on_error, millrace_schema::OnError::DeadLetter);
}

#[test]
fn bad_sources_are_refused_at_their_place() {
    for (kafka, rest, near, hint) in [
        ("topic = 't'", "", "(topic", "brokers"),
        ("brokers = 'b'", "", "(brokers", "topic"),
        ("broker = 'b', topic = 't'", "", "broker =", "brokers"),
        ("brokers = 'b', topic = 'a b'", "", "'a b'", ""),
        ("brokers = 'b', topic = 't', start = 'earlyest'", "", "'earlyest'", "earliest"),
        ("brokers = 'b', topic = 't', on_gap = 'fial'", "", "'fial'", "fail"),
        ("brokers = 'b', topic = 't', on_error = 'skip'", "", "on_error", "FORMAT JSON"),
        ("brokers = 'b', topic = 't', bootstrap.servers = 'c'", "", "bootstrap", "brokers"),
        ("brokers = 'b', topic = 't'", "(a = 'page')", "'page'", "$."),
        ("brokers = 'b', topic = 't'", "WITH (on_error = 'dead_leter')", "'dead_leter'", "dead_letter"),
        ("brokers = 'b', topic = 't'", "WITH (time_unti = 'ms')", "time_unti", "time_unit"),
        ("brokers = 'b', topic = 't'", "WITH (topic = 'x')", "topic = 'x'", ""),
    ] {
        let sql = format!("CREATE SOURCE s TO t FROM KAFKA ({kafka}) FORMAT JSON {rest}");
        check_refusal(&sql, ErrorKind::InvalidValue, near, hint);
    }
}
