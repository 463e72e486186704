//! Taking up the calls that wait when the history has been read.

use std::collections::{BTreeMap, BTreeSet};

use super::Driver;
use super::commit::Startable;
use super::core::Core;
use super::core::arrivals::NewOutcome;
use super::core::calls::{CutOffBodies, Progress};
use super::core::values::keep_unseen;
use super::halt::Halt;
use crate::engine::kernel::Kernel;
use crate::event::EventKind;
use crate::id::EventSeq;

impl Driver {
    /// Takes up every call that waits at the live edge.
    pub(super) async fn take_up_calls(
        &mut self,
        mut progress: BTreeMap<EventSeq, Progress>,
        cut_off: CutOffBodies,
    ) -> Result<(), Halt> {
        let pending: Vec<(EventSeq, Option<Startable>)> = {
            let mut state = self.core.machine.shared.state();
            let pending = state.pending();
            pending
                .map(|(seq, call)| (seq, Startable::of(call)))
                .collect()
        };
        let retried = self.core.rewinding.retried().to_vec();
        // Their outcome is recorded, and will be delivered once more.
        let answered = self.core.arrivals.answered();
        let mut salvaged = take_salvaged(&self.kernel, &mut self.core);
        let mut answered_again = BTreeSet::new();
        for (call, startable) in pending {
            let is_answered = answered.contains(&call) || salvaged.remove(&call);
            if is_answered {
                continue;
            }
            if !retried.contains(&call) && self.core.answer_again(call) {
                answered_again.insert(call);
                continue;
            }
            match startable {
                Some(Startable::Task) => {
                    let progress = progress.remove(&call).unwrap_or_default();
                    self.core.recover_task(call, progress, cut_off);
                }
                // A child may be done, and say so to its parent, before the rewind that lets it try again is
                // written; a parent that counts as failed is told nothing.
                Some(_) if self.core.rewinding.planned.is_some() => self.core.put_off(call),
                Some(_) => self.start(call).await?,
                None => {
                    self.core.arm(call);
                }
            }
        }
        let pool = self.core.rewinding.pool.as_ref();
        let unseen = pool.map(|pool| pool.unseen(&answered_again));
        for event in unseen.unwrap_or_default() {
            keep_unseen(event, &self.core.machine);
        }
        Ok(())
    }
}

/// What bodies returned when the store failed arrives before anything else is taken up, so that it is not
/// lost if that fails.
fn take_salvaged(kernel: &Kernel, core: &mut Core) -> BTreeSet<EventSeq> {
    let salvaged = kernel.salvage.take(&core.id);
    let salvaged = salvaged.into_iter().map(|(call, payload)| {
        let mut outcome = NewOutcome::new(EventKind::TaskCompleted, call);
        outcome.payload = Some(payload);
        outcome
    });
    let recalled = core.arrivals.take_recalled();
    let mut calls = BTreeSet::new();
    for outcome in recalled.into_iter().chain(salvaged) {
        let Some(call) = outcome.call else { continue };
        if core.is_waiting(call) && calls.insert(call) {
            core.arrivals.push_outcome(outcome);
        }
    }
    calls
}

impl Core {
    /// Delivers once more what a rewind took from a call that is kept.
    fn answer_again(&mut self, call: EventSeq) -> bool {
        let pool = self.rewinding.pool.as_ref();
        let Some(event) = pool.and_then(|pool| pool.answer(call)) else {
            return false;
        };
        let mut outcome = NewOutcome::new(event.kind, call);
        if matches!(
            event.kind,
            EventKind::SignalReceived | EventKind::PauseAnswered
        ) {
            outcome = outcome.delivered_before(event.first_received());
        } else {
            outcome.meta = event.meta;
        }
        outcome.name = event.name;
        outcome.payload = event.payload;
        self.arrivals.push_outcome(outcome);
        true
    }
}
