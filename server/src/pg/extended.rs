//! The extended query protocol: Parse, Bind, Describe, Execute, Close.
//!
//! What enters: its messages. What leaves: their answers, kept in the output buffer until Sync, Flush or a full buffer. A
//! portal keeps the live stream of its statement between two Executes; nothing is ever collected. Deliberately absent:
//! skipping after errors and Sync (`connection`).

use crate::pg::bind;
use crate::pg::connection::Connection;
use crate::pg::cursor::{Cursor, Watch};
use crate::pg::deallocate;
use crate::pg::encode::Format;
use crate::pg::frontend::{Bind, Parse, Target};
use crate::pg::pg_type::{ColumnShape, PgType};
use crate::pg::registry::Running;
use crate::pg::reply::{self, Report, Trouble};
use crate::pg::zone::Zone;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Schema};
use bytes::Bytes;
use millrace_error::{Error, ErrorKind};
use millrace_sql::{Answer, Body, Statement};
use std::sync::Arc;

/// Named statements and named portals of one connection, each: beyond, a client forgets to close them.
const NAMES_MAX: usize = 10_000;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Prepared {
    sql: String,
    work: Work,
    /// The client's types, where it said one we know.
    declared: Vec<Option<PgType>>,
    /// The engine's types.
    parameters: Vec<DataType>,
    /// The result; `None` for commands.
    columns: Option<Vec<ColumnShape>>,
}

/// What a prepared statement does.
#[derive(Debug)]
enum Work {
    /// The text holds no statement.
    Nothing,
    /// For this door: it holds the prepared statements.
    Deallocate(deallocate::Target),
    /// For the engine.
    Run(Statement),
}

/// A statement with its parameters, and how far its result came.
#[derive(Debug)]
pub(crate) struct Portal {
    prepared: Arc<Prepared>,
    parameters: Vec<ArrayRef>,
    /// One for each column of the result.
    formats: Vec<Format>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Bound,
    Open(Cursor),
    /// All rows are sent; Execute answers with none.
    Exhausted,
    /// A command, or a failed statement: it cannot run again.
    Over,
}

impl Connection {
    pub(crate) async fn parse(&mut self, parse: Parse) -> Result<(), Trouble> {
        self.check_aborted(&parse.sql)?;
        if parse.name.is_empty() {
            self.prepared.remove("");
        } else if self.prepared.contains_key(&parse.name) {
            let message = format!("prepared statement \"{}\" already exists", parse.name);
            return Err(Trouble::Failed(Report::new("42P05", message)));
        }
        check_names(self.prepared.len(), "prepared statements")?;
        let work = self.work(&parse.sql)?;
        let declared: Vec<Option<PgType>> = parse.types.iter().map(|oid| PgType::from_oid(*oid)).collect();
        let running = self.registered.begin();
        let prepared = self.prepare(parse.sql, work, declared, &running).await?;
        self.prepared.insert(parse.name, Arc::new(prepared));
        reply::parse_complete(&mut self.outgoing.buffer);
        Ok(())
    }

