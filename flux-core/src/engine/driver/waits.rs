//! Timers, the inbox and pause points: what is armed, what is due, what fits.

use super::activation::{Arrival, NewOutcome};
use super::{Answer, Driver, Termination};
use crate::clock::Timestamp;
use crate::context::request::{Request, Wanted};
use crate::error::Error;
use crate::event::EventKind;
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{Message, MessageKind, StoreError};

impl Driver {
    /// Turns what the code waits for and what has come into arrivals. Of an execution that is to be put on hold, nothing
    /// reaches the code that would not come to an end by itself.
    pub(super) fn look_for_arrivals(&mut self) {
        if !self.leaves_signals() {
            self.match_signals();
        }
        if self.hold.is_none() && self.is_due() {
            // What has ended meanwhile comes before a timer that is due now.
            self.take_inputs();
            self.fire_due();
        }
    }

    fn is_due(&self) -> bool {
        if self.due.is_empty() {
            return false;
        }
        let is_past = |at: Option<Timestamp>, now| at.is_some_and(|at| at <= now);
        is_past(self.due.first_length(), self.now())
            || is_past(self.due.first_moment(), self.clock_now())
    }

    /// Turns what is due into arrivals, in the order of due time and call.
    pub(super) fn fire_due(&mut self) {
        if self.due.is_empty() {
            return;
        }
        self.fire_due_by(self.now(), self.clock_now());
    }

    /// As [`fire_due`](Self::fire_due), as of an earlier moment by the clock: something was sent then.
    pub(super) fn fire_due_by_then(&mut self, moment: Timestamp) {
        let (now, clock) = (self.now(), self.clock_now());
        let ahead = now.since(clock);
        self.fire_due_by(now.min(moment.after(ahead)), clock.min(moment));
    }

    /// As [`fire_due`](Self::fire_due), as of an earlier moment, in its own time and by the clock.
    fn fire_due_by(&mut self, now: Timestamp, clock: Timestamp) {
        while let Some((due, call)) = self.due.pop_until(now, clock) {
            if self.tasks.contains_key(&call) {
                self.retry_is_due(call);
            } else {
                let mut outcome = NewOutcome::new(EventKind::TimerFired, call);
                outcome.not_before = Some(due);
                self.outcome(outcome);
            }
        }
    }

