//! Which value of a document belongs to which column.
//!
//! What enters: the paths of all columns, once; then one tape after the other. What leaves: per column the place of its
//! value in the tape and in the text, the last one where a key is repeated. Deliberately absent: types, values.
//!
//! The paths form a tree. Names are found by guessing: after the field that came last stood, in the record before, a
//! certain other field; only a wrong guess costs a hash lookup. Names that no column takes are remembered too (up to a
//! bound), so that ignored fields cost no more than wanted ones.

use super::source_text;
use millrace_schema::{JsonPath, PathStep};
use simd_json::Node;

/// Names without a column that one object's table remembers.
const UNKNOWN_NAMES_MAX: usize = 256;
/// Longer names without a column are not remembered.
const UNKNOWN_NAME_BYTES_MAX: usize = 64;

/// Where a column's value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Index in the tape; 0 (the document itself): there is none.
    pub(super) node: usize,
    /// Place in the text: of the first byte inside its key, or of the value itself.
    at: usize,
    keyed: bool,
}

/// The tree of all columns' paths.
#[derive(Debug)]
pub(super) struct Fields {
    levels: Vec<Level>,
}

/// What an object's fields or an array's elements lead to.
#[derive(Debug, Default)]
struct Level {
    names: Vec<Name>,
    /// Open addressing: index into `names` plus one, 0 free; a power of two and at most half full.
    table: Vec<usize>,
    /// How many of `names` have a column.
    known: usize,
    /// The name that stood first in the last object.
    first: usize,
    elements: Vec<(usize, Target)>,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    target: Target,
    /// The name that stood after this one in the last object.
    next: usize,
}

/// Who wants a value.
#[derive(Debug, Default)]
struct Target {
    columns: Vec<usize>,
    /// The level below, where a path goes on.
    below: Option<usize>,
    /// All columns below.
    subtree: Vec<usize>,
}

impl Found {
    /// Where the value begins in the text.
    pub(super) fn value_at(self, payload: &[u8]) -> usize {
        if self.keyed { source_text::after_key(payload, self.at) } else { self.at }
    }
}

impl Fields {
    /// The tree of `paths`, where the index of a path is its column.
    pub(super) fn new(paths: &[JsonPath]) -> Self {
        let mut fields = Self { levels: vec![Level::default()] };
        for (column, path) in paths.iter().enumerate() {
            fields.add(0, path.steps(), column);
        }
        for level in &mut fields.levels {
            level.known = level.names.len();
            level.table = vec![0; ((level.known + UNKNOWN_NAMES_MAX) * 2).next_power_of_two()];
            for i in 0..level.names.len() {
                level.enter(i);
            }
        }
        fields
    }

    fn add(&mut self, level: usize, steps: &[PathStep], column: usize) {
        let Some((step, rest)) = steps.split_first() else { return };
        let fresh = self.levels.len();
        let Some(here) = self.levels.get_mut(level) else { return };
        let target = match step {
            PathStep::Field(name) => here.name_or_new(name),
            PathStep::Index(index) => here.element_or_new(*index),
        };
        let Some(target) = target else { return };
        if rest.is_empty() {
            target.columns.push(column);
            return;
        }
        target.subtree.push(column);
        let below = *target.below.get_or_insert(fresh);
        if below == fresh {
            self.levels.push(Level::default());
        }
        self.add(below, rest, column);
    }
}

impl Level {
    fn name_or_new(&mut self, text: &str) -> Option<&mut Target> {
        let i = self.names.iter().position(|n| *n.text == *text).unwrap_or_else(|| self.push(text));
        self.names.get_mut(i).map(|n| &mut n.target)
    }

    fn element_or_new(&mut self, index: usize) -> Option<&mut Target> {
        let i = self.elements.iter().position(|(i, _)| *i == index).unwrap_or(self.elements.len());
        if i == self.elements.len() {
            self.elements.push((index, Target::default()));
        }
        self.elements.get_mut(i).map(|(_, target)| target)
    }

    fn push(&mut self, text: &str) -> usize {
        self.names.push(Name { text: text.into(), target: Target::default(), next: 0 });
        self.names.len() - 1
    }

    /// FNV-1a, folded.
    fn slot_of(&self, text: &str) -> usize {
        let hash =
            text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        usize::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or(0) & (self.table.len() - 1)
    }

