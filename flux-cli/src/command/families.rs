//! What the parents and the children of failed executions have to do with a retry.

use std::collections::{BTreeMap, BTreeSet};

use flux_core::{CallInfo, CallStatus, Engine, Error, Execution, ExecutionId, Failure, Status};

use crate::story::repeats_undone;

/// Returns the executions whose parent has dealt with their failure: it continued, or failed for another reason. A retry
/// would change nothing about the parent.
pub(super) async fn dealt_with(
    engine: &Engine,
    executions: &[Execution],
) -> Result<BTreeSet<ExecutionId>, Error> {
    let mut by_parent = BTreeMap::new();
    let mut found = BTreeSet::new();
    for execution in executions {
        let Some(parent) = execution.parent().filter(|_| execution.has_failed()) else {
            continue;
        };
        if !by_parent.contains_key(parent) {
            by_parent.insert(parent.clone(), children_dealt_with(engine, parent).await?);
        }
        if by_parent[parent].contains(execution.execution_id()) {
            found.insert(execution.execution_id().clone());
        }
    }
    Ok(found)
}

/// Returns the children that failed without making this execution fail.
async fn children_dealt_with(
    engine: &Engine,
    parent: &ExecutionId,
) -> Result<BTreeSet<ExecutionId>, Error> {
    let parent = match engine.get(parent).await {
        Ok(parent) => parent,
        Err(Error::ExecutionNotFound { .. }) => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let calls = CallInfo::of(&engine.history(parent.execution_id()).await?);
    let failure = parent
        .failure()
        .filter(|_| parent.status() == Status::Failed);
    let escaped = |call: &CallInfo| failure.is_some_and(|failure| has_escaped(failure, call));
    let dealt_with = calls
        .iter()
        .filter(|call| call.status() == CallStatus::Failed && !escaped(call));
    Ok(dealt_with.filter_map(CallInfo::child).cloned().collect())
}

/// Returns the calls of this execution and of its children, of those alone that a retry restarts because they were rolled
/// back.
pub(super) async fn begun_again(
    engine: &Engine,
    execution: &Execution,
) -> Result<Vec<CallInfo>, Error> {
    let mut left = vec![execution.execution_id().clone()];
    let mut found = Vec::new();
    while let Some(id) = left.pop() {
        let execution = match engine.get(&id).await {
            Ok(execution) => execution,
            Err(Error::ExecutionNotFound { .. }) => continue,
            Err(error) => return Err(error),
        };
        let Some(failure) = execution
            .failure()
            .filter(|failure| repeats_undone(failure))
        else {
            continue;
        };
        let calls = CallInfo::of(&engine.history(&id).await?);
        let escaped = calls.iter().filter(|call| has_escaped(failure, call));
        left.extend(escaped.filter_map(CallInfo::child).cloned());
        if failure.is_rolled_back() {
            found.extend(calls);
        }
    }
    Ok(found)
}

fn has_escaped(failure: &Failure, call: &CallInfo) -> bool {
    let mut escaped = failure.escaped().iter();
    escaped.any(|escaped| escaped.call == call.call())
}
