//! Execution rows: created, changed, claimed, released.

use flux_core::clock::Timestamp;
use flux_core::event::FORMAT;
use flux_core::execution::Status;
use flux_core::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use flux_core::payload::Payload;
use flux_core::store::{Change, ExecutionRecord, NewExecution, Owned, Placement, Release};
use rusqlite::{Connection, OptionalExtension as _, ToSql, named_params};

use super::history;
use super::inbox;
use super::line::{self, LineColumns};
use super::row::{self, EXECUTION, event_key};
use super::set_back;
use crate::sqlite::claim::gate;

/// What a commit has to agree with.
pub(crate) struct Standing {
    pub(crate) epoch: Epoch,
    pub(crate) last: Option<EventSeq>,
}

/// Reads the epoch and the last event's number: two seeks on pages that the commit needs anyway.
pub(crate) fn standing(
    connection: &Connection,
    key: ExecutionKey,
) -> rusqlite::Result<Option<Standing>> {
    const STANDING: &str = "SELECT epoch, (SELECT max(key) FROM flux_events WHERE key BETWEEN ?2 AND ?3) \
         FROM flux_executions WHERE eid = ?1";
    let mut select = connection.prepare_cached(STANDING)?;
    let bounds = (key.0, event_key(key, 0), history::end_of(key));
    let standing = select.query_row(bounds, |row| {
        let last: Option<i64> = row.get(1)?;
        Ok(Standing {
            epoch: Epoch(row.get(0)?),
            last: last.map(row::seq_of),
        })
    });
    standing.optional()
}

/// Whether an execution of this id exists that is a child of that one.
pub(crate) fn is_child(
    connection: &Connection,
    id: &ExecutionId,
    parent: ExecutionKey,
) -> rusqlite::Result<bool> {
    const IS_CHILD: &str = "SELECT 1 FROM flux_executions WHERE id = ?1 \
         AND parent = (SELECT id FROM flux_executions WHERE eid = ?2)";
    let mut is_child = connection.prepare_cached(IS_CHILD)?;
    is_child.exists((id.as_str(), parent.0))
}

/// Whether an execution of this id exists.
pub(crate) fn exists(connection: &Connection, id: &ExecutionId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM flux_executions WHERE id = ?1")?
        .exists([id.as_str()])
}

/// Creates a row and returns its key. What is bound to nothing is written as if there were nothing to be bound to.
pub(crate) fn create(
    connection: &Connection,
    new: &NewExecution,
) -> rusqlite::Result<ExecutionKey> {
    const CREATE: &str = "INSERT INTO flux_executions \
         (id, workflow, version, format, status, attempt, created_at, parent, base, owner, epoch, started_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, 1, ?8, 1, ?6)";
    let Some(owner) = new.owner.filter(|_| new.placement == Placement::default()) else {
        return create_placed(connection, new);
    };
    connection.prepare_cached(CREATE)?.execute((
        new.id.as_str(),
        &*new.workflow,
        new.version,
        FORMAT,
        Status::Running.code(),
        new.created_at.as_micros(),
        new.parent.as_ref().map(ExecutionId::as_str),
        owner.0,
    ))?;
    Ok(ExecutionKey(connection.last_insert_rowid()))
}

fn create_placed(connection: &Connection, new: &NewExecution) -> rusqlite::Result<ExecutionKey> {
    const CREATE: &str = "INSERT INTO flux_executions \
         (id, workflow, version, format, status, attempt, created_at, parent, base, owner, epoch, started_at, \
         queue, partition, priority, due, is_delay, gate, gate_limit, gate_refuses, dedup, schedule, \
         scheduled_at, tags, delayed_to, rank, gate_state) \
         VALUES (:id, :workflow, :version, :format, :status, 1, :created_at, :parent, 1, :owner, 1, :started_at, \
         :queue, :partition, :priority, :due, :is_delay, :gate, :gate_limit, :gate_refuses, :dedup, :schedule, \
         :scheduled_at, :tags, :delayed_to, :rank, :gate_state)";
    let Placement {
        queue,
        partition,
        priority,
        due,
        is_delay,
        gate,
        dedup,
        schedule,
        scheduled_at,
        tags,
    } = &new.placement;
    let LineColumns {
        delayed_to,
        rank,
        gate_state,
    } = line::place_of_new(connection, new)?;
    let status = match new.owner {
        Some(_) => Status::Running,
        None => Status::Pending,
    };
    if *is_delay {
        set_back::note_sleep(connection, new.created_at)?;
    }
    let created_at = new.created_at.as_micros();
    connection.prepare_cached(CREATE)?.execute(named_params! {
        ":id": new.id.as_str(), ":workflow": new.workflow, ":version": new.version, ":format": FORMAT,
        ":status": status.code(), ":created_at": created_at,
        ":parent": new.parent.as_ref().map(ExecutionId::as_str),
        ":owner": new.owner.map(|owner| owner.0),
        ":started_at": new.owner.map(|_| created_at),
        ":queue": queue, ":partition": partition, ":priority": priority,
        ":due": due.map(Timestamp::as_micros), ":is_delay": is_delay.then_some(true),
        ":gate": gate.as_ref().map(|gate| &gate.key),
        ":gate_limit": gate.as_ref().map(|gate| gate.limit),
        ":gate_refuses": gate.as_ref().map(|gate| gate.refuses),
        ":dedup": dedup, ":schedule": schedule,
        ":scheduled_at": scheduled_at.map(Timestamp::as_micros),
        ":tags": row::tags_as_json(tags),
        ":delayed_to": delayed_to, ":rank": rank, ":gate_state": gate_state,
    })?;
    let key = ExecutionKey(connection.last_insert_rowid());
    for tag in tags {
        connection
            .prepare_cached("INSERT OR IGNORE INTO flux_tags (tag, eid) VALUES (?1, ?2)")?
            .execute((tag, key.0))?;
    }
    Ok(key)
}

