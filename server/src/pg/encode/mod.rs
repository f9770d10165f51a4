//! Arrow values → the bytes of DataRow messages, in PostgreSQL's text and binary formats.
//!
//! What enters: a record batch and the format of each column. What leaves: messages appended to the output buffer. The
//! encoder of a column is chosen once per batch; a value then costs one indirect call. Deliberately absent: I/O.

mod calendar;
mod list;
mod number;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use calendar::{EPOCH_2000_DAYS, EPOCH_2000_MICROS, MICROS_PER_DAY, MICROS_PER_SECOND, days_from_civil};

use crate::pg::pg_type::PgType;
use crate::pg::zone::Zone;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use bytes::{BufMut, BytesMut};
use millrace_error::{Error, ErrorKind, Result};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy)]
struct Style {
    format: Format,
    /// The zone in which instants are shown.
    zone: Zone,
}

/// Writes one value that is not NULL, without its length.
type Encode = Box<dyn Fn(usize, &mut BytesMut) -> Result<()> + Send + Sync>;

/// One column of one batch.
struct Column {
    nulls: Option<NullBuffer>,
    encode: Encode,
}

/// All columns of one batch.
pub(crate) struct BatchEncoder {
    columns: Vec<Column>,
    count: u16,
    rows: usize,
}

impl std::fmt::Debug for BatchEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEncoder").field("columns", &self.count).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Column {
    fn new(array: &ArrayRef, ty: PgType, style: Style) -> Result<Self> {
        Ok(Self { nulls: array.logical_nulls(), encode: scalar::encoder(array, ty, style)? })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Length and value, or -1.
    fn put(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        with_length(out, 0, |out| (self.encode)(row, out))
    }
}

impl BatchEncoder {
    /// `types[i]` and `formats[i]` belong to column i of the batch; instants are shown in `zone`.
    pub(crate) fn new(batch: &RecordBatch, types: &[PgType], formats: &[Format], zone: Zone) -> Result<Self> {
        let columns = batch
            .columns()
            .iter()
            .zip(types)
            .zip(formats)
            .map(|((array, ty), format)| Column::new(array, *ty, Style { format: *format, zone }))
            .collect::<Result<Vec<_>>>()?;
        let count = u16::try_from(columns.len())
            .map_err(|_| Error::new(ErrorKind::TooLarge, format!("{} columns are too many", columns.len())))?;
        Ok(Self { columns, count, rows: batch.num_rows() })
    }

    /// Rows in the batch.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends the DataRow of `row`. On an error the buffer is as before.
    pub(crate) fn put_row(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let before = out.len();
        out.put_u8(b'D');
        let done = with_length(out, 4, |out| {
            out.put_u16(self.count);
            self.columns.iter().try_for_each(|column| column.put(row, out))
        });
        if done.is_err() {
            out.truncate(before);
        }
        done
    }
}

/// Writes a 32-bit length in front of what `body` writes; `own` bytes of the length field itself are counted in.
fn with_length(out: &mut BytesMut, own: usize, body: impl FnOnce(&mut BytesMut) -> Result<()>) -> Result<()> {
    let at = out.len();
    out.put_i32(0);
    let start = out.len();
    body(out)?;
    let length = i32::try_from(out.len() - start + own).map_err(|_| {
        Error::new(ErrorKind::TooLarge, "a row of 2 GiB or more cannot be sent").hint("select fewer columns")
    })?;
    if let Some(place) = out.get_mut(at..start) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}
