//! Waiting for an execution, whoever drives it.

use crate::engine::Engine;
use crate::engine::undriven::wait_settled;
use crate::error::Error;
use crate::execution::Snapshot;
use crate::id::ExecutionId;

impl Engine {
    /// Waits until an execution has finished or paused, whoever drives it.
    pub(crate) async fn wait_settled(&self, id: &ExecutionId) -> Result<Snapshot, Error> {
        wait_settled(&self.kernel, id).await
    }
}
