//! SQL text + snapshot → stream of record batches; the only crate that knows DataFusion.
//!
//! ```text
//!  text ── parse ──▶ Statement ─┬─ command ──▶ ddl ──▶ tag or few rows
//!                               └─ query ──▶ pin one FamilyView per family named          (snapshot, wait)
//!                                             ├─ direct: the view answers, inline         (direct)
//!                                             └─ admit → plan → execute on the CPU runtime (plan, scan, stream)
//! ```
//! What enters: statements of a session. What leaves: an [`Answer`] with a stream, and the snapshot it ran on.
//! Deliberately absent: wire protocols (see `server`), Kafka (see `ingest`, reached through [`SourceControl`]).
//!
//! # Invariants
//! - **Q-1** A query plans and runs on exactly one snapshot, pinned before planning, one per family named.
//! - **Q-2** A statistic may only exclude what it proves absent.
//! - **P-1** A failed or cancelled query leaves no task, memory reservation or temp file behind.
//! - **P-2** Every error has the right kind and names what to do.

mod admission;
mod answer;
mod catalog;
mod control;
mod cooperate;
mod ddl;
mod dialect;
mod direct;
mod engine;
mod error;
mod explain;
mod functions;
mod naming;
mod parse;
mod plan;
mod predicate;
mod query;
mod runtime;
mod scan;
mod session;
mod settings;
mod snapshot;
mod stream;
mod system;
mod wait;

pub use answer::{Answer, Body, Description, Notice, RowStream, SnapshotName};
pub use control::{CreatedSource, PartitionStatus, SourceControl, SourceStatus};
pub use engine::{Engine, EngineConfig, Statement};
pub use session::Session;

#[cfg(test)]
mod tests;
