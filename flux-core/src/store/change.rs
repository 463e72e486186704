//! What a commit changes in a row, and how it gives the execution up.

use std::sync::Arc;

use super::MessageId;
use crate::clock::Timestamp;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::status::Status;

/// The values that a [`Commit`](crate::store::Commit) gives the row, all at once. An execution that has started never becomes `Pending`
/// again.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its status.
    pub status: Status,
    /// Which attempt of the workflow this is.
    pub attempt: u32,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// When its next timer or retry is due.
    pub wake_at: Option<Timestamp>,
    /// What it waits for.
    pub waiting: Option<Payload>,
    /// The event a replay starts from.
    pub base: EventSeq,
    /// The last `REWOUND` event.
    pub rewound: Option<EventSeq>,
    /// Why it is on hold.
    pub hold: Option<Arc<str>>,
    /// What last kept it from continuing. An execution that finishes has no obstacle any more.
    pub obstacle: Option<Payload>,
    /// Set when the owner gives the execution up with this commit. An execution that finishes leaves its gate, loses its
    /// dedup key for good, is no longer on hold, is never ready again, and loses the
    /// [commands](crate::store::MessageKind::is_command) in its inbox.
    pub release: Option<Release>,
}

/// How an owner gives an execution up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// When a worker is to take it up again; `None` if no worker should by itself.
    pub ready_at: Option<Timestamp>,
    /// What the clock showed when `ready_at` was computed from the length of a wait.
    pub reckoned_at: Option<Timestamp>,
    /// The newest message the owner has seen: a later one in the inbox makes the execution ready at once.
    pub seen: Option<MessageId>,
}
