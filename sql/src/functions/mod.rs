//! Functions that DataFusion lacks or has otherwise than PostgreSQL.
//!
//! What enters: nothing. What leaves: scalar functions to register. `millrace_offsets` is made anew for each query,
//! because it speaks of that query's snapshot.

mod input;
mod now;
mod offsets;
mod session;
mod uuid;

pub(crate) use input::{InputPlanner, InputRule};
pub(crate) use offsets::{fold, offsets_function};

use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The name of the function that tells a snapshot's offsets.
pub(crate) const OFFSETS: &str = "millrace_offsets";

/// What every session has.
pub(crate) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all = session::all();
    all.extend(now::all());
    all.extend(uuid::all());
    all
}
