//! Builds one record batch column by column, in the surface's types: text, bigint, timestamptz, boolean.

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema};
use millrace_error::{Error, Result};
use millrace_schema::TYPE_KEY;
use std::collections::HashMap;
use std::sync::Arc;

/// A batch being built.
#[derive(Debug, Default)]
pub(super) struct Frame {
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl Frame {
    pub(super) fn text<T: AsRef<str>>(mut self, name: &str, values: impl Iterator<Item = Option<T>>) -> Self {
        self.push(name, Arc::new(StringViewArray::from_iter(values)));
        self
    }

    pub(super) fn json(mut self, name: &str, values: impl Iterator<Item = Option<String>>) -> Self {
        self.push(name, Arc::new(StringViewArray::from_iter(values)));
        if let Some(field) = self.fields.pop() {
            self.fields.push(field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), "json".to_owned())])));
        }
        self
    }

    pub(super) fn bigint(mut self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.push(name, Arc::new(Int64Array::from_iter(values)));
        self
    }

    /// A count; one too great for bigint shows as the greatest there is.
    pub(super) fn count(self, name: &str, values: impl Iterator<Item = u64>) -> Self {
        self.bigint(name, values.map(|v| Some(i64::try_from(v).unwrap_or(i64::MAX))))
    }

    pub(super) fn double(mut self, name: &str, values: impl Iterator<Item = Option<f64>>) -> Self {
        self.push(name, Arc::new(Float64Array::from_iter(values)));
        self
    }

    pub(super) fn boolean(mut self, name: &str, values: impl Iterator<Item = Option<bool>>) -> Self {
        self.push(name, Arc::new(BooleanArray::from_iter(values)));
        self
    }

    /// Microseconds since 1970.
    pub(super) fn time(mut self, name: &str, values: impl Iterator<Item = Option<i64>>) -> Self {
        self.push(name, Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC")));
        self
    }

    fn push(&mut self, name: &str, column: ArrayRef) {
        self.fields.push(Field::new(name, column.data_type().clone(), true));
        self.columns.push(column);
    }

    pub(super) fn finish(self) -> Result<RecordBatch> {
        let rows = self.columns.first().map(|c| c.len());
        let options = RecordBatchOptions::new().with_row_count(rows);
        RecordBatch::try_new_with_options(Arc::new(Schema::new(self.fields)), self.columns, &options)
            .map_err(|error| Error::internal(error.to_string()))
    }
}
