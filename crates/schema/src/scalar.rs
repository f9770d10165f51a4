//! One value of one column: defaults, bounds.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A value in the physical form of its column type. Two scalars compare only within one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Scalar {
    /// boolean.
    Bool(bool),
    /// smallint, integer, bigint; date as days, time and timestamps as microseconds since midnight or 1970 UTC.
    Int(i64),
    /// real, double precision. Never NaN where it serves as a bound.
    Float(f64),
    /// numeric: the unscaled integer at the column's scale.
    #[serde(with = "unscaled")]
    Numeric(i128),
    /// text, varchar, json, jsonb.
    Text(String),
    /// bytea, uuid.
    Bytes(Vec<u8>),
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.partial_cmp(b),
            (Self::Int(a), Self::Int(b)) => a.partial_cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Numeric(a), Self::Numeric(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.partial_cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.partial_cmp(b),
            _ => None,
        }
    }
}

/// JSON has no 128-bit integers: written as text.
mod unscaled {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i128, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i128, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}
