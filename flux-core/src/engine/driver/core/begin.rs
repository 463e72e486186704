//! How the code begins: as an execution that is new, that its parent has created, or whose turn has come.

use super::Core;
use super::arrivals::NewOutcome;
use crate::event::{Event, EventKind, StartedMeta};
use crate::payload::Payload;
use crate::replay::Machine;
use crate::store::{ExecutionRecord, Placement};

impl Core {
    /// The start, as the first arrival.
    pub(crate) fn begin_new(&mut self, input: Payload, placement: Placement) {
        let meta = StartedMeta {
            version: self.def.version,
            ..StartedMeta::default()
        };
        self.rewinding.input = Some(input.clone());
        self.row.placement = placement;
        self.row.created_at = self.now();
        let mut outcome = NewOutcome::without_call(EventKind::WorkflowStarted);
        outcome.name = Some(self.def.name.into());
        outcome.payload = Some(input);
        outcome.meta = Payload::encode(&meta).ok();
        outcome.not_before = Some(self.row.created_at);
        self.arrivals.push_outcome(outcome);
    }

    /// A child that its parent's commit created: its start is recorded, and no code has seen it.
    pub(crate) fn begin_born(&mut self, record: ExecutionRecord, start: Event) {
        self.row.take(record);
        self.rewinding.input.clone_from(&start.payload);
        self.limits.active.observe(&start);
        self.machine.skip_to(start.seq);
        self.arrivals.push_open(start);
        self.reckon_time();
    }

    /// An execution whose turn has come, with the event that put it into its queue: there is nothing to replay and nothing in
    /// its inbox.
    pub(crate) fn begin_in_turn(&mut self, machine: Machine, event: &Event) {
        self.rewinding.input.clone_from(&event.payload);
        self.machine = machine;
        self.machine.replay_note(event);
        self.reckon_time();
        self.begin_queued();
    }

    /// The start of an execution that has waited for its turn, unless an earlier process saw to it.
    pub(crate) fn begin_queued(&mut self) {
        if self.machine.has_begun() || !self.arrivals.is_empty() {
            return;
        }
        let mut outcome = NewOutcome::without_call(EventKind::WorkflowStarted);
        outcome.name = Some(self.def.name.into());
        // The first start counts from the claim; a later attempt's begins when it begins.
        outcome.exactly_at = self.row.rewound.is_none().then_some(self.row.created_at);
        self.arrivals.push_outcome(outcome);
    }
}
