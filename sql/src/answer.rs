//! What a statement answers.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use futures::stream::BoxStream;
use millrace_error::Result;
use std::collections::BTreeMap;

/// Rows as they are made. Dropping it cancels the work behind it.
pub type RowStream = BoxStream<'static, Result<RecordBatch>>;

/// The answer to one statement.
pub struct Answer {
    /// What to tell besides the result, in order.
    pub notices: Vec<Notice>,
    /// The snapshots the answer is of: base-table name → version and offsets. Empty for statements that read no family.
    pub snapshot: BTreeMap<String, SnapshotName>,
    /// Rows or a tag.
    pub body: Body,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("notices", &self.notices)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

/// Rows, or a command tag.
pub enum Body {
    /// A result set. `tag` is the word before the row count: `SELECT`, or a whole tag for commands that return rows
    /// (`SHOW`, `EXPLAIN`).
    Rows {
        /// Columns. Arrow types as in `millrace_schema::ColumnType::arrow`, `TYPE_KEY` metadata where it is a table's column.
        schema: SchemaRef,
        /// The rows.
        rows: RowStream,
        /// `SELECT`, `SHOW`, `EXPLAIN`.
        tag: &'static str,
    },
    /// No rows; the whole tag, such as `CREATE TABLE`.
    Command(String),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows { schema, tag, .. } => {
                f.debug_struct("Rows").field("schema", schema).field("tag", tag).finish_non_exhaustive()
            }
            Self::Command(tag) => f.debug_tuple("Command").field(tag).finish(),
        }
    }
}

/// A message besides the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `WARNING` or `NOTICE`.
    pub severity: &'static str,
    /// SQLSTATE.
    pub code: &'static str,
    /// The message.
    pub message: String,
}

/// One family's part in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotName {
    /// Manifest version.
    pub version: u64,
    /// Source → topic → partition → next offset.
    pub offsets: BTreeMap<String, BTreeMap<String, BTreeMap<i32, i64>>>,
}

/// What a statement takes and gives, before it runs.
#[derive(Debug, Clone)]
pub struct Description {
    /// Types of `$1`, `$2`, ….
    pub parameters: Vec<DataType>,
    /// Columns of the result; `None` for commands.
    pub columns: Option<SchemaRef>,
}