    fn work(&self, sql: &str) -> Result<Work, Trouble> {
        if let Some(target) = deallocate::target(sql) {
            return Ok(Work::Deallocate(target));
        }
        let mut statements = self.shared.engine.parse(sql)?;
        if statements.len() > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Error::new(ErrorKind::Syntax, message).into());
        }
        Ok(statements.pop().map_or(Work::Nothing, Work::Run))
    }

    async fn prepare(
        &mut self,
        sql: String,
        work: Work,
        declared: Vec<Option<PgType>>,
        running: &Running,
    ) -> Result<Prepared, Trouble> {
        let Work::Run(statement) = &work else {
            return Ok(Prepared { sql, work, declared, parameters: Vec::new(), columns: None });
        };
        let hints: Vec<Option<DataType>> = declared.iter().map(|ty| ty.map(PgType::arrow)).collect();
        let mut watch = Watch { running, force: &self.shared.force, incoming: &mut self.incoming };
        let description = watch.over(self.session.describe(statement, &hints)).await??;
        let columns = description.columns.map(|schema| shapes(&schema));
        Ok(Prepared { sql, work, declared, parameters: description.parameters, columns })
    }

    pub(crate) fn bind(&mut self, bind: Bind) -> Result<(), Trouble> {
        let prepared = self.statement_named(&bind.statement)?;
        self.check_aborted(&prepared.sql)?;
        if bind.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&bind.portal) {
            return Err(Trouble::Failed(Report::new("42P03", format!("cursor \"{}\" already exists", bind.portal))));
        }
        check_names(self.portals.len(), "portals")?;
        let parameters = prepared.bind(&bind.statement, &bind.formats, &bind.values, self.settings.zone())?;
        let columns = prepared.columns.as_ref().map_or(0, Vec::len);
        let formats = formats(&bind.result_formats, columns, "result formats", "columns")?;
        self.portals.insert(bind.portal, Portal { prepared, parameters, formats, progress: Progress::Bound });
        reply::bind_complete(&mut self.outgoing.buffer);
        Ok(())
    }

    pub(crate) fn describe_statement(&mut self, name: &str) -> Result<(), Trouble> {
        let prepared = self.statement_named(name)?;
        self.check_aborted(&prepared.sql)?;
        reply::parameter_description(prepared.parameter_oids(), &mut self.outgoing.buffer);
        match &prepared.columns {
            Some(columns) => reply::row_description(columns, &[], &mut self.outgoing.buffer),
            None => reply::no_data(&mut self.outgoing.buffer),
        }
        Ok(())
    }

    pub(crate) fn describe_portal(&mut self, name: &str) -> Result<(), Trouble> {
        let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
        match &portal.prepared.columns {
            Some(columns) => reply::row_description(columns, &portal.formats, &mut self.outgoing.buffer),
            None => reply::no_data(&mut self.outgoing.buffer),
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, target: &Target) {
        match target {
            Target::Statement(name) => drop(self.prepared.remove(name)),
            Target::Portal(name) => drop(self.portals.remove(name)),
        }
        reply::close_complete(&mut self.outgoing.buffer);
    }

    /// Runs a portal, or goes on with it. It is out of the map meanwhile: a failed or cancelled one never comes back.
    pub(crate) async fn execute(&mut self, name: &str, max_rows: u64) -> Result<(), Trouble> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        self.check_aborted(&portal.prepared.sql)?;
        let running = self.registered.begin();
        portal.progress = match portal.progress {
            Progress::Bound => self.open(&mut portal, max_rows, &running).await?,
            Progress::Open(cursor) => self.fetch(cursor, max_rows, &running).await?,
            Progress::Exhausted => {
                reply::command_complete("SELECT 0".to_owned(), &mut self.outgoing.buffer);
                Progress::Exhausted
            }
            Progress::Over => {
                return Err(Trouble::Failed(Report::new("55000", format!("portal \"{name}\" cannot be run"))));
            }
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    async fn open(&mut self, portal: &mut Portal, max_rows: u64, running: &Running) -> Result<Progress, Trouble> {
        let prepared = portal.prepared.clone();
        let statement = match &prepared.work {
            Work::Run(statement) => statement,
            Work::Nothing => {
                reply::empty_query(&mut self.outgoing.buffer);
                return Ok(Progress::Bound);
            }
            Work::Deallocate(target) => {
                self.deallocate(target)?;
                return Ok(Progress::Over);
            }
        };
        let answer: Answer = self.start(statement, std::mem::take(&mut portal.parameters), running).await?;
        match answer.body {
            Body::Command(tag) => {
                self.complete(tag);
                Ok(Progress::Over)
            }
            Body::Rows { schema, rows, tag } => {
                let types: Vec<PgType> = shapes(&schema).into_iter().map(|column| column.ty).collect();
                let described = prepared.columns.iter().flatten().map(|column| column.ty);
                if !described.eq(types.iter().copied()) {
                    let report = Report::new("0A000", "cached plan must not change result type");
                    return Err(Trouble::Failed(report.hint("prepare the statement again")));
                }
                let cursor = Cursor::new(rows, types, portal.formats.clone(), tag, self.settings.zone());
                self.fetch(cursor, max_rows, running).await
            }
        }
    }

    async fn fetch(&mut self, mut cursor: Cursor, max_rows: u64, running: &Running) -> Result<Progress, Trouble> {
        let mut watch = Watch { running, force: &self.shared.force, incoming: &mut self.incoming };
        let pumped = cursor.pump(max_rows, &mut self.outgoing, &mut watch).await?;
        if pumped.finished {
            reply::command_complete(cursor.tag(pumped.sent), &mut self.outgoing.buffer);
            return Ok(Progress::Exhausted);
        }
        reply::portal_suspended(&mut self.outgoing.buffer);
        Ok(Progress::Open(cursor))
    }

    pub(crate) fn statement_named(&self, name: &str) -> Result<Arc<Prepared>, Trouble> {
        self.prepared.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            Error::new(ErrorKind::UnknownStatement, message).into()
        })
    }
}

