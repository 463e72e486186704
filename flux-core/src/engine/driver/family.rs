//! The children that an execution waits for: where each stands, and which are at work here.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::ChildPolicy;
use crate::engine::active::DriverGuard;
use crate::execution::PausePoint;
use crate::id::{Epoch, EventSeq, ExecutionId};

/// A child that has not ended, or whose end has not been delivered.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) id: ExecutionId,
    pub(super) workflow: &'static str,
    pub(super) policy: ChildPolicy,
    /// The epoch under which it began, or was last taken up: an end under an earlier one is of an earlier beginning,
    /// which this execution has heard of already.
    pub(super) since: Epoch,
    pub(super) state: ChildState,
}

#[derive(Debug)]
pub(super) enum ChildState {
    /// It is created with the next commit.
    Unborn,
    /// This execution set it to work, in this process.
    Driven(DriverGuard),
    /// Others drive it: its last word will come into the inbox.
    Elsewhere,
    /// It waits for a `resume`.
    Paused(Vec<PausePoint>),
    /// It sleeps, and a worker wakes it.
    Asleep,
    /// It exists, and is not set to work before this execution itself goes on.
    Deferred,
    /// It has ended, and its outcome is about to be delivered.
    Ended,
}

impl ChildState {
    fn is_here(&self) -> bool {
        matches!(self, Self::Unborn | Self::Driven(_) | Self::Ended)
    }
}

/// All of them, by the call that each answers. Nothing here takes longer with more children but what is about all of
/// them.
#[derive(Debug, Default)]
pub(super) struct Family {
    by_call: BTreeMap<EventSeq, Child>,
    by_id: BTreeMap<ExecutionId, BTreeSet<EventSeq>>,
    /// Those that are at work in this process, or whose end is about to be delivered.
    here: BTreeSet<EventSeq>,
    paused: BTreeSet<EventSeq>,
}

impl Family {
    pub(super) fn insert(&mut self, call: EventSeq, child: Child) {
        drop(self.remove(call));
        self.note(call, &child.state);
        let calls = self.by_id.entry(child.id.clone()).or_default();
        calls.insert(call);
        self.by_call.insert(call, child);
    }

    pub(super) fn remove(&mut self, call: EventSeq) -> Option<Child> {
        let child = self.by_call.remove(&call)?;
        self.here.remove(&call);
        self.paused.remove(&call);
        if let Some(calls) = self.by_id.get_mut(&child.id) {
            calls.remove(&call);
            if calls.is_empty() {
                self.by_id.remove(&child.id);
            }
        }
        Some(child)
    }

    pub(super) fn get(&self, call: EventSeq) -> Option<&Child> {
        self.by_call.get(&call)
    }

    /// Changes where a child stands, if its call still waits.
    pub(super) fn set(&mut self, call: EventSeq, state: ChildState) {
        if let Some(child) = self.by_call.get_mut(&call) {
            child.state = state;
            let child = &self.by_call[&call];
            Self::note_in(&mut self.here, &mut self.paused, call, &child.state);
        }
    }

    fn note(&mut self, call: EventSeq, state: &ChildState) {
        Self::note_in(&mut self.here, &mut self.paused, call, state);
    }

    fn note_in(
        here: &mut BTreeSet<EventSeq>,
        paused: &mut BTreeSet<EventSeq>,
        call: EventSeq,
        state: &ChildState,
    ) {
        here.remove(&call);
        paused.remove(&call);
        if state.is_here() {
            here.insert(call);
        }
        if matches!(state, ChildState::Paused(_)) {
            paused.insert(call);
        }
    }

    /// Lets the drivers here run on by themselves.
    pub(super) fn detach_all(&mut self) {
        let mut driven = std::mem::take(&mut self.here);
        driven.retain(|call| {
            let Some(child) = self.by_call.get_mut(call) else {
                return false;
            };
            match std::mem::replace(&mut child.state, ChildState::Elsewhere) {
                ChildState::Driven(guard) => {
                    guard.detach();
                    false
                }
                other => {
                    child.state = other;
                    true
                }
            }
        });
        self.here = driven;
    }

    /// Takes all of them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (EventSeq, Child)> + use<> {
        std::mem::take(self).by_call.into_iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_call.is_empty()
    }

    /// Whether any is at work in this process, or about to be delivered.
    pub(super) fn has_any_here(&self) -> bool {
        !self.here.is_empty()
    }

    pub(super) fn are_all_paused(&self) -> bool {
        self.paused.len() == self.by_call.len()
    }

    /// The pause points at which children wait.
    pub(super) fn pause_points(&self) -> impl Iterator<Item = &PausePoint> {
        let paused = self.paused.iter().filter_map(|call| self.get(*call));
        paused.flat_map(|child| match &child.state {
            ChildState::Paused(points) => &points[..],
            _ => &[],
        })
    }

    /// The call whose child, or a child of that one, waits at a pause point of this execution.
    pub(super) fn call_paused_at(&self, execution: &ExecutionId) -> Option<EventSeq> {
        let waits = |call: &EventSeq| match self.get(*call).map(|child| &child.state) {
            Some(ChildState::Paused(points)) => {
                points.iter().any(|point| point.execution_id() == execution)
            }
            _ => false,
        };
        self.paused.iter().copied().find(waits)
    }

    /// The calls that wait for an end or a pause of this child under this epoch.
    pub(super) fn calls_that_wait(&self, child: &ExecutionId, epoch: Epoch) -> Vec<EventSeq> {
        let calls = self.by_id.get(child).into_iter().flatten();
        calls
            .copied()
            .filter(|call| self.waits_for(*call, epoch))
            .collect()
    }

    /// Whether a call waits for an end of its child, and one under this epoch is of its present beginning.
    pub(super) fn waits_for(&self, call: EventSeq, epoch: Epoch) -> bool {
        self.get(call)
            .is_some_and(|child| child.since <= epoch && !matches!(child.state, ChildState::Ended))
    }
}
