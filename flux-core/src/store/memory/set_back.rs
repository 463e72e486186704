//! What a clock that is set back does to those who wait.

use super::MemoryState;
use crate::clock::Timestamp;
use crate::id::{Epoch, ExecutionKey};
use crate::status::Status;
use crate::store::{Commit, Correction, LastSetBack, SetBack, Target, is_to_come};

impl MemoryState {
    pub(super) fn clock_set_back(&mut self, step: SetBack) {
        self.last_sleep = self.last_sleep.min(Some(step.at));
        let last = self.set_back.as_ref();
        let Some(rest) = last.map_or(Some(step), |last| last.rest_of(step)) else {
            return;
        };
        self.set_back = Some(LastSetBack {
            step,
            is_guess: false,
        });
        self.shift(rest, |created_at| !rest.is_before(created_at));
    }

    pub(super) fn compare_clock(&mut self, now: Timestamp) -> Option<LastSetBack> {
        let latest = self.last_sleep;
        if latest.is_some_and(|latest| is_to_come(latest, now)) {
            self.last_sleep = Some(now);
        }
        let last = self.set_back.as_ref();
        if let Some(step) = latest.and_then(|latest| SetBack::guess(latest, now, last)) {
            self.set_back = Some(LastSetBack {
                step,
                is_guess: true,
            });
            self.shift(step, |created_at| is_to_come(created_at, now));
        }
        self.set_back
    }

    /// Notes when something was put to sleep, or delayed, for a length of time.
    pub(super) fn note_sleeps(&mut self, commit: &Commit) {
        let release = commit.change.as_ref().and_then(|change| change.release);
        let asleep =
            release.and_then(|release| release.reckoned_at.filter(|_| release.ready_at.is_some()));
        let target = match &commit.target {
            Target::New(new) => Some(&**new),
            Target::Existing { .. } => None,
        };
        let new = target
            .into_iter()
            .chain(commit.children.iter().map(|child| &child.new));
        let delayed = new
            .filter(|new| new.placement.is_delay)
            .map(|new| new.created_at);
        self.last_sleep = delayed.chain(asleep).chain(self.last_sleep).max();
    }

    pub(super) fn correct_ready_at(
        &mut self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) {
        let Correction { wrong, right, now } = correction;
        self.last_sleep = self.last_sleep.min(Some(now));
        let Some(record) = self.entry_mut(key).map(|entry| &mut entry.record) else {
            return;
        };
        if record.epoch == epoch && record.owner.is_none() && record.ready_at == Some(wrong) {
            record.ready_at = Some(right);
        }
    }

    fn shift(&mut self, step: SetBack, is_of_before: impl Fn(Timestamp) -> bool) {
        for entry in &mut self.executions {
            let record = &mut entry.record;
            let is_shifted = match record.status {
                Status::Running | Status::Paused => record.owner.is_none(),
                Status::Pending => {
                    record.placement.is_delay && entry.is_delayed && is_of_before(record.created_at)
                }
                _ => false,
            };
            let Some(ready) = record.ready_at.filter(|ready| *ready > step.at) else {
                continue;
            };
            if is_shifted {
                let ready = step.shifted(ready);
                record.ready_at = Some(ready);
                if record.status == Status::Pending {
                    record.placement.due = Some(ready);
                }
            }
        }
    }
}
