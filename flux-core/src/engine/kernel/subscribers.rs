//! Those in this process who follow the events of executions.

use tokio::sync::broadcast;

use crate::id::ExecutionId;

/// How many commits a subscriber may lag behind before it reads everything again.
const BACKLOG: usize = 1024;

/// The subscribers of one engine; each hears of every execution.
#[derive(Debug)]
pub(crate) struct Subscribers(broadcast::Sender<ExecutionId>);

impl Default for Subscribers {
    fn default() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }
}

impl Subscribers {
    /// Tells that an execution has new events.
    pub(crate) fn notify(&self, id: &ExecutionId) {
        if self.0.receiver_count() > 0 {
            let _ = self.0.send(id.clone());
        }
    }

    /// Hears of executions that have new events from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<ExecutionId> {
        self.0.subscribe()
    }
}
