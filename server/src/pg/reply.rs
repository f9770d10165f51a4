//! Messages to the client.
//!
//! What enters: errors, notices, descriptions, tags. What leaves: bytes appended to the output buffer, by pgwire's message
//! types. Deliberately absent: data rows (`encode`), I/O (`wire`).

use crate::pg::encode::Format;
use crate::pg::pg_type::ColumnShape;
use crate::status::sqlstate;
use bytes::BytesMut;
use millrace_error::{Error, ErrorKind};
use millrace_sql::Notice;
use pgwire::messages::Message;
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus,
};
use pgwire::messages::startup::ParameterStatus;

/// Longest message text that is sent; the rest is cut. libpq refuses more than 30,000 bytes in some messages.
const TEXT_BYTES_MAX: usize = 8_192;

/// An error as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    pub(crate) position: Option<usize>,
}

/// Why a step did not go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The statement failed; the connection goes on.
    Failed(Report),
    /// The connection ends once the client has been told.
    Fatal(Report),
    /// The client is gone.
    Gone,
}

impl Report {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None, position: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        // The context (path, partition, …) is worth showing where there is no better detail.
        let shown = error.to_string();
        let context = shown.strip_prefix(error.message()).map(str::trim).filter(|c| !c.is_empty()).map(str::to_owned);
        Self {
            code: sqlstate(error.kind()),
            message: error.message().to_owned(),
            detail: error.detail_text().map(str::to_owned).or(context),
            hint: error.hint_text().map(str::to_owned),
            position: error.position(),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Damage) {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "statement failed");
        }
        Self::Failed(Report::from(&error))
    }
}

impl From<std::io::Error> for Trouble {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Appends `message`. All of ours are within pgwire's own limits, so that encoding cannot fail; if it ever did, nothing of
/// the message would be sent.
fn put(message: &impl Message, out: &mut BytesMut) {
    let before = out.len();
    if let Err(error) = message.encode(out) {
        tracing::error!(%error, "cannot encode a message");
        out.truncate(before);
    }
}

fn cut(text: &str) -> String {
    // A zero byte would end the string on the wire.
    let clean = text.replace('\0', " ");
    match clean.char_indices().find(|(at, _)| *at >= TEXT_BYTES_MAX) {
        Some((at, _)) => format!("{}…", clean.get(..at).unwrap_or_default()),
        None => clean,
    }
}

/// `ERROR` or `FATAL`.
pub(crate) fn error(report: &Report, fatal: bool, out: &mut BytesMut) {
    let severity = if fatal { "FATAL" } else { "ERROR" };
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', report.code.to_owned()),
        (b'M', cut(&report.message)),
    ];
    fields.extend(report.detail.as_deref().map(|d| (b'D', cut(d))));
    fields.extend(report.hint.as_deref().map(|h| (b'H', cut(h))));
    fields.extend(report.position.map(|p| (b'P', p.to_string())));
    put(&ErrorResponse::new(fields), out);
}

/// `WARNING` or `NOTICE`.
pub(crate) fn notice(notice: &Notice, out: &mut BytesMut) {
    let fields = vec![
        (b'S', notice.severity.to_owned()),
        (b'V', notice.severity.to_owned()),
        (b'C', notice.code.to_owned()),
        (b'M', cut(&notice.message)),
    ];
    put(&NoticeResponse::new(fields), out);
}

/// `formats` is empty where the client has not said any yet.
pub(crate) fn row_description(columns: &[ColumnShape], formats: &[Format], out: &mut BytesMut) {
    let fields = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let binary = formats.get(at) == Some(&Format::Binary);
            let (oid, length) = (column.ty.oid(), column.ty.length());
            FieldDescription::new(cut(&column.name), 0, 0, oid, length, column.modifier, i16::from(binary))
        })
        .collect();
    put(&RowDescription::new(fields), out);
}

pub(crate) fn parameter_description(oids: Vec<u32>, out: &mut BytesMut) {
    put(&ParameterDescription::new(oids), out);
}

pub(crate) fn no_data(out: &mut BytesMut) {
    put(&NoData::new(), out);
}

pub(crate) fn parse_complete(out: &mut BytesMut) {
    put(&ParseComplete::new(), out);
}

pub(crate) fn bind_complete(out: &mut BytesMut) {
    put(&BindComplete::new(), out);
}

pub(crate) fn close_complete(out: &mut BytesMut) {
    put(&CloseComplete::new(), out);
}

pub(crate) fn portal_suspended(out: &mut BytesMut) {
    put(&PortalSuspended::new(), out);
}

pub(crate) fn empty_query(out: &mut BytesMut) {
    put(&EmptyQueryResponse::new(), out);
}

pub(crate) fn command_complete(tag: String, out: &mut BytesMut) {
    put(&CommandComplete::new(cut(&tag)), out);
}

pub(crate) fn ready(status: TransactionStatus, out: &mut BytesMut) {
    put(&ReadyForQuery::new(status), out);
}

pub(crate) fn parameter_status(name: &str, value: &str, out: &mut BytesMut) {
    put(&ParameterStatus::new(name.to_owned(), cut(value)), out);
}
