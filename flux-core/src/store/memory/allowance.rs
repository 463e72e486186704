//! A queue, and how many may start from it now.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::store::{QueueSettings, Rate, is_to_come};

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
