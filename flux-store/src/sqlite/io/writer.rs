//! The one connection that writes, and who works with it.
//!
//! A commit that finds the connection idle and nobody else waiting runs where it is: two thread hops
//! cost more than SQLite's own work. As soon as several wait, a thread takes them together, with one
//! flush for all. It waits a moment for those whom the last flush has just woken, since they tend to
//! come again: without that, half of them always miss the boat.
//!
//! A commit in place holds up one worker of the runtime, never two. As long as that takes no longer
//! than a task may compute between two awaits, the runtime is not told: to move the worker's tasks
//! away costs a quarter of a commit. On a slow disk, or with a user's statements to run, they are
//! moved; and when another process holds the file, the thread waits for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::caller_thread::CallerThread;
use super::connection::Db;
use super::group::{self, Member, Settled};
use crate::sqlite::Durability;
use crate::sqlite::error::Blame;
use crate::sqlite::file::presence::Presence;
use crate::sync::lock;

/// The longest wait for companions.
const GATHER: Duration = Duration::from_micros(50);
/// After a batch of this size there is nothing to gain by waiting.
const LARGE: usize = 256;
/// The most that share one transaction.
const MOST: usize = 4096;

/// Takes writes, alone or together.
pub(crate) struct Writer {
    shared: Arc<WriteQueue>,
}

/// A writer that may be gone.
pub(crate) struct WeakWriter(Weak<WriteQueue>);

impl WeakWriter {
    /// Hands `member` to the thread, if the store is still open.
    pub(crate) fn enqueue(&self, member: Box<dyn Member>) {
        if let Some(shared) = self.0.upgrade().filter(|shared| !shared.lock().closing) {
            shared.enqueue(member);
        }
    }
}

struct WriteQueue {
    queue: Mutex<Backlog>,
    work: Condvar,
    queued: AtomicUsize,
    file: PathBuf,
    presence: Arc<Presence>,
    durability: Durability,
    blame: Blame,
}

struct Backlog {
    members: VecDeque<Box<dyn Member>>,
    /// The connection; absent while somebody works with it.
    db: Option<IdleWriter>,
    /// How many shared the last transaction.
    last_batch: usize,
    thread: Option<JoinHandle<()>>,
    closing: bool,
}

struct IdleWriter {
    db: Db,
    /// The last use left it in doubt: it is opened anew before the next.
    broken: bool,
}

impl Writer {
    pub(crate) fn new(
        file: PathBuf,
        presence: Arc<Presence>,
        durability: Durability,
        db: Db,
        blame: Blame,
    ) -> Self {
        let queue = Backlog {
            members: VecDeque::new(),
            db: Some(IdleWriter { db, broken: false }),
            last_batch: 1,
            thread: None,
            closing: false,
        };
        let (queue, work, queued) = (Mutex::new(queue), Condvar::new(), AtomicUsize::new(0));
        Self {
            shared: Arc::new(WriteQueue {
                queue,
                work,
                queued,
                file,
                presence,
                durability,
                blame,
            }),
        }
    }

    /// Has `member` written, here and now when that disturbs nobody, else by the thread. The member
    /// is answered in either case, also if the caller stops waiting.
    pub(crate) fn submit(&self, member: Box<dyn Member>) {
        let shared = &self.shared;
        match CallerThread::here().and_then(|place| Some((place, shared.take_for_one()?))) {
            Some((place, idle)) => place.run(|| shared.serve(idle, vec![member])),
            None => shared.enqueue(member),
        }
    }

    /// Hands `member` to the thread.
    pub(crate) fn enqueue(&self, member: Box<dyn Member>) {
        self.shared.enqueue(member);
    }

    /// Looks at the connection if nobody works with it.
    pub(crate) fn peek<T>(&self, look: impl FnOnce(&Db) -> T) -> Option<T> {
        let idle = self.shared.take_for_one()?;
        let seen = look(&idle.db);
        self.shared.put_back(idle, 1);
        Some(seen)
    }

    /// Another handle for a thread that must not keep the writer's thread alive.
    pub(crate) fn observer(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }

    /// A handle for one who may outlive the store.
    pub(crate) fn downgrade(&self) -> WeakWriter {
        WeakWriter(Arc::downgrade(&self.shared))
    }

