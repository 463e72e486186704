//! Queues: their limits, their latest starts, and whose turn it was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flux_core::clock::Timestamp;
use flux_core::store::{QueueChange, QueueRecord, QueueSettings, Rate, is_to_come};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::lane::{after, least_text};
use super::row;

/// A queue as it is stored.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    pub(crate) settings: QueueSettings,
    /// The partition that had its turn last.
    pub(crate) last_partition: Option<Arc<str>>,
}

/// Reads a queue; the defaults where nothing is stored of it.
pub(crate) fn read(connection: &Connection, name: &str) -> rusqlite::Result<Stored> {
    const READ: &str = "SELECT concurrency, per_worker, rate_count, rate_per, partition_by, is_paused, \
         last_partition FROM flux_queues WHERE name = ?1";
    let mut select = connection.prepare_cached(READ)?;
    let found = select.query_row([name], stored).optional()?;
    Ok(found.unwrap_or_default())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let rate = match (row.get(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(count), Some(per)) => Some(Rate {
            count,
            per: Duration::from_micros(per.unsigned_abs()),
        }),
        _ => None,
    };
    Ok(Stored {
        settings: QueueSettings {
            concurrency: row.get(0)?,
            per_worker: row.get(1)?,
            rate,
            partition_by: row::shared(row, 4)?,
            is_paused: row.get(5)?,
        },
        last_partition: row::shared(row, 6)?,
    })
}

/// Changes a queue's limits.
pub(crate) fn set(
    connection: &Connection,
    name: &str,
    change: QueueChange,
) -> rusqlite::Result<QueueSettings> {
    const SET: &str = "INSERT INTO flux_queues \
         (name, concurrency, per_worker, rate_count, rate_per, partition_by, is_paused) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (name) DO UPDATE SET \
         concurrency = excluded.concurrency, per_worker = excluded.per_worker, \
         rate_count = excluded.rate_count, rate_per = excluded.rate_per, \
         partition_by = excluded.partition_by, is_paused = excluded.is_paused";
    let mut settings = read(connection, name)?.settings;
    change.apply(&mut settings);
    let per = |rate: Rate| i64::try_from(rate.per.as_micros()).unwrap_or(i64::MAX);
    connection.prepare_cached(SET)?.execute((
        name,
        settings.concurrency,
        settings.per_worker,
        settings.rate.map(|rate| rate.count),
        settings.rate.map(per),
        settings.partition_by.as_deref(),
        settings.is_paused,
    ))?;
    Ok(read(connection, name)?.settings)
}

/// Remembers whose turn it was.
pub(crate) fn set_last_partition(
    connection: &Connection,
    name: &str,
    partition: Option<&str>,
) -> rusqlite::Result<()> {
    const SET: &str = "INSERT INTO flux_queues (name, last_partition) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET last_partition = excluded.last_partition";
    let mut set = connection.prepare_cached(SET)?;
    set.execute((name, partition)).map(drop)
}

/// How many of a queue have started and not finished, counted up to `most`.
pub(crate) fn running(connection: &Connection, name: &str, most: u32) -> rusqlite::Result<u32> {
    const RUNNING: &str = "SELECT count(*) FROM (SELECT 1 FROM flux_executions \
         INDEXED BY flux_executions_by_queue WHERE queue = ?1 AND status IN (2, 3) LIMIT ?2)";
    let mut count = connection.prepare_cached(RUNNING)?;
    count.query_row((name, most), |row| row.get(0))
}

/// Lists the queues that have limits or executions that have not finished, by name.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<QueueRecord>> {
    const COUNT: &str = "SELECT count(*) FROM flux_executions INDEXED BY flux_executions_by_queue \
         WHERE queue = ?1 AND status BETWEEN ?2 AND ?3";
    let mut count = connection.prepare_cached(COUNT)?;
    let mut queues = Vec::new();
    for name in names(connection)? {
        let record = QueueRecord {
            settings: read(connection, &name)?.settings,
            pending: count.query_row((&name, 1, 1), |row| row::count(row, 0))?,
            running: count.query_row((&name, 2, 3), |row| row::count(row, 0))?,
            name,
        };
        let is_empty = record.pending == 0 && record.running == 0;
        if !is_empty || record.settings != QueueSettings::default() {
            queues.push(record);
        }
    }
    Ok(queues)
}

/// The queues that anything is known of.
fn names(connection: &Connection) -> rusqlite::Result<BTreeSet<Arc<str>>> {
    const NEXT: &str = "SELECT min(queue) FROM flux_executions INDEXED BY flux_executions_by_queue \
         WHERE queue IS NOT NULL AND queue >= CAST(?1 AS TEXT)";
    let mut stored = connection.prepare_cached("SELECT name FROM flux_queues")?;
    let stored = stored.query_map([], |row| row.get::<_, Arc<str>>(0))?;
    let mut names = stored.collect::<rusqlite::Result<BTreeSet<_>>>()?;
    let mut next = connection.prepare_cached(NEXT)?;
    let mut next = |from: &[u8]| next.query_row([from], |row| row::bytes(row, 0));
    let mut from = String::new();
    while let Some(name) = least_text(&from, &mut next)? {
        from = after(&name);
        names.insert(name);
    }
    Ok(names)
}

