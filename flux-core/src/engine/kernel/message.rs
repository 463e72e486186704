//! What the messages in inboxes say that executions, their parents and their children send each other.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::FailureData;
use crate::event::Doubt;
use crate::execution::PausePoint;
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;
use crate::store::{Message, MessageKind, NewMessage};

/// What a message of the kind [`Resume`](MessageKind::Resume) asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResumeRequest {
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
    message.kind == MessageKind::Resume && message.payload.decode() == Ok(ResumeRequest::GoOn)
}

/// The name of an order that a parent sends. A child that is ended so may be needed again: a parent that failed may be
/// resumed.
pub(crate) const BY_PARENT: &str = "by-parent";

impl NewMessage {
    /// What says everything by its kind.
    pub(crate) fn command(kind: MessageKind, payload: Payload, at: Timestamp) -> Self {
        Self {
            kind,
            name: "".into(),
            payload,
            dedup: None,
            at,
        }
    }

    /// What a child is told when its parent lets go of it.
    pub(crate) fn to_child(policy: ChildPolicy, at: Timestamp) -> Self {
        let (kind, payload) = match policy {
            ChildPolicy::Cancel => (MessageKind::Cancel, Payload::null()),
            ChildPolicy::Abandon => (MessageKind::Abandon, Payload::null()),
            ChildPolicy::Terminate => {
                let reason = Payload::from_json(r#""its parent let go of it""#.to_owned());
                (MessageKind::Terminate, reason)
            }
        };
        Self {
            kind,
            name: BY_PARENT.into(),
            payload,
            dedup: None,
            at,
        }
    }
}

/// How a child has ended, for its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChildOutcome {
    Completed(Payload),
    Failed(Box<FailureData>),
    Cancelled,
    CancelledByParent,
    Terminated { reason: String },
    TerminatedByParent,
}

impl ChildOutcome {
    pub(crate) fn terminated(reason: String, by_parent: bool) -> Self {
        if by_parent {
            Self::TerminatedByParent
        } else {
            Self::Terminated { reason }
        }
    }
}

/// What a child tells its parent when it has finished: which of its beginnings has ended, and how. A parent that fails
/// and tries again begins its children again, and has heard of an end under an earlier epoch before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastWord {
    pub(crate) epoch: i64,
    pub(crate) outcome: ChildOutcome,
    #[serde(default, skip_serializing_if = "Doubt::is_none")]
    pub(crate) doubt: Doubt,
}

/// What a child tells its parent when it waits for a `resume`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PauseWord {
    pub(crate) epoch: i64,
    pub(crate) points: Vec<PausePoint>,
}

impl LastWord {
    pub(crate) fn new(epoch: Epoch, outcome: ChildOutcome, doubt: Doubt) -> Self {
        Self {
            epoch: epoch.0,
            outcome,
            doubt,
        }
    }

    /// The message to a parent.
    pub(crate) fn message(&self, child: &ExecutionId, at: Timestamp) -> Option<NewMessage> {
        Some(NewMessage {
            kind: MessageKind::ChildEnded,
            name: child.as_str().into(),
            payload: Payload::encode(self).ok()?,
            dedup: None,
            at,
        })
    }
}
