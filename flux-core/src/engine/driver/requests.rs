//! Requests of processes that do not have the code: what they ask for comes by message.

use serde::{Deserialize, Serialize};

use super::activation::NewOutcome;
use super::{Answer, Driver};
use crate::error::Error;
use crate::event::EventKind;
use crate::execution::PausePoint;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::store::{Message, MessageKind, StoreError};

/// What a message of the kind [`Resume`](MessageKind::Resume) asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// This pause point is to be answered, and no later one in its stead.
    Answer {
        /// The event that recorded it.
        point: EventSeq,
        /// The value given to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Payload>,
    },
    /// What failed is to be tried again. While the message lies there, nothing has been begun since this rewind.
    Retry {
        /// The event.
        rewound: EventSeq,
    },
    /// Off hold, if somebody has asked for one before.
    GoOn,
}

/// The newest message that asks for a hold, or takes that back.
pub(crate) fn newest_of_hold(inbox: &[Message]) -> Option<&Message> {
    inbox.iter().rev().find(|message| is_of_hold(message))
}

/// Whether a message asks for a hold, or takes that back.
pub(crate) fn is_of_hold(message: &Message) -> bool {
    message.kind == MessageKind::Pause || is_go_on(message)
}

/// Whether a message takes back what was asked before, to be on hold.
pub(crate) fn is_go_on(message: &Message) -> bool {
    message.kind == MessageKind::Resume && message.payload.decode() == Ok(Request::GoOn)
}

impl Driver {
    /// Carries out what a request asks for. One that cannot be is over: it is consumed all the same.
    pub(super) fn receive_request(&mut self, message: Message) {
        match message.payload.decode() {
            Ok(Request::Answer { point, value }) => self.receive_answer(message, point, value),
            Ok(Request::Retry { .. }) => self.stale_messages.push(message.id),
            Ok(Request::GoOn) => {
                self.lift_hold();
                self.stale_messages.push(message.id);
            }
            Err(error) => {
                tracing::error!(execution_id = %self.id, %error, "a request to resume cannot be read");
                self.stale_messages.push(message.id);
            }
        }
    }

    /// Answers the pause point that is meant, if it still waits. What came in or was due before the answer is
    /// delivered before it.
    fn receive_answer(&mut self, message: Message, call: EventSeq, value: Option<Payload>) {
        self.fire_due_by_then(message.at);
        self.match_signals();
        let Some(point) = self.pauses.get(&call).cloned() else {
            tracing::debug!(execution_id = %self.id, pause_point = %message.name, event = %call, "an answer came too late");
            self.stale_messages.push(message.id);
            return;
        };
        let answer = Answer {
            value,
            ..Answer::default()
        };
        match self.check_answer(call, &point, &answer) {
            Ok(payload) => {
                self.pauses.remove(&call);
                let mut outcome = NewOutcome::new(EventKind::PauseAnswered, call);
                outcome.name = Some(message.name);
                outcome.payload = Some(payload);
                outcome.consumed = Some(message.id);
                self.outcome(outcome);
            }
            Err(error) => {
                self.refuse_answer(&point, &error);
                self.stale_messages.push(message.id);
            }
        }
    }

    fn refuse_answer(&self, point: &PausePoint, error: &Error) {
        tracing::warn!(execution_id = %self.id, pause_point = point.name(), %error, "an answer is refused; the pause point waits on");
    }

    /// Whether the last rewind was written by somebody who asked for it, and nothing has been begun since.
    pub(super) async fn is_untouched(&mut self) -> Result<bool, StoreError> {
        let (Some((key, _)), Some(rewound)) = (self.row.epoch(), self.row.rewound) else {
            return Ok(false);
        };
        if rewound.next() != self.machine.next_seq() {
            return Ok(false);
        }
        let asks = |message: &Message| {
            let is_request = message.kind == MessageKind::Resume;
            is_request && message.payload.decode() == Ok(Request::Retry { rewound })
        };
        let inbox = self.engine.store.inbox(key).await?;
        Ok(inbox.iter().any(asks))
    }
}
