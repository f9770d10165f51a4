//! Definitions: SQL's, files', and both at once.

use crate::testing::{Lab, source};
use millrace_error::ErrorKind;
use std::time::Duration;

fn file(name: &str, table: &str, more: &str) -> String {
    format!("name = '{name}'\ntable = '{table}'\n{more}[kafka]\nbrokers = 'scripted:1'\ntopic = 'topic'\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_tables_and_topics_are_checked() {
    let lab = Lab::new().await;
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    let kind = |result: Result<Option<String>, millrace_error::Error>| result.unwrap_err().kind();
    assert_eq!(kind(supervisor.create("t", source("s", "other")).await), ErrorKind::DuplicateObject);
    assert_eq!(kind(supervisor.create("t", source("s2", "topic")).await), ErrorKind::DuplicateObject);
    assert_eq!(kind(supervisor.create("no", source("s3", "topic")).await), ErrorKind::UnknownTable);
    let mut bad = source("s4", "other");
    bad.kafka.properties.insert("no.such.thing".into(), "1".into());
    assert_eq!(kind(supervisor.create("t", bad).await), ErrorKind::InvalidValue);
    assert_eq!(supervisor.drop_source("nobody").await.unwrap_err().kind(), ErrorKind::UnknownObject);
    assert_eq!(lab.family.view().manifest.sources.len(), 1);
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_source_leaves_its_positions_to_the_next() {
    let lab = Lab::new().await;
    lab.produce(0..10);
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.until("rows", || lab.rows() == 10).await;
    supervisor.drop_source("s").await.unwrap();
    assert!(supervisor.status().is_empty());
    lab.produce(10..14);
    supervisor.create("t", source("again", "topic")).await.unwrap();
    lab.until("only what is new", || lab.rows() == 14).await;
    assert_eq!(lab.mutable_ids(), (0..14).collect::<Vec<_>>());
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_outlives_a_restart() {
    let lab = Lab::new().await;
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    supervisor.pause("s").await.unwrap();
    supervisor.pause("s").await.unwrap();
    supervisor.stop().await;
    drop(supervisor);
    let lab = lab.reopen().await;
    let supervisor = lab.supervisor().await;
    lab.produce(0..2);
    lab.state(&supervisor, "s", "paused").await;
    assert!(supervisor.caught_up(), "a paused source keeps nobody waiting");
    assert_eq!(lab.rows(), 0);
    supervisor.resume("s").await.unwrap();
    lab.until("rows", || lab.rows() == 2).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_change_and_go() {
    let lab = Lab::new().await;
    let folder = lab.config().sources_dir;
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("s.toml");
    std::fs::write(&path, file("s", "t", "")).unwrap();
    std::fs::write(folder.join("bad.toml"), file("bad", "t", "on_eror = 'skip'\n")).unwrap();
    std::fs::write(folder.join("notes.txt"), "not a source").unwrap();
    lab.produce(0..2);
    let supervisor = lab.supervisor().await;
    lab.until("rows", || lab.rows() == 2).await;
    let bad = lab.state(&supervisor, "bad.toml", "failed").await;
    assert!(bad.error.unwrap().contains("on_error"), "the suggestion is shown");
    for refused in [supervisor.pause("s").await, supervisor.resume("s").await, supervisor.drop_source("s").await] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::WrongState);
    }
    std::fs::write(&path, file("s", "t", "on_error = 'skip'\n")).unwrap();
    lab.until("the change is committed", || {
        lab.family.view().manifest.sources["s"].def.on_error == millrace_schema::OnError::Skip
    })
    .await;
    lab.state(&supervisor, "s", "running").await;
    std::fs::remove_file(&path).unwrap();
    let report = lab.state(&supervisor, "s", "paused").await;
    assert!(report.error.unwrap().contains("gone"));
    lab.produce(2..4);
    std::fs::write(&path, file("s", "t", "")).unwrap();
    lab.until("rows again", || lab.rows() == 4).await;
    std::fs::remove_file(&path).unwrap();
    lab.state(&supervisor, "s", "paused").await;
    supervisor.drop_source("s").await.unwrap();
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_gives_way_to_sql_and_waits_for_its_table() {
    let lab = Lab::new().await;
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    let folder = lab.config().sources_dir;
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.toml"), file("s", "t", "")).unwrap();
    std::fs::write(folder.join("b.toml"), file("b", "later", "")).unwrap();
    std::fs::write(folder.join("c.toml"), file("b", "later", "")).unwrap();
    let report = lab.state(&supervisor, "a.toml", "failed").await;
    assert!(report.error.unwrap().contains("in SQL already"));
    let report = lab.state(&supervisor, "b.toml", "failed").await;
    assert!(report.error.unwrap().contains("does not exist"));
    lab.store
        .create_table(millrace_schema::TableDef { name: "later".into(), ..crate::testing::table() })
        .await
        .unwrap();
    lab.state(&supervisor, "b", "running").await;
    let report = lab.state(&supervisor, "c.toml", "failed").await;
    assert!(report.error.unwrap().contains("another file"));
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_bounded_and_final() {
    let lab = Lab::new().await;
    lab.produce(0..2);
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.until("rows", || lab.rows() == 2).await;
    let begun = lab.clock.monotonic();
    supervisor.stop().await;
    assert!(lab.clock.monotonic() - begun < Duration::from_secs(5));
    lab.produce(2..4);
    lab.clock.sleep(Duration::from_millis(200)).await;
    assert_eq!(lab.rows(), 2, "nothing is read after a stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_takes_its_sources_along() {
    let lab = Lab::new().await;
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    supervisor.stop_table("t").await;
    lab.store.drop_table("t").await.unwrap();
    assert!(supervisor.status().is_empty());
    lab.store.create_table(crate::testing::table()).await.unwrap();
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.state(&supervisor, "s", "running").await;
    supervisor.stop().await;
}
