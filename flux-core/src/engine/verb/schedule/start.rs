//! The executions that a schedule starts.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::placement::place::{Wishes, place};
use crate::engine::placement::queued::{QueuedInput, queued_start};
use crate::error::Error;
use crate::event::Event;
use crate::id::ExecutionId;
use crate::schedule::{Overlap, ScheduleSpec};
use crate::store::{Gate, NewExecution, ScheduleRecord, Unfinished};
use crate::workflow::WorkflowDef;

/// One execution of a schedule, before it is written.
pub(super) struct Planned {
    pub(super) id: ExecutionId,
    /// The moment it stands for.
    pub(super) slot: Timestamp,
    /// It does not start before.
    pub(super) due: Timestamp,
    /// Whether it waits for the others of its schedule to finish.
    pub(super) waits: bool,
}

/// The row and the first event of an execution that a schedule starts.
pub(super) async fn plan(
    kernel: &Kernel,
    def: &'static WorkflowDef,
    schedule: &ScheduleRecord,
    planned: Planned,
) -> Result<(NewExecution, Event), Error> {
    let wishes = Wishes {
        due: Some(planned.due),
        ..Wishes::default()
    };
    let mut placement = place(kernel, def, &schedule.input, wishes).await?;
    placement.schedule = Some(Arc::clone(&schedule.id));
    placement.scheduled_at = Some(planned.slot);
    // A limit of the workflow's own is as good: one execution cannot wait at two gates.
    if planned.waits && placement.gate.is_none() {
        placement.gate = Some(Gate {
            key: format!("schedule:{}", schedule.id).into(),
            limit: 1,
            refuses: false,
        });
    }
    let now = kernel.clock.now();
    let input = QueuedInput {
        value: schedule.input.clone(),
        // The code may have changed since the schedule was written, or not have been there.
        is_unchecked: true,
    };
    Ok(queued_start(def, planned.id, input, placement, None, now))
}

/// What a firing does about earlier executions, and whether its own wait for them.
pub(super) fn about_others(spec: &ScheduleSpec) -> (Unfinished, bool) {
    match spec.overlap {
        Overlap::Skip => (Unfinished::Skip, false),
        Overlap::Allow => (Unfinished::Leave, false),
        Overlap::Queue => (Unfinished::Leave, true),
        Overlap::CancelRunning => (Unfinished::Cancel, true),
    }
}
