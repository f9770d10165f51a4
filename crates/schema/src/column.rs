//! Columns and their types.

use crate::{ColumnId, Scalar};
use arrow::datatypes::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// Arrow field metadata key under which the Parquet writer finds the stable column id.
pub const FIELD_ID_KEY: &str = "PARQUET:field_id";
/// Arrow field metadata key holding the SQL type ([`ColumnType`]'s text), where Arrow alone cannot tell.
pub const TYPE_KEY: &str = "millrace.type";

/// A SQL type that a table can store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// true or false; Arrow `Boolean`.
    Boolean,
    /// 16 bits; `Int16`.
    SmallInt,
    /// 32 bits; `Int32`.
    Integer,
    /// 64 bits; `Int64`.
    BigInt,
    /// `Float32`.
    Real,
    /// `Float64`.
    Double,
    /// `Decimal128(precision, scale)`, precision 1 to 38, scale 0 to precision.
    Numeric {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// `Utf8View`.
    Text,
    /// `Utf8View` of at most so many characters.
    Varchar(u32),
    /// `BinaryView`.
    Bytea,
    /// Days since 1970; `Date32`.
    Date,
    /// Microseconds since midnight; `Time64(µs)`.
    Time,
    /// Microseconds since 1970 in no zone; `Timestamp(µs)`.
    Timestamp,
    /// An instant; `Timestamp(µs, "UTC")`.
    TimestampTz,
    /// `FixedSizeBinary(16)`.
    Uuid,
    /// JSON text as it came, validated; `Utf8View`.
    Json,
    /// JSON text, compact, keys in order of arrival with the last duplicate kept; `Utf8View`.
    Jsonb,
}

impl ColumnType {
    /// The Arrow type of a column of this type, in memory and in parts.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::SmallInt => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Real => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Numeric { precision, scale } => DataType::Decimal128(precision, scale),
            Self::Text | Self::Varchar(_) | Self::Json | Self::Jsonb => DataType::Utf8View,
            Self::Bytea => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => DataType::FixedSizeBinary(16),
        }
    }

    /// Whether a column of this type can be the time column.
    pub fn is_time(self) -> bool {
        matches!(self, Self::Timestamp | Self::TimestampTz | Self::Date)
    }
}

/// PostgreSQL's name of the type, as `\d` and `format_type` print it.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::SmallInt => f.write_str("smallint"),
            Self::Integer => f.write_str("integer"),
            Self::BigInt => f.write_str("bigint"),
            Self::Real => f.write_str("real"),
            Self::Double => f.write_str("double precision"),
            Self::Numeric { precision, scale } => write!(f, "numeric({precision},{scale})"),
            Self::Text => f.write_str("text"),
            Self::Varchar(n) => write!(f, "character varying({n})"),
            Self::Bytea => f.write_str("bytea"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time without time zone"),
            Self::Timestamp => f.write_str("timestamp without time zone"),
            Self::TimestampTz => f.write_str("timestamp with time zone"),
            Self::Uuid => f.write_str("uuid"),
            Self::Json => f.write_str("json"),
            Self::Jsonb => f.write_str("jsonb"),
        }
    }
}

/// A constant that fills a column whose value is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DefaultValue {
    /// The expression as the user wrote it.
    pub sql: String,
    /// What it came to; `None` is NULL.
    pub value: Option<Scalar>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Stable id.
    pub id: ColumnId,
    /// Name, as stored (already folded or quoted by the parser).
    pub name: String,
    /// Type.
    pub ty: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// What a missing value becomes; `None`: NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultValue>,
}

impl Column {
    /// The Arrow field: name, type, nullability, and in its metadata the stable id and the SQL type.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.ty.arrow(), self.nullable).with_metadata(HashMap::from([
            (FIELD_ID_KEY.to_owned(), self.id.0.to_string()),
            (TYPE_KEY.to_owned(), self.ty.to_string()),
        ]))
    }
}
