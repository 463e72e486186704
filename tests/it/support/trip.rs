//! A store that stumbles: one chosen call of one operation fails, is carried out although it reports a failure, or
//! hangs for a while. Its calls may also yield before and after their work, as those of a store far away do.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flux::clock::Timestamp;
use flux::store::{
    Barrier, ClaimError, Commit, CommitError, Committed, Correction, DueRequest, DueSchedules,
    ExecutionRecord, Filter, Fire, Fired, LastSetBack, Message, MessageId, NewMessage, Owned,
    PostError, QueueChange, QueueRecord, QueueSettings, ScheduleChange, ScheduleRecord, Serves,
    SetBack, Store, StoreError, Work, WorkRequest, WorkerGuard, WorkerRecord, WorkflowCount,
    WorkflowDescription,
};
use flux::{Epoch, Event, EventSeq, ExecutionId, ExecutionKey, Payload, WorkerId};
use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::watch;

/// How long a call hangs.
const HANG: Duration = Duration::from_millis(30);

/// What happens to the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It reports a failure, and nothing was done.
    Fails,
    /// It reports that it does not know, or a failure, and everything was done.
    IsDoneUnheard,
    /// A commit reports that it does not know, and nothing was done.
    IsLost,
    /// It takes a while, and succeeds.
    Hangs,
}

impl Mishap {
    pub(crate) const ALL: [Self; 4] = [Self::Fails, Self::IsDoneUnheard, Self::IsLost, Self::Hangs];
}

/// The calls of a store by operation.
pub(crate) type Calls = BTreeMap<&'static str, usize>;

pub(crate) struct Trip {
    inner: Arc<dyn Store>,
    yields: bool,
    plan: Mutex<Option<(&'static str, usize, Mishap)>>,
    calls: Mutex<Calls>,
    has_tripped: watch::Sender<bool>,
}

impl Trip {
    /// One whose call number `at` (from 1) of `operation` meets with a mishap.
    pub(crate) fn new(
        inner: Arc<dyn Store>,
        plan: Option<(&'static str, usize, Mishap)>,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner,
            yields: false,
            plan: Mutex::new(plan),
            calls: Mutex::default(),
            has_tripped: watch::Sender::new(false),
        })
    }

    /// One that meets with no mishap, and yields before and after each call's work.
    pub(crate) fn yielding(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            yields: true,
            plan: Mutex::default(),
            calls: Mutex::default(),
            has_tripped: watch::Sender::new(false),
        })
    }

    /// How often each operation was called.
    pub(crate) fn calls(&self) -> Calls {
        self.calls.lock().unwrap().clone()
    }

    /// Resolves once the mishap has happened.
    pub(crate) async fn tripped(&self) {
        let mut tripped = self.has_tripped.subscribe();
        tripped.wait_for(|tripped| *tripped).await.unwrap();
    }

    pub(crate) fn has_tripped(&self) -> bool {
        *self.has_tripped.borrow()
    }

    fn mishap(&self, operation: &'static str) -> Option<Mishap> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            let number = calls.entry(operation).or_default();
            *number += 1;
            *number
        };
        let mut plan = self.plan.lock().unwrap();
        let mishap = plan.take_if(|(of, at, _)| *of == operation && *at == number)?;
        self.has_tripped.send_replace(true);
        Some(mishap.2)
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        if self.yields {
            tokio::task::yield_now().await;
        }
        let outcome = call.await;
        if self.yields {
            tokio::task::yield_now().await;
        }
        outcome
    }

    async fn call<T, E>(
        &self,
        operation: &'static str,
        failed: fn(StoreError) -> E,
        unheard: fn(StoreError) -> E,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.mishap(operation) {
            None => self.pass(call).await,
            Some(Mishap::Fails) => Err(failed(stumble(operation))),
            Some(Mishap::IsLost) => Err(unheard(stumble(operation))),
            Some(Mishap::IsDoneUnheard) => {
                drop(call.await?);
                Err(unheard(stumble(operation)))
            }
            Some(Mishap::Hangs) => {
                tokio::time::sleep(HANG).await;
                call.await
            }
        }
    }
}