/// What a change has to know of the row before it.
struct Before {
    status: Status,
    wake_at: Option<i64>,
    ready_at: Option<i64>,
    is_held: bool,
    has_obstacle: bool,
    has_dedup: bool,
    gate: Option<String>,
    gate_state: Option<i64>,
}

impl Before {
    fn read(connection: &Connection, key: ExecutionKey) -> rusqlite::Result<Self> {
        const READ: &str = "SELECT status, wake_at, ready_at, hold IS NOT NULL, dedup IS NOT NULL, gate, \
             gate_state, obstacle IS NOT NULL FROM flux_executions WHERE eid = ?1";
        let mut before = connection.prepare_cached(READ)?;
        before.query_row([key.0], |row| {
            Ok(Self {
                status: row::status(row, 0, key)?,
                wake_at: row.get(1)?,
                ready_at: row.get(2)?,
                is_held: row.get(3)?,
                has_dedup: row.get(4)?,
                gate: row.get(5)?,
                gate_state: row.get(6)?,
                has_obstacle: row.get(7)?,
            })
        })
    }
}

/// Changes a row. Indexed columns that stay as they are are left out, and so are their indexes.
pub(crate) fn change(
    connection: &Connection,
    key: ExecutionKey,
    change: &Change,
) -> rusqlite::Result<()> {
    let before = Before::read(connection, key)?;
    let is_finished = change.status.is_finished();
    let mut update = String::from(
        "UPDATE flux_executions SET attempt = :attempt, finished_at = :finished_at, waiting = :waiting, \
         base = :base, rewound = :rewound",
    );
    let mut values: Vec<(&str, &dyn ToSql)> = Vec::with_capacity(13);
    let finished_at = change.finished_at.map(Timestamp::as_micros);
    let waiting = change.waiting.as_ref().map(Payload::as_str);
    let (base, rewound) = (change.base.get(), change.rewound.map(EventSeq::get));
    values.extend_from_slice(named_params! {
        ":eid": key.0, ":attempt": change.attempt, ":finished_at": finished_at, ":waiting": waiting,
        ":base": base, ":rewound": rewound,
    });
    let status = change.status.code();
    if change.status != before.status {
        update.push_str(", status = :status");
        values.push((":status", &status));
    }
    let wake_at = change.wake_at.map(Timestamp::as_micros);
    if wake_at != before.wake_at {
        update.push_str(", wake_at = :wake_at");
        values.push((":wake_at", &wake_at));
    }
    let ready_at = ready_after(connection, key, change, &before)?;
    if ready_at != before.ready_at {
        update.push_str(", ready_at = :ready_at");
        values.push((":ready_at", &ready_at));
    }
    let hold = change.hold.as_ref().filter(|_| !is_finished);
    if hold.is_some() || before.is_held {
        update.push_str(", hold = :hold");
        values.push((":hold", &hold));
    }
    let obstacle = change.obstacle.as_ref().filter(|_| !is_finished);
    let obstacle = obstacle.map(Payload::as_str);
    if obstacle.is_some() || before.has_obstacle {
        update.push_str(", obstacle = :obstacle");
        values.push((":obstacle", &obstacle));
    }
    if is_finished && before.has_dedup {
        update.push_str(", dedup = NULL");
    }
    if before.status == Status::Pending && change.status != Status::Pending {
        update.push_str(", delayed_to = NULL, rank = NULL");
    }
    let gate_state = match change.status {
        Status::Pending => before.gate_state,
        Status::Running | Status::Paused => before.gate.as_ref().map(|_| gate::INSIDE),
        _ => None,
    };
    if gate_state != before.gate_state {
        update.push_str(", gate_state = :gate_state");
        values.push((":gate_state", &gate_state));
    }
    if change.release.is_some() {
        update.push_str(", owner = NULL");
    }
    update.push_str(" WHERE eid = :eid");
    connection.prepare_cached(&update)?.execute(&*values)?;
    if is_finished {
        inbox::drop_commands(connection, key)?;
    }
    if change.release.is_some() && change.status == Status::Pending {
        line::enter_again(connection, key)?;
    }
    match &before.gate {
        Some(gate) if gate_state != before.gate_state => gate::settle(connection, gate),
        _ => Ok(()),
    }
}

