//! A store over a real folder: append, seal, recover.

use super::*;
use crate::{MicroBatch, OffsetRange, ShardWriter};
use millrace_testkit::{event_rows, events, topic};

async fn open(dir: &Path) -> Arc<Store> {
    Store::open(StoreConfig::new(dir, 1 << 30), Clock::system()).await.unwrap()
}

async fn family_with_shard(store: &Store) -> (Arc<Family>, ShardWriter) {
    let family = store.create_table(events("e")).await.unwrap();
    let first = Op::FirstPosition { topic: topic("t"), partition: 0, offset: 0 };
    family.commit("position", vec![first]).await.unwrap();
    let shard = family.open_shard(&topic("t")).unwrap();
    (family, shard)
}

fn rows(from: i64, to: i64) -> MicroBatch {
    let count = u64::try_from(to - from).unwrap();
    let range = OffsetRange { partition: 0, from, to, rows: count, dead_letters: 0, max_event_time: None };
    MicroBatch {
        rows: Some(event_rows(&events("e"), from..to)),
        dead_letters: None,
        offsets: vec![range],
        schema_version: 1,
    }
}

#[tokio::test]
async fn rows_are_visible_at_once_and_survive_a_seal() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (family, shard) = family_with_shard(&store).await;
    shard.append(rows(0, 100)).unwrap();
    let pinned = family.view();
    assert_eq!(pinned.rows(TableId::BASE), 100);
    let sealed = family.seal().await.unwrap();
    assert_eq!((sealed.rows, sealed.parts), (100, 1));
    shard.append(rows(100, 150)).unwrap();
    let view = family.view();
    assert_eq!(view.rows(TableId::BASE), 150);
    assert_eq!(view.chunks(TableId::BASE).count(), 1, "the sealed chunk left");
    assert_eq!(view.next_offset(&topic("t"), 0), Some(150));
    assert_eq!(view.manifest.position(&topic("t"), 0).map(|p| (p.next, p.rows)), Some((100, 100)));
    assert_eq!(pinned.rows(TableId::BASE), 100, "a pinned view never changes");
    drop((family, shard));
    store.close().await;

    let store = open(dir.path()).await;
    let view = store.family("e").unwrap().view();
    assert_eq!(view.rows(TableId::BASE), 100, "unsealed rows come again from the log");
    assert_eq!(view.next_offset(&topic("t"), 0), Some(100));
    store.close().await;
}

#[tokio::test]
async fn offsets_fence_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (family, shard) = family_with_shard(&store).await;
    shard.append(rows(0, 10)).unwrap();
    for (from, to) in [(0, 10), (11, 20), (5, 15)] {
        assert_eq!(shard.append(rows(from, to)).unwrap_err().kind(), ErrorKind::Conflict, "S-2: [{from}, {to})");
    }
    assert_eq!(family.view().rows(TableId::BASE), 10, "a refused append changes nothing");
    assert_eq!(family.open_shard(&topic("t")).unwrap_err().kind(), ErrorKind::WrongState);
    drop(shard);
    family.open_shard(&topic("t")).unwrap().append(rows(10, 20)).unwrap();
    store.close().await;
}

#[tokio::test]
async fn positions_move_without_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (family, shard) = family_with_shard(&store).await;
    let range = OffsetRange { partition: 0, from: 0, to: 7, rows: 0, dead_letters: 0, max_event_time: None };
    shard.append(MicroBatch { rows: None, dead_letters: None, offsets: vec![range], schema_version: 1 }).unwrap();
    let sealed = family.seal().await.unwrap();
    assert_eq!((sealed.rows, sealed.parts), (0, 0), "S-3");
    assert_eq!(family.view().manifest.position(&topic("t"), 0).unwrap().next, 7);
    assert_eq!(family.seal().await.unwrap().version, sealed.version, "nothing to seal, no commit");
    store.close().await;
}

#[tokio::test]
async fn small_chunks_become_large_ones_and_no_row_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (family, shard) = family_with_shard(&store).await;
    for from in (0..80_000).step_by(100) {
        shard.append(rows(from, from + 100)).unwrap();
    }
    for _ in 0..500 {
        if family.view().chunks(TableId::BASE).any(|c| c.sorted) {
            break;
        }
        store.clock().sleep(std::time::Duration::from_millis(10)).await;
    }
    let view = family.view();
    assert!(view.chunks(TableId::BASE).any(|c| c.sorted && c.rows.num_rows() >= 65_536), "a sorted chunk came of them");
    assert!(view.chunks(TableId::BASE).count() < 300, "{} chunks", view.chunks(TableId::BASE).count());
    assert_eq!(view.rows(TableId::BASE), 80_000);
    family.seal().await.unwrap();
    assert_eq!(family.view().rows(TableId::BASE), 80_000);
    store.close().await;
}

#[tokio::test]
async fn one_directory_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let second = Store::open(StoreConfig::new(dir.path(), 1 << 30), Clock::system()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::WrongState);
    store.close().await;
    open(dir.path()).await.close().await;
}

#[tokio::test]
async fn names_are_taken_once_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store.create_table(events("e")).await.unwrap();
    for name in ["e", "e_dead_letters"] {
        assert_eq!(store.create_table(events(name)).await.unwrap_err().kind(), ErrorKind::DuplicateTable, "{name}");
    }
    store.drop_table("e").await.unwrap();
    assert_eq!(store.drop_table("e").await.unwrap_err().kind(), ErrorKind::UnknownTable);
    store.create_table(events("e")).await.unwrap();
    store.close().await;
    let store = open(dir.path()).await;
    assert_eq!(store.families().len(), 1);
    let folders = std::fs::read_dir(dir.path().canonicalize().unwrap().join("families")).unwrap().count();
    assert_eq!(folders, 1, "the dropped table's folder went");
    store.close().await;
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).await.close().await;
    std::fs::write(dir.path().join("format"), "millrace 99\n").unwrap();
    let error = Store::open(StoreConfig::new(dir.path(), 1 << 30), Clock::system()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
}
