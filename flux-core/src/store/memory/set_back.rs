//! What a clock that is set back does to those who wait.

use super::State;
use crate::execution::Status;
use crate::store::SetBack;

impl State {
    pub(super) fn clock_set_back(&mut self, step: SetBack) {
        let earlier = self.set_back.as_ref();
        if earlier.is_some_and(|earlier| step.is_the_same_as(earlier)) {
            return;
        }
        self.set_back = Some(step);
        for entry in &mut self.executions {
            let record = &mut entry.record;
            let is_shifted = match record.status {
                Status::Running | Status::Paused => record.owner.is_none(),
                Status::Pending => {
                    record.placement.is_delay
                        && entry.is_delayed
                        && !step.is_before(record.created_at)
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
