//! Answers: both lanes, snapshots, pruning, types, errors.

use super::*;
use crate::engine::StatementKind;
use crate::plan::Plan;
use crate::plan::Query;
use crate::query::{Prepared, execute, prepare_datafusion};
use crate::snapshot::Snapshot;
use crate::stream::Deadline;
use arrow::datatypes::DataType;

const MEMORY: u64 = 512 << 20;

/// The direct lane and DataFusion on one snapshot, whatever lies in chunks or parts.
#[tokio::test(flavor = "multi_thread")]
async fn both_lanes_agree() {
    let mut f = Fixture::fed(MEMORY).await;
    for round in 0..6 {
        f.append(100 * (round + 1), i64::try_from(round).unwrap() * 20);
        if round % 2 == 1 {
            f.family().seal().await.unwrap();
        }
        for sql in [
            "SELECT count(*) FROM t",
            "SELECT COUNT(*) AS c FROM public.t AS x",
            "select count(*) \"C\" from t_dead_letters d",
        ] {
            let statement = f.engine.parse(sql).unwrap().remove(0);
            let StatementKind::Query(query) = &statement.kind else { panic!("{sql}") };
            let (direct, datafusion) = both(&f.engine, query).await;
            assert_eq!(direct, datafusion, "{sql}");
        }
    }
    for other in [
        "SELECT count(*) FROM t WHERE n = 1",
        "SELECT count(*) FROM t LIMIT 0",
        "SELECT count(n) FROM t",
        "SELECT DISTINCT count(*) FROM t",
    ] {
        let StatementKind::Query(query) = f.engine.parse(other).unwrap().remove(0).kind else { panic!("{other}") };
        assert!(query.shape.is_none(), "{other}");
    }
}

async fn both(engine: &Arc<Engine>, query: &Arc<Query>) -> (Vec<String>, Vec<String>) {
    let snapshot = Arc::new(Snapshot::pin(engine.store(), &query.wanted));
    let direct = query.shape.clone().unwrap().over(&snapshot).unwrap();
    let (planned, permit) = prepare_datafusion(engine, query, &snapshot, Vec::new()).await.unwrap();
    let mut all = Vec::new();
    for prepared in [
        Prepared { plan: Plan::Direct(direct), permit: None },
        Prepared { plan: Plan::DataFusion(planned), permit: Some(permit) },
    ] {
        let deadline = Deadline::new(engine.store().clock(), None);
        let answer = execute(engine, prepared, Arc::clone(&snapshot), deadline).unwrap();
        let Body::Rows { schema, .. } = &answer.body else { panic!() };
        let mut lines = vec![format!("{:?}", schema.fields())];
        lines.extend(texts(answer).await.unwrap());
        all.push(lines);
    }
    let datafusion = all.pop().unwrap();
    (all.pop().unwrap(), datafusion)
}

