//! Histories: appended at their end, read in pages.

use flux_core::event::Event;
use flux_core::id::{EventSeq, ExecutionKey};
use flux_core::payload::Payload;
use rusqlite::{Connection, OptionalExtension as _};

use super::row::{self, Names, event_key};

const APPEND: &str = "INSERT INTO flux_events (key, kind, at, ref, name, payload, meta) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const PAGE: &str = "SELECT key, kind, at, ref, name, payload, meta FROM flux_events \
     WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT ?3";
const LAST: &str = "SELECT key, kind, at, ref, name, payload, meta FROM flux_events \
     WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1";

/// Writes events whose numbers were checked.
pub(crate) fn append<'a>(
    connection: &Connection,
    execution: ExecutionKey,
    events: impl IntoIterator<Item = &'a Event>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(APPEND)?;
    for event in events {
        insert.execute((
            event_key(execution, event.seq.get()),
            event.kind.code(),
            event.at.as_micros(),
            event.refers.map(EventSeq::get),
            event.name.as_deref(),
            event.payload.as_ref().map(Payload::as_str),
            event.meta.as_ref().map(Payload::as_str),
        ))?;
    }
    Ok(())
}

/// Reads events `from` and later, at most `limit`.
pub(crate) fn page(
    connection: &Connection,
    execution: ExecutionKey,
    from: EventSeq,
    limit: usize,
) -> rusqlite::Result<Vec<Event>> {
    let mut select = connection.prepare_cached(PAGE)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = select.query((event_key(execution, from.get()), end_of(execution), limit))?;
    let mut names = Names::default();
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(row::event(row, &mut names)?);
    }
    Ok(events)
}

/// Reads the last event.
pub(crate) fn last(
    connection: &Connection,
    execution: ExecutionKey,
) -> rusqlite::Result<Option<Event>> {
    let mut select = connection.prepare_cached(LAST)?;
    let bounds = (event_key(execution, 0), end_of(execution));
    select
        .query_row(bounds, |row| row::event(row, &mut Names::default()))
        .optional()
}

/// The number of the last event.
pub(crate) fn last_seq(
    connection: &Connection,
    execution: ExecutionKey,
) -> rusqlite::Result<Option<EventSeq>> {
    const LAST: &str = "SELECT max(key) FROM flux_events WHERE key BETWEEN ?1 AND ?2";
    let mut last = connection.prepare_cached(LAST)?;
    let bounds = (event_key(execution, 0), end_of(execution));
    let last: Option<i64> = last.query_row(bounds, |row| row.get(0))?;
    Ok(last.map(row::seq_of))
}

/// The largest key that the history can have.
pub(crate) fn end_of(execution: ExecutionKey) -> i64 {
    event_key(execution, EventSeq::MAX.get())
}
