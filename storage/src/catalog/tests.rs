//! Names, races over them, and what is read back.

use super::*;
use crate::commit_store::conformance::{Fault, Faulty, local, object};

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

async fn open(store: &Arc<dyn CommitStore>) -> Catalog {
    Catalog::open(Arc::clone(store), Clock::system()).await.unwrap()
}

fn kind(result: Result<()>) -> Option<ErrorKind> {
    result.err().map(|e| e.kind())
}

#[tokio::test]
async fn names_are_durable() {
    let (_folder, on_disk) = local();
    for store in [on_disk, object()] {
        let catalog = open(&store).await;
        assert_eq!(*catalog.names(), Names::default());
        catalog.create("a", id(1)).await.unwrap();
        catalog.create("Ä \"b\"", id(2)).await.unwrap();
        catalog.drop("a").await.unwrap();
        catalog.create("a", id(3)).await.unwrap();
        let again = open(&store).await;
        assert_eq!(again.names(), catalog.names());
        assert_eq!(again.names().version, 4);
        assert_eq!(again.names().families["a"], id(3));
    }
}

#[tokio::test]
async fn taken_and_unknown_names_are_refused() {
    let catalog = open(&object()).await;
    catalog.create("a", id(1)).await.unwrap();
    catalog.create("b_dead_letters", id(2)).await.unwrap();
    for taken in ["a", "a_dead_letters", "b", "b_dead_letters"] {
        assert_eq!(kind(catalog.create(taken, id(9)).await), Some(ErrorKind::DuplicateTable), "{taken}");
    }
    assert_eq!(kind(catalog.drop("c").await), Some(ErrorKind::UnknownTable));
    assert_eq!(kind(catalog.drop("a_dead_letters").await), Some(ErrorKind::UnknownTable));
    assert_eq!(catalog.names().version, 2, "a refused change writes nothing");
}

#[tokio::test]
async fn two_writers_see_each_other() {
    let store = object();
    let (a, b) = (open(&store).await, open(&store).await);
    a.create("x", id(1)).await.unwrap();
    assert_eq!(kind(b.create("x", id(2)).await), Some(ErrorKind::DuplicateTable));
    b.create("y", id(2)).await.unwrap();
    a.drop("y").await.unwrap();
    assert_eq!(a.names().families.len(), 1);
    assert_eq!(open(&store).await.names(), a.names());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_eight_gets_the_name() {
    let store = object();
    let mut racers = Vec::new();
    for n in 0..8 {
        let catalog = open(&store).await;
        racers.push(tokio::spawn(async move { catalog.create("x", id(n)).await.is_ok() }));
    }
    let won = futures::future::join_all(racers).await.into_iter().filter(|r| *r.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn lost_answers_make_no_second_change() {
    let store = object();
    let faulty = Faulty::over(Arc::clone(&store));
    let catalog = open(&faulty.as_dyn()).await;
    faulty.plan(Fault::LoseAnswer, "catalog/", 1);
    catalog.create("x", id(1)).await.unwrap();
    assert_eq!(open(&store).await.names().version, 1);
}

#[tokio::test]
async fn damage_is_named() {
    let (folder, store) = local();
    let catalog = open(&store).await;
    for n in 0..4 {
        catalog.create(&format!("t{n}"), id(n)).await.unwrap();
    }
    let path = folder.path().join("a/b/catalog/00000000000000000003.commit");
    let whole = std::fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0xFF;
        std::fs::write(&path, bytes).unwrap();
        let error = Catalog::open(Arc::clone(&store), Clock::system()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage, "byte {place}");
        assert!(error.to_string().contains("catalog/00000000000000000003.commit"), "{error}");
        assert!(error.to_string().contains("offset="), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = Catalog::open(Arc::clone(&store), Clock::system()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damage);
}

#[test]
fn unknown_changes_are_refused() {
    let message = pb::CatalogCommit {
        version: 1,
        parent: vec![0; 16],
        uuid: vec![1; 16],
        ops: vec![pb::CatalogOp { kind: None }],
        ..Default::default()
    };
    let bytes = frame::seal(Kind::Catalog, &message).unwrap();
    assert_eq!(decode("catalog/x", &bytes).unwrap_err().kind(), ErrorKind::NotSupported);
}
