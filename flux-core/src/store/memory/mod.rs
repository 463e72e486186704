//! The reference store: everything in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use super::{
    Barrier, Change, ClaimError, Commit, CommitError, Committed, Correction, DueRequest,
    DueSchedules, ExecutionRecord, Filter, Fire, Fired, Heeds, LastSetBack, Message, MessageId,
    NewChild, NewExecution, NewMessage, Owned, PostError, QueueChange, QueueRecord, QueueSettings,
    ScheduleChange, ScheduleRecord, Serves, SetBack, Store, StoreError, Target, Work, WorkRequest,
    WorkerGuard, WorkerRecord, WorkflowCount, WorkflowDescription,
};
use crate::clock::Timestamp;
use crate::event::{Event, FORMAT};
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;
use crate::status::Status;
use crate::sync::lock;

mod allowance;
mod barriers;
mod catalog;
mod find;
mod gates;
mod queues;
mod schedules;
mod set_back;
mod work;

use allowance::MemoryQueue;

/// Keeps everything in memory; for tests and for work that need not survive the process.
///
/// Engines that share one `Arc<MemoryStore>` count as different owners, like processes on one file.
/// It starts no thread and needs no runtime.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<MemoryShared>,
}

#[derive(Default)]
struct MemoryShared {
    state: Mutex<MemoryState>,
    changed: Notify,
}

#[derive(Default)]
struct MemoryState {
    /// In order of creation: the key of an execution is its place, counted from 1.
    executions: Vec<Entry>,
    by_id: BTreeMap<ExecutionId, ExecutionKey>,
    /// Who is alive, and what they take.
    alive: BTreeMap<WorkerId, Option<Serves>>,
    workers: i64,
    messages: i64,
    queues: BTreeMap<Arc<str>, MemoryQueue>,
    /// The queue that work was given from last: they take turns.
    last_queue: Option<Arc<str>>,
    schedules: BTreeMap<Arc<str>, ScheduleRecord>,
    workflows: BTreeMap<(Arc<str>, u32), WorkflowDescription>,
    /// The last time the clock was set back.
    set_back: Option<LastSetBack>,
    /// The latest time at which anything was put to sleep, or delayed.
    last_sleep: Option<Timestamp>,
}

struct Entry {
    record: ExecutionRecord,
    events: Vec<Event>,
    inbox: Vec<Message>,
    /// The (name, dedup key) pairs ever posted.
    seen: BTreeSet<(Arc<str>, Arc<str>)>,
    published: BTreeMap<Arc<str>, Payload>,
    /// It is pending, and no worker has found it due.
    is_delayed: bool,
    takeovers: Takeovers,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.shared.state()
    }
}

impl MemoryShared {
    fn state(&self) -> MutexGuard<'_, MemoryState> {
        // No code of others runs under this lock but a transaction's, and its panics are caught.
        lock(&self.state)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("executions", &self.state().executions.len())
            .finish()
    }
}

impl Store for MemoryStore {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>> {
        async {
            let mut state = self.state();
            state.workers += 1;
            let id = WorkerId(state.workers);
            state.alive.insert(id, None);
            Ok(WorkerGuard::new(
                id,
                Alive {
                    id,
                    shared: Arc::clone(&self.shared),
                },
            ))
        }
        .boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        async move {
            let posts = !commit.outbox.is_empty();
            let done = self.state().commit(commit)?;
            if posts {
                self.shared.changed.notify_waiters();
            }
            Ok(done)
        }
        .boxed()
    }

    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>> {
        async move {
            let state = self.state();
            Ok(state
                .by_id
                .get(id)
                .and_then(|key| state.entry(*key))
                .map(|entry| entry.record.clone()))
        }
        .boxed()
    }

