//! A part: an immutable, sorted Parquet file and what is kept of it in memory.
//!
//! ```text
//!  <data>/families/<family>/data/<partition>/<part id>.parquet     the rows
//!  <data>/families/<family>/data/<partition>/<part id>.crc         CRC32C (u32 LE) of each 256 KiB block of the former
//! ```
//! The manifest holds the CRC32C of the `.crc` file, so a commit vouches for every byte (S-9).
//!
//! What enters: a part's description in the manifest. What leaves: verified bytes, the footer, decoded rows.
//! Deliberately absent: the writing of rows (see `seal`), and which parts a query needs (see [`crate::scan`]).

pub(crate) mod blocks;
mod cache;
mod orphans;
pub(crate) mod path;
mod reader;

pub(crate) use cache::PartCache;
pub(crate) use orphans::remove_orphans;
pub(crate) use path::part_path;
pub use reader::Part;

use arrow::array::RecordBatch;

/// The sorted rows of a part kept in memory, decoded, within the memory budget's resident share.
#[derive(Debug)]
pub struct Resident {
    /// The part's rows in file order, in the table's Arrow schema.
    pub batches: Vec<RecordBatch>,
    /// What they hold of the memory budget.
    pub charge: crate::Charge,
}
