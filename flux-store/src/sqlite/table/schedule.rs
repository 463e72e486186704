//! Schedules: kept, changed, fired.

use flux_core::clock::Timestamp;
use flux_core::event::Event;
use flux_core::id::ExecutionId;
use flux_core::store::{
    DueRequest, DueSchedules, Fire, Fired, NewExecution, NewMessage, ScheduleChange,
    ScheduleRecord, Unfinished,
};
use rusqlite::{Connection, OptionalExtension as _};

use super::execution;
use super::history;
use super::inbox;
use super::row;
use crate::sqlite::claim::gate;

const COLUMNS: &str = "id, workflow, input, spec, is_paused, next_at, last_at, created_at, rowid";

/// Lists all schedules by name.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<ScheduleRecord>> {
    let select = format!("SELECT {COLUMNS} FROM flux_schedules ORDER BY id");
    let mut all = connection.prepare_cached(&select)?;
    let all = all.query_map([], row::schedule)?;
    let all = all.map(|schedule| row::unless_damaged(schedule).transpose());
    all.flatten().collect()
}

/// Reads a schedule.
pub(crate) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<ScheduleRecord>> {
    let select = format!("SELECT {COLUMNS} FROM flux_schedules WHERE id = ?1");
    let mut find = connection.prepare_cached(&select)?;
    find.query_row([id], row::schedule).optional()
}

/// Lists schedules that are due, and tells when the next one after them is.
pub(crate) fn due(connection: &Connection, request: &DueRequest) -> rusqlite::Result<DueSchedules> {
    let mut coming = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM flux_schedules INDEXED BY flux_schedules_due \
         WHERE is_paused = 0 AND next_at IS NOT NULL ORDER BY next_at"
    ))?;
    let mut coming = coming.query([])?;
    let mut found = DueSchedules::default();
    while let Some(row) = coming.next()? {
        let Some(next_at) = row::unless_damaged(row::schedules_moment(row))? else {
            continue;
        };
        // Whatever workflow it is of: to look for the next one that is asked for might take long.
        if next_at > request.now {
            found.next = Some(next_at);
            break;
        }
        let workflow = row::unless_damaged(row::schedules_workflow(row))?;
        if workflow.is_none_or(|workflow| !request.workflows.contains(workflow)) {
            continue;
        }
        if found.due.len() == request.limit {
            found.next = Some(next_at);
            break;
        }
        found.due.extend(row::unless_damaged(row::schedule(row))?);
    }
    Ok(found)
}

/// Creates a schedule, or replaces what its definition says.
pub(crate) fn put(connection: &Connection, schedule: &ScheduleRecord) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT INTO flux_schedules \
         (id, workflow, input, spec, is_paused, next_at, last_at, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET \
         workflow = excluded.workflow, input = excluded.input, spec = excluded.spec, \
         next_at = excluded.next_at";
    let mut put = connection.prepare_cached(PUT)?;
    let values = (
        &schedule.id,
        &schedule.workflow,
        schedule.input.as_str(),
        schedule.spec.as_str(),
        schedule.is_paused,
        schedule.next_at.map(Timestamp::as_micros),
        schedule.last_at.map(Timestamp::as_micros),
        schedule.created_at.as_micros(),
    );
    put.execute(values).map(drop)
}

/// Changes a schedule; false where there is none of this name.
pub(crate) fn change(
    connection: &Connection,
    id: &str,
    change: &ScheduleChange,
) -> rusqlite::Result<bool> {
    const CHANGE: &str = "UPDATE flux_schedules SET is_paused = ifnull(?2, is_paused), \
         next_at = CASE WHEN ?3 THEN ?4 ELSE next_at END WHERE id = ?1";
    let next_at = change.next_at.flatten().map(Timestamp::as_micros);
    let mut update = connection.prepare_cached(CHANGE)?;
    let values = (id, change.is_paused, change.next_at.is_some(), next_at);
    Ok(update.execute(values)? > 0)
}

/// Removes a schedule; false where there is none of this name.
pub(crate) fn delete(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    let mut delete = connection.prepare_cached("DELETE FROM flux_schedules WHERE id = ?1")?;
    Ok(delete.execute([id])? > 0)
}

