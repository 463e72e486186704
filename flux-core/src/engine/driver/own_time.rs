//! The time of an execution: as the clock, but it never goes back.
//!
//! Events are stamped with it, and lengths of time are reckoned by it, so a sleep of three seconds takes three seconds also
//! when the clock is set back by an hour meanwhile. As long as the execution is driven, its time stays ahead of the clock by
//! what the clock was set back. When it is taken up again and its history lies in the future, its time is ahead by what the
//! engine saw the clock set back since, or else by as much as the last event is.

use std::time::Duration;

use super::Driver;
use super::activation::Arrival;
use crate::clock::{Steady, Timekeeper, Timestamp};

/// How far the time of an execution is ahead of the clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    /// When it was taken up.
    at_first: Duration,
    /// Whether that is what the clock was set back, as far as this engine knows.
    is_known: bool,
    /// What the engine had seen the clock set back by then.
    seen: Duration,
}

/// A history may lie ahead of the clock by this much without the clock having been set back.
const USUAL: Duration = Duration::from_secs(2);

impl Ahead {
    /// Of an execution that is taken up now, whose last event is of `last`.
    pub(super) fn of(time: &Timekeeper, last: Timestamp) -> Self {
        let Steady { now, set_back } = time.read();
        let (ahead, seen) = (last.since(now), set_back);
        if ahead < USUAL {
            return Self {
                seen,
                ..Self::default()
            };
        }
        let known = time.set_back_by_at_least(ahead);
        Self {
            at_first: known.unwrap_or(ahead),
            is_known: known.is_some(),
            seen,
        }
    }

    /// A wait whose end was written down by the clock when the execution was left shows how far its time was ahead then.
    fn was(&mut self, ahead: Duration) {
        if !self.is_known && !self.at_first.is_zero() {
            self.at_first = self.at_first.max(ahead);
        }
    }

    /// How far it is ahead of the clock as that was read.
    fn by(self, set_back: Duration) -> Duration {
        let since = set_back.saturating_sub(self.seen);
        if self.is_known {
            self.at_first + since
        } else {
            // What the engine sees now may be what put it ahead at first.
            self.at_first.max(since)
        }
    }
}

impl Driver {
    /// Reckons how far its time is ahead, once its history is read. What begins it again may be the only event that counts,
    /// and has not been delivered yet.
    pub(super) fn reckon_time(&mut self) {
        let open = self.arrivals.iter().filter_map(Arrival::recorded_at);
        let last = open.chain([self.machine.last_at()]).max();
        self.reckon_from(last.unwrap_or_else(|| self.machine.last_at()));
    }

    /// Reckons how far its time is ahead if its last event is of `last`.
    pub(super) fn reckon_from(&mut self, last: Timestamp) {
        self.ahead = Ahead::of(&self.engine.time, last);
        // Also where the clock was set back by too little to be noticed.
        self.woken_for = self.woken_for.max(last);
    }

    /// Goes by what the row says of its next wait, once it is known what it waits for. By its last event alone, a wait that
    /// is longer than executions stay in memory would begin again whenever it is taken up.
    pub(super) fn reckon_by_row(&mut self) {
        let wake_at = self.row.record.as_ref().and_then(|record| record.wake_at);
        if let (Some(wake_at), Some(due)) = (wake_at, self.due.first_length())
            && self.due.first_moment() != Some(wake_at)
        {
            self.ahead.was(due.since(wake_at));
        }
    }

    /// The present moment in its own time.
    pub(super) fn now(&self) -> Timestamp {
        let Steady { now, set_back } = self.engine.time.read();
        self.past(now.after(self.ahead.by(set_back)))
    }

    /// A moment of its own time by the clock that is never set back; the present one where it has passed.
    pub(super) fn steady_at(&self, at: Timestamp) -> Timestamp {
        self.engine.time.steady().after(at.since(self.now()))
    }

    /// The present moment for what is sent to others: who sleeps is ready from then on, by the clock.
    pub(super) fn sent_at(&self) -> Timestamp {
        self.engine.time.now()
    }

    /// The present moment for what was asked for as a moment.
    pub(super) fn clock_now(&self) -> Timestamp {
        self.past(self.engine.time.now())
    }

    /// What has been is not to come.
    fn past(&self, now: Timestamp) -> Timestamp {
        now.max(self.machine.last_at()).max(self.woken_for)
    }

    /// When the next timer or retry is due, by the clock.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let length = self.due.first_length();
        let length = length.map(|at| self.by_the_clock(at));
        length.into_iter().chain(self.due.first_moment()).min()
    }

    /// When a moment of its own time comes, by the clock.
    pub(super) fn by_the_clock(&self, at: Timestamp) -> Timestamp {
        at.before(self.ahead.by(self.engine.time.read().set_back))
    }
}