    /// Finishes what is queued and ends the thread.
    pub(crate) fn close(&self) {
        let thread = {
            let mut queue = self.shared.lock();
            queue.closing = true;
            queue.thread.take()
        };
        self.shared.work.notify_all();
        // The last handle may be dropped by a user's closure, on the thread itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

impl WriteQueue {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        // Nothing that can panic runs under the lock.
        lock(&self.queue)
    }

    /// The connection, if it is idle, nobody waits and the last transaction had one member: those
    /// who just shared one are about to come back, and want to share again.
    fn take_for_one(&self) -> Option<IdleWriter> {
        let mut queue = self.lock();
        if !queue.members.is_empty() || queue.last_batch > 1 {
            return None;
        }
        queue.db.take()
    }

    fn put_back(&self, idle: IdleWriter, served: usize) {
        let mut queue = self.lock();
        queue.db = Some(idle);
        queue.last_batch = served;
        let waiting = !queue.members.is_empty();
        drop(queue);
        if waiting {
            self.work.notify_one();
        }
    }

    fn enqueue(self: &Arc<Self>, member: Box<dyn Member>) {
        let mut queue = self.lock();
        if queue.thread.is_none() && !queue.closing {
            let shared = Arc::clone(self);
            match thread::Builder::new()
                .name("flux-writer".to_owned())
                .spawn(move || shared.work())
            {
                Ok(thread) => queue.thread = Some(thread),
                Err(error) => {
                    drop(queue);
                    let error = self.blame.io("write", "no thread could be started", error);
                    return group::fail(vec![member], &error, false).answer();
                }
            }
        }
        queue.members.push_back(member);
        self.queued.store(queue.members.len(), Ordering::Relaxed);
        drop(queue);
        self.work.notify_one();
    }

    /// The thread.
    fn work(&self) {
        while let Some((idle, expected)) = self.wait() {
            self.gather(expected);
            let members = self.drain();
            self.serve(idle, members);
        }
    }

    /// Waits for a member and the connection; `None` when it is time to end.
    fn wait(&self) -> Option<(IdleWriter, usize)> {
        let mut queue = self.lock();
        loop {
            if queue.members.is_empty() && queue.closing {
                return None;
            }
            if !queue.members.is_empty()
                && let Some(idle) = queue.db.take()
            {
                return Some((idle, queue.last_batch));
            }
            queue = self
                .work
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn gather(&self, expected: usize) {
        if expected >= LARGE {
            return;
        }
        let began = Instant::now();
        while self.queued.load(Ordering::Relaxed) < expected && began.elapsed() < GATHER {
            thread::yield_now();
        }
    }

    fn drain(&self) -> Vec<Box<dyn Member>> {
        let mut queue = self.lock();
        let most = queue.members.len().min(MOST);
        let members = queue.members.drain(..most).collect();
        self.queued.store(queue.members.len(), Ordering::Relaxed);
        members
    }

    /// Writes a group, gives the connection back and answers, in this order: who is answered finds
    /// the connection free again.
    fn serve(&self, mut idle: IdleWriter, members: Vec<Box<dyn Member>>) {
        let served = members.len();
        // A panic in here is ours, not a user's: those are caught further in. The members are then
        // dropped unanswered, which tells those who wait, and the connection is opened anew.
        let settled = catch_unwind(AssertUnwindSafe(|| self.settle(&mut idle, members)));
        idle.broken = settled.as_ref().map_or(true, |settled| settled.broken);
        self.put_back(idle, served);
        if let Ok(settled) = settled {
            settled.answer();
        }
    }

    fn settle(&self, idle: &mut IdleWriter, members: Vec<Box<dyn Member>>) -> Settled {
        if let Err(error) = self.presence.check() {
            let error = self.blame.sqlite("write", error);
            return group::fail(members, &error, idle.broken);
        }
        if idle.broken {
            match self.reopen() {
                Ok(db) => idle.db = db,
                Err(error) => return group::fail(members, &error, true),
            }
        }
        idle.db.expect_group(members.len());
        group::settle(&idle.db, members, &self.blame)
    }

    fn reopen(&self) -> Result<Db, flux_core::store::StoreError> {
        const ACTION: &str = "open the file again";
        // Never an empty file in the place of one that is gone, nor another that has taken its name meanwhile.
        let db = Db::open_existing(&self.file).and_then(|db| {
            self.presence.look()?;
            Ok(db)
        });
        let db = db.map_err(|error| self.blame.sqlite(ACTION, error))?;
        match db.configure(self.durability) {
            Ok(Ok(())) => Ok(db),
            Ok(Err(reason)) => Err(self.blame.plain(ACTION, reason)),
            Err(error) => Err(self.blame.sqlite(ACTION, error)),
        }
    }
}