    fn executions(
        &self,
        filter: Filter,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move {
            let state = self.state();
            let newest_first = state.executions.iter().rev().map(|entry| &entry.record);
            Ok(newest_first
                .filter(|record| filter.admits(record))
                .take(filter.limit)
                .cloned()
                .collect())
        }
        .boxed()
    }

    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>> {
        async move { Ok(self.state().matching(fragment, limit)) }.boxed()
    }

    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>> {
        async move { Ok(self.state().workflow_counts()) }.boxed()
    }

    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move { Ok(self.state().orphans(now, limit)) }.boxed()
    }

    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>> {
        async move {
            let work = {
                let mut state = self.state();
                let now = request.now.now();
                state.claim_ready(&request, now)
            };
            if !work.claimed.is_empty() || !work.held.is_empty() {
                self.shared.changed.notify_waiters();
            }
            Ok(work)
        }
        .boxed()
    }

    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        async move {
            let state = self.state();
            let history = state.entry(key).map_or(&[][..], |entry| &entry.events);
            Ok(history
                .iter()
                .filter(|event| event.seq >= from)
                .take(limit)
                .cloned()
                .collect())
        }
        .boxed()
    }

    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>> {
        async move {
            Ok(self
                .state()
                .entry(key)
                .and_then(|entry| entry.events.last().cloned()))
        }
        .boxed()
    }

    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>> {
        async move { self.state().claim(id, worker) }.boxed()
    }

    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if let Some(entry) = self
                .state()
                .entry_mut(key)
                .filter(|entry| entry.record.epoch == epoch && entry.record.owner.is_some())
            {
                entry.record.owner = None;
                match entry.record.status {
                    Status::Pending => {}
                    Status::Running | Status::Paused => entry.record.ready_at = ready_at,
                    _ => entry.record.ready_at = None,
                }
            }
            self.shared.changed.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move { Ok(!self.state().alive.contains_key(&worker)) }.boxed()
    }

    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>> {
        async move {
            let state = self.state();
            let records = state.executions.iter().map(|entry| &entry.record);
            let owned = records
                .filter(|record| record.owner == Some(worker) && !record.status.is_finished())
                .map(|record| Owned {
                    key: record.key,
                    id: record.id.clone(),
                    epoch: record.epoch,
                });
            Ok(owned.collect())
        }
        .boxed()
    }

    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut state = self.state();
            let entry = state.entry_mut(key).map(|entry| &mut entry.record);
            if let Some(record) =
                entry.filter(|record| record.epoch == epoch && !record.status.is_finished())
            {
                record.obstacle = Some(obstacle);
            }
            Ok(())
        }
        .boxed()
    }

    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>> {
        async move { Ok(self.state().barrier(key, now)) }.boxed()
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        async move {
            self.state().post(to, message)?;
            self.shared.changed.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        async move {
            let state = self.state();
            let inbox = state.entry(key).map_or(&[][..], |entry| &entry.inbox);
            let seen = inbox.partition_point(|message| Some(message.id) <= after);
            Ok(inbox[seen..].to_vec())
        }
        .boxed()
    }

    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>> {
        async move { Ok(self.state().posted(after)) }.boxed()
    }

    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        async move { Ok(self.state().queue_settings(name)) }.boxed()
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>> {
        async move { Ok(self.state().queues()) }.boxed()
    }

    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        async move {
            let settings = self.state().set_queue(name, change);
            self.shared.changed.notify_waiters();
            Ok(settings)
        }
        .boxed()
    }

    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>> {
        async move { Ok(self.state().schedules.values().cloned().collect()) }.boxed()
    }

    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>> {
        async move { Ok(self.state().schedules.get(id).cloned()) }.boxed()
    }

    fn due_schedules(
        &self,
        request: DueRequest,
    ) -> BoxFuture<'_, Result<DueSchedules, StoreError>> {
        async move { Ok(self.state().due_schedules(&request)) }.boxed()
    }

    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state().put_schedule(schedule);
            self.shared.changed.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let found = self.state().change_schedule(id, &change);
            self.shared.changed.notify_waiters();
            Ok(found)
        }
        .boxed()
    }

    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let found = self.state().schedules.remove(id).is_some();
            self.shared.changed.notify_waiters();
            Ok(found)
        }
        .boxed()
    }

    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>> {
        async move {
            let fired = {
                let mut state = self.state();
                firings.into_iter().map(|fire| state.fire(fire)).collect()
            };
            self.shared.changed.notify_waiters();
            Ok(fired)
        }
        .boxed()
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>> {
        async move { Ok(self.state().workers()) }.boxed()
    }

    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>> {
        async move {
            Ok(self
                .state()
                .entry(key)
                .and_then(|entry| entry.published.get(name).cloned()))
        }
        .boxed()
    }

    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state().describe_workflows(workflows);
            Ok(())
        }
        .boxed()
    }

    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>> {
        async move { Ok(self.state().workflows()) }.boxed()
    }

    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state().serve(worker, serves);
            Ok(())
        }
        .boxed()
    }

    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state().clock_set_back(step);
            self.shared.changed.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>> {
        async move {
            let step = self.state().compare_clock(now);
            self.shared.changed.notify_waiters();
            Ok(step)
        }
        .boxed()
    }

    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.state().correct_ready_at(key, epoch, correction);
            self.shared.changed.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        // Counts from this call, not from the first poll.
        self.shared.changed.notified().boxed()
    }
}

