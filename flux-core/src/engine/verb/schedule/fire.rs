//! Firing: what workers do when a schedule is due.

use std::sync::Arc;

use super::start::{Planned, about_others, plan};
use super::stored;
use crate::clock::Timestamp;
use crate::engine::driver::poke;
use crate::engine::kernel::Kernel;
use crate::error::Error;
use crate::schedule::slot_id;
use crate::store::{DueRequest, Fire, Fired, Runnable, ScheduleRecord, StoreError, Unfinished};
use crate::workflow::WorkflowDef;

/// At most this many schedules fire in one transaction. What is ready is claimed before others fire, so that many
/// schedules do not keep executions from running.
const BATCH: usize = 256;

/// A firing, and which schedule it is of.
struct Shot {
    schedule: Arc<str>,
    def: &'static WorkflowDef,
    fire: Fire,
}

/// Fires schedules that are due, the earliest first, and tells when the next one is due: that time may have come.
///
/// A schedule whose workflow is not among `code` is fired by a worker that has it.
pub(crate) async fn fire_due(
    kernel: &Arc<Kernel>,
    code: &[Runnable],
) -> Result<Option<Timestamp>, StoreError> {
    let now = kernel.clock.now();
    let found = kernel.store.due_schedules(due_by(now, code, BATCH)).await?;
    let mut shots = Vec::with_capacity(found.due.len());
    for schedule in found.due {
        if let Ok(def) = kernel.registry.newest(&schedule.workflow) {
            shots.extend(aim(kernel, def, &schedule, now).await?);
        }
    }
    if shots.is_empty() {
        return Ok(found.next);
    }
    fire(kernel, shots).await?;
    let others = kernel.store.due_schedules(due_by(now, code, 0)).await?;
    Ok(others.next)
}

fn due_by(now: Timestamp, code: &[Runnable], limit: usize) -> DueRequest {
    DueRequest {
        now,
        workflows: code.iter().map(|it| Arc::clone(&it.workflow)).collect(),
        limit,
    }
}

/// What a schedule is to start, and where it then stands.
async fn aim(
    kernel: &Kernel,
    def: &'static WorkflowDef,
    schedule: &ScheduleRecord,
    now: Timestamp,
) -> Result<Option<Shot>, StoreError> {
    let fire = match planned(kernel, def, schedule, now).await {
        Ok(fire) => fire,
        Err(Error::Store(error)) => return Err(error),
        Err(error) => {
            tracing::error!(schedule = %schedule.id, %error, "a schedule cannot fire");
            // Not again and again: at its next moment.
            Some(skip(schedule, now))
        }
    };
    Ok(fire.map(|fire| Shot {
        schedule: Arc::clone(&schedule.id),
        def,
        fire,
    }))
}

async fn fire(kernel: &Arc<Kernel>, shots: Vec<Shot>) -> Result<(), StoreError> {
    let (names, firings): (Vec<_>, Vec<_>) = shots
        .into_iter()
        .map(|shot| ((shot.schedule, shot.def), shot.fire))
        .unzip();
    let fired = kernel.store.fire(firings).await?;
    for ((schedule, def), fired) in names.iter().zip(fired) {
        announce(kernel, schedule, def, fired).await;
    }
    Ok(())
}

/// Logs what a firing has come to, and wakes those it has cancelled.
async fn announce(kernel: &Arc<Kernel>, schedule: &str, def: &WorkflowDef, fired: Fired) {
    let Fired::Done {
        started,
        skipped,
        cancelled,
    } = fired
    else {
        return;
    };
    for id in started {
        tracing::info!(target: "flux::schedule", schedule, workflow = def.name, execution_id = %id, "a schedule fired");
    }
    if skipped {
        tracing::info!(target: "flux::schedule", schedule, workflow = def.name, "a moment is skipped: an earlier execution has not finished");
    }
    for id in cancelled {
        poke(kernel, &id).await;
    }
}

async fn planned(
    kernel: &Kernel,
    def: &'static WorkflowDef,
    schedule: &ScheduleRecord,
    now: Timestamp,
) -> Result<Option<Fire>, Error> {
    let Some(stands_at) = schedule.next_at else {
        return Ok(None);
    };
    let spec = stored(schedule)?.spec;
    let due = spec.due(stands_at, now);
    let (unfinished, waits) = about_others(&spec);
    // Several missed moments run one after another.
    let waits = waits || due.fire.len() > 1;
    let mut start = Vec::with_capacity(due.fire.len());
    for slot in due.fire {
        let planned = Planned {
            id: slot_id(&schedule.id, slot),
            slot,
            due: spec.starts_at(&schedule.id, slot),
            waits,
        };
        start.push(plan(kernel, def, schedule, planned).await?);
    }
    Ok(Some(Fire {
        schedule: Arc::clone(&schedule.id),
        advance: Some((stands_at, due.next_at)),
        start,
        unfinished,
        now,
    }))
}

/// Moves a schedule on without starting anything.
fn skip(schedule: &ScheduleRecord, now: Timestamp) -> Fire {
    let next = stored(schedule)
        .ok()
        .and_then(|stored| stored.spec.next_after(now));
    Fire {
        schedule: Arc::clone(&schedule.id),
        advance: schedule.next_at.map(|stands_at| (stands_at, next)),
        start: Vec::new(),
        unfinished: Unfinished::Leave,
        now,
    }
}
