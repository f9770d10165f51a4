//! Bytes from a log → record batches, appended with their offsets, exactly once.
//!
//! ```text
//!  source (Kafka, scripted) ─ records ─▶ assemble ─ decode ─▶ rows | dead letters ─▶ append with [from, to)
//! ```
//! The exactly-once argument: a source reads from the position that the family's view holds, and from nowhere else; an
//! append names where that position must stand and moves it together with rows and dead letters; storage commits a
//! position only with the rows it covers. So a crash at any point reads again exactly what no commit contains, and two
//! readers of one topic cannot both append.
//!
//! What enters: definitions of sources, records. What leaves: appends to `storage`, states and lag for people.
//! Deliberately absent: SQL, sealing, any protocol towards users.

mod assemble;
pub mod decode;
mod lag;
mod pipeline;
pub mod source;
mod source_file;
mod suggest;
mod supervisor;
#[cfg(test)]
mod testing;

pub use source_file::{SourceFile, parse_source_file, parse_start};
pub use supervisor::{IngestConfig, PartitionReport, SourceReport, Supervisor};
