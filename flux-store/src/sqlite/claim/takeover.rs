//! Taking over what lost owners leave behind.

use flux_core::execution::Status;
use flux_core::id::{EventSeq, ExecutionKey};
use flux_core::store::{ExecutionRecord, hold_reason};
use rusqlite::Connection;

use super::work::Desk;
use crate::sqlite::alive::life::Lost;
use crate::sqlite::table::history;
use crate::sqlite::table::line;
use crate::sqlite::table::row::{self, EXECUTION};

impl Desk<'_> {
    /// Whether lost owners have anything for the worker.
    pub(crate) fn has_lost(&mut self, lost: &[Lost]) -> rusqlite::Result<bool> {
        if self.room() == 0 {
            return Ok(false);
        }
        for lost in lost {
            for record in owned_by(self.connection, lost)? {
                if self.may_take_over(&record)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Takes what lost owners have left behind, the oldest first.
    pub(crate) fn take_over(&mut self, lost: &[Lost]) -> rusqlite::Result<()> {
        let mut left = Vec::new();
        for lost in lost {
            if !lost.is_back(self.connection)? {
                let owned = owned_by(self.connection, lost)?;
                left.extend(owned.into_iter().map(|record| (record, *lost)));
            }
        }
        left.sort_unstable_by_key(|(record, _)| record.key);
        for (record, lost) in left {
            if self.room() == 0 {
                return Ok(());
            }
            if self.may_take_over(&record)? {
                self.inherit(record, lost)?;
            }
        }
        Ok(())
    }

    fn may_take_over(&mut self, record: &ExecutionRecord) -> rusqlite::Result<bool> {
        if !self.request.admits(record) {
            return Ok(false);
        }
        let is_pending = record.status == Status::Pending;
        Ok(is_pending || self.room_on_worker(record.placement.queue.as_ref())? > 0)
    }

    fn inherit(&mut self, record: ExecutionRecord, lost: Lost) -> rusqlite::Result<()> {
        if record.status == Status::Pending {
            return put_back(self.connection, record.key);
        }
        let Some(times) = self.count(&record, lost)? else {
            return self.take_lost(record, None);
        };
        if times.count > self.request.max_takeovers {
            return self.hold(record, times);
        }
        self.take_lost(record, Some(times))
    }

    /// How often it was taken over from the dead without having got any further. A process that was only stopped
    /// says nothing about what it drove.
    fn count(&self, record: &ExecutionRecord, owner: Lost) -> rusqlite::Result<Option<Times>> {
        const COUNT: &str =
            "SELECT ifnull(takeovers, 0), takeover_last FROM flux_executions WHERE eid = ?1";
        if owner.stalled_at.is_some() {
            return Ok(None);
        }
        let mut count = self.connection.prepare_cached(COUNT)?;
        let (count, before): (u32, Option<u32>) =
            count.query_row([record.key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let last = history::last_seq(self.connection, record.key)?.map(EventSeq::get);
        let count = if before == last { count + 1 } else { 1 };
        Ok(Some(Times { count, last }))
    }

    fn take_lost(&mut self, record: ExecutionRecord, times: Option<Times>) -> rusqlite::Result<()> {
        const TAKE: &str =
            "UPDATE flux_executions SET owner = ?2, epoch = epoch + 1 WHERE eid = ?1";
        const NOTE: &str =
            "UPDATE flux_executions SET takeovers = ?2, takeover_last = ?3 WHERE eid = ?1";
        let mut take = self.connection.prepare_cached(TAKE)?;
        take.execute((record.key.0, self.request.worker.0))?;
        if let Some(Times { count, last }) = times {
            let mut note = self.connection.prepare_cached(NOTE)?;
            note.execute((record.key.0, count, last))?;
        }
        self.hand_over(record);
        Ok(())
    }

    /// It takes its process with it again and again: it is kept from going on.
    fn hold(&mut self, record: ExecutionRecord, times: Times) -> rusqlite::Result<()> {
        const HOLD: &str = "UPDATE flux_executions SET status = 3, owner = NULL, ready_at = NULL, hold = ?2, \
             takeovers = ?3, takeover_last = ?4 WHERE eid = ?1";
        let Times { count, last } = times;
        let reason = hold_reason(count);
        let mut hold = self.connection.prepare_cached(HOLD)?;
        hold.execute((record.key.0, &reason, count, last))?;
        self.work.held.push((record.id, reason));
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Times {
    count: u32,
    /// The last event at the time.
    last: Option<u32>,
}

/// What a lost owner has left behind.
fn owned_by(connection: &Connection, lost: &Lost) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let mut owned = connection.prepare_cached(&format!(
        "SELECT {EXECUTION} FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE owner = ?1 AND owner IS NOT NULL AND status < 4 ORDER BY eid"
    ))?;
    let owned = owned.query_map([lost.worker.0], row::execution)?;
    let owned = owned.map(|record| row::unless_damaged(record).transpose());
    owned.flatten().collect()
}

/// Whoever wanted something of a pending execution is gone: it is back where it waited.
fn put_back(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<()> {
    const PUT_BACK: &str = "UPDATE flux_executions SET owner = NULL WHERE eid = ?1";
    connection.prepare_cached(PUT_BACK)?.execute([key.0])?;
    line::enter_again(connection, key)
}
