//! Deliveries: arrivals are given to the code one at a time, with everything they lead to.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::activation::{Activation, MOST_DELIVERIES};
use super::arrivals::{Arrival, NewOutcome, Note};
use super::calls::{CallState, CallWork};
use super::{Core, LookForNews};
use crate::clock::Timestamp;
use crate::engine::history::pool::{Cause, Taken};
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::{Delivered, Divergence, End, Stop, is_start};

/// After this long no further delivery shares a commit, so that commands and limits reach code that computes and never waits.
const LONGEST: Duration = Duration::from_millis(10);

impl Core {
    /// Delivers what has arrived.
    pub(crate) fn activate(&mut self, look: LookForNews<'_>) -> Result<Box<Activation>, Stop> {
        let mut activation = Box::<Activation>::default();
        self.append_rewind(&mut activation);
        self.deliver_arrivals(&mut activation, look)?;
        Ok(activation)
    }

    /// Delivers an arrival that was recorded before the code was polled with it, if there is one. Whatever stops the code
    /// comes after it: a replay hands the arrival to the code first, because it was recorded first.
    pub(crate) fn deliver_open(
        &mut self,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        self.append_rewind(activation);
        match self.arrivals.next_open() {
            Some(open) => self.deliver(open, activation),
            None => Ok(None),
        }
    }

    /// Delivers what has arrived, in order, until the code ends.
    pub(crate) fn deliver_arrivals(
        &mut self,
        activation: &mut Activation,
        look: LookForNews<'_>,
    ) -> Result<(), Stop> {
        let begun = self.time.keeper().steady();
        for delivered in 0.. {
            look(self);
            if delivered > 0 && self.is_to_commit_first(delivered, begun) {
                activation.took_long = true;
                break;
            }
            let Some(arrival) = self.arrivals.next() else {
                break;
            };
            let end = self.deliver_next(arrival, activation)?;
            if let Some(end) = end {
                self.finish(end, activation);
                break;
            }
        }
        Ok(())
    }

    /// Whether what has arrived since waits for the next commit, because this activation has made so many deliveries, or has
    /// run for too long since `begun`.
    fn is_to_commit_first(&self, delivered: usize, begun: Timestamp) -> bool {
        let takes_long = || self.time.keeper().steady().since(begun) >= LONGEST;
        let is_long = delivered >= MOST_DELIVERIES || (!self.arrivals.is_empty() && takes_long());
        // A stop is delivered in the commit that records its reason, and a result that is reused in the one that records its
        // call: after a crash between the two, a body would run again whose result is known.
        is_long
            && self.calls.in_state(CallState::Reused).is_empty()
            && !self.arrivals.has(Arrival::is_stop)
    }

    /// Delivers an arrival. A cancellation that waits while the code begins comes first: the code might end, or begin again,
    /// before it waits for anything, and so never hear of it.
    fn deliver_next(
        &mut self,
        arrival: Arrival,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        let is_recalled = self.arrivals.end_recall();
        if !is_recalled && !arrival.is_start() {
            return self.deliver(arrival, activation);
        }
        match (arrival, self.arrivals.take_cancellation()) {
            (arrival, None) => self.deliver(arrival, activation),
            (Arrival::Open(open), Some(cancellation)) => {
                let counts_first = !is_start(&open);
                self.note_cancellation(cancellation, counts_first, activation);
                let end = self.deliver(Arrival::Open(open), activation)?;
                // Calls of code that had begun before; with a hold, they are told when it is lifted.
                if end.is_none() && !self.inbox.is_held() {
                    self.tell_waiting();
                }
                Ok(end.or_else(|| self.stop_unless_told()))
            }
            (arrival, Some(cancellation)) if is_recalled => {
                self.cancel_before(arrival, cancellation, activation)
            }
            // Its code has not begun, and has nothing to clean up.
            (_, Some(cancellation)) => Ok(self.begin_cancelling(cancellation, activation)),
        }
    }

    pub(crate) fn deliver(
        &mut self,
        arrival: Arrival,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        let (event, value, is_recorded) = match arrival {
            Arrival::Note(note) => {
                self.append_note(*note, activation);
                return Ok(None);
            }
            Arrival::Cancel(cancellation) => {
                return Ok(self.begin_cancelling(cancellation, activation));
            }
            Arrival::Open(event) => (event, None, true),
            Arrival::Outcome(outcome) => match self.number(*outcome, activation) {
                Some((event, value)) => (event, value, false),
                None => return Ok(None),
            },
        };
        self.machine.shared.state().exit_rule = self.exit_rule();
        self.rewinding.note_delivery(event.seq);
        let cause = Cause::of(&event);
        let delivered = self.machine.deliver(&event, value)?;
        self.settle_call(&event);
        let is_idle = delivered.events.is_empty() && delivered.end.is_none();
        if event.kind == EventKind::Woken && is_idle && !is_recorded {
            self.machine.forget(&event);
            return Ok(None);
        }
        if !is_recorded {
            self.limits.active.observe(&event);
            activation.events.push(event);
        }
        let reused = self.take_from_pool(cause, &delivered.started)?;
        Ok(self.take_delivered(delivered, reused, activation))
    }

    /// Gives an outcome its number, unless nobody waits for it any more.
    fn number(
        &mut self,
        outcome: NewOutcome,
        activation: &mut Activation,
    ) -> Option<(Event, Option<Box<dyn Any + Send>>)> {
        if let Some(call) = outcome.call
            && !self.is_waiting(call)
        {
            self.inbox.values.arrived(&outcome, false, &self.machine);
            self.discard(&outcome, call, activation);
            return None;
        }
        self.inbox.values.arrived(&outcome, true, &self.machine);
        activation.consumed.extend(outcome.consumed);
        let now = outcome.exactly_at.unwrap_or_else(|| self.now());
        let at = outcome.not_before.map_or(now, |due| now.max(due));
        let mut event = self.machine.arrival(outcome.kind, at, outcome.call);
        event.name = outcome.name;
        event.payload = outcome.payload;
        event.meta = outcome.meta;
        Some((event, outcome.value))
    }

