//! What keeps a pending execution from starting: a limit of its queue, or a full gate.

use std::sync::Arc;

use flux_core::clock::Timestamp;
use flux_core::id::ExecutionKey;
use flux_core::store::{Barrier, Gate};
use rusqlite::{Connection, OptionalExtension as _};

use super::gate;
use crate::sqlite::table::queue;
use crate::sqlite::table::row;

pub(crate) fn read(
    connection: &Connection,
    key: ExecutionKey,
    now: Timestamp,
) -> rusqlite::Result<Option<Barrier>> {
    const PENDING: &str = "SELECT queue, gate, gate_limit FROM flux_executions WHERE eid = ?1 \
         AND status = 1 AND owner IS NULL AND (due IS NULL OR due <= ?2)";
    let mut pending = connection.prepare_cached(PENDING)?;
    let pending = pending.query_row((key.0, now.as_micros()), |row| {
        let queue = row::shared(row, 0)?;
        let limit: Option<u32> = row.get(2)?;
        let gate = row::shared(row, 1)?.map(|key| Gate {
            key,
            limit: limit.unwrap_or(1),
            refuses: false,
        });
        Ok((queue, gate))
    });
    let Some((queue, gate)) = pending.optional()? else {
        return Ok(None);
    };
    if let Some(queue) = queue
        && let Some(barrier) = before_queue(connection, queue, now)?
    {
        return Ok(Some(barrier));
    }
    match gate {
        Some(gate) => before_gate(connection, gate),
        None => Ok(None),
    }
}

fn before_queue(
    connection: &Connection,
    queue: Arc<str>,
    now: Timestamp,
) -> rusqlite::Result<Option<Barrier>> {
    let settings = queue::read(connection, &queue)?.settings;
    if settings.is_paused {
        return Ok(Some(Barrier::QueuePaused { queue }));
    }
    if let Some(limit) = settings.concurrency
        && queue::running(connection, &queue, limit)? >= limit
    {
        return Ok(Some(Barrier::QueueFull { queue, limit }));
    }
    let allowance = queue::allowance(connection, &queue, settings.rate, now)?;
    let rate = settings.rate.filter(|_| allowance.left == 0);
    Ok(rate.map(|rate| Barrier::QueueRate { queue, rate }))
}

fn before_gate(connection: &Connection, gate: Gate) -> rusqlite::Result<Option<Barrier>> {
    if gate::room(connection, &gate)? > 0 {
        return Ok(None);
    }
    let holder = gate::oldest_inside(connection, &gate.key)?;
    Ok(holder.map(|holder| Barrier::GateFull {
        gate: gate.key,
        limit: gate.limit,
        holder,
    }))
}
