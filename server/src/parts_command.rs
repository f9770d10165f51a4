//! `millrace parts TABLE`: with the server off, lists the live Parquet files of a table for other tools to read.

use millrace_clock::Clock;
use millrace_error::{Error, ErrorKind, Result};
use millrace_schema::{DEAD_LETTER_SUFFIX, TableId};
use millrace_storage::{Store, StoreConfig};
use std::fmt::Write;
use std::path::Path;

/// The list, one file a line: absolute path, rows, bytes, deleted rows, separated by tabs; after a line of titles.
///
/// # Errors
/// `WrongState` while a server runs on the directory; `UnknownTable`; `Damage`; `Io`.
pub(crate) async fn list(data_dir: &Path, memory_limit: u64, table: &str) -> Result<String> {
    if !data_dir.is_dir() {
        return Err(Error::new(ErrorKind::Io, format!("there is no data directory {}", data_dir.display()))
            .hint("say which with --data-dir"));
    }
    let data_dir = data_dir.canonicalize().map_err(|e| Error::io(data_dir.display(), e))?;
    let store = Store::open(StoreConfig::new(data_dir, memory_limit), Clock::system()).await?;
    let listed = parts_of(&store, table);
    store.close().await;
    listed
}

fn parts_of(store: &Store, table: &str) -> Result<String> {
    let base = |name: &str| store.family(name);
    let (family, id) = match (base(table), table.strip_suffix(DEAD_LETTER_SUFFIX).and_then(base)) {
        (Some(family), _) => (family, TableId::BASE),
        (None, Some(family)) => (family, TableId::DEAD_LETTERS),
        (None, None) => return Err(unknown(store, table)),
    };
    let view = family.view();
    let mut text = "path\trows\tbytes\tdeleted_rows\n".to_owned();
    for part in view.parts(id) {
        // No statement of this version deletes rows, so no file has any.
        let _ = writeln!(text, "{}\t{}\t{}\t0", family.part_path(part).display(), part.rows, part.bytes);
    }
    Ok(text)
}

fn unknown(store: &Store, table: &str) -> Error {
    let names: Vec<String> = store.families().into_iter().map(|(name, _)| name).collect();
    let error = Error::new(ErrorKind::UnknownTable, format!("table {table:?} does not exist"));
    if names.is_empty() {
        error.hint("this data directory has no tables")
    } else {
        error.hint(format!("tables are {}", names.join(", ")))
    }
}
