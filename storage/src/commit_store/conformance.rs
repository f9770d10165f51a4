//! What every commit store must do, said once and run for each; and a store that fails on purpose.

use super::*;
use millrace_clock::Clock;
use millrace_error::ErrorKind;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// A store in a fresh folder, which lives as long as the first value.
pub(crate) fn local() -> (tempfile::TempDir, Arc<dyn CommitStore>) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalCommitStore::open(folder.path().join("a/b"), &Clock::system()).unwrap();
    (folder, Arc::new(store))
}

/// A store in memory, below a root.
pub(crate) fn object() -> Arc<dyn CommitStore> {
    let memory = object_store::memory::InMemory::new();
    Arc::new(ObjectCommitStore::new(Arc::new(memory), "some/root".into()))
}

/// What goes wrong with one create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen.
    Refuse,
}

/// Passes everything on to another store, but for planned faults; remembers what was read and written.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn CommitStore>,
    /// Taken one by one by creates whose key contains the text.
    pub(crate) faults: Mutex<VecDeque<(&'static str, Fault)>>,
    pub(crate) gets: Mutex<Vec<String>>,
    pub(crate) creates: Mutex<Vec<String>>,
}

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn CommitStore>) -> Arc<Self> {
        Arc::new(Self { inner, faults: Mutex::default(), gets: Mutex::default(), creates: Mutex::default() })
    }

    pub(crate) fn as_dyn(self: &Arc<Self>) -> Arc<dyn CommitStore> {
        Arc::<Self>::clone(self)
    }

    pub(crate) fn plan(&self, fault: Fault, key_part: &'static str, times: usize) {
        self.faults.lock().unwrap().extend(vec![(key_part, fault); times]);
    }

    fn next_fault(&self, key: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.pop_front_if(|(part, _)| key.contains(*part)).map(|(_, fault)| fault)
    }
}

#[async_trait]
impl CommitStore for Faulty {
    async fn create(&self, key: &str, bytes: Bytes) -> Result<Created> {
        self.creates.lock().unwrap().push(key.to_owned());
        let lost = || Error::new(ErrorKind::Io, "planned fault");
        match self.next_fault(key) {
            Some(Fault::Refuse) => Err(lost()),
            Some(Fault::LoseAnswer) => self.inner.create(key, bytes).await.and_then(|_| Err(lost())),
            None => self.inner.create(key, bytes).await,
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        self.gets.lock().unwrap().push(key.to_owned());
        self.inner.get(key).await
    }

    async fn list_from(&self, prefix: &str, start: &str) -> Result<Vec<String>> {
        self.inner.list_from(prefix, start).await
    }
}

async fn all(store: Arc<dyn CommitStore>) {
    first_create_wins(&*store).await;
    lists_in_order(&*store).await;
    floor_only_rises(&*store).await;
    one_of_eight_racers_wins(&store).await;
    lost_answers_are_recognised(&store).await;
    strange_keys_are_refused(&*store).await;
}

async fn first_create_wins(store: &dyn CommitStore) {
    let key = "first/0.commit";
    assert_eq!(store.get(key).await.unwrap(), None);
    assert_eq!(store.create(key, Bytes::from_static(b"one")).await.unwrap(), Created::Yes);
    assert_eq!(store.create(key, Bytes::from_static(b"two")).await.unwrap(), Created::Exists);
    assert_eq!(store.get(key).await.unwrap().unwrap(), "one");
    assert_eq!(store.create("first/empty", Bytes::new()).await.unwrap(), Created::Yes);
    assert_eq!(store.get("first/empty").await.unwrap().unwrap(), "");
    assert_eq!(store.get("first").await.unwrap_or(None), None, "a folder is not a blob");
    assert_eq!(store.get("first/0.commit/below").await.unwrap(), None);
    let big = Bytes::from(vec![7; 3 << 20]);
    assert_eq!(store.create("first/big", big.clone()).await.unwrap(), Created::Yes);
    assert_eq!(store.get("first/big").await.unwrap().unwrap(), big);
}

async fn lists_in_order(store: &dyn CommitStore) {
    assert!(store.list_from("order/", "order/").await.unwrap().is_empty(), "a folder that is not there");
    for n in [10, 2, 33, 1, 9] {
        store.create(&numbered("order/", n, "commit"), Bytes::new()).await.unwrap();
    }
    store.create("order/floor/00", Bytes::new()).await.unwrap();
    store.create("order-not/1", Bytes::new()).await.unwrap();
    let keys = |numbers: &[u64]| numbers.iter().map(|n| numbered("order/", *n, "commit")).collect::<Vec<_>>();
    assert_eq!(store.list_from("order/", "order/").await.unwrap(), keys(&[1, 2, 9, 10, 33]));
    for (start, expected) in
        [(0, &[1, 2, 9, 10, 33][..]), (2, &[2, 9, 10, 33]), (3, &[9, 10, 33]), (33, &[33]), (34, &[])]
    {
        let listed = store.list_from("order/", &numbered("order/", start, "commit")).await.unwrap();
        assert_eq!(listed, keys(expected), "from {start}");
    }
}

async fn floor_only_rises(store: &dyn CommitStore) {
    assert_eq!(store.floor("floored/").await.unwrap(), 0);
    for (raise, floor) in [(5, 5), (12, 12), (7, 12), (12, 12)] {
        raise_floor(store, "floored/", raise).await.unwrap();
        assert_eq!(store.floor("floored/").await.unwrap(), floor);
    }
}

async fn one_of_eight_racers_wins(store: &Arc<dyn CommitStore>) {
    for round in 0..10 {
        let key = format!("race/{round}");
        let racers = (0..8u8).map(|racer| {
            let (store, key) = (Arc::clone(store), key.clone());
            tokio::spawn(async move { (racer, store.create(&key, Bytes::from(vec![racer])).await.unwrap()) })
        });
        let ended: Vec<_> = futures::future::join_all(racers).await.into_iter().map(|r| r.unwrap()).collect();
        let winners: Vec<_> = ended.iter().filter(|(_, created)| *created == Created::Yes).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(store.get(&key).await.unwrap().unwrap(), vec![winners[0].0]);
    }
}

async fn lost_answers_are_recognised(store: &Arc<dyn CommitStore>) {
    let clock = Clock::system();
    let faulty = Faulty::over(Arc::clone(store));
    let mine = Bytes::from_static(b"mine");
    faulty.plan(Fault::LoseAnswer, "lost/", 1);
    assert!(matches!(append(&*faulty, &clock, "lost/", 1, &mine).await.unwrap(), Appended::Mine));
    faulty.plan(Fault::Refuse, "lost/", 2);
    assert!(matches!(append(&*faulty, &clock, "lost/", 2, &mine).await.unwrap(), Appended::Mine));
    let other = Bytes::from_static(b"other");
    assert!(matches!(append(&*faulty, &clock, "lost/", 2, &other).await.unwrap(), Appended::Taken));
    raise_floor(&**store, "lost/", 4).await.unwrap();
    let error = append(&*faulty, &clock, "lost/", 4, &mine).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "S-7: a version at the floor has lost");
    assert!(matches!(append(&*faulty, &clock, "lost/", 5, &mine).await.unwrap(), Appended::Mine));
}

