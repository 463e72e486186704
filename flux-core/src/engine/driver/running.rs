//! The body of a task that runs.

use std::sync::Arc;

use tokio::task::AbortHandle;

use super::noted::Noted;
use super::threads::Thread;
use crate::context::BodyContext;

/// An attempt that runs.
pub(super) struct RunningBody {
    /// Tells this run from an earlier one of the same call.
    pub(super) run: u64,
    pub(super) context: Arc<BodyContext>,
    /// The thread of a blocking body.
    pub(super) thread: Option<Thread>,
    /// `None` while its driver holds it.
    pub(super) abort: Option<AbortOnDrop>,
    pub(super) has_ended: bool,
    /// What its call's transactions have come to, as soon as it asks for one.
    pub(super) noted: Option<Noted>,
}

impl RunningBody {
    /// It has returned: whatever it left behind may go on.
    pub(super) fn ended(mut self) -> Arc<BodyContext> {
        self.has_ended = true;
        Arc::clone(&self.context)
    }
}

impl Drop for RunningBody {
    fn drop(&mut self) {
        if !self.has_ended {
            self.context.stop.set();
        }
    }
}

/// Aborts a tokio task when it is let go.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
