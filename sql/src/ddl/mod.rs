//! Runs commands: tables, sources, settings.
//!
//! ```text
//! Command ─► table.rs    CREATE, DROP, SEAL TABLE    ─► Store
//!         ─► source.rs   CREATE, ALTER, DROP SOURCE  ─► SourceControl
//!         ─► show.rs     SHOW …                      ─► rows
//! ```
//!
//! What enters: a checked [`Command`]. What leaves: an [`Answer`]. Deliberately absent: text (see `parse`) and queries.

mod show;
mod source;
mod table;

use crate::answer::{Answer, Body, Notice};
use crate::control::SourceControl;
use crate::error::shown;
use crate::parse::{Command, SetValue, TransactionWord, nearest};
use crate::settings::Settings;
use arrow::datatypes::SchemaRef;
use millrace_error::{Error, ErrorKind, Result};
use millrace_storage::{Family, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What commands act on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandContext<'a> {
    /// Tables.
    pub(crate) store: &'a Arc<Store>,
    /// Sources.
    pub(crate) sources: &'a Arc<dyn SourceControl>,
}

/// Runs a command. Dropping the future cancels a seal; what was committed by then stays.
///
/// # Errors
/// By what is wrong, at the place in the string that was parsed.
pub(crate) async fn run_command(command: Command, ctx: &CommandContext<'_>, settings: &mut Settings) -> Result<Answer> {
    if settings.in_transaction()
        && let Some(what) = lasting(&command)
    {
        let message = format!("{what} cannot run inside a transaction block");
        return Err(Error::new(ErrorKind::ActiveTransaction, message)
            .hint("it could not be rolled back; COMMIT or ROLLBACK first"));
    }
    match command {
        Command::CreateTable { if_not_exists, def } => table::create(ctx, if_not_exists, *def).await,
        Command::DropTable { if_exists, tables, cascade } => table::drop_tables(ctx, if_exists, &tables, cascade).await,
        Command::SealTable(name) => table::seal(ctx, &name).await,
        Command::CreateSource(create) => source::create(ctx, *create).await,
        Command::PauseSource(name) => source::pause(ctx, &name).await,
        Command::ResumeSource(name) => source::resume(ctx, &name).await,
        Command::DropSource { if_exists, name } => source::drop_source(ctx, if_exists, &name).await,
        Command::Show(what) => show::show(&what, ctx, settings),
        Command::Set(setting) => {
            let value = match &setting.value {
                SetValue::Ignored => return Ok(done("SET", None)),
                SetValue::Default => None,
                SetValue::Text(text) => Some(text.as_str()),
            };
            let notice = settings.set(&setting.name.text, value, setting.local).map_err(|e| e.at(setting.name.at))?;
            Ok(done("SET", notice))
        }
        Command::Reset(Some(name)) => {
            let notice = settings.set(&name.text, None, false).map_err(|e| e.at(name.at))?;
            Ok(done("RESET", notice))
        }
        Command::Reset(None) => {
            settings.reset_all();
            Ok(done("RESET", None))
        }
        Command::Discard(what) => {
            if what == "ALL" {
                settings.reset_all();
            }
            Ok(done(format!("DISCARD {what}"), None))
        }
        Command::Transaction(word) => {
            let notice = match word {
                TransactionWord::Begin | TransactionWord::Start => settings.begin(),
                TransactionWord::Commit => settings.commit(),
                TransactionWord::Rollback => settings.rollback(),
            };
            Ok(done(word.tag(), notice))
        }
    }
}

/// What a command is called, if it changes more than the session: nothing of that can be undone.
fn lasting(command: &Command) -> Option<&'static str> {
    match command {
        Command::CreateTable { .. } => Some("CREATE TABLE"),
        Command::DropTable { .. } => Some("DROP TABLE"),
        Command::SealTable(_) => Some("SEAL TABLE"),
        Command::CreateSource(_) => Some("CREATE SOURCE"),
        Command::PauseSource(_) | Command::ResumeSource(_) => Some("ALTER SOURCE"),
        Command::DropSource { .. } => Some("DROP SOURCE"),
        Command::Show(_) | Command::Set(_) | Command::Reset(_) | Command::Discard(_) | Command::Transaction(_) => None,
    }
}

/// The columns that a command answers; `None` where it answers a tag.
///
/// # Errors
/// `UnknownObject` for `SHOW` of no such setting.
pub(crate) fn command_columns(command: &Command, settings: &Settings) -> Result<Option<SchemaRef>> {
    match command {
        Command::Show(what) => show::columns(what, settings).map(Some),
        _ => Ok(None),
    }
}

/// A tag and perhaps a notice.
fn done(tag: impl Into<String>, notices: impl IntoIterator<Item = Notice>) -> Answer {
    Answer { notices: notices.into_iter().collect(), snapshot: BTreeMap::new(), body: Body::Command(tag.into()) }
}

fn notice(code: &'static str, message: String) -> Notice {
    Notice { severity: "NOTICE", code, message }
}

/// The family of a base table.
fn family(ctx: &CommandContext<'_>, table: &str, at: usize) -> Result<Arc<Family>> {
    ctx.store.family(table).ok_or_else(|| {
        let error = Error::new(ErrorKind::UnknownTable, format!("relation \"{table}\" does not exist")).at(at);
        let families = ctx.store.families();
        match nearest(table, families.iter().map(|(name, _)| name.as_str())) {
            Some(near) => error.hint(format!("did you mean {}?", shown(near))),
            None => error.hint("SHOW TABLES lists the tables"),
        }
    })
}

#[cfg(test)]
mod tests;
