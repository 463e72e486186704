//! Timers and retries by the time they are due.
//!
//! Most wait for a length of time, and are due by the execution's [own time](super::super::time). A few wait for a moment
//! that the code has named: these are due by the clock.

use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::id::EventSeq;

/// When a call is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DueAt {
    /// When a length of time has passed, at this moment of the execution's own time.
    Length(Timestamp),
    /// At this moment by the clock.
    Moment(Timestamp),
}

/// What is due when; the order is that of moments and, at one moment, of calls.
#[derive(Debug, Default)]
pub(crate) struct DueCalls {
    lengths: BTreeSet<(Timestamp, EventSeq)>,
    moments: BTreeSet<(Timestamp, EventSeq)>,
}

impl DueCalls {
    pub(super) fn arm(&mut self, call: EventSeq, at: DueAt) {
        match at {
            DueAt::Length(at) => self.lengths.insert((at, call)),
            DueAt::Moment(at) => self.moments.insert((at, call)),
        };
    }

    pub(super) fn disarm(&mut self, call: EventSeq, at: DueAt) {
        match at {
            DueAt::Length(at) => self.lengths.remove(&(at, call)),
            DueAt::Moment(at) => self.moments.remove(&(at, call)),
        };
    }

    /// When the next length of time has passed.
    pub(crate) fn first_length(&self) -> Option<Timestamp> {
        self.lengths.first().map(|(at, _)| *at)
    }

    /// The next moment.
    pub(crate) fn first_moment(&self) -> Option<Timestamp> {
        self.moments.first().map(|(at, _)| *at)
    }

    /// The earliest of what is due: lengths by `now`, moments by `clock`.
    pub(super) fn first_until(
        &self,
        now: Timestamp,
        clock: Timestamp,
    ) -> Option<(Timestamp, EventSeq)> {
        let lengths = self.lengths.first().filter(|(at, _)| *at <= now);
        let moments = self.moments.first().filter(|(at, _)| *at <= clock);
        lengths.into_iter().chain(moments).min().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lengths.is_empty() && self.moments.is_empty()
    }
}
