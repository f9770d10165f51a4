//! The one way from a version to the next.

use super::{Commit, Manifest, Op, PartMeta, Position, SourceState};
use millrace_schema::{PartId, SourceDef, TableDef, TableId, TopicKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Why a commit does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict(pub String);

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Conflict {}

type Step = Result<(), Conflict>;

fn refuse<T>(why: impl Into<String>) -> Result<T, Conflict> {
    Err(Conflict(why.into()))
}

/// Applies a commit. Pure (S-1): works on a copy that shares whatever the commit does not touch.
///
/// Accepted only when it makes the next version, names the commit before it as its parent, and was built for the current
/// schema version (or for none); each op then has its own condition.
///
/// # Errors
/// [`Conflict`] naming the op that does not fit; nothing is changed.
pub fn apply(manifest: &Manifest, commit: &Commit) -> Result<Manifest, Conflict> {
    if manifest.version.checked_add(1) != Some(commit.version) {
        return refuse(format!("commit makes version {} but version {} is current", commit.version, manifest.version));
    }
    if commit.parent != manifest.commit_uuid {
        return refuse(format!(
            "commit {} follows {} but version {} was made by {}",
            commit.version, commit.parent, manifest.version, manifest.commit_uuid
        ));
    }
    check_schema(manifest, commit.schema_version)?;
    let mut next = manifest.clone();
    check_part_ids(&next, commit)?;
    for op in &commit.ops {
        apply_op(&mut next, op)?;
    }
    next.version = commit.version;
    next.commit_uuid = commit.uuid;
    next.at = commit.at;
    Ok(next)
}

fn check_schema(manifest: &Manifest, built_for: u32) -> Step {
    if built_for == 0 {
        return Ok(());
    }
    match manifest.table(TableId::BASE) {
        Some(table) if table.schema_version == built_for => Ok(()),
        Some(table) => refuse(format!(
            "commit was built for schema version {built_for} of table {:?}, which is at {}",
            table.name, table.schema_version
        )),
        None => refuse(format!("commit was built for schema version {built_for} of a table that does not exist")),
    }
}

fn apply_op(next: &mut Manifest, op: &Op) -> Step {
    match op {
        Op::PutTable(id, def) => put_table(next, *id, def),
        Op::PutSource(def) => {
            put_source(next, def);
            Ok(())
        }
        Op::RemoveSource(name) => match Arc::make_mut(&mut next.sources).remove(name) {
            Some(_) => Ok(()),
            None => refuse(format!("source {name:?} to remove does not exist")),
        },
        Op::BindSource { source, topic } => bind_source(next, source, topic),
        Op::FirstPosition { topic, partition, offset } => first_position(next, topic, *partition, *offset),
        Op::MoveOffset { topic, partition, from, to, rows, dead_letters, max_event_time } => {
            let moved = Position {
                next: *to,
                rows: *rows,
                dead_letters: *dead_letters,
                max_event_time: *max_event_time,
                ..Position::default()
            };
            move_position(next, topic, *partition, *from, moved)
        }
        Op::Gap { topic, partition, from, to, .. } => {
            if to <= from {
                return refuse(format!("gap [{from}, {to}) of {}[{partition}] is empty", topic.topic));
            }
            move_position(next, topic, *partition, *from, Position { next: *to, ..Position::default() })
        }
        Op::AddPart(part) => add_part(next, part),
        Op::RemovePart(table, id) => remove_part(next, *table, *id),
    }
}

fn put_table(next: &mut Manifest, id: TableId, def: &TableDef) -> Step {
    if let Some(old) = next.tables.get(&id)
        && old.schema_version.checked_add(1) != Some(def.schema_version)
    {
        return refuse(format!(
            "table {:?} is at schema version {} and cannot go to {}",
            old.name, old.schema_version, def.schema_version
        ));
    }
    Arc::make_mut(&mut next.tables).insert(id, Arc::new(def.clone()));
    Ok(())
}

/// A source keeps its topic while it means the same one.
fn put_source(next: &mut Manifest, def: &SourceDef) {
    let topic = next
        .sources
        .get(&def.name)
        .filter(|old| old.def.kafka.brokers == def.kafka.brokers && old.def.kafka.topic == def.kafka.topic)
        .and_then(|old| old.topic.clone());
    let state = Arc::new(SourceState { def: def.clone(), topic });
    Arc::make_mut(&mut next.sources).insert(def.name.clone(), state);
}

/// Binding again is how a re-created topic is accepted.
fn bind_source(next: &mut Manifest, source: &str, topic: &TopicKey) -> Step {
    let other = next.sources.values().find(|s| s.def.name != source && s.topic.as_ref() == Some(topic));
    if let Some(other) = other {
        return refuse(format!(
            "source {source:?} cannot read topic {:?}: source {:?} of this table does already",
            topic.topic, other.def.name
        ));
    }
    match Arc::make_mut(&mut next.sources).get_mut(source) {
        Some(state) => {
            Arc::make_mut(state).topic = Some(topic.clone());
            Ok(())
        }
        None => refuse(format!("source {source:?} to bind does not exist")),
    }
}

fn first_position(next: &mut Manifest, topic: &TopicKey, partition: i32, offset: i64) -> Step {
    if offset < 0 || partition < 0 {
        return refuse(format!("{}[{partition}] cannot begin at offset {offset}", topic.topic));
    }
    if let Some(there) = next.position(topic, partition) {
        return refuse(format!("{}[{partition}] has a position already: {}", topic.topic, there.next));
    }
    let position = Position { first: offset, next: offset, ..Position::default() };
    Arc::make_mut(&mut next.positions).entry(topic.clone()).or_default().insert(partition, position);
    Ok(())
}

/// S-2: the stored position must be `from`. This equality is the fence.
fn move_position(next: &mut Manifest, topic: &TopicKey, partition: i32, from: i64, moved: Position) -> Step {
    let name = &topic.topic;
    if moved.next < from {
        return refuse(format!("{name}[{partition}] cannot go back from {from} to {}", moved.next));
    }
    let positions: &mut BTreeMap<_, _> = Arc::make_mut(&mut next.positions);
    let Some(stored) = positions.get_mut(topic).and_then(|p| p.get_mut(&partition)) else {
        return refuse(format!("{name}[{partition}] has no position yet and cannot move from {from}"));
    };
    if stored.next != from {
        return refuse(format!("{name}[{partition}] stands at {} and cannot move from {from}", stored.next));
    }
    let counts = stored.rows.checked_add(moved.rows).zip(stored.dead_letters.checked_add(moved.dead_letters));
    let Some((rows, dead_letters)) = counts else {
        return refuse(format!("{name}[{partition}] cannot count so many rows"));
    };
    // `None` is less than any time.
    let max_event_time = stored.max_event_time.max(moved.max_event_time);
    *stored = Position { first: stored.first, next: moved.next, rows, dead_letters, max_event_time };
    Ok(())
}

/// No added part may have the id of another live or added one, whatever its partition. Ids grow with time, so all but the
/// newest pages are passed over by looking at their last part.
fn check_part_ids(manifest: &Manifest, commit: &Commit) -> Step {
    let mut ids: Vec<PartId> =
        commit.ops.iter().filter_map(|op| if let Op::AddPart(part) = op { Some(part.id) } else { None }).collect();
    ids.sort_unstable();
    let Some(least) = ids.first() else {
        return Ok(());
    };
    let doubled = ids.windows(2).find_map(|w| match w {
        [a, b] if a == b => Some(*a),
        _ => None,
    });
    let newest = manifest.parts.values().filter(|page| page.last().is_some_and(|last| last.id >= *least));
    let live = newest.flat_map(|page| ids.iter().filter(|id| find(page, **id).is_ok())).next();
    match doubled.or(live.copied()) {
        Some(id) => refuse(format!("part {id} exists already")),
        None => Ok(()),
    }
}

fn find(page: &[Arc<PartMeta>], id: PartId) -> Result<usize, usize> {
    page.binary_search_by_key(&id, |part| part.id)
}

fn add_part(next: &mut Manifest, part: &PartMeta) -> Step {
    if !next.tables.contains_key(&part.table) {
        return refuse(format!("part {} is of table {}, which does not exist", part.id, part.table.0));
    }
    let page = Arc::make_mut(&mut next.parts).entry((part.table, part.partition)).or_default();
    match find(page, part.id) {
        Ok(_) => refuse(format!("part {} exists already", part.id)),
        Err(place) => {
            Arc::make_mut(page).insert(place, Arc::new(part.clone()));
            Ok(())
        }
    }
}

fn remove_part(next: &mut Manifest, table: TableId, id: PartId) -> Step {
    let place = next.parts.iter().filter(|((t, _), _)| *t == table).find_map(|(key, page)| {
        let could = page.first().is_some_and(|p| p.id <= id) && page.last().is_some_and(|p| p.id >= id);
        if could { find(page, id).ok().map(|place| (*key, place)) } else { None }
    });
    let Some((key, place)) = place else {
        return refuse(format!("part {id} of table {} to remove does not exist", table.0));
    };
    let parts = Arc::make_mut(&mut next.parts);
    if let Some(page) = parts.get_mut(&key) {
        Arc::make_mut(page).remove(place);
        if page.is_empty() {
            parts.remove(&key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
