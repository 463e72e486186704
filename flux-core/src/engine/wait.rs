//! Waiting for an execution that somebody else drives, or nobody yet.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, select};
use tokio::sync::Notify;

use super::{Engine, Inner};
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, StoreError};

/// The pace at which an execution is looked at that another engine drives: its commits are not announced.
const PACE: Duration = Duration::from_millis(50);

/// Many who wait look less often, so that together they read no more than this often.
const READ_EVERY: Duration = Duration::from_micros(200);

/// More than these do not all look at each piece of news.
const MANY: usize = 64;

/// Those who wait for executions, by execution: one is told when its execution begins or ends to be driven here.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    bells: Mutex<BTreeMap<ExecutionId, (Arc<Notify>, usize)>>,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, (Arc<Notify>, usize)>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether there are so many that each piece of news of the store would start a stampede.
    fn are_many(&self) -> bool {
        self.lock().len() > MANY
    }

    /// How often each may look by itself.
    fn pace(&self) -> Duration {
        let count = u32::try_from(self.lock().len()).unwrap_or(u32::MAX);
        PACE.max(READ_EVERY * count)
    }
}

/// One who waits.
struct Waiter<'a> {
    engine: &'a Inner,
    id: &'a ExecutionId,
    bell: Arc<Notify>,
}

impl<'a> Waiter<'a> {
    fn new(engine: &'a Inner, id: &'a ExecutionId) -> Self {
        let bell = engine.waiters.enter(id);
        Self { engine, id, bell }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.engine.waiters.leave(self.id);
    }
}

impl Engine {
    /// Waits until an execution has finished or paused, whoever drives it.
    pub(crate) async fn wait_settled(&self, id: &ExecutionId) -> Result<Snapshot, Error> {
        let engine = self.inner();
        let waiter = Waiter::new(engine, id);
        loop {
            let rung = waiter.bell.notified();
            if let Some(active) = engine.active.get(id) {
                match active.settled().await {
                    Some(Ok(snapshot)) if !is_settled(snapshot.record.status) => {}
                    Some(settled) => return settled,
                    None => {}
                }
                continue;
            }
            let are_many = engine.waiters.are_many();
            // From before the look on, so that nothing is missed.
            let changed = (!are_many).then(|| engine.store.changed());
            let pace = tokio::time::sleep(engine.waiters.pace());
            let record = engine.record(id).await?;
            if is_settled(record.status) {
                return Ok(engine.snapshot(record).await?);
            }
            if engine.is_active(id) {
                continue;
            }
            if engine.is_stranded(&record).await? {
                return Err(Error::Interrupted { id: id.clone() });
            }
            let is_driven_elsewhere = record.owner.is_some();
            let news = async {
                match changed {
                    Some(changed) if !is_driven_elsewhere => changed.await,
                    _ => {}
                }
                pace.await;
            };
            if let Either::Left(_) = select(pin!(rung), pin!(news)).await {
                // Whoever rang is at work or has just ended it.
            }
        }
    }
}

fn is_settled(status: Status) -> bool {
    status.is_finished() || status == Status::Paused
}

impl Inner {
    /// Nobody drives it and nobody will by himself: its driver went with its runtime, or gave it up.
    async fn is_stranded(&self, record: &ExecutionRecord) -> Result<bool, StoreError> {
        let has_hope = record.status == Status::Pending
            || self.has_worker()
            || self.active.is_claiming(&record.id);
        if has_hope {
            return Ok(false);
        }
        if let Some(owner) = record.owner {
            return Ok(owner == self.worker.id());
        }
        let is_ready = record
            .ready_at
            .is_some_and(|ready| ready <= self.clock.now());
        Ok(is_ready && !self.has_colleagues().await?)
    }

    /// Whether anybody else is there who might be a worker.
    async fn has_colleagues(&self) -> Result<bool, StoreError> {
        let workers = self.store.workers().await?;
        let mine = self.worker.id();
        Ok(workers
            .iter()
            .any(|worker| worker.is_alive && worker.id != mine))
    }
}
