//! How the code ended, and which failed calls escaped with it.

use std::any::Any;
use std::sync::Arc;

use super::Polled;
use crate::context::shared::{HandedError, State};
use crate::error::{ErrorRecord, EscapedCall, TaskError};
use crate::payload::Payload;

/// How the code ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It returned a value.
    Completed(Payload),
    /// It returned an error or panicked.
    Failed(FailedEnd),
    /// It began anew.
    ContinuedAsNew(Payload),
}

/// A failure, and the calls whose error escaped with it.
#[derive(Debug)]
pub(crate) struct FailedEnd {
    pub(crate) panicked: bool,
    pub(crate) error: ErrorRecord,
    pub(crate) escaped: Vec<EscapedCall>,
}

pub(super) fn end_of(polled: Polled, state: &mut State) -> Option<End> {
    if let Some(input) = state.continue_with.take() {
        return Some(End::ContinuedAsNew(input));
    }
    match polled {
        Polled::Pending => None,
        Polled::Returned(Ok(output)) => Some(End::Completed(output)),
        Polled::Returned(Err(error)) => {
            let escaped = escaped_calls(state, &error.tasks);
            Some(End::Failed(FailedEnd {
                panicked: false,
                error: error.record,
                escaped,
            }))
        }
        Polled::Panicked(message) => {
            let error = ErrorRecord::message(message);
            Some(End::Failed(FailedEnd {
                panicked: true,
                error,
                escaped: Vec::new(),
            }))
        }
    }
}

/// The failed calls whose error escaped: those found in the returned error, else those whose error was
/// last dropped in this very delivery.
fn escaped_calls(state: &State, found: &[TaskError]) -> Vec<EscapedCall> {
    let named = |handed: &&HandedError| found.iter().any(|error| error.call() == Some(handed.call));
    let is_named = state.errors.iter().any(|handed| named(&handed));
    let delivery = state.delivery;
    let escaped = |handed: &&HandedError| {
        if is_named {
            named(handed)
        } else {
            handed.mark.dropped_in(delivery)
        }
    };
    state
        .errors
        .iter()
        .filter(escaped)
        .map(HandedError::escaped)
        .collect()
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

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
