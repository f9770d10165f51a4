//! Dead letters: what could not be stored, as rows of its family's dead-letter table.
//!
//! What enters: the record and why it was refused. What leaves: a record batch of
//! [`millrace_schema::dead_letter_columns`]. Payloads are kept whole up to a limit.

use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanBuilder, Int32Builder, Int64Builder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Schema, SchemaRef};
use millrace_error::{Error, Result};
use millrace_schema::{Column, ColumnType, PoisonReason, dead_letter_columns};
use std::sync::Arc;

/// One record that could not be stored.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The topic.
    pub topic: Option<&'a str>,
    /// Its partition.
    pub partition: Option<i32>,
    /// The record's offset.
    pub offset: Option<i64>,
    /// The line, of a body with several records.
    pub line: Option<i64>,
    /// The record's own time, microseconds since 1970.
    pub record_time: Option<i64>,
    /// When it was refused, microseconds since 1970.
    pub dead_at: i64,
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The record's payload.
    pub payload: Option<&'a [u8]>,
    /// Why.
    pub reason: PoisonReason,
    /// Particulars.
    pub detail: &'a str,
}

/// Collects dead letters into a batch.
#[derive(Debug)]
pub struct DeadLetterBuilder {
    schema: SchemaRef,
    record_bytes: usize,
    rows: usize,
    bytes: usize,
    source: StringViewBuilder,
    topic: StringViewBuilder,
    partition: Int32Builder,
    record_offset: Int64Builder,
    line: Int64Builder,
    record_time: TimestampMicrosecondBuilder,
    dead_at: TimestampMicrosecondBuilder,
    key: BinaryViewBuilder,
    payload: BinaryViewBuilder,
    payload_bytes: Int64Builder,
    truncated: BooleanBuilder,
    reason: StringViewBuilder,
    detail: StringViewBuilder,
}

/// What a row costs beside its payload, key and detail, about.
const ROW_BYTES: usize = 160;

impl DeadLetterBuilder {
    /// An empty batch; payloads and keys above `record_bytes` are cut to it.
    pub fn new(record_bytes: usize) -> Self {
        let fields: Vec<_> = dead_letter_columns().iter().map(Column::field).collect();
        let instants = || TimestampMicrosecondBuilder::with_capacity(0).with_data_type(ColumnType::TimestampTz.arrow());
        Self {
            schema: Arc::new(Schema::new(fields)),
            record_bytes,
            rows: 0,
            bytes: 0,
            source: StringViewBuilder::with_capacity(0),
            topic: StringViewBuilder::with_capacity(0),
            partition: Int32Builder::with_capacity(0),
            record_offset: Int64Builder::with_capacity(0),
            line: Int64Builder::with_capacity(0),
            record_time: instants(),
            dead_at: instants(),
            key: BinaryViewBuilder::with_capacity(0),
            payload: BinaryViewBuilder::with_capacity(0),
            payload_bytes: Int64Builder::with_capacity(0),
            truncated: BooleanBuilder::with_capacity(0),
            reason: StringViewBuilder::with_capacity(0),
            detail: StringViewBuilder::with_capacity(0),
        }
    }

    /// Adds one.
    pub fn push(&mut self, letter: DeadLetter<'_>) {
        let cut = |bytes: &'_ [u8]| bytes.len() > self.record_bytes;
        let truncated = letter.payload.is_some_and(cut) || letter.key.is_some_and(cut);
        let (key, payload) = (letter.key.map(|k| self.head(k)), letter.payload.map(|p| self.head(p)));
        self.source.append_value(letter.source);
        self.topic.append_option(letter.topic);
        self.partition.append_option(letter.partition);
        self.record_offset.append_option(letter.offset);
        self.line.append_option(letter.line);
        self.record_time.append_option(letter.record_time);
        self.dead_at.append_value(letter.dead_at);
        self.key.append_option(key);
        self.payload.append_option(payload);
        self.payload_bytes.append_value(letter.payload.map_or(0, |p| i64::try_from(p.len()).unwrap_or(i64::MAX)));
        self.truncated.append_value(truncated);
        self.reason.append_value(letter.reason.as_str());
        if letter.detail.contains('\0') {
            // PostgreSQL's protocol has no text with NUL in it.
            self.detail.append_value(letter.detail.replace('\0', "\u{fffd}"));
        } else {
            self.detail.append_value(letter.detail);
        }
        self.rows += 1;
        self.bytes += ROW_BYTES + key.map_or(0, <[u8]>::len) + payload.map_or(0, <[u8]>::len) + letter.detail.len();
    }

    fn head<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(..self.record_bytes).unwrap_or(bytes)
    }

    /// Dead letters since the last batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes of memory the batch will hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The dead letters since the last batch, without spare capacity; `None` where there are none.
    ///
    /// # Errors
    /// `Internal` only.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let arrays: Vec<ArrayRef> = vec![
            shrunk(self.source.finish()),
            shrunk(self.topic.finish()),
            shrunk(self.partition.finish()),
            shrunk(self.record_offset.finish()),
            shrunk(self.line.finish()),
            shrunk(self.record_time.finish()),
            shrunk(self.dead_at.finish()),
            shrunk(self.key.finish()),
            shrunk(self.payload.finish()),
            shrunk(self.payload_bytes.finish()),
            shrunk(self.truncated.finish()),
            shrunk(self.reason.finish()),
            shrunk(self.detail.finish()),
        ];
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map(Some)
            .map_err(|e| Error::internal("dead letters do not make a record batch").caused_by(e))
    }
}

fn shrunk<A: Array + 'static>(mut array: A) -> ArrayRef {
    array.shrink_to_fit();
    Arc::new(array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    #[test]
    fn keeps_payloads_up_to_the_limit() {
        let mut builder = DeadLetterBuilder::new(4);
        assert!(builder.finish().unwrap().is_none());
        let letter = DeadLetter {
            source: "s",
            topic: Some("a topic with a long name"),
            partition: Some(3),
            offset: Some(7),
            line: None,
            record_time: None,
            dead_at: 5,
            key: None,
            payload: Some(b"1234"),
            reason: PoisonReason::TooLarge,
            detail: "nul \0 here",
        };
        builder.push(letter);
        builder.push(DeadLetter { payload: Some(b"12345"), ..letter });
        builder.push(DeadLetter { payload: None, reason: PoisonReason::NullPayload, ..letter });
        let batch = builder.finish().unwrap().unwrap();
        assert_eq!((batch.num_rows(), builder.rows(), builder.bytes()), (3, 0, 0));
        let payload = batch.column_by_name("payload").unwrap().as_binary_view();
        assert_eq!((payload.value(0), payload.value(1), payload.is_null(2)), (&b"1234"[..], &b"1234"[..], true));
        let truncated = batch.column_by_name("truncated").unwrap().as_boolean();
        assert_eq!((truncated.value(0), truncated.value(1), truncated.value(2)), (false, true, false));
        let bytes = batch.column_by_name("payload_bytes").unwrap().as_primitive::<Int64Type>();
        assert_eq!(bytes.values(), &[4, 5, 0]);
        assert_eq!(batch.column_by_name("reason").unwrap().as_string_view().value(2), "null_payload");
        assert_eq!(batch.column_by_name("detail").unwrap().as_string_view().value(0), "nul \u{fffd} here");
        assert!(builder.finish().unwrap().is_none());
    }
}