/// Rows, dead letters and offsets of one answer belong together, while they move and while segments seal.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_of_one_snapshot() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(10, 0);
    let sql = "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM t_dead_letters), millrace_offsets('t')";
    let engine = Arc::clone(&f.engine);
    let reader = tokio::spawn(async move {
        let statement = engine.parse(sql).unwrap().remove(0);
        let mut session = engine.session();
        let mut last = 0;
        for _ in 0..60 {
            let answer = session.run(&statement, Vec::new()).await.unwrap();
            let named = answer.snapshot["t"].offsets["src"]["events"][&0];
            let row = texts(answer).await.unwrap().remove(0);
            let (rows, offsets) = row.split_once('|').unwrap();
            let rows: i64 = rows.parse().unwrap();
            assert_eq!(offsets, format!("{{\"src\":{{\"events\":{{\"0\":{named}}}}}}}"));
            assert_eq!(rows, named - 100);
            assert!(rows >= last, "went back from {last} to {rows}");
            last = rows;
        }
    });
    for round in 0..40 {
        f.append(50, round);
        if round % 8 == 0 {
            f.family().seal().await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    reader.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_lane_and_pruned_parts() {
    let mut f = Fixture::fed(MEMORY).await;
    for day in 0..4 {
        f.append(200, day * 24);
        f.family().seal().await.unwrap();
    }
    let plan = |rows: Vec<String>| rows.join("\n");
    let one = plan(f.rows("EXPLAIN SELECT sum(n) FROM t WHERE time >= '2015-09-13' AND time < '2015-09-14'").await);
    assert!(one.contains("Parts: 1/4") && one.contains("Lane: datafusion"), "{one}");
    let key = plan(f.rows("EXPLAIN SELECT sum(n) FROM t WHERE channel = 'zz'").await);
    assert!(key.contains("Parts: 0/4"), "{key}");
    let all = plan(f.rows("EXPLAIN ANALYZE SELECT channel, sum(n) FROM t GROUP BY channel").await);
    assert!(all.contains("Parts: 4/4") && all.contains("output_rows"), "{all}");
    let direct = plan(f.rows("EXPLAIN SELECT count(*) FROM t").await);
    assert!(direct.contains("Lane: direct") && direct.contains("Parts: 4/4"), "{direct}");
    assert_eq!(
        f.rows("SELECT count(*), sum(n) FROM t WHERE time >= '2015-09-13' AND time < '2015-09-14'").await,
        ["200|19900"]
    );
    assert_eq!(f.rows("SELECT count(*) FROM t WHERE channel IN ('#ch1', '#ch2') AND n < 100").await, ["80"]);
    assert_eq!(f.rows("SELECT min(channel), max(channel), min(time), max(n) FROM t").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_sql_works_as_postgres_has_it() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(20, 1);
    for (sql, expected) in [
        ("SELECT 1", vec!["1"]),
        ("SELECT sum(i) FROM generate_series(1, 1000) AS g(i)", vec!["500500"]),
        ("SELECT n FROM (VALUES (2), (NULL), (1)) v(n) ORDER BY n", vec!["1", "2", ""]),
        ("SELECT n FROM (VALUES (2), (NULL), (1)) v(n) ORDER BY n DESC", vec!["", "2", "1"]),
        ("SELECT n FROM t WHERE id = '00000000-0000-0000-0000-000000000007'", vec!["7"]),
        (
            "SELECT n FROM t WHERE id IN ('00000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-000000000004') ORDER BY 1",
            vec!["3", "4"],
        ),
        ("SELECT id::text FROM t WHERE n = 5", vec!["00000000-0000-0000-0000-000000000005"]),
        ("SELECT N, n FROM T WHERE n = 1", vec!["1|1"]),
        ("SELECT count(*) FROM t WHERE time > now()", vec!["0"]),
        ("SELECT date_trunc('hour', time) FROM t LIMIT 1", vec!["2015-09-12T01:00:00Z"]),
        ("WITH t AS (SELECT 5 AS x) SELECT x FROM t", vec!["5"]),
        ("SELECT current_database(), current_schema(), current_user", vec!["millrace|public|millrace"]),
        ("SELECT row_number() OVER (ORDER BY n) FROM t WHERE n < 2", vec!["1", "2"]),
        ("SELECT reason, source FROM t_dead_letters", vec!["invalid_json|src"]),
        ("SELECT NULL, timestamp '1500-01-01 00:00:00'", vec!["|1500-01-01T00:00:00"]),
    ] {
        assert_eq!(f.rows(sql).await, expected, "{sql}");
    }
    assert_eq!(
        f.columns("SELECT count(*), n + 1, n::text, max(n) AS m, n FROM t GROUP BY n").await,
        ["count", "?column?", "n", "m", "n"]
    );
    assert!(f.rows("SELECT version()").await[0].starts_with("PostgreSQL 14.19 "));
    let Body::Rows { schema, .. } = f.answer("SELECT row_number() OVER () , now() FROM t").await.unwrap().body else {
        panic!()
    };
    assert_eq!(schema.field(0).data_type(), &DataType::Int64);
    assert_eq!(schema.field(1).data_type().to_string(), "Timestamp(µs, \"UTC\")");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_kind_place_and_hint() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(3, 0);
    for (sql, kind, position) in [
        ("SELECT * FROM tt", ErrorKind::UnknownTable, Some(15)),
        ("SELECT nn FROM t", ErrorKind::UnknownColumn, Some(8)),
        ("SELECT  nosuch(n) FROM t", ErrorKind::UnknownFunction, None),
        ("SELECT 1 / 0", ErrorKind::DivisionByZero, None),
        ("SELECT n / (n - n) FROM t", ErrorKind::DivisionByZero, None),
        ("SELECT 'abc'::int", ErrorKind::InvalidText, None),
        ("SELECT 'x'::timestamptz", ErrorKind::InvalidTime, None),
        ("SELECT channel, count(*) FROM t", ErrorKind::Grouping, None),
        ("SELECT millrace_offsets('nope')", ErrorKind::UnknownTable, None),
        ("SELECT * FROM system.nope", ErrorKind::UnknownTable, Some(15)),
        ("SELECT * FROM other.t", ErrorKind::UnknownTable, Some(15)),
        ("SELECT n FROM t WHERE id = 'zz'", ErrorKind::InvalidText, None),
        ("SELECT n FROM t a, t b", ErrorKind::AmbiguousColumn, None),
        ("SELEC 1", ErrorKind::Syntax, Some(1)),
    ] {
        let error = f.fails(sql).await;
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        if position.is_some() {
            assert_eq!(error.position(), position, "{sql}: {error}");
        }
    }
    assert!(f.fails("SELECT * FROM tt").await.hint_text().unwrap().contains("\"t\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_described_and_bound() {
    let mut f = Fixture::fed(MEMORY).await;
    f.append(20, 0);
    let statement =
        f.engine.parse("SELECT n, $3 FROM t WHERE n < $1 AND id <> $4 ORDER BY n LIMIT $2").unwrap().remove(0);
    let described = f.session.describe(&statement, &[]).await.unwrap();
    let types = [DataType::Int64, DataType::Int64, DataType::Utf8View, DataType::FixedSizeBinary(16)];
    assert_eq!(described.parameters, types);
    let zero: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[0u8; 16]].iter()).unwrap());
    let parameters: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![10])),
        Arc::new(Int64Array::from(vec![2])),
        Arc::new(StringViewArray::from(vec!["p"])),
        zero,
    ];
    let answer = f.session.run(&statement, parameters).await.unwrap();
    let Body::Rows { schema, .. } = &answer.body else { panic!() };
    assert_eq!(Some(schema), described.columns.as_ref());
    assert_eq!(texts(answer).await.unwrap(), ["1|p", "2|p"]);
    let error = f.session.run(&statement, Vec::new()).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let hinted = f.session.describe(&statement, &[Some(DataType::Int32)]).await.unwrap();
    assert_eq!(hinted.parameters[0], DataType::Int32);
}

