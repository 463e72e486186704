//! The names of workflows that anybody here knows.

use std::collections::BTreeSet;

use flux_core::store::WorkflowCount;
use flux_core::{Engine, Status};

use crate::exit::Failure;

/// The workflows that this program, the store's catalog or its executions know.
pub(crate) async fn known(engine: &Engine) -> Result<BTreeSet<String>, Failure> {
    names(engine, |_| true).await
}

/// As [`known`], without names that were only ever called from a command line, which takes any.
pub(crate) async fn proven(engine: &Engine) -> Result<BTreeSet<String>, Failure> {
    names(engine, |count| count.status != Status::Pending).await
}

async fn names(
    engine: &Engine,
    tells: impl Fn(&WorkflowCount) -> bool,
) -> Result<BTreeSet<String>, Failure> {
    let mut names: BTreeSet<String> = engine.workflows().into_iter().collect();
    names.extend(engine.catalog().await?.into_iter().map(|info| info.name));
    let counts = engine.workflow_counts().await?;
    let telling = counts.iter().filter(|count| tells(count));
    names.extend(telling.map(|count| count.workflow.to_string()));
    Ok(names)
}
