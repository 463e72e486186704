//! The store itself: each promise of the trait, handed to whoever keeps it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::event::Event;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{
    Barrier, ClaimError, Commit, CommitError, Committed, Correction, DueRequest, DueSchedules,
    ExecutionRecord, Filter, Fire, Fired, LastSetBack, Message, MessageId, NewMessage, Owned,
    PostError, QueueChange, QueueRecord, QueueSettings, ScheduleChange, ScheduleRecord, Serves,
    SetBack, Store, StoreError, Work, WorkRequest, WorkerGuard, WorkerRecord, WorkflowCount,
    WorkflowDescription,
};
use futures::future::{BoxFuture, FutureExt as _};
use rusqlite::Connection;

use super::Durability;
use super::claim::barrier;
use super::claim::orphan;
use super::error::Blame;
use super::file::path::Location;
use super::file::presence::Presence;
use super::inner::Inner;
use super::io::connection::Db;
use super::open::{Settings, SqliteOptions};
use super::table::catalog;
use super::table::execution;
use super::table::history;
use super::table::inbox;
use super::table::list;
use super::table::published;
use super::table::queue;
use super::table::schedule;
use super::table::set_back;

/// Keeps executions in one SQLite file.
///
/// A clone is another handle on the same store. When the last one is dropped, what is queued is
/// finished and the file is closed.
///
/// Several processes may use one file, and so may several stores in one process: what one writes,
/// the others notice within moments, and only one at a time drives an execution.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

