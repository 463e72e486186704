//! One activation: what the code was given since the last commit led to, for the next one.

use std::sync::Arc;

use super::wanted::Births;
use crate::event::Event;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::status::Status;
use crate::store::{MessageId, NewMessage};

/// After this many deliveries no further one shares a commit, so that no commit grows without end.
pub(crate) const MOST_DELIVERIES: usize = 1024;

/// Everything one activation writes and starts.
#[derive(Debug, Default)]
pub(crate) struct Activation {
    pub(crate) events: Vec<Event>,
    pub(crate) started: Vec<EventSeq>,
    pub(crate) births: Births,
    pub(crate) consumed: Vec<MessageId>,
    pub(crate) published: Vec<(Arc<str>, Payload)>,
    pub(crate) outbox: Vec<(ExecutionId, NewMessage)>,
    pub(crate) ended: Option<Ended>,
    pub(crate) took_long: bool,
}

impl Activation {
    /// Whether it took as many deliveries, or as much time, as one commit may.
    pub(crate) fn is_long(&self) -> bool {
        self.events.len() >= MOST_DELIVERIES || self.took_long
    }
}

/// How an activation ended its execution, or this run of it.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The execution is over.
    Finished {
        status: Status,
        output: Option<Payload>,
        failure: Option<Box<crate::error::FailureData>>,
        /// Why it was terminated.
        termination: Option<String>,
    },
    /// The code begins again, from the events now recorded.
    Again,
    /// The workflow decided to fail just as before: nothing is written.
    Unchanged,
}
