//! Orphans: what nobody alive owns, and has something to do or to wait for.

use std::collections::BTreeSet;

use flux_core::clock::Timestamp;
use flux_core::store::ExecutionRecord;
use rusqlite::{Connection, OptionalExtension as _, Params};

use super::ready::SLEEPING;
use crate::sqlite::alive::life::Life;
use crate::sqlite::table::row::{self, EXECUTION};

/// Lists them, oldest first.
pub(crate) fn list(
    connection: &Connection,
    life: &Life,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    // Those that run are owned, few at a time, or orphans.
    let running = format!(
        "SELECT {EXECUTION} FROM flux_executions INDEXED BY flux_executions_by_status \
         WHERE status = 2 AND owner IS NULL AND hold IS NULL ORDER BY eid LIMIT ?1"
    );
    let owned = format!(
        "SELECT {EXECUTION} FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE owner = ?2 AND owner IS NOT NULL AND status < 4 AND status IN (2, 3) AND hold IS NULL \
         ORDER BY eid LIMIT ?1"
    );
    let mut found = read(connection, &running, [most])?;
    found.extend(paused(connection, now, limit)?);
    for lost in life.all_lost(connection)? {
        found.extend(read(connection, &owned, (most, lost.worker.0))?);
    }
    found.sort_unstable_by_key(|record| record.key);
    found.truncate(limit);
    Ok(found)
}

/// Those that are paused and ready: an approval may be waited for by very many, and is not ready.
fn paused(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let mut due = Vec::new();
    for lane in SLEEPING.shelf.lanes(connection, &[])? {
        due.extend(SLEEPING.due(connection, &lane, &BTreeSet::new(), now, usize::MAX)?);
    }
    due.sort_unstable_by_key(|(_, key)| *key);
    let mut select = connection.prepare_cached(&format!(
        "SELECT {EXECUTION} FROM flux_executions WHERE eid = ?1 AND status = 3 AND hold IS NULL"
    ))?;
    let mut found = Vec::new();
    for (_, key) in due {
        if found.len() == limit {
            break;
        }
        let read = select.query_row([key.0], row::execution).optional();
        found.extend(row::unless_damaged(read)?.flatten());
    }
    Ok(found)
}

fn read(
    connection: &Connection,
    select: &str,
    values: impl Params,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let mut select = connection.prepare_cached(select)?;
    let found = select.query_map(values, row::execution)?;
    let found = found.map(|record| row::unless_damaged(record).transpose());
    found.flatten().collect()
}
