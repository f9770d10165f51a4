//! PostgreSQL's type names as the Arrow types that tables have.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{CharacterLength, DataType as SqlType, TimezoneInfo};
use millrace_schema::ColumnType;
use std::collections::HashMap;
use std::sync::Arc;

/// Metadata of a type that a cast names: characters that are left of the text.
pub(crate) const WIDTH_KEY: &str = "millrace.width";

/// Types that DataFusion lacks, or takes for nanoseconds.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &SqlType) -> Result<Option<FieldRef>> {
        let ty = match sql {
            SqlType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
            | SqlType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. })) => {
                let width = HashMap::from([(WIDTH_KEY.to_owned(), length.to_string())]);
                return Ok(Some(Arc::new(Field::new("", DataType::Utf8View, true).with_metadata(width))));
            }
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
