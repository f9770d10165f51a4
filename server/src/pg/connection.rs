//! One connection, from its first packet to its last.
//!
//! What enters: a socket. What leaves: nothing; it ends when the client leaves, breaks the protocol, idles too long, or the
//! server stops. Deliberately absent: what the two query protocols do (`simple`, `extended`).

use crate::metrics::{Door, QueryTimer};
use crate::pg::PgConfig;
use crate::pg::cursor::{Watch, shutting_down};
use crate::pg::extended::{Portal, Prepared};
use crate::pg::frontend::{self, Message, Target};
use crate::pg::registry::{Registered, Registry, Running};
use crate::pg::reply::{self, Report, Trouble};
use crate::pg::settings::Settings;
use crate::pg::startup::{self, Hello, Start};
use crate::pg::wire::{self, Incoming, Outgoing};
use arrow::array::ArrayRef;
use bytes::Bytes;
use millrace_error::Error;
use millrace_sql::{Answer, Engine, Session, Statement};
use pgwire::messages::response::TransactionStatus;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) config: PgConfig,
    pub(crate) registry: Arc<Registry>,
    /// One permit for each session.
    pub(crate) places: Arc<Semaphore>,
    /// The server stops: idle connections end now.
    pub(crate) shutdown: CancellationToken,
    /// The server stops waiting: running statements end too.
    pub(crate) force: CancellationToken,
}

/// A session with its socket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: Session,
    pub(crate) incoming: Incoming,
    pub(crate) outgoing: Outgoing,
    pub(crate) registered: Registered,
    pub(crate) transaction: TransactionStatus,
    pub(crate) prepared: HashMap<String, Arc<Prepared>>,
    pub(crate) portals: HashMap<String, Portal>,
    pub(crate) settings: Settings,
    /// After an error in the extended protocol: everything up to Sync is passed over.
    skipping: bool,
}

/// Serves one socket to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let config = &shared.config;
    let (mut incoming, mut outgoing) =
        wire::open(stream, config.clock.clone(), config.write_timeout, config.message_bytes_max);
    let hello = tokio::select! {
        biased;
        () = shared.shutdown.cancelled() => Err(Trouble::Fatal(shutting_down())),
        hello = startup::hello(&mut incoming, &mut outgoing) => hello,
        () = config.clock.sleep(config.startup_timeout) => Err(Trouble::Gone),
    };
    let ended = match hello {
        Ok(None) => return,
        Ok(Some(Hello::Cancel { pid, secret })) => {
            shared.registry.cancel(pid, &secret);
            return;
        }
        Ok(Some(Hello::Start(start))) => match admit(&shared, peer) {
            Ok(_place) => {
                let registered = shared.registry.register(if start.minor >= 2 { 32 } else { 4 });
                let mut connection = Connection::new(shared.clone(), incoming, outgoing, registered);
                let ended = connection.run(start).await;
                // The place is given back before the last bytes are written: a slow client must not hold it.
                outgoing = connection.outgoing;
                ended
            }
            Err(trouble) => Err(trouble),
        },
        Err(trouble) => Err(trouble),
    };
    match ended {
        Err(Trouble::Gone) => return,
        Err(Trouble::Fatal(report) | Trouble::Failed(report)) => {
            tracing::debug!(%peer, code = report.code, message = report.message, "connection ends");
            reply::error(&report, true, &mut outgoing.buffer);
        }
        Ok(()) => {}
    }
    outgoing.close().await;
}

/// A place among the sessions, for a client that may have one.
fn admit(shared: &Shared, peer: SocketAddr) -> Result<tokio::sync::OwnedSemaphorePermit, Trouble> {
    if !peer.ip().to_canonical().is_loopback() {
        let report =
            Report::new("28000", format!("no entry for host \"{}\": only this machine may connect", peer.ip()));
        return Err(Trouble::Fatal(report.hint("connect through 127.0.0.1; authentication does not exist yet")));
    }
    shared.places.clone().try_acquire_owned().map_err(|_| {
        let report = Report::new("53300", "sorry, too many clients already");
        Trouble::Fatal(report.hint("close connections, use a pool, or raise limits.connections"))
    })
}

impl Connection {
    fn new(shared: Arc<Shared>, incoming: Incoming, outgoing: Outgoing, registered: Registered) -> Self {
        Self {
            session: shared.engine.session(),
            shared,
            incoming,
            outgoing,
            registered,
            transaction: TransactionStatus::Idle,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            settings: Settings::default(),
            skipping: false,
        }
    }

    async fn run(&mut self, start: Start) -> Result<(), Trouble> {
        tracing::debug!(pid = self.registered.pid, user = start.user, database = start.database, "session starts");
        self.settings.apply(&mut self.session, &start)?;
        startup::put_welcome(&start, &mut self.outgoing.buffer)?;
        self.settings.report_all(&mut self.outgoing.buffer);
        startup::put_key(self.registered.pid, self.registered.secret(), &mut self.outgoing.buffer)?;
        self.ready().await?;
        while let Some((tag, body)) = self.next_frame().await? {
            let message = match frontend::decode(tag, body) {
                Ok(message) => message,
                Err(error) => {
                    self.refuse(tag, error).await?;
                    continue;
                }
            };
            match message {
                Message::Terminate => return Ok(()),
                Message::Sync => self.sync().await?,
                Message::Stray => {}
                _ if self.skipping => {}
                Message::Query(sql) => self.simple(&sql).await?,
                extended => {
                    let done = self.extended(extended).await;
                    self.settle_extended(done).await?;
                }
            }
        }
        Ok(())
    }

