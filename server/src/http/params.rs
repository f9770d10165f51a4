//! Parameters of a request: JSON values become arrays of one value of the types that the statement wants.

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_error::{Error, ErrorKind, Result};
use serde_json::Value;
use std::sync::Arc;

/// One array of one value for each parameter.
///
/// # Errors
/// `InvalidValue` when their number differs, `InvalidText` naming the parameter.
pub(super) fn arrays(values: &[Value], types: &[DataType]) -> Result<Vec<ArrayRef>> {
    if values.len() != types.len() {
        let message = format!("the statement has {} parameters, the request gives {}", types.len(), values.len());
        return Err(Error::new(ErrorKind::InvalidValue, message));
    }
    values.iter().zip(types).zip(1..).map(|((value, ty), number)| array(value, ty, number)).collect()
}

fn array(value: &Value, ty: &DataType, number: usize) -> Result<ArrayRef> {
    let invalid = || {
        Error::new(ErrorKind::InvalidText, format!("invalid value for ${number}: {value}"))
            .detail(format!("it must be a {ty}"))
    };
    let text = match value {
        Value::Null => return Ok(new_null_array(ty, 1)),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    match ty {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = STANDARD.decode(&text).map_err(|_| invalid())?;
            converted(Arc::new(BinaryArray::from_iter_values([bytes])), ty).ok_or_else(invalid)
        }
        DataType::FixedSizeBinary(16) => {
            let uuid = uuid::Uuid::parse_str(&text).map_err(|_| invalid())?;
            let array = FixedSizeBinaryArray::try_from_iter([uuid.into_bytes()].into_iter()).map_err(|_| invalid())?;
            Ok(Arc::new(array))
        }
        _ => converted(Arc::new(StringArray::from_iter_values([text])), ty).ok_or_else(invalid),
    }
}

fn converted(array: ArrayRef, ty: &DataType) -> Option<ArrayRef> {
    let options = CastOptions { safe: false, format_options: FormatOptions::default() };
    cast_with_options(&array, ty, &options).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use serde_json::json;

    #[test]
    fn values_take_the_wanted_type() {
        let types = [DataType::Int64, DataType::Utf8, DataType::Boolean, DataType::Binary, DataType::Float64];
        let got = arrays(&[json!(7), json!("x"), json!(true), json!("AAE="), Value::Null], &types).unwrap();
        assert_eq!(got[0].as_primitive::<Int64Type>().value(0), 7);
        assert_eq!(got[1].as_string::<i32>().value(0), "x");
        assert!(got[2].as_boolean().value(0));
        assert_eq!(got[3].as_binary::<i32>().value(0), [0, 1]);
        assert!(got[4].is_null(0));
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_parameter() {
        let error = arrays(&[json!(1), json!("x")], &[DataType::Int64, DataType::Int64]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidText);
        assert!(error.message().contains("$2"), "{error}");
        assert!(arrays(&[], &[DataType::Int64]).is_err());
        assert!(arrays(&[json!("zz")], &[DataType::FixedSizeBinary(16)]).is_err());
    }
}
