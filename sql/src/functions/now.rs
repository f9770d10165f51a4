//! `now()` and `localtimestamp`: microseconds, UTC, one moment for the whole statement.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    name: &'static str,
    zone: Option<Arc<str>>,
    signature: Signature,
    aliases: Vec<String>,
}

pub(super) fn all() -> [Arc<ScalarUDF>; 2] {
    [
        function("now", Some("UTC".into()), &["current_timestamp", "transaction_timestamp", "statement_timestamp"]),
        function("localtimestamp", None, &[]),
    ]
}

fn function(name: &'static str, zone: Option<Arc<str>>, aliases: &[&str]) -> Arc<ScalarUDF> {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    Arc::new(ScalarUDF::from(Now { name, zone, signature: Signature::nullary(Volatility::Stable), aliases }))
}

impl ScalarUDFImpl for Now {
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
        Ok(DataType::Timestamp(TimeUnit::Microsecond, self.zone.clone()))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{}() is replaced while planning", self.name)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Some(now) = info.query_execution_start_time() else { return Ok(ExprSimplifyResult::Original(args)) };
        let value = ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), self.zone.clone());
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)))
    }
}
