//! What a table and a source *is*: columns with stable ids, sort key, time column, partitioning; pure data ⇄ Arrow.
//!
//! What enters: definitions made by SQL or source files. What leaves: the same as values that can be stored (serde) and
//! as Arrow schemas. Deliberately absent: SQL, I/O, rows.

mod column;
mod dead_letter;
mod ids;
mod json_path;
mod quantity;
mod scalar;
mod source;
mod table;

pub use column::{Column, ColumnType, DefaultValue, FIELD_ID_KEY, TYPE_KEY};
pub use dead_letter::{DEAD_LETTER_SUFFIX, PoisonReason, dead_letter_columns, dead_letter_name};
pub use ids::{ColumnId, PartId, TableId, TopicKey};
pub use json_path::{JsonPath, PathStep};
pub use quantity::{format_bytes, format_duration, parse_bytes, parse_duration};
pub use scalar::Scalar;
pub use source::{KafkaSource, OnError, OnGap, SourceDef, SourceOrigin, StartPosition, TimeUnit};
pub use table::{Bucket, Compression, PartitionUnit, Partitioning, TableDef, TableOptions};
