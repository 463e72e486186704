//! A store that can be crashed before or after any write: the process dies with it, or from then on nothing that was
//! under way comes back.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use flux::clock::Timestamp;
use flux::store::{
    Barrier, ClaimError, Commit, CommitError, Committed, Correction, DueRequest, DueSchedules,
    ExecutionRecord, Filter, Fire, Fired, LastSetBack, Message, MessageId, NewMessage, Owned,
    PostError, QueueChange, QueueRecord, QueueSettings, ScheduleChange, ScheduleRecord, Serves,
    SetBack, Store, StoreError, Target, Work, WorkRequest, WorkerGuard, WorkerRecord,
    WorkflowCount, WorkflowDescription,
};
use flux::{Epoch, Event, EventSeq, ExecutionId, Payload};
use flux::{ExecutionKey, WorkerId};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use super::deploy::Deploy;
use super::fate::broken;
pub(crate) use super::fate::{Crash, Fault, die};
use super::world::World;

/// The life of a store between two crashes.
pub(crate) struct Brittle {
    inner: Arc<dyn Store>,
    world: Arc<World>,
    crash: Option<Crash>,
    /// Takes the process with it.
    is_real: bool,
    /// The commits that fail, by number.
    faults: BTreeMap<u32, Fault>,
    commits: AtomicU32,
    is_blind: AtomicBool,
    writes: AtomicU32,
    is_dead: AtomicBool,
    died: Notify,
    guards: Mutex<Vec<WorkerGuard>>,
    ids: Mutex<BTreeMap<i64, ExecutionId>>,
    /// The build that has written what it reads.
    deploy: Option<Deploy>,
    /// How much of what each execution's code has seen is behind an acknowledged commit.
    committed: Mutex<BTreeMap<String, usize>>,
}

impl Brittle {
    /// One whose crash is pretended.
    pub(crate) fn new(
        inner: &Arc<dyn Store>,
        world: &Arc<World>,
        crash: Option<Crash>,
    ) -> Arc<Self> {
        Arc::new(Self::with(inner, world, crash, false))
    }

    /// One whose crash is the death of this process.
    pub(crate) fn real(
        inner: &Arc<dyn Store>,
        world: &Arc<World>,
        crash: Option<Crash>,
    ) -> Arc<Self> {
        Arc::new(Self::with(inner, world, crash, true))
    }

    /// One that never crashes, and fails some commits.
    pub(crate) fn faulty(
        inner: &Arc<dyn Store>,
        world: &Arc<World>,
        faults: BTreeMap<u32, Fault>,
    ) -> Arc<Self> {
        Arc::new(Self {
            faults,
            ..Self::with(inner, world, None, false)
        })
    }

    fn with(
        inner: &Arc<dyn Store>,
        world: &Arc<World>,
        crash: Option<Crash>,
        is_real: bool,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            world: Arc::clone(world),
            crash,
            is_real,
            faults: BTreeMap::new(),
            commits: AtomicU32::new(0),
            is_blind: AtomicBool::new(false),
            writes: AtomicU32::new(0),
            is_dead: AtomicBool::new(false),
            died: Notify::new(),
            guards: Mutex::default(),
            ids: Mutex::default(),
            committed: Mutex::default(),
            deploy: None,
        }
    }

    /// The same, where another build has written what is recorded.
    pub(crate) fn after(self: Arc<Self>, deploy: Option<Deploy>) -> Arc<Self> {
        let mut brittle = Arc::into_inner(self).expect("nobody has it yet");
        brittle.deploy = deploy;
        Arc::new(brittle)
    }

    fn as_written(&self, event: Event) -> Event {
        match &self.deploy {
            Some(deploy) => deploy.edit(event),
            None => event,
        }
    }

    pub(crate) fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    pub(crate) fn commits(&self) -> u32 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn committed(&self) -> BTreeMap<String, usize> {
        self.committed.lock().unwrap().clone()
    }

    /// Resolves when it has crashed.
    pub(crate) async fn crashed(&self) {
        while !self.is_dead.load(Ordering::Acquire) {
            self.died.notified().await;
        }
    }

    /// The process is gone: its owners are dead, and whatever still runs hangs at its next word to the store.
    pub(crate) fn kill(&self) {
        self.is_dead.store(true, Ordering::Release);
        if self.is_real {
            die();
        }
        self.guards.lock().unwrap().clear();
        self.died.notify_waiters();
    }

    /// Those who joined through it no longer count as alive, and do not know.
    pub(crate) fn forget_owners(&self) {
        self.guards.lock().unwrap().clear();
    }

    async fn alive(&self) {
        if self.is_dead.load(Ordering::Acquire) {
            pending::<()>().await;
        }
    }

    async fn write<T>(&self, write: impl Future<Output = T>) -> T {
        self.alive().await;
        let number = self.writes.fetch_add(1, Ordering::Relaxed) + 1;
        let crash = self.crash.filter(|crash| crash.at == number);
        if crash.is_some_and(|crash| !crash.after) {
            self.kill();
        }
        self.alive().await;
        let written = write.await;
        if crash.is_some() {
            self.kill();
        }
        self.alive().await;
        written
    }

    async fn id_of(&self, target: &Target) -> Option<ExecutionId> {
        let key = match target {
            Target::New(new) => return Some(new.id.clone()),
            Target::Existing { key, .. } => *key,
        };
        let known = self.ids.lock().unwrap().get(&key.0).cloned();
        if known.is_some() {
            return known;
        }
        // A child, which the commit of its parent has created.
        let all = Filter {
            limit: usize::MAX >> 1,
            ..Filter::default()
        };
        let records = self.inner.executions(all).await.ok()?;
        let record = records.into_iter().find(|record| record.key == key)?;
        self.ids.lock().unwrap().insert(key.0, record.id.clone());
        Some(record.id)
    }

    async fn commit_counted(&self, commit: Commit) -> Result<Committed, CommitError> {
        let id = self
            .id_of(&commit.target)
            .await
            .expect("a known execution")
            .to_string();
        let seen = self.world.seen_by(&id);
        let number = self.commits.fetch_add(1, Ordering::Relaxed) + 1;
        let fault = self.faults.get(&number);
        match fault {
            Some(Fault::Failed) => return Err(CommitError::Failed(broken("commit"))),
            Some(Fault::UnknownLost) => return Err(CommitError::Unknown(broken("commit"))),
            _ => {}
        }
        let committed = self.inner.commit(commit).await?;
        self.ids
            .lock()
            .unwrap()
            .insert(committed.key.0, id.as_str().into());
        self.world.committed(&id, seen);
        self.committed.lock().unwrap().insert(id, seen);
        if let Some(fault) = fault {
            self.is_blind
                .store(*fault == Fault::UnknownBlind, Ordering::Relaxed);
            return Err(CommitError::Unknown(broken("commit")));
        }
        Ok(committed)
    }
}

