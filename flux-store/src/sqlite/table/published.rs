//! Values that workflows publish: the last one under each name.

use std::sync::Arc;

use flux_core::id::ExecutionKey;
use flux_core::payload::Payload;
use rusqlite::{Connection, OptionalExtension as _};

/// Replaces what was published under these names.
pub(crate) fn replace(
    connection: &Connection,
    key: ExecutionKey,
    values: &[(Arc<str>, Payload)],
) -> rusqlite::Result<()> {
    const REPLACE: &str = "INSERT INTO flux_published (eid, name, payload) VALUES (?1, ?2, ?3) \
         ON CONFLICT (eid, name) DO UPDATE SET payload = excluded.payload";
    for (name, value) in values {
        connection
            .prepare_cached(REPLACE)?
            .execute((key.0, &**name, value.as_str()))?;
    }
    Ok(())
}

/// Reads what was last published under `name`.
pub(crate) fn read(
    connection: &Connection,
    key: ExecutionKey,
    name: &str,
) -> rusqlite::Result<Option<Payload>> {
    const READ: &str = "SELECT payload FROM flux_published WHERE eid = ?1 AND name = ?2";
    let mut select = connection.prepare_cached(READ)?;
    select
        .query_row((key.0, name), |row| {
            Ok(Payload::from_json(row.get::<_, Arc<str>>(0)?))
        })
        .optional()
}