async fn strange_keys_are_refused(store: &dyn CommitStore) {
    for key in ["", "/", "a//b", "../up", "a/../b", ".hidden", "A", "a b", "_tmp-1", "ä", "a/"] {
        assert!(store.create(key, Bytes::new()).await.is_err(), "{key:?}");
        assert!(store.get(key).await.is_err(), "{key:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_conforms() {
    let (_folder, store) = local();
    all(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_conforms() {
    all(object()).await;
}

#[tokio::test]
async fn local_keeps_what_it_acknowledged_and_removes_leftovers() {
    let (folder, store) = local();
    store.create("m/1", Bytes::from_static(b"one")).await.unwrap();
    let path = folder.path().join("a/b/m");
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["1"], "no temporary file stays");
    // A crash between write and link leaves this behind.
    std::fs::write(path.join("_tmp-0123-7"), b"half").unwrap();
    drop(store);
    let store = LocalCommitStore::open(folder.path().join("a/b"), &Clock::system()).unwrap();
    assert_eq!(store.list_from("m/", "m/").await.unwrap(), ["m/1"]);
    assert_eq!(names(), ["1"]);
    assert_eq!(store.get("m/1").await.unwrap().unwrap(), "one");
}

#[tokio::test]
async fn a_failed_fsync_says_that_the_process_must_stop() {
    let cause = std::io::Error::other("medium error");
    let error = FsyncFailed::at(std::path::Path::new("/x"), cause);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(must_stop(&error) && must_stop(&error.with("commit", "k")));
    assert!(!must_stop(&Error::io("/x", std::io::Error::other("other"))));
}

#[tokio::test]
async fn local_errors_name_the_path() {
    let (folder, store) = local();
    std::fs::write(folder.path().join("a/b/m"), b"a file where a folder should be").unwrap();
    let error = store.create("m/1", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("a/b/m"), "{error}");
}
