//! How parse errors are worded: as PostgreSQL words them, with a place and where possible a suggestion.
//!
//! What enters: a place and what was found there. What leaves: an [`Error`]. Deliberately absent: finding the place.

use millrace_error::{Error, ErrorKind};

const SHOWN_CHARS_MAX: usize = 64;

/// At most so much of the user's text as a message can bear.
pub(super) fn shorten(text: &str) -> &str {
    let end = text.char_indices().nth(SHOWN_CHARS_MAX).map_or(text.len(), |(i, _)| i);
    text.get(..end).unwrap_or(text)
}

/// `syntax error at or near "…"`, or at the end.
pub(super) fn syntax(near: Option<&str>, at: usize) -> Error {
    let message = match near {
        Some(near) => format!("syntax error at or near \"{}\"", shorten(near)),
        None => "syntax error at end of input".to_owned(),
    };
    Error::new(ErrorKind::Syntax, message).at(at)
}

/// Something that is known but not in this version.
pub(super) fn later(what: &str, at: usize) -> Error {
    Error::not_supported(format!("{what} is not supported in this version")).at(at)
}

/// A value that cannot be.
pub(super) fn invalid(message: impl Into<String>, at: usize) -> Error {
    Error::new(ErrorKind::InvalidValue, message).at(at)
}
