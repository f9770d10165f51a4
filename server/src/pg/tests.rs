//! The door from outside: a real driver, and raw bytes, against an engine over an empty store.

use super::*;
use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use futures::TryStreamExt;
use millrace_error::{Error, Result};
use millrace_schema::SourceDef;
use millrace_sql::{CreatedSource, EngineConfig, SourceControl, SourceStatus};
use millrace_storage::{Store, StoreConfig};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Produces rows for minutes; cheap in memory.
const ENDLESS: &str = "SELECT value FROM generate_series(1, 100000000000)";
/// Works for minutes before its first row.
const SILENT: &str = "SELECT count(*) FROM generate_series(1, 100000000000) WHERE value % 7 = 3";

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
    port: u16,
    clock: Clock,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

async fn door(change: impl FnOnce(&mut PgConfig)) -> Door {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let store = Store::open(StoreConfig::new(dir.path(), 256 << 20), clock.clone()).await.unwrap();
    let handle = tokio::runtime::Handle::current();
    let engine = Engine::new(store, Arc::new(NoSources), handle, EngineConfig { parallelism: 2 }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let mut config = PgConfig { drain_timeout: Duration::from_millis(300), ..PgConfig::new(clock.clone()) };
    change(&mut config);
    let served = tokio::spawn(serve(listener, engine, config, stop.clone()));
    Door { port, clock, stop, served, _dir: dir }
}

impl Door {
    async fn try_client(&self, more: &str) -> Result<Client, tokio_postgres::Error> {
        let settings = format!("host=127.0.0.1 port={} user=millrace {more}", self.port);
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn client(&self) -> Client {
        self.try_client("").await.unwrap()
    }

    async fn raw(&self) -> Raw {
        Raw { stream: TcpStream::connect(("127.0.0.1", self.port)).await.unwrap(), buffer: BytesMut::new() }
    }
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().unwrap_or_else(|| panic!("{error:?}")).code()
}

/// A client that says exactly what it is told to.
struct Raw {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Raw {
    async fn start(&mut self, version: u32) -> String {
        let mut packet = BytesMut::new();
        packet.put_u32(version);
        packet.put_slice(b"user\0millrace\0\0");
        self.put(None, &packet).await;
        self.tags_until(b'Z').await
    }

    async fn put(&mut self, tag: Option<u8>, body: &[u8]) {
        let mut message = BytesMut::new();
        message.extend(tag);
        message.put_u32(u32::try_from(body.len() + 4).unwrap());
        message.put_slice(body);
        self.stream.write_all(&message).await.unwrap();
    }

    /// Tag and body; `None` at the end of the connection.
    async fn message(&mut self) -> Option<(u8, BytesMut)> {
        loop {
            if let Some([tag, l0, l1, l2, l3]) = self.buffer.first_chunk::<5>() {
                let (tag, length) = (*tag, usize::try_from(u32::from_be_bytes([*l0, *l1, *l2, *l3])).unwrap());
                if self.buffer.len() > length {
                    let frame = self.buffer.split_to(length + 1).split_off(5);
                    return Some((tag, frame));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// Tags up to `last` or the end, errors with their SQLSTATE.
    async fn tags_until(&mut self, last: u8) -> String {
        let mut tags = String::new();
        while let Some((tag, body)) = self.message().await {
            tags.push(char::from(tag));
            if tag == b'E' {
                let fields = String::from_utf8_lossy(&body).into_owned();
                let state = fields.split('\0').find_map(|f| f.strip_prefix('C')).unwrap_or_default();
                tags.push_str(&format!("({state})"));
            }
            if tag == last {
                break;
            }
        }
        tags
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_statements_are_answered_one_by_one() {
    let door = door(|_| {}).await;
    let client = door.client().await;
    let messages = client.simple_query("SELECT 1 AS a, NULL AS b; SELECT 'x' WHERE false; SELECT 2").await.unwrap();
    let mut shape = Vec::new();
    for message in &messages {
        match message {
            SimpleQueryMessage::Row(row) => shape.push(row.get(0).unwrap().to_owned()),
            SimpleQueryMessage::CommandComplete(count) => shape.push(format!("[{count}]")),
            _ => {}
        }
    }
    assert_eq!(shape, ["1", "[1]", "[0]", "2", "[1]"]);
    for empty in ["", ";", "-- ping", "/* x */ ;"] {
        assert!(client.simple_query(empty).await.is_ok(), "{empty:?}");
    }
    let error = client.simple_query("SELECT 1; SELECT * FROM missing; SELECT 2").await.unwrap_err();
    assert_eq!(code(&error), "42P01");
    assert!(error.as_db_error().unwrap().position().is_some());
    let error = client.simple_query("SELEC 1").await.unwrap_err();
    assert_eq!(code(&error), "42601");
    assert_eq!(code(&client.simple_query("SELECT 1/0").await.unwrap_err()), "22012");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prepared_statements_take_and_give_binary() {
    let door = door(|_| {}).await;
    let client = door.client().await;
    let sql = "SELECT $1::bigint + 1 AS a, $2::text || 'y' AS b, $3::double precision AS c, $4::boolean AS d";
    let types = [Type::INT8, Type::TEXT, Type::FLOAT8, Type::BOOL];
    let statement = client.prepare_typed(sql, &types).await.unwrap();
    assert_eq!(statement.params(), types);
    let row = client.query_one(&statement, &[&41i64, &"x", &2.5f64, &true]).await.unwrap();
    assert_eq!(row.get::<_, i64>("a"), 42);
    assert_eq!(row.get::<_, String>("b"), "xy");
    assert_eq!((row.get::<_, f64>("c"), row.get::<_, bool>("d")), (2.5, true));
    let row = client.query_one(&statement, &[&None::<i64>, &None::<&str>, &0f64, &None::<bool>]).await.unwrap();
    assert_eq!(row.get::<_, Option<i64>>(0), None);
    let total: i64 = client
        .query("SELECT value FROM generate_series(1, 100000)", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get::<_, i64>(0))
        .sum();
    assert_eq!(total, 5_000_050_000);
    assert_eq!(code(&client.prepare("SELECT * FROM missing").await.unwrap_err()), "42P01");
    assert!(client.query_one("SELECT 1", &[]).await.is_ok(), "the connection goes on after Sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_goes_on_where_it_was_suspended() {
    let door = door(|_| {}).await;
    let mut client = door.client().await;
    let transaction = client.transaction().await.unwrap();
    let statement = transaction.prepare("SELECT value FROM generate_series(1, 20000)").await.unwrap();
    let portal = transaction.bind(&statement, &[]).await.unwrap();
    let mut counts = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 7_000).await.unwrap();
        counts.push(rows.len());
        if rows.len() < 7_000 {
            break;
        }
    }
    assert_eq!(counts, [7_000, 7_000, 6_000]);
    assert!(transaction.query_portal(&portal, 1).await.unwrap().is_empty());
    transaction.commit().await.unwrap();
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(code(&client.batch_execute("SELECT * FROM missing").await.unwrap_err()), "42P01");
    assert_eq!(code(&client.batch_execute("SELECT 1").await.unwrap_err()), "25P02");
    client.batch_execute("ROLLBACK").await.unwrap();
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_work_and_the_connection_goes_on() {
    let door = door(|_| {}).await;
    let client = door.client().await;
    for sql in [ENDLESS, SILENT] {
        let token = client.cancel_token();
        let stream = client.simple_query_raw(sql).await.unwrap();
        let cancelled_at = async {
            door.clock.sleep(Duration::from_millis(300)).await;
            token.cancel_query(NoTls).await.unwrap();
            door.clock.monotonic()
        };
        let (ended, at) = tokio::join!(stream.try_for_each(|_| std::future::ready(Ok(()))), cancelled_at);
        let took = door.clock.monotonic() - at;
        assert_eq!(code(&ended.unwrap_err()), "57014", "{sql}");
        assert!(took < Duration::from_secs(2), "{sql}: {took:?}");
        assert!(client.simple_query("SELECT 1").await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_idle_and_running_sessions() {
    let door = door(|_| {}).await;
    let (idle, busy) = (door.client().await, door.client().await);
    let stream = busy.simple_query_raw(SILENT).await.unwrap();
    // A query that is still on its way when the server stops finds its session ended like an idle one.
    door.clock.sleep(Duration::from_millis(300)).await;
    let begun = door.clock.monotonic();
    door.stop.cancel();
    let ended = stream.try_for_each(|_| std::future::ready(Ok(()))).await;
    assert_eq!(code(&ended.unwrap_err()), "57P01");
    door.served.await.unwrap();
    assert!(door.clock.monotonic() - begun < Duration::from_secs(3));
    assert!(idle.simple_query("SELECT 1").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told() {
    let door = door(|config| {
        config.max_connections = 1;
        config.idle_timeout = Some(Duration::from_millis(400));
    })
    .await;
    assert_eq!(code(&door.try_client("dbname=other").await.err().unwrap()), "3D000");
    let client = door.client().await;
    assert_eq!(code(&door.try_client("").await.err().unwrap()), "53300");
    door.clock.sleep(Duration::from_millis(900)).await;
    assert!(client.is_closed(), "it idled too long");
    assert!(door.try_client("").await.is_ok(), "its place is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_messages() {
    let door = door(|config| config.message_bytes_max = 10_000).await;
    let mut raw = door.raw().await;
    raw.put(None, &80_877_103u32.to_be_bytes()).await;
    assert_eq!(raw.stream.read_u8().await.unwrap(), b'N');
    let greeting = raw.start(3 << 16 | 9_999).await;
    assert!(greeting.starts_with("vRS") && greeting.ends_with("KZ"), "{greeting}");
    // An error skips everything up to Sync, pipelined messages too; then all is well again.
    raw.put(Some(b'P'), b"s\0SELECT $1::bigint\0\0\x01\0\0\0\x14").await;
    raw.put(Some(b'B'), b"\0s\0\0\0\0\0\0\0").await;
    raw.put(Some(b'E'), b"\0\0\0\0\0").await;
    raw.put(Some(b'S'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "1E(08P01)Z");
    raw.put(Some(b'B'), b"\0s\0\0\0\0\x01\0\0\0\x02no\0\0").await;
    raw.put(Some(b'S'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "E(22P02)Z");
    raw.put(Some(b'B'), b"\0s\0\0\0\0\x01\0\0\0\x0242\0\0").await;
    raw.put(Some(b'D'), b"P\0").await;
    raw.put(Some(b'E'), b"\0\0\0\0\0").await;
    raw.put(Some(b'S'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "2TDCZ");
    // A malformed body is an error, no more.
    raw.put(Some(b'B'), b"\0s\0\0\x09").await;
    raw.put(Some(b'S'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "E(08P01)Z");
    raw.put(Some(b'E'), b"none\0\0\0\0\0").await;
    raw.put(Some(b'S'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "E(34000)Z");
    raw.put(Some(b'Q'), b"DEALLOCATE s\0").await;
    assert_eq!(raw.tags_until(b'Z').await, "CZ");
    raw.put(Some(b'Q'), &[b' '; 20_000]).await;
    assert_eq!(raw.tags_until(b'Z').await, "E(54000)", "too large: the connection ends");
    let mut raw = door.raw().await;
    raw.start(3 << 16).await;
    raw.put(Some(b'!'), b"").await;
    assert_eq!(raw.tags_until(b'Z').await, "E(08P01)");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_ends_its_query() {
    let door = door(|config| config.max_connections = 1).await;
    let mut raw = door.raw().await;
    raw.start(3 << 16).await;
    raw.put(Some(b'Q'), format!("{SILENT}\0").as_bytes()).await;
    door.clock.sleep(Duration::from_millis(200)).await;
    drop(raw);
    // The place is only free once the session is over.
    for _ in 0..30 {
        if door.try_client("").await.is_ok() {
            return;
        }
        door.clock.sleep(Duration::from_millis(100)).await;
    }
    panic!("the query of a client that left still runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_up_settings_are_applied() {
    let door = door(|_| {}).await;
    let client =
        door.try_client("application_name=it's options='-c millrace.wait_timeout=3s -c nonsense.x=1'").await.unwrap();
    let shown = |name: &str| format!("SHOW {name}");
    let value = |messages: Vec<SimpleQueryMessage>| {
        messages.iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    };
    assert_eq!(value(client.simple_query(&shown("application_name")).await.unwrap()).as_deref(), Some("it's"));
    assert_eq!(value(client.simple_query(&shown("millrace.wait_timeout")).await.unwrap()).as_deref(), Some("3s"));
}