/// How often an execution was taken over from the dead.
#[derive(Clone, Copy, Default)]
struct Takeovers {
    count: u32,
    /// Its last event at the time.
    last: Option<EventSeq>,
}

impl MemoryState {
    fn entry(&self, key: ExecutionKey) -> Option<&Entry> {
        self.executions.get(place(key)?)
    }

    fn entry_mut(&mut self, key: ExecutionKey) -> Option<&mut Entry> {
        self.executions.get_mut(place(key)?)
    }

    fn is_driven(&self, record: &ExecutionRecord) -> bool {
        record
            .owner
            .is_some_and(|owner| self.alive.contains_key(&owner))
    }

    fn commit(&mut self, mut commit: Commit) -> Result<Committed, CommitError> {
        self.check(&commit)?;
        self.note_sleeps(&commit);
        let outcome = commit.transaction.take().map(|transaction| {
            let outcome = transaction.attempt(&());
            transaction.event(outcome)
        });
        let key = match commit.target {
            Target::New(new) => self.create(*new),
            Target::Existing { key, .. } => key,
        };
        let entry = self.entry_mut(key).ok_or(CommitError::Fenced)?;
        entry.events.append(&mut commit.events);
        entry.events.extend(outcome.clone());
        let children = commit.children.into_iter();
        let children = children.map(|child| self.create_child(child)).collect();
        let entry = self.entry_mut(key).ok_or(CommitError::Fenced)?;
        let consumed: BTreeSet<MessageId> = commit.consumed.into_iter().collect();
        entry
            .inbox
            .retain(|message| !consumed.contains(&message.id));
        entry.published.extend(commit.published);
        if let Some(change) = commit.change {
            entry.apply(change);
        }
        for (to, message) in commit.outbox {
            if !message.kind.is_order_to_child() || self.is_child(&to, key) {
                // Those that do not exist or have finished are passed over.
                let _ = self.post(&to, message);
            }
        }
        Ok(Committed {
            key,
            transaction: outcome,
            children,
        })
    }

    fn is_child(&self, id: &ExecutionId, parent: ExecutionKey) -> bool {
        let child = self.by_id.get(id).and_then(|key| self.entry(*key));
        let parent = self.entry(parent).map(|entry| &entry.record.id);
        child.is_some_and(|child| parent.is_some() && child.record.parent.as_ref() == parent)
    }

