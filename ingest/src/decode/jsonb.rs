//! A value of the tape → compact JSON text: no white space, the last of repeated keys, digits of numbers as they came.
//!
//! What enters: tape and text of a sound document and a place in both. What leaves: text at the end of a buffer.
//! Recursive; the tape is never deeper than [`super::DEPTH_MAX`].

use super::source_text::{next_value, skip_space, skip_string, value, value_end};
use simd_json::{Node, StaticNode};
use std::collections::HashMap;
use std::ops::Range;

/// What is read and where it is written.
#[derive(Debug)]
pub(super) struct Writer<'a, 'p> {
    pub(super) nodes: &'a [Node<'p>],
    pub(super) payload: &'a [u8],
    pub(super) out: &'a mut String,
    /// Whether a string held U+0000, which PostgreSQL's jsonb cannot.
    pub(super) nul: bool,
}

impl<'p> Writer<'_, 'p> {
    /// Writes the value at `node`, which begins at `at` in the text; what stands behind it in both.
    pub(super) fn value(&mut self, node: usize, at: usize) -> (usize, usize) {
        match self.nodes.get(node).copied() {
            Some(Node::Object { len, .. }) => self.object(len, node + 1, at + 1),
            Some(Node::Array { len, .. }) => self.array(len, node + 1, at + 1),
            Some(Node::String(text)) => {
                self.string(text);
                (node + 1, skip_string(self.payload, at + 1))
            }
            Some(Node::Static(StaticNode::Bool(b))) => {
                self.out.push_str(if b { "true" } else { "false" });
                (node + 1, value_end(self.payload, at))
            }
            Some(Node::Static(StaticNode::Null)) | None => {
                self.out.push_str("null");
                (node + 1, value_end(self.payload, at))
            }
            Some(Node::Static(_)) => {
                let digits = value(self.payload, at);
                self.out.push_str(std::str::from_utf8(digits).unwrap_or("0"));
                (node + 1, at + digits.len())
            }
        }
    }

    fn array(&mut self, len: usize, mut node: usize, at: usize) -> (usize, usize) {
        let mut at = skip_space(self.payload, at);
        self.out.push('[');
        for i in 0..len {
            if i > 0 {
                self.out.push(',');
                at = next_value(self.payload, at);
            }
            (node, at) = self.value(node, at);
        }
        self.out.push(']');
        (node, skip_space(self.payload, at) + 1)
    }

    fn object(&mut self, len: usize, mut node: usize, at: usize) -> (usize, usize) {
        let mut at = skip_space(self.payload, at);
        let start = self.out.len();
        let mut members: Vec<(&'p str, Range<usize>)> = Vec::with_capacity(len);
        self.out.push('{');
        for i in 0..len {
            if i > 0 {
                self.out.push(',');
                at = next_value(self.payload, at);
            }
            let Some(Node::String(key)) = self.nodes.get(node).copied() else { break };
            let member = self.out.len();
            self.string(key);
            self.out.push(':');
            let colon = skip_space(self.payload, skip_string(self.payload, at + 1));
            (node, at) = self.value(node + 1, skip_space(self.payload, colon + 1));
            members.push((key, member..self.out.len()));
        }
        self.out.push('}');
        if repeated(&members) {
            self.keep_last(start, &members);
        }
        (node, skip_space(self.payload, at) + 1)
    }

    /// Writes the object that begins at `start` again, without members that a later one of the same key replaces.
    fn keep_last(&mut self, start: usize, members: &[(&str, Range<usize>)]) {
        let last: HashMap<&str, usize> = members.iter().enumerate().map(|(i, (key, _))| (*key, i)).collect();
        let kept: Vec<&str> = members
            .iter()
            .enumerate()
            .filter(|(i, (key, _))| last.get(key) == Some(i))
            .filter_map(|(_, (_, range))| self.out.get(range.clone()))
            .collect();
        let object = format!("{{{}}}", kept.join(","));
        self.out.truncate(start);
        self.out.push_str(&object);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\0'..='\u{1f}' => {
                    self.nul |= c == '\0';
                    self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// Whether a key stands twice.
fn repeated(members: &[(&str, Range<usize>)]) -> bool {
    if members.len() <= 16 {
        return members
            .iter()
            .enumerate()
            .any(|(i, (key, _))| members.iter().skip(i + 1).any(|(other, _)| other == key));
    }
    let mut keys: Vec<&str> = members.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair.first() == pair.last())
}
