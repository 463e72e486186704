//! The executions this process drives: who waits for them, and what stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tracing::Instrument;

use super::Inner;
use super::driver::{Begin, Driver, Halt, Input};
use crate::error::Error;
use crate::execution::Snapshot;
use crate::id::ExecutionId;
use crate::workflow::WorkflowDef;

/// How a driver ended.
pub(crate) type Settled = Result<Snapshot, Error>;

/// Called once when a driver has ended, unless it is dropped.
pub(crate) type OnSettled = Box<dyn FnOnce(&Settled) + Send>;

/// The drivers of this process by execution.
#[derive(Debug, Default)]
pub(crate) struct ActiveSet {
    drivers: Mutex<BTreeMap<ExecutionId, Active>>,
    /// Those that somebody is claiming from the store, to drive them: a second claim by this process would
    /// succeed, too, and fence the first.
    claiming: Mutex<BTreeSet<ExecutionId>>,
    next: AtomicU64,
    /// Executions whose driver was dropped where it stood: the store takes this engine for their owner still.
    adrift: Mutex<BTreeSet<ExecutionId>>,
}

/// What is known of a driver from outside.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    number: u64,
    sender: mpsc::UnboundedSender<Input>,
    progress: watch::Receiver<Progress>,
    /// Whoever drove it has dropped it; it is about to vanish.
    abandoned: bool,
}

/// How far a driver has come.
#[derive(Clone, Debug)]
enum Progress {
    Starting,
    Started,
    /// Nothing was started.
    Refused(Refusal),
    Settled(Box<Settled>),
}

impl ActiveSet {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ExecutionId, Active>> {
        self.drivers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, id: &ExecutionId) -> Option<Active> {
        self.lock().get(id).cloned()
    }

