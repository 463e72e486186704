//! What a driver is set to work on: how it gets hold of its execution, and what is wanted of that.

use crate::engine::kernel::pausing::Answer;
use crate::engine::ownership::Claimed;
use crate::event::Event;
use crate::execution::Status;
use crate::payload::Payload;
use crate::store::{ExecutionRecord, Placement};

/// How a driver gets hold of its execution.
#[derive(Debug)]
pub(crate) enum Begin {
    /// By creating it.
    New {
        /// Its input.
        input: Payload,
        /// What it is bound to.
        placement: Placement,
    },
    /// By having created it for its parent: its history is the one event that begins it.
    Born {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        start: Event,
        /// Whether its parent has sent it something with its creation.
        has_orders: bool,
    },
    /// By having been given it when its turn came: its history is the one event that put it into its queue.
    Queued {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        event: Event,
    },
    /// By having claimed it.
    Claimed {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// What is wanted of it.
        intent: Intent,
    },
}

impl Begin {
    /// Goes on with an execution that was claimed.
    pub(crate) fn claimed(claimed: Claimed, intent: Intent) -> Self {
        Self::Claimed {
            claimed: Box::new(claimed),
            intent,
        }
    }

    /// A driver for it is in the active set.
    pub(crate) fn entered(&mut self) {
        match self {
            Self::New { .. } => {}
            Self::Born { claimed, .. }
            | Self::Queued { claimed, .. }
            | Self::Claimed { claimed, .. } => claimed.entered(),
        }
    }
}

/// What is wanted of an execution that exists.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    /// Go on from where a crash left it; answer no pause.
    Recover,
    /// Answer a pause point.
    Answer(Answer),
    /// Try again what failed.
    Retry,
    /// Go on with a child that was cancelled or terminated because its parent failed, now that the parent goes on.
    Reopen,
}

impl Intent {
    /// Fits what is wanted to what the execution has become by the time it was claimed; nothing where it is over.
    pub(crate) fn fit(self, record: &ExecutionRecord) -> Option<Self> {
        let is_wanted = match self {
            Self::Retry => record.status == Status::Failed,
            Self::Reopen => matches!(record.status, Status::Cancelled | Status::Terminated),
            Self::Recover | Self::Answer(_) => !record.status.is_finished(),
        };
        if is_wanted {
            return Some(self);
        }
        (!record.status.is_finished()).then_some(Self::Recover)
    }
}
