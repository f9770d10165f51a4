//! What clients ask first: who, where, which version.

use crate::settings::SERVER_VERSION;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// A function of no arguments that always answers the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    aliases: Vec<String>,
    value: ScalarValue,
    signature: Signature,
}

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let text = |value: &str| ScalarValue::Utf8View(Some(value.to_owned()));
    let version =
        format!("PostgreSQL {SERVER_VERSION} (Millrace {}) on {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    vec![
        constant("version", &[], text(&version)),
        constant("current_database", &["current_catalog"], text("millrace")),
        constant("current_schema", &[], text("public")),
        constant("current_user", &["session_user", "user", "current_role"], text("millrace")),
        constant("pg_backend_pid", &[], ScalarValue::Int32(Some(pid))),
        constant("pg_is_in_recovery", &[], ScalarValue::Boolean(Some(false))),
    ]
}

fn constant(name: &'static str, aliases: &[&str], value: ScalarValue) -> Arc<ScalarUDF> {
    let aliases = aliases.iter().map(|a| (*a).to_owned()).collect();
    Arc::new(ScalarUDF::from(Constant { name, aliases, value, signature: Signature::nullary(Volatility::Immutable) }))
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
