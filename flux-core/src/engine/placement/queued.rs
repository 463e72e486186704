//! The row and the first event of an execution that waits for its turn.

use crate::clock::Timestamp;
use crate::event::{Event, EventKind, StartedMeta};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;
use crate::store::{NewExecution, Placement};
use crate::workflow::WorkflowDef;

/// The input of an execution that waits for its turn.
pub(crate) struct QueuedInput {
    pub(crate) value: Payload,
    /// Nobody has compared it with the type that the workflow takes: if it does not fit, that is no change of the code.
    pub(crate) is_unchecked: bool,
}

/// The row and the first event of an execution that waits for a worker.
pub(crate) fn queued_start(
    def: &WorkflowDef,
    id: ExecutionId,
    input: QueuedInput,
    placement: Placement,
    parent: Option<(ExecutionId, ChildPolicy)>,
    now: Timestamp,
) -> (NewExecution, Event) {
    let (parent, policy) = parent.unzip();
    let meta = StartedMeta {
        version: def.version,
        parent: parent.as_ref().map(|parent| parent.as_str().into()),
        queue: placement.queue.clone(),
        due: placement.due,
        when_parent_ends: policy.unwrap_or_default(),
        unchecked: input.is_unchecked,
    };
    let event = Event {
        seq: EventSeq::FIRST,
        at: now,
        kind: EventKind::WorkflowQueued,
        refers: None,
        name: Some(def.name.into()),
        payload: Some(input.value),
        meta: Payload::encode(&meta).ok(),
    };
    let new = NewExecution {
        id,
        workflow: def.name.into(),
        version: def.version,
        created_at: now,
        parent,
        owner: None,
        placement,
    };
    (new, event)
}
