//! Execution rows: created, changed, claimed, listed.

use flux_core::clock::Timestamp;
use flux_core::event::FORMAT;
use flux_core::execution::Status;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{Change, ExecutionRecord, Filter, NewExecution};
use rusqlite::{Connection, OptionalExtension as _, Params, ToSql, named_params};

use super::history;
use super::row::{self, EXECUTION, event_key};

/// What a commit has to agree with.
pub(super) struct Standing {
    pub(super) epoch: Epoch,
    pub(super) last: Option<EventSeq>,
}

/// Reads the epoch and the last event's number: two seeks on pages that the commit needs anyway.
pub(super) fn standing(
    connection: &Connection,
    key: ExecutionKey,
) -> rusqlite::Result<Option<Standing>> {
    const STANDING: &str = "SELECT epoch, (SELECT max(key) FROM flux_events WHERE key BETWEEN ?2 AND ?3) \
         FROM flux_executions WHERE eid = ?1";
    let mut select = connection.prepare_cached(STANDING)?;
    let bounds = (key.0, event_key(key, 0), history::end_of(key));
    let standing = select.query_row(bounds, |row| {
        let last: Option<i64> = row.get(1)?;
        Ok(Standing {
            epoch: Epoch(row.get(0)?),
            last: last.map(row::seq_of),
        })
    });
    standing.optional()
}

/// Whether an execution of this id exists.
pub(super) fn exists(connection: &Connection, id: &ExecutionId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM flux_executions WHERE id = ?1")?
        .exists([id.as_str()])
}

/// Creates a row and returns its key.
pub(super) fn create(
    connection: &Connection,
    new: &NewExecution,
) -> rusqlite::Result<ExecutionKey> {
    const CREATE: &str = "INSERT INTO flux_executions \
         (id, workflow, version, format, status, attempt, created_at, parent, base, owner, epoch) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, 1, ?8, 1)";
    connection.prepare_cached(CREATE)?.execute((
        new.id.as_str(),
        &*new.workflow,
        new.version,
        FORMAT,
        Status::Running.code(),
        new.created_at.as_micros(),
        new.parent.as_ref().map(ExecutionId::as_str),
        new.owner.0,
    ))?;
    Ok(ExecutionKey(connection.last_insert_rowid()))
}

/// Changes a row. Indexed columns that stay as they are are left out, and so are their indexes.
pub(super) fn change(
    connection: &Connection,
    key: ExecutionKey,
    change: &Change,
) -> rusqlite::Result<()> {
    let mut before =
        connection.prepare_cached("SELECT status, wake_at FROM flux_executions WHERE eid = ?1")?;
    let (status, wake_at): (i64, Option<i64>) =
        before.query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let wanted = change.wake_at.map(Timestamp::as_micros);
    let mut update = String::from(
        "UPDATE flux_executions SET attempt = :attempt, finished_at = :finished_at, waiting = :waiting, \
         base = :base, rewound = :rewound",
    );
    let mut values: Vec<(&str, &dyn ToSql)> = Vec::with_capacity(8);
    let finished_at = change.finished_at.map(Timestamp::as_micros);
    let waiting = change.waiting.as_ref().map(Payload::as_str);
    let (base, rewound) = (change.base.get(), change.rewound.map(EventSeq::get));
    let code = change.status.code();
    values.extend_from_slice(named_params! {
        ":eid": key.0, ":attempt": change.attempt, ":finished_at": finished_at, ":waiting": waiting,
        ":base": base, ":rewound": rewound,
    });
    if code != status {
        update.push_str(", status = :status");
        values.push((":status", &code));
    }
    if wanted != wake_at {
        update.push_str(", wake_at = :wake_at");
        values.push((":wake_at", &wanted));
    }
    if change.release {
        update.push_str(", owner = NULL");
    }
    update.push_str(" WHERE eid = :eid");
    connection.prepare_cached(&update)?.execute(&*values)?;
    Ok(())
}

/// Reads one row.
pub(super) fn find(
    connection: &Connection,
    id: &ExecutionId,
) -> rusqlite::Result<Option<ExecutionRecord>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {EXECUTION} FROM flux_executions WHERE id = ?1"
    ))?;
    select.query_row([id.as_str()], row::execution).optional()
}

/// Makes `worker` the owner under a new epoch.
pub(super) fn take(
    connection: &Connection,
    record: &mut ExecutionRecord,
    worker: WorkerId,
) -> rusqlite::Result<()> {
    const TAKE: &str = "UPDATE flux_executions SET owner = ?2, epoch = ?3 WHERE eid = ?1";
    record.owner = Some(worker);
    record.epoch = Epoch(record.epoch.0 + 1);
    connection
        .prepare_cached(TAKE)?
        .execute((record.key.0, worker.0, record.epoch.0))?;
    Ok(())
}

