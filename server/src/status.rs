//! The single table of error kinds.
//!
//! What enters: an [`ErrorKind`]. What leaves: its SQLSTATE, HTTP status and gRPC code. Every door (PostgreSQL, HTTP, Flight
//! SQL) reads this table and no other, so that one failure looks the same everywhere. Deliberately absent: messages.

use millrace_error::ErrorKind;

/// gRPC's status codes, by their number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GrpcCode {
    /// The caller gave up.
    Cancelled = 1,
    /// The request is wrong in itself.
    InvalidArgument = 3,
    /// It ran out of its time.
    DeadlineExceeded = 4,
    /// What it names is not there.
    NotFound = 5,
    /// What it creates is there already.
    AlreadyExists = 6,
    /// The caller may not.
    PermissionDenied = 7,
    /// A limit was reached.
    ResourceExhausted = 8,
    /// Not in the state that the call needs.
    FailedPrecondition = 9,
    /// Somebody else was faster.
    Aborted = 10,
    /// Not in this version.
    Unimplemented = 12,
    /// A bug of ours.
    Internal = 13,
    /// Something it needs is away.
    Unavailable = 14,
    /// Stored bytes are damaged.
    DataLoss = 15,
    /// Who are you.
    Unauthenticated = 16,
}

/// How one kind of error looks at each door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// Five characters, as PostgreSQL's appendix A lists them.
    pub sqlstate: &'static str,
    /// HTTP status.
    pub http: u16,
    /// gRPC code.
    pub grpc: GrpcCode,
}

const fn row(sqlstate: &'static str, http: u16, grpc: GrpcCode) -> Status {
    Status { sqlstate, http, grpc }
}

/// The row of `kind`.
pub fn status(kind: ErrorKind) -> Status {
    use ErrorKind as K;
    use GrpcCode as G;
    match kind {
        K::Syntax => row("42601", 400, G::InvalidArgument),
        K::InvalidValue => row("22023", 400, G::InvalidArgument),
        K::InvalidText => row("22P02", 400, G::InvalidArgument),
        K::InvalidTime => row("22007", 400, G::InvalidArgument),
        K::OutOfRange => row("22003", 400, G::InvalidArgument),
        K::DivisionByZero => row("22012", 400, G::InvalidArgument),
        K::NotNull => row("23502", 400, G::InvalidArgument),
        K::TypeMismatch => row("42804", 400, G::InvalidArgument),
        K::Grouping => row("42803", 400, G::InvalidArgument),
        K::UnknownTable => row("42P01", 404, G::NotFound),
        K::UnknownColumn => row("42703", 400, G::InvalidArgument),
        K::AmbiguousColumn => row("42702", 400, G::InvalidArgument),
        K::UnknownFunction => row("42883", 400, G::InvalidArgument),
        K::UnknownObject => row("42704", 404, G::NotFound),
        K::UnknownStatement => row("26000", 404, G::NotFound),
        K::UnknownPortal => row("34000", 404, G::NotFound),
        K::DuplicateTable => row("42P07", 409, G::AlreadyExists),
        K::DuplicateObject => row("42710", 409, G::AlreadyExists),
        K::DuplicateColumn => row("42701", 400, G::InvalidArgument),
        K::Conflict => row("40001", 409, G::Aborted),
        K::Dependent => row("2BP01", 409, G::FailedPrecondition),
        K::WrongState => row("55000", 409, G::FailedPrecondition),
        K::ActiveTransaction => row("25001", 400, G::FailedPrecondition),
        K::Unauthenticated => row("28000", 401, G::Unauthenticated),
        K::Denied => row("42501", 403, G::PermissionDenied),
        K::TooLarge => row("54000", 413, G::ResourceExhausted),
        K::TooMany => row("53300", 429, G::ResourceExhausted),
        K::OutOfMemory => row("53200", 503, G::ResourceExhausted),
        K::DiskFull => row("53100", 507, G::ResourceExhausted),
        K::Cancelled => row("57014", 499, G::Cancelled),
        K::Timeout => row("57014", 504, G::DeadlineExceeded),
        K::Io => row("58030", 503, G::Unavailable),
        K::Damage => row("XX001", 500, G::DataLoss),
        K::NotSupported => row("0A000", 501, G::Unimplemented),
        K::ShuttingDown => row("57P01", 503, G::Unavailable),
        K::Protocol => row("08P01", 400, G::InvalidArgument),
        // `Internal`, and a kind that was added without a row here: a bug of ours either way.
        _ => row("XX000", 500, G::Internal),
    }
}

/// The SQLSTATE of `kind`.
pub fn sqlstate(kind: ErrorKind) -> &'static str {
    status(kind).sqlstate
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the surface's error table.
    #[test]
    fn as_the_surface_says() {
        let check = |kind, sqlstate, http, grpc| assert_eq!(status(kind), Status { sqlstate, http, grpc }, "{kind:?}");
        check(ErrorKind::Syntax, "42601", 400, GrpcCode::InvalidArgument);
        check(ErrorKind::UnknownTable, "42P01", 404, GrpcCode::NotFound);
        check(ErrorKind::UnknownColumn, "42703", 400, GrpcCode::InvalidArgument);
        check(ErrorKind::DuplicateTable, "42P07", 409, GrpcCode::AlreadyExists);
        check(ErrorKind::ActiveTransaction, "25001", 400, GrpcCode::FailedPrecondition);
        check(ErrorKind::Conflict, "40001", 409, GrpcCode::Aborted);
        check(ErrorKind::Denied, "42501", 403, GrpcCode::PermissionDenied);
        check(ErrorKind::TooLarge, "54000", 413, GrpcCode::ResourceExhausted);
        check(ErrorKind::TooMany, "53300", 429, GrpcCode::ResourceExhausted);
        check(ErrorKind::OutOfMemory, "53200", 503, GrpcCode::ResourceExhausted);
        check(ErrorKind::Cancelled, "57014", 499, GrpcCode::Cancelled);
        check(ErrorKind::Timeout, "57014", 504, GrpcCode::DeadlineExceeded);
        check(ErrorKind::DiskFull, "53100", 507, GrpcCode::ResourceExhausted);
        check(ErrorKind::Io, "58030", 503, GrpcCode::Unavailable);
        check(ErrorKind::Damage, "XX001", 500, GrpcCode::DataLoss);
        check(ErrorKind::NotSupported, "0A000", 501, GrpcCode::Unimplemented);
        check(ErrorKind::ShuttingDown, "57P01", 503, GrpcCode::Unavailable);
        check(ErrorKind::Internal, "XX000", 500, GrpcCode::Internal);
        assert_eq!(sqlstate(ErrorKind::Timeout), "57014");
    }
}