impl SqliteStore {
    /// Opens a file with the default options; it is created with its folders if it does not exist.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open().await
    }

    /// The same on this thread.
    pub fn open_blocking(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open_blocking()
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.inner.at.file
    }

    /// What a commit survives, as SQLite itself confirmed it.
    pub fn durability(&self) -> Durability {
        self.inner.durability
    }

    pub(super) fn start(
        at: Location,
        presence: Presence,
        settings: Settings,
        db: Db,
        blame: Blame,
    ) -> Self {
        Self {
            inner: Arc::new(Inner::new(at, presence, settings, db, blame)),
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.path())
            .field("durability", &self.durability())
            .finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    fn describe(&self) -> String {
        self.inner.blame.store().to_owned()
    }

    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>> {
        self.inner.join().boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        self.inner.commit(commit).boxed()
    }

    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>> {
        async {
            self.inner.read("read an execution", 1, |connection| {
                execution::find(connection, id)
            })
        }
        .boxed()
    }

    fn executions(
        &self,
        filter: Filter,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move {
            self.inner
                .read("list executions", filter.limit, |connection| {
                    // One view for all ranges: an execution that changes its status is listed once.
                    let view = connection.unchecked_transaction()?;
                    list::list(&view, &filter)
                })
        }
        .boxed()
    }

    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>> {
        self.inner.matching(fragment, limit).boxed()
    }

    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>> {
        async {
            self.inner
                .read("count executions", usize::MAX, list::workflow_counts)
        }
        .boxed()
    }

    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move {
            self.inner
                .read("list executions without an owner", limit, |connection| {
                    let view = connection.unchecked_transaction()?;
                    orphan::list(&view, &self.inner.life, now, limit)
                })
        }
        .boxed()
    }

    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>> {
        self.inner.claim_ready(request).boxed()
    }

    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        async move {
            self.inner.read("read events", limit, |connection| {
                history::page(connection, key, from, limit)
            })
        }
        .boxed()
    }

    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>> {
        async move {
            self.inner.read("read events", 1, |connection| {
                history::last(connection, key)
            })
        }
        .boxed()
    }

    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>> {
        self.inner.claim(id, worker).boxed()
    }

    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let release =
            move |connection: &Connection| execution::release(connection, key, epoch, ready_at);
        self.inner
            .write_news("release an execution", release)
            .boxed()
    }

    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            self.inner
                .read("look whether an owner lives", 1, |connection| {
                    Ok(self.inner.life.lost(connection, worker)?.is_some())
                })
        }
        .boxed()
    }

    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>> {
        async move {
            self.inner.read(
                "list the executions of an owner",
                usize::MAX,
                |connection| execution::owned_by(connection, worker),
            )
        }
        .boxed()
    }

    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let note = move |connection: &Connection| {
            execution::note_obstacle(connection, key, epoch, &obstacle)
        };
        self.inner.write("note an obstacle", note).boxed()
    }

    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>> {
        async move {
            self.inner.read("read limits", 1, |connection| {
                let view = connection.unchecked_transaction()?;
                barrier::read(&view, key, now)
            })
        }
        .boxed()
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        self.inner.post(to, message).boxed()
    }

    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        async move {
            self.inner.read("read an inbox", 1, |connection| {
                inbox::list(connection, key, after)
            })
        }
        .boxed()
    }

    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>> {
        async move {
            self.inner.read("list messages", 1, |connection| {
                inbox::posted(connection, after)
            })
        }
        .boxed()
    }

    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>> {
        async move {
            self.inner.read("read a published value", 1, |connection| {
                published::read(connection, key, name)
            })
        }
        .boxed()
    }

    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        async move {
            self.inner.read("read a queue", 1, |connection| {
                Ok(queue::read(connection, name)?.settings)
            })
        }
        .boxed()
    }

    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>> {
        async move {
            self.inner.read("list queues", usize::MAX, |connection| {
                let view = connection.unchecked_transaction()?;
                queue::list(&view)
            })
        }
        .boxed()
    }

    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>> {
        let name = name.to_owned();
        let set = move |connection: &Connection| queue::set(connection, &name, change.clone());
        self.inner.write_news("change a queue", set).boxed()
    }

    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>> {
        async move {
            self.inner
                .read("list schedules", usize::MAX, schedule::list)
        }
        .boxed()
    }

    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>> {
        async move {
            self.inner.read("read a schedule", 1, |connection| {
                schedule::find(connection, id)
            })
        }
        .boxed()
    }

    fn due_schedules(
        &self,
        request: DueRequest,
    ) -> BoxFuture<'_, Result<DueSchedules, StoreError>> {
        async move {
            self.inner.read("list schedules", 1, |connection| {
                schedule::due(connection, &request)
            })
        }
        .boxed()
    }

    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>> {
        let put = move |connection: &Connection| schedule::put(connection, &schedule);
        self.inner.write_news("write a schedule", put).boxed()
    }

    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let id = id.to_owned();
        let change = move |connection: &Connection| schedule::change(connection, &id, &change);
        self.inner.write_news("change a schedule", change).boxed()
    }

    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>> {
        let id = id.to_owned();
        let delete = move |connection: &Connection| schedule::delete(connection, &id);
        self.inner.write_news("delete a schedule", delete).boxed()
    }

    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>> {
        let fire = move |connection: &Connection| schedule::fire(connection, &firings);
        self.inner.write_news("fire schedules", fire).boxed()
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>> {
        async move {
            let list = |connection: &Connection| self.inner.life.workers.list(connection);
            self.inner.read("list workers", usize::MAX, list)
        }
        .boxed()
    }

    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        const ACTION: &str = "describe workflows";
        async move {
            let news = |connection: &Connection| catalog::news(connection, workflows);
            let news = self.inner.read(ACTION, 1, news)?;
            if news.is_empty() {
                return Ok(());
            }
            let describe = move |connection: &Connection| catalog::describe(connection, &news);
            self.inner.write(ACTION, describe).await
        }
        .boxed()
    }

    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>> {
        async move { self.inner.read("list workflows", 1, catalog::list) }.boxed()
    }

    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let serve =
            move |connection: &Connection| catalog::serve(connection, worker, serves.as_ref());
        self.inner.write("say what a worker takes", serve).boxed()
    }

    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>> {
        let shift = move |connection: &Connection| set_back::apply(connection, &step);
        self.inner
            .write_news("note that the clock was set back", shift)
            .boxed()
    }

    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>> {
        const ACTION: &str = "compare the clock with those who sleep";
        async move {
            let look = |connection: &Connection| {
                let is_behind = set_back::is_behind(connection, now)?;
                Ok((is_behind, set_back::last(connection)?))
            };
            let (is_behind, last) = self.inner.read(ACTION, 1, look)?;
            if !is_behind {
                return Ok(last);
            }
            let compare = move |connection: &Connection| set_back::compare(connection, now);
            self.inner.write_news(ACTION, compare).await
        }
        .boxed()
    }

    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let correct =
            move |connection: &Connection| set_back::correct(connection, key, epoch, correction);
        self.inner
            .write_news("correct when an execution is ready", correct)
            .boxed()
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.inner.watch.changed().boxed()
    }
}
