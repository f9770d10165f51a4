//! Connections of the HTTP door: accept, bound, serve, stop.
//!
//! What enters: a listener and a token that says stop. What leaves: nothing; returns when the last connection is closed or
//! the grace is over. Deliberately absent: what is answered (see the router).

use super::stall::Bounded;
use super::{HttpState, router};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use millrace_clock::Clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a client may take to send a request's head, also on a connection kept alive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take no byte of a pending answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long answers under way may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// After a failed `accept`, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const BUSY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\
content-length: 64\r\n\r\n{\"error\":{\"code\":\"53300\",\"message\":\"too many connections\"}}    \n";

/// Serves until the state's `stop`, then lets answers under way end, for at most two seconds.
pub async fn serve(listener: TcpListener, state: HttpState) {
    let (clock, stop) = (state.clock.clone(), state.stop.clone());
    let slots = state.config.connections;
    let free = Arc::new(Semaphore::new(slots));
    let router = router(state);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "http: cannot accept");
                clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&free).try_acquire_owned() else {
            tokio::spawn(refuse(stream, clock.clone()));
            continue;
        };
        let (router, stop, clock) = (router.clone(), stop.clone(), clock.clone());
        tokio::spawn(async move {
            converse(stream, router, stop, clock).await;
            drop(permit);
        });
    }
    let all = u32::try_from(slots).unwrap_or(u32::MAX);
    tokio::select! {
        _ = free.acquire_many(all) => {}
        () = clock.sleep(GRACE + GRACE / 2) => tracing::warn!("http: connections left behind"),
    }
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken, clock: Clock) {
    let _ = stream.set_nodelay(true);
    let stream = Bounded::new(stream, clock.clone(), WRITE_TIMEOUT);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = clock.sleep(GRACE) => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "http: connection ended");
    }
}

/// Says why and closes. What the client sends meanwhile is read first: closing over unread bytes would reset the
/// connection, and the client might never see the answer.
async fn refuse(mut stream: TcpStream, clock: Clock) {
    let told = async {
        stream.write_all(BUSY).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    tokio::select! {
        _ = told => {}
        () = clock.sleep(GRACE) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_its_length() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
