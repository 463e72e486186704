//! Answers to pause points: of a `resume` that has claimed the execution, and of processes that ask by message.

use super::Core;
use super::arrivals::NewOutcome;
use crate::context::request::{Request, WantedValue};
use crate::engine::kernel::message::ResumeRequest;
use crate::engine::kernel::pausing::{Answer, choose_pause, takes_no_value};
use crate::error::Error;
use crate::event::EventKind;
use crate::execution::PausePoint;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::store::Message;

impl Core {
    /// Turns a resume's answer into an arrival, or says why it does not fit; then nothing was written. A pause
    /// point of a child is handed back.
    pub(crate) fn answer_pause(&mut self, answer: &Answer) -> Result<Option<PausePoint>, Error> {
        let mut points = self.calls.pause_points();
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
        self.calls.remove(call);
        let mut outcome = NewOutcome::new(EventKind::PauseAnswered, call);
        outcome.name = Some(point.name().into());
        outcome.payload = Some(payload);
        self.arrivals.push_outcome(outcome);
        Ok(None)
    }

    pub(crate) fn check_answer(
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

    fn pause_wants(&self, call: EventSeq) -> Option<WantedValue> {
        let mut state = self.machine.shared.state();
        match state.call_by_seq(call)?.request {
            Some(Request::Pause { wants, .. }) => wants,
            _ => None,
        }
    }

    /// Carries out what a request asks for. One that cannot be is over: it is consumed all the same.
    pub(crate) fn receive_request(&mut self, message: Message) {
        match message.payload.decode() {
            Ok(ResumeRequest::Answer { point, value }) => {
                self.receive_answer(message, point, value);
            }
            Ok(ResumeRequest::Retry { .. }) => self.inbox.done_with(message.id),
            Ok(ResumeRequest::GoOn) => {
                self.lift_hold();
                self.inbox.done_with(message.id);
            }
            Err(error) => {
                tracing::error!(execution_id = %self.id, %error, "a request to resume cannot be read");
                self.inbox.done_with(message.id);
            }
        }
    }

    /// Answers the pause point that is meant, if it still waits. What came in or was due before the answer is
    /// delivered before it.
    fn receive_answer(&mut self, message: Message, call: EventSeq, value: Option<Payload>) {
        self.fire_due_by_then(message.at);
        self.match_values();
        let Some(point) = self.calls.pause_at(call).cloned() else {
            tracing::debug!(execution_id = %self.id, pause_point = %message.name, event = %call, "an answer came too late");
            self.inbox.done_with(message.id);
            return;
        };
        let answer = Answer {
            value,
            ..Answer::default()
        };
        match self.check_answer(call, &point, &answer) {
            Ok(payload) => {
                self.calls.remove(call);
                let mut outcome = NewOutcome::new(EventKind::PauseAnswered, call);
                outcome.name = Some(message.name);
                outcome.payload = Some(payload);
                outcome.consumed = Some(message.id);
                self.arrivals.push_outcome(outcome);
            }
            Err(error) => {
                self.refuse_answer(&point, &error);
                self.inbox.done_with(message.id);
            }
        }
    }

    fn refuse_answer(&self, point: &PausePoint, error: &Error) {
        tracing::warn!(execution_id = %self.id, pause_point = point.name(), %error, "an answer is refused; the pause point waits on");
    }

    /// The error of an answer that came too late.
    pub(crate) fn not_paused_at(&self, name: &str) -> Error {
        let points = self.calls.pause_points();
        let pending = points.iter().map(PausePoint::full_name).collect();
        Error::NotPausedAt {
            id: self.id.clone(),
            name: name.to_owned(),
            pending,
            status: self.row.status(),
            has_waited_there: None,
        }
    }
}
