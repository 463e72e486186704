//! Lanes: what the same workers can take, of one queue or of none, of one workflow and version.
//!
//! The indexes over what is ready are read lane by lane, each by a seek: a worker never reads past what it has no code
//! for or does not serve.

use std::sync::Arc;

use flux_core::store::WorkRequest;
use rusqlite::{CachedStatement, Connection, Row, ToSql};

use super::row;

/// What the same workers can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) queue: Option<Arc<str>>,
    pub(crate) workflow: Arc<str>,
    pub(crate) version: u32,
}

/// An index that is read lane by lane.
pub(crate) struct Shelf {
    pub(crate) index: &'static str,
    /// What holds of all that lies on it. Its parameters, if it has any, are `?4` and so on.
    pub(crate) holds: &'static str,
}

impl Shelf {
    /// The lanes on it that the worker can take from.
    pub(crate) fn lanes_for(
        &self,
        connection: &Connection,
        request: &WorkRequest,
    ) -> rusqlite::Result<Vec<Lane>> {
        let mut lanes = match &request.queues {
            Some(queues) => {
                let mut lanes = self.lanes_of(connection, None, &[])?;
                for queue in queues {
                    lanes.append(&mut self.lanes_of(connection, Some(queue), &[])?);
                }
                lanes
            }
            None => self.lanes(connection, &[])?,
        };
        lanes.retain(|lane| lane.is_wanted(request));
        Ok(lanes)
    }

    /// All lanes on it.
    pub(crate) fn lanes(
        &self,
        connection: &Connection,
        more: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<Lane>> {
        let mut lanes = self.lanes_of(connection, None, more)?;
        let mut from = String::new();
        while let Some(queue) = self.queue_from(connection, &from, more)? {
            lanes.append(&mut self.lanes_of(connection, Some(&queue), more)?);
            from = after(&queue);
        }
        Ok(lanes)
    }

    /// The least queue from `from` on.
    fn queue_from(
        &self,
        connection: &Connection,
        from: &str,
        more: &[&dyn ToSql],
    ) -> rusqlite::Result<Option<Arc<str>>> {
        let Self { index, holds } = self;
        let mut select = connection.prepare_cached(&format!(
            "SELECT min(queue) FROM flux_executions INDEXED BY {index} \
             WHERE {holds} AND queue >= CAST(?1 AS TEXT)"
        ))?;
        least_text(from, |from| {
            bind(&mut select, &[&from], more)?;
            let mut rows = select.raw_query();
            match rows.next()? {
                Some(row) => row::bytes(row, 0),
                None => Ok(None),
            }
        })
    }

    /// The lanes of one queue, or of none.
    fn lanes_of(
        &self,
        connection: &Connection,
        queue: Option<&Arc<str>>,
        more: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<Lane>> {
        let Self { index, holds } = self;
        let mut select = connection.prepare_cached(&format!(
            "SELECT workflow, version, eid FROM flux_executions INDEXED BY {index} WHERE {holds} \
             AND queue IS ?1 AND (workflow, version) >= (CAST(?2 AS TEXT), ?3) \
             ORDER BY workflow, version LIMIT 1"
        ))?;
        let mut lanes = Vec::new();
        let mut from = (Vec::new(), 0);
        loop {
            bind(&mut select, &[&queue, &from.0, &from.1], more)?;
            let mut rows = select.raw_query();
            let Some(row) = rows.next()? else {
                return Ok(lanes);
            };
            let lane = row::unless_damaged(row::lane(row, queue))?;
            lanes.extend(lane);
            from = next_lane(row)?;
        }
    }
}

impl Lane {
    /// Whether the worker has the code.
    fn is_wanted(&self, request: &WorkRequest) -> bool {
        let runs = |code: &flux_core::store::Runnable| {
            code.workflow == self.workflow && code.versions.contains(&self.version)
        };
        request.code.iter().any(runs)
    }
}

fn bind(
    select: &mut CachedStatement<'_>,
    values: &[&dyn ToSql],
    more: &[&dyn ToSql],
) -> rusqlite::Result<()> {
    for (place, value) in (1..).zip(values).chain((4..).zip(more)) {
        select.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

/// Where the lanes begin that follow the one of this row, damaged or not.
fn next_lane(row: &Row<'_>) -> rusqlite::Result<(Vec<u8>, i64)> {
    let mut workflow = row::bytes(row, 0)?.unwrap_or_default();
    let version: i64 = row.get(1)?;
    Ok(match version.checked_add(1) {
        Some(version) => (workflow, version),
        None => {
            workflow.push(0);
            (workflow, i64::MIN)
        }
    })
}

/// The least name from `from` on. A name that is not valid UTF-8 is skipped: its row is damaged, and must not block others.
pub(crate) fn least_text(
    from: &str,
    mut least: impl FnMut(&[u8]) -> rusqlite::Result<Option<Vec<u8>>>,
) -> rusqlite::Result<Option<Arc<str>>> {
    let mut from = from.as_bytes().to_vec();
    while let Some(found) = least(&from)? {
        match String::from_utf8(found) {
            Ok(text) => return Ok(Some(text.into())),
            Err(damaged) => from = damaged.into_bytes(),
        }
        from.push(0);
    }
    Ok(None)
}

/// The least text that is greater than this one.
pub(crate) fn after(text: &str) -> String {
    format!("{text}\0")
}
