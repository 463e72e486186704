//! What a clock that is set back does to those who wait.

use std::time::Duration;

use flux_core::clock::Timestamp;
use flux_core::store::SetBack;
use rusqlite::{Connection, OptionalExtension as _, named_params};

/// Under which key the last time is written down, as `at by` in microseconds.
const KEY: &str = "clock_set_back";

/// Makes ready earlier what waits for a length of time, unless another process has noticed it before.
pub(super) fn apply(connection: &Connection, step: &SetBack) -> rusqlite::Result<()> {
    if last(connection)?.is_some_and(|earlier| step.is_the_same_as(&earlier)) {
        return Ok(());
    }
    write_down(connection, step)?;
    shift_sleepers(connection, step)?;
    shift_delayed(connection, step)
}

fn last(connection: &Connection) -> rusqlite::Result<Option<SetBack>> {
    let mut read = connection.prepare_cached("SELECT value FROM flux_meta WHERE key = ?1")?;
    let text: Option<String> = read.query_row([KEY], |row| row.get(0)).optional()?;
    // What cannot be read was not written by Flux, and says nothing.
    Ok(text.and_then(|text| {
        let (at, by) = text.split_once(' ')?;
        Some(SetBack {
            at: Timestamp::from_micros(at.parse().ok()?),
            by: Duration::from_micros(by.parse().ok()?),
            within: Duration::ZERO,
        })
    }))
}

fn write_down(connection: &Connection, step: &SetBack) -> rusqlite::Result<()> {
    const WRITE: &str = "INSERT OR REPLACE INTO flux_meta (key, value) VALUES (?1, ?2)";
    let text = format!("{} {}", step.at.as_micros(), step.by.as_micros());
    connection.prepare_cached(WRITE)?.execute((KEY, text))?;
    Ok(())
}

fn shift_sleepers(connection: &Connection, step: &SetBack) -> rusqlite::Result<()> {
    const SHIFT: &str = "UPDATE flux_executions INDEXED BY flux_executions_ready \
         SET ready_at = max(ready_at - :by, :at) WHERE ready_at IS NOT NULL AND ready_at > :at";
    let by = i64::try_from(step.by.as_micros()).unwrap_or(i64::MAX);
    connection
        .prepare(SHIFT)?
        .execute(named_params! { ":by": by, ":at": step.at.as_micros() })?;
    Ok(())
}

fn shift_delayed(connection: &Connection, step: &SetBack) -> rusqlite::Result<()> {
    const LATER: &str = "SELECT eid, delayed_to, created_at FROM flux_executions \
         INDEXED BY flux_executions_delayed WHERE delayed_to IS NOT NULL AND delayed_to > ?1 AND is_delay";
    const SHIFT: &str = "UPDATE flux_executions SET delayed_to = ?2, due = ?2 WHERE eid = ?1";
    let mut later = connection.prepare(LATER)?;
    let later = later.query_map([step.at.as_micros()], |row| {
        let delayed_to = Timestamp::from_micros(row.get(1)?);
        let created_at = Timestamp::from_micros(row.get(2)?);
        Ok((row.get::<_, i64>(0)?, delayed_to, created_at))
    })?;
    let later = later.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut shift = connection.prepare(SHIFT)?;
    for (eid, delayed_to, created_at) in later {
        if !step.is_before(created_at) {
            shift.execute((eid, step.shifted(delayed_to).as_micros()))?;
        }
    }
    Ok(())
}
