//! A resume, checked: which execution, of which engine, with which answer.

use crate::engine::Engine;
use crate::engine::kernel::pausing::Answer;
use crate::error::Error;
use crate::execution::Status;
use crate::id::ExecutionId;
use crate::workflow::WorkflowDef;

/// A resume whose engine is known and whose value has been checked.
pub(crate) struct CheckedResume {
    pub(crate) engine: Engine,
    pub(crate) def: Option<&'static WorkflowDef>,
    pub(crate) id: ExecutionId,
    pub(crate) is_retry: bool,
    pub(crate) answer: Answer,
}

impl CheckedResume {
    /// Refuses what is not to be retried.
    pub(crate) fn check_status(&self, status: Status) -> Result<(), Error> {
        if self.is_retry && status != Status::Failed {
            return Err(Error::NotFailed {
                id: self.id.clone(),
                status,
            });
        }
        Ok(())
    }
}
