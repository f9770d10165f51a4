//! The doors as users meet them: psql, HTTP, signals, a second server.

use millrace_tests::{Kafka, Server, ServerOptions, http};
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn psql_talks_sql() {
    let server = Server::start().await;
    let (ok, out, err) = server.psql(&[
        "-At",
        "-c",
        "CREATE TABLE t (a bigint, b text) WITH (sort_by = 'a')",
        "-c",
        "SHOW TABLES",
        "-c",
        "SELECT 1 + 1, 'x'",
    ]);
    assert!(ok, "{err}");
    assert!(out.contains("CREATE TABLE") && out.contains('t') && out.contains("2|x"), "{out}");
    let (ok, _, err) = server.psql(&["-v", "VERBOSITY=verbose", "-c", "SELECT * FROM tt"]);
    assert!(!ok && err.contains("42P01"), "{err}");
    let (_, _, err) = server.psql(&["-v", "VERBOSITY=verbose", "-c", "SELEC 1"]);
    assert!(err.contains("42601") && err.contains("LINE 1: SELEC 1"), "{err}");
    let (_, _, err) = server.psql(&["-v", "VERBOSITY=verbose", "-c", "SELECT 1 / 0"]);
    assert!(err.contains("22012"), "{err}");
    let (ok, out, err) = server.psql(&["-At", "-c", "EXPLAIN SELECT a FROM t WHERE a = 1"]);
    assert!(ok && out.contains("Parts: 0/0"), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_cancelled_wherever_it_is() {
    let server = Server::start().await;
    let client = server.connect().await;
    let cancel = client.cancel_token();
    let long = tokio::spawn(async move {
        let sql = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 3000000) b";
        client.simple_query(sql).await.map(|_| ()).map_err(|e| e.code().map(|c| c.code().to_owned()))
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert_eq!(long.await.unwrap(), Err(Some("57014".to_owned())));
    assert!(start.elapsed() < Duration::from_secs(1), "took {:?}", start.elapsed());
    // P-1: nothing of it goes on behind the client's back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = server.cpu_seconds();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let burnt = server.cpu_seconds() - before;
    assert!(burnt < 0.5, "{burnt} CPU-seconds in the second after");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_stream_and_portals_suspend() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let before = server.anonymous_rss();
    let rows = client.simple_query("SELECT value FROM generate_series(1, 300000)").await.unwrap();
    assert!(rows.len() > 300_000);
    let transaction = client.transaction().await.unwrap();
    let statement = transaction.prepare("SELECT value FROM generate_series(1, 1000000000)").await.unwrap();
    let portal = transaction.bind(&statement, &[]).await.unwrap();
    for i in 0..5i64 {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        assert_eq!(rows.len(), 10);
        assert_eq!(rows[0].get::<_, i64>(0), i * 10 + 1);
    }
    let grown = server.anonymous_rss().saturating_sub(before);
    assert!(grown < 256 << 20, "a suspended portal holds {} MiB", grown >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn http_answers_and_refuses() {
    let server = Server::start().await;
    let address = server.address("http");
    server.sql("CREATE TABLE h (id bigint NOT NULL, v double precision)").await;
    let query = |sql: &'static str| {
        let address = address.clone();
        async move { http::request(&address, "POST", "/v1/query", &[("Content-Type", "text/plain")], sql).await }
    };
    let answer = query("SELECT count(*) AS n, 'x' AS s FROM h").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["rows"], serde_json::json!([[0, "x"]]));
    assert_eq!(answer.json()["columns"][0], serde_json::json!({"name": "n", "type": "bigint"}));
    let snapshot: serde_json::Value = serde_json::from_str(answer.header("millrace-snapshot").unwrap()).unwrap();
    assert_eq!(snapshot["h"]["version"], 1);
    for (sql, status, code) in
        [("SELECT * FROM nope", 404, "42P01"), ("SELEC 1", 400, "42601"), ("SELECT 1/0", 400, "22012")]
    {
        let answer = http::request(&address, "POST", "/v1/query", &[("Content-Type", "text/plain")], sql).await;
        assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (status, Some(code)), "{sql}");
    }
    let foreign = http::request(&address, "POST", "/v1/query", &[("Origin", "http://evil.example")], "SELECT 1").await;
    assert_eq!(foreign.status, 403);
    let unknown = http::request(&address, "GET", "/healthz", &[("Host", "evil.example")], "").await;
    assert_eq!(unknown.status, 403);
    assert_eq!(http::request(&address, "GET", "/healthz", &[], "").await.status, 200);
    assert_eq!(http::request(&address, "GET", "/readyz", &[], "").await.status, 200);
    let metrics = http::request(&address, "GET", "/metrics", &[], "").await;
    assert!(String::from_utf8(metrics.body).unwrap().contains("# TYPE millrace_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_one_server_and_a_clean_end() {
    let mut server = Server::start().await;
    let second = Command::new(millrace_tests::server::binary())
        .args(["serve", "--pg", "off", "--http", "off", "--data-dir"])
        .arg(&server.dir)
        .output()
        .unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use"), "{said}");
    assert!(server.stop().await.success());
    assert!(!server.dir.join("addresses.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(millrace_tests::server::binary())
        .args(["serve", "--pg", "0.0.0.0:0", "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("until there is authentication"));
}

#[tokio::test(flavor = "multi_thread")]
async fn source_files_feed_tables_and_bad_ones_are_skipped() {
    let kafka = Kafka::shared();
    let topic = format!("files-{}", std::process::id());
    kafka.create_topic(&topic, 1, &[]).await;
    kafka.produce(&topic, ["{\"id\":1}", "{\"id\":2}"]);
    let mut server = Server::start().await;
    server.sql("CREATE TABLE f (id bigint)").await;
    server.stop().await;
    let folder = server.dir.join("sources.d");
    std::fs::create_dir_all(&folder).unwrap();
    let good = format!(
        "name = \"filed\"\ntable = \"f\"\n[kafka]\nbrokers = \"{}\"\ntopic = \"{topic}\"\n[format]\ntype = \"json\"\n",
        kafka.brokers()
    );
    std::fs::write(folder.join("good.toml"), good).unwrap();
    std::fs::write(folder.join("bad.toml"), "name = \"bad\"\ntabel = \"f\"\n").unwrap();
    server.restart_with(&ServerOptions::default()).await;
    server.until("SELECT count(*) FROM f", "2", Duration::from_secs(30)).await;
    assert_eq!(server.sql_error("DROP SOURCE filed").await.0, "55000");
    assert!(server.log_tail().contains("bad.toml") || server.one("SELECT count(*) FROM system.sources").await == "2");
    std::fs::remove_file(folder.join("good.toml")).unwrap();
    server.until("SELECT state FROM system.sources WHERE name = 'filed'", "paused", Duration::from_secs(30)).await;
}

/// The deepest statements the parser lets through must not overflow a stack: that would end the server.
#[tokio::test(flavor = "multi_thread")]
async fn deep_statements_are_answered_or_refused() {
    let server = Server::start().await;
    let nested = |n: usize| format!("{}SELECT 1 AS a{}", "SELECT a FROM (".repeat(n), ") z".repeat(n));
    let statements = [
        format!("SELECT 1{}", "+1".repeat(990)),
        format!("SELECT 1{}", "+1".repeat(5_000)),
        format!("SELECT 1 WHERE true{}", " AND true".repeat(990)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(300)),
        format!("SELECT {}1{}", "(".repeat(150), ")".repeat(150)),
        nested(40),
        nested(150),
        nested(1_000),
    ];
    for sql in statements {
        let start: String = sql.chars().take(40).collect();
        let answer = millrace_tests::server::rows(&server.connect().await, &sql).await;
        if let Err(error) = answer {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{start}…: {error}"));
            assert!(["54000", "42601"].contains(&error.code().code()), "{start}…: {error}");
        }
        assert_eq!(server.one("SELECT 1").await, "1", "alive after {start}…");
    }
}
