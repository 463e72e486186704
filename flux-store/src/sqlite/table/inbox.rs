//! Inboxes: messages wait here for the driver of their execution.

use flux_core::clock::Timestamp;
use flux_core::execution::Status;
use flux_core::id::{ExecutionId, ExecutionKey};
use flux_core::store::{Heeds, Message, MessageId, MessageKind, NewMessage};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::row;

/// What became of a message.
pub(crate) enum Posted {
    /// It is in the inbox, or was before.
    Accepted,
    /// There is no such execution.
    NotFound,
    /// The execution has ended.
    Finished(Status),
}

/// Puts a message into an inbox, unless its dedup key was seen.
pub(crate) fn post(
    connection: &Connection,
    to: &ExecutionId,
    message: &NewMessage,
) -> rusqlite::Result<Posted> {
    const FIND: &str = "SELECT eid, status, owner IS NULL AND status IN (2, 3) AND (hold IS NULL OR ?2), \
         ready_at FROM flux_executions WHERE id = ?1";
    const REMEMBER: &str = "INSERT OR IGNORE INTO flux_dedup (eid, name, key) VALUES (?1, ?2, ?3)";
    const INSERT: &str =
        "INSERT INTO flux_inbox (eid, kind, name, payload, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let found = connection
        .prepare_cached(FIND)?
        .query_row((to.as_str(), message.kind.reaches_held()), receiver)
        .optional()?;
    let Some(Receiver {
        eid,
        status,
        sleeps,
        ready_at,
    }) = found
    else {
        return Ok(Posted::NotFound);
    };
    if let Some(status) = Status::from_code(status).filter(|status| status.is_finished()) {
        return Ok(Posted::Finished(status));
    }
    if let Some(key) = &message.dedup {
        let new = connection
            .prepare_cached(REMEMBER)?
            .execute((eid, &*message.name, &**key))?;
        if new == 0 {
            return Ok(Posted::Accepted);
        }
    }
    let (kind, at) = (message.kind.code(), message.at.as_micros());
    connection.prepare_cached(INSERT)?.execute((
        eid,
        kind,
        &*message.name,
        message.payload.as_str(),
        at,
    ))?;
    if sleeps && ready_at.is_none_or(|ready| ready > at) {
        connection
            .prepare_cached("UPDATE flux_executions SET ready_at = ?2 WHERE eid = ?1")?
            .execute((eid, at))?;
    }
    Ok(Posted::Accepted)
}

/// Whom a message is for.
struct Receiver {
    eid: i64,
    status: i64,
    /// It has started, has no owner, and the message wakes it.
    sleeps: bool,
    ready_at: Option<i64>,
}

fn receiver(row: &Row<'_>) -> rusqlite::Result<Receiver> {
    Ok(Receiver {
        eid: row.get(0)?,
        status: row.get(1)?,
        sleeps: row.get(2)?,
        ready_at: row.get(3)?,
    })
}

/// Whether nobody has sent anything that still waits.
pub(crate) fn is_empty(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<bool> {
    const ANY: &str = "SELECT 1 FROM flux_inbox WHERE eid = ?1 LIMIT 1";
    let mut any = connection.prepare_cached(ANY)?;
    Ok(!any.exists([key.0])?)
}

/// Reads what came into an inbox after the given message, oldest first; without one, all of it.
pub(crate) fn list(
    connection: &Connection,
    key: ExecutionKey,
    after: Option<MessageId>,
) -> rusqlite::Result<Vec<Message>> {
    const LIST: &str = "SELECT id, kind, name, payload, at FROM flux_inbox \
         WHERE eid = ?1 AND id > ?2 ORDER BY id";
    let after = after.map_or(i64::MIN, |after| after.0);
    connection
        .prepare_cached(LIST)?
        .query_map((key.0, after), row::message)?
        .collect()
}

/// When the first message after `seen` was posted; of one on hold, the first that reaches it.
pub(crate) fn first_after(
    connection: &Connection,
    key: ExecutionKey,
    seen: Option<MessageId>,
    is_held: bool,
) -> rusqlite::Result<Option<Timestamp>> {
    const KINDS: &str = "SELECT kind, at FROM flux_inbox WHERE eid = ?1 AND id > ?2 ORDER BY id";
    let mut unseen = connection.prepare_cached(KINDS)?;
    let mut rows = unseen.query((key.0, seen.map_or(i64::MIN, |seen| seen.0)))?;
    while let Some(row) = rows.next()? {
        let reaches = MessageKind::from_code(row.get(0)?).is_some_and(MessageKind::reaches_held);
        if reaches || !is_held {
            return row::moment(row, 1);
        }
    }
    Ok(None)
}

/// Whether a command came in that the owner has not read.
pub(crate) fn has_unread(
    connection: &Connection,
    key: ExecutionKey,
    heeds: &Heeds,
) -> rusqlite::Result<bool> {
    const KINDS: &str = "SELECT id, kind FROM flux_inbox WHERE eid = ?1 AND id > ?2";
    let mut unread = connection.prepare_cached(KINDS)?;
    let mut rows = unread.query((key.0, heeds.seen.map_or(i64::MIN, |seen| seen.0)))?;
    while let Some(row) = rows.next()? {
        let (id, kind) = (MessageId(row.get(0)?), MessageKind::from_code(row.get(1)?));
        if kind.is_some_and(|kind| heeds.is_unread(id, kind)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lists the messages after `after`, oldest first, and whom they are for; without one, the newest alone.
pub(crate) fn posted(
    connection: &Connection,
    after: Option<MessageId>,
) -> rusqlite::Result<Vec<(MessageId, ExecutionId)>> {
    const AFTER: &str = "SELECT m.id, x.id FROM flux_inbox AS m \
         CROSS JOIN flux_executions AS x ON x.eid = m.eid WHERE m.id > ?1 ORDER BY m.id";
    const NEWEST: &str = "SELECT m.id, x.id FROM flux_inbox AS m \
         CROSS JOIN flux_executions AS x ON x.eid = m.eid WHERE m.id > ?1 ORDER BY m.id DESC LIMIT 1";
    let (select, after) = match after {
        Some(after) => (AFTER, after.0),
        None => (NEWEST, i64::MIN),
    };
    let pair = |row: &Row<'_>| {
        let to = ExecutionId::from(row.get::<_, String>(1)?);
        Ok((MessageId(row.get(0)?), to))
    };
    let mut select = connection.prepare_cached(select)?;
    select.query_map([after], pair)?.collect()
}

/// Removes the commands (cancel, terminate, pause) to an execution that has finished.
pub(crate) fn drop_commands(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<()> {
    const DROP: &str = "DELETE FROM flux_inbox WHERE eid = ?1 AND kind IN (3, 4, 5)";
    connection.prepare_cached(DROP)?.execute([key.0])?;
    Ok(())
}

/// Removes messages that were delivered.
pub(crate) fn consume(
    connection: &Connection,
    key: ExecutionKey,
    messages: &[MessageId],
) -> rusqlite::Result<()> {
    const CONSUME: &str = "DELETE FROM flux_inbox WHERE id = ?1 AND eid = ?2";
    for message in messages {
        connection
            .prepare_cached(CONSUME)?
            .execute((message.0, key.0))?;
    }
    Ok(())
}
