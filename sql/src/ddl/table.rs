//! CREATE, DROP and SEAL TABLE.
//!
//! What enters: checked definitions and names. What leaves: commits of the store. Deliberately absent: rows.

use super::{CommandContext, done, family, notice};
use crate::answer::{Answer, Notice};
use crate::parse::{RelationName, quoted};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{DEAD_LETTER_SUFFIX, SourceOrigin, TableDef};
use millrace_storage::Family;

/// Creates a table.
pub(super) async fn create(ctx: &CommandContext<'_>, if_not_exists: bool, def: TableDef) -> Result<Answer> {
    let exists = notice("42P07", format!("relation \"{}\" already exists, skipping", def.name));
    if if_not_exists && ctx.store.family(&def.name).is_some() {
        return Ok(done("CREATE TABLE", Some(exists)));
    }
    match ctx.store.create_table(def).await {
        Ok(_) => Ok(done("CREATE TABLE", None)),
        // Somebody else was faster.
        Err(error) if if_not_exists && error.kind() == ErrorKind::DuplicateTable => {
            Ok(done("CREATE TABLE", Some(exists)))
        }
        Err(error) => Err(error),
    }
}

/// Drops tables: all are looked at before the first goes.
pub(super) async fn drop_tables(
    ctx: &CommandContext<'_>,
    if_exists: bool,
    tables: &[RelationName],
    cascade: bool,
) -> Result<Answer> {
    let mut notices = Vec::new();
    let mut found = Vec::new();
    for relation in tables {
        let table = relation.user_table()?;
        refuse_dead_letters(ctx, table, relation.at)?;
        match family(ctx, table, relation.at) {
            Ok(family) => {
                notices.extend(dependents(table, &family, cascade).map_err(|e| e.at(relation.at))?);
                if !found.contains(&table) {
                    found.push(table);
                }
            }
            Err(error) if if_exists && error.kind() == ErrorKind::UnknownTable => {
                notices.push(notice("00000", format!("table \"{table}\" does not exist, skipping")));
            }
            Err(error) => return Err(error),
        }
    }
    for table in found {
        ctx.sources.stop_table(table).await;
        ctx.store.drop_table(table).await?;
    }
    Ok(done("DROP TABLE", notices))
}

/// What goes with the table, or why it cannot go.
fn dependents(table: &str, family: &Family, cascade: bool) -> Result<Vec<Notice>> {
    let view = family.view();
    let sources: Vec<&str> = view.manifest.sources.keys().map(String::as_str).collect();
    let Some(first) = sources.first() else { return Ok(Vec::new()) };
    if !cascade {
        let lines: Vec<String> = sources.iter().map(|s| format!("source {s} depends on table {table}")).collect();
        let message = format!("cannot drop table {table} because other objects depend on it");
        return Err(Error::new(ErrorKind::Dependent, message).detail(lines.join("\n")).hint(format!(
            "Use DROP TABLE {} CASCADE, or DROP SOURCE {} before.",
            quoted(table),
            quoted(first)
        )));
    }
    let mut notices = vec![notice("00000", format!("drop cascades to source {}", sources.join(", source ")))];
    for state in view.manifest.sources.values() {
        if let SourceOrigin::File(path) = &state.def.origin {
            notices.push(Notice {
                severity: "WARNING",
                code: "01000",
                message: format!("file {} still defines source {}; remove it too", path.display(), state.def.name),
            });
        }
    }
    Ok(notices)
}

/// Dead letters go with their table and not alone.
fn refuse_dead_letters(ctx: &CommandContext<'_>, table: &str, at: usize) -> Result<()> {
    let Some(base) = table.strip_suffix(DEAD_LETTER_SUFFIX) else { return Ok(()) };
    if ctx.store.family(base).is_none() {
        return Ok(());
    }
    let message = format!("cannot drop table {table} because table {base} requires it");
    Err(Error::new(ErrorKind::Dependent, message).hint(format!("You can drop table {} instead.", quoted(base))).at(at))
}

/// Seals a table; its dead letters go with it, under either name.
pub(super) async fn seal(ctx: &CommandContext<'_>, relation: &RelationName) -> Result<Answer> {
    let table = relation.user_table()?;
    let dead_letters_of = table.strip_suffix(DEAD_LETTER_SUFFIX).and_then(|base| ctx.store.family(base));
    let family = match dead_letters_of {
        Some(family) => family,
        None => family(ctx, table, relation.at)?,
    };
    family.seal().await?;
    Ok(done("SEAL TABLE", None))
}