    /// Puts name `i` into the table.
    fn enter(&mut self, i: usize) {
        let Some(name) = self.names.get(i) else { return };
        let mut slot = self.slot_of(&name.text);
        while let Some(entry) = self.table.get_mut(slot) {
            if *entry == 0 {
                *entry = i + 1;
                return;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
    }

    /// The name that `key` is, guessed first. `None`: unknown and not remembered.
    fn find(&mut self, guess: usize, key: &str) -> Option<usize> {
        if self.names.get(guess).is_some_and(|n| *n.text == *key) {
            return Some(guess);
        }
        let mut slot = self.slot_of(key);
        loop {
            match self.table.get(slot).copied() {
                None => return None,
                Some(0) => break,
                Some(entry) if self.names.get(entry - 1).is_some_and(|n| *n.text == *key) => return Some(entry - 1),
                Some(_) => slot = (slot + 1) & (self.table.len() - 1),
            }
        }
        if self.names.len() - self.known >= UNKNOWN_NAMES_MAX || key.len() > UNKNOWN_NAME_BYTES_MAX {
            return None;
        }
        let i = self.push(key);
        self.enter(i);
        Some(i)
    }
}

/// One walk over one document.
#[derive(Debug)]
pub(super) struct Walk<'a, 'p> {
    pub(super) fields: &'a mut Fields,
    /// One place for each column, overwritten.
    pub(super) found: &'a mut [Found],
    pub(super) nodes: &'a [Node<'p>],
    /// The text as it came.
    pub(super) payload: &'a [u8],
    /// Address of the buffer that the tape's strings lie in, at the same offsets as in `payload`.
    pub(super) base: usize,
    /// Counts top-level fields that no column takes.
    pub(super) unknown: u64,
}

impl Walk<'_, '_> {
    /// Walks the document. `false`: it is not an object.
    pub(super) fn document(&mut self) -> bool {
        let Some(Node::Object { len, .. }) = self.nodes.first() else { return false };
        self.found.fill(Found::default());
        self.object(0, *len, 1);
        true
    }

    /// `node`: the first key's.
    fn object(&mut self, level: usize, len: usize, mut node: usize) {
        let mut guess = self.fields.levels.get(level).map_or(0, |l| l.first);
        let mut before = None;
        for _ in 0..len {
            let Some(Node::String(key)) = self.nodes.get(node).copied() else { return };
            let value = node + 1;
            node = value + self.size(value);
            let Some(here) = self.fields.levels.get_mut(level) else { return };
            let Some(i) = here.find(guess, key) else {
                self.unknown += u64::from(level == 0);
                continue;
            };
            if i != guess {
                match before.and_then(|b: usize| here.names.get_mut(b)) {
                    Some(name) => name.next = i,
                    None => here.first = i,
                }
            }
            before = Some(i);
            let Some(name) = here.names.get(i) else { return };
            guess = name.next;
            let place = Found { node: value, at: key.as_ptr().addr() - self.base, keyed: true };
            let wanted = mark(&name.target, place, self.found);
            self.unknown += u64::from(level == 0 && !wanted);
            if let Some(below) = name.target.below {
                self.descend(below, place);
            }
        }
    }

    fn descend(&mut self, level: usize, place: Found) {
        match self.nodes.get(place.node).copied() {
            Some(Node::Object { len, .. }) => self.object(level, len, place.node + 1),
            Some(Node::Array { len, .. }) => self.array(level, len, place),
            _ => {}
        }
    }

    fn array(&mut self, level: usize, len: usize, place: Found) {
        let Some(last) = self.fields.levels.get(level).and_then(|l| l.elements.iter().map(|(i, _)| *i).max()) else {
            return;
        };
        let mut node = place.node + 1;
        let mut at = source_text::skip_space(self.payload, place.value_at(self.payload) + 1);
        for index in 0..len.min(last.saturating_add(1)) {
            let Some(here) = self.fields.levels.get(level) else { return };
            if let Some((_, target)) = here.elements.iter().find(|(i, _)| *i == index) {
                let place = Found { node, at, keyed: false };
                mark(target, place, self.found);
                if let Some(below) = target.below {
                    self.descend(below, place);
                }
            }
            node += self.size(node);
            at = source_text::next_value(self.payload, source_text::value_end(self.payload, at));
        }
    }

    /// How many nodes the value at `node` is made of.
    fn size(&self, node: usize) -> usize {
        match self.nodes.get(node) {
            Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
            _ => 1,
        }
    }
}

/// Notes a place for the columns that want it, and forgets what an earlier field of this name held for columns below.
fn mark(target: &Target, place: Found, found: &mut [Found]) -> bool {
    for column in &target.columns {
        if let Some(slot) = found.get_mut(*column) {
            *slot = place;
        }
    }
    for column in &target.subtree {
        if let Some(slot) = found.get_mut(*column) {
            *slot = Found::default();
        }
    }
    !target.columns.is_empty() || target.below.is_some()
}
