//! Stopping code that does not end by itself: cancelled, out of time, terminated.

use super::activation::{Activation, Ended};
use super::arrivals::{Arrival, NewOutcome};
use super::commands::Termination;
use super::{Core, LookForNews};
use crate::context::shared::ExitRule;
use crate::engine::kernel::message::ChildOutcome;
use crate::error::FailureKind;
use crate::event::{Doubt, EndedMeta, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::{End, Stop, Stopped};
use crate::status::Status;
use crate::workflow::StopReason;

impl Core {
    /// Stops the code where it stands, between deliveries. Where it has left something to be done at its end, it is
    /// told by an arrival instead, which drops it and begins with that.
    pub(crate) fn stop_code(&mut self, why: StopReason) -> Option<End> {
        if !self.is_last(why) || !self.machine.shared.state().has_work_at_exit(false) {
            let delivery = None;
            return Some(End::Stopped(Stopped { why, delivery }));
        }
        if !self.arrivals.has(Arrival::is_stop) {
            let mut stop = NewOutcome::without_call(EventKind::WorkflowStopping);
            stop.payload = Payload::encode(&why).ok();
            self.arrivals.push_outcome_first(stop);
        }
        None
    }

    /// As [`stop_code`](Self::stop_code), in an activation of its own. Code that ends by itself with an open arrival needs
    /// no stop, unless its deadline has passed; code that begins again does, or it might begin again for ever.
    pub(crate) fn stop(
        &mut self,
        why: StopReason,
        look: LookForNews<'_>,
    ) -> Result<Box<Activation>, Stop> {
        let is_deadline = matches!(why, StopReason::OutOfTime(FailureKind::Deadline { .. }));
        self.limits.is_past_deadline |= is_deadline;
        let mut activation = Box::<Activation>::default();
        self.machine.shared.state().is_late = is_deadline;
        let ended = self.deliver_open(&mut activation)?;
        self.machine.shared.state().is_late = false;
        let end = match ended {
            None | Some(End::ContinuedAsNew(_)) if !self.is_exiting() => self.stop_code(why),
            ended => ended,
        };
        match end {
            Some(end) => self.finish(end, &mut activation),
            // The code is told by an arrival, or is in its exit phase already.
            None => self.deliver_arrivals(&mut activation, look)?,
        }
        Ok(activation)
    }

    /// Whether this is the end of the execution, and not only of an attempt.
    fn is_last(&self, why: StopReason) -> bool {
        match why {
            StopReason::Cancelled => true,
            // Nothing that was delivered is taken back.
            StopReason::OutOfTime(kind) => !self.is_tried_again(kind, EventSeq::MAX),
        }
    }

    /// What is to happen if the code fails now.
    pub(crate) fn exit_rule(&self) -> ExitRule {
        match self.rewinding.error_before() {
            Some(before) => ExitRule::BeginUnless(Box::new(before.clone())),
            None if self.has_attempts_left(FailureKind::Error) => ExitRule::Wait,
            None => ExitRule::Begin,
        }
    }

    /// Ends the execution where it stands: what is at work is aborted, and the code is dropped.
    pub(crate) fn terminate(&mut self, termination: Termination, activation: &mut Activation) {
        self.stop_work();
        self.arrivals.clear();
        self.machine.evict();
        activation.consumed.push(termination.message);
        self.let_go_of_children(activation);
        let reason: String = termination.reason.decode().unwrap_or_default();
        let mut event = self.event_at(EventKind::WorkflowTerminated, None);
        event.payload = Some(termination.reason);
        event.meta = Payload::encode(&EndedMeta {
            since: None,
            by_parent: termination.by_parent,
            rolled_back: self.machine.shared.state().rollbacks.have_begun(),
            doubt: Doubt::default(),
        })
        .ok();
        activation.events.push(event);
        let last_word = ChildOutcome::terminated(reason.clone(), termination.by_parent);
        self.tell_parent(activation, last_word);
        activation.ended = Some(Ended::Finished {
            status: Status::Terminated,
            output: None,
            failure: None,
            termination: Some(reason),
        });
    }
}
