//! Which parts, chunks and rows can be wanted: pruning by falsification. Unknown means keep.
//!
//! What enters: a filter, and bounds or sorted rows. What leaves: keep or skip, or the stretch of rows to look at.
//! Deliberately absent: expressions (the caller turns them into a [`ScanFilter`]) and I/O.

pub(crate) mod bucket;
mod prune;
mod sorted;
pub(crate) mod value;

pub use prune::{ColumnRange, ScanFilter};
pub use sorted::{narrow, resident_ranges};
