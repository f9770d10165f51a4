//! A query request: which statement, with which parameters, answered in which format.

use super::format::Format;
use axum::body::Body;
use axum::http::{HeaderMap, Uri, header};
use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The header by which a query waits for offsets.
const WAIT_FOR: &str = "millrace-wait-for";

/// A read request.
#[derive(Debug)]
pub(super) struct QueryRequest {
    pub(super) sql: String,
    pub(super) params: Vec<Value>,
    pub(super) format: Format,
    /// The offsets to wait for, as the client wrote them.
    pub(super) wait_for: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBody {
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
}

impl QueryRequest {
    /// Reads a request, its body up to `limit` bytes.
    ///
    /// # Errors
    /// `TooLarge`, `Timeout`, `InvalidValue` for a body that is neither SQL nor `{"sql", "params"}`, or an unknown format.
    pub(super) async fn read(headers: &HeaderMap, uri: &Uri, body: Body, limit: usize, clock: &Clock) -> Result<Self> {
        let format = format_of(headers, uri)?;
        let bytes = tokio::select! {
            read = axum::body::to_bytes(body, limit) => read.map_err(|e| unreadable(&e, limit))?,
            () = clock.sleep(BODY_TIMEOUT) => {
                return Err(Error::new(ErrorKind::Timeout, "the request body did not arrive within 60 s"));
            }
        };
        let text = String::from_utf8(bytes.into())
            .map_err(|_| Error::new(ErrorKind::InvalidText, "the request body is not UTF-8"))?;
        let wait_for = match headers.get(WAIT_FOR) {
            Some(value) => Some(value.to_str().map_err(|_| invalid("Millrace-Wait-For is not text"))?.to_owned()),
            None => None,
        };
        let JsonBody { sql, params } = body_of(headers, text)?;
        Ok(Self { sql, params, format, wait_for })
    }
}

/// `Content-Type` decides. What `curl -d` sends by default is taken as SQL too.
fn body_of(headers: &HeaderMap, text: String) -> Result<JsonBody> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("text/plain");
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => serde_json::from_str(&text)
            .map_err(|e| invalid(&format!("the request body is not {{\"sql\":\"…\",\"params\":[…]}}: {e}"))),
        "text/plain" | "application/sql" | "application/x-www-form-urlencoded" => {
            Ok(JsonBody { sql: text, params: Vec::new() })
        }
        other => Err(invalid(&format!("Content-Type {other:?} is not one for a query"))
            .hint("send SQL as text/plain, or {\"sql\":\"…\",\"params\":[…]} as application/json")),
    }
}

fn format_of(headers: &HeaderMap, uri: &Uri) -> Result<Format> {
    if let Some(pair) = uri.query().unwrap_or_default().split('&').find(|p| !p.is_empty()) {
        return match pair.split_once('=') {
            Some(("format", name)) => Format::named(name),
            _ => Err(invalid(&format!("unknown parameter {pair:?}")).hint("the only one is format")),
        };
    }
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    let known =
        accept.split(',').find_map(|range| Format::accepted(range.split(';').next().unwrap_or_default().trim()));
    Ok(known.unwrap_or(Format::Json))
}

fn unreadable(error: &axum::Error, limit: usize) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        // `http_body_util::LengthLimitError`, whose crate we do not name for this alone.
        if inner.to_string().contains("length limit exceeded") {
            return Error::new(ErrorKind::TooLarge, format!("the request body is larger than {limit} bytes"))
                .hint("limits.body_bytes sets the bound");
        }
        cause = inner.source();
    }
    Error::new(ErrorKind::Cancelled, format!("the request body broke off: {error}"))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidValue, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(accept: &str, uri: &str) -> Result<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        format_of(&headers, &uri.parse().unwrap())
    }

    #[test]
    fn the_parameter_wins_over_accept() {
        assert_eq!(format("*/*", "/v1/query").unwrap(), Format::Json);
        assert_eq!(format("text/html, text/csv;q=0.5", "/v1/query").unwrap(), Format::Csv);
        assert_eq!(format("text/csv", "/v1/query?format=ndjson").unwrap(), Format::NdJson);
        assert_eq!(format("*/*", "/v1/query?format=parquet").unwrap_err().kind(), ErrorKind::NotSupported);
        assert_eq!(format("*/*", "/v1/query?format=xml").unwrap_err().kind(), ErrorKind::InvalidValue);
        assert_eq!(format("*/*", "/v1/query?formt=csv").unwrap_err().kind(), ErrorKind::InvalidValue);
    }

    #[test]
    fn bodies_by_content_type() {
        let read = |kind: &str, text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            body_of(&headers, text.to_owned())
        };
        assert_eq!(read("text/plain; charset=utf-8", "SELECT 1").unwrap().sql, "SELECT 1");
        let body = read("application/json", r#"{"sql":"SELECT $1","params":[1,null]}"#).unwrap();
        assert_eq!((body.sql.as_str(), body.params.len()), ("SELECT $1", 2));
        assert!(read("application/json", r#"{"sql":"SELECT 1","parms":[]}"#).is_err());
        assert!(read("image/png", "x").is_err());
    }
}
