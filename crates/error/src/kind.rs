//! The kinds of error, each an instruction to the caller.

/// What kind of thing went wrong. Each maps to exactly one SQLSTATE, HTTP status and gRPC code (`server/src/status.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The statement cannot be parsed: mend its text (42601).
    Syntax,
    /// A value or option is not one we understand: mend it (22023).
    InvalidValue,
    /// Text that is not of the wanted type (22P02).
    InvalidText,
    /// Text that is not a date or time (22007).
    InvalidTime,
    /// A number outside its type (22003).
    OutOfRange,
    /// Division by zero (22012).
    DivisionByZero,
    /// NULL where NOT NULL is declared (23502).
    NotNull,
    /// Expressions of types that do not go together (42804).
    TypeMismatch,
    /// A column that is neither grouped nor aggregated (42803).
    Grouping,
    /// No such table (42P01).
    UnknownTable,
    /// No such column (42703).
    UnknownColumn,
    /// A name that could mean several columns (42702).
    AmbiguousColumn,
    /// No such function, or none for these types (42883).
    UnknownFunction,
    /// No such source, type or other object (42704).
    UnknownObject,
    /// No such prepared statement (26000).
    UnknownStatement,
    /// No such portal (34000).
    UnknownPortal,
    /// The table exists already (42P07).
    DuplicateTable,
    /// The column is there twice (42701).
    DuplicateColumn,
    /// The source or other object exists already (42710).
    DuplicateObject,
    /// Somebody else changed it meanwhile: look again and retry (40001).
    Conflict,
    /// Other objects depend on it: remove them first or say CASCADE (2BP01).
    Dependent,
    /// Not in the state that the call needs (55000).
    WrongState,
    /// Not within a transaction block: end it first (25001).
    ActiveTransaction,
    /// Who are you (28000).
    Unauthenticated,
    /// You may not (42501).
    Denied,
    /// The request breaks a size limit (54000).
    TooLarge,
    /// Too many connections or requests: come back later (53300).
    TooMany,
    /// The memory limit was reached (53200).
    OutOfMemory,
    /// The disk is full (53100).
    DiskFull,
    /// Cancelled by the user (57014).
    Cancelled,
    /// Ran out of its time (57014).
    Timeout,
    /// A file, object store or broker could not be reached or answered with an error (58030).
    Io,
    /// Stored bytes are not what was written (XX001).
    Damage,
    /// Known, but not in this version (0A000).
    NotSupported,
    /// The server is stopping (57P01).
    ShuttingDown,
    /// The client broke the protocol (08P01).
    Protocol,
    /// A bug of ours (XX000).
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::TooMany
                | Self::OutOfMemory
                | Self::DiskFull
                | Self::Timeout
                | Self::Io
                | Self::ShuttingDown
        )
    }
}
