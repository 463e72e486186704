//! Children: what they and their parent tell each other, and what becomes of a call by it.

use std::sync::Arc;

use super::Core;
use super::activation::Activation;
use super::arrivals::NewOutcome;
use super::calls::{CallWork, ChildState};
use crate::context::request::Request;
use crate::engine::kernel::input::ChildReport;
use crate::engine::kernel::message::{ChildOutcome, LastWord, PauseWord};
use crate::error::{Error, ErrorRecord, FailureKind, TaskErrorKind, TaskFailure};
use crate::event::{Doubt, EndedMeta, Event, EventKind};
use crate::execution::{Snapshot, Status};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{Message, MessageId, MessageKind, NewMessage};
use crate::workflow::WorkflowDef;

/// How the end of a child was heard.
#[derive(Debug, Clone, Default)]
struct HeardBy {
    /// The message that told of it.
    consumed: Option<MessageId>,
    /// What the child leaves in doubt.
    doubt: Doubt,
}

impl HeardBy {
    fn with(self, mut outcome: NewOutcome) -> NewOutcome {
        outcome.consumed = self.consumed;
        if !self.doubt.is_none() {
            outcome.meta = Payload::encode(&self.doubt).ok();
        }
        outcome
    }
}

impl Core {
    /// A child or statements that are recorded are begun once what is planned before them is written.
    pub(crate) fn put_off(&mut self, call: EventSeq) {
        if let Some(wanted) = self.wanted_child(call) {
            let child = wanted.child(Epoch(1), ChildState::Ready);
            self.calls.insert(call, child);
        } else {
            self.begin_transaction(call);
        }
    }

    /// A child that is recorded is not set to work before this execution goes on.
    pub(crate) fn defer_child(&mut self, call: EventSeq) {
        if let Some(wanted) = self.wanted_child(call) {
            let child = wanted.child(Epoch(1), ChildState::Deferred);
            self.calls.insert(call, child);
        }
    }

    /// The code has asked for statements.
    pub(crate) fn begin_transaction(&mut self, call: EventSeq) {
        let body = {
            let mut state = self.machine.shared.state();
            let request = state
                .call_by_seq(call)
                .and_then(|call| call.request.as_ref());
            match request {
                Some(Request::Transaction(request)) => Arc::clone(&request.run),
                _ => return,
            }
        };
        self.calls.insert(call, CallWork::Transaction(body));
    }

    /// The call of a child that could not be created fails.
    pub(crate) fn child_refused(&mut self, call: EventSeq, def: &WorkflowDef, message: String) {
        self.child_refused_as(TaskErrorKind::Failed, call, def, message);
    }

    pub(crate) fn child_refused_as(
        &mut self,
        kind: TaskErrorKind,
        call: EventSeq,
        def: &WorkflowDef,
        message: String,
    ) {
        self.calls.set_child(call, ChildState::Ended);
        let error = ErrorRecord::message(message);
        let failure = failure_of(def.name, kind, 0, error);
        self.child_failed(call, &failure, HeardBy::default());
    }

    /// What the driver of a child says when it ends; the error where the parent cannot go on because of it. What is of an
    /// earlier beginning of the child is no news.
    pub(crate) fn child_reported(
        &mut self,
        call: EventSeq,
        since: Epoch,
        report: ChildReport,
    ) -> Option<Error> {
        let child = self.calls.child(call)?;
        if !child.is_driven_since(since) {
            return None;
        }
        let state = match report {
            ChildReport::Ended(snapshot) => {
                self.inbox.expect_news();
                ChildState::Finished(snapshot)
            }
            ChildReport::Asleep => ChildState::Asleep,
            ChildReport::Paused(points) => ChildState::Paused(points),
            // It goes on with its new owner.
            ChildReport::Changed | ChildReport::Lost(Error::TakenOver { .. }) => ChildState::Ready,
            ChildReport::Lost(error) => return Some(error),
        };
        self.calls.set_child(call, state);
        None
    }

    /// A parent that is not driven beside this execution sees its pause by a message.
    pub(crate) fn tell_of_pause(&self, activation: &mut Activation) {
        let Some(parent) = &self.row.parent else {
            return;
        };
        let points = self.calls.pause_points();
        let seen = points
            .iter()
            .map(|point| point.seen_from_parent(self.def.name));
        let word = PauseWord {
            epoch: self.row.present_epoch().0,
            points: seen.collect(),
        };
        let Ok(payload) = Payload::encode(&word) else {
            return;
        };
        let message = NewMessage {
            kind: MessageKind::ChildPaused,
            name: self.id.as_str().into(),
            payload,
            dedup: None,
            at: self.time.sent_at(),
        };
        activation.outbox.push((parent.clone(), message));
    }

    /// A child that others drive waits for a `resume`.
    pub(crate) fn hear_of_pause(&mut self, message: &Message) {
        self.inbox.done_with(message.id);
        let Ok(word) = message.payload.decode::<PauseWord>() else {
            return;
        };
        let child = ExecutionId::from(&*message.name);
        for call in self.calls.calls_that_wait(&child, Epoch(word.epoch)) {
            let state = ChildState::Paused(word.points.clone());
            self.calls.set_child(call, state);
        }
    }

