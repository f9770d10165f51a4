//! uuid: stored as 16 bytes, written as text.
//!
//! What enters: text or bytes. What leaves: the other. Deliberately absent: where that is wanted (see `input`), and the wire
//! (the server prints uuid columns by itself).

use crate::error::wrap;
use arrow::array::{Array, ArrayRef, FixedSizeBinaryArray, FixedSizeBinaryBuilder, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use millrace_error::{Error, ErrorKind};
use std::sync::{Arc, LazyLock};

/// How a uuid is stored.
pub(super) const BYTES: DataType = DataType::FixedSizeBinary(16);

static PARSE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::new(TypeSignature::Exact(vec![DataType::Utf8View]), Volatility::Immutable);
    Arc::new(ScalarUDF::from(Convert { name: "uuid_parse", returns: BYTES, signature }))
});

static PRINT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::new(TypeSignature::Exact(vec![BYTES]), Volatility::Immutable);
    Arc::new(ScalarUDF::from(Convert { name: "uuid_text", returns: DataType::Utf8View, signature }))
});

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![Arc::clone(&PARSE), Arc::clone(&PRINT)]
}

/// Converts between the two forms.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Convert {
    name: &'static str,
    returns: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Convert {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else { return exec_err!("{} takes one argument", self.name) };
        let array = value.to_array(args.number_rows)?;
        let converted = if self.returns == BYTES { parse(&array)? } else { print(&array)? };
        match value {
            ColumnarValue::Scalar(_) => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?)),
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(converted)),
        }
    }
}

fn parse(texts: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let Some(texts) = texts.as_any().downcast_ref::<StringViewArray>() else { return exec_err!("not text") };
    let mut bytes = FixedSizeBinaryBuilder::with_capacity(texts.len(), 16);
    for text in texts {
        match text {
            Some(text) => bytes.append_value(bytes_of(text)?)?,
            None => bytes.append_null(),
        }
    }
    Ok(Arc::new(bytes.finish()))
}

fn print(bytes: &ArrayRef) -> Result<ArrayRef> {
    let Some(bytes) = bytes.as_any().downcast_ref::<FixedSizeBinaryArray>() else { return exec_err!("not uuids") };
    let text = |value: &[u8]| uuid::Uuid::from_slice(value).ok().map(|id| id.to_string());
    Ok(Arc::new(StringViewArray::from_iter(bytes.iter().map(|v| v.and_then(text)))))
}

fn bytes_of(text: &str) -> Result<[u8; 16]> {
    let id = uuid::Uuid::parse_str(text.trim()).map_err(|_| {
        wrap(Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type uuid: \"{text}\"")))
    })?;
    Ok(*id.as_bytes())
}

/// Text as a uuid.
pub(super) fn parsed(text: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&PARSE), vec![text]))
}

/// A uuid as text.
pub(super) fn printed(uuid: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&PRINT), vec![uuid]))
}
