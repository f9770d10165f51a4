//! Commit, crash, damage and open again.

use super::*;
use crate::commit_store::conformance::{Fault, Faulty, local, object};
use crate::commit_store::{LocalCommitStore, must_stop, raise_floor};
use crate::manifest::samples::{created, id, part, source, table, topic};
use crate::manifest::{Op, samples};
use millrace_schema::TableId;
use std::path::{Path, PathBuf};

const FAMILY: u64 = 77;

async fn open(store: &Arc<dyn CommitStore>) -> Result<(CommitLog, Manifest)> {
    CommitLog::open(Arc::clone(store), id(FAMILY), Clock::system()).await.map(|(log, manifest, _)| (log, manifest))
}

async fn commit(log: &CommitLog, manifest: &Manifest, ops: Vec<Op>) -> Result<Manifest> {
    log.commit(manifest, samples::commit(manifest, ops)).await
}

/// A family with tables, a source and `versions` versions, the latter each with one part and its offsets.
async fn grown(store: &Arc<dyn CommitStore>, versions: u64) -> (CommitLog, Manifest) {
    let (log, mut manifest) = open(store).await.unwrap();
    assert_eq!(manifest, Manifest::empty(id(FAMILY)));
    let (t, partition) = (topic(1), 0);
    let ops = vec![
        Op::PutTable(TableId::BASE, table(1)),
        Op::PutTable(TableId::DEAD_LETTERS, table(1)),
        Op::PutSource(source("s", "t")),
        Op::BindSource { source: "s".into(), topic: t.clone() },
        Op::FirstPosition { topic: t.clone(), partition, offset: 0 },
    ];
    manifest = commit(&log, &manifest, ops).await.unwrap();
    while manifest.version < versions {
        let n = manifest.version;
        let from = i64::try_from(n - 1).unwrap();
        let moved = Op::MoveOffset {
            topic: t.clone(),
            partition,
            from,
            to: from + 1,
            rows: 1,
            dead_letters: 0,
            max_event_time: Some(from),
        };
        manifest = commit(&log, &manifest, vec![moved, Op::AddPart(part(n))]).await.unwrap();
    }
    (log, manifest)
}

fn file(folder: &tempfile::TempDir, below: &str, version: u64, suffix: &str) -> PathBuf {
    folder.path().join(format!("a/b/families/{}/{below}/{version:020}.{suffix}", id(FAMILY)))
}

