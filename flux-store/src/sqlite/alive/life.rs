//! Who has lost what they own: the dead, and those who live and do nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use flux_core::id::WorkerId;
use rusqlite::Connection;

use super::beat::{self, Beats, Lock, Shown};
use super::worker::{self, Sign, Workers};
use crate::sync::lock;

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

/// What was found of owners.
struct Look {
    began: Moment,
    /// Those that were looked at, and who of them is lost. It says nothing of anybody else: one who owns something only
    /// since may have been dead before, with a commit on its way.
    found: BTreeMap<WorkerId, Option<Lost>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    at: Instant,
    /// How many workers of this process had left by then.
    left: u64,
}

impl Moment {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            left: worker::left_in_this_process(),
        }
    }

    /// Whether what was found since then still counts.
    fn counts(self) -> bool {
        self.left == worker::left_in_this_process() && self.at.elapsed() < COUNTS_FOR
    }
}

/// What the last look says of some owners.
struct KnownOwners {
    began: Moment,
    lost: Vec<Lost>,
    unseen: Vec<WorkerId>,
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
        let owners = owners(connection)?;
        let Some(KnownOwners {
            began,
            mut lost,
            unseen,
        }) = self.known(owners)
        else {
            return self.all_lost(connection);
        };
        if unseen.is_empty() {
            return Ok(lost);
        }
        let found = self.look_at(connection, unseen)?;
        lost.extend(found.values().flatten());
        let mut last = self.last_look();
        // Not to one that began later, which may know better of them.
        if let Some(look) = last.as_mut().filter(|look| look.began == began) {
            look.found.extend(found);
        }
        Ok(lost)
    }

    /// What the last look says of these, while it counts.
    fn known(&self, owners: Vec<WorkerId>) -> Option<KnownOwners> {
        let last = self.last_look();
        let look = last.as_ref().filter(|look| look.began.counts())?;
        let mut known = KnownOwners {
            began: look.began,
            lost: Vec::new(),
            unseen: Vec::new(),
        };
        for owner in owners {
            match look.found.get(&owner) {
                Some(found) => known.lost.extend(*found),
                None => known.unseen.push(owner),
            }
        }
        Some(known)
    }

    fn last_look(&self) -> MutexGuard<'_, Option<Look>> {
        lock(&self.last_look)
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
        let began = Moment::now();
        let found = self.look_at(connection, owners(connection)?)?;
        let all = found.values().flatten().copied().collect();
        let mut last = self.last_look();
        // One that began earlier and took longer does not take the place of this: who has died since would be forgotten.
        if last.as_ref().is_none_or(|last| last.began.at <= began.at) {
            *last = Some(Look { began, found });
        }
        Ok(all)
    }

    fn look_at(
        &self,
        connection: &Connection,
        owners: Vec<WorkerId>,
    ) -> rusqlite::Result<BTreeMap<WorkerId, Option<Lost>>> {
        let look = |owner| Ok((owner, self.lost(connection, owner)?));
        owners.into_iter().map(look).collect()
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
