//! A store around another: it counts commits and all other writes, and can stop the world before or after a commit.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flux::clock::Timestamp;
use flux::store::{
    Barrier, ClaimError, Commit, CommitError, Committed, Correction, DueRequest, DueSchedules,
    ExecutionRecord, Filter, Fire, Fired, LastSetBack, Message, MessageId, NewMessage, Owned,
    PostError, QueueChange, QueueRecord, QueueSettings, ScheduleChange, ScheduleRecord, Serves,
    SetBack, Store, StoreError, Work, WorkRequest, WorkerGuard, WorkerRecord, WorkflowCount,
    WorkflowDescription,
};

use flux::{Epoch, Event, EventSeq, ExecutionId, ExecutionKey, Payload, WorkerId};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::edits::{Edit, edited};
use super::shelf::{Fault, When};

/// What a worker's round did.
#[derive(Debug)]
pub(crate) enum Step {
    /// So many schedules fired in one transaction.
    Fired(usize),
    /// It got these.
    Claimed(Vec<ExecutionId>),
}

pub(crate) struct Watched {
    inner: Arc<dyn Store>,
    commits: AtomicUsize,
    writes: AtomicUsize,
    reads: AtomicUsize,
    messages: AtomicUsize,
    steps: Mutex<Vec<Step>>,
    stop: Mutex<Option<(usize, When)>>,
    stopped: watch::Sender<bool>,
    faults: Mutex<Vec<(usize, Fault)>>,
    release_faults: AtomicUsize,
    /// What another build has recorded.
    edit: Mutex<Option<Edit>>,
    /// How many engines are alive.
    workers: watch::Sender<usize>,
}

impl Watched {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            commits: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
            steps: Mutex::default(),
            stop: Mutex::new(None),
            stopped: watch::Sender::new(false),
            faults: Mutex::default(),
            release_faults: AtomicUsize::new(0),
            edit: Mutex::new(None),
            workers: watch::Sender::new(0),
        })
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }

    /// How often anybody wanted to change anything.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// How often anybody read a history, and how many events that gave.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many messages anybody read.
    pub(crate) fn messages_read(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }

    /// What workers have done since the last call, in order.
    pub(crate) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.steps.lock().unwrap())
    }

    fn count_write(&self) {
        self.writes.fetch_add(1, Ordering::SeqCst);
    }

    /// From commit `number` on (the next one is 1), no commit returns; `None` lifts it.
    pub(crate) fn stop_at(&self, stop: Option<(usize, When)>) {
        let from = self.commits();
        *self.stop.lock().unwrap() = stop.map(|(number, when)| (from + number, when));
        self.stopped.send_replace(false);
    }

    /// Commit `number` (the next one is 1) fails, once.
    pub(crate) fn fail_at(&self, number: usize, fault: Fault) {
        let at = self.commits() + number;
        self.faults.lock().unwrap().push((at, fault));
    }

    /// So many releases fail, from the next one on.
    pub(crate) fn fail_releases(&self, count: usize) {
        self.release_faults.store(count, Ordering::SeqCst);
    }

    /// From now on what is read was written by a build with these lines.
    pub(crate) fn was_written_with(&self, edit: Edit) {
        *self.edit.lock().unwrap() = Some(edit);
    }

    fn as_written(&self, event: Event) -> Event {
        match &*self.edit.lock().unwrap() {
            Some(edit) => edited(event, edit),
            None => event,
        }
    }

    fn fault_at(&self, number: usize) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let found = faults.iter().position(|(at, _)| *at == number)?;
        Some(faults.remove(found).1)
    }

    fn full(&self, action: &str) -> StoreError {
        StoreError {
            store: self.describe(),
            action: action.to_owned(),
            reason: "the disk is full".to_owned(),
            source: None,
        }
    }

    async fn fail(&self, commit: Commit, fault: Fault) -> CommitError {
        let error = self.full("append events");
        if fault == Fault::UnknownAndWritten {
            self.inner.commit(commit).await.unwrap();
        }
        match fault {
            Fault::Panics => panic!("the store has a fault of its own"),
            Fault::NothingWritten => CommitError::Failed(error),
            Fault::TakenOver => CommitError::Fenced,
            Fault::UnknownAndWritten | Fault::UnknownAndLost => CommitError::Unknown(error),
        }
    }

    pub(crate) async fn until_stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        stopped.wait_for(|stopped| *stopped).await.unwrap();
    }

    pub(crate) async fn until_nobody_is_left(&self) {
        let mut workers = self.workers.subscribe();
        workers.wait_for(|count| *count == 0).await.unwrap();
    }
}

