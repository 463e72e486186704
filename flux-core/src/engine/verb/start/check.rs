//! A start, checked: what is to be begun, and where.

use super::description::{StartDescription, StartTime};
use crate::engine::Engine;
use crate::engine::kernel::refuse::invalid;
use crate::engine::placement::place::{Wishes, place};
use crate::engine::placement::stand_in::{Named, elsewhere};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::names::check_name;
use crate::payload::Payload;
use crate::store::Placement;
use crate::workflow::WorkflowDef;

/// A start whose input has been checked.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about one start"
)]
pub(super) struct CheckedStart {
    pub(super) def: &'static WorkflowDef,
    pub(super) input: Payload,
    pub(super) id: ExecutionId,
    /// Whether the caller chose the id, so that an execution of it may exist.
    pub(super) is_named: bool,
    pub(super) placement: Placement,
    /// Whether it waits for a worker; otherwise it is driven at once.
    pub(super) is_queued: bool,
    /// Whether it is a worker's to drive, and never this start's.
    pub(super) is_for_worker: bool,
    pub(super) refuses_duplicate: bool,
    /// Whether it stands for an execution that another start began, perhaps with another input.
    pub(super) is_other: bool,
    /// Whether the input could not be compared with the type that the workflow takes.
    pub(super) is_unchecked: bool,
}

/// Checks a start: its input, its id, and where it belongs.
pub(super) async fn prepare(
    description: StartDescription,
    what: &str,
) -> Result<(Engine, CheckedStart), Error> {
    let StartDescription {
        engine,
        workflow,
        input,
        id,
        queue,
        priority,
        due,
        dedup,
        refuses_duplicate,
        is_for_worker,
    } = description;
    let name = workflow.name();
    let engine = engine
        .for_change(&format!("{name}.{what}"), &cure(&workflow))
        .await?;
    let what = || format!("input of workflow `{name}`");
    let input = input.map_err(|error| invalid(what(), error))?;
    engine.kernel().check_size(&input, what)?;
    let def = match &workflow {
        Named::Code(def) => def,
        Named::Name(name) => elsewhere(engine.kernel(), name).await?,
    };
    // Refused before anything is written: what does not survive its own round trip.
    (def.reencode)(&input).map_err(|error| invalid(what(), error))?;
    let is_named = id.is_some();
    let id = id.unwrap_or_else(ExecutionId::mint);
    check_id(&id)?;
    let now = engine.now();
    let wishes = Wishes {
        queue: queue.map(Into::into),
        priority,
        due: match due {
            StartTime::Now => None,
            StartTime::After(delay) => Some(now.after(delay)),
            StartTime::At(moment) => Some(moment),
        },
        is_delay: matches!(due, StartTime::After(_)),
        dedup: dedup.map(Into::into),
    };
    let placement = place(engine.kernel(), def, &input, wishes).await?;
    let is_queued =
        is_for_worker || placement.queue.is_some() || placement.due.is_some_and(|due| due > now);
    let request = CheckedStart {
        def,
        input,
        id,
        is_named,
        placement,
        is_queued,
        is_for_worker,
        refuses_duplicate,
        is_other: false,
        is_unchecked: matches!(workflow, Named::Name(_)),
    };
    Ok((engine, request))
}

/// What to do inside a workflow instead.
fn cure(workflow: &Named) -> String {
    match workflow {
        Named::Code(def) => format!("use `{}.call(..)`, which is recorded", def.name),
        Named::Name(_) => "start it in a task or a `flux::step`".to_owned(),
    }
}

impl CheckedStart {
    /// Whether it waits where no more like it may run: beyond the limit of its workflow, or for the lock that it takes.
    pub(super) fn waits_at_its_gate(&self) -> bool {
        let gate = self.placement.gate.as_ref();
        gate.is_some_and(|gate| !gate.refuses)
    }

    /// Whether it waits for others, with no worker to see to it.
    pub(super) fn has_to_begin_in_turn(&self) -> bool {
        self.is_queued && !self.is_for_worker && self.placement.queue.is_none()
    }

    /// The execution that is there already is what the caller gets.
    pub(super) fn take_instead(&mut self, id: ExecutionId) {
        self.id = id;
        self.is_named = true;
        self.is_other = true;
    }
}

/// Ids are typed, logged and put into paths of web pages.
fn check_id(id: &ExecutionId) -> Result<(), Error> {
    check_name("execution id", Some(id.as_str()))
}
