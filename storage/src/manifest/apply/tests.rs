//! Random commits against a model that knows only sets and numbers; and the invariants by number.

use super::super::samples::{commit, created, id, part, source, table, topic};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn next(manifest: &Manifest, ops: Vec<Op>) -> Result<Manifest, Conflict> {
    apply(manifest, &commit(manifest, ops))
}

fn first(offset: i64) -> Op {
    Op::FirstPosition { topic: topic(1), partition: 0, offset }
}

fn moved(from: i64, to: i64) -> Op {
    Op::MoveOffset { topic: topic(1), partition: 0, from, to, rows: 1, dead_letters: 0, max_event_time: Some(to) }
}

fn gap(from: i64, to: i64) -> Op {
    Op::Gap { topic: topic(1), partition: 0, from, to, reason: "gone".into() }
}

#[test]
fn s_1_a_version_follows_its_parent_only() {
    let manifest = created(id(1));
    let good = commit(&manifest, vec![]);
    let applied = apply(&manifest, &good).unwrap();
    assert_eq!((applied.version, applied.commit_uuid, applied.at), (2, good.uuid, good.at));
    for bad in [
        Commit { version: 1, ..good.clone() },
        Commit { version: 3, ..good.clone() },
        Commit { parent: id(9), ..good.clone() },
        Commit { schema_version: 2, ..good.clone() },
    ] {
        assert!(apply(&manifest, &bad).is_err(), "{bad:?}");
    }
    assert!(apply(&manifest, &Commit { schema_version: 1, ..good.clone() }).is_ok());
    let empty = Manifest::empty(id(1));
    assert!(apply(&empty, &Commit { schema_version: 1, ..commit(&empty, vec![]) }).is_err());
}

#[test]
fn s_2_a_position_moves_only_from_where_it_stands() {
    let manifest = created(id(1));
    assert!(next(&manifest, vec![moved(0, 5)]).is_err(), "no position yet");
    let manifest = next(&manifest, vec![first(10)]).unwrap();
    assert!(next(&manifest, vec![first(10)]).is_err(), "a second first position");
    for (from, to) in [(9, 20), (11, 20), (0, 5), (10, 9)] {
        assert!(next(&manifest, vec![moved(from, to)]).is_err(), "{from} to {to}");
        assert!(next(&manifest, vec![gap(from, to)]).is_err(), "gap {from} to {to}");
    }
    assert!(next(&manifest, vec![gap(10, 10)]).is_err(), "an empty gap");
    // S-3: a move may cover nothing, and several moves of one commit chain.
    let manifest = next(&manifest, vec![moved(10, 10), moved(10, 15), gap(15, 20), moved(20, 21)]).unwrap();
    let position = manifest.position(&topic(1), 0).unwrap();
    assert_eq!(position, Position { first: 10, next: 21, rows: 3, dead_letters: 0, max_event_time: Some(21) });
    assert!(next(&manifest, vec![moved(10, 30)]).is_err(), "a zombie's commit");
}

#[test]
fn one_bad_op_refuses_the_whole_commit() {
    let manifest = next(&created(id(1)), vec![first(0)]).unwrap();
    let before = manifest.clone();
    assert!(next(&manifest, vec![moved(0, 5), Op::AddPart(part(1)), moved(4, 6)]).is_err());
    assert_eq!(manifest, before);
}

#[test]
fn sources_keep_their_topic_while_they_mean_it() {
    let put = |s| vec![Op::PutSource(s)];
    let bind = |s: &str, t| vec![Op::BindSource { source: s.into(), topic: topic(t) }];
    let manifest = created(id(1));
    assert!(next(&manifest, bind("a", 1)).is_err(), "unknown source");
    let manifest = next(&manifest, put(source("a", "t"))).unwrap();
    let manifest = next(&manifest, bind("a", 1)).unwrap();
    let paused = next(&manifest, put(SourceDef { paused: true, ..source("a", "t") })).unwrap();
    assert_eq!(paused.sources["a"].topic, Some(topic(1)));
    assert!(paused.sources["a"].def.paused);
    let other = next(&manifest, put(source("a", "u"))).unwrap();
    assert_eq!(other.sources["a"].topic, None);
    // A re-created topic is accepted by binding again.
    assert_eq!(next(&manifest, bind("a", 2)).unwrap().sources["a"].topic, Some(topic(2)));
    // One topic feeds a table through one source.
    let two = next(&manifest, put(source("b", "t"))).unwrap();
    assert!(next(&two, bind("b", 1)).is_err());
    assert!(next(&two, bind("b", 2)).is_ok());
    // Positions outlive the source.
    let placed = next(&manifest, vec![first(3), Op::RemoveSource("a".into())]).unwrap();
    assert_eq!(placed.position(&topic(1), 0).unwrap().next, 3);
    assert!(next(&placed, vec![Op::RemoveSource("a".into())]).is_err());
}

#[test]
fn tables_grow_by_one_schema_version() {
    let manifest = created(id(1));
    let put = |version| vec![Op::PutTable(TableId::BASE, table(version))];
    for bad in [0, 1, 3] {
        assert!(next(&manifest, put(bad)).is_err(), "{bad}");
    }
    let manifest = next(&manifest, put(2)).unwrap();
    assert_eq!(manifest.table(TableId::BASE).unwrap().schema_version, 2);
    let unknown = PartMeta { table: TableId(9), ..part(1) };
    assert!(next(&manifest, vec![Op::AddPart(unknown)]).is_err());
}

