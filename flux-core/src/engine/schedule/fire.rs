//! Firing: what workers do when a schedule is due.

use std::sync::Arc;

use super::start::{Planned, about_others, plan};
use super::stored;
use crate::clock::Timestamp;
use crate::engine::Inner;
use crate::error::Error;
use crate::schedule::slot_id;
use crate::store::{Fire, Fired, ScheduleRecord, StoreError};
use crate::workflow::WorkflowDef;

/// Fires what is due; when the next is.
pub(in crate::engine) async fn fire_due(
    engine: &Arc<Inner>,
) -> Result<Option<Timestamp>, StoreError> {
    let now = engine.clock.now();
    let next = engine.store.next_fire().await?;
    if next.is_none_or(|next| next > now) {
        return Ok(next);
    }
    for schedule in engine.store.schedules(Some(now)).await? {
        // One whose workflow is not registered here is fired by a worker that has it.
        if let Ok(def) = engine.registry.newest(&schedule.workflow) {
            fire(engine, def, schedule, now).await?;
        }
    }
    next_of_ours(engine).await
}

/// When the next schedule is due that this program has the workflow of.
async fn next_of_ours(engine: &Inner) -> Result<Option<Timestamp>, StoreError> {
    let schedules = engine.store.schedules(None).await?;
    let ours = schedules.into_iter().filter(|schedule| {
        !schedule.is_paused && engine.registry.newest(&schedule.workflow).is_ok()
    });
    Ok(ours.filter_map(|schedule| schedule.next_at).min())
}

async fn fire(
    engine: &Arc<Inner>,
    def: &'static WorkflowDef,
    schedule: ScheduleRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fired = match planned(engine, def, &schedule, now).await {
        Ok(Some(fire)) => engine.store.fire(fire).await?,
        Ok(None) => return Ok(()),
        Err(Error::Store(error)) => return Err(error),
        Err(error) => {
            tracing::error!(schedule = %schedule.id, %error, "a schedule cannot fire");
            // Not again and again: at its next moment.
            skip(engine, &schedule, now).await?
        }
    };
    if let Fired::Done {
        started,
        skipped,
        cancelled,
    } = fired
    {
        for id in started {
            tracing::info!(target: "flux::schedule", schedule = %schedule.id, workflow = def.name, execution_id = %id, "a schedule fired");
        }
        if skipped {
            tracing::info!(target: "flux::schedule", schedule = %schedule.id, workflow = def.name, "a moment is skipped: an earlier execution has not finished");
        }
        for id in cancelled {
            engine.poke(&id).await;
        }
    }
    Ok(())
}

async fn planned(
    engine: &Inner,
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
        start.push(plan(engine, def, schedule, planned).await?);
    }
    Ok(Some(Fire {
        schedule: Arc::clone(&schedule.id),
        advance: Some((stands_at, due.next_at)),
        start,
        unfinished,
        now,
    }))
}

async fn skip(
    engine: &Inner,
    schedule: &ScheduleRecord,
    now: Timestamp,
) -> Result<Fired, StoreError> {
    let next = stored(schedule)
        .ok()
        .and_then(|stored| stored.spec.next_after(now));
    let fire = Fire {
        schedule: Arc::clone(&schedule.id),
        advance: schedule.next_at.map(|stands_at| (stands_at, next)),
        start: Vec::new(),
        unfinished: crate::store::Unfinished::Leave,
        now,
    };
    engine.store.fire(fire).await
}
