//! The reference store: everything in memory, gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use super::{
    Change, ClaimError, Commit, CommitError, Committed, ExecutionRecord, Filter, Message,
    MessageId, NewExecution, NewMessage, PostError, Store, StoreError, Target, WorkerGuard,
};
use crate::event::{Event, FORMAT};
use crate::execution::Status;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;

/// Keeps everything in memory; for tests and for work that need not survive the process.
///
/// Engines that share one `Arc<MemoryStore>` count as different owners, like processes on one file.
/// It starts no thread and needs no runtime.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// In order of creation: the key of an execution is its place, counted from 1.
    executions: Vec<Entry>,
    by_id: BTreeMap<ExecutionId, ExecutionKey>,
    alive: BTreeSet<WorkerId>,
    workers: i64,
    messages: i64,
}

struct Entry {
    record: ExecutionRecord,
    events: Vec<Event>,
    inbox: Vec<Message>,
    /// The (name, dedup key) pairs ever posted.
    seen: BTreeSet<(Arc<str>, Arc<str>)>,
    published: BTreeMap<Arc<str>, Payload>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No code of others runs under this lock but a transaction's, and its panics are caught.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
            state.alive.insert(id);
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

    fn orphans(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move {
            let state = self.state();
            let records = state.executions.iter().map(|entry| &entry.record);
            let orphans = records
                .filter(|record| record.status == Status::Running && !state.is_driven(record));
            Ok(orphans.take(limit).cloned().collect())
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

    fn release(&self, key: ExecutionKey, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if let Some(entry) = self
                .state()
                .entry_mut(key)
                .filter(|entry| entry.record.epoch == epoch)
            {
                entry.record.owner = None;
            }
            Ok(())
        }
        .boxed()
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

    fn inbox(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        async move {
            Ok(self
                .state()
                .entry(key)
                .map(|entry| entry.inbox.clone())
                .unwrap_or_default())
        }
        .boxed()
    }

    fn inboxes(&self) -> BoxFuture<'_, Result<Vec<(ExecutionId, MessageId)>, StoreError>> {
        async move {
            let state = self.state();
            let newest = |entry: &Entry| Some((entry.record.id.clone(), entry.inbox.last()?.id));
            Ok(state.executions.iter().filter_map(newest).collect())
        }
        .boxed()
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

    fn changed(&self) -> BoxFuture<'_, ()> {
        // Counts from this call, not from the first poll.
        self.shared.changed.notified().boxed()
    }
}

impl State {
    fn entry(&self, key: ExecutionKey) -> Option<&Entry> {
        self.executions.get(place(key)?)
    }

    fn entry_mut(&mut self, key: ExecutionKey) -> Option<&mut Entry> {
        self.executions.get_mut(place(key)?)
    }

    fn is_driven(&self, record: &ExecutionRecord) -> bool {
        record
            .owner
            .is_some_and(|owner| self.alive.contains(&owner))
    }

    fn commit(&mut self, mut commit: Commit) -> Result<Committed, CommitError> {
        self.check(&commit)?;
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
        if let Some(change) = commit.change {
            entry.record.apply(change);
        }
        entry
            .inbox
            .retain(|message| !commit.consumed.contains(&message.id));
        entry.published.extend(commit.published);
        for (to, message) in commit.outbox {
            // Those that do not exist or have finished are passed over.
            let _ = self.post(&to, message);
        }
        Ok(Committed {
            key,
            transaction: outcome,
        })
    }

    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        let last = match &commit.target {
            Target::New(new) if self.by_id.contains_key(&new.id) => {
                return Err(CommitError::Exists);
            }
            Target::New(_) => None,
            Target::Existing { key, epoch } => {
                let entry = self
                    .entry(*key)
                    .filter(|entry| entry.record.epoch == *epoch);
                entry
                    .ok_or(CommitError::Fenced)?
                    .events
                    .last()
                    .map(|event| event.seq)
            }
        };
        commit.check_numbers(last, "memory")
    }

    fn create(&mut self, new: NewExecution) -> ExecutionKey {
        let key = ExecutionKey(as_number(self.executions.len() + 1));
        self.by_id.insert(new.id.clone(), key);
        self.executions.push(Entry {
            record: new.into_record(key, FORMAT),
            events: Vec::new(),
            inbox: Vec::new(),
            seen: BTreeSet::new(),
            published: BTreeMap::new(),
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
        let record = &mut self.entry_mut(key).ok_or(ClaimError::NotFound)?.record;
        record.owner = Some(worker);
        record.epoch = Epoch(record.epoch.0 + 1);
        Ok(record.clone())
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
    shared: Arc<Shared>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.shared.state().alive.remove(&self.id);
        self.shared.changed.notify_waiters();
    }
}

impl NewExecution {
    /// The row this makes.
    pub fn into_record(self, key: ExecutionKey, format: u32) -> ExecutionRecord {
        ExecutionRecord {
            key,
            id: self.id,
            workflow: self.workflow,
            version: self.version,
            format,
            status: Status::Running,
            attempt: 1,
            created_at: self.created_at,
            finished_at: None,
            wake_at: None,
            waiting: None,
            parent: self.parent,
            base: EventSeq::FIRST,
            rewound: None,
            owner: Some(self.owner),
            epoch: Epoch(1),
        }
    }
}

impl ExecutionRecord {
    fn apply(&mut self, change: Change) {
        self.status = change.status;
        self.attempt = change.attempt;
        self.finished_at = change.finished_at;
        self.wake_at = change.wake_at;
        self.waiting = change.waiting;
        self.base = change.base;
        self.rewound = change.rewound;
        if change.release {
            self.owner = None;
        }
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