    /// Reads the inbox again if somebody said that there is something new.
    pub(super) async fn refresh_inbox(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.has_stale_inbox) {
            return Ok(());
        }
        let Some((key, _)) = self.row.epoch() else {
            return Ok(());
        };
        let after = self.last_message;
        for message in self.engine.store.inbox_after(key, after).await? {
            self.last_message = Some(message.id);
            self.receive(message);
        }
        Ok(())
    }

    fn receive(&mut self, message: Message) {
        match message.kind {
            MessageKind::Signal => self.signals.receive(message),
            MessageKind::Pause => self.take_hold(&message),
            MessageKind::ChildPaused => self.hear_of_pause(&message),
            MessageKind::ChildEnded => self.child_ended(&message),
            MessageKind::Cancel => {
                self.receive_cancellation(super::Cancellation::of(&message));
            }
            // It stays in the inbox, for whoever recovers the execution: its parent will not.
            MessageKind::Abandon => {}
            MessageKind::Terminate => {
                self.termination.get_or_insert(Termination::of(message));
            }
            MessageKind::Resume => self.receive_request(message),
        }
    }

    /// The pause points that wait, its own and its children's.
    pub(super) fn pause_points(&self) -> Vec<PausePoint> {
        let own = self.pauses.values().cloned();
        own.chain(self.children.pause_points().cloned()).collect()
    }

    /// What the row says it waits for.
    pub(super) fn waiting(&self) -> Option<Payload> {
        if self.pauses.is_empty() && !self.signals.are_awaited() && self.children.is_empty() {
            return None;
        }
        let signals = self.signals.awaited().map(ToString::to_string).collect();
        Waiting {
            pauses: self.pause_points(),
            signals,
            cleans_up: self.cleans_up(),
        }
        .to_payload()
    }

    /// Turns a resume's answer into an arrival, or says why it does not fit; then nothing was written. A pause
    /// point of a child is handed back.
    pub(super) fn answer_pause(&mut self, answer: &Answer) -> Result<Option<PausePoint>, Error> {
        let mut points = self.pause_points();
        if let Some(meant) = &answer.meant {
            // Several resumes at once: one of them was faster.
            points.retain(|point| {
                point.event() == meant.event() && point.execution_id() == meant.execution_id()
            });
        }
        let Some(point) = choose_pause(&self.id, &points, answer, self.row.status())? else {
            return Ok(None);
        };
        if point.execution_id() != &self.id {
            return Ok(Some(point));
        }
        let call = point.event();
        let payload = self.check_answer(call, &point, answer)?;
        self.pauses.remove(&call);
        let mut outcome = NewOutcome::new(EventKind::PauseAnswered, call);
        outcome.name = Some(point.name().into());
        outcome.payload = Some(payload);
        self.arrivals.push_back(Arrival::Outcome(Box::new(outcome)));
        Ok(None)
    }

    pub(super) fn check_answer(
        &self,
        call: EventSeq,
        point: &PausePoint,
        answer: &Answer,
    ) -> Result<Payload, Error> {
        match (self.pause_wants(call), &answer.value) {
            (None, None) => Ok(Payload::null()),
            (None, Some(value)) if value.as_str() == "null" => Ok(Payload::null()),
            (None, Some(_)) => Err(takes_no_value(&self.id, point)),
            (Some(wanted), None) => Err(Error::ResumeValueRequired {
                id: self.id.clone(),
                name: point.name().to_owned(),
                wanted: wanted.name(),
            }),
            (Some(wanted), Some(value)) => match (wanted.check)(value) {
                Ok(()) => Ok(value.clone()),
                Err(error) => Err(Error::InvalidInput {
                    what: format!(
                        "value for pause point `{}` of execution `{}`, which wants `{}`",
                        point.name(),
                        self.id,
                        wanted.name()
                    ),
                    path: error.path,
                    message: error.message,
                }),
            },
        }
    }

    fn pause_wants(&self, call: EventSeq) -> Option<Wanted> {
        let mut state = self.machine.shared.state();
        match state.call_by_seq(call)?.request {
            Some(Request::Pause { wants, .. }) => wants,
            _ => None,
        }
    }

    /// Disarms what a call waits for.
    pub(super) fn drop_waits(&mut self, call: EventSeq) {
        self.pauses.remove(&call);
        self.cancel_waits.remove(&call);
        self.signals.disarm(call);
    }
}

/// The pause point an answer is meant for; none where the answer says nothing and nothing waits.
pub(crate) fn choose_pause(
    id: &ExecutionId,
    points: &[PausePoint],
    answer: &Answer,
    status: Status,
) -> Result<Option<PausePoint>, Error> {
    let names = || points.iter().map(PausePoint::full_name).collect::<Vec<_>>();
    let fitting: Vec<&PausePoint> = match &answer.at {
        Some(name) => points.iter().filter(|point| point.is_named(name)).collect(),
        None => points.iter().collect(),
    };
    match (fitting.as_slice(), &answer.at) {
        ([one], _) => Ok(Some((*one).clone())),
        ([], Some(name)) => Err(Error::NotPausedAt {
            id: id.clone(),
            name: name.clone(),
            pending: names(),
            status,
            has_waited_there: None,
        }),
        ([], None) if answer.value.is_some() => Err(Error::NotPaused { id: id.clone() }),
        ([], None) => Ok(None),
        // Several points of one name are answered in the order they were reached.
        ([first, rest @ ..], Some(_))
            if rest
                .iter()
                .all(|point| point.full_name() == first.full_name()) =>
        {
            Ok(Some((*first).clone()))
        }
        _ => Err(Error::AmbiguousPause {
            id: id.clone(),
            names: names(),
        }),
    }
}

/// The error of a value that the pause point does not want.
pub(crate) fn takes_no_value(id: &ExecutionId, point: &PausePoint) -> Error {
    Error::InvalidInput {
        what: format!(
            "value for pause point `{}` of execution `{id}`",
            point.name()
        ),
        path: ".".to_owned(),
        message: "this pause point takes no value; `flux::pause(name).value::<T>()` would"
            .to_owned(),
    }
}
