//! The pipeline over the scripted broker and a real store.

use crate::testing::{Lab, source};
use millrace_schema::{OnError, OnGap, StartPosition};

const RUNTIME: &str = "runs on several threads: the pipeline blocks on commits from its own";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_a_row_or_a_dead_letter_once() {
    let lab = Lab::new().await;
    lab.produce(0..1_000);
    lab.broker.push("topic", 0, 1, b"nonsense".to_vec());
    lab.broker.push("topic", 1, 1, None);
    lab.broker.push_hole("topic", 0, 3);
    let supervisor = lab.supervisor().await;
    assert_eq!(supervisor.create("t", source("s", "topic")).await.unwrap(), None, "{RUNTIME}");
    lab.until("all visible", || lab.rows() == 1_000 && lab.dead_letters() == 2).await;
    lab.until("position passes the hole", || lab.family.view().offsets()["s"]["topic"][&0] == 504).await;
    assert_eq!(lab.family.view().offsets()["s"]["topic"][&1], 501);
    assert_eq!(lab.mutable_ids(), (0..1_000).collect::<Vec<_>>());
    lab.family.seal().await.unwrap();
    lab.until("lag tools hear of it", || lab.broker.committed("topic", 0) == Some(504)).await;
    lab.until("caught up", || supervisor.caught_up()).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_reads_again_exactly_what_was_not_sealed() {
    let lab = Lab::new().await;
    lab.produce(0..100);
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.until("first hundred", || lab.rows() == 100).await;
    lab.family.seal().await.unwrap();
    lab.produce(100..150);
    lab.until("fifty more", || lab.rows() == 150).await;
    supervisor.stop().await;
    drop(supervisor);
    let lab = lab.reopen().await;
    assert_eq!(lab.rows(), 100, "unsealed rows are gone until read again");
    let supervisor = lab.supervisor().await;
    lab.until("read again", || lab.rows() == 150).await;
    assert_eq!(lab.mutable_ids(), (100..150).collect::<Vec<_>>());
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_positions_are_committed_before_anything_is_read() {
    let lab = Lab::new().await;
    lab.produce(0..10);
    let supervisor = lab.supervisor().await;
    let mut def = source("s", "topic");
    def.kafka.start = StartPosition::Latest;
    assert_eq!(supervisor.create("t", def).await.unwrap(), None);
    let topic = lab.family.view().manifest.sources["s"].topic.clone().unwrap();
    let position = lab.family.view().manifest.position(&topic, 0).unwrap();
    assert_eq!((position.first, position.next), (5, 5));
    // Partitions that come later begin at their beginning, whatever the source says.
    lab.broker.add_partitions("topic", 1);
    lab.broker.push("topic", 2, 1, br#"{"id":77}"#.to_vec());
    lab.produce(10..12);
    lab.until("new rows of all partitions", || lab.rows() == 3).await;
    assert_eq!(lab.mutable_ids(), vec![10, 11, 77]);
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_away_is_waited_for() {
    let lab = Lab::new().await;
    lab.broker.set_away(true);
    let supervisor = lab.supervisor().await;
    let warning = supervisor.create("t", source("s", "topic")).await.unwrap().unwrap();
    assert!(warning.contains("not reachable"), "{warning}");
    lab.state(&supervisor, "s", "waiting").await;
    lab.broker.set_away(false);
    lab.state(&supervisor, "s", "running").await;
    lab.produce(0..4);
    lab.until("rows", || lab.rows() == 4).await;
    lab.broker.set_away(true);
    lab.state(&supervisor, "s", "waiting").await;
    lab.broker.set_away(false);
    lab.state(&supervisor, "s", "running").await;
    lab.produce(4..8);
    lab.until("more rows", || lab.rows() == 8).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_topic_is_waited_for_and_a_denied_one_is_not() {
    let lab = Lab::new().await;
    let supervisor = lab.supervisor().await;
    let warning = supervisor.create("t", source("s", "later")).await.unwrap().unwrap();
    assert!(warning.contains("no topic \"later\""), "{warning}");
    lab.broker.create_topic("later", 1);
    lab.broker.push("later", 0, 1, br#"{"id":1}"#.to_vec());
    lab.until("row", || lab.rows() == 1).await;
    lab.broker.set_denied(true);
    let report = lab.state(&supervisor, "s", "failed").await;
    assert!(report.error.unwrap().contains("TOPIC_AUTHORIZATION_FAILED"));
    lab.broker.set_denied(false);
    lab.broker.push("later", 0, 1, br#"{"id":2}"#.to_vec());
    supervisor.resume("s").await.unwrap();
    lab.until("second row", || lab.rows() == 2).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recreated_topic_fails_until_told() {
    let lab = Lab::new().await;
    lab.produce(0..20);
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.until("rows", || lab.rows() == 20).await;
    supervisor.pause("s").await.unwrap();
    lab.broker.create_topic("topic", 2);
    lab.produce(100..104);
    supervisor.resume("s").await.unwrap();
    let report = lab.state(&supervisor, "s", "failed").await;
    assert!(report.error.as_deref().unwrap().contains("created again"), "{report:?}");
    assert_eq!(lab.rows(), 20);
    supervisor.resume("s").await.unwrap();
    lab.until("rows of the new topic, from its beginning", || lab.rows() == 24).await;
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_shrinks_under_the_reader_is_not_read_on() {
    let lab = Lab::new().await;
    lab.produce(0..40);
    let supervisor = lab.supervisor().await;
    supervisor.create("t", source("s", "topic")).await.unwrap();
    lab.until("rows", || lab.rows() == 40).await;
    lab.broker.create_topic("topic", 2);
    lab.produce(100..110);
    let report = lab.state(&supervisor, "s", "failed").await;
    assert!(report.error.as_deref().unwrap().contains("created again"), "{report:?}");
    assert_eq!(lab.rows(), 40);
    supervisor.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_fails_or_is_recorded() {
    for on_gap in [OnGap::Fail, OnGap::Skip] {
        let lab = Lab::new().await;
        lab.produce(0..10);
        let supervisor = lab.supervisor().await;
        let mut def = source("s", "topic");
        def.kafka.on_gap = on_gap;
        supervisor.create("t", def).await.unwrap();
        lab.until("rows", || lab.rows() == 10).await;
        supervisor.pause("s").await.unwrap();
        lab.produce(10..30);
        lab.broker.delete_before("topic", 0, 8);
        supervisor.resume("s").await.unwrap();
        if on_gap == OnGap::Fail {
            let report = lab.state(&supervisor, "s", "failed").await;
            let error = report.error.unwrap();
            assert!(error.contains("records 5 to 7 of partition 0"), "{error}");
        } else {
            // Partition 0 lost three of its ten new records, partition 1 none.
            lab.until("rows after the gap", || lab.rows() == 27).await;
            let gap = lab.family.commits().into_iter().find(|c| c.operation == "gap").unwrap();
            assert_eq!((gap.offsets[0].1, gap.offsets[0].2, gap.offsets[0].3), (0, 5, 8));
            lab.family.seal().await.unwrap();
            assert_eq!(lab.rows(), 27);
        }
        supervisor.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_stops_a_strict_source_before_itself() {
    let lab = Lab::new().await;
    lab.produce(0..4);
    lab.broker.push("topic", 0, 1, b"{".to_vec());
    let supervisor = lab.supervisor().await;
    let mut def = source("s", "topic");
    def.on_error = OnError::Fail;
    supervisor.create("t", def).await.unwrap();
    let report = lab.state(&supervisor, "s", "failed").await;
    assert!(report.error.unwrap().contains("record 2 of partition 0"));
    assert_eq!(lab.family.view().offsets()["s"]["topic"][&0], 2);
    assert_eq!(lab.dead_letters(), 0);
    supervisor.stop().await;
}
