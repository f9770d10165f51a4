//! The formats of an answer. Each writes a head, rows batch by batch, and a tail.
//!
//! | format | rows | a failure after the first byte |
//! | --- | --- | --- |
//! | json | `{"columns":[{"name","type"}],"rows":[[…]],"snapshot":{…}}` | an `error` member in place of `snapshot` |
//! | ndjson | one object a line | a last line `{"error":{…}}` |
//! | csv | RFC 4180, with header; NULL is empty, empty text is `""` | the body is cut off |
//! | arrow | IPC stream | the body is cut off |

use super::cell::{self, Form};
use super::query::snapshot_json;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use millrace_error::{Error, ErrorKind, Result};
use millrace_sql::{Answer, Body};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    NdJson,
    Csv,
    Arrow,
}

/// Writes one answer.
pub(super) struct Encoder {
    format: Format,
    schema: SchemaRef,
    /// Of ndjson: each column's name as a JSON text.
    names: Vec<Vec<u8>>,
    /// Of json: the members after the rows.
    after_rows: String,
    /// Of arrow.
    ipc: Option<StreamWriter<Vec<u8>>>,
    any_row: bool,
}

impl Format {
    /// By the name in `?format=`.
    pub(super) fn named(name: &str) -> Result<Self> {
        match name {
            "json" => Ok(Self::Json),
            "ndjson" => Ok(Self::NdJson),
            "csv" => Ok(Self::Csv),
            "arrow" => Ok(Self::Arrow),
            "parquet" => Err(Error::not_supported("the format parquet is not in this version").hint("use arrow")),
            _ => Err(Error::new(ErrorKind::InvalidValue, format!("unknown format {name:?}"))
                .hint("formats are json, ndjson, csv and arrow")),
        }
    }

    /// By a media type in `Accept`.
    pub(super) fn accepted(media: &str) -> Option<Self> {
        Some(match media {
            "application/json" => Self::Json,
            "application/x-ndjson" => Self::NdJson,
            "text/csv" => Self::Csv,
            "application/vnd.apache.arrow.stream" => Self::Arrow,
            _ => return None,
        })
    }
}

impl Encoder {
    /// An encoder of this answer.
    ///
    /// # Errors
    /// `Internal` where Arrow cannot write the schema.
    pub(super) fn new(format: Format, answer: &Answer) -> Result<Self> {
        let schema = match &answer.body {
            Body::Rows { schema, .. } => Arc::clone(schema),
            Body::Command(_) => Arc::new(Schema::empty()),
        };
        let names = schema.fields().iter().map(|f| json!(f.name()).to_string().into_bytes()).collect();
        let ipc = match format {
            Format::Arrow => Some(StreamWriter::try_new(Vec::new(), &schema).map_err(ipc_failed)?),
            _ => None,
        };
        Ok(Self { format, schema, names, after_rows: after_rows(answer), ipc, any_row: false })
    }

    /// The `Content-Type`.
    pub(super) fn content_type(&self) -> &'static str {
        match self.format {
            Format::Json => "application/json",
            Format::NdJson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// Writes what comes before the rows.
    pub(super) fn head(&mut self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => {
                let columns: Vec<Value> = self.schema.fields().iter().map(|f| cell::column(f)).collect();
                let _ = write!(out, "{{\"columns\":{},\"rows\":[", Value::Array(columns));
            }
            Format::Csv if !self.schema.fields().is_empty() => {
                for (i, field) in self.schema.fields().iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    cell::text(Form::Csv, field.name(), out);
                }
                out.extend_from_slice(b"\r\n");
            }
            Format::NdJson | Format::Csv | Format::Arrow => {}
        }
    }

    /// Writes rows.
    ///
    /// # Errors
    /// `Internal` where a value cannot be written.
    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if let Some(ipc) = &mut self.ipc {
            ipc.write(batch).map_err(ipc_failed)?;
            out.append(ipc.get_mut());
            return Ok(());
        }
        let form = if self.format == Format::Csv { Form::Csv } else { Form::Json };
        let fields = self.schema.fields().iter();
        let writers = fields.zip(batch.columns()).map(|(f, c)| cell::writer(form, f, c)).collect::<Result<Vec<_>>>()?;
        let (open, close): (&[u8], &[u8]) = match self.format {
            Format::Json => (b"[", b"]"),
            Format::NdJson => (b"{", b"}\n"),
            Format::Csv | Format::Arrow => (b"", b"\r\n"),
        };
        for row in 0..batch.num_rows() {
            if self.format == Format::Json && self.any_row {
                out.push(b',');
            }
            self.any_row = true;
            out.extend_from_slice(open);
            for (i, write) in writers.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                if let (Format::NdJson, Some(name)) = (self.format, self.names.get(i)) {
                    out.extend_from_slice(name);
                    out.push(b':');
                }
                write(row, out);
            }
            out.extend_from_slice(close);
        }
        Ok(())
    }

    /// Writes what comes after the rows.
    ///
    /// # Errors
    /// `Internal` where Arrow cannot close its stream.
    pub(super) fn tail(&mut self, out: &mut Vec<u8>) -> Result<()> {
        match (&mut self.ipc, self.format) {
            (Some(ipc), _) => {
                ipc.finish().map_err(ipc_failed)?;
                out.append(ipc.get_mut());
            }
            (None, Format::Json) => {
                let _ = writeln!(out, "]{}}}", self.after_rows);
            }
            (None, _) => {}
        }
        Ok(())
    }

    /// Writes a failure, after whole rows. `false`: the format has no place for it.
    pub(super) fn failure(&self, error: &str, out: &mut Vec<u8>) -> bool {
        match self.format {
            Format::Json => writeln!(out, "],\"error\":{error}}}").is_ok(),
            Format::NdJson => writeln!(out, "{{\"error\":{error}}}").is_ok(),
            Format::Csv | Format::Arrow => false,
        }
    }
}

/// `,"snapshot":{…}` and, where there is something to say, `,"command":"CREATE TABLE","notices":[…]`.
fn after_rows(answer: &Answer) -> String {
    let mut text = format!(",\"snapshot\":{}", snapshot_json(&answer.snapshot, true));
    if let Body::Command(tag) = &answer.body {
        text.push_str(&format!(",\"command\":{}", json!(tag)));
    }
    if !answer.notices.is_empty() {
        let notices =
            answer.notices.iter().map(|n| json!({ "severity": n.severity, "code": n.code, "message": n.message }));
        text.push_str(&format!(",\"notices\":{}", Value::Array(notices.collect())));
    }
    text
}

fn ipc_failed(error: arrow::error::ArrowError) -> Error {
    Error::internal(format!("cannot write the arrow stream: {error}")).caused_by(error)
}

#[cfg(test)]
mod tests;
