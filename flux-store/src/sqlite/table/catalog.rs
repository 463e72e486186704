//! What programs say of themselves: their workflows, and what their workers take.

use flux_core::clock::Timestamp;
use flux_core::id::WorkerId;
use flux_core::payload::Payload;
use flux_core::store::{Serves, WorkflowDescription};
use rusqlite::{Connection, Row};

use super::row;

/// Lists the workflows that were described, by name and version.
pub(crate) fn list(connection: &Connection) -> rusqlite::Result<Vec<WorkflowDescription>> {
    const LIST: &str =
        "SELECT name, version, described, seen_at FROM flux_workflows ORDER BY name, version";
    let mut list = connection.prepare_cached(LIST)?;
    list.query_map([], description)?.collect()
}

fn description(row: &Row<'_>) -> rusqlite::Result<WorkflowDescription> {
    Ok(WorkflowDescription {
        name: row.get(0)?,
        version: row.get(1)?,
        described: Payload::from_json(row.get::<_, String>(2)?),
        seen_at: Timestamp::from_micros(row.get(3)?),
    })
}

/// Those of the descriptions that are to be written.
pub(crate) fn news(
    connection: &Connection,
    mut described: Vec<WorkflowDescription>,
) -> rusqlite::Result<Vec<WorkflowDescription>> {
    let stored = list(connection)?;
    described.retain(|new| {
        let is_same =
            |old: &&WorkflowDescription| old.name == new.name && old.version == new.version;
        stored
            .iter()
            .find(is_same)
            .is_none_or(|old| new.replaces(old))
    });
    Ok(described)
}

/// Writes descriptions over those of the same name and version.
pub(crate) fn describe(
    connection: &Connection,
    described: &[WorkflowDescription],
) -> rusqlite::Result<()> {
    const PUT: &str = "INSERT OR REPLACE INTO flux_workflows (name, version, described, seen_at) \
         VALUES (?1, ?2, ?3, ?4)";
    let mut put = connection.prepare_cached(PUT)?;
    for workflow in described {
        put.execute((
            &workflow.name,
            workflow.version,
            workflow.described.as_str(),
            workflow.seen_at.as_micros(),
        ))?;
    }
    Ok(())
}

/// Writes down what a worker takes.
pub(crate) fn serve(
    connection: &Connection,
    worker: WorkerId,
    serves: Option<&Serves>,
) -> rusqlite::Result<()> {
    let mut serve =
        connection.prepare_cached("UPDATE flux_workers SET serves = ?2 WHERE id = ?1")?;
    serve
        .execute((worker.0, serves.map(row::serves_as_json)))
        .map(drop)
}
