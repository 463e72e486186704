//! The executions this process drives: who waits for them, and what stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, mpsc, watch};

use super::input::DriverInput;
use super::progress::{DriverProgress, Settled, TaskSlot};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::sync::lock;

/// The drivers of this process by execution.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    active: Mutex<BTreeMap<ExecutionId, Active>>,
    /// Those that somebody is claiming from the store, to drive them: a second claim by this process would
    /// succeed, too, and fence the first.
    claiming: Mutex<BTreeSet<ExecutionId>>,
    next: AtomicU64,
    changes: Notify,
    /// Whether a task watches for what other processes send to them.
    is_watched: AtomicBool,
}

/// Who waits for a driver in this process, beyond its execution itself.
#[derive(Clone, Debug)]
pub(crate) struct Attendance {
    /// A caller, in person: the driver does not leave memory meanwhile.
    by_caller: Arc<AtomicBool>,
    /// The driver of its parent, which hears from it directly.
    by_parent: Arc<AtomicBool>,
}

impl Attendance {
    /// The caller who set the driver to work waits for it.
    pub(super) fn by_caller() -> Self {
        Self {
            by_caller: Arc::new(AtomicBool::new(true)),
            by_parent: Arc::default(),
        }
    }

    pub(crate) fn is_by_caller(&self) -> bool {
        self.by_caller.load(Ordering::Relaxed)
    }

    pub(crate) fn is_by_parent(&self) -> bool {
        self.by_parent.load(Ordering::Relaxed)
    }

    /// The caller waits no longer.
    pub(super) fn leave(&self) {
        self.by_caller.store(false, Ordering::Relaxed);
    }

    /// Whether its parent waits for it from now on.
    pub(super) fn set_parent(&self, is_here: bool) {
        self.by_parent.store(is_here, Ordering::Relaxed);
    }
}

/// What is known of a driver from outside.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(super) number: u64,
    pub(super) sender: mpsc::UnboundedSender<DriverInput>,
    pub(super) progress: watch::Receiver<DriverProgress>,
    /// Whoever drove it has dropped it; it is about to vanish.
    pub(super) abandoned: bool,
    pub(super) attendance: Attendance,
    pub(super) task: TaskSlot,
}

/// Which drivers of an engine are to stop.
pub(crate) enum Stopping {
    /// Those of one worker, while others of its engine work on.
    These(BTreeSet<ExecutionId>),
    /// All that no caller waits for in person, whatever began them.
    Unattended,
    /// All. What waits for one in person gets an error.
    All,
}

