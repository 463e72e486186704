//! What the handles on a store share: the connections, and what is done with them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use flux_core::id::{ExecutionId, WorkerId};
use flux_core::store::{
    ClaimError, Commit, CommitError, Committed, ExecutionRecord, NewMessage, PostError, StoreError,
    Work, WorkRequest, WorkerGuard, in_transaction,
};
use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use super::Durability;
use super::alive::beat::Beats;
use super::alive::death::DeathWatch;
use super::alive::life::Life;
use super::alive::wal;
use super::alive::watch::{self, Watch};
use super::alive::worker::{Alive, Workers};
use super::claim::work::{self, Peeked};
use super::commit::{APPEND, CommitMember};
use super::error::Blame;
use super::file::inspect::Errand;
use super::file::path::Location;
use super::file::presence::Presence;
use super::io::connection::Db;
use super::io::reader::Readers;
use super::io::thread;
use super::io::write::Write;
use super::io::writer::Writer;
use super::open::Settings;
use super::table::execution;
use super::table::find;
use super::table::inbox::{self, Posted};
use crate::sync::lock;

/// What the handles on a store share.
pub(super) struct Inner {
    pub(super) at: Location,
    pub(super) durability: Durability,
    pub(super) blame: Blame,
    pub(super) life: Arc<Life>,
    /// Whether this store has made the workers' folder, and is to take it away if nobody is left in it.
    tidies: AtomicBool,
    /// The queue that work was given from last: they take turns.
    last_queue: Mutex<Option<Arc<str>>>,
    readers: Arc<Readers>,
    pub(super) watch: Watch,
    writer: Writer,
}

impl Inner {
    pub(super) fn new(
        at: Location,
        presence: Presence,
        settings: Settings,
        db: Db,
        blame: Blame,
    ) -> Self {
        let Settings {
            durability,
            stall_after,
            errand,
        } = settings;
        let version = watch::version(&db);
        let presence = Arc::new(presence);
        let writer = Writer::new(
            at.file.clone(),
            Arc::clone(&presence),
            durability,
            db,
            blame.clone(),
        );
        let life = Arc::new(Life::new(
            Workers::new(at.workers.clone()),
            Beats::new(stall_after),
        ));
        let readers = Arc::new(Readers::new(at.file.clone(), presence));
        let deaths = DeathWatch::new(Arc::clone(&life), Arc::clone(&readers));
        Self {
            watch: Watch::new(writer.observer(), version, deaths, wal::log_of(&at.file)),
            life,
            tidies: AtomicBool::new(errand == Errand::Use),
            last_queue: Mutex::default(),
            readers,
            at,
            durability,
            blame,
            writer,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.watch.close();
        self.life.beats.close();
        self.writer.close();
        if self.tidies.load(Ordering::Relaxed) {
            self.life.workers.leave();
        }
    }
}

impl Inner {
    pub(super) fn read<T>(
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
    pub(super) async fn write<T: Send + 'static>(
        &self,
        action: &'static str,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(action, write, None).await
    }

    /// Runs `write` in the next group, and wakes those who wait for news once it is in the file, also if this future is
    /// dropped before.
    async fn write_telling<T: Send + 'static>(
        &self,
        action: &'static str,
        is_news: fn(&T) -> bool,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let submitted = self.submit(action, write, Some(self.watch.bell()));
        let written = self.watch.attended(submitted).await?;
        if is_news(&written) {
            self.watch.notify();
        }
        Ok(written)
    }