/// What the rate of a queue allows.
pub(crate) struct Allowance {
    /// How many may start now.
    pub(crate) left: usize,
    /// When the next may, if none may now.
    pub(crate) next: Option<Timestamp>,
}

/// How many may start now by the rate alone: at most so many in any span of its length.
pub(crate) fn allowance(
    connection: &Connection,
    name: &str,
    rate: Option<Rate>,
    now: Timestamp,
) -> rusqlite::Result<Allowance> {
    const NEWEST: &str = "SELECT max(n) FROM flux_starts WHERE queue = ?1";
    const AT: &str = "SELECT at FROM flux_starts WHERE queue = ?1 AND n = ?2";
    let Some(Rate { count, per }) = rate else {
        return Ok(Allowance {
            left: usize::MAX,
            next: None,
        });
    };
    let mut select = connection.prepare_cached(NEWEST)?;
    let newest = select.query_row([name], |row| row.get::<_, Option<i64>>(0))?;
    let Some(newest) = last_that_was(connection, name, newest, now)? else {
        return Ok(Allowance {
            left: usize::try_from(count).unwrap_or(usize::MAX),
            next: None,
        });
    };
    // The one that has to leave the span before another may start.
    let nth = newest - i64::from(count) + 1;
    let mut at = connection.prepare_cached(AT)?;
    let nth = at
        .query_row((name, nth), |row| row::moment(row, 0))
        .optional()?;
    if let Some(at) = nth.flatten().filter(|at| at.after(per) > now) {
        return Ok(Allowance {
            left: 0,
            next: Some(at.after(per)),
        });
    }
    let counted = newest + 1 - first_that_counts(connection, name, per, now)?.unwrap_or(newest + 1);
    let left = i64::from(count) - counted.max(0);
    Ok(Allowance {
        left: usize::try_from(left).unwrap_or(0),
        next: None,
    })
}

/// The number of the last start that does not lie in the future, where a clock that was set back has left the later
/// ones. They are numbered in the order of their moments, and deleted by the next start.
fn last_that_was(
    connection: &Connection,
    name: &str,
    newest: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    const AT: &str = "SELECT at FROM flux_starts WHERE queue = ?1 AND n = ?2";
    let mut at = connection.prepare_cached(AT)?;
    let mut last = newest;
    while let Some(n) = last {
        let at = at
            .query_row((name, n), |row| row::moment(row, 0))
            .optional()?;
        match at.flatten() {
            Some(at) if is_to_come(at, now) => last = Some(n - 1),
            Some(_) => return Ok(Some(n)),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The number of the earliest start that is still within the span.
fn first_that_counts(
    connection: &Connection,
    name: &str,
    per: Duration,
    now: Timestamp,
) -> rusqlite::Result<Option<i64>> {
    const FIRST: &str = "SELECT n FROM flux_starts WHERE queue = ?1 AND at > ?2 ORDER BY n LIMIT 1";
    let mut first = connection.prepare_cached(FIRST)?;
    let bound = now.before(per).as_micros();
    first.query_row((name, bound), |row| row.get(0)).optional()
}

/// Remembers a start, and forgets those that count no more.
pub(crate) fn note_starts(
    connection: &Connection,
    name: &str,
    rate: Rate,
    now: Timestamp,
    count: usize,
) -> rusqlite::Result<()> {
    const FORGET: &str = "DELETE FROM flux_starts WHERE queue = ?1 AND n < ?2";
    const FORGET_LATER: &str = "DELETE FROM flux_starts WHERE queue = ?1 AND n > ?2";
    const NEWEST: &str = "SELECT max(n) FROM flux_starts WHERE queue = ?1";
    const NOTE: &str = "INSERT INTO flux_starts (queue, n, at) \
         VALUES (?1, (SELECT ifnull(max(n), 0) + 1 FROM flux_starts WHERE queue = ?1), ?2)";
    let mut newest = connection.prepare_cached(NEWEST)?;
    let newest: Option<i64> = newest.query_row([name], |row| row.get(0))?;
    let last = last_that_was(connection, name, newest, now)?;
    if last != newest {
        let mut forget = connection.prepare_cached(FORGET_LATER)?;
        forget.execute((name, last.unwrap_or(i64::MIN)))?;
    }
    let mut note = connection.prepare_cached(NOTE)?;
    for _ in 0..count {
        note.execute((name, now.as_micros()))?;
    }
    if let Some(first) = first_that_counts(connection, name, rate.per, now)? {
        connection.prepare_cached(FORGET)?.execute((name, first))?;
    }
    Ok(())
}
