//! Which pages a checkpoint writes.

use super::*;
use crate::commit_store::conformance::{Faulty, object};
use crate::manifest::samples::{commit, created, id, part};
use crate::manifest::{Op, PartitionTime, apply};

/// A part of a day of its own.
fn on_day(n: u64, day: i64) -> PartMeta {
    let sample = part(n);
    PartMeta { partition: super::super::PartitionKey { time: PartitionTime::Day(day), bucket: None }, ..sample }
}

fn with(manifest: &Manifest, parts: impl IntoIterator<Item = PartMeta>) -> Manifest {
    apply(manifest, &commit(manifest, parts.into_iter().map(Op::AddPart).collect())).unwrap()
}

fn page_files(store: &Faulty) -> usize {
    store.creates.lock().unwrap().iter().filter(|key| key.ends_with(".page")).count()
}

#[tokio::test]
async fn only_changed_pages_are_written_again() {
    let (store, clock, folders) = (Faulty::over(object()), Clock::system(), Folders::of(id(1)));
    let manifest = with(&created(id(1)), (0..100).map(|n| on_day(n, i64::try_from(n).unwrap())));
    let first = Checkpoint::none().next(&*store, &folders, &clock, &manifest, &[]).await.unwrap();
    assert_eq!(page_files(&store), 1);
    let changed = with(&manifest, [on_day(200, 5)]);
    let second = first.next(&*store, &folders, &clock, &changed, &[]).await.unwrap();
    let same = second.pages.iter().filter(|(key, w)| first.pages[*key].file == w.file).count();
    assert_eq!(same, 99, "one page moved to a new file");
    let found = newest(&*store, &folders).await.unwrap();
    assert_eq!(found.manifest, changed);
    assert_eq!(found.checkpoint.files, second.files);
    // Nothing changed: no page file at all.
    let before = page_files(&store);
    let idle = apply(&changed, &commit(&changed, vec![])).unwrap();
    second.next(&*store, &folders, &clock, &idle, &[]).await.unwrap();
    assert_eq!(page_files(&store), before);
}

#[tokio::test]
async fn mostly_stale_files_are_left_behind() {
    let (store, clock, folders) = (object(), Clock::system(), Folders::of(id(1)));
    let mut manifest = with(&created(id(1)), (0..10).map(|n| on_day(n, i64::try_from(n).unwrap())));
    let mut checkpoint = Checkpoint::none().next(&*store, &folders, &clock, &manifest, &[]).await.unwrap();
    let oldest = checkpoint.pages.values().next().unwrap().file;
    for n in 0..6 {
        assert!(checkpoint.files.contains_key(&oldest), "still half live after {n}");
        manifest = with(&manifest, [on_day(100 + n, i64::try_from(n).unwrap())]);
        checkpoint = checkpoint.next(&*store, &folders, &clock, &manifest, &[]).await.unwrap();
    }
    assert!(!checkpoint.files.contains_key(&oldest), "4 of 10 live: written again");
    assert_eq!(newest(&*store, &folders).await.unwrap().manifest, manifest);
}

#[tokio::test]
async fn big_pages_are_spread_over_files() {
    let (store, clock, folders) = (Faulty::over(object()), Clock::system(), Folders::of(id(1)));
    let manifest = with(&created(id(1)), (0..30_000).map(|n| on_day(n, i64::try_from(n % 300).unwrap())));
    Checkpoint::none().next(&*store, &folders, &clock, &manifest, &[]).await.unwrap();
    assert!((2..20).contains(&page_files(&store)), "{}", page_files(&store));
    assert_eq!(newest(&*store, &folders).await.unwrap().manifest, manifest);
}

#[tokio::test]
async fn another_family_s_checkpoint_is_not_taken() {
    let (store, clock, folders) = (object(), Clock::system(), Folders::of(id(1)));
    let manifest = created(id(2));
    Checkpoint::none().next(&*store, &folders, &clock, &manifest, &[]).await.unwrap();
    let found = newest(&*store, &folders).await.unwrap();
    assert_eq!((found.manifest.version, found.reached), (0, 1));
}
