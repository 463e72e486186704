//! What keeps a pending execution from starting.

use std::sync::Arc;

use super::MemoryState;
use crate::clock::Timestamp;
use crate::id::ExecutionKey;
use crate::status::Status;
use crate::store::Barrier;

impl MemoryState {
    pub(super) fn barrier(&mut self, key: ExecutionKey, now: Timestamp) -> Option<Barrier> {
        let record = &self.entry(key)?.record;
        let is_due = record.placement.is_due(now);
        if record.status != Status::Pending || record.owner.is_some() || !is_due {
            return None;
        }
        let placement = record.placement.clone();
        let before_queue = placement
            .queue
            .and_then(|queue| self.before_queue(&queue, now));
        before_queue.or_else(|| {
            let gate = placement.gate?;
            let holder = self.holder(&gate)?;
            Some(Barrier::GateFull {
                gate: gate.key,
                limit: gate.limit,
                holder,
            })
        })
    }

    fn before_queue(&mut self, name: &Arc<str>, now: Timestamp) -> Option<Barrier> {
        let running = self.running_of(name);
        let queue = self.queue_mut(name);
        let settings = &queue.settings;
        let (limit, rate, is_paused) = (settings.concurrency, settings.rate, settings.is_paused);
        let queue_name = Arc::clone(name);
        if is_paused {
            return Some(Barrier::QueuePaused { queue: queue_name });
        }
        if let Some(limit) = limit.filter(|limit| running >= u64::from(*limit)) {
            return Some(Barrier::QueueFull {
                queue: queue_name,
                limit,
            });
        }
        let rate = rate.filter(|_| queue.allowance(now).0 == 0)?;
        Some(Barrier::QueueRate {
            queue: queue_name,
            rate,
        })
    }
}
