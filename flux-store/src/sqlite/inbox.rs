//! Inboxes: messages wait here for the driver of their execution.

use flux_core::execution::Status;
use flux_core::id::{ExecutionId, ExecutionKey};
use flux_core::store::{Message, MessageId, NewMessage};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::row;

/// What became of a message.
pub(super) enum Posted {
    /// It is in the inbox, or was before.
    Accepted,
    /// There is no such execution.
    NotFound,
    /// The execution has ended.
    Finished(Status),
}

/// Puts a message into an inbox, unless its dedup key was seen.
pub(super) fn post(
    connection: &Connection,
    to: &ExecutionId,
    message: &NewMessage,
) -> rusqlite::Result<Posted> {
    const FIND: &str = "SELECT eid, status FROM flux_executions WHERE id = ?1";
    const REMEMBER: &str = "INSERT OR IGNORE INTO flux_dedup (eid, name, key) VALUES (?1, ?2, ?3)";
    const INSERT: &str =
        "INSERT INTO flux_inbox (eid, kind, name, payload, at) VALUES (?1, ?2, ?3, ?4, ?5)";
    let found = connection
        .prepare_cached(FIND)?
        .query_row([to.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((eid, status)) = found else {
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
    Ok(Posted::Accepted)
}

/// Reads an inbox, oldest first.
pub(super) fn list(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<Vec<Message>> {
    const LIST: &str =
        "SELECT id, kind, name, payload, at FROM flux_inbox WHERE eid = ?1 ORDER BY id";
    connection
        .prepare_cached(LIST)?
        .query_map([key.0], row::message)?
        .collect()
}

/// Lists the executions whose inbox is not empty, each with its newest message.
pub(super) fn list_all(connection: &Connection) -> rusqlite::Result<Vec<(ExecutionId, MessageId)>> {
    const LIST: &str = "SELECT x.id, max(m.id) FROM flux_inbox AS m JOIN flux_executions AS x ON x.eid = m.eid \
         GROUP BY m.eid ORDER BY m.eid";
    let pair = |row: &Row<'_>| {
        Ok((
            ExecutionId::from(row.get::<_, String>(0)?),
            MessageId(row.get(1)?),
        ))
    };
    connection
        .prepare_cached(LIST)?
        .query_map([], pair)?
        .collect()
}

/// Removes messages that were delivered.
pub(super) fn consume(
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
