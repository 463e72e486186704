//! The names of workflows that anybody here knows.

use std::collections::BTreeSet;

use flux_core::Engine;

use crate::exit::Failure;

/// The workflows that this program, the store's catalog or its executions know.
pub(crate) async fn known(engine: &Engine) -> Result<BTreeSet<String>, Failure> {
    let mut known: BTreeSet<String> = engine.workflows().into_iter().collect();
    known.extend(engine.catalog().await?.into_iter().map(|info| info.name));
    let counts = engine.workflow_counts().await?;
    known.extend(counts.iter().map(|count| count.workflow.to_string()));
    Ok(known)
}
