//! Writes down what keeps an execution from continuing: the process that met it is not there when somebody asks.

use crate::engine::kernel::Kernel;
use crate::error::Error;
use crate::execution::Obstacle;
use crate::id::{Epoch, ExecutionKey};

impl Kernel {
    /// Keeps an error beside the row of the execution that it stopped, if it is about the execution. A store that fails
    /// at that, too, is no second error.
    pub(crate) async fn note_obstacle(&self, key: ExecutionKey, epoch: Epoch, error: &Error) {
        let now = self.clock.now();
        if let Some(obstacle) = Obstacle::of(error, self.owner_if_any(), now) {
            self.keep_obstacle(key, epoch, &obstacle).await;
        }
    }

    pub(crate) async fn keep_obstacle(&self, key: ExecutionKey, epoch: Epoch, obstacle: &Obstacle) {
        let Some(payload) = obstacle.to_payload() else {
            return;
        };
        if let Err(error) = self.store.note_obstacle(key, epoch, payload).await {
            tracing::debug!(key = key.0, %error, "an obstacle could not be written down");
        }
    }
}
