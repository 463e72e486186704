//! Giving work: what is ready is claimed for a worker, in one transaction.
//!
//! ```text
//! peek, on a connection that reads ─> nothing: when it is worth asking again
//!                                  └> something: a transaction
//!     lost owners' ─> woken ─> delayed ones get in line ─> the first in line ─> when it is worth asking again
//! ```
//!
//! A worker asks many times for each time that it gets something, so asking must not wait for those who write.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::id::{Epoch, ExecutionKey};
use flux_core::store::{ExecutionRecord, QueueSettings, Work, WorkRequest};
use rusqlite::Connection;

use super::ready;
use crate::sqlite::alive::life::{Life, Lost};
use crate::sqlite::table::line;
use crate::sqlite::table::queue;
use crate::sqlite::table::row::{self, EXECUTION};

/// At most this many delayed executions get in line in one transaction, so that none is long.
const IN_LINE_AT_ONCE: usize = 1024;

/// What a look without a lock found.
pub(crate) enum Peeked {
    /// Nothing; when there may be something by itself.
    Nothing(Option<Timestamp>),
    /// Something, it seems; and whose owners are lost.
    Something(Vec<Lost>),
}

/// Looks whether there is anything to give.
pub(crate) fn peek(
    connection: &Connection,
    request: &WorkRequest,
    life: &Life,
) -> rusqlite::Result<Peeked> {
    let lost = life.known_lost(connection)?;
    let mut desk = Desk::new(connection, request);
    let found = match request.only {
        Some(key) => desk.has_turn(key, &lost)?,
        None => {
            desk.has_lost(&lost)?
                || desk.has_woken()?
                || desk.has_delayed()?
                || desk.has_pending()?
        }
    };
    if found {
        return Ok(Peeked::Something(lost));
    }
    if request.only.is_none() {
        desk.look_ahead()?;
    }
    Ok(Peeked::Nothing(desk.work.next))
}

/// What was given, and the queue that something was taken from last.
pub(crate) struct Given {
    pub(crate) work: Work,
    pub(crate) last_queue: Option<Arc<str>>,
}

/// Gives what is ready. `last_queue` is where something was taken from last: the queues take turns.
pub(crate) fn give(
    connection: &Connection,
    request: &WorkRequest,
    lost: &[Lost],
    last_queue: Option<Arc<str>>,
) -> rusqlite::Result<Given> {
    let mut desk = Desk::new(connection, request);
    desk.last_queue = last_queue;
    match request.only {
        Some(key) => desk.take_turn(key, lost)?,
        None => {
            desk.take_over(lost)?;
            desk.take_woken()?;
            desk.line_up_delayed()?;
            desk.take_pending()?;
            desk.look_ahead()?;
        }
    }
    Ok(Given {
        work: desk.work,
        last_queue: desk.last_queue,
    })
}

/// One request while it is served.
pub(crate) struct Desk<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) request: &'a WorkRequest,
    pub(crate) now: Timestamp,
    pub(crate) work: Work,
    pub(crate) last_queue: Option<Arc<str>>,
    /// How many of each queue the worker drives, with what it was given here.
    driving: BTreeMap<Arc<str>, u32>,
    settings: BTreeMap<Arc<str>, queue::Stored>,
}

impl<'a> Desk<'a> {
    fn new(connection: &'a Connection, request: &'a WorkRequest) -> Self {
        Self {
            connection,
            request,
            now: request.now.now(),
            work: Work::default(),
            last_queue: None,
            driving: request.driving.clone(),
            settings: BTreeMap::new(),
        }
    }

    /// How many more the worker wants.
    pub(crate) fn room(&self) -> usize {
        self.request.limit.saturating_sub(self.work.claimed.len())
    }

    /// A queue as it is stored, read once.
    pub(crate) fn queue(&mut self, name: &Arc<str>) -> rusqlite::Result<&queue::Stored> {
        if !self.settings.contains_key(name) {
            let stored = queue::read(self.connection, name)?;
            self.settings.insert(Arc::clone(name), stored);
        }
        Ok(&self.settings[name])
    }

    /// How many more of a queue one worker may drive.
    pub(crate) fn room_on_worker(&mut self, queue: Option<&Arc<str>>) -> rusqlite::Result<usize> {
        let Some(queue) = queue else {
            return Ok(usize::MAX);
        };
        let drives = self.driving.get(queue).copied().unwrap_or(0);
        let QueueSettings { per_worker, .. } = self.queue(queue)?.settings;
        Ok(per_worker.map_or(usize::MAX, |limit| limit.saturating_sub(drives) as usize))
    }

