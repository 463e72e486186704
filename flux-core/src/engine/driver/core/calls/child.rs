//! A child that an execution waits for.

use crate::engine::kernel::driving::DriverGuard;
use crate::execution::{PausePoint, Snapshot};
use crate::id::{Epoch, ExecutionId};
use crate::policy::ChildPolicy;

use super::state::CallState;

/// A child that has not ended, or whose end has not been delivered.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) id: ExecutionId,
    pub(crate) workflow: &'static str,
    pub(crate) policy: ChildPolicy,
    /// The epoch under which it began, or was last taken up: an end under an earlier one is of an earlier beginning,
    /// which this execution has heard of already.
    pub(crate) since: Epoch,
    pub(crate) state: ChildState,
}

/// Where a child is, as its parent knows it.
#[derive(Debug)]
pub(crate) enum ChildState {
    /// It is created with the next commit.
    Unborn,
    /// It is looked at, and set to work where it can be, as soon as what is before it is committed.
    Ready,
    /// This execution set it to work, in this process.
    Driven(DriverGuard),
    /// Others drive it: its last word will come into the inbox.
    Elsewhere,
    /// It waits for a `resume`.
    Paused(Vec<PausePoint>),
    /// It sleeps, and a worker wakes it.
    Asleep,
    /// It exists, and is not set to work before this execution itself goes on.
    Deferred,
    /// It has finished, which was heard before its last word came into the inbox.
    Finished(Box<Snapshot>),
    /// It has ended, and its outcome is about to be delivered.
    Ended,
}

impl Child {
    /// Whether an end under this epoch is one that is waited for.
    pub(super) fn waits_for(&self, epoch: Epoch) -> bool {
        self.since <= epoch && !matches!(self.state, ChildState::Ended | ChildState::Ready)
    }

    /// Whether a report of its driver, of the beginning under this epoch, is news.
    pub(crate) fn is_driven_since(&self, since: Epoch) -> bool {
        self.since == since
            && !matches!(
                self.state,
                ChildState::Ended | ChildState::Unborn | ChildState::Ready
            )
    }

    pub(super) fn call_state(&self) -> CallState {
        match self.state {
            ChildState::Ready | ChildState::Finished(_) => CallState::ChildReady,
            ChildState::Unborn | ChildState::Driven(_) | ChildState::Ended => CallState::ChildHere,
            ChildState::Elsewhere | ChildState::Asleep => CallState::ChildAway,
            ChildState::Paused(_) => CallState::ChildPaused,
            ChildState::Deferred => CallState::ChildDeferred,
        }
    }
}
