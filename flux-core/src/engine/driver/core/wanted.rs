//! Children that calls want, before they are created.

use std::collections::BTreeMap;

use super::calls::{CallWork, Child, ChildState};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;
use crate::workflow::WorkflowDef;

/// What a recorded child call asks for.
#[derive(Debug, Clone)]
pub(crate) struct WantedChild {
    pub(crate) def: &'static WorkflowDef,
    pub(crate) id: ExecutionId,
    pub(crate) input: Payload,
    pub(crate) policy: ChildPolicy,
}

/// A child that is created with the commit of this activation.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) wanted: WantedChild,
    /// Its call is gone already, or its parent's end is in the same commit: it finds an order in its inbox.
    pub(crate) is_let_go: bool,
}

/// The children of one activation by their calls.
pub(crate) type Births = BTreeMap<EventSeq, Birth>;

impl WantedChild {
    pub(crate) fn child(&self, since: Epoch, state: ChildState) -> CallWork {
        CallWork::Child(Box::new(Child {
            id: self.id.clone(),
            workflow: self.def.name,
            policy: self.policy,
            since,
            state,
        }))
    }
}
