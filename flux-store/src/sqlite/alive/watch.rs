//! Noticing what others write.
//!
//! SQLite tells each connection whether anybody else has changed the file. The question is asked on
//! the connection that writes, so that our own commits are not news; it is asked by a thread that
//! sleeps while nobody waits for an answer: now and then, and at once when the [log file](super::wal) was
//! written to.
//!
//! That somebody has died writes nothing: now and then the thread looks for that, too.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::death::DeathWatch;
use super::wal::WalWatch;
use crate::sqlite::io::connection::Db;
use crate::sqlite::io::group::{Fault, Member, Outcome};
use crate::sqlite::io::writer::Writer;
use crate::sync::lock;

/// How often the question is asked while somebody waits and no write is heard.
const EVERY: Duration = Duration::from_millis(50);
/// How long the thread stays when nobody waits any more.
const LINGER: Duration = Duration::from_secs(5);

/// Wakes those who wait for news.
pub(crate) struct Watch {
    shared: Arc<Lookout>,
    writer: Writer,
    deaths: DeathWatch,
    /// The log file.
    log: PathBuf,
}

struct Lookout {
    notify: Arc<Notify>,
    state: Mutex<LookoutState>,
    wake: Condvar,
}

#[derive(Default)]
struct LookoutState {
    waiting: usize,
    /// The log file was written to since that.
    is_stirred: bool,
    /// The file's version when it was last looked at.
    version: Option<i64>,
    thread: Option<JoinHandle<()>>,
    running: bool,
    closing: bool,
}

impl Watch {
    pub(crate) fn new(
        writer: Writer,
        version: Option<i64>,
        deaths: DeathWatch,
        log: PathBuf,
    ) -> Self {
        let state = Mutex::new(LookoutState {
            version,
            ..LookoutState::default()
        });
        Self {
            shared: Arc::new(Lookout {
                notify: Arc::default(),
                state,
                wake: Condvar::new(),
            }),
            writer,
            deaths,
            log,
        }
    }

    /// Says that something was written, at once.
    pub(crate) fn notify(&self) {
        self.shared.notify.notify_waiters();
    }

    /// Awaits a write that is news for others. If the caller drops this future, the write may have happened without an
    /// announcement, so those who wait are woken.
    pub(crate) async fn attended<T>(&self, write: impl Future<Output = T>) -> T {
        // Dropped after `write`: what is written later than that finds its caller gone, and rings the bell itself.
        let unseen = Unseen(Some(&self.shared.notify));
        let written = write.await;
        unseen.answered();
        written
    }

    /// Returns what wakes those who wait for news: of what was written here, or of an owner that has left.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.shared.notify)
    }

    /// Resolves at the next news. News count from now, not from the first poll.
    pub(crate) fn changed(&self) -> Changed<'_> {
        let notified = self.shared.notify.notified();
        let mut state = self.shared.lock();
        state.waiting += 1;
        if !state.running {
            self.start(&mut state);
        } else if state.waiting == 1 {
            self.shared.wake.notify_one();
        }
        drop(state);
        Changed {
            notified: Box::pin(notified),
            _interest: Interest(&self.shared),
        }
    }

    fn start(&self, state: &mut LookoutState) {
        let (shared, writer) = (Arc::clone(&self.shared), self.writer.observer());
        let (mut deaths, log) = (self.deaths.clone(), self.log.clone());
        let spawned = thread::Builder::new()
            .name("flux-watch".to_owned())
            .spawn(move || shared.watch(&writer, &mut deaths, &log));
        match spawned {
            Ok(thread) => {
                state.running = true;
                state.thread = Some(thread);
            }
            // Without a thread only our own posts are noticed; the next call tries again.
            Err(error) => {
                tracing::warn!(%error, "the thread that watches the file could not be started");
            }
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let thread = {
            let mut state = self.shared.lock();
            state.closing = true;
            state.thread.take()
        };
        self.shared.wake.notify_all();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Lookout {
    fn lock(&self) -> MutexGuard<'_, LookoutState> {
        lock(&self.state)
    }

    fn watch(self: &Arc<Self>, writer: &Writer, deaths: &mut DeathWatch, log: &Path) {
        let heard = Arc::clone(self);
        let _hears = WalWatch::new(log, move || heard.stir());
        while self.rest() {
            let is_written = self.note(ask(writer));
            if deaths.look() || is_written {
                self.notify.notify_waiters();
            }
        }
    }

    /// Remembers the file's version; true if it is another than before.
    fn note(&self, version: Option<i64>) -> bool {
        let mut state = self.lock();
        let is_other = version.is_some() && version != state.version;
        if is_other {
            state.version = version;
        }
        is_other
    }

    /// The log file was written to.
    fn stir(&self) {
        self.lock().is_stirred = true;
        self.wake.notify_all();
    }

    /// Sleeps until it is time to ask; false when it is time to end.
    fn rest(&self) -> bool {
        let watched = |state: &mut LookoutState| !state.closing && state.waiting > 0;
        let calm = |state: &mut LookoutState| watched(state) && !state.is_stirred;
        let unwatched = |state: &mut LookoutState| !state.closing && state.waiting == 0;
        let (state, _) = self
            .wake
            .wait_timeout_while(self.lock(), EVERY, calm)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .wake
            .wait_timeout_while(state, LINGER, unwatched)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_stirred = false;
        state.running = watched(&mut state);
        state.running
    }
}

/// Wakes those who wait for news when dropped, unless the write was answered.
struct Unseen<'a>(Option<&'a Notify>);

impl Unseen<'_> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if let Some(notify) = self.0 {
            notify.notify_waiters();
        }
    }
}

/// The file's version, as the writing connection sees it: on the spot when it is idle, in the next
/// group when it is not.
fn ask(writer: &Writer) -> Option<i64> {
    if let Some(version) = writer.peek(version) {
        return version;
    }
    let (reply, version) = mpsc::sync_channel(1);
    writer.enqueue(Box::new(Probe { found: None, reply }));
    // Not for ever: the writer's own thread may be waiting for this one to end.
    version.recv_timeout(EVERY).ok().flatten()
}

/// Reads the file's version; it grows with the commits of others.
pub(crate) fn version(db: &Db) -> Option<i64> {
    let mut select = db.connection.prepare_cached("PRAGMA data_version").ok()?;
    select.query_row([], |row| row.get(0)).ok()
}

struct Probe {
    found: Option<i64>,
    reply: mpsc::SyncSender<Option<i64>>,
}

impl Member for Probe {
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        self.found = version(db);
        Ok(())
    }

    fn answer(self: Box<Self>, _outcome: Outcome) {
        // A version read is a version read, whatever came of the others in the group.
        let _ = self.reply.send(self.found);
    }
}

/// Resolves when something may have changed.
#[must_use = "it counts what happens from now on, and only when awaited"]
pub(crate) struct Changed<'a> {
    notified: Pin<Box<Notified<'a>>>,
    _interest: Interest<'a>,
}

impl Future for Changed<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.notified.as_mut().poll(cx)
    }
}

/// Keeps the thread looking.
struct Interest<'a>(&'a Lookout);

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}