    fn create_child(&mut self, child: NewChild) -> Result<ExecutionKey, CommitError> {
        self.check_new(&child.new)?;
        let key = self.create(child.new);
        if let Some(entry) = self.entry_mut(key) {
            entry.events.push(child.start);
        }
        Ok(key)
    }

    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        let last = match &commit.target {
            Target::New(new) => {
                self.check_new(new)?;
                None
            }
            Target::Existing { key, epoch } => {
                let entry = self
                    .entry(*key)
                    .filter(|entry| entry.record.epoch == *epoch)
                    .ok_or(CommitError::Fenced)?;
                if let Some(change) = &commit.change {
                    self.check_reopening(&entry.record, change)?;
                }
                let is_unread = |heeds: &Heeds| {
                    let mut inbox = entry.inbox.iter();
                    inbox.any(|message| heeds.is_unread(message.id, message.kind))
                };
                if commit.heeds.as_ref().is_some_and(is_unread) {
                    return Err(CommitError::Unread);
                }
                entry.events.last().map(|event| event.seq)
            }
        };
        commit.check_numbers(last, "memory")
    }

    fn create(&mut self, new: NewExecution) -> ExecutionKey {
        let key = ExecutionKey(as_number(self.executions.len() + 1));
        self.by_id.insert(new.id.clone(), key);
        let is_delayed = new.owner.is_none() && new.placement.due.is_some();
        self.executions.push(Entry {
            record: new.into_record(key, FORMAT),
            events: Vec::new(),
            inbox: Vec::new(),
            seen: BTreeSet::new(),
            published: BTreeMap::new(),
            is_delayed,
            takeovers: Takeovers::default(),
        });
        key
    }

    fn claim(&mut self, id: &ExecutionId, worker: WorkerId) -> Result<ExecutionRecord, ClaimError> {
        let key = *self.by_id.get(id).ok_or(ClaimError::NotFound)?;
        let entry = self.entry(key).ok_or(ClaimError::NotFound)?;
        if entry.record.owner != Some(worker) && self.is_driven(&entry.record) {
            return Err(ClaimError::Held {
                by: "another engine of this process".to_owned(),
            });
        }
        let entry = self.entry_mut(key).ok_or(ClaimError::NotFound)?;
        entry.takeovers = Takeovers::default();
        let record = &mut entry.record;
        record.hold = None;
        let taken_from = record.owner.replace(worker);
        record.epoch = Epoch(record.epoch.0 + 1);
        if record.status != Status::Pending {
            record.ready_at = None;
        }
        Ok(ExecutionRecord {
            taken_from,
            ..record.clone()
        })
    }

    fn orphans(&self, now: Timestamp, limit: usize) -> Vec<ExecutionRecord> {
        let is_orphan = |record: &&ExecutionRecord| {
            let has_work = match record.status {
                Status::Running => true,
                Status::Paused => {
                    record.owner.is_some() || record.ready_at.is_some_and(|ready| ready <= now)
                }
                _ => false,
            };
            has_work && record.hold.is_none() && !self.is_driven(record)
        };
        let records = self.executions.iter().map(|entry| &entry.record);
        records.filter(is_orphan).take(limit).cloned().collect()
    }

    fn posted(&self, after: Option<MessageId>) -> Vec<(MessageId, ExecutionId)> {
        let of = |entry: &'_ Entry| {
            let id = entry.record.id.clone();
            let ids = entry.inbox.iter().map(|message| message.id);
            ids.map(move |message| (message, id.clone()))
                .collect::<Vec<_>>()
        };
        let mut posted: Vec<_> = self.executions.iter().flat_map(of).collect();
        posted.sort();
        match after {
            Some(after) => posted.retain(|(message, _)| *message > after),
            None => posted = posted.pop().into_iter().collect(),
        }
        posted
    }

    fn workers(&self) -> Vec<WorkerRecord> {
        let owns = |id: WorkerId| {
            let owned = self
                .executions
                .iter()
                .filter(|entry| entry.record.owner == Some(id))
                .filter(|entry| !entry.record.status.is_finished());
            owned.count() as u64
        };
        let record = |(id, serves): (&WorkerId, &Option<Serves>)| WorkerRecord {
            id: *id,
            pid: std::process::id(),
            host: String::new(),
            started_at: Timestamp::from_micros(0),
            is_alive: true,
            owns: owns(*id),
            serves: serves.clone(),
        };
        self.alive.iter().map(record).collect()
    }

    fn post(&mut self, to: &ExecutionId, message: NewMessage) -> Result<(), PostError> {
        let key = *self.by_id.get(to).ok_or(PostError::NotFound)?;
        let id = MessageId(self.messages + 1);
        let entry = self.entry_mut(key).ok_or(PostError::NotFound)?;
        if entry.record.status.is_finished() {
            return Err(PostError::Finished(entry.record.status));
        }
        let NewMessage {
            kind,
            name,
            payload,
            dedup,
            at,
        } = message;
        if dedup.is_some_and(|dedup| !entry.seen.insert((Arc::clone(&name), dedup))) {
            return Ok(());
        }
        let record = &mut entry.record;
        let is_free = record.owner.is_none() && record.status != Status::Pending;
        if is_free && (record.hold.is_none() || kind.reaches_held()) {
            record.ready_at = Some(record.ready_at.map_or(at, |ready| ready.min(at)));
        }
        entry.inbox.push(Message {
            id,
            kind,
            name,
            payload,
            at,
        });
        self.messages = id.0;
        Ok(())
    }
}

