//! PostgreSQL's type names as the Arrow types that tables have.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};
use millrace_schema::ColumnType;
use std::sync::Arc;

/// Types that DataFusion lacks, or takes for nanoseconds.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &SqlType) -> Result<Option<FieldRef>> {
        let ty = match sql {
            SqlType::Uuid => ColumnType::Uuid.arrow(),
            SqlType::JSON | SqlType::JSONB => DataType::Utf8View,
            SqlType::Bytea => DataType::BinaryView,
            SqlType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => ColumnType::TimestampTz.arrow(),
            SqlType::Timestamp(_, _) => ColumnType::Timestamp.arrow(),
            SqlType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                DataType::Time64(TimeUnit::Microsecond)
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", ty, true))))
    }
}
