//! What a file is and what is in it.

use std::collections::BTreeMap;
use std::path::Path;

use flux_core::execution::Status;
use flux_core::id::{ExecutionKey, WorkerId};
use flux_core::store::{StoreContents, StoreError, StoreInfo};
use rusqlite::Connection;

use super::source::{Source, is_known};
use crate::sqlite::alive::worker::Workers;
use crate::sqlite::file::inspect::length;
use crate::sqlite::file::migrate;
use crate::sqlite::table::queue;
use crate::sqlite::table::row;

pub(super) const ACTION: &str = "look at the file";

/// The version from which there are queues and schedules.
const LIVING: u32 = 2;

/// Reads it; of tables that this program does not know, only what they are.
pub(super) fn info(path: &Path) -> Result<StoreInfo, StoreError> {
    let source = Source::open(path, ACTION)?;
    let workers = Workers::new(source.at.workers.clone());
    let known = source.schema.filter(|schema| is_known(*schema));
    source.read(|view| {
        let contents = known.map(|schema| contents(view, schema, &workers));
        Ok(StoreInfo {
            location: source.at.file.display().to_string(),
            kind: "sqlite",
            schema: source.schema,
            schema_known: migrate::KNOWN,
            library: format!("SQLite {}", rusqlite::version()),
            size_bytes: length(&source.at.file),
            wal_bytes: length(&source.at.wal()),
            page_bytes: number(view, "PRAGMA page_size")?,
            pages: number(view, "PRAGMA page_count")?,
            free_pages: number(view, "PRAGMA freelist_count")?,
            contents: contents.transpose()?,
        })
    })
}

fn contents(view: &Connection, schema: u32, workers: &Workers) -> rusqlite::Result<StoreContents> {
    const MESSAGES: &str = "SELECT count(*) FROM flux_inbox AS m \
         CROSS JOIN flux_executions AS x ON x.eid = m.eid WHERE x.status < 4";
    let (queues, schedules) = if schema < LIVING {
        (0, 0)
    } else {
        let queues = queue::list(view)?.len();
        let queues = u64::try_from(queues).unwrap_or(u64::MAX);
        (queues, number(view, "SELECT count(*) FROM flux_schedules")?)
    };
    let (workers_alive, workers_dead) = registered(view, workers)?;
    Ok(StoreContents {
        executions: executions(view)?,
        messages: number(view, MESSAGES)?,
        queues,
        schedules,
        workers_alive,
        workers_dead,
    })
}

fn executions(view: &Connection) -> rusqlite::Result<BTreeMap<Status, u64>> {
    const COUNTS: &str = "SELECT status, count(*), min(eid) FROM flux_executions \
         INDEXED BY flux_executions_by_status GROUP BY status";
    let mut counts: BTreeMap<_, _> = Status::ALL.into_iter().map(|status| (status, 0)).collect();
    let mut select = view.prepare(COUNTS)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        // What has no status that is known is a problem for `check`.
        let status = row::status(row, 0, ExecutionKey(row.get(2)?));
        if let Some(status) = row::unless_damaged(status)? {
            counts.insert(status, row::count(row, 1)?);
        }
    }
    Ok(counts)
}

/// How many registered workers live, and how many do not.
fn registered(view: &Connection, workers: &Workers) -> rusqlite::Result<(u64, u64)> {
    let mut select = view.prepare("SELECT id FROM flux_workers")?;
    let mut rows = select.query([])?;
    let (mut alive, mut dead) = (0, 0);
    while let Some(row) = rows.next()? {
        if workers.is_alive(WorkerId(row.get(0)?)) {
            alive += 1;
        } else {
            dead += 1;
        }
    }
    Ok((alive, dead))
}

fn number(view: &Connection, select: &str) -> rusqlite::Result<u64> {
    view.query_row(select, [], |row| row::count(row, 0))
}
