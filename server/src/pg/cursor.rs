//! A result that is being sent.
//!
//! What enters: the stream of an answer. What leaves: data rows, batch by batch, no faster than the client takes them: the
//! stream is polled only while the output buffer has room, so a slow client costs one batch. Deliberately absent: whole
//! results.

use crate::pg::encode::{BatchEncoder, Format};
use crate::pg::pg_type::PgType;
use crate::pg::registry::Running;
use crate::pg::reply::{Report, Trouble};
use crate::pg::wire::{Incoming, Outgoing};
use crate::pg::zone::Zone;
use futures::{FutureExt, StreamExt};
use millrace_sql::RowStream;
use tokio_util::sync::CancellationToken;

/// Ends work when it should end: cancelled, server stopping, client gone.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) running: &'a Running,
    /// Fires when the server waits no longer for running statements.
    pub(crate) force: &'a CancellationToken,
    pub(crate) incoming: &'a mut Incoming,
}

/// Rows of one statement, partly sent.
pub(crate) struct Cursor {
    rows: RowStream,
    types: Vec<PgType>,
    formats: Vec<Format>,
    /// The word before the count, or the whole tag.
    tag: &'static str,
    zone: Zone,
    batch: Option<(BatchEncoder, usize)>,
    finished: bool,
}

/// How far a cursor came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pumped {
    pub(crate) sent: u64,
    pub(crate) finished: bool,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("types", &self.types).field("finished", &self.finished).finish_non_exhaustive()
    }
}

impl Watch<'_> {
    /// The output of `work`, unless something ends it first; then it is dropped, which cancels it.
    pub(crate) async fn over<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            () = self.running.cancelled() => {
                Err(Trouble::Failed(Report::new("57014", "canceling statement due to user request")))
            }
            () = self.force.cancelled() => Err(Trouble::Fatal(shutting_down())),
            output = work => Ok(output),
            () = self.incoming.hangup() => Err(Trouble::Gone),
        }
    }
}

/// What a client is told when the server stops.
pub(crate) fn shutting_down() -> Report {
    Report::new("57P01", "terminating connection due to administrator command")
}

impl Cursor {
    pub(crate) fn new(
        rows: RowStream,
        types: Vec<PgType>,
        formats: Vec<Format>,
        tag: &'static str,
        zone: Zone,
    ) -> Self {
        Self { rows, types, formats, tag, zone, batch: None, finished: false }
    }

    /// The tag after `sent` rows.
    pub(crate) fn tag(&self, sent: u64) -> String {
        if self.tag == "SELECT" { format!("SELECT {sent}") } else { self.tag.to_owned() }
    }

    /// Sends rows until the end or until `max_rows` (0: no limit) of them are sent.
    pub(crate) async fn pump(
        &mut self,
        max_rows: u64,
        outgoing: &mut Outgoing,
        watch: &mut Watch<'_>,
    ) -> Result<Pumped, Trouble> {
        let mut sent = 0;
        loop {
            if let Some((encoder, at)) = &mut self.batch {
                while *at < encoder.rows() {
                    if max_rows > 0 && sent == max_rows {
                        return Ok(Pumped { sent, finished: false });
                    }
                    encoder.put_row(*at, &mut outgoing.buffer)?;
                    *at += 1;
                    sent += 1;
                    if outgoing.is_full() {
                        watch.over(outgoing.flush()).await??;
                        // A client that keeps up would otherwise hold this thread until the end.
                        tokio::task::yield_now().await;
                    }
                }
            }
            self.batch = None;
            if self.finished {
                return Ok(Pumped { sent, finished: true });
            }
            if max_rows > 0 && sent == max_rows {
                return Ok(Pumped { sent, finished: false });
            }
            self.advance(sent > 0, outgoing, watch).await?;
        }
    }

    /// Takes the next batch. Rows that are waiting to be sent are not kept back while it is being made.
    async fn advance(&mut self, unsent: bool, outgoing: &mut Outgoing, watch: &mut Watch<'_>) -> Result<(), Trouble> {
        let next = match self.rows.next().now_or_never() {
            Some(next) => next,
            None => {
                if unsent {
                    watch.over(outgoing.flush()).await??;
                }
                watch.over(self.rows.next()).await?
            }
        };
        match next {
            Some(batch) => self.batch = Some((BatchEncoder::new(&batch?, &self.types, &self.formats, self.zone)?, 0)),
            None => self.finished = true,
        }
        Ok(())
    }
}
