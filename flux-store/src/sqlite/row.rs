//! From rows to values. A row that cannot be read is an error that names its table and key.

use std::fmt;
use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::event::{Event, EventKind};
use flux_core::execution::Status;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{ExecutionRecord, Message, MessageId, MessageKind};
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

/// How far the event number reaches in a packed key.
const SEQ_BITS: u32 = 24;

/// The columns that [`execution`] reads, in its order.
pub(super) const EXECUTION: &str = "eid, id, workflow, version, format, status, attempt, created_at, \
     finished_at, wake_at, waiting, parent, base, rewound, owner, epoch";

/// The key of an event in `flux_events`.
pub(super) fn event_key(execution: ExecutionKey, seq: u32) -> i64 {
    execution.0 << SEQ_BITS | i64::from(seq)
}

/// The number inside a packed key.
pub(super) fn seq_of(key: i64) -> EventSeq {
    let seq = key & i64::from(EventSeq::MAX.get());
    EventSeq::new(u32::try_from(seq).expect("24 bits fit"))
}

/// Reads a row of [`EXECUTION`] columns.
pub(super) fn execution(row: &Row<'_>) -> rusqlite::Result<ExecutionRecord> {
    let key: i64 = row.get(0)?;
    let status: i64 = row.get(5)?;
    let unknown = || {
        unreadable(
            5,
            "flux_executions",
            key,
            format!("an unknown status, {status}"),
        )
    };
    Ok(ExecutionRecord {
        key: ExecutionKey(key),
        id: ExecutionId::from(text(row, 1)?),
        workflow: text(row, 2)?.into(),
        version: row.get(3)?,
        format: row.get(4)?,
        status: Status::from_code(status).ok_or_else(unknown)?,
        attempt: row.get(6)?,
        created_at: Timestamp::from_micros(row.get(7)?),
        finished_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros),
        wake_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_micros),
        waiting: maybe_text(row, 10)?.map(Payload::from_json),
        parent: maybe_text(row, 11)?.map(ExecutionId::from),
        base: EventSeq::new(row.get(12)?),
        rewound: row.get::<_, Option<u32>>(13)?.map(EventSeq::new),
        owner: row.get::<_, Option<i64>>(14)?.map(WorkerId),
        epoch: Epoch(row.get(15)?),
    })
}

/// Reads `key, kind, at, ref, name, payload, meta`.
pub(super) fn event(row: &Row<'_>, names: &mut Names) -> rusqlite::Result<Event> {
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
pub(super) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
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
pub(super) struct Names(Vec<Arc<str>>);

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

fn unreadable(column: usize, table: &'static str, key: i64, holds: String) -> rusqlite::Error {
    let error = Unreadable { table, key, holds };
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error))
}

/// A row that this version of Flux cannot read.
#[derive(Debug)]
struct Unreadable {
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
