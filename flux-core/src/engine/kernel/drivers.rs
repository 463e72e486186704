//! The executions this process drives: who waits for them, and what stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tracing::Instrument;

use super::wire::{Begin, DriverInput, Halt};
use crate::engine::driver::Driver;
use crate::engine::kernel::Kernel;
use crate::engine::verb::shutdown::Stopping;
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::ExecutionId;
use crate::store::ExecutionRecord;
use crate::sync::lock;
use crate::workflow::WorkflowDef;

/// A driver that has given its execution up is gone within this, unless its runtime is badly overloaded.
const LEAVING: Duration = Duration::from_secs(2);

/// How a driver ended.
pub(crate) type Settled = Result<Snapshot, Error>;

/// Called once when a driver has ended, unless it is dropped.
pub(crate) type OnSettled = Box<dyn FnOnce(&Settled) + Send>;

/// The drivers of this process by execution.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    drivers: Mutex<BTreeMap<ExecutionId, Active>>,
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
    fn by_caller() -> Self {
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
    fn leave(&self) {
        self.by_caller.store(false, Ordering::Relaxed);
    }

    /// Whether its parent waits for it from now on.
    fn set_parent(&self, is_here: bool) {
        self.by_parent.store(is_here, Ordering::Relaxed);
    }
}

/// What is known of a driver from outside.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    number: u64,
    sender: mpsc::UnboundedSender<DriverInput>,
    progress: watch::Receiver<DriverProgress>,
    /// Whoever drove it has dropped it; it is about to vanish.
    abandoned: bool,
    attendance: Attendance,
    abort: Arc<OnceLock<tokio::task::AbortHandle>>,
}

/// How far a driver has come.
#[derive(Clone, Debug)]
enum DriverProgress {
    Starting,
    Started,
    /// Nothing was started.
    Refused(Refusal),
    Settled(Box<Settled>),
}

impl Drivers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, Active>> {
        lock(&self.drivers)
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

    /// Refuses a second driver of one execution in this process.
    fn enter(&self, id: &ExecutionId, active: Active) -> Result<(), Error> {
        let mut drivers = self.lock();
        if drivers.contains_key(id) {
            return Err(Error::AlreadyRunning {
                id: id.clone(),
                by: "this process".to_owned(),
            });
        }
        drivers.insert(id.clone(), active);
        drop(drivers);
        self.changes.notify_waiters();
        Ok(())
    }

