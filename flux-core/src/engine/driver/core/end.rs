//! The end of an execution, or of one attempt of its workflow.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Core;
use super::activation::{Activation, Ended};
use super::calls::{Child, ChildState};
use super::limits::out_of_time;
use crate::context::unknown::CutOff;
use crate::engine::history::rewind_plan::RewindPlan;
use crate::engine::kernel::message::{ChildOutcome, LastWord};
use crate::error::{FailureData, FailureKind};
use crate::event::{Doubt, EndedMeta, Event, EventKind};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{End, FailedEnd};
use crate::status::Status;
use crate::store::NewMessage;
use crate::workflow::StopReason;

/// An end names no more children than this: what is in doubt in more of them counts as unknown.
const MOST: usize = 1000;

impl Core {
    /// Records how the code ended.
    pub(crate) fn finish(&mut self, end: End, activation: &mut Activation) {
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
            error: failed.error.within(self.rules.payload_limit),
            delivery: failed.delivery,
            escaped: failed.escaped,
            stopped: failed.stopped,
            rolled_back,
            undone,
            unknown: Vec::new(),
        };
        if self.rewinding.fails_as_before(&failure) {
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
    pub(crate) fn has_attempts_left(&self, kind: FailureKind) -> bool {
        let max = self
            .def
            .options
            .max_attempts
            .unwrap_or(self.rules.max_attempts);
        let made = self.row.attempt - self.row.budget_from + 1;
        let is_in_time =
            !self.limits.is_past_deadline && !matches!(kind, FailureKind::Deadline { .. });
        made < max && is_in_time && !self.is_exiting()
    }

    /// Whether another attempt follows a failure that takes back what happened from `to` on. None does where that would run
    /// a body again that may have done its work and is not to do it twice.
    pub(crate) fn is_tried_again(&self, kind: FailureKind, to: EventSeq) -> bool {
        let restarts = self.def.options.restart;
        self.has_attempts_left(kind) && self.unknown_since(to, restarts).is_empty()
    }

    /// The tasks of such bodies; with `begins`, everything is taken back.
    fn unknown_since(&self, to: EventSeq, begins: bool) -> Vec<Arc<str>> {
        let state = self.machine.shared.state();
        let begins = begins || state.rollbacks.have_begun();
        state.unknown_since(if begins { EventSeq::FIRST } else { to })
    }

    fn end_continued(&mut self, activation: &mut Activation, input: Payload) {
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::ContinuedAsNew, None);
        event.name = Some(self.def.name.into());
        event.payload = Some(input);
        self.rewinding.continue_from(event.seq, &mut self.row);
        activation.events.push(event);
        activation.ended = Some(Ended::Again);
    }

    /// Records the end of an execution that somebody cancelled.
    fn end_cancelled(&mut self, activation: &mut Activation) {
        let cancelling = self.inbox.cancelling;
        let by_parent = cancelling.is_some_and(|cancelling| cancelling.by_parent);
        self.let_go_of_children(activation);
        let mut event = self.event_at(EventKind::WorkflowCancelled, None);
        event.meta = Payload::encode(&EndedMeta {
            since: self.inbox.cancelling.map(|cancelling| cancelling.noted),
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
    pub(crate) fn tell_parent(&self, activation: &mut Activation, outcome: ChildOutcome) {
        let Some(parent) = &self.row.parent else {
            return;
        };
        let doubt = self.end_in_doubt(activation);
        let word = LastWord::new(self.row.present_epoch(), outcome, doubt);
        let word = word.message(&self.id, self.time.sent_at());
        if let Some(message) = word {
            activation.outbox.push((parent.clone(), message));
        }
    }

    /// Takes back the end of the history. The event is to be committed before anything runs again.
    pub(crate) fn rewind(&mut self, plan: RewindPlan) -> Event {
        let event = self.event_at(EventKind::Rewound, None);
        let row = &mut self.row;
        self.rewinding.rewind(plan, event, row, self.def.name)
    }

    /// The children that are cut off and called again if everything from `to` on is taken back, with those that earlier
    /// attempts have left in doubt.
    pub(crate) fn cut_off_since(&self, to: EventSeq) -> Vec<ExecutionId> {
        let cut_off = self.machine.shared.state().cut_off_since(to);
        let named = cut_off.into_iter().map(|child| match child {
            CutOff::Own(call) => self.id.child(call),
            CutOff::Named(id) => id,
        });
        let all: BTreeSet<_> = named
            .chain(self.rewinding.cut_off.iter().cloned())
            .collect();
        all.into_iter().collect()
    }

    /// Adds to the last event, which ends this execution, what that leaves in doubt.
    pub(crate) fn end_in_doubt(&self, activation: &mut Activation) -> Doubt {
        let doubt = self.doubt();
        if let Some(event) = activation.events.last_mut()
            && !doubt.is_none()
        {
            let meta = EndedMeta {
                doubt: doubt.clone(),
                ..event.meta()
            };
            event.meta = Payload::encode(&meta).ok();
        }
        doubt
    }

    fn doubt(&self) -> Doubt {
        let unknown = self.machine.shared.state().unknown_since(EventSeq::FIRST);
        let mut doubt = Doubt {
            unknown,
            cut_off: self.cut_off_since(EventSeq::FIRST),
        };
        if doubt.cut_off.len() > MOST {
            doubt.unknown.push(Arc::from(self.def.name));
            doubt.cut_off.clear();
        }
        doubt
    }

    /// Leaves a child to itself whose call is gone, with the order that its policy says.
    pub(crate) fn let_go_of_child(
        &self,
        call: EventSeq,
        child: Child,
        activation: &mut Activation,
    ) {
        let is_unborn = matches!(child.state, ChildState::Unborn);
        if is_unborn && !self.let_go_of_unborn(call, activation) {
            return;
        }
        let message = NewMessage::to_child(child.policy, self.time.sent_at());
        activation.outbox.push((child.id, message));
        // The child's driver runs on: it is the one that records what becomes of it.
        if let ChildState::Driven(guard) = child.state {
            guard.detach();
        }
    }

    /// Leaves all children to themselves that have not ended.
    pub(crate) fn let_go_of_children(&mut self, activation: &mut Activation) {
        for (call, child) in self.calls.take_children() {
            self.let_go_of_child(call, child, activation);
        }
    }
}