    async fn extended(&mut self, message: Message) -> Result<(), Trouble> {
        match message {
            Message::Parse(parse) => self.parse(parse).await,
            Message::Bind(bind) => self.bind(bind),
            Message::Describe(Target::Statement(name)) => self.describe_statement(&name),
            Message::Describe(Target::Portal(name)) => self.describe_portal(&name),
            Message::Execute { portal, max_rows } => {
                let timer = self.timer();
                let done = self.execute(&portal, u64::from(max_rows)).await;
                timer.ended(done.is_ok());
                done
            }
            Message::Close(target) => {
                self.close(&target);
                Ok(())
            }
            Message::Flush => self.outgoing.flush().await,
            // The others are handled before.
            _ => Ok(()),
        }
    }

    /// The next message; ends the connection when it idles too long or the server stops. What waits to be sent is not
    /// flushed here: only Sync, Flush, a full buffer and errors do.
    async fn next_frame(&mut self) -> Result<Option<(u8, Bytes)>, Trouble> {
        let idle = async {
            match self.shared.config.idle_timeout {
                Some(timeout) => self.shared.config.clock.sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            frame = self.incoming.frame() => frame,
            () = self.shared.shutdown.cancelled() => Err(Trouble::Fatal(shutting_down())),
            () = idle => Err(Trouble::Fatal(Report::new("57P05", "terminating connection due to idle-session timeout"))),
        }
    }

    /// A message that could not be read: an error of whichever protocol it belongs to.
    async fn refuse(&mut self, tag: u8, error: Error) -> Result<(), Trouble> {
        match tag {
            _ if self.skipping && tag != b'S' => Ok(()),
            b'Q' | b'F' | b'S' => {
                self.skipping = false;
                self.settle(Err(error.into()))?;
                self.ready().await
            }
            b'p' => Err(Trouble::Fatal(Report::from(&error))),
            _ => self.settle_extended(Err(error.into())).await,
        }
    }

    /// Starts the time of a query.
    pub(crate) fn timer(&self) -> QueryTimer {
        self.shared.config.metrics.start(Door::Pg, &self.shared.config.clock)
    }

    /// Runs a statement up to its answer, whose notices are put out.
    pub(crate) async fn start(
        &mut self,
        statement: &Statement,
        parameters: Vec<ArrayRef>,
        running: &Running,
    ) -> Result<Answer, Trouble> {
        let mut watch = Watch { running, force: &self.shared.force, incoming: &mut self.incoming };
        let answer = watch.over(self.session.run(statement, parameters)).await??;
        answer.notices.iter().for_each(|notice| reply::notice(notice, &mut self.outgoing.buffer));
        Ok(answer)
    }

    /// A command is done: what it means for the connection, and its tag.
    pub(crate) fn complete(&mut self, tag: String) {
        let mut shown = tag;
        if shown == "COMMIT" && self.transaction == TransactionStatus::Error {
            "ROLLBACK".clone_into(&mut shown);
        }
        self.transaction =
            if self.session.in_transaction() { TransactionStatus::Transaction } else { TransactionStatus::Idle };
        match shown.as_str() {
            "SET" | "RESET" | "COMMIT" | "ROLLBACK" => self.report_changes(),
            "DISCARD ALL" => {
                self.prepared.clear();
                self.report_changes();
            }
            _ => {}
        }
        reply::command_complete(shown, &mut self.outgoing.buffer);
    }

    fn report_changes(&mut self) {
        for (name, value) in self.settings.refresh(&self.session) {
            reply::parameter_status(name, &value, &mut self.outgoing.buffer);
        }
    }

    /// Fails in an aborted transaction, unless `sql` ends it.
    pub(crate) fn check_aborted(&self, sql: &str) -> Result<(), Trouble> {
        let word: String = sql.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
        let ends = ["rollback", "commit", "end", "abort"].iter().any(|w| word.eq_ignore_ascii_case(w));
        if self.transaction != TransactionStatus::Error || ends || sql.trim().is_empty() {
            return Ok(());
        }
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        Err(Trouble::Failed(Report::new("25P02", message).hint("send ROLLBACK")))
    }

    /// Tells the client about a failed statement; what ends the connection is passed on.
    pub(crate) fn settle(&mut self, done: Result<(), Trouble>) -> Result<(), Trouble> {
        match done {
            Err(Trouble::Failed(report)) => {
                if self.transaction == TransactionStatus::Transaction {
                    self.transaction = TransactionStatus::Error;
                }
                reply::error(&report, false, &mut self.outgoing.buffer);
                Ok(())
            }
            other => other,
        }
    }

    async fn settle_extended(&mut self, done: Result<(), Trouble>) -> Result<(), Trouble> {
        self.skipping = matches!(done, Err(Trouble::Failed(_)));
        self.settle(done)?;
        if self.skipping || self.outgoing.is_full() {
            self.outgoing.flush().await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), Trouble> {
        self.skipping = false;
        // Portals live as long as their transaction.
        if self.transaction != TransactionStatus::Transaction {
            self.portals.clear();
        }
        self.ready().await
    }

    /// Ready for the next query; everything is sent.
    pub(crate) async fn ready(&mut self) -> Result<(), Trouble> {
        reply::ready(self.transaction, &mut self.outgoing.buffer);
        self.outgoing.flush().await
    }
}
