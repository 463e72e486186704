//! Who has lost what they own: the dead, and those who live and do nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flux_core::id::WorkerId;
use rusqlite::Connection;

use super::beat::{self, Beats, Lock, Shown};
use super::worker::{self, Sign, Workers};

/// An owner who is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) worker: WorkerId,
    /// The beat at which one has stalled that still lives, as far as can be told.
    pub(crate) stalled_at: Option<i64>,
}

impl Lost {
    /// Whether it has come back since it was found lost. The dead do not.
    pub(crate) fn is_back(&self, connection: &Connection) -> rusqlite::Result<bool> {
        match self.stalled_at {
            Some(count) => Ok(!beat::is_still_at(connection, self.worker, count)?),
            None => Ok(false),
        }
    }
}

/// Tells who lives.
pub(crate) struct Life {
    pub(crate) workers: Workers,
    pub(crate) beats: Beats,
    last_look: Mutex<Option<Look>>,
}

/// Who was found lost, and when.
struct Look {
    at: Instant,
    /// How many workers of this process had left by then.
    left: u64,
    lost: Vec<Lost>,
}

/// How long it counts what a look has found: to look at the lock file of every owner costs as much as all else of a
/// worker's round, and more the more there are. A process that dies is noticed that much later.
const COUNTS_FOR: Duration = Duration::from_millis(500);

impl Life {
    pub(crate) fn new(workers: Workers, beats: Beats) -> Self {
        Self {
            workers,
            beats,
            last_look: Mutex::default(),
        }
    }

    /// Those who own executions that have not finished, and are to be replaced, as was found not long ago.
    pub(crate) fn known_lost(&self, connection: &Connection) -> rusqlite::Result<Vec<Lost>> {
        let left = worker::left_in_this_process();
        let counts = |look: &&Look| look.left == left && look.at.elapsed() < COUNTS_FOR;
        if let Some(look) = self.last_look().as_ref().filter(counts) {
            return Ok(look.lost.clone());
        }
        self.all_lost(connection)
    }

    fn last_look(&self) -> MutexGuard<'_, Option<Look>> {
        self.last_look
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what this worker owns may be taken from it.
    pub(crate) fn lost(
        &self,
        connection: &Connection,
        worker: WorkerId,
    ) -> rusqlite::Result<Option<Lost>> {
        if self.beats.is_own(worker) {
            return Ok(None);
        }
        let lost = |stalled_at| Some(Lost { worker, stalled_at });
        let shown = match self.workers.sign(worker) {
            Sign::Locked => self.beats.look(connection, worker, Lock::Held)?,
            Sign::Missing => self.beats.look(connection, worker, Lock::Missing)?,
            Sign::Unlocked => Shown::Nothing,
        };
        Ok(match shown {
            Shown::Life => None,
            Shown::TheSameSince(beat) => lost(Some(beat)),
            Shown::Nothing => {
                self.beats.forget(worker);
                lost(None)
            }
        })
    }

    /// Those who own executions that have not finished, and are to be replaced.
    pub(crate) fn all_lost(&self, connection: &Connection) -> rusqlite::Result<Vec<Lost>> {
        // Before the look, so that whoever leaves meanwhile makes another necessary.
        let (at, left) = (Instant::now(), worker::left_in_this_process());
        let mut lost = Vec::new();
        for owner in owners(connection)? {
            lost.extend(self.lost(connection, owner)?);
        }
        let mut known = self.last_look();
        // One that began earlier and took longer does not take the place of this: who has died since would be forgotten.
        if known.as_ref().is_none_or(|known| known.at <= at) {
            *known = Some(Look {
                at,
                left,
                lost: lost.clone(),
            });
        }
        Ok(lost)
    }
}

/// Who owns executions that have not finished: one seek each, however many they own.
fn owners(connection: &Connection) -> rusqlite::Result<Vec<WorkerId>> {
    const NEXT: &str = "SELECT min(owner) FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE owner IS NOT NULL AND status < 4 AND owner > ?1";
    let mut next = connection.prepare_cached(NEXT)?;
    let mut owners = Vec::new();
    let mut last = i64::MIN;
    while let Some(owner) = next.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        owners.push(WorkerId(owner));
        last = owner;
    }
    Ok(owners)
}
