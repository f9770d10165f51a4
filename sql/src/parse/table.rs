//! CREATE TABLE.
//!
//! What enters: a cursor after `CREATE TABLE`. What leaves: a complete, checked [`TableDef`]. Deliberately absent: whether
//! the name is free; keys, constraints and inheritance, which this version refuses.

use super::column_type::column_type;
use super::command::{Command, RelationName};
use super::constant::default_value;
use super::cursor::Cursor;
use super::options::options;
use super::{fault, table_options};
use datafusion::sql::sqlparser::tokenizer::Token;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{Column, ColumnId, DEAD_LETTER_SUFFIX, TableDef};

/// PostgreSQL's limit too.
const COLUMNS_MAX: usize = 1_600;

/// Parses what follows `CREATE TABLE`.
pub(super) fn create_table(c: &mut Cursor<'_>) -> Result<Command> {
    let if_not_exists = c.accept_all(&["if", "not", "exists"]);
    let relation = c.relation()?;
    let at = relation.at;
    let name = new_table_name(relation)?;
    if c.looks_at(&["as"]) {
        return Err(fault::later("CREATE TABLE AS", c.at()));
    }
    if c.looks_at(&["partition", "of"]) || c.looks_at(&["of"]) {
        return Err(fault::later("CREATE TABLE … OF", c.at()));
    }
    let columns = columns(c, at)?;
    let items = if c.accept("with") { options(c)? } else { Vec::new() };
    if let Some(what) = ["inherits", "partition", "using", "on", "tablespace", "as"].iter().find(|w| c.looks_at(&[w])) {
        let error = fault::later(&format!("CREATE TABLE … {}", what.to_uppercase()), c.at());
        return Err(if *what == "partition" { error.hint("write WITH (partition_by = 'day')") } else { error });
    }
    let settings = table_options::check(&columns, &items)?;
    let def = TableDef {
        name,
        schema_version: 1,
        columns,
        time_column: settings.time_column,
        partitioning: settings.partitioning,
        sort_key: settings.sort_key,
        options: settings.options,
    };
    Ok(Command::CreateTable { if_not_exists, def: Box::new(def) })
}

fn new_table_name(relation: RelationName) -> Result<String> {
    let name = relation.user_table()?.to_owned();
    if name.ends_with(DEAD_LETTER_SUFFIX) {
        let message = format!("a table's name cannot end in {DEAD_LETTER_SUFFIX}");
        return Err(
            fault::invalid(message, relation.at).hint("every table has dead letters of its own under that name")
        );
    }
    Ok(name)
}

impl RelationName {
    /// The name of a table in schema `public`.
    ///
    /// # Errors
    /// `Denied` for the system's schemas; `UnknownObject` for others.
    pub(crate) fn user_table(&self) -> Result<&str> {
        match self.schema.as_deref() {
            None | Some("public") => Ok(&self.name),
            Some("system" | "pg_catalog" | "information_schema") => {
                Err(Error::new(ErrorKind::Denied, "system tables cannot be changed").at(self.at))
            }
            Some(other) => {
                let message = format!("schema \"{}\" does not exist", fault::shorten(other));
                Err(Error::new(ErrorKind::UnknownObject, message).hint("tables live in schema public").at(self.at))
            }
        }
    }
}

fn columns(c: &mut Cursor<'_>, table_at: usize) -> Result<Vec<Column>> {
    c.expect_token(&Token::LParen)?;
    if c.accept_token(&Token::RParen) {
        return Err(fault::invalid("a table needs at least one column", table_at));
    }
    let mut columns: Vec<Column> = Vec::new();
    loop {
        refuse_table_constraint(c)?;
        let at = c.at();
        let id = i32::try_from(columns.len() + 1).map_err(|_| too_many(at))?;
        let column = column(c, ColumnId(id))?;
        if columns.iter().any(|other| other.name == column.name) {
            let message = format!("column \"{}\" specified more than once", fault::shorten(&column.name));
            return Err(Error::new(ErrorKind::DuplicateColumn, message).at(at));
        }
        columns.push(column);
        if columns.len() > COLUMNS_MAX {
            return Err(too_many(at));
        }
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(columns)
}

fn too_many(at: usize) -> Error {
    Error::new(ErrorKind::TooLarge, format!("tables can have at most {COLUMNS_MAX} columns")).at(at)
}

fn refuse_table_constraint(c: &Cursor<'_>) -> Result<()> {
    let words: [(&[&str], &str); 7] = [
        (&["constraint"], "CONSTRAINT"),
        (&["primary", "key"], "PRIMARY KEY"),
        (&["unique"], "UNIQUE"),
        (&["check"], "CHECK"),
        (&["foreign", "key"], "FOREIGN KEY"),
        (&["exclude", "using"], "EXCLUDE"),
        (&["like"], "LIKE"),
    ];
    match words.iter().find(|(words, _)| c.looks_at(words)) {
        Some((_, what)) => Err(fault::later(what, c.at())),
        None => Ok(()),
    }
}

fn column(c: &mut Cursor<'_>, id: ColumnId) -> Result<Column> {
    let name = c.name()?.text;
    let ty = column_type(c, &name)?;
    let (mut nullable, mut default) = (None, None);
    loop {
        let at = c.at();
        if c.accept_all(&["not", "null"]) {
            set_nullable(&mut nullable, false, &name, at)?;
        } else if c.accept("null") {
            set_nullable(&mut nullable, true, &name, at)?;
        } else if c.accept("default") {
            if default.is_some() {
                let message = format!("multiple default values specified for column \"{}\"", fault::shorten(&name));
                return Err(Error::new(ErrorKind::Syntax, message).at(at));
            }
            default = Some((default_value(c, &name, ty)?, at));
        } else if let Some(what) = column_constraint(c) {
            return Err(fault::later(what, at));
        } else {
            break;
        }
    }
    let nullable = nullable.unwrap_or(true);
    if let Some((value, at)) = &default
        && value.value.is_none()
        && !nullable
    {
        let message = format!("the default of column \"{}\" is NULL, which NOT NULL forbids", fault::shorten(&name));
        return Err(Error::new(ErrorKind::InvalidValue, message).at(*at));
    }
    Ok(Column { id, name, ty, nullable, default: default.map(|(value, _)| value) })
}

fn set_nullable(nullable: &mut Option<bool>, to: bool, column: &str, at: usize) -> Result<()> {
    if nullable.is_some_and(|before| before != to) {
        let message = format!("conflicting NULL/NOT NULL declarations for column \"{}\"", fault::shorten(column));
        return Err(Error::new(ErrorKind::Syntax, message).at(at));
    }
    *nullable = Some(to);
    Ok(())
}

fn column_constraint(c: &Cursor<'_>) -> Option<&'static str> {
    [
        ("primary", "PRIMARY KEY"),
        ("unique", "UNIQUE"),
        ("check", "CHECK"),
        ("references", "REFERENCES"),
        ("constraint", "CONSTRAINT"),
        ("collate", "COLLATE"),
        ("generated", "GENERATED"),
        ("storage", "STORAGE"),
        ("compression", "COMPRESSION on a column"),
    ]
    .into_iter()
    .find(|(word, _)| c.looks_at(&[word]))
    .map(|(_, what)| what)
}
