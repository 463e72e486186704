//! How the code ended, and which failed calls escaped with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::shared::{HandedError, SharedState};
use crate::error::{BodyError, ErrorRecord, EscapedCall, TaskError};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::workflow::StopReason;

/// How the code ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It returned a value.
    Completed(Payload),
    /// It returned an error or panicked.
    Failed(FailedEnd),
    /// It began anew.
    ContinuedAsNew(Payload),
    /// It was not let run on.
    Stopped(Stopped),
}

/// Code that was not let run on.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) why: StopReason,
    /// The delivery in which it was dropped; none where it was put away between deliveries.
    pub(crate) delivery: Option<EventSeq>,
}

/// A failure, and the calls whose error escaped with it.
#[derive(Debug)]
pub(crate) struct FailedEnd {
    pub(crate) panicked: bool,
    pub(crate) error: ErrorRecord,
    pub(crate) escaped: Vec<EscapedCall>,
    /// The tasks that were rolled back in children among them.
    pub(crate) undone: Vec<Arc<str>>,
    /// The delivery in which the code failed.
    pub(crate) delivery: EventSeq,
    /// The delivery that stopped the code, where it did not end by itself; or the event after that with which it ended too late.
    pub(crate) stopped: Option<EventSeq>,
}

impl FailedEnd {
    /// The first event that another attempt takes back: the earliest failure that escaped; without one, the last delivery.
    pub(crate) fn taken_back(&self) -> EventSeq {
        let failures = self.escaped.iter().map(|call| call.failed);
        failures.min().unwrap_or(self.delivery)
    }

    /// The code returned an error.
    pub(crate) fn returned(error: BodyError, state: &SharedState) -> Self {
        let escaped = escaped(state, &error.tasks);
        let is_of_child = escaped.iter().any(|handed| handed.is_of_child);
        let record = if is_of_child {
            error.record.climbing()
        } else {
            *error.record
        };
        let undone = escaped.iter().flat_map(|handed| &handed.data.undone);
        Self {
            undone: undone.cloned().collect(),
            escaped: escaped.into_iter().map(HandedError::escaped).collect(),
            ..Self::new(record, state.delivery)
        }
    }

    /// A failure that no call's error led to.
    pub(crate) fn new(error: ErrorRecord, delivery: EventSeq) -> Self {
        Self {
            panicked: false,
            error,
            escaped: Vec::new(),
            undone: Vec::new(),
            delivery,
            stopped: None,
        }
    }
}

/// The failed calls whose error escaped: those found in the returned error, else those whose error was
/// last dropped in this very delivery.
fn escaped<'a>(state: &'a SharedState, found: &[TaskError]) -> Vec<&'a HandedError> {
    let found: BTreeSet<EventSeq> = found.iter().filter_map(TaskError::call).collect();
    let named = |handed: &&HandedError| found.contains(&handed.call);
    let is_named = state.errors.iter().any(|handed| named(&handed));
    let delivery = state.delivery;
    let escaped = |handed: &&HandedError| {
        if is_named {
            named(handed)
        } else {
            handed.mark.dropped_in(delivery)
        }
    };
    state.errors.iter().filter(escaped).collect()
}

impl HandedError {
    fn escaped(&self) -> EscapedCall {
        EscapedCall {
            call: self.call,
            failed: self.failed,
            task: Arc::clone(&self.data.task),
            kind: self.data.kind,
            attempts: self.data.attempts,
        }
    }
}
