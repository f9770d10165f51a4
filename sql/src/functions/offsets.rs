//! `millrace_offsets('t')`: the offsets that this very query's snapshot contains, as JSON.

use crate::error::wrap;
use crate::functions::OFFSETS;
use crate::snapshot::{Snapshot, offsets_json};
use arrow::array::{Array, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use millrace_error::{Error, ErrorKind};
use millrace_schema::TYPE_KEY;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The function over one snapshot.
#[derive(Debug)]
struct Offsets {
    snapshot: Arc<Snapshot>,
    signature: Signature,
}

/// The function for a query on `snapshot`. A constant to the planner, as the snapshot is.
pub(crate) fn offsets_function(snapshot: &Arc<Snapshot>) -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::Exact(vec![DataType::Utf8View]), Volatility::Immutable);
    Arc::new(ScalarUDF::from(Offsets { snapshot: Arc::clone(snapshot), signature }))
}

impl Offsets {
    fn of(&self, table: &str) -> Result<String> {
        let (pinned, _, _) = self.snapshot.table(&fold(table)).ok_or_else(|| {
            if self.snapshot.store().family(&fold(table)).is_some() {
                wrap(
                    Error::new(ErrorKind::InvalidValue, format!("{OFFSETS}: the table's name must be a constant"))
                        .hint(format!("write {OFFSETS}('{table}')")),
                )
            } else {
                wrap(self.snapshot.unknown_table(table))
            }
        })?;
        Ok(offsets_json(&pinned.view.offsets()))
    }
}

/// A name in a string, as PostgreSQL's `regclass` reads it: folded unless quoted, perhaps with its schema.
pub(crate) fn fold(name: &str) -> String {
    let name = name.trim();
    let name = name.strip_prefix("public.").unwrap_or(name);
    match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

impl ScalarUDFImpl for Offsets {
    fn name(&self) -> &str {
        OFFSETS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        let metadata = HashMap::from([(TYPE_KEY.to_owned(), "json".to_owned())]);
        Ok(Arc::new(Field::new(OFFSETS, DataType::Utf8View, true).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => {
                let json = value.try_as_str().flatten().map(|table| self.of(table)).transpose()?;
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(json)))
            }
            Some(ColumnarValue::Array(array)) => {
                let mut all = Vec::with_capacity(array.len());
                for row in 0..array.len() {
                    let value = ScalarValue::try_from_array(array, row)?;
                    all.push(value.try_as_str().flatten().map(|table| self.of(table)).transpose()?);
                }
                Ok(ColumnarValue::Array(Arc::new(StringViewArray::from_iter(all))))
            }
            None => Err(wrap(Error::internal("millrace_offsets without an argument"))),
        }
    }
}

/// The same snapshot, the same function.
impl PartialEq for Offsets {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.snapshot, &other.snapshot)
    }
}

impl Eq for Offsets {}

impl Hash for Offsets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.snapshot).hash(state);
    }
}
