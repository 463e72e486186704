//! Lanes: what the same workers can take, of one queue or of none, of one workflow and version.
//!
//! The indexes over what is ready are read lane by lane, each by a seek: a worker never reads past what it has no code
//! for or does not serve.

use std::sync::Arc;

use flux_core::store::WorkRequest;
use rusqlite::{CachedStatement, Connection, ToSql};

use super::row;

/// What the same workers can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) queue: Option<Arc<str>>,
    pub(super) workflow: Arc<str>,
    pub(super) version: u32,
}

/// An index that is read lane by lane.
pub(super) struct Shelf {
    pub(super) index: &'static str,
    /// What holds of all that lies on it. Its parameters, if it has any, are `?4` and so on.
    pub(super) holds: &'static str,
}

impl Shelf {
    /// The lanes on it that the worker can take from.
    pub(super) fn lanes_for(
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
    pub(super) fn lanes(
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
            "SELECT min(queue) FROM flux_executions INDEXED BY {index} WHERE {holds} AND queue >= ?1"
        ))?;
        bind(&mut select, &[&from], more)?;
        let mut rows = select.raw_query();
        match rows.next()? {
            Some(row) => row::shared(row, 0),
            None => Ok(None),
        }
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
            "SELECT workflow, version FROM flux_executions INDEXED BY {index} WHERE {holds} \
             AND queue IS ?1 AND (workflow, version) >= (?2, ?3) ORDER BY workflow, version LIMIT 1"
        ))?;
        let mut lanes = Vec::new();
        let (mut workflow, mut version) = (Arc::<str>::from(""), 0);
        loop {
            bind(&mut select, &[&queue, &workflow, &version], more)?;
            let mut rows = select.raw_query();
            let Some(row) = rows.next()? else {
                return Ok(lanes);
            };
            let lane = Lane {
                queue: queue.cloned(),
                workflow: row.get(0)?,
                version: row.get(1)?,
            };
            workflow = Arc::clone(&lane.workflow);
            version = i64::from(lane.version) + 1;
            lanes.push(lane);
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

/// The least text that is greater than this one.
pub(super) fn after(text: &str) -> String {
    format!("{text}\0")
}
