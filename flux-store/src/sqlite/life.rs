//! Who has lost what they own: the dead, and those who live and do nothing.

use flux_core::id::WorkerId;
use rusqlite::Connection;

use super::beat::{self, Beats, Lock, Shown};
use super::worker::{Sign, Workers};

/// An owner who is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) worker: WorkerId,
    /// The beat at which one has stalled that still lives, as far as can be told.
    pub(super) stalled_at: Option<i64>,
}

impl Lost {
    /// Whether it has come back since it was found lost. The dead do not.
    pub(super) fn is_back(&self, connection: &Connection) -> rusqlite::Result<bool> {
        match self.stalled_at {
            Some(count) => Ok(!beat::is_still_at(connection, self.worker, count)?),
            None => Ok(false),
        }
    }
}

/// Tells who lives.
pub(super) struct Life {
    pub(super) workers: Workers,
    pub(super) beats: Beats,
}

impl Life {
    /// Whether what this worker owns may be taken from it.
    pub(super) fn lost(
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
    pub(super) fn all_lost(&self, connection: &Connection) -> rusqlite::Result<Vec<Lost>> {
        let mut lost = Vec::new();
        for owner in owners(connection)? {
            lost.extend(self.lost(connection, owner)?);
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