/// Moves a schedule on and starts what it is to start, of each that is given.
pub(crate) fn fire(connection: &Connection, firings: &[Fire]) -> rusqlite::Result<Vec<Fired>> {
    let fired = firings.iter().map(|fire| fire_one(connection, fire));
    fired.collect()
}

fn fire_one(connection: &Connection, fire: &Fire) -> rusqlite::Result<Fired> {
    if !advance(connection, fire)? {
        return Ok(Fired::Stale);
    }
    let mut start = Vec::new();
    for pair in &fire.start {
        if !execution::exists(connection, &pair.0.id)? {
            start.push(pair);
        }
    }
    let mut cancelled = Vec::new();
    if fire.unfinished != Unfinished::Leave && !start.is_empty() {
        let unfinished = unfinished(connection, &fire.schedule)?;
        if fire.unfinished == Unfinished::Skip && !unfinished.is_empty() {
            return Ok(Fired::Done {
                started: Vec::new(),
                skipped: true,
                cancelled,
            });
        }
        if fire.unfinished == Unfinished::Cancel {
            cancelled = cancel(connection, unfinished, fire.now)?;
        }
    }
    let mut started = Vec::new();
    let mut skipped = false;
    for (new, event) in start {
        // One id may be asked for twice.
        if execution::exists(connection, &new.id)? {
            continue;
        }
        if begin(connection, fire, new, event)? {
            started.push(new.id.clone());
        } else {
            skipped = true;
        }
    }
    Ok(Fired::Done {
        started,
        skipped,
        cancelled,
    })
}

/// Moves a schedule on; false where somebody else was faster, or it is gone or paused.
fn advance(connection: &Connection, fire: &Fire) -> rusqlite::Result<bool> {
    const FIND: &str = "SELECT is_paused, next_at FROM flux_schedules WHERE id = ?1";
    const ADVANCE: &str = "UPDATE flux_schedules SET next_at = ?2 WHERE id = ?1";
    let mut find = connection.prepare_cached(FIND)?;
    let found = find.query_row([&fire.schedule], |row| {
        Ok((row.get::<_, bool>(0)?, row::moment(row, 1)?))
    });
    let Some((is_paused, stands_at)) = found.optional()? else {
        return Ok(false);
    };
    let Some((from, to)) = fire.advance else {
        return Ok(true);
    };
    if is_paused || stands_at != Some(from) {
        return Ok(false);
    }
    let mut advance = connection.prepare_cached(ADVANCE)?;
    advance.execute((&fire.schedule, to.map(Timestamp::as_micros)))?;
    Ok(true)
}

/// Starts one; false where its gate is full or its dedup key taken.
fn begin(
    connection: &Connection,
    fire: &Fire,
    new: &NewExecution,
    event: &Event,
) -> rusqlite::Result<bool> {
    const NOTE: &str =
        "UPDATE flux_schedules SET last_at = max(ifnull(last_at, ?2), ?2) WHERE id = ?1";
    if gate::refusal(connection, new)?.is_some() {
        return Ok(false);
    }
    let key = execution::create(connection, new)?;
    history::append(connection, key, [event])?;
    if let Some(slot) = new.placement.scheduled_at {
        let mut note = connection.prepare_cached(NOTE)?;
        note.execute((&fire.schedule, slot.as_micros()))?;
    }
    Ok(true)
}

/// The executions of a schedule that have not finished, the oldest first.
fn unfinished(connection: &Connection, schedule: &str) -> rusqlite::Result<Vec<ExecutionId>> {
    const UNFINISHED: &str = "SELECT id, eid FROM flux_executions INDEXED BY flux_executions_by_schedule \
         WHERE schedule = ?1 AND status < 4 ORDER BY eid";
    let mut unfinished = connection.prepare_cached(UNFINISHED)?;
    let ids = unfinished.query_map([schedule], row::execution_id)?;
    let ids = ids.map(|id| row::unless_damaged(id).transpose());
    ids.flatten().collect()
}

fn cancel(
    connection: &Connection,
    unfinished: Vec<ExecutionId>,
    at: Timestamp,
) -> rusqlite::Result<Vec<ExecutionId>> {
    let message = NewMessage::cancellation_by_schedule(at);
    for id in &unfinished {
        inbox::post(connection, id, &message)?;
    }
    Ok(unfinished)
}
