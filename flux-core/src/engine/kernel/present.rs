//! The workers of this engine, as the rest of it knows them: what they serve, and how to call them.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{Either, select};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::id::WorkerId;
use crate::store::{ExecutionRecord, Runnable, Serves, Store, StoreError};
use crate::sync::lock;

/// The queues that a worker serves; `None`: all of them.
type Served = Option<BTreeSet<Arc<str>>>;

/// What a worker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Serving {
    queues: Served,
    concurrency: u32,
}

/// The workers of one engine.
#[derive(Debug)]
pub(crate) struct LocalWorkers {
    present: Mutex<Vec<Serving>>,
    calls: watch::Sender<u64>,
    /// Set for good by the engine's shutdown: by when its workers are to have stopped.
    closing: watch::Sender<Option<Instant>>,
    /// How many of them are full while something is ready for them.
    wanting: Arc<AtomicUsize>,
    /// One at a time says what they take, so that the last to say it knows of all.
    saying: tokio::sync::Mutex<()>,
}

/// A worker that is full while something is ready for it.
#[derive(Debug)]
pub(crate) struct WantsRoom(Arc<AtomicUsize>);

impl Drop for WantsRoom {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for LocalWorkers {
    fn default() -> Self {
        Self {
            present: Mutex::default(),
            calls: watch::Sender::new(0),
            closing: watch::Sender::new(None),
            wanting: Arc::default(),
            saying: tokio::sync::Mutex::default(),
        }
    }
}

impl LocalWorkers {
    fn present(&self) -> MutexGuard<'_, Vec<Serving>> {
        lock(&self.present)
    }

    /// Whether this engine has a worker at all.
    pub(crate) fn are_present(&self) -> bool {
        !self.present().is_empty()
    }

    /// Whether a worker of this engine sees to what is in this queue, or in none.
    pub(crate) fn serve(&self, queue: Option<&Arc<str>>) -> bool {
        let serves = |serving: &Serving| match (&serving.queues, queue) {
            (Some(served), Some(queue)) => served.contains(queue),
            _ => true,
        };
        self.present().iter().any(serves)
    }

    /// Whether a worker of this engine sees to this execution.
    pub(crate) fn see_to(&self, record: &ExecutionRecord) -> bool {
        self.serve(record.placement.queue.as_ref())
    }

    /// Tells the store what the workers of this engine take together: `code` is what it has code for.
    pub(crate) async fn say_what_is_served(
        &self,
        store: &dyn Store,
        owner: WorkerId,
        code: Vec<Runnable>,
    ) -> Result<(), StoreError> {
        let _saying = self.saying.lock().await;
        store.serve(owner, self.served(code)).await
    }

    fn served(&self, code: Vec<Runnable>) -> Option<Serves> {
        let present = self.present();
        let all = |a: Served, b: &Served| Some(&a? | b.as_ref()?);
        let (first, others) = present.split_first()?;
        let queues = others.iter().map(|serving| &serving.queues);
        Some(Serves {
            queues: queues.fold(first.queues.clone(), all),
            concurrency: present
                .iter()
                .fold(0, |sum, serving| sum.saturating_add(serving.concurrency)),
            code,
        })
    }

    /// There may be work: whoever rests until there is looks for it.
    pub(crate) fn call(&self) {
        if self.calls.receiver_count() > 0 {
            self.calls.send_modify(|calls| *calls += 1);
        }
    }

    /// A worker is full while something is ready for it, for as long as this is kept.
    pub(crate) fn want_room(&self) -> WantsRoom {
        self.wanting.fetch_add(1, Ordering::Relaxed);
        WantsRoom(Arc::clone(&self.wanting))
    }

    /// Whether what only waits is to make room.
    pub(crate) fn wants_room(&self) -> bool {
        self.wanting.load(Ordering::Relaxed) > 0
    }

    /// Tells all workers of the engine to stop.
    pub(crate) fn close(&self, grace: Duration) {
        self.closing.send_replace(Some(Instant::now() + grace));
    }

    /// Tells of the engine's shutdown.
    pub(crate) fn closing(&self) -> watch::Receiver<Option<Instant>> {
        self.closing.subscribe()
    }

    /// Ends when bodies that run have had `grace` to finish, or what the engine's shutdown gives them.
    pub(crate) async fn patience(&self, grace: Duration) {
        let mut closing = self.closing.subscribe();
        let limit = Instant::now() + grace;
        loop {
            let closed = *closing.borrow_and_update();
            let mut limit = pin!(tokio::time::sleep_until(closed.unwrap_or(limit)));
            if closed.is_some() {
                return limit.await;
            }
            let changed = pin!(closing.changed());
            if let Either::Left(_) = select(limit.as_mut(), changed).await {
                return;
            }
        }
    }

    /// Tells of every call.
    pub(crate) fn calls(&self) -> watch::Receiver<u64> {
        self.calls.subscribe()
    }
}

/// A worker that is at work.
#[derive(Debug)]
pub(crate) struct Present {
    workers: Arc<LocalWorkers>,
    serving: Serving,
}

impl Present {
    /// Counts a worker in for as long as this is kept.
    pub(crate) fn enter(workers: &Arc<LocalWorkers>, queues: Served, concurrency: usize) -> Self {
        let serving = Serving {
            queues,
            concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX),
        };
        workers.present().push(serving.clone());
        Self {
            workers: Arc::clone(workers),
            serving,
        }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        {
            let mut present = self.workers.present();
            if let Some(place) = present.iter().position(|other| *other == self.serving) {
                present.swap_remove(place);
            }
        }
        // Whoever waited for it to see to something has to see to it himself.
        self.workers.call();
    }
}
