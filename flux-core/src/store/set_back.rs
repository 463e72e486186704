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

/// The clock of this machine was set back: what [`clock_set_back`](super::Store::clock_set_back) is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetBack {
    /// By how much.
    pub by: Duration,
    /// When that was noticed, by the clock as it is now.
    pub at: Timestamp,
    /// How long before that it can have happened.
    pub within: Duration,
}

impl SetBack {
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
