//! The workers of this engine, as the rest of it knows them: how many there are, and how to call them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::Inner;

/// The workers of one engine.
#[derive(Debug)]
pub(crate) struct Local {
    count: AtomicUsize,
    calls: watch::Sender<u64>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            calls: watch::Sender::new(0),
        }
    }
}

impl Local {
    /// There may be work: whoever rests until there is looks for it.
    pub(crate) fn call(&self) {
        if self.calls.receiver_count() > 0 {
            self.calls.send_modify(|calls| *calls += 1);
        }
    }

    /// Counts a worker in for as long as this is kept.
    pub(super) fn enter(engine: &std::sync::Arc<Inner>) -> Present {
        engine.workers.count.fetch_add(1, Ordering::AcqRel);
        Present(std::sync::Arc::clone(engine))
    }

    /// Tells of every call.
    pub(crate) fn calls(&self) -> watch::Receiver<u64> {
        self.calls.subscribe()
    }
}

/// A worker that is at work.
#[derive(Debug)]
pub(super) struct Present(std::sync::Arc<Inner>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.workers.count.fetch_sub(1, Ordering::AcqRel);
        // Whoever waited for it to see to something has to see to it himself.
        self.0.workers.call();
    }
}

impl Inner {
    /// Whether a worker of this engine wakes what it puts to sleep.
    pub(crate) fn has_worker(&self) -> bool {
        self.workers.count.load(Ordering::Acquire) > 0
    }

    /// How long an execution may wait in memory; `None` where nobody would wake it.
    pub(crate) fn idle_limit(&self) -> Option<Duration> {
        self.has_worker().then_some(self.idle_after)
    }
}
