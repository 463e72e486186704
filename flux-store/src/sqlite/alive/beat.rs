//! Showing that one runs, and noticing who does not.
//!
//! A worker whose process was killed has lost its lock. One whose process is stopped, or whose machine has no memory
//! left, keeps it and does nothing: it is known by its beat, a number in the file that a thread of its own counts on.
//! Others remember how long they have seen the same number. Only time in which they looked counts: clocks of two
//! processes cannot be compared, and after a night in which the whole machine slept nobody is robbed.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flux_core::id::WorkerId;
use rusqlite::{Connection, OptionalExtension as _};

use super::worker::WorkerLock;
use crate::sqlite::io::connection::Db;
use crate::sqlite::io::group::{Fault, Member, Outcome};
use crate::sqlite::io::writer::Writer;
use crate::sync::lock;

/// How long a worker may show nothing unless told otherwise.
pub(crate) const STALL_AFTER: Duration = Duration::from_mins(1);

/// At most this long between two beats.
const LONGEST: Duration = Duration::from_secs(5);

/// How much longer than for two beats a worker may take to make a lock file that was removed.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of a worker's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Held,
    /// There is no lock file.
    Missing,
}

/// What a worker shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It lives, or it is too early to tell.
    Life,
    /// The same beat for too long.
    TheSameSince(i64),
    /// It is gone.
    Nothing,
}

/// The workers of one store value: those that beat, and what was seen of others.
pub(crate) struct Beats {
    shared: Arc<Pulse>,
    stall_after: Duration,
    seen: Mutex<BTreeMap<WorkerId, Seen>>,
}

/// What was seen of a worker.
struct Seen {
    beat: i64,
    /// How long it was watched showing the same.
    unchanged: Duration,
    looked: Instant,
}

struct Pulse {
    state: Mutex<PulseState>,
    wake: Condvar,
}

#[derive(Default)]
struct PulseState {
    own: BTreeMap<WorkerId, Arc<WorkerLock>>,
    thread: Option<JoinHandle<()>>,
    /// A beat is on its way to the file.
    is_beating: bool,
    closing: bool,
}

impl Beats {
    pub(crate) fn new(stall_after: Duration) -> Self {
        Self {
            shared: Arc::new(Pulse {
                state: Mutex::default(),
                wake: Condvar::new(),
            }),
            stall_after,
            seen: Mutex::default(),
        }
    }

    /// How often the workers of this store value beat.
    pub(crate) fn every(&self) -> Duration {
        (self.stall_after / 4).clamp(Duration::from_millis(1), LONGEST)
    }

    /// A worker has joined through this store value.
    pub(crate) fn join(&self, worker: WorkerId, lock: &Arc<WorkerLock>, writer: &Writer) -> Own {
        let mut state = self.shared.lock();
        state.own.insert(worker, Arc::clone(lock));
        if state.thread.is_none() && !state.closing {
            self.start(&mut state, writer);
        }
        Own {
            worker,
            shared: Arc::clone(&self.shared),
        }
    }

    fn start(&self, state: &mut PulseState, writer: &Writer) {
        let (shared, writer, every) = (Arc::clone(&self.shared), writer.observer(), self.every());
        let spawned = thread::Builder::new()
            .name("flux-beat".to_owned())
            .spawn(move || shared.beat(&writer, every));
        match spawned {
            Ok(thread) => state.thread = Some(thread),
            // Others will take these workers for stalled; the epoch keeps that harmless.
            Err(error) => {
                tracing::warn!(%error, "the thread that shows that workers run could not be started");
            }
        }
    }

    /// Whether a worker has joined through this store value and not left.
    pub(crate) fn is_own(&self, worker: WorkerId) -> bool {
        self.shared.lock().own.contains_key(&worker)
    }

