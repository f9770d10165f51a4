//! Takes batches with source offsets, makes them durable, hands out snapshots to scan.
//!
//! ```text
//!  append(rows, dead letters, [from, to))        one writer per shard
//!     │ one swap of the family's view: visible at once
//!     ▼
//!  mutable segment   chunks of 1 Ki → 8 Ki → 64 Ki rows, the largest sorted
//!     │ seal: rows, bytes, age, memory or SEAL TABLE
//!     ▼
//!  part              Parquet, sorted, fsynced    ── ONE commit: parts, dead letters, offsets
//!     │ one swap of the family's view: chunks out, manifest in
//!     ▼
//!  FamilyView        what a query pins: manifest + chunks + next offsets
//! ```
//!
//! What enters: record batches with the positions they cover. What leaves: [`FamilyView`]s and the bytes of parts.
//! Deliberately absent: SQL, network, DataFusion, any Kafka client.
//!
//! # Invariants
//! - **S-1** A manifest is immutable; [`manifest::apply`] is pure and the only way to a new one.
//! - **S-2** A commit with offsets is accepted only where `stored[p] == from[p]` for each partition it moves.
//! - **S-3** Offsets are positions, half-open `[from, to)`; they move over control records, gaps and dead letters.
//! - **S-4** Base part, dead letters and offsets of a seal are in one commit.
//! - **S-5** One publish swaps manifest, chunks and dead letters together.
//! - **S-6** A file is written tmp → fsync → rename → fsync dir before a commit names it; names are never reused.
//! - **S-9** Every byte read back is verified by the CRC32C of its 256 KiB block on first touch.

pub mod catalog;
pub mod commit_store;
mod config;
mod dir_lock;
mod family;
pub mod manifest;
mod memory;
pub mod part;
mod publish;
pub mod scan;
mod seal;
mod segment;
mod store;
mod view;

pub use config::StoreConfig;
pub use dir_lock::DirLock;
pub use family::{Family, SealOutcome};
pub use memory::{Charge, MemoryBudget};
pub use segment::{Chunk, MicroBatch, OffsetRange, ShardWriter};
pub use store::Store;
pub use view::{FamilyView, ShardView, VisiblePosition};
