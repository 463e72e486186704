//! Stopping code that does not end by itself: cancelled, out of time, terminated.

use super::activation::{Activation, Arrival, Ended, NewOutcome};
use super::children::{BY_PARENT, ChildOutcome};
use super::{Driver, Halt, Step};
use crate::context::shared::ExitRule;
use crate::error::FailureKind;
use crate::event::{Doubt, EndedMeta, EventKind};
use crate::execution::Status;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::{End, Stop, Stopped};
use crate::store::{Message, MessageId};
use crate::workflow::StopReason;

/// A request to terminate the execution.
#[derive(Debug)]
pub(super) struct Termination {
    message: MessageId,
    reason: Payload,
    by_parent: bool,
}

impl Termination {
    pub(super) fn of(message: Message) -> Self {
        Self {
            message: message.id,
            by_parent: *message.name == *BY_PARENT,
            reason: message.payload,
        }
    }
}

impl Driver {
    /// Stops the code where it stands, between deliveries. Where it has left something to be done at its end, it is
    /// told by an arrival instead, which drops it and begins with that.
    pub(super) fn stop_code(&mut self, why: StopReason) -> Option<End> {
        if !self.is_last(why) || !self.machine.shared.state().has_work_at_exit(false) {
            let delivery = None;
            return Some(End::Stopped(Stopped { why, delivery }));
        }
        if !self.arrivals.iter().any(Arrival::is_stop) {
            let mut stop = NewOutcome::new(EventKind::WorkflowStopping, EventSeq::FIRST);
            stop.call = None;
            stop.payload = Payload::encode(&why).ok();
            self.arrivals.push_front(Arrival::Outcome(Box::new(stop)));
        }
        None
    }

    /// As [`stop_code`](Self::stop_code), in an activation of its own. Code that ends by itself with an open arrival needs
    /// no stop, unless its deadline has passed; code that begins again does, or it might begin again for ever.
    pub(super) fn stop(&mut self, why: StopReason) -> Result<Box<Activation>, Stop> {
        let is_deadline = matches!(why, StopReason::OutOfTime(FailureKind::Deadline { .. }));
        self.is_past_deadline |= is_deadline;
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
            None => self.deliver_arrivals(&mut activation)?,
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
    pub(super) fn exit_rule(&self) -> ExitRule {
        let before = self
            .tentative
            .as_ref()
            .and_then(|before| before.failure.as_ref());
        match before {
            Some(before) => ExitRule::BeginUnless(Box::new(before.error.clone())),
            None if self.has_attempts_left(FailureKind::Error) => ExitRule::Wait,
            None => ExitRule::Begin,
        }
    }

    /// Whether the code is gone, and what it left to be done is done.
    pub(super) fn is_exiting(&self) -> bool {
        self.machine.shared.state().is_exiting
    }

    /// Ends the execution: bodies are aborted and the code is dropped first. The code is polled only with an arrival that is
    /// recorded already, and nothing that it asks for then is begun.
    pub(super) async fn terminate(&mut self, termination: Termination) -> Result<Step, Halt> {
        let mut activation = Box::<Activation>::default();
        let ended = self.polling(|driver| driver.deliver_open(&mut activation));
        if let Some(end) = ended.await? {
            self.finish(end, &mut activation);
            // Code that begins again is ended before it does, or it might begin again for ever.
            if !matches!(activation.ended, Some(Ended::Again)) {
                return self.commit_and_act(activation).await;
            }
        }
        self.stop_work();
        self.arrivals.clear();
        self.machine.evict();
        activation.consumed.push(termination.message);
        self.let_go_of_children(&mut activation);
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
        self.tell_parent(&mut activation, last_word);
        activation.ended = Some(Ended::Finished {
            status: Status::Terminated,
            output: None,
            failure: None,
            termination: Some(reason),
        });
        self.commit_and_act(activation).await
    }
}