impl std::fmt::Debug for Brittle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Brittle")
            .field("crash", &self.crash)
            .finish_non_exhaustive()
    }
}

/// Waits for ever once the store is dead, and passes on what it says till then.
macro_rules! pass {
    ($self:ident, $read:expr) => {
        async move {
            $self.alive().await;
            let read = $read.await;
            $self.alive().await;
            read
        }
        .boxed()
    };
}

impl Store for Brittle {
    fn describe(&self) -> String {
        "brittle".to_owned()
    }

    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>> {
        async move {
            let guard = self.inner.join().await?;
            let id = guard.id();
            self.guards.lock().unwrap().push(guard);
            Ok(WorkerGuard::new(id, ()))
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.write(self.commit_counted(commit)).boxed()
    }

    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>> {
        if self.is_blind.swap(false, Ordering::Relaxed) {
            return async { Err(broken("read an execution")) }.boxed();
        }
        pass!(self, self.inner.execution(id))
    }

    fn executions(
        &self,
        filter: Filter,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        pass!(self, self.inner.executions(filter))
    }

    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>> {
        pass!(self, self.inner.matching(fragment, limit))
    }

    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>> {
        pass!(self, self.inner.workflow_counts())
    }

    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        pass!(self, self.inner.orphans(now, limit))
    }

    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>> {
        async move {
            self.alive().await;
            let work = self.inner.claim_ready(request).await?;
            for record in &work.claimed {
                let id = record.id.clone();
                self.ids.lock().unwrap().insert(record.key.0, id);
            }
            if work.claimed.is_empty() && work.held.is_empty() {
                self.alive().await;
                return Ok(work);
            }
            // Workers ask all the time. Only what gives them something counts, and is done before it can be counted.
            self.write(async { Ok(work) }).await
        }
        .boxed()
    }

    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        let read = async move {
            let events = self.inner.events(key, from, limit).await?;
            Ok(events
                .into_iter()
                .map(|event| self.as_written(event))
                .collect())
        };
        pass!(self, read)
    }

    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>> {
        let read = async move {
            let last = self.inner.last_event(key).await?;
            Ok(last.map(|event| self.as_written(event)))
        };
        pass!(self, read)
    }

    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>> {
        let claim = async move {
            let record = self.inner.claim(id, worker).await?;
            self.ids.lock().unwrap().insert(record.key.0, id.clone());
            Ok(record)
        };
        self.write(claim).boxed()
    }

    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.release(key, epoch, ready_at)).boxed()
    }

    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.note_obstacle(key, epoch, obstacle))
            .boxed()
    }

    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>> {
        pass!(self, self.inner.barrier(key, now))
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        self.write(self.inner.post(to, message)).boxed()
    }

    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>> {
        pass!(self, self.inner.is_lost(worker))
    }

    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>> {
        pass!(self, self.inner.owned_by(worker))
    }

    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        pass!(self, self.inner.inbox_after(key, after))
    }

    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>> {
        pass!(self, self.inner.posted(after))
    }

    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>> {
        pass!(self, self.inner.published(key, name))
    }

    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        pass!(self, self.inner.queue(name))
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>> {
        pass!(self, self.inner.queues())
    }

    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        self.write(self.inner.set_queue(name, change)).boxed()
    }

    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>> {
        pass!(self, self.inner.schedules())
    }

    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>> {
        pass!(self, self.inner.schedule(id))
    }

    fn due_schedules(
        &self,
        request: DueRequest,
    ) -> BoxFuture<'_, Result<DueSchedules, StoreError>> {
        pass!(self, self.inner.due_schedules(request))
    }

    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.put_schedule(schedule)).boxed()
    }

    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.write(self.inner.change_schedule(id, change)).boxed()
    }

    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.write(self.inner.delete_schedule(id)).boxed()
    }

    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>> {
        self.write(self.inner.fire(firings)).boxed()
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>> {
        pass!(self, self.inner.workers())
    }

    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        pass!(self, self.inner.describe_workflows(workflows))
    }

    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>> {
        pass!(self, self.inner.workflows())
    }

    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        pass!(self, self.inner.serve(worker, serves))
    }

    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.clock_set_back(step)).boxed()
    }

    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>> {
        self.write(self.inner.compare_clock(now)).boxed()
    }

    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.write(self.inner.correct_ready_at(key, epoch, correction))
            .boxed()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.inner.changed()
    }
}
