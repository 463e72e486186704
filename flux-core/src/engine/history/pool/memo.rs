//! What is recorded of calls that no longer count, and by what they are told apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::Event;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::is_start;

/// What calls have to agree in to take each other's results: kind, name and digest of the input.
pub(super) type Alike = (u8, Arc<str>, u128);

/// A recorded success.
#[derive(Debug, Clone)]
pub(crate) struct Memo {
    pub(crate) from: EventSeq,
    pub(crate) payload: Payload,
}

/// A result on its way to the call that took it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(super) alike: Alike,
    /// The call that it was recorded for.
    pub(super) recorded: EventSeq,
    pub(crate) memo: Memo,
}

/// What a delivery came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A beginning.
    Start,
    /// The end of a call, good or bad: what failed is tried again, and then mostly comes to a good one.
    Call(EventSeq),
    Other,
}

impl Cause {
    /// What this arrival makes of a delivery.
    pub(crate) fn of(arrival: &Event) -> Self {
        match arrival.refers {
            _ if is_start(arrival) => Self::Start,
            Some(call) if arrival.kind.is_completion() => Self::Call(call),
            _ => Self::Other,
        }
    }

    /// The same, of the recorded call whose place this one has taken.
    pub(super) fn from(self, origins: &BTreeMap<EventSeq, EventSeq>) -> Self {
        match self {
            Self::Call(call) => Self::Call(origins.get(&call).copied().unwrap_or(call)),
            other => other,
        }
    }
}
