//! The mutable segment: immutable chunks of rows, appended by one writer per shard, coalesced in the background.

mod chunk;
mod coalesce;
mod shard;

pub use chunk::Chunk;
pub use shard::{MicroBatch, OffsetRange, ShardWriter};

pub(crate) use coalesce::coalesce_once;
