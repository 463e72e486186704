//! The end of an execution, or of one attempt of its workflow.

use std::sync::Arc;

use super::Driver;
use super::activation::{Activation, Ended};
use super::children::{ChildOutcome, LastWord};
use super::limits::out_of_time;
use crate::engine::rewinding::{RewindPlan, Rewindable};
use crate::error::{FailureData, FailureKind};
use crate::event::{Doubt, EndedMeta, Event, EventKind};
use crate::execution::Status;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::{End, FailedEnd, is_same_error};
use crate::workflow::StopReason;

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
                self.end_failed(activation, kind, failed);
            }
            End::Stopped(stopped) => match stopped.why {
                StopReason::Cancelled => self.end_cancelled(activation),
                StopReason::OutOfTime(kind) => {
                    let (delivery, late) = {
                        let state = self.machine.shared.state();
                        (state.delivery, state.ended_late)
                    };
                    let failed = FailedEnd {
                        // What made the code end is delivered once more when there is time again.
                        stopped: late.map(EventSeq::next).or(stopped.delivery),
                        ..FailedEnd::new(out_of_time(kind), stopped.delivery.unwrap_or(delivery))
                    };
                    self.end_failed(activation, kind, failed);
                }
            },
            End::ContinuedAsNew(input) => self.end_continued(activation, input),
        }
    }

    fn end_completed(&mut self, activation: &mut Activation, output: Payload) {
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::WorkflowCompleted, None);
        event.payload = Some(output.clone());
        activation.events.push(event);
        self.tell_parent(activation, ChildOutcome::Completed(output.clone()));
        activation.ended = Some(Ended::Finished {
            status: Status::Completed,
            output: Some(output),
            failure: None,
            termination: None,
        });
    }

    /// Records a failure, and with attempts left, the next attempt.
    fn end_failed(&mut self, activation: &mut Activation, kind: FailureKind, failed: FailedEnd) {
        let (rolled_back, mut undone) = {
            let state = self.machine.shared.state();
            (state.rollbacks.have_begun(), state.rollbacks.undone())
        };
        for task in failed.undone {
            if !undone.contains(&task) {
                undone.push(task);
            }
        }
        let mut failure = FailureData {
            kind,
            attempt: self.row.attempt,
            error: failed.error.within(self.engine.env.payload_limit),
            delivery: failed.delivery,
            escaped: failed.escaped,
            stopped: failed.stopped,
            rolled_back,
            undone,
            unknown: Vec::new(),
        };
        if self.fails_as_before(&failure) {
            activation.ended = Some(Ended::Unchanged);
            return;
        }
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::WorkflowFailed, None);
        let plan = RewindPlan::of(
            &failure,
            event.seq,
            self.row.attempt + 1,
            self.row.budget_from,
        );
        let plan = RewindPlan {
            restart: self.def.options.restart,
            ..plan
        };
        let is_tried_again = self.is_tried_again(kind, plan.to);
        if !is_tried_again {
            failure.unknown = self.unknown_since(plan.to, false);
        }
        event.payload = Payload::encode(&failure).ok();
        activation.events.push(event);
        if is_tried_again {
            let begins = plan.restart || plan.anew;
            let to = if begins { EventSeq::FIRST } else { plan.to };
            let cut_off = self.cut_off_since(to);
            let rewound = self.rewind(RewindPlan { cut_off, ..plan });
            activation.events.push(rewound);
            activation.ended = Some(Ended::Again);
            return;
        }
        self.tell_parent(activation, ChildOutcome::Failed(Box::new(failure.clone())));
        activation.ended = Some(Ended::Finished {
            status: Status::Failed,
            output: None,
            failure: Some(Box::new(failure)),
            termination: None,
        });
    }

    /// Whether the workflow is tried again if it fails now. What was left to be done at the end is done once.
    pub(super) fn has_attempts_left(&self, kind: FailureKind) -> bool {
        let max = self
            .def
            .options
            .max_attempts
            .unwrap_or(self.engine.workflow_max_attempts);
        let made = self.row.attempt - self.row.budget_from + 1;
        let is_in_time = !self.is_past_deadline && !matches!(kind, FailureKind::Deadline { .. });
        made < max && is_in_time && !self.is_exiting()
    }

    /// Whether another attempt follows a failure that takes back what happened from `to` on. None does where that would run
    /// a body again that may have done its work and is not to do it twice.
    pub(super) fn is_tried_again(&self, kind: FailureKind, to: EventSeq) -> bool {
        let restarts = self.def.options.restart;
        self.has_attempts_left(kind) && self.unknown_since(to, restarts).is_empty()
    }

    /// The tasks of such bodies; with `begins`, everything is taken back.
    fn unknown_since(&self, to: EventSeq, begins: bool) -> Vec<Arc<str>> {
        let state = self.machine.shared.state();
        let begins = begins || state.rollbacks.have_begun();
        state.unknown_since(if begins { EventSeq::FIRST } else { to })
    }

    /// Whether a resumed workflow that had decided to fail decided so again.
    fn fails_as_before(&self, failure: &FailureData) -> bool {
        let before = self
            .tentative
            .as_ref()
            .and_then(|snapshot| snapshot.failure.as_ref());
        before.is_some_and(|before| {
            failure.escaped.is_empty() && is_same_error(&before.error, &failure.error)
        })
    }

    fn end_continued(&mut self, activation: &mut Activation, input: Payload) {
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::ContinuedAsNew, None);
        event.name = Some(self.def.name.into());
        event.payload = Some(input);
        self.row.base = event.seq;
        self.row.rewound = None;
        self.rewind = None;
        self.first_delivery = None;
        activation.events.push(event);
        activation.ended = Some(Ended::Again);
    }

    /// Records the end of an execution that somebody cancelled.
    fn end_cancelled(&mut self, activation: &mut Activation) {
        let by_parent = self
            .cancelling
            .is_some_and(|cancelling| cancelling.by_parent);
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::WorkflowCancelled, None);
        event.meta = Payload::encode(&EndedMeta {
            since: self.cancelling.map(|cancelling| cancelling.noted),
            by_parent,
            rolled_back: self.machine.shared.state().rollbacks.have_begun(),
            doubt: Doubt::default(),
        })
        .ok();
        activation.events.push(event);
        let outcome = if by_parent {
            ChildOutcome::CancelledByParent
        } else {
            ChildOutcome::Cancelled
        };
        self.tell_parent(activation, outcome);
        activation.ended = Some(Ended::Finished {
            status: Status::Cancelled,
            output: None,
            failure: None,
            termination: None,
        });
    }

    /// The last word of a child goes into its parent's inbox, in the commit that records it; the end is its last event.
    pub(super) fn tell_parent(&self, activation: &mut Activation, outcome: ChildOutcome) {
        let Some(parent) = &self.row.parent else {
            return;
        };
        let doubt = self.end_in_doubt(activation);
        let word = LastWord::new(self.row.present_epoch(), outcome, doubt);
        let word = word.message(&self.id, self.sent_at());
        if let Some(message) = word {
            activation.outbox.push((parent.clone(), message));
        }
    }

    /// Takes back the end of the history. The event is to be committed before anything runs again.
    pub(super) fn rewind(&mut self, plan: RewindPlan) -> Event {
        let event = self.event_at(EventKind::Rewound, None);
        self.row.attempt = plan.attempt;
        self.row.budget_from = plan.budget_from;
        let rewindable = Rewindable {
            base: self.row.base,
            rewind: self.rewind.take(),
            first_delivery: Some(self.first_delivery.take().unwrap_or(EventSeq::MAX)),
            input: self.input.as_ref(),
            workflow: self.def.name,
        };
        let rewound = plan.carry_out(event, rewindable);
        self.row.base = rewound.base;
        self.row.rewound = rewound.rewind.as_ref().map(|rewind| rewind.seq);
        self.rewind = rewound.rewind;
        self.changed_runs = Some(rewound.changed);
        rewound.event
    }
}