/// Parts that found no room in memory: DataFusion reads them, prunes inside them, and answers the same.
#[tokio::test(flavor = "multi_thread")]
async fn parts_out_of_memory_are_read_through_parquet() {
    let mut f = Fixture::fed(4 << 20).await;
    for day in 0..2 {
        f.append(20_000, day * 24);
        f.family().seal().await.unwrap();
    }
    f.append(10, 72);
    let filter = "channel = '#ch3' AND time >= '2015-09-13' AND n < 1000";
    let plan = f.rows(&format!("EXPLAIN SELECT sum(n) FROM t WHERE {filter}")).await.join("\n");
    assert!(plan.contains("Parts: 1/2 (0 in memory") && plan.contains("file_type=parquet"), "{plan}");
    assert!(plan.contains("predicate=") && plan.contains("pruning_predicate="), "{plan}");
    for (sql, expected) in [
        (format!("SELECT count(*), sum(n) FROM t WHERE {filter}"), vec!["101|49803"]),
        (
            "SELECT count(*), sum(n), min(time), max(channel) FROM t".to_owned(),
            vec!["40010|399980045|2015-09-12T00:00:00Z|#ch9"],
        ),
        (
            "SELECT id::text, time, channel FROM t WHERE n = 12345 ORDER BY time LIMIT 1".to_owned(),
            vec!["00000000-0000-0000-0000-000000003039|2015-09-12T00:00:00.012345Z|#ch5"],
        ),
        ("SELECT count(*) FROM t WHERE id = '00000000-0000-0000-0000-000000000007'".to_owned(), vec!["3"]),
        ("SELECT count(DISTINCT channel) FROM t WHERE time < '2015-09-13'".to_owned(), vec!["10"]),
        ("SELECT count(*), count(payload), min(reason) FROM t_dead_letters".to_owned(), vec!["3|3|invalid_json"]),
        ("SELECT n FROM t ORDER BY time DESC, n DESC LIMIT 2".to_owned(), vec!["9", "8"]),
    ] {
        assert_eq!(f.rows(&sql).await, expected, "{sql}");
    }
}