impl Drivers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, Active>> {
        lock(&self.active)
    }

    pub(crate) fn get(&self, id: &ExecutionId) -> Option<Active> {
        self.lock().get(id).cloned()
    }

    /// Whether somebody in this process is about to drive it.
    pub(crate) fn is_claiming(&self, id: &ExecutionId) -> bool {
        self.claiming().contains(id)
    }

    /// The drivers whose futures were dropped and that are not gone yet.
    pub(crate) fn abandoned(&self) -> Vec<Active> {
        let drivers = self.lock();
        let abandoned = drivers.values().filter(|active| active.abandoned);
        abandoned.cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Tells a driver that its inbox has changed; `false` where none is driving.
    pub(crate) fn notify_inbox(&self, id: &ExecutionId) -> bool {
        self.lock()
            .get(id)
            .is_some_and(|active| active.sender.send(DriverInput::Inbox).is_ok())
    }

    /// Whether the caller is the one that is to watch for what other processes send to these executions.
    pub(crate) fn begin_watch(&self) -> bool {
        !self.is_watched.swap(true, Ordering::AcqRel)
    }

    /// The watch has ended: the next driver that waits begins another.
    pub(crate) fn end_watch(&self) {
        self.is_watched.store(false, Ordering::Release);
    }

    /// Asks drivers that only wait to put their executions to sleep.
    pub(crate) fn ask_to_rest(&self) {
        for active in self.lock().values() {
            let _ = active.sender.send(DriverInput::Rest);
        }
    }

    /// Asks drivers to give their executions up once no body runs; those that are still there.
    pub(crate) fn ask_to_retire(&self, which: &Stopping) -> Vec<ExecutionId> {
        let drivers = self.lock();
        let mut asked = Vec::new();
        for (id, active) in drivers.iter() {
            match which {
                Stopping::These(ids) if !ids.contains(id) => continue,
                Stopping::Unattended if active.attendance.is_by_caller() => continue,
                Stopping::All => active.attendance.leave(),
                Stopping::These(_) | Stopping::Unattended => {}
            }
            let _ = active.sender.send(DriverInput::Retire);
            asked.push(id.clone());
        }
        asked
    }

    /// Resolves when a driver has entered or left since the call.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + '_ {
        self.changes.notified()
    }

    /// Tells every driver to look into its inbox.
    pub(crate) fn notify_all(&self) {
        for active in self.lock().values() {
            let _ = active.sender.send(DriverInput::Inbox);
        }
    }

    fn claiming(&self) -> MutexGuard<'_, BTreeSet<ExecutionId>> {
        lock(&self.claiming)
    }

    pub(crate) fn contains(&self, id: &ExecutionId) -> bool {
        self.lock().contains_key(id)
    }

    /// Gives the right to claim an execution, unless it is driven in this process or is about to be.
    pub(crate) fn begin_claim(self: &Arc<Self>, id: &ExecutionId) -> Option<Claiming> {
        let drivers = self.lock();
        let is_mine = !drivers.contains_key(id) && self.claiming().insert(id.clone());
        is_mine.then(|| Claiming {
            drivers: Arc::clone(self),
            id: id.clone(),
        })
    }

    /// Gives the right to claim an execution that is not driven in this process.
    pub(crate) async fn claim_alone(self: &Arc<Self>, id: &ExecutionId) -> Result<Claiming, Error> {
        self.see_off(id).await;
        self.begin_claim(id).ok_or_else(|| driven_here(id))
    }

    /// Waits until a driver whose future was dropped is gone: it is on its way out. Whether there was one.
    pub(crate) async fn see_off(&self, id: &ExecutionId) -> bool {
        match self.get(id) {
            Some(active) if active.is_abandoned() => {
                active.gone().await;
                true
            }
            _ => false,
        }
    }

    /// Gives a driver its place, and its caller the hold on it. Refuses a second driver of one execution in this process.
    pub(super) fn enter(&self, id: &ExecutionId, active: Active) -> Result<(), Error> {
        let mut drivers = self.lock();
        if drivers.contains_key(id) {
            return Err(driven_here(id));
        }
        drivers.insert(id.clone(), active);
        drop(drivers);
        self.changes.notify_waiters();
        Ok(())
    }

    /// A number that no other driver of this process has.
    pub(super) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A driver is gone.
    pub(super) fn leave(&self, id: &ExecutionId, number: u64) {
        let mut drivers = self.lock();
        if drivers
            .get(id)
            .is_some_and(|active| active.number == number)
        {
            drivers.remove(id);
        }
        drop(drivers);
        self.changes.notify_waiters();
    }

    /// The future of a driver was dropped.
    pub(super) fn abandon(&self, id: &ExecutionId, number: u64) {
        if let Some(active) = self
            .lock()
            .get_mut(id)
            .filter(|active| active.number == number)
        {
            active.abandoned = true;
        }
    }
}

impl Active {
    /// Whether whoever drove it has let go of it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Drops the driver where it stands, as in a crash.
    pub(crate) fn abort(&self) {
        if let Some(abort) = self.task.get() {
            abort.abort();
        }
    }

    /// Waits until the start is durable, or is not to be.
    pub(crate) async fn begun(mut self) {
        let is_starting = |progress: &DriverProgress| matches!(progress, DriverProgress::Starting);
        // An error means that the driver is gone, which is an answer too.
        let progress = self.progress.wait_for(|progress| !is_starting(progress));
        let _ = progress.await;
    }

    /// Waits until the driver is gone, however it went.
    pub(crate) async fn gone(mut self) {
        while self.progress.changed().await.is_ok() {}
    }

    /// Waits until the execution has settled; `None` when its driver vanished before.
    pub(crate) async fn settled(mut self) -> Option<Settled> {
        loop {
            if let DriverProgress::Settled(settled) = &*self.progress.borrow_and_update() {
                return Some((**settled).clone());
            }
            if self.progress.changed().await.is_err() {
                let last = self.progress.borrow();
                return match &*last {
                    DriverProgress::Settled(settled) => Some((**settled).clone()),
                    _ => None,
                };
            }
        }
    }
}

/// The right of one caller in this process to claim an execution; held until it drives it.
///
/// It does not hold its engine: a claim that the store never answers must not keep that alive.
#[derive(Debug)]
pub(crate) struct Claiming {
    drivers: Arc<Drivers>,
    id: ExecutionId,
}

impl Claiming {
    pub(crate) fn id(&self) -> &ExecutionId {
        &self.id
    }
}

impl Drop for Claiming {
    fn drop(&mut self) {
        self.drivers.claiming().remove(&self.id);
    }
}

fn driven_here(id: &ExecutionId) -> Error {
    Error::AlreadyRunning {
        id: id.clone(),
        by: "this process".to_owned(),
    }
}