    /// The call was dropped before its outcome could be delivered: what a task's body returned is kept for
    /// the reader, a signal stays in its queue.
    fn discard(&mut self, outcome: &NewOutcome, call: EventSeq, activation: &mut Activation) {
        match outcome.kind {
            EventKind::TaskCompleted => {
                let mut event = self.event_at(EventKind::TaskDiscarded, Some(call));
                event.payload.clone_from(&outcome.payload);
                activation.events.push(event);
            }
            // By request: nobody waits to be told.
            EventKind::PauseAnswered if outcome.consumed.is_some() => {
                activation.consumed.extend(outcome.consumed);
            }
            // A bare resume wants the execution to go on, and that it does.
            EventKind::PauseAnswered
                if outcome.received.is_none() && self.inbox.answer.is_named =>
            {
                let name = outcome.name.as_deref().unwrap_or_default();
                self.inbox.answer.lost = Some(self.not_paused_at(name));
            }
            EventKind::ChildCompleted | EventKind::ChildFailed => {
                activation.consumed.extend(outcome.consumed);
            }
            _ => {}
        }
    }

    /// Records what happened to a call, unless its code has dropped it meanwhile.
    fn append_note(&mut self, note: Note, activation: &mut Activation) {
        if !self.is_waiting(note.call) {
            return;
        }
        let mut event = self.event_at(note.kind, Some(note.call));
        event.payload = note.payload;
        event.meta = Payload::encode(&note.meta).ok();
        self.limits.active.observe(&event);
        activation.events.push(event);
    }

    /// What happened to a call ends what the driver does for it.
    fn settle_call(&mut self, event: &Event) {
        let Some(call) = event.refers.filter(|_| event.kind.is_completion()) else {
            return;
        };
        self.calls.remove(call);
    }

    /// Takes what the code asked for.
    fn take_delivered(
        &mut self,
        delivered: Delivered,
        mut reused: BTreeMap<EventSeq, Taken>,
        activation: &mut Activation,
    ) -> Option<End> {
        for event in &delivered.events {
            self.limits.active.observe(event);
            if event.kind == EventKind::Published
                && let (Some(name), Some(payload)) = (&event.name, &event.payload)
            {
                activation
                    .published
                    .push((Arc::clone(name), payload.clone()));
            }
        }
        activation.events.extend(delivered.events);
        for call in delivered.cancelled {
            self.cancel_call(call, activation);
        }
        for call in delivered.started {
            let taken = reused.remove(&call);
            self.register(call, taken, activation);
        }
        delivered.end
    }

    /// Prepares what a call asks for; what has an effect outside waits for the commit.
    fn register(&mut self, seq: EventSeq, taken: Option<Taken>, activation: &mut Activation) {
        if let Some(taken) = taken {
            self.reuse(seq, taken);
        } else if let Some(wanted) = self.wanted_child(seq) {
            self.expect_child(seq, wanted, activation);
        } else if self.arm(seq) {
            activation.started.push(seq);
        }
    }

    /// Takes the results of calls like these from before a rewind.
    fn take_from_pool(
        &mut self,
        cause: Cause,
        calls: &[EventSeq],
    ) -> Result<BTreeMap<EventSeq, Taken>, Stop> {
        let Some(pool) = self.rewinding.pool.as_mut().filter(|pool| !pool.is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let mut state = self.machine.shared.state();
        let mut moves = std::mem::take(&mut state.tries.moves);
        let held = calls
            .iter()
            .filter_map(|seq| Some((*seq, state.held(*seq)?)));
        let taken = pool.take(cause, held, &mut moves);
        state.tries.moves = moves;
        taken.map_err(|recorded| Stop::Diverged(Divergence::undecided(&recorded, None)))
    }

    fn reuse(&mut self, call: EventSeq, taken: Taken) {
        let from = taken.memo.from;
        self.machine.shared.state().unseen.forget(from);
        let mut outcome = NewOutcome::new(EventKind::CallReused, call).delivered_before(from);
        outcome.payload = Some(taken.memo.payload.clone());
        self.calls.insert(call, CallWork::Reused(Box::new(taken)));
        self.arrivals.push_outcome(outcome);
    }

    /// Lets a call wait for what it asks for; `true` where something is to be begun instead, once the call is recorded.
    pub(crate) fn arm(&mut self, seq: EventSeq) -> bool {
        let mut state = self.machine.shared.state();
        let Some(call) = state.call_by_seq(seq) else {
            return false;
        };
        let Some(request) = &call.request else {
            return false;
        };
        let Some(work) = CallWork::of(request, &call.name, seq, &self.id) else {
            return true;
        };
        drop(state);
        if let Some((kind, name)) = work.takes_value() {
            self.inbox.values.stir(kind, name);
        }
        match work {
            CallWork::Cancellation => self.await_cancellation(seq),
            work => self.calls.insert(seq, work),
        }
        false
    }

    /// Drops what is done for a call that its code has dropped.
    fn cancel_call(&mut self, call: EventSeq, activation: &mut Activation) {
        match self.calls.remove(call) {
            Some(CallWork::Child(child)) => self.let_go_of_child(call, *child, activation),
            Some(CallWork::Reused(taken)) => self.rewinding.put_back([*taken]),
            _ => {}
        }
    }
}
