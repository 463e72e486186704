//! Queues and their limits.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::MemoryState;
use crate::clock::Timestamp;
use crate::status::Status;
use crate::store::{QueueChange, QueueRecord, QueueSettings, Rate, is_to_come};

/// A queue that somebody has set limits for, or that something was started from.
#[derive(Default)]
pub(super) struct MemoryQueue {
    pub(super) settings: QueueSettings,
    /// The latest starts, for the rate.
    starts: VecDeque<Timestamp>,
    /// The partition that had its turn last.
    pub(super) last_partition: Option<Arc<str>>,
}

impl MemoryQueue {
    /// How many may start now, by the rate alone, and when the next may if none may now.
    pub(super) fn allowance(&mut self, now: Timestamp) -> (usize, Option<Timestamp>) {
        let Some(Rate { count, per }) = self.settings.rate else {
            return (usize::MAX, None);
        };
        while self
            .starts
            .front()
            .is_some_and(|start| start.after(per) <= now)
        {
            self.starts.pop_front();
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // Before what was started before the clock was set back.
        let counted = self
            .starts
            .iter()
            .take_while(|start| !is_to_come(**start, now));
        let counted = counted.count();
        let left = count.saturating_sub(counted);
        let oldest_that_counts = counted.checked_sub(count).and_then(|i| self.starts.get(i));
        (left, oldest_that_counts.map(|start| start.after(per)))
    }

    pub(super) fn note_start(&mut self, at: Timestamp) {
        if self.settings.rate.is_some() {
            self.starts.retain(|start| !is_to_come(*start, at));
            self.starts.push_back(at);
        }
    }
}

impl MemoryState {
    pub(super) fn queue_settings(&self, name: &str) -> QueueSettings {
        self.queues
            .get(name)
            .map(|queue| queue.settings.clone())
            .unwrap_or_default()
    }

    pub(super) fn set_queue(&mut self, name: &str, change: QueueChange) -> QueueSettings {
        let queue = self.queue_mut(&name.into());
        change.apply(&mut queue.settings);
        queue.settings.clone()
    }

    pub(super) fn queue_mut(&mut self, name: &Arc<str>) -> &mut MemoryQueue {
        self.queues.entry(Arc::clone(name)).or_default()
    }

    pub(super) fn queues(&self) -> Vec<QueueRecord> {
        let limited =
            |(_, queue): &(&Arc<str>, &MemoryQueue)| queue.settings != QueueSettings::default();
        let limited = self.queues.iter().filter(limited);
        let mut names: BTreeSet<Arc<str>> = limited.map(|(name, _)| Arc::clone(name)).collect();
        let records = self.executions.iter().map(|entry| &entry.record);
        let unfinished = records.filter(|record| !record.status.is_finished());
        names.extend(unfinished.filter_map(|record| record.placement.queue.clone()));
        let record = |name: Arc<str>| QueueRecord {
            settings: self.queue_settings(&name),
            pending: self.count(&name, |status| status == Status::Pending),
            running: self.count(&name, is_inside),
            name,
        };
        names.into_iter().map(record).collect()
    }

    /// How many of a queue have started and not finished.
    pub(super) fn running_of(&self, queue: &str) -> u64 {
        self.count(queue, is_inside)
    }

    fn count(&self, queue: &str, status: impl Fn(Status) -> bool) -> u64 {
        let records = self.executions.iter().map(|entry| &entry.record);
        let of_queue = records.filter(|record| record.placement.queue.as_deref() == Some(queue));
        of_queue.filter(|record| status(record.status)).count() as u64
    }
}

fn is_inside(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused)
}