/// Takes the owner away, if `epoch` is the present one.
pub(super) fn release(
    connection: &Connection,
    key: ExecutionKey,
    epoch: Epoch,
) -> rusqlite::Result<()> {
    const RELEASE: &str = "UPDATE flux_executions SET owner = NULL \
         WHERE eid = ?1 AND epoch = ?2 AND owner IS NOT NULL";
    connection
        .prepare_cached(RELEASE)?
        .execute((key.0, epoch.0))?;
    Ok(())
}

/// Lists executions, newest first.
///
/// Several statuses are several ranges of one index: each is read by itself, and the newest of all
/// are kept.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let before = filter.before.map_or(i64::MAX, |key| key.0);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let page = Page {
        connection,
        before,
        limit,
    };
    if let Some(parent) = &filter.parent {
        return page.of_parent(parent, filter);
    }
    let mut found = Vec::new();
    match (&filter.workflow, filter.statuses.is_empty()) {
        (None, true) => page.read("", named_params! {}, &mut found)?,
        (None, false) => {
            for status in distinct(&filter.statuses) {
                page.read(
                    "status = :status AND",
                    named_params! { ":status": status.code() },
                    &mut found,
                )?;
            }
        }
        (Some(workflow), any) => {
            let statuses = if any {
                Status::ALL.to_vec()
            } else {
                distinct(&filter.statuses)
            };
            for status in statuses {
                let values = named_params! { ":workflow": &**workflow, ":status": status.code() };
                page.read(
                    "workflow = :workflow AND status = :status AND",
                    values,
                    &mut found,
                )?;
            }
        }
    }
    found.sort_unstable_by_key(|record| std::cmp::Reverse(record.key));
    found.truncate(filter.limit);
    Ok(found)
}

/// Lists running executions whose owner is gone, oldest first.
pub(super) fn orphans(
    connection: &Connection,
    limit: usize,
    is_alive: impl Fn(WorkerId) -> bool,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    let select = format!(
        "SELECT {EXECUTION} FROM flux_executions WHERE status = 2 AND owner IS ?1 ORDER BY eid LIMIT ?2"
    );
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = read(connection, &select, (None::<i64>, most))?;
    for owner in owners(connection)? {
        if !is_alive(owner) {
            found.extend(read(connection, &select, (Some(owner.0), most))?);
        }
    }
    found.sort_unstable_by_key(|record| record.key);
    found.truncate(limit);
    Ok(found)
}

/// Who owns running executions: one seek each, however many they own.
fn owners(connection: &Connection) -> rusqlite::Result<Vec<WorkerId>> {
    const NEXT: &str = "SELECT min(owner) FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE status = 2 AND owner > ?1";
    let mut next = connection.prepare_cached(NEXT)?;
    let mut owners = Vec::new();
    let mut last = i64::MIN;
    while let Some(owner) = next.query_row([last], |row| row.get::<_, Option<i64>>(0))? {
        owners.push(WorkerId(owner));
        last = owner;
    }
    Ok(owners)
}

struct Page<'a> {
    connection: &'a Connection,
    before: i64,
    limit: i64,
}

impl Page<'_> {
    /// Reads one range of an index.
    fn read(
        &self,
        condition: &'static str,
        values: &[(&str, &dyn ToSql)],
        found: &mut Vec<ExecutionRecord>,
    ) -> rusqlite::Result<()> {
        let select = format!(
            "SELECT {EXECUTION} FROM flux_executions WHERE {condition} eid < :before ORDER BY eid DESC LIMIT :limit"
        );
        let values = [
            values,
            named_params! { ":before": self.before, ":limit": self.limit },
        ]
        .concat();
        found.extend(read(self.connection, &select, &*values)?);
        Ok(())
    }

    /// Children are few beside all executions: the other conditions are checked on each.
    fn of_parent(
        &self,
        parent: &ExecutionId,
        filter: &Filter,
    ) -> rusqlite::Result<Vec<ExecutionRecord>> {
        const CHILDREN: &str = "WHERE parent = ?1 AND eid < ?2 ORDER BY eid DESC";
        let select = format!("SELECT {EXECUTION} FROM flux_executions {CHILDREN}");
        let mut statement = self.connection.prepare_cached(&select)?;
        let mut rows = statement.query((parent.as_str(), self.before))?;
        let mut found = Vec::new();
        while found.len() < filter.limit
            && let Some(row) = rows.next()?
        {
            let record = row::execution(row)?;
            let right_status =
                filter.statuses.is_empty() || filter.statuses.contains(&record.status);
            let right_workflow = filter
                .workflow
                .as_ref()
                .is_none_or(|workflow| *workflow == record.workflow);
            if right_status && right_workflow {
                found.push(record);
            }
        }
        Ok(found)
    }
}

fn read(
    connection: &Connection,
    select: &str,
    values: impl Params,
) -> rusqlite::Result<Vec<ExecutionRecord>> {
    connection
        .prepare_cached(select)?
        .query_map(values, row::execution)?
        .collect()
}

fn distinct(statuses: &[Status]) -> Vec<Status> {
    Status::ALL
        .into_iter()
        .filter(|status| statuses.contains(status))
        .collect()
}
