//! The bounds of the parser: nesting, time, and no panic on any text.

use super::*;
use proptest::prelude::*;

#[test]
fn nesting_has_a_limit_and_no_stack_overflows() {
    for sql in [
        format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT {}", "(SELECT ".repeat(5_000)),
        format!("SELECT 1{}", " + 1".repeat(100_000)),
        format!("SELECT 1{}", "::int".repeat(100_000)),
        format!("SELECT * FROM t WHERE a{}", " OR a".repeat(100_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(100_000)),
        format!("SELECT {} true", "NOT ".repeat(100_000)),
        format!("SELECT {} 1", "- ".repeat(3_000)),
        format!("SELECT * FROM {}t", "(".repeat(3_000)),
        format!("SELECT a IS NULL{}", " IS NULL".repeat(100_000)),
        format!("SELECT {}1{}", "(".repeat(20), format!("{})", " + 1".repeat(900)).repeat(20)),
    ] {
        let error = refused(&sql);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{}: {error:?}", &sql[..40]);
    }
    let deep = format!("CREATE TABLE t (a int DEFAULT {}1{})", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(refused(&deep).kind(), ErrorKind::TooLarge);
    for fine in [
        format!("SELECT 1{}", " + 1".repeat(990)),
        format!("SELECT {}1{}", "(".repeat(30), ")".repeat(30)),
        format!("SELECT * FROM t WHERE a IN ({}1)", "1, ".repeat(100_000)),
        format!("VALUES (1){}", ", (1 + 1)".repeat(20_000)),
        format!("SELECT * FROM t WHERE a = 1{}", " OR (a = 2)".repeat(400)),
    ] {
        let parsed = parse(&fine).unwrap_or_else(|e| panic!("{}: {e:?}", &fine[..40]));
        assert_eq!(format!("{:?}", parsed.clone()).len(), format!("{parsed:?}").len());
    }
}

/// Whether parsing ends soon; it goes on in the background where it does not.
fn ends_soon(sql: String) -> bool {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(parse(&sql).is_ok()));
    told.recv_timeout(Duration::from_secs(20)).is_ok()
}

#[test]
fn no_text_takes_exponential_time() {
    for part in [
        "(",
        "f(",
        "ARRAY[",
        "CASE ",
        "CASE WHEN ",
        "EXISTS (",
        "a IN (",
        "interval ",
        "date ",
        "CAST (",
        "NOT (",
        "- (",
        "a[",
        "EXTRACT (",
        "f(a => ",
        "ROW (",
        "(SELECT ",
        "a BETWEEN (",
        "POSITION (",
        "TRIM (",
        "OVERLAY (",
        "x::int[",
        "{",
        "f(DISTINCT ",
    ] {
        assert!(ends_soon(format!("SELECT {}", part.repeat(150))), "{part}");
        assert!(ends_soon(format!("SELECT {}", part.repeat(60))), "{part}");
    }
    for part in ["(", "a JOIN (", "(SELECT * FROM ", "LATERAL (", "f(", "(VALUES (", "(WITH a AS ("] {
        assert!(ends_soon(format!("SELECT * FROM {}", part.repeat(150))), "{part}");
        assert!(ends_soon(format!("SELECT * FROM {}", part.repeat(60))), "{part}");
    }
    assert!(ends_soon("WITH a AS (".repeat(150)));
    let deep = format!("SELECT {}x{}", "coalesce(".repeat(30), ", 1)".repeat(30));
    assert!(parse(&deep).is_ok(), "{:?}", parse(&deep));
    let deep = format!("SELECT {}x{}", "CAST(".repeat(30), " AS int)".repeat(30));
    assert!(parse(&deep).is_ok(), "{:?}", parse(&deep));
    let deep = format!("SELECT {}x{}", "CASE WHEN a THEN ".repeat(20), " END".repeat(20));
    assert!(parse(&deep).is_ok(), "{:?}", parse(&deep));
}

/// Every answer of the dialect is PostgreSQL's, but the one given up.
#[test]
fn the_bounded_dialect_reads_what_postgresql_s_does() {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;
    for sql in [
        "SELECT a @> b, c -> 'd' ->> 'e', f #> '{g}' FROM t WHERE x ~* 'y' AND z NOTNULL",
        "SELECT count(*) FILTER (WHERE a) FROM t GROUP BY GROUPING SETS ((a), (b), ())",
        "SELECT extract('epoch' FROM a), a COLLATE \"C\", 1 # 2, 5!, 1_000, (ARRAY[1, 2])[1:2]",
        "SELECT t.* FROM t, LATERAL (SELECT 1) x ORDER BY 1 NULLS FIRST LIMIT 5 OFFSET 2 ROWS",
        "SELECT a OPERATOR(pg_catalog.~) 'x', interval '1' day, f(x => 1), f(x := 2), TRIM(a, b) FROM t AS x(y)",
        "SELECT DISTINCT ON (a) a FROM t WHERE (a, b) IN (SELECT 1, 2) OR a LIKE 'x' ESCAPE '/'",
        "SELECT FROM t",
    ] {
        let theirs = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().pop().unwrap();
        let Parsed::Query { statement, .. } = one(sql) else { panic!("{sql}") };
        assert_eq!(statement.to_string(), theirs.to_string());
        // Named arguments come as another node of the same meaning.
        assert!(sql.contains("=>") || *statement == theirs, "{sql}");
    }
}

/// Statements to mutate.
const SEEDS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS t (a int NOT NULL DEFAULT -1, b numeric(10,2), c timestamptz) WITH (time_column = 'c', sort_by = 'a, c')",
    "CREATE SOURCE s TO t FROM KAFKA (brokers = 'x', topic = 'y', 'a.b' = 'c') FORMAT JSON (a = '$.b[0]') WITH (on_error = 'skip')",
    "SELECT a, count(*) FROM t WHERE b BETWEEN $1 AND $2 GROUP BY 1 HAVING sum(c) > 1 ORDER BY 2 DESC LIMIT 5; SEAL TABLE t",
    "SET LOCAL TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE; SHOW ALL; DROP TABLE IF EXISTS a, b CASCADE; BEGIN READ ONLY",
    "EXPLAIN (ANALYZE, VERBOSE off) WITH a AS (SELECT E'\\x41', U&'\\0041', $$x$$, \"q\") SELECT * FROM a JOIN b USING (c)",
];

fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("'"),
        Just("\""),
        Just("$$"),
        Just("("),
        Just(")"),
        Just(";"),
        Just("é"),
        Just("\\"),
        Just("--"),
        Just("/*"),
        Just("::"),
        Just(","),
        Just("\n"),
        Just("\0"),
        Just(" NULL "),
        Just("U&'\\"),
        Just("E'\\u"),
        Just("$1"),
        Just("0x"),
        Just("1e"),
        Just("[]"),
        Just("."),
        Just("😀"),
        Just("\r"),
        Just(" AS "),
        Just("B'"),
        Just("X'"),
        Just("=")
    ];
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), 0usize..6, piece), 0..6);
    (prop::sample::select(SEEDS), edits).prop_map(|(seed, edits)| {
        let mut chars: Vec<char> = seed.chars().collect();
        for (index, remove, insert) in edits {
            let at = index.index(chars.len() + 1);
            let end = (at + remove).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn mutated_statements_never_panic(sql in mutated()) {
        if let Err(error) = parse(&sql) {
            let position = error.position();
            prop_assert!(position.is_some_and(|p| p >= 1 && p <= sql.chars().count() + 1), "{:?} {:?}", sql, error);
            prop_assert!(error.kind() != ErrorKind::Internal);
        }
    }

    #[test]
    fn random_text_never_panics(sql in ".{0,120}") {
        if let Err(error) = parse(&sql) {
            prop_assert!(error.position().is_some_and(|p| p >= 1 && p <= sql.chars().count() + 1), "{:?} {:?}", sql, error);
        }
    }
}
