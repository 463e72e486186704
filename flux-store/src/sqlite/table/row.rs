//! From rows to values. A row that cannot be read is an error that names its table and key.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use flux_core::clock::Timestamp;
use flux_core::event::{Event, EventKind};
use flux_core::execution::Status;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{
    ExecutionRecord, Gate, Message, MessageId, MessageKind, Placement, ScheduleRecord, Serves,
};
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

use super::lane::Lane;
use crate::sync::lock;

/// How far the event number reaches in a packed key.
const SEQ_BITS: u32 = 24;

/// The columns that [`execution`] reads, in its order.
pub(crate) const EXECUTION: &str = "eid, id, workflow, version, format, status, attempt, created_at, \
     finished_at, wake_at, waiting, parent, base, rewound, owner, epoch, started_at, ready_at, hold, \
     queue, partition, priority, due, gate, gate_limit, gate_refuses, dedup, schedule, scheduled_at, tags, obstacle, \
     is_delay";

/// The key of an event in `flux_events`.
pub(crate) fn event_key(execution: ExecutionKey, seq: u32) -> i64 {
    execution.0 << SEQ_BITS | i64::from(seq)
}

/// The number inside a packed key.
pub(crate) fn seq_of(key: i64) -> EventSeq {
    let seq = key & i64::from(EventSeq::MAX.get());
    EventSeq::new(u32::try_from(seq).expect("24 bits fit"))
}

/// Reads `workflow, version, eid`.
pub(crate) fn lane(row: &Row<'_>, queue: Option<&Arc<str>>) -> rusqlite::Result<Lane> {
    let key = row.get(2)?;
    let read = || {
        Ok(Lane {
            queue: queue.cloned(),
            workflow: text(row, 0)?.into(),
            version: row.get(1)?,
        })
    };
    read().map_err(|error| named(row, "flux_executions", key, error))
}

/// Reads a row of [`EXECUTION`] columns.
pub(crate) fn execution(row: &Row<'_>) -> rusqlite::Result<ExecutionRecord> {
    let key: i64 = row.get(0)?;
    execution_of(row, key).map_err(|error| named(row, "flux_executions", key, error))
}

fn execution_of(row: &Row<'_>, key: i64) -> rusqlite::Result<ExecutionRecord> {
    let status = status(row, 5, ExecutionKey(key))?;
    let created_at = Timestamp::from_micros(row.get(7)?);
    let placement = placement(row, key)?;
    // One that waits its turn is ready from a moment that never changes; the column serves those that have started.
    let ready_at = match status {
        Status::Pending => Some(placement.due.unwrap_or(created_at)),
        _ => moment(row, 17)?,
    };
    Ok(ExecutionRecord {
        key: ExecutionKey(key),
        id: ExecutionId::from(text(row, 1)?),
        workflow: text(row, 2)?.into(),
        version: row.get(3)?,
        format: row.get(4)?,
        status,
        attempt: row.get::<_, NonZeroU32>(6)?.get(),
        created_at,
        finished_at: moment(row, 8)?,
        wake_at: moment(row, 9)?,
        waiting: maybe_text(row, 10)?.map(Payload::from_json),
        parent: maybe_text(row, 11)?.map(ExecutionId::from),
        base: seq(row.get(12)?, 12)?,
        rewound: row
            .get::<_, Option<u32>>(13)?
            .map(|found| seq(found, 13))
            .transpose()?,
        owner: row.get::<_, Option<i64>>(14)?.map(WorkerId),
        taken_from: None,
        epoch: Epoch(row.get(15)?),
        started_at: moment(row, 16)?,
        ready_at,
        hold: shared(row, 18)?,
        obstacle: maybe_text(row, 30)?.map(Payload::from_json),
        placement,
    })
}

/// The number of an event, if it can be one.
fn seq(found: u32, column: usize) -> rusqlite::Result<EventSeq> {
    if (1..=EventSeq::MAX.get()).contains(&found) {
        return Ok(EventSeq::new(found));
    }
    Err(rusqlite::Error::IntegralValueOutOfRange(
        column,
        i64::from(found),
    ))
}

/// Reads a status.
pub(crate) fn status(row: &Row<'_>, column: usize, key: ExecutionKey) -> rusqlite::Result<Status> {
    let code: i64 = row.get(column)?;
    Status::from_code(code).ok_or_else(|| {
        let holds = format!("an unknown status, {code}");
        unreadable(column, "flux_executions", key.0, holds)
    })
}

