//! Errors as HTTP shows them: `{"error":{"code","message","hint","position"}}` with the status of the one table.

use crate::status::status;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_error::Error;
use serde_json::{Map, Value, json};

/// The value of an `error` member.
pub(super) fn member(error: &Error) -> Value {
    let mut member = Map::new();
    member.insert("code".to_owned(), json!(status(error.kind()).sqlstate));
    member.insert("message".to_owned(), json!(error.message()));
    let shown = error.to_string();
    let context = shown.strip_prefix(error.message()).map(str::trim).filter(|c| !c.is_empty());
    if let Some(detail) = error.detail_text().or(context) {
        member.insert("detail".to_owned(), json!(detail));
    }
    if let Some(hint) = error.hint_text() {
        member.insert("hint".to_owned(), json!(hint));
    }
    if let Some(position) = error.position() {
        member.insert("position".to_owned(), json!(position));
    }
    Value::Object(member)
}

/// A whole answer for an error that came before the first byte.
pub(super) fn respond(error: &Error) -> Response {
    let code = StatusCode::from_u16(status(error.kind()).http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code.is_server_error() && code != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(%error, "request failed");
    }
    body(code, json!({ "error": member(error) }))
}

/// The same for what is no statement's error.
pub(super) fn plain(code: StatusCode, sqlstate: &str, message: &str, hint: Option<&str>) -> Response {
    let mut error = json!({ "code": sqlstate, "message": message });
    if let (Some(hint), Some(members)) = (hint, error.as_object_mut()) {
        members.insert("hint".to_owned(), json!(hint));
    }
    body(code, json!({ "error": error }))
}

fn body(code: StatusCode, value: Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (code, headers, format!("{value}\n")).into_response();
    if code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
