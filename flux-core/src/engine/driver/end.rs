//! The end of an execution, or of one attempt of its workflow.

use std::sync::Arc;

use super::Driver;
use super::activation::{Activation, Ended};
use super::children::ChildOutcome;
use crate::engine::history::Rewind;
use crate::error::{ErrorRecord, EscapedCall, FailureData, FailureKind};
use crate::event::{Event, EventKind, RewoundMeta};
use crate::execution::Status;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::End;
use crate::store::{MessageKind, NewMessage};

impl Driver {
    /// Records how the code ended.
    pub(super) fn finish(&mut self, end: End, activation: &mut Activation) {
        match end {
            End::Completed(output) => self.end_completed(activation, output),
            End::Failed(failed) => {
                let kind = if failed.panicked {
                    FailureKind::Panicked
                } else {
                    FailureKind::Error
                };
                self.end_failed(activation, kind, failed.error, failed.escaped);
            }
            End::ContinuedAsNew(input) => self.end_continued(activation, input),
        }
    }

    fn end_completed(&mut self, activation: &mut Activation, output: Payload) {
        let (size, limit) = (output.size(), self.engine.env.payload_limit);
        if size > limit {
            let message = format!(
                "the workflow's output takes {size} bytes, and the payload limit is {limit}"
            );
            self.end_failed(
                activation,
                FailureKind::Error,
                ErrorRecord::message(message),
                Vec::new(),
            );
            return;
        }
        self.cancel_children(activation);
        let mut event = self.event_at(EventKind::WorkflowCompleted, None);
        event.payload = Some(output.clone());
        activation.events.push(event);
        self.tell_parent(activation, &ChildOutcome::Completed(output.clone()));
        activation.ended = Some(Ended::Finished {
            status: Status::Completed,
            output: Some(output),
            failure: None,
        });
    }

    /// Records a failure, and with attempts left, the next attempt.
    pub(super) fn end_failed(
        &mut self,
        activation: &mut Activation,
        kind: FailureKind,
        error: ErrorRecord,
        escaped: Vec<EscapedCall>,
    ) {
        let delivery = self.machine.shared.state().delivery;
        let failure = FailureData {
            kind,
            attempt: self.attempt,
            error,
            delivery,
            escaped,
        };
        if self.fails_as_before(&failure) {
            activation.ended = Some(Ended::Unchanged);
            return;
        }
        self.cancel_children(activation);
        let mut event = self.event_at(EventKind::WorkflowFailed, None);
        event.payload = Payload::encode(&failure).ok();
        let failed_at = event.seq;
        activation.events.push(event);
        if self.has_attempts_left(kind) {
            let restart = self.def.options.restart;
            let rewound = self.rewind(&failure, failed_at, restart, self.budget_from);
            activation.events.push(rewound);
            activation.ended = Some(Ended::Again);
            return;
        }
        self.tell_parent(activation, &ChildOutcome::Failed(failure.clone()));
        activation.ended = Some(Ended::Finished {
            status: Status::Failed,
            output: None,
            failure: Some(Box::new(failure)),
        });
    }

    fn has_attempts_left(&self, kind: FailureKind) -> bool {
        let max = self
            .def
            .options
            .max_attempts
            .unwrap_or(self.engine.workflow_max_attempts);
        let made = self.attempt - self.budget_from + 1;
        made < max && !matches!(kind, FailureKind::Deadline { .. })
    }

    /// Whether a resumed workflow that had decided to fail decided so again.
    fn fails_as_before(&self, failure: &FailureData) -> bool {
        let before = self
            .tentative
            .as_ref()
            .and_then(|snapshot| snapshot.failure.as_ref());
        before.is_some_and(|before| failure.escaped.is_empty() && before.error == failure.error)
    }

    fn end_continued(&mut self, activation: &mut Activation, input: Payload) {
        self.cancel_children(activation);
        let mut event = self.event_at(EventKind::ContinuedAsNew, None);
        event.name = Some(self.def.name.into());
        event.payload = Some(input);
        self.base = event.seq;
        self.rewound = None;
        self.rewind = None;
        activation.events.push(event);
        activation.ended = Some(Ended::Again);
    }

    /// Cancels the execution where it stands.
    pub(super) fn end_cancelled(&mut self, message: crate::store::MessageId) -> Activation {
        let mut activation = Activation::default();
        activation.consumed.push(message);
        self.cancel_children(&mut activation);
        let event = self.event_at(EventKind::WorkflowCancelled, None);
        activation.events.push(event);
        self.tell_parent(&mut activation, &ChildOutcome::Cancelled);
        activation.ended = Some(Ended::Finished {
            status: Status::Cancelled,
            output: None,
            failure: None,
        });
        activation
    }

    /// The last word of a child goes into its parent's inbox, in the commit that records it.
    fn tell_parent(&self, activation: &mut Activation, outcome: &ChildOutcome) {
        let Some(parent) = &self.parent else { return };
        let Ok(payload) = Payload::encode(outcome) else {
            return;
        };
        let message = NewMessage {
            kind: MessageKind::ChildEnded,
            name: self.id.as_str().into(),
            payload,
            dedup: None,
            at: self.now(),
        };
        activation.outbox.push((parent.clone(), message));
    }

    /// Plans the next attempt: which events still count, and which calls get another try. The event is to be
    /// committed before anything runs again.
    pub(super) fn rewind(
        &mut self,
        failure: &FailureData,
        failed_at: EventSeq,
        restart: bool,
        budget_from: u32,
    ) -> Event {
        let (to, retry) = rewind_point(failure, failed_at);
        let kept = Rewind::kept_until(self.rewind.as_ref(), self.base, to);
        let restart = restart || kept.is_empty();
        let mut event = self.event_at(EventKind::Rewound, None);
        self.attempt += 1;
        let meta = RewoundMeta {
            to: if restart { self.base.get() } else { to.get() },
            kept: if restart { Vec::new() } else { kept },
            retry: if restart { Vec::new() } else { retry },
            attempt: self.attempt,
            budget_from,
        };
        event.meta = Payload::encode(&meta).ok();
        if restart {
            event.payload.clone_from(&self.input);
            event.name = Some(Arc::from(self.def.name));
            self.base = event.seq;
            self.rewound = None;
            self.rewind = None;
        } else {
            self.rewound = Some(event.seq);
            self.rewind = Some(Rewind {
                seq: event.seq,
                meta,
            });
        }
        self.budget_from = budget_from;
        event
    }
}

/// From which event on the history no longer counts, and the calls that get another try.
fn rewind_point(failure: &FailureData, failed_at: EventSeq) -> (EventSeq, Vec<EventSeq>) {
    let timed_out = matches!(
        failure.kind,
        FailureKind::Timeout { .. } | FailureKind::Deadline { .. }
    );
    match failure.escaped.iter().map(|call| call.failed).min() {
        Some(first) => (
            first,
            failure.escaped.iter().map(|call| call.call).collect(),
        ),
        None if timed_out => (failed_at, Vec::new()),
        None => (failure.delivery, Vec::new()),
    }
}
