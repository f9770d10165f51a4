//! Statements that are not queries: what they say.
//!
//! What enters: a cursor at the first word. What leaves: a [`Command`]. Deliberately absent: running it (see `ddl`).

use super::cursor::{Cursor, Name};
use super::words::{FIRST, LATER};
use super::{fault, nearest, session, source, table};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{KafkaSource, OnError, TableDef, TimeUnit};

/// A statement that is not a query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// `CREATE TABLE`.
    CreateTable {
        /// Whether it may be there already.
        if_not_exists: bool,
        /// The table, complete and checked, ids given.
        def: Box<TableDef>,
    },
    /// `DROP TABLE`.
    DropTable {
        /// Whether they may be missing.
        if_exists: bool,
        /// Which.
        tables: Vec<RelationName>,
        /// Whether its sources go too.
        cascade: bool,
    },
    /// `CREATE SOURCE`.
    CreateSource(Box<CreateSource>),
    /// `ALTER SOURCE … PAUSE`.
    PauseSource(Name),
    /// `ALTER SOURCE … RESUME`.
    ResumeSource(Name),
    /// `DROP SOURCE`.
    DropSource {
        /// Whether it may be missing.
        if_exists: bool,
        /// Which.
        name: Name,
    },
    /// `SEAL TABLE`.
    SealTable(RelationName),
    /// `SHOW …`.
    Show(ShowWhat),
    /// `SET …`.
    Set(Setting),
    /// `RESET x`, `RESET ALL` (`None`).
    Reset(Option<Name>),
    /// `DISCARD ALL` and its lesser forms; the word after it. `ALL` resets every setting.
    Discard(&'static str),
    /// `BEGIN` and its kin.
    Transaction(TransactionWord),
}

/// A table as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelationName {
    /// The schema, where one was said.
    pub(crate) schema: Option<String>,
    /// The name.
    pub(crate) name: String,
    /// 1-based character position.
    pub(crate) at: usize,
}

/// `CREATE SOURCE`, before its columns are looked up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateSource {
    /// Whether it may be there already.
    pub(crate) if_not_exists: bool,
    /// Its name.
    pub(crate) name: Name,
    /// The table it feeds.
    pub(crate) table: RelationName,
    /// Where the records are.
    pub(crate) kafka: KafkaSource,
    /// Columns and the JSON paths, already checked, that fill them.
    pub(crate) mapping: Vec<(Name, String)>,
    /// What becomes of poison.
    pub(crate) on_error: OnError,
    /// How numbers become times.
    pub(crate) time_unit: TimeUnit,
}

/// What `SHOW` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShowWhat {
    /// `SHOW TABLES`.
    Tables,
    /// `SHOW SOURCES`.
    Sources,
    /// `SHOW CREATE TABLE t`.
    CreateTable(RelationName),
    /// `SHOW CREATE SOURCE s`.
    CreateSource(Name),
    /// `SHOW ALL`.
    AllSettings,
    /// `SHOW x`.
    Setting(Name),
}

/// `SET x = v`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Which, folded; may hold a dot.
    pub(crate) name: Name,
    /// To what.
    pub(crate) value: SetValue,
    /// Whether only to the end of the transaction.
    pub(crate) local: bool,
}

/// What a setting is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetValue {
    /// Its default.
    Default,
    /// A value as text.
    Text(String),
    /// Nothing: understood, and without effect here.
    Ignored,
}

/// Words about transactions; the tag they answer is [`TransactionWord::tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransactionWord {
    /// `BEGIN`.
    Begin,
    /// `START TRANSACTION`.
    Start,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
}

impl TransactionWord {
    /// The command tag.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Start => "START TRANSACTION",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
        }
    }
}

/// Parses a statement that is not a query.
pub(super) fn command(c: &mut Cursor<'_>) -> Result<Command> {
    let start = c.clone();
    if c.accept_all(&["create", "table"]) {
        return table::create_table(c);
    }
    if c.accept_all(&["drop", "table"]) {
        return drop_table(c);
    }
    if c.accept_all(&["create", "source"]) {
        return source::create_source(c);
    }
    if c.accept_all(&["alter", "source"]) {
        return source::alter_source(c);
    }
    if c.accept_all(&["drop", "source"]) {
        return source::drop_source(c);
    }
    if c.accept("seal") {
        c.expect("table")?;
        return Ok(Command::SealTable(c.relation()?));
    }
    if let Some(command) = session::command(c)? {
        return Ok(command);
    }
    Err(unknown(&start))
}

fn drop_table(c: &mut Cursor<'_>) -> Result<Command> {
    let if_exists = c.accept_all(&["if", "exists"]);
    let mut tables = vec![c.relation()?];
    while c.accept_token(&datafusion::sql::sqlparser::tokenizer::Token::Comma) {
        tables.push(c.relation()?);
    }
    let cascade = c.accept("cascade");
    if !cascade {
        c.accept("restrict");
    }
    Ok(Command::DropTable { if_exists, tables, cascade })
}

/// A statement that does not begin as ours do: known to later versions, or nonsense.
fn unknown(c: &Cursor<'_>) -> Error {
    if let Some(words) = LATER.iter().find(|words| c.looks_at(words)) {
        return fault::later(&words.join(" ").to_uppercase(), c.at());
    }
    let mut place = c.clone();
    let second: Option<&[&str]> =
        if place.accept("create") || place.accept("drop") { Some(&["table", "source"]) } else { None };
    let place = if second.is_some() { place } else { c.clone() };
    let error = place.error();
    debug_assert_eq!(error.kind(), ErrorKind::Syntax);
    match place.word().and_then(|w| nearest(&w, second.unwrap_or(FIRST).iter().copied())) {
        Some(word) => error.hint(format!("did you mean {}?", word.to_uppercase())),
        None => error,
    }
}
