//! Commands against a real store; sources are a double, since Kafka is not known here.

use super::*;
use crate::control::{CreatedSource, SourceStatus};
use crate::parse::{Parsed, parse};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use futures::StreamExt;
use millrace_clock::Clock;
use millrace_schema::SourceDef;
use millrace_storage::StoreConfig;
use millrace_storage::manifest::Op;
use std::sync::Mutex;

/// Commits sources as `ingest` does, starts nothing, and remembers what it was told.
#[derive(Debug)]
struct Sources {
    store: Arc<Store>,
    calls: Mutex<Vec<String>>,
}

impl Sources {
    fn call(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }

    fn known(&self, name: &str) -> Result<()> {
        let found = self.status().iter().any(|s| s.name == name);
        if found { Ok(()) } else { Err(Error::new(ErrorKind::UnknownObject, "no such source")) }
    }
}

#[async_trait]
impl SourceControl for Sources {
    async fn create(&self, table: &str, source: SourceDef) -> Result<CreatedSource> {
        self.call(format!("create {} on {table}", source.name));
        self.store.family(table).unwrap().commit("source", vec![Op::PutSource(source)]).await?;
        Ok(CreatedSource { warning: Some("broker b:9092 is away".to_owned()) })
    }

    async fn drop_source(&self, name: &str) -> Result<()> {
        self.known(name)?;
        let table = self.status().iter().find(|s| s.name == name).unwrap().table.clone();
        self.store.family(&table).unwrap().commit("source", vec![Op::RemoveSource(name.to_owned())]).await?;
        Ok(())
    }

    async fn stop_table(&self, table: &str) {
        self.call(format!("stop {table}"));
    }

    async fn pause(&self, name: &str) -> Result<()> {
        self.call(format!("pause {name}"));
        self.known(name)
    }

    async fn resume(&self, name: &str) -> Result<()> {
        self.call(format!("resume {name}"));
        self.known(name)
    }

    fn status(&self) -> Vec<SourceStatus> {
        let mut all = Vec::new();
        for (table, family) in self.store.families() {
            for (name, state) in family.view().manifest.sources.iter() {
                all.push(SourceStatus {
                    name: name.clone(),
                    table: table.clone(),
                    state: "waiting",
                    error: Some("broker b:9092 is away".to_owned()),
                    def: state.def.clone(),
                    unknown_fields: 0,
                    partitions: Vec::new(),
                });
            }
        }
        all
    }
}