/// Keeps a worker alive; its death lets others claim what it owned.
struct Alive {
    id: WorkerId,
    shared: Arc<MemoryShared>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.state().alive.remove(&self.id);
        self.shared.changed.notify_waiters();
    }
}

impl Entry {
    fn apply(&mut self, change: Change) {
        let ready_at = self.ready_after(&change);
        let record = &mut self.record;
        record.ready_at = ready_at;
        if change.release.is_some() {
            record.owner = None;
        }
        let is_finished = change.status.is_finished();
        record.apply(change);
        if is_finished {
            record.hold = None;
            record.obstacle = None;
            record.placement.dedup = None;
            self.inbox.retain(|message| !message.kind.is_command());
        }
    }

    /// When a worker is to take it up after a change.
    fn ready_after(&self, change: &Change) -> Option<Timestamp> {
        let record = &self.record;
        match change.status {
            Status::Pending => return Some(record.placement.due.unwrap_or(record.created_at)),
            Status::Running | Status::Paused => {}
            _ => return None,
        }
        let Some(release) = change.release else {
            let is_started = record.status != Status::Pending;
            return record.ready_at.filter(|_| is_started);
        };
        let mut unseen = self
            .inbox
            .iter()
            .filter(|message| Some(message.id) > release.seen);
        let waking = unseen.find(|message| change.hold.is_none() || message.kind.reaches_held());
        release
            .ready_at
            .into_iter()
            .chain(waking.map(|message| message.at))
            .min()
    }
}

impl Filter {
    fn admits(&self, record: &ExecutionRecord) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self
                .workflow
                .as_ref()
                .is_none_or(|workflow| *workflow == record.workflow)
            && self
                .parent
                .as_ref()
                .is_none_or(|parent| Some(parent) == record.parent.as_ref())
            && self.before.is_none_or(|before| record.key < before)
            && self.since.is_none_or(|since| record.created_at >= since)
            && self.admits_placement(&record.placement)
    }

    fn admits_placement(&self, placement: &super::Placement) -> bool {
        let same = |wanted: &Option<Arc<str>>, found: &Option<Arc<str>>| {
            wanted.is_none() || wanted == found
        };
        same(&self.queue, &placement.queue)
            && same(&self.schedule, &placement.schedule)
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| placement.tags.contains(tag))
    }
}

fn place(key: ExecutionKey) -> Option<usize> {
    usize::try_from(key.0).ok()?.checked_sub(1)
}

fn as_number(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::MemoryStore;
    use crate::store::contract::Fresh;

    async fn fresh() -> Fresh {
        Fresh::new(MemoryStore::new())
    }

    crate::store_contract!(fresh);
}