struct Alive {
    workers: watch::Sender<usize>,
    inner: Option<WorkerGuard>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        drop(self.inner.take());
        self.workers.send_modify(|count| *count -= 1);
    }
}

impl Store for Watched {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>> {
        let workers = self.workers.clone();
        let joined = self.inner.join();
        // Polled by hand where the caller does not wait: nothing here waits either.
        Box::pin(async move {
            let guard = joined.await?;
            workers.send_modify(|count| *count += 1);
            let id = guard.id();
            let alive: Box<dyn Any + Send + Sync> = Box::new(Alive {
                workers,
                inner: Some(guard),
            });
            Ok(WorkerGuard::new(id, alive))
        })
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.count_write();
        Box::pin(async move {
            let number = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(fault) = self.fault_at(number) {
                return Err(self.fail(commit, fault).await);
            }
            let stop = self.stop.lock().unwrap().filter(|(at, _)| number >= *at);
            let Some((at, when)) = stop else {
                return self.inner.commit(commit).await;
            };
            if number == at && when == When::AfterCommit {
                let _ = self.inner.commit(commit).await;
            }
            self.stopped.send_replace(true);
            // A driver that goes on by itself dies when the next process begins.
            let mut stopped = self.stopped.subscribe();
            stopped.wait_for(|stopped| !stopped).await.unwrap();
            Err(CommitError::Fenced)
        })
    }

    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>> {
        self.inner.execution(id)
    }

    fn executions(
        &self,
        filter: Filter,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        self.inner.executions(filter)
    }

    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>> {
        self.inner.matching(fragment, limit)
    }

    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>> {
        self.inner.workflow_counts()
    }

    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        self.inner.orphans(now, limit)
    }

    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>> {
        self.count_write();
        let claim = self.inner.claim_ready(request);
        Box::pin(async move {
            let work = claim.await?;
            let ids = work.claimed.iter().map(|record| record.id.clone());
            self.steps
                .lock()
                .unwrap()
                .push(Step::Claimed(ids.collect()));
            Ok(work)
        })
    }

    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        self.inner.queue(name)
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>> {
        self.inner.queues()
    }

    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        self.count_write();
        self.inner.set_queue(name, change)
    }

    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>> {
        self.inner.schedules()
    }

    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>> {
        self.inner.schedule(id)
    }

    fn due_schedules(
        &self,
        request: DueRequest,
    ) -> BoxFuture<'_, Result<DueSchedules, StoreError>> {
        self.inner.due_schedules(request)
    }

    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count_write();
        self.inner.put_schedule(schedule)
    }

    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.count_write();
        self.inner.change_schedule(id, change)
    }

    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        self.count_write();
        self.inner.delete_schedule(id)
    }

    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>> {
        self.count_write();
        self.steps.lock().unwrap().push(Step::Fired(firings.len()));
        self.inner.fire(firings)
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>> {
        self.inner.workers()
    }

    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        Box::pin(async move {
            let events = self.inner.events(key, from, limit).await?;
            self.reads.fetch_add(1 + events.len(), Ordering::SeqCst);
            Ok(events
                .into_iter()
                .map(|event| self.as_written(event))
                .collect())
        })
    }

    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>> {
        Box::pin(async move {
            let last = self.inner.last_event(key).await?;
            Ok(last.map(|event| self.as_written(event)))
        })
    }

    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>> {
        self.count_write();
        self.inner.claim(id, worker)
    }

    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count_write();
        let less = |left: usize| left.checked_sub(1);
        let faults = &self.release_faults;
        if faults
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
        {
            return async { Err(self.full("release an execution")) }.boxed();
        }
        self.inner.release(key, epoch, ready_at)
    }

    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count_write();
        self.inner.note_obstacle(key, epoch, obstacle)
    }

    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>> {
        self.inner.barrier(key, now)
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        self.count_write();
        self.inner.post(to, message)
    }

    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.inner.is_lost(worker)
    }

    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>> {
        self.inner.owned_by(worker)
    }

    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        async move {
            let messages = self.inner.inbox_after(key, after).await?;
            self.messages.fetch_add(messages.len(), Ordering::SeqCst);
            Ok(messages)
        }
        .boxed()
    }

    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>> {
        self.inner.posted(after)
    }

    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>> {
        self.inner.published(key, name)
    }

    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.describe_workflows(workflows)
    }

    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>> {
        self.inner.workflows()
    }

    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.serve(worker, serves)
    }

    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count_write();
        self.inner.clock_set_back(step)
    }

    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>> {
        self.count_write();
        self.inner.compare_clock(now)
    }

    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.count_write();
        self.inner.correct_ready_at(key, epoch, correction)
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.inner.changed()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}