/// Reads the name of a workflow.
pub(crate) fn workflow(
    row: &Row<'_>,
    column: usize,
    key: ExecutionKey,
) -> rusqlite::Result<Arc<str>> {
    let name = text(row, column).map(Arc::from);
    name.map_err(|error| named(row, "flux_executions", key.0, error))
}

/// Tags as [`execution`] reads them.
pub(crate) fn tags_as_json(tags: &[Arc<str>]) -> Option<String> {
    let json = || serde_json::to_string(tags).expect("texts are JSON");
    (!tags.is_empty()).then(json)
}

/// What a worker takes as [`serves`] reads it.
pub(crate) fn serves_as_json(serves: &Serves) -> String {
    serde_json::to_string(serves).expect("names and numbers are JSON")
}

/// Reads what a worker takes.
pub(crate) fn serves(
    row: &Row<'_>,
    column: usize,
    worker: WorkerId,
) -> rusqlite::Result<Option<Serves>> {
    let read = |text: &str| {
        serde_json::from_str(text).map_err(|error| {
            let holds = format!("a worker's `serves` that cannot be read: {error}");
            unreadable(column, "flux_workers", worker.0, holds)
        })
    };
    maybe_text(row, column)?.map(read).transpose()
}

/// Reads the part of [`EXECUTION`] that says where an execution belongs; most belong nowhere.
fn placement(row: &Row<'_>, key: i64) -> rusqlite::Result<Placement> {
    let tags = match maybe_text(row, 29)? {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            let holds = format!("tags that cannot be read: {error}");
            unreadable(29, "flux_executions", key, holds)
        })?,
        None => Vec::new(),
    };
    Ok(Placement {
        queue: shared(row, 19)?,
        partition: shared(row, 20)?,
        priority: row.get::<_, Option<i32>>(21)?.unwrap_or(0),
        due: moment(row, 22)?,
        is_delay: row.get::<_, Option<bool>>(31)?.unwrap_or(false),
        gate: match shared(row, 23)? {
            Some(key) => Some(Gate {
                key,
                limit: row.get(24)?,
                refuses: row.get(25)?,
            }),
            None => None,
        },
        dedup: shared(row, 26)?,
        schedule: shared(row, 27)?,
        scheduled_at: moment(row, 28)?,
        tags,
    })
}

/// Reads `id, workflow, input, spec, is_paused, next_at, last_at, created_at, rowid`.
pub(crate) fn schedule(row: &Row<'_>) -> rusqlite::Result<ScheduleRecord> {
    let key = row.get(8)?;
    schedule_of(row).map_err(|error| named(row, "flux_schedules", key, error))
}

/// Reads the moment at which one of these that is not paused is due.
pub(crate) fn schedules_moment(row: &Row<'_>) -> rusqlite::Result<Timestamp> {
    let key = row.get(8)?;
    let moment = row.get(5).map(Timestamp::from_micros);
    moment.map_err(|error| named(row, "flux_schedules", key, error))
}

/// Reads `id, eid` of an execution: its id.
pub(crate) fn execution_id(row: &Row<'_>) -> rusqlite::Result<ExecutionId> {
    let key = row.get(1)?;
    let id = text(row, 0).map(ExecutionId::from);
    id.map_err(|error| named(row, "flux_executions", key, error))
}

/// Reads the second of these.
pub(crate) fn schedules_workflow<'a>(row: &'a Row<'_>) -> rusqlite::Result<&'a str> {
    let key = row.get(8)?;
    text(row, 1).map_err(|error| named(row, "flux_schedules", key, error))
}

fn schedule_of(row: &Row<'_>) -> rusqlite::Result<ScheduleRecord> {
    Ok(ScheduleRecord {
        id: text(row, 0)?.into(),
        workflow: text(row, 1)?.into(),
        input: Payload::from_json(text(row, 2)?),
        spec: Payload::from_json(text(row, 3)?),
        is_paused: row.get(4)?,
        next_at: moment(row, 5)?,
        last_at: moment(row, 6)?,
        created_at: Timestamp::from_micros(row.get(7)?),
    })
}

/// Reads a moment, or none.
pub(crate) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row
        .get::<_, Option<i64>>(column)?
        .map(Timestamp::from_micros))
}

