//! Payloads → record batches, row by row error-atomic; what does not fit becomes [`Poison`] and then a dead letter.
//!
//! What enters: the bytes of single records and the table they are meant for. What leaves: record batches in the
//! table's Arrow schema, and batches of dead letters. Deliberately absent: where payloads come from, offsets, I/O.
//!
//! ```text
//! payload ─ simd-json tape ─ fields (which value belongs to which column) ─ convert (typed slots) ─ columns
//!                │ refused                                                     │ does not fit
//!                └ check (why; or numbers too long for the tape) ── Poison ────┘
//! ```
//! A row is appended only when every one of its slots is known to fit, so a poisonous record leaves no trace.

mod check;
mod column;
mod convert;
mod fields;
mod json;
mod jsonb;
mod number;
mod reject;
mod source_text;
mod time;

pub use json::{DecoderConfig, JsonDecoder};
pub use reject::{DeadLetter, DeadLetterBuilder};

use millrace_schema::PoisonReason;
use std::fmt;

/// Deepest nesting of arrays and objects in one record.
pub const DEPTH_MAX: usize = 128;

/// What is known of a row that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowInfo {
    /// The value of the table's time column as microseconds since 1970 UTC; `None` where it is NULL or there is none.
    pub event_time: Option<i64>,
}

/// Why a record cannot become a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// The word users see.
    pub reason: PoisonReason,
    /// Which column, which path, what was found there.
    pub detail: String,
}

impl Poison {
    /// A poison of `reason` with its particulars.
    pub fn new(reason: PoisonReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

/// The beginning of a value, for people: at most 60 characters, control characters escaped.
fn excerpt(bytes: &[u8]) -> String {
    const CHARS: usize = 60;
    let head = bytes.get(..CHARS * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(head);
    let mut out: String = text
        .chars()
        .take(CHARS)
        .flat_map(|c| {
            let plain = (!c.is_control()).then_some(c);
            plain.into_iter().chain(plain.is_none().then(|| c.escape_default()).into_iter().flatten())
        })
        .collect();
    if text.chars().nth(CHARS).is_some() || head.len() < bytes.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
