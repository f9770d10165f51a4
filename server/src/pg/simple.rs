//! The simple query protocol: a string of statements, each answered before the next one runs.
//!
//! What enters: the text of a Query. What leaves: the answers, then ReadyForQuery. Deliberately absent: parameters.

use crate::pg::connection::Connection;
use crate::pg::cursor::{Cursor, Watch};
use crate::pg::deallocate;
use crate::pg::encode::Format;
use crate::pg::pg_type::ColumnShape;
use crate::pg::registry::Running;
use crate::pg::reply::{self, Trouble};
use arrow::datatypes::Schema;
use millrace_sql::{Body, RowStream, Statement};

impl Connection {
    /// Answers one Query. An error ends it: statements that follow do not run.
    ///
    /// # Errors
    /// What ends the connection.
    pub(crate) async fn simple(&mut self, sql: &str) -> Result<(), Trouble> {
        // As PostgreSQL does: a simple query ends the unnamed statement and portal.
        self.prepared.remove("");
        self.portals.remove("");
        let running = self.registered.begin();
        let timer = self.timer();
        let done = self.statements(sql, &running).await;
        timer.ended(done.is_ok());
        drop(running);
        self.settle(done)?;
        self.ready().await
    }

    async fn statements(&mut self, sql: &str, running: &Running) -> Result<(), Trouble> {
        self.check_aborted(sql)?;
        if let Some(target) = deallocate::target(sql) {
            return self.deallocate(&target);
        }
        let statements = self.shared.engine.parse(sql)?;
        if statements.is_empty() {
            reply::empty_query(&mut self.outgoing.buffer);
        }
        for statement in &statements {
            self.statement(statement, running).await?;
        }
        Ok(())
    }

    async fn statement(&mut self, statement: &Statement, running: &Running) -> Result<(), Trouble> {
        match self.start(statement, Vec::new(), running).await?.body {
            Body::Command(tag) => self.complete(tag),
            Body::Rows { schema, rows, tag } => self.send(&schema, rows, tag, running).await?,
        }
        Ok(())
    }

    async fn send(
        &mut self,
        schema: &Schema,
        rows: RowStream,
        tag: &'static str,
        running: &Running,
    ) -> Result<(), Trouble> {
        let columns: Vec<ColumnShape> = schema.fields().iter().map(|field| ColumnShape::of(field)).collect();
        reply::row_description(&columns, &[], &mut self.outgoing.buffer);
        let types = columns.iter().map(|column| column.ty).collect();
        let mut cursor = Cursor::new(rows, types, vec![Format::Text; columns.len()], tag, self.settings.zone());
        let mut watch = Watch { running, force: &self.shared.force, incoming: &mut self.incoming };
        let pumped = cursor.pump(0, &mut self.outgoing, &mut watch).await?;
        reply::command_complete(cursor.tag(pumped.sent), &mut self.outgoing.buffer);
        Ok(())
    }
}