    async fn submit<T: Send + 'static>(
        &self,
        action: &'static str,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        bell: Option<Arc<Notify>>,
    ) -> Result<T, StoreError> {
        self.refuse_inside_transaction(action)?;
        let (reply, answer) = oneshot::channel();
        self.writer
            .submit(Box::new(Write::new(action, write, bell, reply)));
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

    pub(super) async fn join(&self) -> Result<WorkerGuard, StoreError> {
        const ACTION: &str = "register a worker";
        self.tidies.store(true, Ordering::Relaxed);
        // Spoilt numbers take a sweep by another process at the very moment: once is rare.
        for _ in 0..100 {
            let (life, every) = (Arc::clone(&self.life), self.life.beats.every());
            let register = move |connection: &Connection| life.workers.register(connection, every);
            let (worker, has_silenced) = self.write(ACTION, register).await?;
            if has_silenced {
                let life = Arc::clone(&self.life);
                let sweep = move |connection: &Connection| life.workers.sweep(connection);
                self.write("forget workers that are dead", sweep).await?;
            }
            match self.life.workers.lock(worker) {
                Ok(Some(lock)) => {
                    let lock = Arc::new(lock);
                    // It beats no more before its lock is given up.
                    let beats = self.life.beats.join(worker, &lock, &self.writer);
                    let alive = Alive {
                        worker,
                        lock,
                        workers: self.life.workers.clone(),
                        writer: self.writer.downgrade(),
                        gone: self.watch.bell(),
                    };
                    return Ok(WorkerGuard::new(worker, (beats, alive)));
                }
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

    pub(super) async fn claim(
        &self,
        id: &ExecutionId,
        worker: WorkerId,
    ) -> Result<ExecutionRecord, ClaimError> {
        let (id, life) = (id.clone(), Arc::clone(&self.life));
        let claimed = self.write("claim an execution", move |connection| {
            let Some(mut record) = execution::find(connection, &id)? else {
                return Ok(Err(ClaimError::NotFound));
            };
            if let Some(owner) = record.owner.filter(|owner| *owner != worker)
                && life.lost(connection, owner)?.is_none()
            {
                return Ok(Err(ClaimError::Held {
                    by: Workers::describe(connection, owner)?,
                }));
            }
            execution::claim(connection, &mut record, worker)?;
            Ok(Ok(record))
        });
        claimed.await.map_err(ClaimError::Failed)?
    }

    pub(super) async fn matching(
        &self,
        fragment: &str,
        limit: usize,
    ) -> Result<Vec<ExecutionId>, StoreError> {
        const ACTION: &str = "find executions";
        let asked = find::Asked::new(fragment, limit);
        let look = |connection: &Connection| find::look(connection, &asked);
        let pieces = match self.read(ACTION, usize::MAX, look)? {
            find::Found::All(found) => return Ok(found),
            find::Found::Unsearched(pieces) => pieces,
        };
        let (readers, blame) = (Arc::clone(&self.readers), self.blame.clone());
        let search = move || {
            let found = find::search(&readers, &asked, &pieces);
            found.map_err(|error| blame.sqlite(ACTION, error))
        };
        thread::run(ACTION, self.blame.clone(), search).await
    }

    pub(super) async fn claim_ready(&self, mut request: WorkRequest) -> Result<Work, StoreError> {
        const ACTION: &str = "claim what is ready";
        let only_asks = request.limit == 0;
        if only_asks {
            // Whether one would be given.
            request.limit = 1;
        }
        let found = self.read(ACTION, 1, |connection| {
            let view = connection.unchecked_transaction()?;
            work::peek(&view, &request, &self.life)
        })?;
        let lost = match found {
            Peeked::Something(_) if only_asks => {
                return Ok(Work {
                    next: Some(request.now.at()),
                    ..Work::default()
                });
            }
            Peeked::Something(lost) => lost,
            Peeked::Nothing(next) => {
                return Ok(Work {
                    next,
                    ..Work::default()
                });
            }
        };
        let last_queue = self.last_queue().clone();
        let give = move |connection: &Connection| {
            work::give(connection, &request, &lost, last_queue.clone())
        };
        let is_news =
            |given: &work::Given| !given.work.claimed.is_empty() || !given.work.held.is_empty();
        let given = self.write_telling(ACTION, is_news, give).await?;
        *self.last_queue() = given.last_queue;
        Ok(given.work)
    }

    fn last_queue(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        lock(&self.last_queue)
    }

    /// Runs `write` in the next group and says that something has changed.
    pub(super) async fn write_news<T: Send + 'static>(
        &self,
        action: &'static str,
        write: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_telling(action, |_| true, write).await
    }

    pub(super) async fn post(
        &self,
        to: &ExecutionId,
        message: NewMessage,
    ) -> Result<(), PostError> {
        let to = to.clone();
        let is_news = |posted: &Posted| matches!(posted, Posted::Accepted);
        let posted = self.write_telling("post a message", is_news, move |connection| {
            inbox::post(connection, &to, &message)
        });
        match posted.await.map_err(PostError::Failed)? {
            Posted::Accepted => Ok(()),
            Posted::NotFound => Err(PostError::NotFound),
            Posted::Finished(status) => Err(PostError::Finished(status)),
        }
    }

    pub(super) fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send {
        let posts = !commit.outbox.is_empty();
        let (reply, answer) = oneshot::channel();
        // Boxed before there is a future: a commit is large, and would be moved with each move of the future.
        let member = Box::new(CommitMember {
            commit,
            blame: self.blame.clone(),
            refusal: None,
            found: Err(CommitError::Fenced),
            bell: self.watch.bell(),
            reply,
        });
        async move {
            self.refuse_inside_transaction(APPEND)
                .map_err(CommitError::Failed)?;
            self.writer.submit(member);
            let answer = async {
                answer.await.unwrap_or_else(|_| {
                    let error = self.blame.plain(APPEND, "the writer gave no answer");
                    Err(CommitError::Unknown(error))
                })
            };
            if !posts {
                return answer.await;
            }
            let committed = self.watch.attended(answer).await?;
            self.watch.notify();
            Ok(committed)
        }
    }
}
