//! Sealing: chunks become parts, in one commit with their offsets and dead letters.
//!
//! The life of a seal is [`Family::seal`](crate::Family::seal); here are its policy and the writing of parts.

mod background;
mod policy;
mod sort;
mod split;
mod write;

pub(crate) use background::{Background, Families, on_own_thread};
pub(crate) use policy::{Unsealed, due};
pub(crate) use sort::sort_batch;
pub(crate) use write::{SealInput, WrittenPart, remove, write_parts};
