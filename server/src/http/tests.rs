//! The door from outside: real connections to a server over an empty store.

use super::*;
use crate::metrics::Metrics;
use async_trait::async_trait;
use millrace_error::Result;
use millrace_schema::SourceDef;
use millrace_sql::{CreatedSource, EngineConfig, SourceStatus};
use millrace_storage::StoreConfig;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug)]
struct NoSources;

#[async_trait]
impl SourceControl for NoSources {
    async fn create(&self, _: &str, _: SourceDef) -> Result<CreatedSource> {
        Err(Error::internal("no sources in this test"))
    }
    async fn drop_source(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn stop_table(&self, _: &str) {}
    async fn pause(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn resume(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn status(&self) -> Vec<SourceStatus> {
        Vec::new()
    }
}

struct Door {
    address: SocketAddr,
    readiness: Readiness,
    stop: CancellationToken,
    store: Arc<Store>,
    _dir: tempfile::TempDir,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

async fn door(connections: usize) -> Door {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Store::open(StoreConfig::new(dir.path(), 256 << 20), clock.clone()).await.unwrap();
    let sources: Arc<dyn SourceControl> = Arc::new(NoSources);
    let handle = tokio::runtime::Handle::current();
    let engine =
        Engine::new(Arc::clone(&store), Arc::clone(&sources), handle, EngineConfig { parallelism: 2 }).unwrap();
    let (readiness, stop) = (Readiness::not_yet("catching up"), CancellationToken::new());
    let state = HttpState {
        engine,
        store: Arc::clone(&store),
        sources,
        metrics: Arc::new(Metrics::default()),
        readiness: readiness.clone(),
        clock,
        stop: stop.clone(),
        config: Arc::new(HttpConfig { connections, body_bytes: 4_096, hosts: vec!["db.example".to_owned()] }),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, state));
    Door { address, readiness, stop, store, _dir: dir }
}

async fn raw(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() };
    Reply { status, head: head.to_owned(), body }
}

fn unchunked(mut body: &str) -> String {
    let mut out = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&rest[..size]);
        body = &rest[size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}

async fn query(door: &Door, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let request = format!(
        "POST /v1/query HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    raw(door.address, &request).await
}

async fn get_path(door: &Door, path: &str, host: &str) -> Reply {
    raw(door.address, &format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics() {
    let door = door(8).await;
    assert_eq!(get_path(&door, "/healthz", "localhost").await.status, 200);
    let waiting = get_path(&door, "/readyz", "localhost").await;
    assert_eq!((waiting.status, waiting.body.as_str()), (503, "catching up\n"));
    door.readiness.set(None);
    assert_eq!(get_path(&door, "/readyz", "db.example:80").await.status, 200);
    let metrics = get_path(&door, "/metrics", "127.0.0.1").await;
    assert!(metrics.body.contains("# TYPE millrace_query_seconds histogram"), "{}", metrics.body);
    for path in ["/v1/tables/t/rows", "/console"] {
        assert_eq!(get_path(&door, path, "localhost").await.status, 501, "{path}");
    }
    assert_eq!(get_path(&door, "/nowhere", "localhost").await.status, 404);
    assert_eq!(get_path(&door, "/v1/query", "localhost").await.status, 405);
    assert_eq!(get_path(&door, "/healthz", "evil.example").await.status, 403);
    door.stop.cancel();
    door.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_answers_rows_and_snapshot() {
    let door = door(8).await;
    let reply = query(&door, "content-type: text/plain\r\n", "CREATE TABLE t (a bigint)").await;
    assert_eq!((reply.status, reply.json()["command"].clone()), (200, Value::from("CREATE TABLE")), "{}", reply.body);
    let reply = query(&door, "", "SELECT count(*) AS n, 'x' AS s FROM t").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let document = reply.json();
    assert_eq!(document["rows"], serde_json::json!([[0, "x"]]));
    assert_eq!(document["columns"][0], serde_json::json!({ "name": "n", "type": "bigint" }));
    assert!(document["snapshot"]["t"]["version"].as_u64().is_some(), "{document}");
    assert!(reply.head.contains("millrace-snapshot: {\"t\":"), "{}", reply.head);
    let reply =
        query(&door, "content-type: application/json\r\n", r#"{"sql":"SELECT $1::bigint + 1 AS n","params":[41]}"#)
            .await;
    assert_eq!(reply.json()["rows"], serde_json::json!([[42]]), "{}", reply.body);
    let reply = query(&door, "accept: text/csv\r\n", "SELECT 1 AS a").await;
    assert_eq!(reply.body, "a\r\n1\r\n");
    door.stop.cancel();
    door.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_their_status_and_code() {
    let door = door(8).await;
    for (sql, status, code) in [
        ("SELEKT 1", 400, "42601"),
        ("SELECT * FROM nowhere", 404, "42P01"),
        ("", 400, "42601"),
        ("SELECT 1; SELECT 2", 400, "42601"),
    ] {
        let reply = query(&door, "", sql).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].clone()),
            (status, Value::from(code)),
            "{sql}: {}",
            reply.body
        );
    }
    let reply = query(&door, "", &format!("SELECT '{}'", "x".repeat(5_000))).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (413, Value::from("54000")));
    let reply = query(&door, "origin: http://evil.example\r\n", "SELECT 1").await;
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (403, Value::from("42501")));
    let reply = query(&door, "content-type: application/json\r\n", "{").await;
    assert_eq!(reply.status, 400);
    door.stop.cancel();
    door.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told_to_come_back() {
    let door = door(1).await;
    let idle = TcpStream::connect(door.address).await.unwrap();
    Clock::system().sleep(Duration::from_millis(100)).await;
    let reply = get_path(&door, "/healthz", "localhost").await;
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (429, Value::from("53300")));
    drop(idle);
    Clock::system().sleep(Duration::from_millis(100)).await;
    assert_eq!(get_path(&door, "/healthz", "localhost").await.status, 200);
    door.stop.cancel();
    door.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_tells_a_query_under_way() {
    let door = door(8).await;
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let asked = query(&door, "", endless);
    let stop = async {
        Clock::system().sleep(Duration::from_millis(200)).await;
        door.stop.cancel();
    };
    let (reply, ()) = tokio::join!(asked, stop);
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (503, Value::from("57P01")), "{}", reply.body);
    door.store.close().await;
}
