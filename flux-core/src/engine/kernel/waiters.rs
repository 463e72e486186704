//! Those in this process who wait for executions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::error::Error;
use crate::id::ExecutionId;
use crate::sync::lock;
use crate::time::scaled;

/// The pace at which an execution is looked at that another engine drives: its commits are not announced.
pub(crate) const PACE: Duration = Duration::from_millis(50);

/// Many who wait spread their looks, so that together they read no more often than this.
const READ_EVERY: Duration = Duration::from_micros(200);

/// Those who wait for executions, by execution: one is told when its execution begins or ends to be driven here.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    bells: Mutex<BTreeMap<ExecutionId, (Arc<Notify>, usize)>>,
    /// What this program cannot drive, and why: its workers leave it alone.
    hopeless: Mutex<BTreeMap<ExecutionId, Error>>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, (Arc<Notify>, usize)>> {
        lock(&self.bells)
    }

    fn hopeless(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, Error>> {
        lock(&self.hopeless)
    }

    /// Workers of this engine will not try an execution again, for this reason.
    pub(crate) fn give_up(&self, id: &ExecutionId, error: &Error) {
        self.hopeless().insert(id.clone(), error.clone());
        self.ring(id);
    }

    /// An execution could be driven after all.
    pub(crate) fn hope(&self, id: &ExecutionId) {
        self.hopeless().remove(id);
    }

    /// Why workers of this engine do not try an execution again, if they do not.
    pub(crate) fn given_up(&self, id: &ExecutionId) -> Option<Error> {
        self.hopeless().get(id).cloned()
    }

    /// Tells those who wait for it.
    pub(crate) fn ring(&self, id: &ExecutionId) {
        if let Some((bell, _)) = self.lock().get(id) {
            bell.notify_waiters();
        }
    }

    fn enter(&self, id: &ExecutionId) -> Arc<Notify> {
        let mut bells = self.lock();
        let (bell, count) = bells.entry(id.clone()).or_default();
        *count += 1;
        Arc::clone(bell)
    }

    fn leave(&self, id: &ExecutionId) {
        let mut bells = self.lock();
        if let Some((_, count)) = bells.get_mut(id) {
            *count -= 1;
            if *count == 0 {
                bells.remove(id);
            }
        }
    }

    /// How long one waits before it looks at news: many do not all look at the same moment.
    pub(crate) fn pace(&self) -> Duration {
        let count = u32::try_from(self.lock().len()).unwrap_or(u32::MAX);
        let spread = READ_EVERY.saturating_mul(count);
        if spread < PACE {
            return spread;
        }
        scaled(spread, fastrand::f64()).max(PACE)
    }
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Waiter<'a> {
    waiters: &'a Waiters,
    id: &'a ExecutionId,
    bell: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    pub(crate) fn new(waiters: &'a Waiters, id: &'a ExecutionId) -> Self {
        let bell = waiters.enter(id);
        Self { waiters, id, bell }
    }

    /// Resolves when its execution has begun or ended to be driven here since the call.
    pub(crate) fn rung(&self) -> Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.leave(self.id);
    }
}