fn stumble(operation: &str) -> StoreError {
    StoreError {
        store: "trip".to_owned(),
        action: operation.to_owned(),
        reason: "it stumbled".to_owned(),
        source: None,
    }
}

macro_rules! trip {
    ($self:ident, $operation:literal, $call:expr) => {
        trip!($self, $operation, std::convert::identity, $call)
    };
    ($self:ident, $operation:literal, $error:expr, $call:expr) => {
        $self.call($operation, $error, $error, $call).boxed()
    };
}

impl Store for Trip {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>> {
        self.inner.join()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        let call = self.inner.commit(commit);
        self.call("commit", CommitError::Failed, CommitError::Unknown, call)
            .boxed()
    }

    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>> {
        trip!(self, "execution", self.inner.execution(id))
    }

    fn executions(
        &self,
        filter: Filter,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        trip!(self, "executions", self.inner.executions(filter))
    }

    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>> {
        trip!(self, "matching", self.inner.matching(fragment, limit))
    }

    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>> {
        trip!(self, "workflow_counts", self.inner.workflow_counts())
    }

    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        trip!(self, "orphans", self.inner.orphans(now, limit))
    }

    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>> {
        trip!(self, "claim_ready", self.inner.claim_ready(request))
    }

    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        trip!(self, "events", self.inner.events(key, from, limit))
    }

    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>> {
        trip!(self, "last_event", self.inner.last_event(key))
    }

    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>> {
        trip!(
            self,
            "claim",
            ClaimError::Failed,
            self.inner.claim(id, worker)
        )
    }

    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(self, "release", self.inner.release(key, epoch, ready_at))
    }

    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>> {
        trip!(self, "is_lost", self.inner.is_lost(worker))
    }

    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>> {
        trip!(self, "owned_by", self.inner.owned_by(worker))
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        trip!(
            self,
            "post",
            PostError::Failed,
            self.inner.post(to, message)
        )
    }

    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        trip!(self, "inbox_after", self.inner.inbox_after(key, after))
    }

    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>> {
        trip!(self, "posted", self.inner.posted(after))
    }

    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>> {
        trip!(self, "published", self.inner.published(key, name))
    }

    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        trip!(self, "queue", self.inner.queue(name))
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>> {
        trip!(self, "queues", self.inner.queues())
    }

    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        trip!(self, "set_queue", self.inner.set_queue(name, change))
    }

    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>> {
        trip!(self, "schedules", self.inner.schedules())
    }

    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>> {
        trip!(self, "schedule", self.inner.schedule(id))
    }

    fn due_schedules(
        &self,
        request: DueRequest,
    ) -> BoxFuture<'_, Result<DueSchedules, StoreError>> {
        trip!(self, "due_schedules", self.inner.due_schedules(request))
    }

    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(self, "put_schedule", self.inner.put_schedule(schedule))
    }

    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        trip!(
            self,
            "change_schedule",
            self.inner.change_schedule(id, change)
        )
    }

    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        trip!(self, "delete_schedule", self.inner.delete_schedule(id))
    }

    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>> {
        trip!(self, "fire", self.inner.fire(firings))
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>> {
        trip!(self, "workers", self.inner.workers())
    }

    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(
            self,
            "describe_workflows",
            self.inner.describe_workflows(workflows)
        )
    }

    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>> {
        trip!(self, "workflows", self.inner.workflows())
    }

    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(self, "serve", self.inner.serve(worker, serves))
    }

    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(
            self,
            "note_obstacle",
            self.inner.note_obstacle(key, epoch, obstacle)
        )
    }

    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>> {
        trip!(self, "barrier", self.inner.barrier(key, now))
    }

    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(self, "clock_set_back", self.inner.clock_set_back(step))
    }

    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>> {
        trip!(self, "compare_clock", self.inner.compare_clock(now))
    }

    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        trip!(
            self,
            "correct_ready_at",
            self.inner.correct_ready_at(key, epoch, correction)
        )
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.inner.changed()
    }
}

impl fmt::Debug for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trip").field(&self.inner).finish()
    }
}
