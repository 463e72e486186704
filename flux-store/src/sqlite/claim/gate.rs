//! Gates: how many may be inside, and who of those who wait may go in next.
//!
//! Of those who wait before a gate only as many stand in line as there is room for, so that nobody reads past the
//! others. After every write that changes who is inside or who waits, [`settle`] puts the next in line or, where there
//! is no room, all of them back:
//!
//! - without room nobody stands in line;
//! - with room, of each lane at least so many of the first do.

use std::sync::Arc;

use flux_core::id::{ExecutionId, ExecutionKey};
use flux_core::store::{CommitError, Gate, InTheWay, NewExecution};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::sqlite::table::lane::{Lane, Shelf, after};
use crate::sqlite::table::queue;
use crate::sqlite::table::row;

/// It is not due yet.
pub(crate) const DELAYED: i64 = 0;
/// It waits, and does not stand in line.
pub(crate) const WAITS: i64 = 1;
/// It stands in line.
pub(crate) const IN_LINE: i64 = 2;
/// It has started.
pub(crate) const INSIDE: i64 = 3;
/// It waits and has an owner, who wants something else of it than to start it.
pub(crate) const OWNED: i64 = 4;

/// Why a new execution cannot be created, if it cannot.
pub(crate) fn refusal(
    connection: &Connection,
    new: &NewExecution,
) -> rusqlite::Result<Option<CommitError>> {
    const TWIN: &str = "SELECT id FROM flux_executions WHERE dedup = ?1";
    if let Some(dedup) = &new.placement.dedup {
        let mut twin = connection.prepare_cached(TWIN)?;
        let twin = twin.query_row([dedup], holder).optional()?;
        if let Some(twin) = twin {
            return Ok(Some(CommitError::Duplicate(twin)));
        }
    }
    let is_to_run = new.owner.is_some();
    match &new.placement.gate {
        Some(gate) if gate.refuses || is_to_run => {
            let in_the_way = in_the_way(connection, gate, is_to_run)?;
            Ok(in_the_way.map(CommitError::Full))
        }
        _ => Ok(None),
    }
}

/// Whether an execution that has finished is kept out if it is to go on now.
pub(crate) fn reopening_refused(
    connection: &Connection,
    key: ExecutionKey,
) -> rusqlite::Result<Option<CommitError>> {
    const FINISHED: &str = "SELECT gate, gate_limit FROM flux_executions \
         WHERE eid = ?1 AND gate IS NOT NULL AND status >= 4";
    let mut finished = connection.prepare_cached(FINISHED)?;
    let gate = finished.query_row([key.0], |row| {
        Ok(Gate {
            key: row::shared(row, 0)?.unwrap_or_default(),
            limit: row.get(1)?,
            refuses: true,
        })
    });
    let Some(gate) = gate.optional()? else {
        return Ok(None);
    };
    if room(connection, &gate)? > 0 {
        return Ok(None);
    }
    let inside = oldest_inside(connection, &gate.key)?;
    Ok(inside.map(|holder| CommitError::Full(InTheWay { holder })))
}

/// The oldest of those that are inside.
pub(crate) fn oldest_inside(
    connection: &Connection,
    gate: &str,
) -> rusqlite::Result<Option<ExecutionId>> {
    const INSIDE: &str = "SELECT id FROM flux_executions INDEXED BY flux_executions_by_gate \
         WHERE gate = ?1 AND gate_state = 3 ORDER BY eid LIMIT 1";
    let mut inside = connection.prepare_cached(INSIDE)?;
    let inside = inside.query_row([gate], |row| row.get::<_, String>(0));
    Ok(inside.optional()?.map(ExecutionId::from))
}

