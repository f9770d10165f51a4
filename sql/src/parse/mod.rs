//! SQL text → statements: queries for DataFusion, commands for `ddl`.
//!
//! What enters: a string of statements separated by `;`. What leaves: [`Parsed`] values, each checked as far as that is
//! possible without looking at the catalog, or the first error with its place in the whole string. PostgreSQL's lexical rules.
//! Deliberately absent: names of tables and columns that exist (see `ddl` and planning), and running anything.

mod bounded;
mod clauses;
mod column_type;
mod command;
mod constant;
mod cursor;
mod fault;
mod literal;
mod number;
mod options;
mod query;
mod session;
mod source;
mod suggest;
mod table;
mod table_options;
mod time;
mod tokens;
mod words;

pub(crate) use command::{Command, CreateSource, RelationName, SetValue, ShowWhat, TransactionWord};
pub(crate) use cursor::Name;
pub(crate) use literal::parse_text;
pub(crate) use suggest::nearest;
pub(crate) use time::zone_offset;
pub(crate) use words::quoted;

use cursor::Cursor;
use datafusion::sql::sqlparser::ast;
use millrace_error::Result;
use tokens::StatementTokens;

/// One statement.
#[derive(Debug, Clone)]
pub(crate) enum Parsed {
    /// Something that answers rows by a plan.
    Query {
        /// Always `Statement::Query`. Spans count lines and columns from the start of `text`.
        statement: Box<ast::Statement>,
        /// The statement alone.
        text: String,
        /// Characters before `text` in the whole string; add it to a position within `text`.
        offset: usize,
    },
    /// `EXPLAIN` of a query; the fields are those of the query inside.
    Explain {
        /// Always `Statement::Query`. Spans count lines and columns from the start of `text`.
        statement: Box<ast::Statement>,
        /// The explained query alone.
        text: String,
        /// Characters before `text` in the whole string.
        offset: usize,
        /// Whether to run it.
        analyze: bool,
        /// Whether to show more.
        verbose: bool,
    },
    /// Anything else.
    Command(Command),
}

/// Parses every statement of `sql`; statements of nothing but blanks and comments are left out.
///
/// # Errors
/// `Syntax`, `NotSupported`, `InvalidValue` and others by what is wrong, at the 1-based character position in `sql`;
/// `TooLarge` where it nests too deep.
pub(crate) fn parse(sql: &str) -> Result<Vec<Parsed>> {
    tokens::statements(sql)?.iter().map(|statement| parse_one(sql, statement)).collect()
}

/// The 1-based character position, in the whole string, of a line and column (from 1) in a statement's text.
/// `None` where the span is empty, as sqlparser gives it for what has no place.
pub(crate) fn position_in(text: &str, offset: usize, line: u64, column: u64) -> Option<usize> {
    let line = usize::try_from(line.checked_sub(1)?).ok()?;
    let column = usize::try_from(column.checked_sub(1)?).ok()?;
    let before: usize = text.split_inclusive('\n').take(line).map(|l| l.chars().count()).sum();
    before.checked_add(column)?.checked_add(offset)?.checked_add(1)
}

fn parse_one(sql: &str, statement: &StatementTokens) -> Result<Parsed> {
    let mut c = Cursor::new(sql, statement);
    if query::starts_here(&c) {
        return query::query(&c).map(|q| Parsed::Query { statement: q.statement, text: q.text, offset: q.offset });
    }
    if c.accept("explain") {
        return query::explain(&mut c);
    }
    let command = command::command(&mut c)?;
    c.finish()?;
    Ok(Parsed::Command(command))
}

#[cfg(test)]
mod tests;
