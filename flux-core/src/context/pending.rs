//! The part that every durable future has in common: issue on the first poll, wait, cancel on drop.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::current;
use super::request::Request;
use super::shared::{CallKey, NewCall, Outcome, Shared};

/// A call from its construction to its end.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    new: Option<NewCall>,
    key: Option<CallKey>,
}

/// A durable future was polled by other code than that of its workflow.
#[derive(Debug)]
pub(crate) struct Misplaced;

impl Misplaced {
    /// What to say about it.
    pub(crate) fn message(what: &str) -> String {
        format!(
            "{what} was made in a workflow and is awaited outside of it (in `tokio::spawn`, say), where nothing could \
             be recorded: await it in the workflow itself, several at once with `tokio::join!`, or move the work \
             into a task"
        )
    }
}

impl Pending {
    pub(crate) fn new(shared: Arc<Shared>, call: NewCall) -> Self {
        Self {
            shared,
            new: Some(call),
            key: None,
        }
    }

    /// The call as it is to be made, until it is.
    pub(crate) fn request(&mut self) -> Option<&mut Request> {
        self.new.as_mut().map(|call| &mut call.request)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Issues the call, or looks for its outcome. Never ready in the poll that issues it.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Result<Poll<Outcome>, Misplaced> {
        if !current::is_workflow(&self.shared) {
            return Err(Misplaced);
        }
        if let Some(call) = self.new.take() {
            self.key = Some(self.shared.issue(call, cx.waker()));
            return Ok(Poll::Pending);
        }
        let Some(key) = self.key else {
            return Ok(Poll::Pending);
        };
        let polled = self.shared.poll_call(key, cx);
        if polled.is_ready() {
            self.forget();
        }
        Ok(polled)
    }

    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.drop_call(key);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.forget();
    }
}
