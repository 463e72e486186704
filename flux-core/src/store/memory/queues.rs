//! Queues and their limits.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::MemoryState;
use super::allowance::MemoryQueue;
use crate::status::Status;
use crate::store::{QueueChange, QueueRecord, QueueSettings};

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
