//! The commands that end an execution: asked for by a message, and noted in its history.

use crate::clock::Timestamp;
use crate::engine::kernel::message::BY_PARENT;
use crate::event::{CancelMeta, Event};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::store::{Message, MessageId};

/// A request to cancel the execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancellation {
    pub(crate) message: MessageId,
    pub(crate) is_by_parent: bool,
}

impl Cancellation {
    pub(crate) fn of(message: &Message) -> Self {
        Self {
            message: message.id,
            is_by_parent: *message.name == *BY_PARENT,
        }
    }
}

/// A request to cancel the execution that has been noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cancelling {
    /// The note.
    pub(crate) noted: EventSeq,
    /// When it was noted: the window counts from there.
    pub(super) since: Timestamp,
    pub(crate) by_parent: bool,
}

impl Cancelling {
    /// What the note says.
    pub(crate) fn noted(event: &Event) -> Self {
        Self {
            noted: event.seq,
            since: event.at,
            by_parent: event.meta::<CancelMeta>().by_parent,
        }
    }
}

/// A request to terminate the execution.
#[derive(Debug)]
pub(crate) struct Termination {
    pub(super) message: MessageId,
    pub(super) reason: Payload,
    pub(super) by_parent: bool,
}

impl Termination {
    pub(crate) fn of(message: Message) -> Self {
        Self {
            message: message.id,
            by_parent: *message.name == *BY_PARENT,
            reason: message.payload,
        }
    }
}