/// Reads a number of rows.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Reads a text to be kept, or none.
pub(crate) fn shared(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<str>>> {
    Ok(maybe_text(row, column)?.map(Arc::from))
}

/// Reads the bytes of a name, also where they are not valid UTF-8.
pub(crate) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<u8>>> {
    let found = row.get_ref(column)?.as_bytes_or_null();
    let found = found.map_err(|error| wrong(column, error))?;
    Ok(found.map(<[u8]>::to_vec))
}

/// Reads `key, kind, at, ref, name, payload, meta`.
pub(crate) fn event(row: &Row<'_>, names: &mut Names) -> rusqlite::Result<Event> {
    let key: i64 = row.get(0)?;
    let kind: i64 = row.get(1)?;
    let unknown = || {
        unreadable(
            1,
            "flux_events",
            key,
            format!("an unknown kind of event, {kind}"),
        )
    };
    Ok(Event {
        seq: seq_of(key),
        kind: EventKind::from_code(kind).ok_or_else(unknown)?,
        at: Timestamp::from_micros(row.get(2)?),
        refers: row.get::<_, Option<u32>>(3)?.map(EventSeq::new),
        name: maybe_text(row, 4)?.map(|name| names.shared(name)),
        payload: maybe_text(row, 5)?.map(Payload::from_json),
        meta: maybe_text(row, 6)?.map(Payload::from_json),
    })
}

/// Reads `id, kind, name, payload, at`.
pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let id: i64 = row.get(0)?;
    let kind: i64 = row.get(1)?;
    let unknown = || {
        unreadable(
            1,
            "flux_inbox",
            id,
            format!("an unknown kind of message, {kind}"),
        )
    };
    Ok(Message {
        id: MessageId(id),
        kind: MessageKind::from_code(kind).ok_or_else(unknown)?,
        name: text(row, 2)?.into(),
        payload: Payload::from_json(text(row, 3)?),
        at: Timestamp::from_micros(row.get(4)?),
    })
}

/// Shares the names that repeat from event to event; most histories have few.
#[derive(Default)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Names {
    const KEPT: usize = 8;

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        if self.0.len() == Self::KEPT {
            self.0.remove(0);
        }
        let name: Arc<str> = name.into();
        self.0.push(Arc::clone(&name));
        name
    }
}

/// Reads a text.
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    maybe_text(row, column)?.ok_or_else(|| wrong(column, FromSqlError::InvalidType))
}

fn maybe_text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<&'a str>> {
    row.get_ref(column)?
        .as_str_or_null()
        .map_err(|error| wrong(column, error))
}

fn wrong(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The error of a row that cannot be read, with its table and key.
fn named(row: &Row<'_>, table: &'static str, key: i64, error: rusqlite::Error) -> rusqlite::Error {
    use rusqlite::Error as E;
    let name = |column: usize| row.as_ref().column_name(column).unwrap_or("?").to_owned();
    let (column, holds) = match &error {
        E::FromSqlConversionFailure(_, _, source) if source.is::<Unreadable>() => return error,
        E::FromSqlConversionFailure(column, _, source) => (*column, source.to_string()),
        E::IntegralValueOutOfRange(column, value) => (*column, value.to_string()),
        E::InvalidColumnType(column, _, found) => (*column, format!("a value of type {found}")),
        _ => return error,
    };
    let holds = format!("what cannot be its `{}`: {holds}", name(column));
    unreadable(column, table, key, holds)
}

/// What was read, or nothing where the row is damaged: that is said once, and others that are read with it are not kept
/// back.
pub(crate) fn unless_damaged<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    static SAID: Mutex<BTreeSet<(&str, i64)>> = Mutex::new(BTreeSet::new());
    let error = match read {
        Ok(read) => return Ok(Some(read)),
        Err(error) => error,
    };
    let rusqlite::Error::FromSqlConversionFailure(_, _, source) = &error else {
        return Err(error);
    };
    let Some(damaged) = source.downcast_ref::<Unreadable>() else {
        return Err(error);
    };
    let mut said = lock(&SAID);
    if said.insert((damaged.table, damaged.key)) {
        tracing::warn!(
            table = damaged.table,
            key = damaged.key,
            "{damaged}; it is left out: `flux db check` looks for more, and a backup may have it"
        );
    }
    Ok(None)
}

fn unreadable(column: usize, table: &'static str, key: i64, holds: String) -> rusqlite::Error {
    let error = Unreadable { table, key, holds };
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error))
}

/// A row that this version of Flux cannot read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    table: &'static str,
    key: i64,
    holds: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "row {} of `{}` holds {}",
            self.key, self.table, self.holds
        )
    }
}

impl std::error::Error for Unreadable {}
