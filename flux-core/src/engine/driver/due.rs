//! Timers and retries by the moment they are due.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::id::EventSeq;

/// What is due when; the order is that of moments and, at one moment, of calls.
#[derive(Debug, Default)]
pub(super) struct Due {
    queue: BTreeSet<(Timestamp, EventSeq)>,
    by_call: BTreeMap<EventSeq, Timestamp>,
}

impl Due {
    pub(super) fn arm(&mut self, call: EventSeq, at: Timestamp) {
        self.disarm(call);
        self.queue.insert((at, call));
        self.by_call.insert(call, at);
    }

    pub(super) fn disarm(&mut self, call: EventSeq) {
        if let Some(at) = self.by_call.remove(&call) {
            self.queue.remove(&(at, call));
        }
    }

    /// The next moment.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes what is due by `now`, the earliest first.
    pub(super) fn pop_until(&mut self, now: Timestamp) -> Option<(Timestamp, EventSeq)> {
        let (at, call) = *self.queue.first().filter(|(at, _)| *at <= now)?;
        self.disarm(call);
        Some((at, call))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