/// Nobody overtakes those who wait.
fn in_the_way(
    connection: &Connection,
    gate: &Gate,
    is_to_run: bool,
) -> rusqlite::Result<Option<InTheWay>> {
    const BEFORE: &str = "SELECT id FROM flux_executions INDEXED BY flux_executions_by_gate \
         WHERE gate = ?1 AND gate_state = ?2 LIMIT 1";
    let room = room(connection, gate)?;
    let enough = if is_to_run { 1 } else { room };
    if room > 0 && waiting(connection, gate, enough)? < enough {
        return Ok(None);
    }
    if let Some(holder) = oldest_inside(connection, &gate.key)? {
        return Ok(Some(InTheWay { holder }));
    }
    let mut before = connection.prepare_cached(BEFORE)?;
    for state in [IN_LINE, WAITS, OWNED] {
        let found = before.query_row((&gate.key, state), holder).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn holder(row: &Row<'_>) -> rusqlite::Result<InTheWay> {
    Ok(InTheWay {
        holder: ExecutionId::from(row.get::<_, String>(0)?),
    })
}

/// How many more may go in.
pub(crate) fn room(connection: &Connection, gate: &Gate) -> rusqlite::Result<u32> {
    let inside = count(connection, &gate.key, INSIDE, gate.limit)?;
    Ok(gate.limit.saturating_sub(inside))
}

/// How many wait, counted up to `most`.
fn waiting(connection: &Connection, gate: &Gate, most: u32) -> rusqlite::Result<u32> {
    let mut waiting = 0;
    for state in [IN_LINE, WAITS, OWNED] {
        if waiting < most {
            waiting += count(connection, &gate.key, state, most - waiting)?;
        }
    }
    Ok(waiting)
}

fn count(connection: &Connection, gate: &str, state: i64, most: u32) -> rusqlite::Result<u32> {
    const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM flux_executions \
         INDEXED BY flux_executions_by_gate WHERE gate = ?1 AND gate_state = ?2 LIMIT ?3)";
    let mut count = connection.prepare_cached(COUNT)?;
    count.query_row((gate, state, most), |row| row.get(0))
}

/// Who is to stand in line.
pub(crate) struct Newcomer<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) partition: Option<&'a str>,
    pub(crate) priority: i32,
    /// `None`: the youngest of all.
    pub(crate) key: Option<ExecutionKey>,
}

/// Whether a newcomer stands in line, or waits until it is put there.
pub(crate) fn admits(
    connection: &Connection,
    gate: &Gate,
    newcomer: &Newcomer<'_>,
) -> rusqlite::Result<bool> {
    const LAST: &str = "SELECT priority, eid FROM flux_executions INDEXED BY flux_executions_by_gate \
         WHERE gate = :gate AND gate_state = 2 AND queue IS :queue AND workflow = :workflow \
         AND version = :version AND partition IS :partition ORDER BY priority, eid DESC LIMIT 1";
    let room = room(connection, gate)?;
    if room == 0 {
        return Ok(false);
    }
    if in_line(connection, &gate.key, newcomer.lane, room)? < room {
        return Ok(true);
    }
    let Lane {
        queue,
        workflow,
        version,
    } = newcomer.lane;
    let mut last = connection.prepare_cached(LAST)?;
    let values = named_params! {
        ":gate": gate.key, ":queue": queue, ":workflow": workflow, ":version": version,
        ":partition": newcomer.partition,
    };
    let last: Option<(i32, i64)> = last
        .query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    // Whoever comes before the last in line may come before all of them.
    let age = newcomer.key.map_or(i64::MAX, |key| key.0);
    Ok(last.is_some_and(|(priority, eid)| (newcomer.priority, eid) > (priority, age)))
}

/// How many of a lane stand in line, counted up to `most`.
fn in_line(connection: &Connection, gate: &str, lane: &Lane, most: u32) -> rusqlite::Result<u32> {
    const COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM flux_executions \
         INDEXED BY flux_executions_by_gate WHERE gate = ?1 AND gate_state = 2 AND queue IS ?2 \
         AND workflow = ?3 AND version = ?4 LIMIT ?5)";
    let mut count = connection.prepare_cached(COUNT)?;
    let values = (gate, &lane.queue, &lane.workflow, lane.version, most);
    count.query_row(values, |row| row.get(0))
}

const WAITING: Shelf = Shelf {
    index: "flux_executions_by_gate",
    holds: "gate = ?4 AND gate_state = 1",
};

const LINED_UP: Shelf = Shelf {
    index: "flux_executions_by_gate",
    holds: "gate = ?4 AND gate_state = 2",
};

/// Puts the next in line, or all of them back: to be called after every write that changes who is inside or waits.
pub(crate) fn settle(connection: &Connection, gate: &str) -> rusqlite::Result<()> {
    for lane in LINED_UP.lanes(connection, &[&gate])? {
        let room = room_for(connection, gate, IN_LINE, &lane)?;
        if room == 0 {
            send_back(connection, gate, &lane)?;
        }
    }
    for lane in WAITING.lanes(connection, &[&gate])? {
        let room = room_for(connection, gate, WAITS, &lane)?;
        let in_line = in_line(connection, gate, &lane, room)?;
        call_up(connection, gate, &lane, room.saturating_sub(in_line))?;
    }
    Ok(())
}