    /// Looks at a worker whose lock file says that it may live.
    pub(crate) fn look(
        &self,
        connection: &Connection,
        worker: WorkerId,
        file: Lock,
    ) -> rusqlite::Result<Shown> {
        let Beat { count, every } = match (read(connection, worker)?, file) {
            (Row::Beats(beat), _) => beat,
            // One that does not beat cannot be told from one that has stalled.
            (Row::Silent, Lock::Held) => return Ok(Shown::Life),
            // One that leaves beats no more. And where the file is a copy that has taken the place of another, the lock may
            // be that of one who uses the other.
            (Row::Silent | Row::Missing, _) => return Ok(Shown::Nothing),
        };
        let limit = match file {
            Lock::Held => self.stall_after.max(every * 4),
            // One that lives makes its file again with its next beat.
            Lock::Missing => every * 2 + GRACE,
        };
        let now = Instant::now();
        let mut all = lock(&self.seen);
        match all.get_mut(&worker).filter(|seen| seen.beat == count) {
            Some(seen) => {
                // Between two looks we may have stood still ourselves.
                seen.unchanged += (now - seen.looked).min(limit / 4);
                seen.looked = now;
                if seen.unchanged >= limit {
                    return Ok(Shown::TheSameSince(count));
                }
            }
            None => {
                let first = Seen {
                    beat: count,
                    unchanged: Duration::ZERO,
                    looked: now,
                };
                all.insert(worker, first);
            }
        }
        Ok(Shown::Life)
    }

    /// Forgets a worker that is dead.
    pub(crate) fn forget(&self, worker: WorkerId) {
        let mut seen = lock(&self.seen);
        seen.remove(&worker);
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

impl Pulse {
    fn lock(&self) -> MutexGuard<'_, PulseState> {
        lock(&self.state)
    }

    /// The thread.
    fn beat(self: &Arc<Self>, writer: &Writer, every: Duration) {
        let mut state = self.lock();
        while !state.closing {
            if !state.own.is_empty() && !state.is_beating {
                state.is_beating = true;
                let beat = BeatMember(Arc::clone(self));
                let locks: Vec<_> = state.own.values().cloned().collect();
                drop(state);
                for lock in locks {
                    restore(&lock);
                }
                writer.enqueue(Box::new(beat));
                state = self.lock();
            }
            let rest = self
                .wake
                .wait_timeout_while(state, every, |state| !state.closing);
            (state, _) = rest.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Others learn of a worker's death by its lock file: one that was removed is made again.
fn restore(lock: &WorkerLock) {
    match lock.restore() {
        Ok(false) => {}
        Ok(true) => tracing::warn!(
            "the lock file of a worker was removed while it runs, and is made again: leave the folder of the workers alone"
        ),
        Err(error) => {
            tracing::warn!(%error, "the lock file of a worker was removed while it runs, and cannot be made again");
        }
    }
}

/// One beat of all workers of a store value.
struct BeatMember(Arc<Pulse>);

impl Member for BeatMember {
    fn run(&mut self, db: &Db) -> Result<(), Fault> {
        // A sweep may have taken the beat out of the row before the worker had locked its file.
        const BEAT: &str = "UPDATE flux_workers SET beat = coalesce(beat, 0) + 1 WHERE id = ?1";
        let own = self.0.lock().own.clone();
        let mut beat = db.connection.prepare_cached(BEAT)?;
        for worker in own.keys() {
            beat.execute([worker.0])?;
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Outcome) {
        self.0.lock().is_beating = false;
        if let Outcome::Failed(error) | Outcome::Unknown(error) = outcome {
            tracing::warn!(%error, "could not show that workers of this process run");
        }
    }
}

/// A worker as it was last heard of.
struct Beat {
    count: i64,
    every: Duration,
}

/// The row of a worker, as far as its beat goes.
enum Row {
    Missing,
    /// It has left, or is of a version of Flux without beats.
    Silent,
    Beats(Beat),
}

fn read(connection: &Connection, worker: WorkerId) -> rusqlite::Result<Row> {
    const READ: &str = "SELECT beat, beats_every FROM flux_workers WHERE id = ?1";
    let mut read = connection.prepare_cached(READ)?;
    let row = read.query_row([worker.0], |row| {
        let (count, every): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
        let beat = count.zip(every).map(|(count, every)| Beat {
            count,
            every: Duration::from_micros(every.unsigned_abs()),
        });
        Ok(beat.map_or(Row::Silent, Row::Beats))
    });
    Ok(row.optional()?.unwrap_or(Row::Missing))
}

/// Whether a worker still shows this beat.
pub(crate) fn is_still_at(
    connection: &Connection,
    worker: WorkerId,
    count: i64,
) -> rusqlite::Result<bool> {
    Ok(match read(connection, worker)? {
        Row::Beats(beat) => beat.count == count,
        Row::Missing | Row::Silent => true,
    })
}

/// A worker that beats; it stops when this is dropped.
pub(crate) struct Own {
    worker: WorkerId,
    shared: Arc<Pulse>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.shared.lock().own.remove(&self.worker);
    }
}
