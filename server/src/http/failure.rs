//! Errors as HTTP shows them: `{"error":{"code","message","hint","position"}}` with the status of the one table.

use crate::status::status;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_error::Error;
use serde::Serialize;

/// An `error` member, its members in the order of the surface.
#[derive(Debug, Serialize)]
struct Member<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
}

impl Member<'_> {
    fn json(&self) -> String {
        // Texts and a number: it cannot fail.
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// The value of an `error` member, as JSON.
pub(super) fn member(error: &Error) -> String {
    let shown = error.to_string();
    // The context (path, partition, …) is worth showing where there is no better detail.
    let context = shown.strip_prefix(error.message()).map(str::trim).filter(|c| !c.is_empty());
    Member {
        code: status(error.kind()).sqlstate,
        message: error.message(),
        detail: error.detail_text().or(context),
        hint: error.hint_text(),
        position: error.position(),
    }
    .json()
}

/// A whole answer for an error that came before the first byte.
pub(super) fn respond(error: &Error) -> Response {
    let code = StatusCode::from_u16(status(error.kind()).http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code.is_server_error() && code != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(%error, "request failed");
    }
    body(code, &member(error))
}

/// The same for what is no statement's error.
pub(super) fn plain(code: StatusCode, sqlstate: &str, message: &str, hint: Option<&str>) -> Response {
    body(code, &Member { code: sqlstate, message, detail: None, hint, position: None }.json())
}

fn body(code: StatusCode, error: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (code, headers, format!("{{\"error\":{error}}}\n")).into_response();
    if code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
