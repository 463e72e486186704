//! The time of an execution: as the clock, but it never goes back.
//!
//! Events are stamped with it, and lengths of time are reckoned by it, so a sleep of three seconds takes three seconds also
//! when the clock is set back by an hour meanwhile. As long as the execution is driven, its time stays ahead of the clock by
//! what the clock was set back. When it is taken up again and its history lies in the future, its time is ahead by what the
//! engine saw the clock set back since, or else by as much as the last event is.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Steady, Timekeeper, Timestamp};

/// The time of one execution.
pub(crate) struct OwnTime {
    keeper: Arc<Timekeeper>,
    ahead: Ahead,
    /// A moment that a timer has waited for, or of an event that is recorded: it counts as come, whatever the wall clock says.
    woken_for: Timestamp,
}

impl OwnTime {
    /// Of an execution without events.
    pub(crate) fn new(keeper: &Arc<Timekeeper>) -> Self {
        let never = Timestamp::from_micros(i64::MIN);
        Self {
            keeper: Arc::clone(keeper),
            ahead: Ahead::of(keeper, never),
            woken_for: never,
        }
    }

    pub(crate) fn keeper(&self) -> &Arc<Timekeeper> {
        &self.keeper
    }

    /// Reckons how far it is ahead if the last event is of `last`.
    pub(crate) fn reckon_from(&mut self, last: Timestamp) {
        self.ahead = Ahead::of(&self.keeper, last);
        // Also where the clock was set back by too little to be noticed.
        self.reach(last);
    }

    /// Goes by what the row says of the next wait, once it is known to end at `due`. By its last event alone, a wait that is
    /// longer than executions stay in memory would begin again whenever it is taken up.
    pub(crate) fn reckon_by_wait(&mut self, due: Timestamp, wake_at: Timestamp) {
        self.ahead.was(due.since(wake_at));
    }

    /// This moment has come, or is one of the past.
    pub(crate) fn reach(&mut self, moment: Timestamp) {
        self.woken_for = self.woken_for.max(moment);
    }

    /// As far as another driver of this execution in this process knew.
    pub(crate) fn reach_as(&mut self, other: &Self) {
        self.reach(other.woken_for);
    }

    /// The present moment in its own time, after an event of `last`.
    pub(crate) fn now(&self, last: Timestamp) -> Timestamp {
        let Steady { now, set_back } = self.keeper.read();
        self.past(now.after(self.ahead.by(set_back)), last)
    }

    /// The present moment for what was asked for as a moment.
    pub(crate) fn clock_now(&self, last: Timestamp) -> Timestamp {
        self.past(self.keeper.now(), last)
    }

    /// The present moment for what is sent to others: who sleeps is ready from then on, by the clock.
    pub(crate) fn sent_at(&self) -> Timestamp {
        self.keeper.now()
    }

    /// What has been is not to come.
    fn past(&self, now: Timestamp, last: Timestamp) -> Timestamp {
        now.max(last).max(self.woken_for)
    }

    /// When a moment of its own time comes, by the clock.
    pub(crate) fn by_the_clock(&self, at: Timestamp) -> Timestamp {
        at.before(self.ahead.by(self.keeper.read().set_back))
    }
}

/// How far the time of an execution is ahead of the clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ahead {
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
    pub(crate) fn of(time: &Timekeeper, last: Timestamp) -> Self {
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
