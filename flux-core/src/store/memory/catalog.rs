//! What programs say of themselves.

use super::MemoryState;
use crate::id::WorkerId;
use crate::store::{Serves, WorkflowDescription};

impl MemoryState {
    pub(super) fn describe_workflows(&mut self, workflows: Vec<WorkflowDescription>) {
        for workflow in workflows {
            let key = (workflow.name.clone(), workflow.version);
            let stored = self.workflows.get(&key);
            if stored.is_none_or(|stored| workflow.replaces(stored)) {
                self.workflows.insert(key, workflow);
            }
        }
    }

    pub(super) fn workflows(&self) -> Vec<WorkflowDescription> {
        self.workflows.values().cloned().collect()
    }

    pub(super) fn serve(&mut self, worker: WorkerId, serves: Option<Serves>) {
        if let Some(said) = self.alive.get_mut(&worker) {
            *said = serves;
        }
    }
}