    /// Notes that something is worth a look at that moment.
    pub(crate) fn worth_a_look(&mut self, at: Option<Timestamp>) {
        self.work.next = self.work.next.into_iter().chain(at).min();
    }

    /// Hands an execution over that is the worker's now.
    pub(crate) fn hand_over(&mut self, mut record: ExecutionRecord) {
        record.taken_from = record.owner.replace(self.request.worker);
        record.epoch = Epoch(record.epoch.0 + 1);
        record.ready_at = None;
        if let Some(queue) = &record.placement.queue {
            *self.driving.entry(Arc::clone(queue)).or_default() += 1;
        }
        self.work.claimed.push(record);
    }

    fn has_woken(&mut self) -> rusqlite::Result<bool> {
        if self.room() == 0 {
            return Ok(false);
        }
        for lane in ready::SLEEPING
            .shelf
            .lanes_for(self.connection, self.request)?
        {
            if self.room_on_worker(lane.queue.as_ref())? == 0 {
                continue;
            }
            let except = &self.request.except;
            let due = ready::SLEEPING.due(self.connection, &lane, except, self.now, 1)?;
            if !due.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Started ones that a moment or a message has woken, the earliest first.
    fn take_woken(&mut self) -> rusqlite::Result<()> {
        const TAKE: &str = "UPDATE flux_executions SET owner = ?2, epoch = epoch + 1, ready_at = NULL WHERE eid = ?1";
        let room = self.room();
        let mut woken = Vec::new();
        for lane in ready::SLEEPING
            .shelf
            .lanes_for(self.connection, self.request)?
        {
            let most = self.room_on_worker(lane.queue.as_ref())?.min(room);
            let except = &self.request.except;
            let due = ready::SLEEPING.due(self.connection, &lane, except, self.now, most)?;
            woken.extend(due);
        }
        woken.sort_unstable();
        for (_, key) in woken {
            if self.room() == 0 {
                return Ok(());
            }
            let Some(record) = row::unless_damaged(find(self.connection, key))? else {
                continue;
            };
            if self.room_on_worker(record.placement.queue.as_ref())? == 0 {
                continue;
            }
            let mut take = self.connection.prepare_cached(TAKE)?;
            take.execute((key.0, self.request.worker.0))?;
            self.hand_over(record);
        }
        Ok(())
    }

    fn has_delayed(&self) -> rusqlite::Result<bool> {
        Ok(!self.delayed(1)?.is_empty())
    }

    fn delayed(&self, most: usize) -> rusqlite::Result<Vec<ExecutionKey>> {
        let mut delayed = Vec::new();
        for lane in ready::DELAYED
            .shelf
            .lanes_for(self.connection, self.request)?
        {
            let none = std::collections::BTreeSet::new();
            let due = ready::DELAYED.due(self.connection, &lane, &none, self.now, most)?;
            delayed.extend(due);
        }
        delayed.sort_unstable();
        delayed.truncate(most);
        Ok(delayed.into_iter().map(|(_, key)| key).collect())
    }

    /// Pending ones that were delayed and are due.
    fn line_up_delayed(&mut self) -> rusqlite::Result<()> {
        let due = self.delayed(IN_LINE_AT_ONCE)?;
        for key in &due {
            line::enter(self.connection, *key)?;
        }
        if due.len() == IN_LINE_AT_ONCE {
            // There may be more.
            self.worth_a_look(Some(self.now));
        }
        Ok(())
    }

    /// When something is ready by itself that is not now.
    fn look_ahead(&mut self) -> rusqlite::Result<()> {
        if self.room() == 0 {
            return Ok(());
        }
        for moments in [&ready::SLEEPING, &ready::DELAYED] {
            for lane in moments.shelf.lanes_for(self.connection, self.request)? {
                let except = &self.request.except;
                let next = moments.next(self.connection, &lane, except, self.now)?;
                self.worth_a_look(next);
            }
        }
        Ok(())
    }
}

/// Reads a row by its key.
pub(crate) fn find(
    connection: &Connection,
    key: ExecutionKey,
) -> rusqlite::Result<ExecutionRecord> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {EXECUTION} FROM flux_executions WHERE eid = ?1"
    ))?;
    select.query_row([key.0], row::execution)
}
