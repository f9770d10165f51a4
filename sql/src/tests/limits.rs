//! Bounds: memory, time, waiting, and what a cancelled query leaves behind (P-1).

use super::*;
use std::time::Duration;

/// Rows enough that sorting them does not fit the queries' share of this limit.
const TIGHT: u64 = 24 << 20;

async fn memory_returns(engine: &Engine) {
    for _ in 0..500 {
        if engine.query_memory() == 0 {
            return;
        }
        Clock::system().sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are still reserved", engine.query_memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_beyond_memory_ends_with_its_operators_name() {
    let mut f = Fixture::new(TIGHT).await;
    let sql = "SELECT i, repeat(i::text, 20) AS s FROM generate_series(1, 300000) AS g(i) ORDER BY s";
    let error = f.fails(sql).await;
    assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{error}");
    assert!(error.message().contains("ORDER BY") && error.message().contains("Sort"), "{error}");
    memory_returns(&f.engine).await;
    assert_eq!(f.rows("SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_leaves_nothing() {
    let mut f = Fixture::new(512 << 20).await;
    let sql = "SELECT i % 100000, count(*) FROM generate_series(1, 20000000) AS g(i) GROUP BY 1";
    let answer = f.answer(sql).await.unwrap();
    Clock::system().sleep(Duration::from_millis(100)).await;
    drop(answer);
    memory_returns(&f.engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_result_gives_way_to_ingestion() {
    let mut f = Fixture::new(512 << 20).await;
    let answer = f.answer("SELECT i FROM generate_series(1, 20000000) AS g(i)").await.unwrap();
    let Body::Rows { rows, .. } = answer.body else { panic!("no rows") };
    let memory = Arc::clone(f.engine.store().memory());
    let held = memory.charge_segment(memory.segments_limit() + 1);
    Clock::system().sleep(Duration::from_millis(6_500)).await;
    let last = rows.collect::<Vec<_>>().await.pop().unwrap();
    assert_eq!(last.unwrap_err().kind(), ErrorKind::OutOfMemory);
    drop(held);
    memory_returns(&f.engine).await;
    assert_eq!(f.rows("SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_ends_the_whole_stream() {
    let mut f = Fixture::new(512 << 20).await;
    f.rows("SET statement_timeout = '200ms'").await;
    let error =
        f.fails("SELECT count(*) FROM generate_series(1, 100000000) AS a(i), generate_series(1, 1000) AS b(j)").await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    memory_returns(&f.engine).await;
    f.rows("SET statement_timeout = 0").await;
    assert_eq!(f.rows("SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_waits_for_offsets() {
    let mut f = Fixture::fed(512 << 20).await;
    f.append(9, 0);
    f.rows("SET millrace.wait_timeout = '100ms'").await;
    f.rows("SET millrace.wait_for = '{\"src\":{\"events\":{\"0\":110}}}'").await;
    assert_eq!(f.rows("SELECT count(*) FROM t").await, ["9"]);
    f.rows("SET millrace.wait_for = '{\"src\":{\"events\":{\"0\":111}}}'").await;
    let error = f.fails("SELECT count(*) FROM t").await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(error.detail_text().unwrap().contains("110, wanted 111"), "{error:?}");
    f.rows("SET millrace.wait_timeout = '10s'").await;
    let statement = f.engine.parse("SELECT count(*) FROM t").unwrap().remove(0);
    let mut session = std::mem::replace(&mut f.session, f.engine.session());
    let waiting = tokio::spawn(async move { texts(session.run(&statement, Vec::new()).await.unwrap()).await.unwrap() });
    Clock::system().sleep(Duration::from_millis(30)).await;
    f.append(4, 0);
    assert_eq!(waiting.await.unwrap(), ["13"]);
    f.rows("SET millrace.wait_for = '{\"nope\":{\"events\":{\"0\":1}}}'").await;
    assert_eq!(f.fails("SELECT count(*) FROM t").await.kind(), ErrorKind::UnknownObject);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snapshot_is_reported_where_asked_for() {
    let mut f = Fixture::fed(512 << 20).await;
    f.append(1, 0);
    f.rows("SET millrace.report_snapshot = on").await;
    let answer = f.answer("SELECT count(*) FROM t").await.unwrap();
    assert_eq!(answer.notices.len(), 1);
    assert!(
        answer.notices[0].message.contains("\"offsets\":{\"src\":{\"events\":{\"0\":102}}}"),
        "{:?}",
        answer.notices
    );
}
