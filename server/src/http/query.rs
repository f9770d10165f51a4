//! `POST /v1/query`, a request's life on one screen.

use super::format::Encoder;
use super::request::QueryRequest;
use super::{HttpState, failure, params};
use crate::metrics::{Door, QueryTimer};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use millrace_error::{Error, ErrorKind, Result};
use millrace_sql::{Answer, Body as Rows, RowStream, Session, SnapshotName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

const SNAPSHOT: HeaderName = HeaderName::from_static("millrace-snapshot");
/// Above this the header names versions only.
const SNAPSHOT_HEADER_BYTES: usize = 4 << 10;

/// How long a query may go on once the server stops.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// The handler. A client that goes away drops this future or the body's stream, and with it the query.
pub(super) async fn answer(State(state): State<HttpState>, request: Request) -> Response {
    let stopped = async {
        state.stop.cancelled().await;
        state.clock.sleep(LAST_SECOND).await;
    };
    let answered = tokio::select! {
        answered = timed(&state, request) => answered,
        () = stopped => Err(Error::new(ErrorKind::ShuttingDown, "the server is stopping")),
    };
    answered.unwrap_or_else(|error| failure::respond(&error))
}

async fn timed(state: &HttpState, request: Request) -> Result<Response> {
    let timer = state.metrics.start(Door::Http, &state.clock);
    match run(state, request).await {
        Ok((answer, encoder)) => begin(answer, encoder, timer).await,
        Err(error) => {
            timer.failed();
            Err(error)
        }
    }
}

async fn run(state: &HttpState, request: Request) -> Result<(Answer, Encoder)> {
    let (parts, body) = request.into_parts();
    let request = QueryRequest::read(&parts.headers, &parts.uri, body, state.config.body_bytes, &state.clock).await?;
    let mut session = state.engine.session();
    if let Some(offsets) = &request.wait_for {
        wait_for(state, &mut session, offsets).await?;
    }
    let mut statements = state.engine.parse(&request.sql)?.into_iter();
    let statement = statements.next().ok_or_else(|| Error::new(ErrorKind::Syntax, "the request holds no statement"))?;
    if statements.next().is_some() {
        return Err(Error::new(ErrorKind::Syntax, "the request holds more than one statement")
            .hint("send one request for each statement"));
    }
    let parameters = if request.params.is_empty() {
        Vec::new()
    } else {
        let description = session.describe(&statement, &vec![None; request.params.len()]).await?;
        params::arrays(&request.params, &description.parameters)?
    };
    let answer = session.run(&statement, parameters).await?;
    let encoder = Encoder::new(request.format, &answer)?;
    Ok((answer, encoder))
}

/// The header does what the setting of the same name does.
async fn wait_for(state: &HttpState, session: &mut Session, offsets: &str) -> Result<()> {
    let set = format!("SET millrace.wait_for = '{}'", offsets.replace('\'', "''"));
    for statement in state.engine.parse(&set)? {
        session.run(&statement, Vec::new()).await.map_err(|e| in_header(&e))?;
    }
    Ok(())
}

/// The same error without its position, which is one in a statement that the client never wrote.
fn in_header(error: &Error) -> Error {
    let mut shown = Error::new(error.kind(), error.message()).with("header", "Millrace-Wait-For");
    if let Some(detail) = error.detail_text() {
        shown = shown.detail(detail);
    }
    if let Some(hint) = error.hint_text() {
        shown = shown.hint(hint);
    }
    shown
}

/// Waits for the first rows, so that an error before them still has its status, then answers with a stream.
async fn begin(answer: Answer, encoder: Encoder, timer: QueryTimer) -> Result<Response> {
    let snapshot = snapshot_header(&answer.snapshot);
    let content_type = encoder.content_type();
    let mut rows = match answer.body {
        Rows::Rows { rows, .. } => rows,
        Rows::Command(_) => stream::empty().boxed(),
    };
    let first = match rows.next().await {
        Some(Err(error)) => {
            timer.failed();
            return Err(error);
        }
        Some(Ok(batch)) => Some(batch),
        None => None,
    };
    let rows = stream::iter(first.map(Ok)).chain(rows).boxed();
    let mut response = Body::from_stream(encoded(encoder, rows, timer)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(SNAPSHOT, snapshot);
    Ok(response)
}

/// Head, batches, tail. A failure on the way is told where the format has a place for it, else the body is cut off.
fn encoded(encoder: Encoder, rows: RowStream, timer: QueryTimer) -> impl Stream<Item = Result<Bytes>> + Send {
    let begun = Some((encoder, rows, timer, true));
    stream::unfold(begun, |state| async move {
        let (mut encoder, mut rows, timer, first) = state?;
        let mut out = Vec::new();
        if first {
            encoder.head(&mut out);
        }
        let step = match rows.next().await {
            Some(Ok(batch)) => encoder.batch(&batch, &mut out).map(|()| true),
            Some(Err(error)) => Err(error),
            None => encoder.tail(&mut out).map(|()| false),
        };
        match step {
            Ok(true) => Some((Ok(Bytes::from(out)), Some((encoder, rows, timer, false)))),
            Ok(false) => {
                timer.succeeded();
                Some((Ok(Bytes::from(out)), None))
            }
            Err(error) => {
                timer.failed();
                let told = encoder.failure(&failure::member(&error), &mut out);
                Some((if told { Ok(Bytes::from(out)) } else { Err(error) }, None))
            }
        }
    })
}

/// Source → topic → partition → next offset.
type Offsets = BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>;

/// One family in a snapshot, members in the order of the surface.
#[derive(Serialize)]
struct Named<'a> {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    offsets: Option<&'a Offsets>,
}

/// `{"wikipedia":{"version":12,"offsets":{…}}}`.
pub(super) fn snapshot_json(snapshot: &BTreeMap<String, SnapshotName>, with_offsets: bool) -> String {
    let families: BTreeMap<&str, Named<'_>> = snapshot
        .iter()
        .map(|(table, name)| {
            let offsets = with_offsets.then_some(&name.offsets);
            (table.as_str(), Named { version: name.version, offsets })
        })
        .collect();
    // Texts and numbers under text keys: it cannot fail.
    serde_json::to_string(&families).unwrap_or_else(|_| "{}".to_owned())
}

fn snapshot_header(snapshot: &BTreeMap<String, SnapshotName>) -> HeaderValue {
    let whole = ascii(&snapshot_json(snapshot, true));
    let text = if whole.len() <= SNAPSHOT_HEADER_BYTES { whole } else { ascii(&snapshot_json(snapshot, false)) };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("{}"))
}

/// The same JSON with every character beyond ASCII as `\uXXXX`: headers hold no others.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("\\u{unit:04x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_holds_ascii_and_drops_long_offsets() {
        let offsets = |n: i32| {
            BTreeMap::from([("wiki".to_owned(), BTreeMap::from([("t".to_owned(), (0..n).map(|p| (p, 7)).collect())]))])
        };
        let small = BTreeMap::from([("tä".to_owned(), SnapshotName { version: 12, offsets: offsets(1) })]);
        assert_eq!(snapshot_header(&small), r#"{"t\u00e4":{"version":12,"offsets":{"wiki":{"t":{"0":7}}}}}"#);
        let large = BTreeMap::from([("t".to_owned(), SnapshotName { version: 12, offsets: offsets(5_000) })]);
        assert_eq!(snapshot_header(&large), r#"{"t":{"version":12}}"#);
    }
}
