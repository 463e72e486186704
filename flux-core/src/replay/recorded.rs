//! One delivery as it is recorded, and what the code comes to in it.

use crate::context::end::End;
use crate::error::{FailureData, FailureKind};
use crate::event::{Event, EventKind};

/// One delivery as it is recorded: the arrival, what the code then asked for, and its end.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) arrival: Event,
    pub(crate) asked: Vec<Event>,
    /// Whether the next arrival stops the code.
    pub(crate) is_stopped: bool,
}

impl Group {
    /// Whether nothing is recorded after the arrival but an end that came without the code: it may have come before
    /// the code was polled.
    pub(crate) fn is_cut_off(&self) -> bool {
        matches!(self.asked.as_slice(), [end] if puts_away(end))
    }
}

/// A recorded delivery, sorted.
pub(super) struct Recorded {
    pub(super) arrival: Event,
    pub(super) calls: Vec<Event>,
    pub(super) cancels: Vec<Event>,
    pub(super) end: Option<Event>,
    /// Whether the next arrival stops the code.
    pub(super) is_stopped: bool,
}

impl Recorded {
    /// Whether the code was stopped right after this delivery: if it wanted to begin again, it was too late.
    pub(super) fn is_put_away(&self) -> bool {
        self.end.as_ref().map_or(self.is_stopped, puts_away)
    }
}

/// What polling the code has come to.
pub(super) enum Polled {
    Pending,
    Ended(End),
}

/// Whether this end may come while the code waits: it is put away then, wherever it stands.
pub(super) fn puts_away(end: &Event) -> bool {
    match end.kind {
        EventKind::WorkflowTerminated | EventKind::WorkflowCancelled => true,
        EventKind::WorkflowFailed => {
            failure_of(end).is_some_and(|failure| is_out_of_time(&failure))
        }
        _ => false,
    }
}

pub(super) fn failure_of(end: &Event) -> Option<FailureData> {
    end.payload.as_ref()?.decode().ok()
}

pub(super) fn is_out_of_time(failure: &FailureData) -> bool {
    matches!(
        failure.kind,
        FailureKind::Timeout { .. } | FailureKind::Deadline { .. }
    )
}
