//! What PostgreSQL does and DataFusion by itself would not.

use super::*;

const MEMORY: u64 = 512 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn constants_are_read_as_the_type_beside_them() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(20, 12);
    let far = "(VALUES (timestamp '2600-01-01'), ('0002-01-01 10:00'::timestamp)) v(at)";
    for (filter, from, expected) in [
        ("time >= '2015-09-12 12:00'", "t", "20"),
        ("time >= '2015-09-12 14:00 Europe/Berlin'", "t", "20"),
        ("time > '2015-09-12 14:00:00.000018 +02'", "t", "1"),
        ("time BETWEEN '2015-09-12 12:00' AND '2015-09-12 12:00:00.000001'", "t", "2"),
        ("time IN ('2015-09-12 12:00', '2015-09-12T12:00:00.000003Z')", "t", "2"),
        ("time <> '2015-09-12 12:00'", "t", "19"),
        ("'2015-09-12 12:00' = time", "t", "1"),
        ("time < '2500-01-01' AND time > '0001-01-01'", "t", "20"),
        ("time IS NOT DISTINCT FROM '2015-09-12 12:00'", "t", "1"),
        ("date_trunc('hour', time) = '2015-09-12 12:00'", "t", "20"),
        ("n = '5'", "t", "1"),
        ("n < ' 10 '", "t", "10"),
        ("id BETWEEN '00000000-0000-0000-0000-000000000003' AND '00000000-0000-0000-0000-000000000004'", "t", "2"),
        ("payload = '\\x78'", "t_dead_letters", "1"),
        ("payload = '\\170'", "t_dead_letters", "1"),
        ("payload IN ('\\x00', 'x') AND payload <> '\\x0001ff'", "t_dead_letters", "1"),
        ("payload = '\\x78'::bytea", "t_dead_letters", "1"),
        ("truncated = 'off'", "t_dead_letters", "1"),
        ("at > '2500-01-01'", far, "1"),
        ("at < '1000-01-01 12:00'", far, "1"),
        ("at IN ('2600-01-01')", far, "1"),
        ("d = '20260101' AND d < '2026-01-02'", "(VALUES (date '2026-01-01')) v(d)", "1"),
        ("c BETWEEN '10:00' AND '10:30'", "(VALUES (time '10:15')) v(c)", "1"),
        ("x > '1.239' AND x < '1.241'", "(VALUES (1.24::numeric(10,2))) v(x)", "1"),
        ("b = 't'", "(VALUES (true)) v(b)", "1"),
    ] {
        assert_eq!(f.rows(&format!("SELECT count(*) FROM {from} WHERE {filter}")).await, [expected], "{filter}");
    }
    assert_eq!(f.rows("SELECT '2015-09-12 14:00 Europe/Berlin'::timestamptz").await, ["2015-09-12T12:00:00Z"]);
    for (filter, kind, named) in [
        ("time > 'yesterday-ish'", ErrorKind::InvalidTime, "yesterday-ish"),
        ("time IN ('2015-09-12', 'nope')", ErrorKind::InvalidTime, "nope"),
        ("time = '2015-02-30'", ErrorKind::InvalidTime, "2015-02-30"),
        ("n = 'seven'", ErrorKind::InvalidText, "seven"),
        ("n BETWEEN '1' AND '99999999999999999999'", ErrorKind::OutOfRange, "99999999999999999999"),
    ] {
        let error = f.fails(&format!("SELECT n FROM t WHERE {filter}")).await;
        assert_eq!(error.kind(), kind, "{filter}: {error}");
        assert!(error.message().contains(named), "{filter}: {error}");
    }
    let error = f.fails("SELECT 1 FROM t_dead_letters WHERE payload = '\\xzz'").await;
    assert_eq!(error.kind(), ErrorKind::InvalidText);
    assert!(error.message().contains("\\xzz"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clauses_that_would_be_ignored_are_refused() {
    let mut f = Fixture::fed(MEMORY).await;
    for (sql, named) in [
        ("SELECT n FROM t TABLESAMPLE SYSTEM (10)", "TABLESAMPLE"),
        ("SELECT n FROM t TABLESAMPLE BERNOULLI (10) REPEATABLE (1)", "TABLESAMPLE"),
        ("SELECT n FROM t FOR UPDATE", "FOR UPDATE"),
        ("SELECT n FROM t FOR UPDATE SKIP LOCKED", "FOR UPDATE"),
        ("SELECT * FROM (SELECT n FROM t FOR SHARE) s", "FOR SHARE"),
        ("SELECT n FROM t ORDER BY n FETCH FIRST 2 ROWS WITH TIES", "WITH TIES"),
        ("SELECT n FROM t WHERE channel SIMILAR TO '#ch%'", "SIMILAR TO"),
        ("SELECT to_char(time, 'YYYY-MM-DD') FROM t", "to_char"),
    ] {
        let error = f.fails(sql).await;
        assert_eq!(error.kind(), ErrorKind::NotSupported, "{sql}: {error}");
        assert!(error.message().contains(named) && error.position().is_some(), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_spellings_mean_the_same() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(4, 1);
    for (sql, expected) in [
        ("TABLE t_dead_letters LIMIT 0", vec![]),
        ("SELECT count(*) FROM (TABLE t) s", vec!["4"]),
        ("WITH w AS (TABLE t) SELECT count(*) FROM (TABLE w UNION ALL TABLE w) s", vec!["8"]),
        ("SELECT n FROM t ORDER BY n FETCH FIRST 2 ROWS ONLY", vec!["0", "1"]),
        ("SELECT n FROM t ORDER BY n OFFSET 1 ROWS FETCH NEXT ROW ONLY", vec!["1"]),
        ("SELECT current_schema, current_schema()", vec!["public|public"]),
        ("SELECT localtimestamp = now()::timestamp", vec!["true"]),
        ("SELECT to_char(time, '%Y') FROM t LIMIT 1", vec!["2015"]),
        ("SELECT 'abcdef'::varchar(3), CAST('äöü' AS character varying(2)), 'x'::varchar(3)", vec!["abc|äö|x"]),
        ("SELECT channel::varchar(3), count(*) FROM t GROUP BY channel::varchar(3)", vec!["#ch|4"]),
        ("SELECT n::varchar(1) FROM t WHERE n::varchar(1) = '3'", vec!["3"]),
        ("SELECT id::varchar(4) FROM t LIMIT 1", vec!["0000"]),
    ] {
        assert_eq!(f.rows(sql).await, expected, "{sql}");
    }
    assert_eq!(f.columns("TABLE t").await, ["time", "channel", "n", "id"]);
    assert_eq!(f.columns("SELECT current_schema, localtimestamp").await, ["current_schema", "localtimestamp"]);
    assert!(f.rows("SELECT version()").await[0].starts_with("PostgreSQL 14.19 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_list_may_say_the_same_twice() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(4, 1);
    for (sql, expected, names) in [
        ("SELECT round(2.5::float8), round(2.5)", "3.0|3.0", vec!["round", "round"]),
        ("SELECT 1.0, 1.00, 1, 1", "1.0|1.0|1|1", vec!["?column?"; 4]),
        ("SELECT current_timestamp = now(), now() = current_timestamp", "true|true", vec!["?column?"; 2]),
        ("SELECT count(now()), count(current_timestamp) FROM t", "4|4", vec!["count", "count"]),
        (
            "SELECT max(n), min(n), max(t.n), sum(n) FROM t HAVING max(n) > 1 ORDER BY max(n)",
            "3|0|3|6",
            vec!["max", "min", "max", "sum"],
        ),
        ("SELECT abs(n), abs(n::float8) FROM t UNION SELECT 1, 1 ORDER BY 1 DESC LIMIT 1", "3|3.0", vec!["abs", "abs"]),
        ("SELECT DISTINCT abs(n), n + 1 FROM t ORDER BY 1 LIMIT 1", "0|1", vec!["abs", "?column?"]),
    ] {
        assert_eq!(f.rows(sql).await, [expected], "{sql}");
        assert_eq!(f.columns(sql).await, names, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lasting_happens_inside_a_transaction() {
    let mut f = Fixture::fed(MEMORY).await;
    f.rows("BEGIN").await;
    for (sql, what) in [
        ("CREATE TABLE u (id bigint)", "CREATE TABLE"),
        ("CREATE TABLE IF NOT EXISTS t (id bigint)", "CREATE TABLE"),
        ("DROP TABLE t CASCADE", "DROP TABLE"),
        ("SEAL TABLE t", "SEAL TABLE"),
        ("CREATE SOURCE s TO t FROM KAFKA (brokers = 'b:1', topic = 'x') FORMAT JSON", "CREATE SOURCE"),
        ("ALTER SOURCE src PAUSE", "ALTER SOURCE"),
        ("DROP SOURCE src", "DROP SOURCE"),
    ] {
        let error = f.fails(sql).await;
        assert_eq!(error.kind(), ErrorKind::ActiveTransaction, "{sql}: {error}");
        assert_eq!(error.message(), format!("{what} cannot run inside a transaction block"));
    }
    assert_eq!(f.rows("SELECT count(*) FROM t").await, ["0"]);
    f.rows("SHOW TABLES").await;
    f.rows("ROLLBACK").await;
    f.rows("CREATE TABLE u (id bigint)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_and_texts_are_for_users() {
    let mut f = Fixture::new(MEMORY).await;
    f.rows("CREATE TABLE \"Odd Name\" (\"isRobot\" boolean)").await;
    let hint = |error: Error| error.hint_text().unwrap_or_default().to_owned();
    let column = f.fails("SELECT isrobot FROM \"Odd Name\"").await;
    assert!(hint(column).contains("\"isRobot\", written with its double quotes"));
    assert!(hint(f.fails("SELECT 1 FROM \"odd name\"").await).contains("\"Odd Name\""));
    for (sql, kind) in [
        ("SELECT sqrt('x')", ErrorKind::UnknownFunction),
        ("SELECT '(' ~ '('", ErrorKind::InvalidValue),
        ("SELECT now() AT TIME ZONE 'Nowhere/Else'", ErrorKind::InvalidValue),
        ("SELECT 1 WHERE 'x'", ErrorKind::TypeMismatch),
        ("SELECT max(max(1))", ErrorKind::Grouping),
        ("SELECT 'x' COLLATE \"C\"", ErrorKind::NotSupported),
        ("SELECT 1 LIMIT -1", ErrorKind::InvalidValue),
    ] {
        let error = f.fails(sql).await;
        assert_eq!(error.kind(), kind, "{sql}: {error}");
    }
    let function = f.fails("SELECT date_trnc('day', now())").await;
    assert_eq!(function.message(), "function date_trnc does not exist");
    assert!(hint(function).contains("date_trunc"));
    assert_eq!(f.fails("SELECT json_object('a')").await.hint_text(), None);
    assert_eq!(f.fails("SELECT 'x' COLLATE \"C\"").await.message(), "COLLATE is not supported in this version");
}

/// Whatever fails says so in words that are not DataFusion's own.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_never_bugs() {
    let mut f = Fixture::new(MEMORY).await;
    for sql in [
        "SELECT 'a' + 1",
        "SELECT date_trunc('nonsense', now())",
        "SELECT date_trunc('hour', timestamp '2500-01-01')",
        "SELECT 9223372036854775807 * 1.0::numeric(38,0) * 9223372036854775807 * 9223372036854775807",
        "SELECT decode('zz', 'hex')",
        "SELECT '(' ~ '('",
        "SELECT chr(-1)",
        "SELECT repeat('x', 3000000000)",
        "SELECT substr('abc', 1, -1)",
        "SELECT date_bin(interval '0 s', now())",
        "SELECT lpad('x', 3000000000, 'y')",
        "SELECT regexp_replace('a', '[', 'b')",
        "SELECT now() AT TIME ZONE 'Nowhere/Else'",
        "SELECT extract(nonsense FROM now())",
        "SELECT 9223372036854775807 + 1::numeric(38,0) * 99999999999999999999999999999999999999::numeric(38,0)",
        "SELECT sum(i) FROM generate_series(1, 3, 0) AS g(i)",
        "SELECT timestamp '9999-01-01' - timestamp '0001-01-01'",
        "SELECT timestamp '9999-01-01' + interval '300000 years'",
        "SELECT array[1,2]::int",
        "SELECT (SELECT i FROM generate_series(1, 2) AS g(i))",
        "SELECT 300::smallint::text || 99999::smallint",
        "SELECT 1e300::real, 1e30::bigint",
        "SELECT 'abc'::interval",
        "SELECT interval 'x days'",
        "SELECT to_timestamp('x')",
        "SELECT row_number() OVER (ROWS BETWEEN CURRENT ROW AND 1 PRECEDING)",
        "SELECT lag(1, 'x') OVER ()",
        "SELECT sqrt('x')",
        "SELECT abs(-9223372036854775808)",
        "SELECT factorial(100)",
        "SELECT encode('a', 'nope')",
        "SELECT split_part('a', 'b', 0)",
        "SELECT json_object('a')",
        "SELECT 1 LIMIT -1",
        "SELECT ntile(0) OVER ()",
        "SELECT 1 WHERE 'x'",
        "SELECT 1 ORDER BY 5",
        "SELECT 'x' COLLATE \"C\"",
        "SELECT 1 LIKE 2",
        "SELECT 'a' LIKE 'b' ESCAPE 'xx'",
        "SELECT -'a'",
        "SELECT unnest(1)",
        "SELECT * FROM unnest(1)",
        "SELECT * FROM generate_series('a', 'b')",
        "SELECT count(DISTINCT 1, 2)",
        "SELECT percentile_cont(2) WITHIN GROUP (ORDER BY 1)",
        "SELECT (VALUES (1, 2))",
        "SELECT 1 IN (SELECT 1, 2)",
        "SELECT max(max(1))",
        "SELECT 1 UNION SELECT 1, 2",
        "SELECT 1 UNION SELECT array[1]",
    ] {
        let Err(error) = f.try_rows(sql).await else { continue };
        let text = error.to_string();
        assert_ne!(error.kind(), ErrorKind::Internal, "{sql}: {error}");
        for word in ["bug", "Arrow", "DataFusion", "Compute error", "xecution error"] {
            assert!(!text.contains(word), "{sql}: {text}");
        }
    }
}
