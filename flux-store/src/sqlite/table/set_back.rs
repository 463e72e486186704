//! What a clock that is set back does to those who wait.

use std::time::Duration;

use flux_core::clock::Timestamp;
use flux_core::id::{Epoch, ExecutionKey};
use flux_core::store::{Correction, LastSetBack, SetBack, is_to_come};
use rusqlite::{Connection, OptionalExtension as _, named_params};

/// Under which key the last time is written down, as `at by` in microseconds, and `guess` where it is one.
const LAST: &str = "clock_set_back";

/// Under which key the latest time is written down at which anything was put to sleep or delayed, in microseconds.
const LATEST: &str = "last_sleep";

/// That is written down again only when it is later by this.
const OFTEN: Duration = Duration::from_secs(1);

/// Makes ready earlier what waits for a length of time, unless another process has noticed it before.
pub(crate) fn apply(connection: &Connection, step: &SetBack) -> rusqlite::Result<()> {
    lower_latest(connection, step.at)?;
    let rest = last(connection)?.map_or(Some(*step), |last| last.rest_of(*step));
    let Some(rest) = rest else {
        return Ok(());
    };
    let seen = LastSetBack {
        step: *step,
        is_guess: false,
    };
    write_down(connection, &seen)?;
    shift_sleepers(connection, &rest)?;
    shift_delayed(connection, &rest, |created_at| !rest.is_before(created_at))
}

/// Whether anything was put to sleep at a time that is to come.
pub(crate) fn is_behind(connection: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    Ok(latest(connection)?.is_some_and(|latest| is_to_come(latest, now)))
}

/// Does the same where nobody has told of it, and the latest sleep began at a time that is to come. Returns the last time it
/// was set back.
pub(crate) fn compare(
    connection: &Connection,
    now: Timestamp,
) -> rusqlite::Result<Option<LastSetBack>> {
    let (latest, last) = (latest(connection)?, last(connection)?);
    let Some(latest) = latest.filter(|latest| is_to_come(*latest, now)) else {
        return Ok(last);
    };
    lower_latest(connection, now)?;
    let Some(step) = SetBack::guess(latest, now, last.as_ref()) else {
        return Ok(last);
    };
    let guess = LastSetBack {
        step,
        is_guess: true,
    };
    write_down(connection, &guess)?;
    shift_sleepers(connection, &step)?;
    shift_delayed(connection, &step, |created_at| is_to_come(created_at, now))?;
    Ok(Some(guess))
}

/// Notes that something is put to sleep or delayed for a length of time, which was reckoned at this time.
pub(crate) fn note_sleep(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    if latest(connection)?.is_none_or(|latest| at > latest.after(OFTEN)) {
        write(connection, LATEST, &at.as_micros().to_string())?;
    }
    Ok(())
}

/// Makes an execution ready at another time, which was reckoned wrongly.
pub(crate) fn correct(
    connection: &Connection,
    key: ExecutionKey,
    epoch: Epoch,
    correction: Correction,
) -> rusqlite::Result<()> {
    const CORRECT: &str = "UPDATE flux_executions SET ready_at = ?4 \
         WHERE eid = ?1 AND epoch = ?2 AND ready_at = ?3 AND owner IS NULL";
    let Correction { wrong, right, now } = correction;
    lower_latest(connection, now)?;
    let values = (key.0, epoch.0, wrong.as_micros(), right.as_micros());
    connection.prepare_cached(CORRECT)?.execute(values)?;
    Ok(())
}

fn read(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let mut read = connection.prepare_cached("SELECT value FROM flux_meta WHERE key = ?1")?;
    read.query_row([key], |row| row.get(0)).optional()
}

fn write(connection: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    const WRITE: &str = "INSERT OR REPLACE INTO flux_meta (key, value) VALUES (?1, ?2)";
    connection.prepare_cached(WRITE)?.execute((key, value))?;
    Ok(())
}

/// The last time it was set back.
pub(crate) fn last(connection: &Connection) -> rusqlite::Result<Option<LastSetBack>> {
    // What cannot be read was not written by Flux, and says nothing.
    Ok(read(connection, LAST)?.and_then(|text| {
        let mut words = text.split(' ');
        let step = SetBack {
            at: Timestamp::from_micros(words.next()?.parse().ok()?),
            by: Duration::from_micros(words.next()?.parse().ok()?),
            within: Duration::ZERO,
        };
        let is_guess = words.next().is_some();
        Some(LastSetBack { step, is_guess })
    }))
}

fn write_down(connection: &Connection, last: &LastSetBack) -> rusqlite::Result<()> {
    let LastSetBack { step, is_guess } = last;
    let guess = if *is_guess { " guess" } else { "" };
    let text = format!("{} {}{guess}", step.at.as_micros(), step.by.as_micros());
    write(connection, LAST, &text)
}

fn latest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let micros = read(connection, LATEST)?.and_then(|text| text.parse().ok());
    Ok(micros.map(Timestamp::from_micros))
}

/// What was put to sleep before has been seen to.
fn lower_latest(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    if latest(connection)?.is_some_and(|latest| latest > now) {
        write(connection, LATEST, &now.as_micros().to_string())?;
    }
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

fn shift_delayed(
    connection: &Connection,
    step: &SetBack,
    is_of_before: impl Fn(Timestamp) -> bool,
) -> rusqlite::Result<()> {
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
        if is_of_before(created_at) {
            shift.execute((eid, step.shifted(delayed_to).as_micros()))?;
        }
    }
    Ok(())
}
