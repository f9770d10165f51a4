//! The one error shape of Millrace: a kind that tells the caller what to do next, a message for the user, and context.
//!
//! What enters: the place where something went wrong. What leaves: an [`Error`] that a protocol door can turn into a
//! SQLSTATE, an HTTP status or a gRPC code by looking at [`ErrorKind`] alone. Deliberately absent: protocol codes
//! (the single table lives in `server/src/status.rs`) and back traces.

mod kind;

pub use kind::ErrorKind;

use std::fmt;

/// The result of everything fallible in Millrace.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong, where, and what to do.
///
/// Boxed so that `Result<T, Error>` stays one word wide on the success path.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    context: Vec<(&'static str, String)>,
    source: Option<Source>,
}

impl Error {
    /// Creates an error of `kind`; `message` is lower case, without a full stop, and names what was wrong.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// A bug of ours: the user cannot mend it.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Something the surface names that this version does not have yet.
    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSupported, message)
    }

    /// An I/O failure at `path`; a full disk becomes [`ErrorKind::DiskFull`].
    pub fn io(path: impl fmt::Display, error: std::io::Error) -> Self {
        let kind = if error.kind() == std::io::ErrorKind::StorageFull { ErrorKind::DiskFull } else { ErrorKind::Io };
        Self::new(kind, format!("{error}")).with("path", path.to_string()).caused_by(error)
    }

    /// Adds one key and value saying where it happened.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a second sentence with particulars.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the 1-based character position in the statement, as PostgreSQL counts it.
    #[must_use]
    pub fn at(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Keeps the underlying error.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind: what the caller does next.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The bare message, without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the user can do, if we know.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Particulars, if any.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// 1-based character position in the statement.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        self.0.kind.retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            let open = if i == 0 { " (" } else { ", " };
            write!(f, "{open}{key}={value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|s| {
            let s: &(dyn std::error::Error + 'static) = s;
            s
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_message_and_context() {
        let e = Error::new(ErrorKind::Damage, "checksum differs").with("file", "a.parquet").with("offset", 7);
        assert_eq!(e.to_string(), "checksum differs (file=a.parquet, offset=7)");
        assert_eq!(e.kind(), ErrorKind::Damage);
    }

    #[test]
    fn a_full_disk_is_its_own_kind() {
        let e = Error::io("/x", std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert_eq!(e.kind(), ErrorKind::DiskFull);
        assert!(e.retryable());
    }
}