/// When a worker is to take it up after a change.
fn ready_after(
    connection: &Connection,
    key: ExecutionKey,
    change: &Change,
    before: &Before,
) -> rusqlite::Result<Option<i64>> {
    let (Status::Running | Status::Paused) = change.status else {
        return Ok(None);
    };
    let Some(release) = change.release else {
        return Ok(before.ready_at);
    };
    let Release {
        ready_at,
        reckoned_at,
        seen,
    } = release;
    if let Some(at) = reckoned_at.filter(|_| ready_at.is_some()) {
        set_back::note_sleep(connection, at)?;
    }
    let unseen = inbox::first_after(connection, key, seen, change.hold.is_some())?;
    let ready_at = ready_at.into_iter().chain(unseen).min();
    Ok(ready_at.map(Timestamp::as_micros))
}

/// Reads one row.
pub(crate) fn find(
    connection: &Connection,
    id: &ExecutionId,
) -> rusqlite::Result<Option<ExecutionRecord>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {EXECUTION} FROM flux_executions WHERE id = ?1"
    ))?;
    select.query_row([id.as_str()], row::execution).optional()
}

/// Makes `worker` the owner under a new epoch, whatever the status, and takes the execution off hold.
pub(crate) fn claim(
    connection: &Connection,
    record: &mut ExecutionRecord,
    worker: WorkerId,
) -> rusqlite::Result<()> {
    const CLAIM: &str = "UPDATE flux_executions SET owner = ?2, epoch = ?3, hold = NULL, takeovers = NULL, \
         takeover_last = NULL WHERE eid = ?1";
    const WAKE: &str =
        "UPDATE flux_executions SET ready_at = NULL WHERE eid = ?1 AND ready_at IS NOT NULL";
    record.taken_from = record.owner.replace(worker);
    record.epoch = Epoch(record.epoch.0 + 1);
    record.hold = None;
    let mut claim = connection.prepare_cached(CLAIM)?;
    claim.execute((record.key.0, worker.0, record.epoch.0))?;
    if record.status == Status::Pending {
        return line::step_out(connection, record.key);
    }
    if record.ready_at.take().is_some() {
        connection.prepare_cached(WAKE)?.execute([record.key.0])?;
    }
    Ok(())
}

/// What `worker` owns and has not finished.
pub(crate) fn owned_by(connection: &Connection, worker: WorkerId) -> rusqlite::Result<Vec<Owned>> {
    const OWNED: &str = "SELECT eid, id, epoch FROM flux_executions INDEXED BY flux_executions_by_owner \
         WHERE owner = ?1 AND owner IS NOT NULL AND status < 4";
    let owned = |row: &rusqlite::Row<'_>| {
        Ok(Owned {
            key: ExecutionKey(row.get(0)?),
            id: ExecutionId::from(row.get::<_, String>(1)?),
            epoch: Epoch(row.get(2)?),
        })
    };
    connection
        .prepare_cached(OWNED)?
        .query_map([worker.0], owned)?
        .collect()
}

/// Keeps what kept an execution from continuing, if `epoch` is the present one.
pub(crate) fn note_obstacle(
    connection: &Connection,
    key: ExecutionKey,
    epoch: Epoch,
    obstacle: &Payload,
) -> rusqlite::Result<()> {
    const NOTE: &str =
        "UPDATE flux_executions SET obstacle = ?3 WHERE eid = ?1 AND epoch = ?2 AND status < 4";
    let mut note = connection.prepare_cached(NOTE)?;
    note.execute((key.0, epoch.0, obstacle.as_str())).map(drop)
}

/// Takes the owner away, if `epoch` is the present one.
pub(crate) fn release(
    connection: &Connection,
    key: ExecutionKey,
    epoch: Epoch,
    ready_at: Option<Timestamp>,
) -> rusqlite::Result<()> {
    const RELEASE: &str = "UPDATE flux_executions SET owner = NULL, \
         ready_at = CASE WHEN status IN (2, 3) THEN ?3 END \
         WHERE eid = ?1 AND epoch = ?2 AND owner IS NOT NULL RETURNING status";
    let mut release = connection.prepare_cached(RELEASE)?;
    let values = (key.0, epoch.0, ready_at.map(Timestamp::as_micros));
    let status = release.query_row(values, |row| row::status(row, 0, key));
    match status.optional()? {
        Some(Status::Pending) => line::enter_again(connection, key),
        _ => Ok(()),
    }
}
