//! The schedules that `#[workflow(schedule = "..")]` declares.

use std::collections::BTreeSet;

use super::{Stored, put, stored};
use crate::engine::Engine;
use crate::engine::kernel::refuse::invalid;
use crate::error::Error;
use crate::schedule::ScheduleSpec;
use crate::store::ScheduleRecord;
use crate::workflow::WorkflowDef;

/// Writes down what the code declares, and removes what it no longer does.
pub(crate) async fn declare(engine: &Engine) -> Result<(), Error> {
    let mut declared = BTreeSet::new();
    let defs = engine.kernel().registry.all_newest();
    for def in &defs {
        for (place, when) in def.options.schedules.iter().enumerate() {
            let id = id_of(def, place);
            write(engine, def, &id, when).await?;
            declared.insert(id);
        }
    }
    for schedule in engine.kernel().store.schedules().await? {
        let is_ours = defs.iter().any(|def| *schedule.workflow == *def.name);
        if is_ours && is_declared(&schedule) && !declared.contains(&*schedule.id) {
            engine.kernel().store.delete_schedule(&schedule.id).await?;
        }
    }
    Ok(())
}

/// The first is named like its workflow.
fn id_of(def: &WorkflowDef, place: usize) -> String {
    match place {
        0 => def.name.to_owned(),
        place => format!("{}#{}", def.name, place + 1),
    }
}

fn is_declared(schedule: &ScheduleRecord) -> bool {
    stored(schedule).is_ok_and(|stored| stored.is_declared)
}

async fn write(engine: &Engine, def: &WorkflowDef, id: &str, when: &str) -> Result<(), Error> {
    let input = match def.default_input {
        Some(make) => make()
            .map_err(|error| invalid(format!("default input of workflow `{}`", def.name), error))?,
        None => crate::payload::Payload::null(),
    };
    let spec =
        ScheduleSpec::parse(when).map_err(|error| super::bad_schedule(id, &error.to_string()))?;
    let stored = Stored {
        spec,
        is_declared: true,
    };
    put(engine, id, def.name, input, &stored).await.map(drop)
}
