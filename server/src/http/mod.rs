//! The HTTP door: SQL in, rows out, health and metrics.
//!
//! ```text
//!  accept → guard (Host, Origin) → route → query: read → parse → run → encode as a stream
//! ```
//! What enters: connections of a loopback listener. What leaves: answers as they are made; no result is ever held whole.
//! Deliberately absent: authentication (so nothing but loopback), ingestion and the console (501).

mod cell;
mod connection;
mod failure;
mod format;
mod guard;
mod params;
mod query;
mod request;
mod stall;

pub use connection::serve;

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use millrace_clock::Clock;
use millrace_error::Error;
use millrace_sql::{Engine, SourceControl};
use millrace_storage::Store;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Settings of the door.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Connections at once; one more gets 429.
    pub connections: usize,
    /// Bytes of a request body.
    pub body_bytes: usize,
    /// Names in `Host` besides loopback ones.
    pub hosts: Vec<String>,
}

/// What requests need.
#[derive(Debug, Clone)]
pub struct HttpState {
    /// Runs statements.
    pub engine: Arc<Engine>,
    /// Read by `/metrics`.
    pub store: Arc<Store>,
    /// Read by `/metrics`.
    pub sources: Arc<dyn SourceControl>,
    /// Counts of queries.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` says.
    pub readiness: Readiness,
    /// Time.
    pub clock: Clock,
    /// Says that the server stops.
    pub stop: CancellationToken,
    /// Settings.
    pub config: Arc<HttpConfig>,
}

/// Paths of the surface that later versions answer.
const LATER: [&str; 6] = [
    "/v1/tables/{table}/rows",
    "/v1/snapshots/{id}",
    "/v1/endpoints/{*rest}",
    "/console",
    "/console/{*rest}",
    "/v1/events",
];

pub(crate) fn router(state: HttpState) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/query", post(query::answer));
    for path in LATER {
        router = router.route(path, any(later));
    }
    router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(state.clone(), guard::check))
        .with_state(state)
}

async fn ready(State(state): State<HttpState>) -> Response {
    match state.readiness.reason() {
        None => (StatusCode::OK, "ready\n").into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics(State(state): State<HttpState>) -> Response {
    let text = state.metrics.render(&state.store, &state.sources.status());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn later(uri: Uri) -> Response {
    failure::respond(&Error::not_supported(format!("{} is not in this version", uri.path())))
}

async fn unknown(uri: Uri) -> Response {
    let message = format!("there is nothing at {}", uri.path());
    let hint = "the paths are /v1/query, /metrics, /healthz and /readyz";
    failure::plain(StatusCode::NOT_FOUND, "42704", &message, Some(hint))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let message = format!("{method} is not a method of {}", uri.path());
    let hint = if uri.path() == "/v1/query" { "send the statement as the body of a POST" } else { "use GET" };
    failure::plain(StatusCode::METHOD_NOT_ALLOWED, "0A000", &message, Some(hint))
}

#[cfg(test)]
mod tests;