struct Fixture {
    store: Arc<Store>,
    sources: Arc<Sources>,
    settings: Settings,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::new(dir.path(), 1 << 30), Clock::system()).await.unwrap();
        let sources = Arc::new(Sources { store: Arc::clone(&store), calls: Mutex::default() });
        Self { store, sources, settings: Settings::new(), _dir: dir }
    }

    async fn run(&mut self, sql: &str) -> Result<Answer> {
        let sources: Arc<dyn SourceControl> = self.sources.clone();
        let ctx = CommandContext { store: &self.store, sources: &sources };
        let Some(Parsed::Command(command)) = parse(sql)?.pop() else { panic!("{sql} is no command") };
        let columns = command_columns(&command, &self.settings)?;
        let answer = run_command(command, &ctx, &mut self.settings).await?;
        match &answer.body {
            Body::Rows { schema, .. } => assert_eq!(columns.as_ref(), Some(schema)),
            Body::Command(_) => assert!(columns.is_none()),
        }
        Ok(answer)
    }

    /// The tag and the notices.
    async fn tag(&mut self, sql: &str) -> (String, Vec<String>) {
        let answer = self.run(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let Body::Command(tag) = answer.body else { panic!("{sql} answers rows") };
        (tag, answer.notices.into_iter().map(|n| format!("{} {} {}", n.severity, n.code, n.message)).collect())
    }

    async fn rows(&mut self, sql: &str) -> RecordBatch {
        let answer = self.run(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let Body::Rows { mut rows, tag: "SHOW", .. } = answer.body else { panic!("{sql} answers no rows") };
        rows.next().await.unwrap().unwrap()
    }

    async fn refused(&mut self, sql: &str, kind: ErrorKind, at: usize) -> Error {
        let error = self.run(sql).await.expect_err(sql);
        assert_eq!((error.kind(), error.position()), (kind, Some(at)), "{sql}: {error:?}");
        error
    }
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    batch.column_by_name(column).unwrap().as_string_view().value(row).to_owned()
}

const TABLE: &str = "CREATE TABLE wiki (\"countryName\" text DEFAULT 'it''s', time timestamptz NOT NULL, n numeric(10,2)) \
                     WITH (time_column = 'time', partition_by = 'hour, bucket(4, n)', sort_by = 'countryName, time')";
const SOURCE: &str = "CREATE SOURCE s TO wiki FROM KAFKA (brokers = 'b:9092', topic = 'w', 'sasl.password' = 'hunter2', \
                      'ssl.key.password' = 'env:PW', 'fetch.min.bytes' = '5') FORMAT JSON (n = '$.a.b') WITH (time_unit = 'ms')";

#[tokio::test(flavor = "multi_thread")]
async fn tables_come_and_go() {
    let mut f = Fixture::new().await;
    assert_eq!(f.tag(TABLE).await, ("CREATE TABLE".to_owned(), vec![]));
    assert_eq!(f.run(TABLE).await.unwrap_err().kind(), ErrorKind::DuplicateTable);
    let again = f.tag("CREATE TABLE IF NOT EXISTS wiki (a int)").await;
    assert_eq!(again.1, ["NOTICE 42P07 relation \"wiki\" already exists, skipping"]);
    let tables = f.rows("SHOW TABLES").await;
    assert_eq!(tables.num_rows(), 2);
    assert_eq!(
        (text(&tables, "name", 1), text(&tables, "kind", 1)),
        ("wiki_dead_letters".into(), "dead_letters".into())
    );
    assert_eq!(tables.column_by_name("rows").unwrap().as_primitive::<Int64Type>().value(0), 0);
    assert_eq!(f.tag("SEAL TABLE wiki").await.0, "SEAL TABLE");
    assert_eq!(f.tag("SEAL TABLE public.wiki_dead_letters").await.0, "SEAL TABLE");
    let unknown = f.refused("SEAL TABLE wikki", ErrorKind::UnknownTable, 12).await;
    assert_eq!(unknown.hint_text(), Some("did you mean \"wiki\"?"));
    f.refused("DROP TABLE system.parts", ErrorKind::Denied, 12).await;
    f.refused("DROP TABLE wiki_dead_letters", ErrorKind::Dependent, 12).await;
    f.refused("DROP TABLE wiki, nothing", ErrorKind::UnknownTable, 18).await;
    assert!(f.store.family("wiki").is_some());
    let dropped = f.tag("DROP TABLE IF EXISTS wiki, nothing").await;
    assert_eq!(dropped.1, ["NOTICE 00000 table \"nothing\" does not exist, skipping"]);
    assert!(f.store.family("wiki").is_none());
    assert_eq!(*f.sources.calls.lock().unwrap(), ["stop wiki"]);
    f.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_come_and_go() {
    let mut f = Fixture::new().await;
    f.refused(SOURCE, ErrorKind::UnknownTable, 20).await;
    f.tag(TABLE).await;
    let at = SOURCE.find("(n = ").unwrap() + 2;
    let unknown = f.refused(&SOURCE.replace("(n = ", "(m = "), ErrorKind::UnknownColumn, at).await;
    assert!(unknown.message().contains("\"m\""));
    let dead = SOURCE.replace("wiki", "wiki_dead_letters");
    f.refused(&dead, ErrorKind::Denied, 20).await;
    assert_eq!(f.tag(SOURCE).await, ("CREATE SOURCE".into(), vec!["WARNING 01000 broker b:9092 is away".into()]));
    f.refused(SOURCE, ErrorKind::DuplicateObject, 15).await;
    let again = f.tag(&SOURCE.replace("SOURCE s", "SOURCE IF NOT EXISTS s")).await;
    assert_eq!(again.1, ["NOTICE 42710 source \"s\" already exists, skipping"]);
    let sources = f.rows("SHOW SOURCES").await;
    assert_eq!((text(&sources, "name", 0), text(&sources, "state", 0)), ("s".into(), "waiting".into()));
    assert_eq!(f.tag("ALTER SOURCE s PAUSE").await.0, "ALTER SOURCE");
    assert_eq!(f.tag("ALTER SOURCE s RESUME").await.0, "ALTER SOURCE");
    let unknown = f.refused("ALTER SOURCE ss PAUSE", ErrorKind::UnknownObject, 14).await;
    assert_eq!(unknown.hint_text(), Some("did you mean \"s\"?"));
    let dependent = f.refused("DROP TABLE wiki", ErrorKind::Dependent, 12).await;
    assert_eq!(dependent.detail_text(), Some("source s depends on table wiki"));
    assert_eq!(f.tag("DROP SOURCE s").await.0, "DROP SOURCE");
    f.refused("DROP SOURCE s", ErrorKind::UnknownObject, 13).await;
    assert_eq!(f.tag("DROP SOURCE IF EXISTS s").await.1, ["NOTICE 00000 source \"s\" does not exist, skipping"]);
    f.tag(SOURCE).await;
    assert_eq!(f.tag("DROP TABLE wiki CASCADE").await.1, ["NOTICE 00000 drop cascades to source s"]);
    assert!(f.store.family("wiki").is_none() && f.sources.status().is_empty());
    f.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_shown_without_secrets_and_can_be_run_again() {
    let mut f = Fixture::new().await;
    f.tag(TABLE).await;
    f.tag(SOURCE).await;
    let table = text(&f.rows("SHOW CREATE TABLE wiki").await, "create_table", 0);
    let def = f.store.family("wiki").unwrap().view().table(millrace_schema::TableId::BASE).unwrap().clone();
    let Some(Parsed::Command(Command::CreateTable { def: again, .. })) = parse(&table).unwrap().pop() else { panic!() };
    assert_eq!(*again, *def, "{table}");
    let source = text(&f.rows("SHOW CREATE SOURCE s").await, "create_source", 0);
    assert!(!source.contains("hunter2") && source.contains("'sasl.password' = '***'"), "{source}");
    assert!(source.contains("'env:PW'") && source.contains("'fetch.min.bytes' = '5'"), "{source}");
    assert!(matches!(parse(&source).unwrap().pop(), Some(Parsed::Command(Command::CreateSource(_)))));
    assert!(
        text(&f.rows("SHOW CREATE TABLE wiki_dead_letters").await, "create_table", 0).contains("record_offset bigint")
    );
    f.refused("SHOW CREATE SOURCE x", ErrorKind::UnknownObject, 20).await;
    f.refused("SHOW CREATE TABLE x", ErrorKind::UnknownTable, 19).await;
    f.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_set_and_shown() {
    let mut f = Fixture::new().await;
    assert_eq!(f.tag("SET TIME ZONE 'Asia/Tokyo'").await.0, "SET");
    let shown = f.rows("SHOW timezone").await;
    assert_eq!(text(&shown, "TimeZone", 0), "Asia/Tokyo");
    assert_eq!(f.tag("RESET timezone").await.0, "RESET");
    assert_eq!(text(&f.rows("SHOW TIME ZONE").await, "TimeZone", 0), "UTC");
    let all = f.rows("SHOW ALL").await;
    assert!(all.num_rows() > 20 && all.num_columns() == 3 && all.column(0).null_count() == 0);
    let unknown = f.refused("SET millrace.wait_fro = 'x'", ErrorKind::UnknownObject, 5).await;
    assert_eq!(unknown.hint_text(), Some("did you mean millrace.wait_for?"));
    f.refused("SHOW tabels", ErrorKind::UnknownObject, 6).await;
    f.refused("SET statement_timeout = 'x'", ErrorKind::InvalidValue, 5).await;
    assert_eq!(f.tag("BEGIN").await.0, "BEGIN");
    assert_eq!(f.tag("BEGIN").await.1, ["WARNING 25001 there is already a transaction in progress"]);
    assert_eq!(f.tag("COMMIT").await.0, "COMMIT");
    assert_eq!(f.tag("DISCARD ALL").await.0, "DISCARD ALL");
    assert_eq!(f.tag("SET TRANSACTION READ ONLY").await.0, "SET");
    f.store.close().await;
}