    /// A child's last word. Each call that waits for the child has it; of an earlier beginning, or heard before, it is
    /// consumed and counts no more.
    pub(crate) fn child_ended(&mut self, message: &Message) {
        let word = match message.payload.decode::<LastWord>() {
            Ok(word) => word,
            Err(error) => {
                tracing::error!(execution_id = %self.id, child = %message.name, %error, "a child's last word cannot be read");
                return;
            }
        };
        let child = ExecutionId::from(&*message.name);
        let calls = self.calls.calls_that_wait(&child, Epoch(word.epoch));
        if calls.is_empty() {
            self.inbox.done_with(message.id);
        }
        let mut heard = HeardBy {
            consumed: Some(message.id),
            doubt: word.doubt,
        };
        for call in calls {
            self.take_child_outcome(call, word.outcome.clone(), heard.clone());
            heard.consumed = None;
        }
    }

    /// A child has finished whose last word was not heard, or that had none: a resume that came out as before writes nothing.
    /// Whether this execution ended it itself, before it began again, only its last event tells.
    pub(crate) fn child_finished(
        &mut self,
        call: EventSeq,
        snapshot: Snapshot,
        last: Option<&Event>,
    ) {
        let status = snapshot.record.status;
        let ended = last.map_or_else(EndedMeta::default, Event::meta);
        let was_stopped = matches!(status, Status::Cancelled | Status::Terminated);
        let by_parent = was_stopped && self.rewinding.last.is_some() && ended.by_parent;
        let outcome = match (status, snapshot.output, snapshot.failure) {
            (Status::Cancelled, ..) if by_parent => ChildOutcome::CancelledByParent,
            (Status::Terminated, ..) if by_parent => ChildOutcome::TerminatedByParent,
            (Status::Completed, Some(output), _) => ChildOutcome::Completed(output),
            (Status::Failed, _, Some(failure)) => ChildOutcome::Failed(Box::new(failure)),
            (Status::Terminated, ..) => ChildOutcome::Terminated {
                reason: snapshot.termination.unwrap_or_default(),
            },
            _ => ChildOutcome::Cancelled,
        };
        let heard = HeardBy {
            consumed: None,
            doubt: ended.doubt,
        };
        self.take_child_outcome(call, outcome, heard);
    }

    fn take_child_outcome(&mut self, call: EventSeq, outcome: ChildOutcome, heard: HeardBy) {
        let Some(child) = self.calls.child(call) else {
            return;
        };
        let workflow = child.workflow;
        self.calls.set_child(call, ChildState::Ended);
        match outcome {
            ChildOutcome::Completed(output) => {
                let mut outcome = NewOutcome::new(EventKind::ChildCompleted, call);
                outcome.payload = Some(output);
                self.arrivals.push_outcome(heard.with(outcome));
            }
            ChildOutcome::Failed(failure) => {
                let kind = match failure.kind {
                    _ if !failure.unknown.is_empty() => TaskErrorKind::OutcomeUnknown,
                    FailureKind::Error => TaskErrorKind::Failed,
                    FailureKind::Panicked => TaskErrorKind::Panicked,
                    FailureKind::Timeout { .. } | FailureKind::Deadline { .. } => {
                        TaskErrorKind::TimedOut
                    }
                };
                let failure = TaskFailure {
                    undone: failure.undone,
                    ..failure_of(workflow, kind, failure.attempt, failure.error)
                };
                self.child_failed(call, &failure, heard);
            }
            ChildOutcome::Cancelled => {
                let error = ErrorRecord::message("the child execution was cancelled");
                self.child_failed(call, &cancelled(workflow, error), heard);
            }
            ChildOutcome::Terminated { reason } => {
                let message = format!("the child execution was terminated: {reason}");
                let error = ErrorRecord::message(message);
                self.child_failed(call, &cancelled(workflow, error), heard);
            }
            // The call still waits, so this execution has failed and been resumed since it ended the child.
            ChildOutcome::CancelledByParent | ChildOutcome::TerminatedByParent => {
                if let Some(message) = heard.consumed {
                    self.inbox.done_with(message);
                }
                self.calls.set_child(call, ChildState::Ready);
            }
        }
    }

    fn child_failed(&mut self, call: EventSeq, failure: &TaskFailure, heard: HeardBy) {
        let mut outcome = NewOutcome::new(EventKind::ChildFailed, call);
        outcome.payload = Payload::encode(failure).ok();
        self.arrivals.push_outcome(heard.with(outcome));
    }
}

fn cancelled(workflow: &str, error: ErrorRecord) -> TaskFailure {
    failure_of(workflow, TaskErrorKind::Cancelled, 1, error)
}

fn failure_of(
    workflow: &str,
    kind: TaskErrorKind,
    attempts: u32,
    error: ErrorRecord,
) -> TaskFailure {
    TaskFailure {
        task: Arc::from(workflow),
        kind,
        attempts,
        error,
        undone: Vec::new(),
    }
}
