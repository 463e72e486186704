//! Timers and retries by the moment they are due.
//!
//! Most wait for a length of time, and are due by the execution's [own time](super::own_time). A few wait for a moment that
//! the code has named: these are due by the clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::id::EventSeq;

/// What is due when; the order is that of moments and, at one moment, of calls.
#[derive(Debug, Default)]
pub(super) struct Due {
    lengths: BTreeSet<(Timestamp, EventSeq)>,
    moments: BTreeSet<(Timestamp, EventSeq)>,
    by_call: BTreeMap<EventSeq, Timestamp>,
}

impl Due {
    /// `call` waits for a length of time that has passed at `at`.
    pub(super) fn arm(&mut self, call: EventSeq, at: Timestamp) {
        self.disarm(call);
        self.lengths.insert((at, call));
        self.by_call.insert(call, at);
    }

    /// `call` waits for this moment.
    pub(super) fn arm_moment(&mut self, call: EventSeq, at: Timestamp) {
        self.disarm(call);
        self.moments.insert((at, call));
        self.by_call.insert(call, at);
    }

    pub(super) fn disarm(&mut self, call: EventSeq) {
        if let Some(at) = self.by_call.remove(&call) {
            self.lengths.remove(&(at, call));
            self.moments.remove(&(at, call));
        }
    }

    /// When the next length of time has passed.
    pub(super) fn first_length(&self) -> Option<Timestamp> {
        self.lengths.first().map(|(at, _)| *at)
    }

    /// The next moment.
    pub(super) fn first_moment(&self) -> Option<Timestamp> {
        self.moments.first().map(|(at, _)| *at)
    }

    /// Takes what is due, the earliest first: lengths by `now`, moments by `clock`.
    pub(super) fn pop_until(
        &mut self,
        now: Timestamp,
        clock: Timestamp,
    ) -> Option<(Timestamp, EventSeq)> {
        let lengths = self.lengths.first().filter(|(at, _)| *at <= now);
        let moments = self.moments.first().filter(|(at, _)| *at <= clock);
        let (at, call) = *lengths.into_iter().chain(moments).min()?;
        self.disarm(call);
        Some((at, call))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_call.is_empty()
    }
}