#[test]
fn untouched_state_is_shared() {
    let manifest = next(&created(id(1)), (0..70).map(|n| Op::AddPart(part(n))).collect()).unwrap();
    let after = next(&manifest, vec![Op::AddPart(part(70))]).unwrap();
    assert!(Arc::ptr_eq(&manifest.tables, &after.tables) && Arc::ptr_eq(&manifest.positions, &after.positions));
    let touched = (TableId::BASE, part(70).partition);
    for (key, page) in manifest.parts.iter() {
        assert_eq!(Arc::ptr_eq(page, &after.parts[key]), *key != touched, "{key:?}");
    }
}

#[test]
fn a_part_id_is_unique_over_partitions_and_tables() {
    let manifest = next(&created(id(1)), vec![Op::AddPart(part(5))]).unwrap();
    let elsewhere = PartMeta { partition: part(6).partition, ..part(5) };
    let letters = PartMeta { table: TableId::DEAD_LETTERS, ..part(5) };
    for bad in
        [vec![part(5)], vec![elsewhere.clone()], vec![letters], vec![part(8), PartMeta { id: part(8).id, ..part(9) }]]
    {
        assert!(next(&manifest, bad.into_iter().map(Op::AddPart).collect()).is_err());
    }
    assert!(next(&manifest, vec![Op::RemovePart(TableId::DEAD_LETTERS, part(5).id)]).is_err());
    let merged = next(&manifest, vec![Op::RemovePart(TableId::BASE, part(5).id), Op::AddPart(part(12))]).unwrap();
    assert_eq!(merged.parts_of(TableId::BASE).count(), 1);
}

/// What a family is, said in another way.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    positions: BTreeMap<(TopicKey, i32), (i64, u64)>,
    parts: BTreeSet<PartId>,
}

impl Model {
    fn op(&mut self, op: &Op, ids_before: &BTreeSet<PartId>) -> bool {
        match op {
            Op::FirstPosition { topic, partition, offset } => {
                let key = (topic.clone(), *partition);
                *offset >= 0 && self.positions.insert(key, (*offset, 0)).is_none()
            }
            Op::MoveOffset { topic, partition, from, to, rows, .. } => self.go(topic, *partition, *from, *to, *rows),
            Op::Gap { topic, partition, from, to, .. } => to > from && self.go(topic, *partition, *from, *to, 0),
            Op::AddPart(part) => !ids_before.contains(&part.id) && self.parts.insert(part.id),
            Op::RemovePart(_, id) => self.parts.remove(id),
            _ => true,
        }
    }

    fn go(&mut self, topic: &TopicKey, partition: i32, from: i64, to: i64, rows: u64) -> bool {
        match self.positions.get_mut(&(topic.clone(), partition)) {
            Some((next, sum)) if *next == from && to >= from => {
                (*next, *sum) = (to, *sum + rows);
                true
            }
            _ => false,
        }
    }

    fn of(manifest: &Manifest) -> Self {
        let flat = manifest.positions.iter().flat_map(|(topic, by)| by.iter().map(|(p, at)| ((topic.clone(), *p), at)));
        let parts: Vec<PartId> = manifest.parts.values().flat_map(|page| page.iter().map(|p| p.id)).collect();
        let set: BTreeSet<PartId> = parts.iter().copied().collect();
        assert_eq!(set.len(), parts.len(), "a part is there twice");
        Self { positions: flat.map(|(key, p)| (key, (p.next, p.rows))).collect(), parts: set }
    }
}

fn small_op() -> impl Strategy<Value = Op> {
    let at = || (1u64..3, 0i32..2, -1i64..6, -1i64..8);
    prop_oneof![
        2 => at().prop_map(|(t, partition, offset, _)| Op::FirstPosition { topic: topic(t), partition, offset }),
        6 => (at(), 0u64..9).prop_map(|((t, partition, from, to), rows)| {
            Op::MoveOffset { topic: topic(t), partition, from, to, rows, dead_letters: 0, max_event_time: None }
        }),
        2 => at().prop_map(|(t, partition, from, to)| Op::Gap { topic: topic(t), partition, from, to, reason: String::new() }),
        4 => (0u64..30).prop_map(|n| Op::AddPart(part(n))),
        2 => (0u64..30).prop_map(|n| Op::RemovePart(TableId::BASE, part(n).id)),
    ]
}

proptest! {
    #[test]
    fn random_commits_do_what_the_model_does(commits in proptest::collection::vec(proptest::collection::vec(small_op(), 0..3), 0..60)) {
        let mut manifest = created(id(1));
        let mut model = Model::default();
        for ops in commits {
            let mut after = model.clone();
            let fits = ops.iter().all(|op| after.op(op, &model.parts));
            let before = manifest.clone();
            match next(&manifest, ops.clone()) {
                Ok(applied) => {
                    prop_assert!(fits, "accepted: {:?}", ops);
                    for (key, (at, _)) in &model.positions {
                        prop_assert!(after.positions[key].0 >= *at, "a position went back");
                    }
                    prop_assert_eq!(&Model::of(&applied), &after);
                    prop_assert!(applied.parts.values().all(|page| !page.is_empty() && page.is_sorted_by_key(|p| p.id)));
                    (manifest, model) = (applied, after);
                }
                Err(conflict) => prop_assert!(!fits, "refused: {}: {:?}", conflict, ops),
            }
            prop_assert!(manifest.version >= before.version);
        }
    }
}