/// The room for those of a lane: what a gate admits is written with each who waits, and may differ between versions.
fn room_for(connection: &Connection, gate: &str, state: i64, lane: &Lane) -> rusqlite::Result<u32> {
    const LIMIT: &str = "SELECT gate_limit FROM flux_executions INDEXED BY flux_executions_by_gate \
         WHERE gate = ?1 AND gate_state = ?2 AND queue IS ?3 AND workflow = ?4 AND version = ?5 LIMIT 1";
    let mut limit = connection.prepare_cached(LIMIT)?;
    let values = (gate, state, &lane.queue, &lane.workflow, lane.version);
    let limit: Option<u32> = limit.query_row(values, |row| row.get(0)).optional()?;
    let gate = Gate {
        key: gate.into(),
        limit: limit.unwrap_or(0),
        refuses: false,
    };
    room(connection, &gate)
}

fn send_back(connection: &Connection, gate: &str, lane: &Lane) -> rusqlite::Result<()> {
    const SEND_BACK: &str = "UPDATE flux_executions INDEXED BY flux_executions_by_gate \
         SET gate_state = 1, rank = NULL \
         WHERE gate = ?1 AND gate_state = 2 AND queue IS ?2 AND workflow = ?3 AND version = ?4";
    let mut send_back = connection.prepare_cached(SEND_BACK)?;
    let values = (gate, &lane.queue, &lane.workflow, lane.version);
    send_back.execute(values).map(drop)
}

/// Puts the next `count` of a lane in line, partition by partition.
fn call_up(connection: &Connection, gate: &str, lane: &Lane, count: u32) -> rusqlite::Result<()> {
    const CALL_UP: &str =
        "UPDATE flux_executions SET gate_state = 2, rank = -priority WHERE eid = ?1";
    if count == 0 {
        return Ok(());
    }
    let mut call_up = connection.prepare_cached(CALL_UP)?;
    let mut turn = match &lane.queue {
        Some(queue) => queue::read(connection, queue)?.last_partition,
        None => None,
    };
    for _ in 0..count {
        let Some(next) = next_in_turn(connection, gate, lane, turn.as_deref())? else {
            return Ok(());
        };
        call_up.execute([next.eid])?;
        turn = next.partition;
    }
    Ok(())
}

struct Next {
    eid: i64,
    partition: Option<Arc<str>>,
}

/// The first who waits in the partition whose turn it is after `last`.
fn next_in_turn(
    connection: &Connection,
    gate: &str,
    lane: &Lane,
    last: Option<&str>,
) -> rusqlite::Result<Option<Next>> {
    let from = last.map_or_else(String::new, after);
    if let Some(next) = first_who_waits(connection, gate, lane, Some(&from))? {
        return Ok(Some(next));
    }
    if let Some(next) = first_who_waits(connection, gate, lane, None)? {
        return Ok(Some(next));
    }
    first_who_waits(connection, gate, lane, Some(""))
}

/// The first who waits in the least partition that is not before `from`, or in none.
fn first_who_waits(
    connection: &Connection,
    gate: &str,
    lane: &Lane,
    from: Option<&str>,
) -> rusqlite::Result<Option<Next>> {
    let partition = if from.is_some() {
        "partition >= CAST(?5 AS TEXT)"
    } else {
        "partition IS ?5"
    };
    let mut first = connection.prepare_cached(&format!(
        "SELECT eid, partition FROM flux_executions INDEXED BY flux_executions_by_gate \
         WHERE gate = ?1 AND gate_state = 1 AND queue IS ?2 AND workflow = ?3 AND version = ?4 \
         AND {partition} ORDER BY partition, priority DESC, eid LIMIT 1"
    ))?;
    let mut from = from.map(|from| from.as_bytes().to_vec());
    loop {
        let values = (gate, &lane.queue, &lane.workflow, lane.version, &from);
        let next = first.query_row(values, |row| Ok((row.get(0)?, row::bytes(row, 1)?)));
        let Some((eid, partition)) = next.optional()? else {
            return Ok(None);
        };
        match partition.map(String::from_utf8).transpose() {
            Ok(partition) => {
                let partition = partition.map(Arc::from);
                return Ok(Some(Next { eid, partition }));
            }
            // A partition that is not valid UTF-8 is damaged, and its row is skipped.
            Err(damaged) => from = Some([damaged.into_bytes(), vec![0]].concat()),
        }
    }
}