    /// Takes the executions whose driver was dropped where it stood.
    pub(crate) fn take_adrift(&self) -> BTreeSet<ExecutionId> {
        std::mem::take(&mut *self.adrift.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_adrift(&self, id: &ExecutionId) {
        let mut adrift = self.adrift.lock().unwrap_or_else(PoisonError::into_inner);
        adrift.insert(id.clone());
    }

    /// Whether somebody in this process is about to drive it.
    pub(crate) fn is_claiming(&self, id: &ExecutionId) -> bool {
        self.claiming().contains(id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Tells a driver that its inbox has changed; `false` where none is driving.
    pub(crate) fn notify_inbox(&self, id: &ExecutionId) -> bool {
        self.lock()
            .get(id)
            .is_some_and(|active| active.sender.send(Input::Inbox).is_ok())
    }

    /// Asks drivers that only wait to put their executions to sleep.
    pub(crate) fn ask_to_rest(&self) {
        for active in self.lock().values() {
            let _ = active.sender.send(Input::Rest);
        }
    }

    /// Asks one driver to give its execution up once no body runs, unless somebody waits for it.
    pub(crate) fn ask_one_to_retire(&self, id: &ExecutionId) {
        if let Some(active) = self.lock().get(id) {
            let _ = active.sender.send(Input::Retire);
        }
    }

    /// Asks drivers to give their executions up once no body runs, unless somebody waits for them.
    pub(crate) fn ask_to_retire(&self) {
        for active in self.lock().values() {
            let _ = active.sender.send(Input::Retire);
        }
    }

    /// Tells every driver to look into its inbox.
    pub(crate) fn notify_all(&self) {
        for active in self.lock().values() {
            let _ = active.sender.send(Input::Inbox);
        }
    }

    fn claiming(&self) -> MutexGuard<'_, BTreeSet<ExecutionId>> {
        self.claiming.lock().unwrap_or_else(PoisonError::into_inner)
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
            if let Progress::Settled(settled) = &*self.progress.borrow_and_update() {
                return Some((**settled).clone());
            }
            if self.progress.changed().await.is_err() {
                let last = self.progress.borrow();
                return match &*last {
                    Progress::Settled(settled) => Some((**settled).clone()),
                    _ => None,
                };
            }
        }
    }
}

/// Waits until a start is durable, or is not to be.
async fn begun(mut progress: watch::Receiver<Progress>) {
    let is_starting = |progress: &Progress| matches!(progress, Progress::Starting);
    // An error means that the driver is gone, which is an answer too.
    let _ = progress.wait_for(|progress| !is_starting(progress)).await;
}

/// A driver that was just set to work.
#[derive(Debug)]
pub(crate) struct Driving {
    guard: DriverGuard,
    progress: watch::Receiver<Progress>,
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
    /// Resolves when the start is durable, or is not to be.
    pub(crate) fn begun(&self) -> BoxFuture<'static, ()> {
        Box::pin(begun(self.progress.clone()))
    }

    /// Waits until the start, or the replay, has succeeded.
    pub(crate) async fn started(&self) -> Result<Result<(), Refusal>, Error> {
        let mut progress = self.progress.clone();
        loop {
            match &*progress.borrow_and_update() {
                Progress::Starting => {}
                Progress::Started => return Ok(Ok(())),
                Progress::Refused(refusal) => return Ok(Err(refusal.clone())),
                Progress::Settled(settled) => return (**settled).clone().map(|_| Ok(())),
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
                Progress::Starting | Progress::Started => {}
                Progress::Refused(refusal) => return Ok(Err(refusal.clone())),
                Progress::Settled(settled) => return (**settled).clone().map(Ok),
            }
            if self.progress.changed().await.is_err() {
                let last = self.progress.borrow();
                return match &*last {
                    Progress::Settled(settled) => (**settled).clone().map(Ok),
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
    engine: Arc<Inner>,
    id: ExecutionId,
    number: u64,
    abort: Option<tokio::task::AbortHandle>,
    is_attended: Arc<AtomicBool>,
    has_parent_here: Arc<AtomicBool>,
}

impl DriverGuard {
    /// Lets the driver run on by itself.
    pub(crate) fn detach(mut self) {
        self.is_unattended();
        self.abort = None;
    }

    /// Its parent is driven beside it, and is told by it.
    pub(crate) fn is_childs(&self) {
        self.is_unattended();
        self.has_parent_here.store(true, Ordering::Relaxed);
    }

    /// Nobody waits for this driver in person: it may put its execution to sleep.
    pub(crate) fn is_unattended(&self) {
        self.is_attended.store(false, Ordering::Relaxed);
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
            self.engine.active.abandon(&self.id, self.number);
            abort.abort();
        }
    }
}

/// Takes the driver out of the set when it ends, or is dropped wherever it stands.
struct Leave {
    engine: Arc<Inner>,
    id: ExecutionId,
    number: u64,
    /// In here, so that it closes after the driver has left the set: whoever waits for that may resume at once.
    report: watch::Sender<Progress>,
    /// The driver has come to its end, and has not just been dropped.
    has_ended: bool,
}

impl Leave {
    fn leave(&self) {
        self.engine.active.leave(&self.id, self.number);
        self.engine.waiters.ring(&self.id);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.leave();
        if !self.has_ended {
            self.engine.active.set_adrift(&self.id);
            self.engine.workers.call();
        }
    }
}

/// The right of one caller in this process to claim an execution; held until it drives it.
#[derive(Debug)]
pub(crate) struct Claiming {
    engine: Arc<Inner>,
    id: ExecutionId,
}

impl Drop for Claiming {
    fn drop(&mut self) {
        self.engine.active.claiming().remove(&self.id);
    }
}

impl Inner {
    /// Nothing where somebody in this process drives the execution or is about to.
    pub(crate) fn begin_claim(self: &Arc<Self>, id: &ExecutionId) -> Option<Claiming> {
        let drivers = self.active.lock();
        let is_mine = !drivers.contains_key(id) && self.active.claiming().insert(id.clone());
        is_mine.then(|| Claiming {
            engine: Arc::clone(self),
            id: id.clone(),
        })
    }

    /// The right to claim an execution that nobody in this process drives.
    pub(super) async fn claim_alone(self: &Arc<Self>, id: &ExecutionId) -> Result<Claiming, Error> {
        self.see_off(id).await;
        self.begin_claim(id).ok_or_else(|| Error::AlreadyRunning {
            id: id.clone(),
            by: "this process".to_owned(),
        })
    }

    /// Waits until a driver whose future was dropped is gone: it is on its way out. Whether there was one.
    pub(super) async fn see_off(&self, id: &ExecutionId) -> bool {
        match self.active.get(id) {
            Some(active) if active.is_abandoned() => {
                active.gone().await;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn is_active(&self, id: &ExecutionId) -> bool {
        self.active.get(id).is_some()
    }

    /// Two in this process claimed an execution at the same moment, and the other drives it, under an epoch that
    /// this claim has made stale: it is left to whoever claims it next.
    fn give_back(self: &Arc<Self>, begin: &Begin) {
        let (Begin::Claimed { record, .. } | Begin::Queued { record, .. }) = begin else {
            return;
        };
        let (engine, key, epoch) = (Arc::clone(self), record.key, record.epoch);
        tokio::spawn(async move {
            let now = engine.clock.now();
            if let Err(error) = engine.store.release(key, epoch, Some(now)).await {
                tracing::warn!(?key, %error, "an execution could not be given back");
            }
            engine.workers.call();
        });
    }

    /// Sets a driver to work on the caller's runtime. Refused where one is at work; what was claimed is then given
    /// back.
    pub(crate) fn drive(
        self: &Arc<Self>,
        def: &'static WorkflowDef,
        id: ExecutionId,
        begin: Begin,
        on_settled: Option<OnSettled>,
    ) -> Result<Driving, Error> {
        let (sender, inputs) = mpsc::unbounded_channel();
        let (report, progress) = watch::channel(Progress::Starting);
        let number = self.active.next.fetch_add(1, Ordering::Relaxed);
        let active = Active {
            number,
            sender: sender.clone(),
            progress: progress.clone(),
            abandoned: false,
        };
        if let Err(error) = self.active.enter(&id, active) {
            self.give_back(&begin);
            return Err(error);
        }
        self.waiters.ring(&id);
        let mut leave = Leave {
            engine: Arc::clone(self),
            id: id.clone(),
            number,
            report,
            has_ended: false,
        };
        let span = tracing::info_span!("execution", execution_id = %id, workflow = def.name);
        let driver = Driver::new(self, def, id.clone(), sender, inputs);
        let is_attended = Arc::clone(driver.is_attended());
        let has_parent_here = Arc::clone(driver.has_parent_here());
        // On the heap once: a driver is large, and tokio moves what it spawns several times.
        let driving = Box::pin(async move {
            let ended = driver
                .run(begin, || {
                    drop(leave.report.send_replace(Progress::Started));
                })
                .await;
            leave.has_ended = true;
            // Out of the set first: whoever is told of the end may resume at once.
            leave.leave();
            match ended {
                Err(Halt::Refused(refusal)) => {
                    drop(leave.report.send_replace(Progress::Refused(refusal)));
                }
                Err(Halt::Error(error)) => settle(&leave.report, on_settled, Err(error)),
                Ok(snapshot) => settle(&leave.report, on_settled, Ok(snapshot)),
            }
        });
        let abort = Some(tokio::spawn(driving.instrument(span)).abort_handle());
        let guard = DriverGuard {
            engine: Arc::clone(self),
            id,
            number,
            abort,
            is_attended,
            has_parent_here,
        };
        Ok(Driving { guard, progress })
    }
}

fn settle(report: &watch::Sender<Progress>, on_settled: Option<OnSettled>, settled: Settled) {
    if let Some(on_settled) = on_settled {
        on_settled(&settled);
    }
    report.send_replace(Progress::Settled(Box::new(settled)));
}
