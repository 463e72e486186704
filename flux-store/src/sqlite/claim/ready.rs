//! Executions that a moment makes ready: started ones that sleep without an owner, pending ones that are delayed.

use std::collections::BTreeSet;

use flux_core::clock::Timestamp;
use flux_core::id::ExecutionKey;
use rusqlite::Connection;

use crate::sqlite::table::lane::{Lane, Shelf};

/// What becomes ready at a moment.
pub(crate) struct Moments {
    pub(crate) shelf: Shelf,
    column: &'static str,
}

/// Started ones that sleep.
pub(crate) const SLEEPING: Moments = Moments {
    shelf: Shelf {
        index: "flux_executions_ready",
        holds: "ready_at IS NOT NULL",
    },
    column: "ready_at",
};

/// Pending ones that are delayed.
pub(crate) const DELAYED: Moments = Moments {
    shelf: Shelf {
        index: "flux_executions_delayed",
        holds: "delayed_to IS NOT NULL",
    },
    column: "delayed_to",
};

/// An execution and the moment it is ready.
pub(crate) type Ready = (Timestamp, ExecutionKey);

impl Moments {
    /// What is ready in a lane, the earliest first, but for those who are excepted.
    pub(crate) fn due(
        &self,
        connection: &Connection,
        lane: &Lane,
        except: &BTreeSet<ExecutionKey>,
        now: Timestamp,
        most: usize,
    ) -> rusqlite::Result<Vec<Ready>> {
        self.read(connection, "<=", lane, except, now, most)
    }

    /// When the next in a lane is ready that is not now.
    pub(crate) fn next(
        &self,
        connection: &Connection,
        lane: &Lane,
        except: &BTreeSet<ExecutionKey>,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Timestamp>> {
        let next = self.read(connection, ">", lane, except, now, 1)?;
        Ok(next.first().map(|(moment, _)| *moment))
    }

    fn read(
        &self,
        connection: &Connection,
        than: &str,
        lane: &Lane,
        except: &BTreeSet<ExecutionKey>,
        now: Timestamp,
        most: usize,
    ) -> rusqlite::Result<Vec<Ready>> {
        let Self { shelf, column } = self;
        let mut select = connection.prepare_cached(&format!(
            "SELECT {column}, eid FROM flux_executions INDEXED BY {index} \
             WHERE queue IS ?1 AND workflow = ?2 AND version = ?3 AND {column} {than} ?4 \
             ORDER BY {column}, eid LIMIT ?5",
            index = shelf.index
        ))?;
        let limit = i64::try_from(most.saturating_add(except.len())).unwrap_or(i64::MAX);
        let values = (
            &lane.queue,
            &lane.workflow,
            lane.version,
            now.as_micros(),
            limit,
        );
        let ready = select.query_map(values, |row| {
            let moment = Timestamp::from_micros(row.get(0)?);
            Ok((moment, ExecutionKey(row.get(1)?)))
        })?;
        let wanted = ready.filter(|ready| match ready {
            Ok((_, key)) => !except.contains(key),
            Err(_) => true,
        });
        wanted.take(most).collect()
    }
}
