//! A clock that was set back, as a store is told of it.

use std::time::Duration;

use crate::clock::Timestamp;

/// How much two processes may differ about when and by how much the clock was set back.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How far ahead of a clock a record of a moment may lie and still count as past: clocks of processes are read one after
/// another, and one may be put right a little while it runs.
const SLACK: Duration = Duration::from_secs(2);

/// Whether a record of something that has happened lies in the future: the clock was set back since. It counts in no
/// window.
pub fn is_to_come(recorded: Timestamp, now: Timestamp) -> bool {
    recorded > now.after(SLACK)
}

/// How long after a process has guessed it others tell of the same.
const LATE: Duration = Duration::from_mins(1);

/// The clock of this machine was set back: what [`clock_set_back`](super::Store::clock_set_back) is told.
///
/// Processes that see it tell of it. Where they all die before that, the first to start afterwards
/// [guesses](Self::guess): it finds that executions were put to sleep at a time that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// By how much.
    pub by: Duration,
    /// When that was noticed, by the clock as it is now.
    pub at: Timestamp,
    /// How long before that it can have happened.
    pub within: Duration,
}

/// The latest time that the clock was set back, as a store has written it down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSetBack {
    /// By how much, and when that was noticed.
    pub step: SetBack,
    /// Whether the process that noticed it did not see it: it was set back by that much or more.
    pub is_guess: bool,
}

impl LastSetBack {
    /// Of a step that a process has seen, what is left to be done; `None`: it was done before.
    pub fn rest_of(&self, step: SetBack) -> Option<SetBack> {
        if step.is_the_same_as(&self.step) {
            return None;
        }
        if !self.is_guess || !step.was_guessed_as(&self.step) {
            return Some(step);
        }
        let by = step.by.saturating_sub(self.step.by);
        (!by.is_zero()).then_some(SetBack { by, ..step })
    }
}

impl SetBack {
    /// What a clock that shows `now` comes to where something was put to sleep at `latest`; `None`: it was not set back, or
    /// `last` is the same.
    pub fn guess(latest: Timestamp, now: Timestamp, last: Option<&LastSetBack>) -> Option<Self> {
        let step = Self {
            by: latest.since(now),
            at: now,
            within: Duration::ZERO,
        };
        let lately = Self {
            within: LATE,
            ..step
        };
        let is_known = last.is_some_and(|last| lately.is_the_same_as(&last.step));
        (is_to_come(latest, now) && !is_known).then_some(step)
    }

    fn was_guessed_as(&self, guess: &Self) -> bool {
        guess.by <= self.by + TOLERANCE
            && guess.at >= self.began().before(TOLERANCE)
            && guess.at <= self.at.after(LATE)
    }

    /// Whether this is what another process noticed earlier, as it was written down.
    pub fn is_the_same_as(&self, earlier: &Self) -> bool {
        let apart = self.by.abs_diff(earlier.by);
        apart <= TOLERANCE
            && earlier.at >= self.began().before(TOLERANCE)
            && earlier.at <= self.at.after(TOLERANCE)
    }

    /// The earliest moment, by the clock as it is now, at which it can have happened.
    pub fn began(&self) -> Timestamp {
        self.at.before(self.within)
    }

    /// A moment of before, by the clock as it is now; nothing is due before it was noticed.
    pub fn shifted(&self, moment: Timestamp) -> Timestamp {
        moment.before(self.by).max(self.at)
    }

    /// Whether an execution created at this moment was created after the clock was set back, as far as can be told.
    pub fn is_before(&self, created_at: Timestamp) -> bool {
        (self.began().before(TOLERANCE)..=self.at).contains(&created_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(by: u64, at: i64, within: u64) -> SetBack {
        SetBack {
            by: Duration::from_secs(by),
            at: Timestamp::from_micros(at * 1_000_000),
            within: Duration::from_secs(within),
        }
    }

    fn second(at: i64) -> Timestamp {
        Timestamp::from_micros(at * 1_000_000)
    }

    #[test]
    fn a_clock_behind_what_was_put_to_sleep_was_set_back() {
        assert_eq!(SetBack::guess(second(1_000), second(1_500), None), None);
        assert_eq!(SetBack::guess(second(1_000), second(999), None), None);
        let guess = SetBack::guess(second(5_000), second(1_400), None);
        assert_eq!(guess, Some(step(3_600, 1_400, 0)));
        let told = |by, at| LastSetBack {
            step: step(by, at, 1),
            is_guess: false,
        };
        let again = |last| SetBack::guess(second(5_000), second(1_400), Some(&last));
        assert_eq!(again(told(3_600, 1_390)), None);
        assert_eq!(again(told(3_600, 1_000)), guess);
        assert_eq!(again(told(600, 1_390)), guess);
    }

    #[test]
    fn of_what_was_guessed_too_low_the_rest_is_done() {
        let last = |is_guess| LastSetBack {
            step: step(3_000, 1_002, 0),
            is_guess,
        };
        let seen = step(3_600, 1_001, 1);
        assert_eq!(last(true).rest_of(seen), Some(step(600, 1_001, 1)));
        assert_eq!(last(false).rest_of(seen), Some(seen));
        assert_eq!(last(true).rest_of(step(3_000, 1_001, 1)), None);
        let other = step(60, 1_001, 1);
        assert_eq!(last(true).rest_of(other), Some(other));
        let later = step(3_600, 2_000, 1);
        assert_eq!(last(true).rest_of(later), Some(later));
    }

    #[test]
    fn two_processes_notice_one_step() {
        let first = step(3_600, 1_000, 1);
        assert!(step(3_600, 1_001, 1).is_the_same_as(&first));
        assert!(step(3_601, 999, 1).is_the_same_as(&first));
        // One that was stopped meanwhile notices it later.
        assert!(step(3_600, 1_500, 600).is_the_same_as(&first));
        assert!(!step(3_600, 1_500, 1).is_the_same_as(&first));
        assert!(!step(60, 1_001, 1).is_the_same_as(&first));
    }
}
