//! Makes joins yield, so that a cancelled query frees its core.
//!
//! DataFusion yields at its leaves. A join can make millions of rows of one batch of its inputs without asking a leaf, and
//! an aggregate above it polls on as long as it is ready: nothing between looks up. What enters: a physical plan. What
//! leaves: the same with every join wrapped in a [`CooperativeExec`].

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use std::sync::Arc;

/// Plan nodes that can make many rows of few.
const MULTIPLIERS: [&str; 5] =
    ["CrossJoinExec", "NestedLoopJoinExec", "HashJoinExec", "SortMergeJoinExec", "UnnestExec"];

/// Wraps what multiplies rows.
///
/// # Errors
/// As DataFusion gives them for plans it cannot rebuild.
pub(crate) fn cooperate(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        if MULTIPLIERS.contains(&node.name()) {
            let wrapped: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
            Ok(Transformed::yes(wrapped))
        } else {
            Ok(Transformed::no(node))
        }
    })?;
    Ok(wrapped.data)
}
