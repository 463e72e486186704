//! The store itself: each promise of the trait, handed to whoever keeps it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use flux_core::event::Event;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{
    ClaimError, Commit, CommitError, Committed, ExecutionRecord, Filter, Message, MessageId,
    NewMessage, PostError, Store, StoreError, WorkerGuard, in_transaction,
};
use futures::future::{BoxFuture, FutureExt as _};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Durability;
use super::commit::{APPEND, CommitMember};
use super::connection::Lane;
use super::error::Blame;
use super::group::{Fault, Member, Outcome};
use super::inbox::Posted;
use super::open::SqliteOptions;
use super::path::Location;
use super::reader::Readers;
use super::watch::{self, Watch};
use super::worker::Workers;
use super::writer::Writer;
use super::{execution, history, inbox, published};

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

struct Inner {
    at: Location,
    durability: Durability,
    blame: Blame,
    workers: Workers,
    readers: Readers,
    watch: Watch,
    writer: Writer,
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

    pub(super) fn start(at: Location, durability: Durability, lane: Lane, blame: Blame) -> Self {
        let version = watch::version(&lane);
        let writer = Writer::new(at.file.clone(), durability, lane, blame.clone());
        Self {
            inner: Arc::new(Inner {
                workers: Workers::new(at.workers.clone()),
                readers: Readers::new(at.file.clone()),
                watch: Watch::new(writer.observer(), version),
                at,
                durability,
                blame,
                writer,
            }),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watch.close();
        self.writer.close();
        self.workers.leave();
    }
}

impl Inner {
    fn read<T>(
        &self,
        action: &str,
        rows: usize,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.readers
            .read(rows, read)
            .map_err(|error| self.blame.sqlite(action, error))
    }

    /// Runs `write` in the next group; it may run again after a rollback.
    async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.refuse_inside_transaction(action)?;
        let (reply, answer) = oneshot::channel();
        self.writer.submit(Box::new(Write {
            action,
            body: write,
            found: None,
            reply,
        }));
        answer.await.unwrap_or_else(|_| {
            Err(self
                .blame
                .plain(action, "the writer gave no answer: read back"))
        })
    }

    /// A user's statements that waited for a commit would wait for ever: they hold the connection.
    fn refuse_inside_transaction(&self, action: &str) -> Result<(), StoreError> {
        if in_transaction() {
            let reason = "this was asked inside a `transaction`, which holds the only connection \
                          that writes: ask before or after it";
            return Err(self.blame.plain(action, reason));
        }
        Ok(())
    }

    async fn join(&self) -> Result<WorkerGuard, StoreError> {
        const ACTION: &str = "register a worker";
        // Spoilt numbers take a sweep by another process at the very moment: once is rare.
        for _ in 0..100 {
            let workers = self.workers.clone();
            let worker = self
                .write(ACTION, move |connection| workers.register(connection))
                .await?;
            match self.workers.lock(worker, self.watch.bell()) {
                Ok(Some(alive)) => return Ok(WorkerGuard::new(worker, alive)),
                Ok(None) => {}
                Err(error) => {
                    let reason = format!("no lock file in `{}`", self.at.workers.display());
                    return Err(self.blame.io(ACTION, reason, error));
                }
            }
        }
        Err(self
            .blame
            .plain(ACTION, "other processes keep removing its lock file"))
    }

    async fn claim(
        &self,
        id: &ExecutionId,
        worker: WorkerId,
    ) -> Result<ExecutionRecord, ClaimError> {
        let (id, workers) = (id.clone(), self.workers.clone());
        let claimed = self.write("claim an execution", move |connection| {
            let Some(mut record) = execution::find(connection, &id)? else {
                return Ok(Err(ClaimError::NotFound));
            };
            if let Some(owner) = record
                .owner
                .filter(|owner| *owner != worker && workers.is_alive(*owner))
            {
                return Ok(Err(ClaimError::Held {
                    by: Workers::describe(connection, owner)?,
                }));
            }
            execution::take(connection, &mut record, worker)?;
            Ok(Ok(record))
        });
        claimed.await.map_err(ClaimError::Failed)?
    }

    async fn post(&self, to: &ExecutionId, message: NewMessage) -> Result<(), PostError> {
        let to = to.clone();
        let posted = self.write("post a message", move |connection| {
            inbox::post(connection, &to, &message)
        });
        match posted.await.map_err(PostError::Failed)? {
            Posted::Accepted => {
                self.watch.notify();
                Ok(())
            }
            Posted::NotFound => Err(PostError::NotFound),
            Posted::Finished(status) => Err(PostError::Finished(status)),
        }
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        self.refuse_inside_transaction(APPEND)
            .map_err(CommitError::Failed)?;
        let posts = !commit.outbox.is_empty();
        let (reply, answer) = oneshot::channel();
        self.writer.submit(Box::new(CommitMember::new(
            commit,
            self.blame.store().to_owned(),
            reply,
        )));
        let committed = answer.await.unwrap_or_else(|_| {
            let error = self.blame.plain(APPEND, "the writer gave no answer");
            Err(CommitError::Unknown(error))
        })?;
        if posts {
            self.watch.notify();
        }
        Ok(committed)
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
                    execution::list(&view, &filter)
                })
        }
        .boxed()
    }

    fn orphans(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>> {
        async move {
            self.inner
                .read("list executions without an owner", limit, |connection| {
                    let view = connection.unchecked_transaction()?;
                    execution::orphans(&view, limit, |worker| self.inner.workers.is_alive(worker))
                })
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

    fn release(&self, key: ExecutionKey, epoch: Epoch) -> BoxFuture<'_, Result<(), StoreError>> {
        let release = move |connection: &Connection| execution::release(connection, key, epoch);
        self.inner.write("release an execution", release).boxed()
    }

    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>> {
        self.inner.post(to, message).boxed()
    }

    fn inbox(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        async move {
            self.inner.read("read an inbox", 1, |connection| {
                inbox::list(connection, key)
            })
        }
        .boxed()
    }

    fn inboxes(&self) -> BoxFuture<'_, Result<Vec<(ExecutionId, MessageId)>, StoreError>> {
        async move { self.inner.read("list inboxes", usize::MAX, inbox::list_all) }.boxed()
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

    fn changed(&self) -> BoxFuture<'_, ()> {
        self.inner.watch.changed().boxed()
    }
}

/// A write that is no commit: a claim, a message, a registration.
struct Write<T, F> {
    action: &'static str,
    body: F,
    found: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Member for Write<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
{
    fn run(&mut self, lane: &Lane) -> Result<(), Fault> {
        self.found = Some((self.body)(&lane.connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        let Self {
            action,
            found,
            reply,
            ..
        } = *self;
        let answer = match (outcome, found) {
            (Outcome::Done, Some(found)) => Ok(found),
            (Outcome::Failed(error) | Outcome::Unknown(error), _) => Err(StoreError {
                action: action.to_owned(),
                ..error
            }),
            // A group that is done has run its members.
            (Outcome::Done, None) => return,
        };
        let _ = reply.send(answer);
    }
}
