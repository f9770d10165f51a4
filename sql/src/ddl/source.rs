//! CREATE, ALTER and DROP SOURCE.
//!
//! What enters: checked statements. What leaves: calls of [`SourceControl`](crate::SourceControl). Deliberately absent: Kafka.

use super::{CommandContext, done, family, notice};
use crate::answer::{Answer, Notice};
use crate::error::shown;
use crate::parse::{CreateSource, Name, nearest};
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{DEAD_LETTER_SUFFIX, SourceDef, SourceOrigin, TableDef, TableId};

/// Creates a source and starts it.
pub(super) async fn create(ctx: &CommandContext<'_>, create: CreateSource) -> Result<Answer> {
    let name = create.name.text.clone();
    let exists = notice("42710", format!("source \"{name}\" already exists, skipping"));
    let known = ctx.sources.status().iter().any(|s| s.name == name);
    if known && create.if_not_exists {
        return Ok(done("CREATE SOURCE", Some(exists)));
    }
    if known {
        return Err(
            Error::new(ErrorKind::DuplicateObject, format!("source \"{name}\" already exists")).at(create.name.at)
        );
    }
    let table = create.table.user_table()?.to_owned();
    if table.strip_suffix(DEAD_LETTER_SUFFIX).is_some_and(|base| ctx.store.family(base).is_some()) {
        return Err(Error::new(ErrorKind::Denied, "a source cannot feed a table of dead letters").at(create.table.at));
    }
    let family = family(ctx, &table, create.table.at)?;
    let view = family.view();
    let def = view
        .table(TableId::BASE)
        .ok_or_else(|| Error::internal("a family without a base table").with("table", &table))?;
    let source = source_def(&create, def)?;
    match ctx.sources.create(&table, source).await {
        Ok(created) => {
            let warning = created.warning.map(|message| Notice { severity: "WARNING", code: "01000", message });
            Ok(done("CREATE SOURCE", warning))
        }
        // Somebody else was faster.
        Err(error) if create.if_not_exists && error.kind() == ErrorKind::DuplicateObject => {
            Ok(done("CREATE SOURCE", Some(exists)))
        }
        Err(error) if error.kind() == ErrorKind::DuplicateObject => Err(error.at(create.name.at)),
        Err(error) => Err(error),
    }
}

/// The definition, columns by id.
fn source_def(create: &CreateSource, table: &TableDef) -> Result<SourceDef> {
    let mut mapping = std::collections::BTreeMap::new();
    for (column, path) in &create.mapping {
        let found = table.column_named(&column.text).ok_or_else(|| {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", column.text, table.name);
            let error = Error::new(ErrorKind::UnknownColumn, message).at(column.at);
            match nearest(&column.text, table.columns.iter().map(|c| c.name.as_str())) {
                Some(near) => error.hint(format!("did you mean {}?", shown(near))),
                None => error,
            }
        })?;
        mapping.insert(found.id, path.clone());
    }
    Ok(SourceDef {
        name: create.name.text.clone(),
        kafka: create.kafka.clone(),
        mapping,
        on_error: create.on_error,
        time_unit: create.time_unit,
        origin: SourceOrigin::Sql,
        paused: false,
    })
}

/// Stops fetching.
pub(super) async fn pause(ctx: &CommandContext<'_>, name: &Name) -> Result<Answer> {
    ctx.sources.pause(&name.text).await.map_err(|e| explain(ctx, e, name))?;
    Ok(done("ALTER SOURCE", None))
}

/// Starts fetching again.
pub(super) async fn resume(ctx: &CommandContext<'_>, name: &Name) -> Result<Answer> {
    ctx.sources.resume(&name.text).await.map_err(|e| explain(ctx, e, name))?;
    Ok(done("ALTER SOURCE", None))
}

/// Removes a source.
pub(super) async fn drop_source(ctx: &CommandContext<'_>, if_exists: bool, name: &Name) -> Result<Answer> {
    match ctx.sources.drop_source(&name.text).await {
        Ok(()) => Ok(done("DROP SOURCE", None)),
        Err(error) if if_exists && error.kind() == ErrorKind::UnknownObject => {
            let skipping = notice("00000", format!("source \"{}\" does not exist, skipping", name.text));
            Ok(done("DROP SOURCE", Some(skipping)))
        }
        Err(error) => Err(explain(ctx, error, name)),
    }
}

/// Adds the place, and a suggestion to an unknown name.
fn explain(ctx: &CommandContext<'_>, error: Error, name: &Name) -> Error {
    if error.kind() != ErrorKind::UnknownObject {
        return error.at(name.at);
    }
    unknown_source(ctx, name)
}

/// There is no such source.
pub(super) fn unknown_source(ctx: &CommandContext<'_>, name: &Name) -> Error {
    let error = Error::new(ErrorKind::UnknownObject, format!("source \"{}\" does not exist", name.text)).at(name.at);
    let all = ctx.sources.status();
    match nearest(&name.text, all.iter().map(|s| s.name.as_str())) {
        Some(near) => error.hint(format!("did you mean {}?", shown(near))),
        None => error.hint("SHOW SOURCES lists the sources"),
    }
}
