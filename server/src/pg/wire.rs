//! The two halves of a connection's socket, with their buffers.
//!
//! What enters: bytes of the client; messages put into the output buffer. What leaves: whole frames; bytes to the client,
//! when asked to flush. Both directions are bounded: a frame has a size limit, the output buffer is flushed at
//! [`FLUSH_AT`], a write that makes no progress ends the connection. Deliberately absent: what the messages mean.

use crate::pg::reply::{Report, Trouble};
use bytes::{Buf, Bytes, BytesMut};
use millrace_clock::Clock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Output is written to the socket once so many bytes are waiting.
pub(crate) const FLUSH_AT: usize = 64 << 10;
/// While a statement runs, so many bytes of further messages are read ahead; the rest waits in the socket.
const READ_AHEAD: usize = 64 << 10;
/// A buffer that grew beyond this is given back once it is empty.
const KEEP: usize = 1 << 20;

/// From the client.
#[derive(Debug)]
pub(crate) struct Incoming {
    socket: OwnedReadHalf,
    buffer: BytesMut,
    frame_bytes_max: usize,
}

/// To the client.
#[derive(Debug)]
pub(crate) struct Outgoing {
    socket: OwnedWriteHalf,
    pub(crate) buffer: BytesMut,
    clock: Clock,
    timeout: Duration,
}

/// Both halves of a fresh connection.
pub(crate) fn open(
    stream: TcpStream,
    clock: Clock,
    write_timeout: Duration,
    frame_bytes_max: usize,
) -> (Incoming, Outgoing) {
    // Answers are small and waited for. Where it cannot be set, they are only slower.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let incoming = Incoming { socket: read, buffer: BytesMut::with_capacity(8 << 10), frame_bytes_max };
    let outgoing = Outgoing { socket: write, buffer: BytesMut::with_capacity(8 << 10), clock, timeout: write_timeout };
    (incoming, outgoing)
}

impl Incoming {
    /// The next start-up packet: a length, then the body. `None` when the client left. Cancel-safe.
    pub(crate) async fn packet(&mut self, bytes_max: usize) -> Result<Option<Bytes>, Trouble> {
        loop {
            if let Some(header) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*header)).unwrap_or(0);
                if length < 8 || length > bytes_max {
                    return Err(Trouble::Fatal(Report::new("08P01", "invalid length of startup packet")));
                }
                if self.buffer.len() >= length {
                    let mut packet = self.buffer.split_to(length);
                    packet.advance(4);
                    return Ok(Some(packet.freeze()));
                }
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message: its tag and body. `None` when the client left. Cancel-safe.
    pub(crate) async fn frame(&mut self) -> Result<Option<(u8, Bytes)>, Trouble> {
        loop {
            if let Some([tag, l0, l1, l2, l3]) = self.buffer.first_chunk::<5>() {
                let (tag, length) = (*tag, i32::from_be_bytes([*l0, *l1, *l2, *l3]));
                if !crate::pg::frontend::is_known(tag) {
                    return Err(Trouble::Fatal(Report::new("08P01", format!("invalid frontend message type {tag}"))));
                }
                let length = usize::try_from(length).ok().filter(|n| *n >= 4);
                let length = length.ok_or_else(|| Trouble::Fatal(Report::new("08P01", "invalid message length")))?;
                if length > self.frame_bytes_max {
                    let message =
                        format!("a message of {length} bytes is larger than the limit of {}", self.frame_bytes_max);
                    return Err(Trouble::Fatal(Report::new("54000", message).hint("send the data in smaller pieces")));
                }
                if self.buffer.len() > length {
                    let mut frame = self.buffer.split_to(length + 1);
                    frame.advance(5);
                    return Ok(Some((tag, frame.freeze())));
                }
                self.buffer.reserve((length + 1 - self.buffer.len()).min(KEEP));
            }
            if self.buffer.is_empty() && self.buffer.capacity() < 1_024 {
                self.buffer = BytesMut::with_capacity(8 << 10);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Returns when the client has closed the connection; reads ahead what it sends meanwhile. Cancel-safe.
    pub(crate) async fn hangup(&mut self) {
        loop {
            if self.buffer.len() >= READ_AHEAD {
                // A client that pipelines this much is there; whether it stays shows when we write.
                return std::future::pending().await;
            }
            match self.socket.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

impl Outgoing {
    /// Whether it is time to flush.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= FLUSH_AT
    }

    /// Writes everything out. Waits as long as the client takes some of it within the time limit. Cancel-safe: what was
    /// not written stays in the buffer, in order.
    ///
    /// # Errors
    /// `Gone`: the connection is of no use any more.
    pub(crate) async fn flush(&mut self) -> Result<(), Trouble> {
        let waiting = self.buffer.len();
        while !self.buffer.is_empty() {
            match self.socket.try_write(&self.buffer) {
                Ok(written) => {
                    self.buffer.advance(written);
                    continue;
                }
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Trouble::Gone),
            }
            tokio::select! {
                ready = self.socket.writable() => ready?,
                () = self.clock.sleep(self.timeout) => {
                    tracing::warn!(timeout = ?self.timeout, "client takes no bytes, closing its connection");
                    return Err(Trouble::Gone);
                }
            }
        }
        if waiting > KEEP {
            self.buffer = BytesMut::with_capacity(8 << 10);
        } else {
            self.buffer.clear();
        }
        Ok(())
    }

    /// Sends what is left, as far as the client takes it within a second, and closes.
    pub(crate) async fn close(mut self) {
        self.timeout = self.timeout.min(Duration::from_secs(1));
        if self.flush().await.is_ok() {
            // The client may have closed first.
            let _ = self.socket.shutdown().await;
        }
    }
}
