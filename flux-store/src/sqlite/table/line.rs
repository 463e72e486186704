//! Standing in line: what a pending execution waits for, and when it is in line.

use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::id::ExecutionKey;
use flux_core::store::{Gate, NewExecution};
use rusqlite::{Connection, Row};

use super::lane::Lane;
use super::row;
use crate::sqlite::claim::gate::{self, Newcomer};

/// The columns that say what a pending execution waits for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LineColumns {
    pub(crate) delayed_to: Option<i64>,
    pub(crate) rank: Option<i64>,
    pub(crate) gate_state: Option<i64>,
}

/// Where a new execution stands.
pub(crate) fn place_of_new(
    connection: &Connection,
    new: &NewExecution,
) -> rusqlite::Result<LineColumns> {
    let placement = &new.placement;
    if new.owner.is_some() {
        return Ok(LineColumns {
            gate_state: placement.gate.as_ref().map(|_| gate::INSIDE),
            ..LineColumns::default()
        });
    }
    if let Some(due) = placement.due {
        return Ok(LineColumns {
            delayed_to: Some(due.as_micros()),
            gate_state: placement.gate.as_ref().map(|_| gate::DELAYED),
            rank: None,
        });
    }
    let lane = Lane {
        queue: placement.queue.clone(),
        workflow: new.workflow.clone(),
        version: new.version,
    };
    let newcomer = Newcomer {
        lane: &lane,
        partition: placement.partition.as_deref(),
        priority: placement.priority,
        key: None,
    };
    place_of_due(connection, placement.gate.as_ref(), &newcomer)
}

/// Where one stands that is due.
fn place_of_due(
    connection: &Connection,
    gate: Option<&Gate>,
    newcomer: &Newcomer<'_>,
) -> rusqlite::Result<LineColumns> {
    let is_in_line = match gate {
        Some(gate) => gate::admits(connection, gate, newcomer)?,
        None => true,
    };
    let state = if is_in_line {
        gate::IN_LINE
    } else {
        gate::WAITS
    };
    Ok(LineColumns {
        delayed_to: None,
        rank: is_in_line.then_some(rank(newcomer.priority)),
        gate_state: gate.map(|_| state),
    })
}

/// Higher priorities go first.
fn rank(priority: i32) -> i64 {
    -i64::from(priority)
}

/// A pending execution as far as its place goes.
struct Waiting {
    lane: Lane,
    partition: Option<Arc<str>>,
    priority: i32,
    due: Option<Timestamp>,
    gate: Option<Gate>,
    gate_state: Option<i64>,
}

fn read(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<Waiting> {
    const READ: &str = "SELECT queue, workflow, version, partition, priority, due, gate, gate_limit, \
         gate_state FROM flux_executions WHERE eid = ?1";
    let waiting = |row: &Row<'_>| {
        let gate = match row::shared(row, 6)? {
            Some(key) => Some(Gate {
                key,
                limit: row.get(7)?,
                refuses: false,
            }),
            None => None,
        };
        Ok(Waiting {
            lane: Lane {
                queue: row::shared(row, 0)?,
                workflow: row.get(1)?,
                version: row.get(2)?,
            },
            partition: row::shared(row, 3)?,
            priority: row.get::<_, Option<i32>>(4)?.unwrap_or(0),
            due: row::moment(row, 5)?,
            gate,
            gate_state: row.get(8)?,
        })
    };
    connection.prepare_cached(READ)?.query_row([key.0], waiting)
}

/// A delayed execution is due: it gets in line.
pub(crate) fn enter(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<()> {
    let waiting = read(connection, key)?;
    let place = waiting.place_when_due(connection, key)?;
    write(connection, key, &place)
}

/// A pending execution has lost its owner: it is back where it was.
pub(crate) fn enter_again(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<()> {
    let waiting = read(connection, key)?;
    let was_due = waiting
        .gate_state
        .is_some_and(|state| state != gate::DELAYED);
    let place = match waiting.due {
        Some(due) if !was_due => LineColumns {
            delayed_to: Some(due.as_micros()),
            rank: None,
            gate_state: waiting.gate_state,
        },
        _ => waiting.place_when_due(connection, key)?,
    };
    write(connection, key, &place)
}

/// A pending execution has an owner now, who does not start it: it is out of the way, and still waits.
pub(crate) fn step_out(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<()> {
    let waiting = read(connection, key)?;
    let gate_state = waiting.gate_state.map(|state| match state {
        gate::DELAYED => gate::DELAYED,
        _ => gate::OWNED,
    });
    let place = LineColumns {
        gate_state,
        ..LineColumns::default()
    };
    write(connection, key, &place)?;
    match &waiting.gate {
        Some(gate) => gate::settle(connection, &gate.key),
        None => Ok(()),
    }
}

fn write(connection: &Connection, key: ExecutionKey, place: &LineColumns) -> rusqlite::Result<()> {
    const WRITE: &str = "UPDATE flux_executions SET delayed_to = ?2, rank = ?3 WHERE eid = ?1";
    const WRITE_GATED: &str = "UPDATE flux_executions SET delayed_to = ?2, rank = ?3, gate_state = ?4 \
         WHERE eid = ?1";
    let LineColumns {
        delayed_to,
        rank,
        gate_state,
    } = place;
    if gate_state.is_some() {
        let mut write = connection.prepare_cached(WRITE_GATED)?;
        write.execute((key.0, delayed_to, rank, gate_state))?;
    } else {
        let mut write = connection.prepare_cached(WRITE)?;
        write.execute((key.0, delayed_to, rank))?;
    }
    Ok(())
}

impl Waiting {
    fn place_when_due(
        &self,
        connection: &Connection,
        key: ExecutionKey,
    ) -> rusqlite::Result<LineColumns> {
        let newcomer = Newcomer {
            lane: &self.lane,
            partition: self.partition.as_deref(),
            priority: self.priority,
            key: Some(key),
        };
        place_of_due(connection, self.gate.as_ref(), &newcomer)
    }
}