    fn leave(&self, id: &ExecutionId, number: u64) {
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

    fn abandon(&self, id: &ExecutionId, number: u64) {
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
        if let Some(abort) = self.abort.get() {
            abort.abort();
        }
    }

    /// Waits until the start is durable, or is not to be.
    pub(crate) async fn begun(self) {
        begun(self.progress).await;
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

/// Waits until a start is durable, or is not to be.
async fn begun(mut progress: watch::Receiver<DriverProgress>) {
    let is_starting = |progress: &DriverProgress| matches!(progress, DriverProgress::Starting);
    // An error means that the driver is gone, which is an answer too.
    let _ = progress.wait_for(|progress| !is_starting(progress)).await;
}

/// A driver that was just set to work.
#[derive(Debug)]
pub(crate) struct Driving {
    guard: DriverGuard,
    progress: watch::Receiver<DriverProgress>,
}

/// Why a start began nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An execution of this id exists.
    Exists,
    /// As many as may run beside this one do; the oldest of them.
    Full(ExecutionId),
    /// An unfinished execution has the same dedup key.
    Duplicate(ExecutionId),
}

impl Driving {
    /// Lets the driver run on by itself, whether or not this is kept.
    pub(crate) fn detach(&mut self) {
        self.guard.release();
    }

    /// Waits until the start, or the replay, has succeeded.
    pub(crate) async fn started(&self) -> Result<Result<(), Refusal>, Error> {
        let mut progress = self.progress.clone();
        loop {
            match &*progress.borrow_and_update() {
                DriverProgress::Starting => {}
                DriverProgress::Started => return Ok(Ok(())),
                DriverProgress::Refused(refusal) => return Ok(Err(refusal.clone())),
                DriverProgress::Settled(settled) => return (**settled).clone().map(|_| Ok(())),
            }
            if progress.changed().await.is_err() {
                return Err(self.guard.vanished());
            }
        }
    }

    /// Waits until the execution has settled; dropping this future stops the driver, as a crash would.
    pub(crate) async fn settled(mut self) -> Result<Result<Snapshot, Refusal>, Error> {
        loop {
            match &*self.progress.borrow_and_update() {
                DriverProgress::Starting | DriverProgress::Started => {}
                DriverProgress::Refused(refusal) => return Ok(Err(refusal.clone())),
                DriverProgress::Settled(settled) => {
                    let settled = (**settled).clone();
                    return settled.and_then(|snapshot| self.guard.settled(snapshot));
                }
            }
            if self.progress.changed().await.is_err() {
                let last = self.progress.borrow();
                return match &*last {
                    DriverProgress::Settled(settled) => {
                        let settled = (**settled).clone();
                        settled.and_then(|snapshot| self.guard.settled(snapshot))
                    }
                    _ => Err(self.guard.vanished()),
                };
            }
        }
    }

    pub(crate) fn into_guard(self) -> DriverGuard {
        self.guard
    }
}

/// Stops a driver when it is dropped, as a crash would.
#[derive(Debug)]
pub(crate) struct DriverGuard {
    kernel: Arc<Kernel>,
    id: ExecutionId,
    number: u64,
    abort: Option<tokio::task::AbortHandle>,
    attendance: Attendance,
}

impl DriverGuard {
    /// Lets the driver run on by itself.
    pub(crate) fn detach(mut self) {
        self.release();
    }

    fn release(&mut self) {
        self.leave_unattended();
        self.attendance.set_parent(false);
        self.abort = None;
    }

    /// Its parent is driven beside it, and is told by it.
    pub(crate) fn hand_to_parent(&self) {
        self.leave_unattended();
        self.attendance.set_parent(true);
    }

    /// Nobody waits for this driver in person: it may put its execution to sleep.
    pub(crate) fn leave_unattended(&self) {
        self.attendance.leave();
    }

    /// A driver that gave its execution up for a shutdown has not brought it to an end.
    fn settled(&self, snapshot: Snapshot) -> Result<Result<Snapshot, Refusal>, Error> {
        match snapshot.record.status {
            Status::Pending | Status::Running => Err(self.vanished()),
            _ => Ok(Ok(snapshot)),
        }
    }

    fn vanished(&self) -> Error {
        Error::Interrupted {
            id: self.id.clone(),
        }
    }
}

impl Drop for DriverGuard {
    fn drop(&mut self) {
        if let Some(abort) = self.abort.take() {
            self.kernel.drivers.abandon(&self.id, self.number);
            abort.abort();
        }
    }
}

/// Takes the driver out of the set when it ends, or is dropped wherever it stands.
struct Leave {
    kernel: Arc<Kernel>,
    id: ExecutionId,
    number: u64,
    /// In here, so that it closes after the driver has left the set: whoever waits for that may resume at once.
    report: watch::Sender<DriverProgress>,
}

impl Leave {
    fn leave(&self) {
        self.kernel.drivers.leave(&self.id, self.number);
        self.kernel.waiters.ring(&self.id);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The right of one caller in this process to claim an execution; held until it drives it.
#[derive(Debug)]
pub(crate) struct Claiming {
    /// Weak, since a claim that the store never answers must not keep its engine alive.
    kernel: Weak<Kernel>,
    id: ExecutionId,
}

impl Claiming {
    pub(crate) fn id(&self) -> &ExecutionId {
        &self.id
    }
}

impl Drop for Claiming {
    fn drop(&mut self) {
        if let Some(kernel) = self.kernel.upgrade() {
            kernel.drivers.claiming().remove(&self.id);
        }
    }
}

impl Kernel {
    /// Nothing where somebody in this process drives the execution or is about to.
    pub(crate) fn begin_claim(self: &Arc<Self>, id: &ExecutionId) -> Option<Claiming> {
        let drivers = self.drivers.lock();
        let is_mine = !drivers.contains_key(id) && self.drivers.claiming().insert(id.clone());
        is_mine.then(|| Claiming {
            kernel: Arc::downgrade(self),
            id: id.clone(),
        })
    }

    /// The right to claim an execution that nobody in this process drives.
    pub(crate) async fn claim_alone(self: &Arc<Self>, id: &ExecutionId) -> Result<Claiming, Error> {
        self.see_off(id).await;
        self.begin_claim(id).ok_or_else(|| Error::AlreadyRunning {
            id: id.clone(),
            by: "this process".to_owned(),
        })
    }

    /// Waits until a driver whose future was dropped is gone: it is on its way out. Whether there was one.
    pub(crate) async fn see_off(&self, id: &ExecutionId) -> bool {
        match self.drivers.get(id) {
            Some(active) if active.is_abandoned() => {
                active.gone().await;
                true
            }
            _ => false,
        }
    }

    /// The row of an execution, once a driver in this process is gone that has given it up or was dropped: to its caller, it
    /// is not driven here any more.
    pub(crate) async fn record_left(&self, id: &ExecutionId) -> Result<ExecutionRecord, Error> {
        // That its future was dropped was a crash, and this comes after it.
        self.see_off(id).await;
        let record = self.record(id).await?;
        let is_given_up = record.owner.is_none() && !record.status.is_finished();
        match self.drivers.get(id).filter(|_| is_given_up) {
            Some(leaving) => {
                // Perhaps it is not leaving, but has claimed the execution since.
                let _ = tokio::time::timeout(LEAVING, leaving.gone()).await;
                self.record(id).await
            }
            None => Ok(record),
        }
    }

    pub(crate) fn is_active(&self, id: &ExecutionId) -> bool {
        self.drivers.get(id).is_some()
    }

    /// Sets a driver to work on the caller's runtime. Refused where one is at work; what was claimed is then released.
    pub(crate) fn drive(
        self: &Arc<Self>,
        def: &'static WorkflowDef,
        id: ExecutionId,
        mut begin: Begin,
        on_settled: Option<OnSettled>,
    ) -> Result<Driving, Error> {
        let (sender, inputs) = mpsc::unbounded_channel();
        let (report, progress) = watch::channel(DriverProgress::Starting);
        let number = self.drivers.next.fetch_add(1, Ordering::Relaxed);
        let attendance = Attendance::by_caller();
        let abort_later = Arc::new(OnceLock::new());
        let active = Active {
            number,
            sender: sender.clone(),
            progress: progress.clone(),
            abandoned: false,
            attendance: attendance.clone(),
            abort: Arc::clone(&abort_later),
        };
        // What was claimed under a refused `begin` is released as that is dropped.
        self.drivers.enter(&id, active)?;
        begin.entered();
        self.waiters.ring(&id);
        let leave = Leave {
            kernel: Arc::clone(self),
            id: id.clone(),
            number,
            report,
        };
        let span = tracing::info_span!("execution", execution_id = %id, workflow = def.name);
        let driver = Driver::new(self, def, id.clone(), sender, inputs, attendance.clone());
        // On the heap once: a driver is large, and tokio moves what it spawns several times.
        let driving = Box::pin(async move {
            let ended = driver
                .run(begin, || {
                    drop(leave.report.send_replace(DriverProgress::Started));
                })
                .await;
            // Out of the set first: whoever is told of the end may resume at once.
            leave.leave();
            match ended {
                Err(Halt::Refused(refusal)) => {
                    drop(leave.report.send_replace(DriverProgress::Refused(refusal)));
                }
                Err(Halt::Error(error)) => settle(&leave.report, on_settled, Err(error)),
                // A driver handles both itself, and gives the execution up where it cannot.
                Err(Halt::Unread | Halt::PutOff) => {
                    let id = leave.id.clone();
                    settle(&leave.report, on_settled, Err(Error::TakenOver { id }));
                }
                Ok(snapshot) => settle(&leave.report, on_settled, Ok(snapshot)),
            }
        });
        let abort = tokio::spawn(driving.instrument(span)).abort_handle();
        let _ = abort_later.set(abort.clone());
        let guard = DriverGuard {
            kernel: Arc::clone(self),
            id,
            number,
            abort: Some(abort),
            attendance,
        };
        Ok(Driving { guard, progress })
    }
}

fn settle(report: &watch::Sender<DriverProgress>, on_settled: Option<OnSettled>, settled: Settled) {
    if let Some(on_settled) = on_settled {
        on_settled(&settled);
    }
    report.send_replace(DriverProgress::Settled(Box::new(settled)));
}
