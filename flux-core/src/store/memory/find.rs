//! Finding executions by a piece of their id, and counting them.

use std::collections::BTreeMap;

use super::MemoryState;
use crate::id::ExecutionId;
use crate::store::WorkflowCount;

impl MemoryState {
    /// Those whose id is the fragment, or begins or ends with it, newest first.
    pub(super) fn matching(&self, fragment: &str, limit: usize) -> Vec<ExecutionId> {
        if fragment.is_empty() {
            return Vec::new();
        }
        if let Some((id, _)) = self.by_id.get_key_value(&ExecutionId::from(fragment)) {
            return std::iter::once(id.clone()).take(limit).collect();
        }
        let newest_first = self.executions.iter().rev().map(|entry| &entry.record.id);
        newest_first
            .filter(|id| {
                let id = id.as_str();
                id.starts_with(fragment) || id.ends_with(fragment)
            })
            .take(limit)
            .cloned()
            .collect()
    }

    /// By name, then by status.
    pub(super) fn workflow_counts(&self) -> Vec<WorkflowCount> {
        let mut counts = BTreeMap::new();
        for entry in &self.executions {
            let of = (&entry.record.workflow, entry.record.status);
            *counts.entry(of).or_insert(0) += 1;
        }
        let counts = counts.into_iter();
        counts
            .map(|((workflow, status), count)| WorkflowCount {
                workflow: workflow.clone(),
                status,
                count,
            })
            .collect()
    }
}