fn spoil(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_again() {
    let (_folder, on_disk) = local();
    for store in [on_disk, object()] {
        for versions in [1, 99, 100, 101, 250] {
            let store: Arc<dyn CommitStore> = if versions == 250 { Arc::clone(&store) } else { object() };
            let (log, manifest) = grown(&store, versions).await;
            let (reopened, again, history) =
                CommitLog::open(Arc::clone(&store), id(FAMILY), Clock::system()).await.unwrap();
            assert_eq!(again, manifest);
            assert_eq!(history, log.history());
            assert_eq!(history.len(), usize::try_from(versions).unwrap());
            assert!(history.is_sorted_by(|a, b| a.version == b.version + 1), "newest first");
            assert_eq!(commit(&reopened, &again, vec![]).await.unwrap().version, versions + 1);
        }
    }
}

#[tokio::test]
async fn opening_reads_only_what_is_after_the_checkpoint() {
    let store = object();
    grown(&store, 250).await;
    let counting = Faulty::over(store);
    let dynamic: Arc<dyn CommitStore> = counting.clone();
    open(&dynamic).await.unwrap();
    let gets = counting.gets.lock().unwrap().clone();
    let count = |suffix: &str| gets.iter().filter(|key| key.ends_with(suffix)).count();
    // Commit 200, of which the checkpoint was made, and the 50 after it.
    assert_eq!((count(".commit"), count(".checkpoint")), (51, 1), "{gets:?}");
    assert!(count(".page") <= 4, "{gets:?}");
}

#[tokio::test]
async fn history_keeps_the_latest_thousand() {
    let store = object();
    let (log, _) = grown(&store, 1_230).await;
    let (_, _, history) = CommitLog::open(Arc::clone(&store), id(FAMILY), Clock::system()).await.unwrap();
    assert_eq!(history.len(), HISTORY);
    assert_eq!(history, log.history());
    assert_eq!(history[0].version, 1_230);
}

#[tokio::test]
async fn of_two_writers_one_wins_and_the_other_catches_up() {
    let store = object();
    let (a, manifest) = grown(&store, 3).await;
    let (b, same) = open(&store).await.unwrap();
    assert_eq!(same, manifest);
    let after = commit(&a, &manifest, vec![Op::AddPart(part(9))]).await.unwrap();
    let other = Commit { uuid: id(5), ..samples::commit(&same, vec![Op::AddPart(part(10))]) };
    let error = b.commit(&same, other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(b.catch_up(&same).await.unwrap(), after);
    assert_eq!(b.history()[0].version, 4);
}

#[tokio::test]
async fn lost_answers_and_refusals() {
    let store = object();
    let (_, manifest) = grown(&store, 2).await;
    let faulty = Faulty::over(Arc::clone(&store));
    let (log, _) = open(&faulty.as_dyn()).await.unwrap();
    faulty.plan(Fault::LoseAnswer, ".commit", 1);
    let manifest = commit(&log, &manifest, vec![Op::AddPart(part(9))]).await.unwrap();
    assert_eq!(open(&store).await.unwrap().1, manifest);
    faulty.plan(Fault::Refuse, ".commit", 6);
    let error = commit(&log, &manifest, vec![Op::AddPart(part(10))]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(!must_stop(&error));
    assert_eq!(log.catch_up(&manifest).await.unwrap(), manifest, "it did not happen");
    assert_eq!(commit(&log, &manifest, vec![]).await.unwrap().version, 4);
}

#[tokio::test]
async fn s_7_a_version_at_the_floor_is_refused() {
    let store = object();
    let (log, manifest) = grown(&store, 2).await;
    raise_floor(&*store, &format!("families/{}/manifest/", id(FAMILY)), 3).await.unwrap();
    assert_eq!(commit(&log, &manifest, vec![]).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_conflict_writes_nothing() {
    let store = object();
    let (log, manifest) = grown(&store, 2).await;
    let error = commit(&log, &manifest, vec![Op::RemoveSource("none".into())]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("none"), "{error}");
    assert_eq!(open(&store).await.unwrap().1, manifest);
}

#[tokio::test]
async fn a_damaged_commit_is_named() {
    let (folder, store) = local();
    grown(&store, 5).await;
    spoil(&file(&folder, "manifest", 4, "commit"));
    let error = open(&store).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
    let text = error.to_string();
    assert!(text.contains(&format!("families/{}/manifest/00000000000000000004.commit", id(FAMILY))), "{text}");
    assert!(text.contains("offset="), "{text}");
}

#[tokio::test]
async fn missing_and_exchanged_commits_are_noticed() {
    for (from, to) in [(3, None), (1, None), (3, Some(4)), (2, Some(9))] {
        let (folder, store) = local();
        grown(&store, 5).await;
        let place = |n| file(&folder, "manifest", n, "commit");
        match to {
            Some(to) => std::fs::rename(place(from), place(to)).unwrap(),
            None => std::fs::remove_file(place(from)).unwrap(),
        }
        assert_eq!(open(&store).await.unwrap_err().kind(), ErrorKind::Damage, "{from} {to:?}");
    }
    // Another family's commit of the same number does not follow.
    let (folder, store) = local();
    grown(&store, 5).await;
    let foreign = codec::encode(&samples::commit(&Manifest { version: 2, ..created(id(1)) }, vec![])).unwrap();
    std::fs::write(file(&folder, "manifest", 3, "commit"), foreign).unwrap();
    assert_eq!(open(&store).await.unwrap_err().kind(), ErrorKind::Damage);
}

#[tokio::test]
async fn damaged_checkpoints_are_passed_over() {
    let (folder, store) = local();
    let (_, manifest) = grown(&store, 230).await;
    let root = |n| file(&folder, "checkpoint", n, "checkpoint");
    spoil(&root(200));
    assert_eq!(open(&store).await.unwrap().1, manifest, "from the older one");
    std::fs::remove_file(root(200)).unwrap();
    spoil(&root(100));
    assert_eq!(open(&store).await.unwrap().1, manifest, "from the start");
    // Without the log's start there is nothing left to trust.
    std::fs::remove_file(file(&folder, "manifest", 1, "commit")).unwrap();
    assert_eq!(open(&store).await.unwrap_err().kind(), ErrorKind::Damage);
}

#[tokio::test]
async fn missing_and_damaged_pages_are_passed_over() {
    let (folder, store) = local();
    let (_, manifest) = grown(&store, 130).await;
    let pages = folder.path().join(format!("a/b/families/{}/pages", id(FAMILY)));
    for path in std::fs::read_dir(&pages).unwrap().map(|e| e.unwrap().path()) {
        let whole = std::fs::read(&path).unwrap();
        spoil(&path);
        assert_eq!(open(&store).await.unwrap().1, manifest, "damaged {}", path.display());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(open(&store).await.unwrap().1, manifest, "missing {}", path.display());
        std::fs::write(&path, whole).unwrap();
    }
}

#[tokio::test]
async fn a_log_that_ends_before_a_checkpoint_is_damage() {
    let (folder, store) = local();
    grown(&store, 100).await;
    spoil(&file(&folder, "checkpoint", 100, "checkpoint"));
    std::fs::remove_file(file(&folder, "manifest", 100, "commit")).unwrap();
    assert_eq!(open(&store).await.unwrap_err().kind(), ErrorKind::Damage);
}

#[tokio::test]
async fn a_crash_before_the_link_leaves_no_commit() {
    let (folder, store) = local();
    let (_, manifest) = grown(&store, 3).await;
    let half = file(&folder, "manifest", 4, "commit").with_file_name("_tmp-dead-1");
    std::fs::write(&half, b"MRC1").unwrap();
    let store: Arc<dyn CommitStore> =
        Arc::new(LocalCommitStore::open(folder.path().join("a/b"), &Clock::system()).unwrap());
    let (log, again) = open(&store).await.unwrap();
    assert_eq!(again, manifest);
    commit(&log, &again, vec![]).await.unwrap();
    assert!(!half.exists());
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_fails_nothing() {
    let store = object();
    let faulty = Faulty::over(Arc::clone(&store));
    faulty.plan(Fault::Refuse, ".checkpoint", 1);
    let (_, manifest) = grown(&faulty.as_dyn(), 115).await;
    assert_eq!(open(&store).await.unwrap().1, manifest);
    let creates = faulty.creates.lock().unwrap().clone();
    let roots: Vec<_> = creates.iter().filter(|key| key.ends_with(".checkpoint")).collect();
    assert_eq!(roots.len(), 2, "the next attempt comes 10 commits later: {roots:?}");
}

#[tokio::test]
async fn ten_thousand_parts_open_quickly() {
    let (_folder, store) = local();
    let (log, mut manifest) = grown(&store, 1).await;
    for n in 0..100 {
        let parts = (n * 100..(n + 1) * 100).map(|n| Op::AddPart(part(n))).collect();
        manifest = commit(&log, &manifest, parts).await.unwrap();
    }
    let clock = Clock::system();
    let before = clock.monotonic();
    let (_, again) = open(&store).await.unwrap();
    let took = clock.monotonic() - before;
    assert_eq!(again.parts_of(TableId::BASE).count(), 10_000);
    assert_eq!(again, manifest);
    assert!(took.as_secs_f64() < 2.0, "took {took:?}");
}