impl Prepared {
    /// The declared type, else what the engine found; text where neither knows.
    fn parameter_oids(&self) -> Vec<u32> {
        let declared = |at: usize| self.declared.get(at).copied().flatten();
        self.parameters
            .iter()
            .enumerate()
            .map(|(at, ty)| declared(at).unwrap_or_else(|| PgType::from_arrow(ty)).oid())
            .collect()
    }

    fn bind(&self, name: &str, codes: &[i16], values: &[Option<Bytes>], zone: Zone) -> Result<Vec<ArrayRef>, Trouble> {
        if values.len() != self.parameters.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{name}\" requires {}",
                values.len(),
                self.parameters.len()
            );
            return Err(Error::new(ErrorKind::Protocol, message).into());
        }
        let formats = formats(codes, values.len(), "parameter formats", "parameters")?;
        let each = values.iter().zip(&self.parameters).zip(formats).enumerate();
        each.map(|(at, ((value, wanted), format))| {
            let declared = self.declared.get(at).copied().flatten();
            bind::parameter(value.as_deref(), declared, wanted, bind::Form { format, zone })
                .map_err(|e| e.with("parameter", format!("${}", at + 1)).into())
        })
        .collect()
    }
}

fn shapes(schema: &Schema) -> Vec<ColumnShape> {
    schema.fields().iter().map(|field| ColumnShape::of(field)).collect()
}

fn no_portal(name: &str) -> Trouble {
    Error::new(ErrorKind::UnknownPortal, format!("portal \"{name}\" does not exist")).into()
}

fn check_names(count: usize, what: &str) -> Result<(), Trouble> {
    if count < NAMES_MAX {
        return Ok(());
    }
    let message = format!("more than {NAMES_MAX} {what} on one connection");
    Err(Error::new(ErrorKind::TooLarge, message).hint("close those that are not used any more").into())
}

/// Format codes for `count` things: none means text, one is for all, else one each.
fn formats(codes: &[i16], count: usize, what: &str, of: &str) -> Result<Vec<Format>, Trouble> {
    let format = |code: &i16| match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(Error::new(ErrorKind::InvalidValue, format!("unsupported format code: {other}")).into()),
    };
    match codes {
        [] => Ok(vec![Format::Text; count]),
        [one] => Ok(vec![format(one)?; count]),
        each if each.len() == count => each.iter().map(format).collect(),
        each => {
            let message = format!("bind message has {} {what} but {count} {of}", each.len());
            Err(Error::new(ErrorKind::Protocol, message).into())
        }
    }
}
