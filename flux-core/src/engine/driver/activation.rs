//! One activation: arrivals delivered one at a time, and everything they lead to, for one commit.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::births::Births;
use super::{Cancellation, Driver};
use crate::clock::Timestamp;
use crate::context::request::Request;
use crate::engine::pool::{Cause, Taken};
use crate::event::{AttemptMeta, Event, EventKind};
use crate::execution::{PausePoint, Status};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{Delivered, Divergence, End, Stop, is_start};
use crate::store::{MessageId, NewMessage};

/// At most this many deliveries share a commit, so that no commit grows without end.
const MOST_DELIVERIES: usize = 1024;

/// After this long no further delivery shares it, so that commands and limits reach code that computes and never waits.
const LONGEST: Duration = Duration::from_millis(10);

/// Something to be recorded, and mostly to be delivered.
pub(super) enum Arrival {
    /// An outcome for a call, or a wake-up.
    Outcome(Box<NewOutcome>),
    /// An arrival that is recorded already and was perhaps never delivered.
    Open(Event),
    /// An event that is recorded and not delivered.
    Note(Box<Note>),
    /// A request to cancel the execution.
    Cancel(Cancellation),
}

impl Arrival {
    pub(super) fn is_stop(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::WorkflowStopping)
    }

    /// Whether the code is made with it.
    fn is_start(&self) -> bool {
        match self {
            Self::Open(event) => is_start(event),
            Self::Outcome(outcome) => outcome.kind == EventKind::WorkflowStarted,
            Self::Note(_) | Self::Cancel(_) => false,
        }
    }

    /// Whether it tells the code that it is to be cancelled.
    pub(super) fn tells_of_cancellation(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::CancelDelivered)
    }

    pub(super) fn is_cancellation(&self) -> bool {
        matches!(self, Self::Cancel(_))
    }

    /// When it was recorded, if it is.
    pub(super) fn recorded_at(&self) -> Option<Timestamp> {
        match self {
            Self::Open(event) => Some(event.at),
            Self::Outcome(_) | Self::Note(_) | Self::Cancel(_) => None,
        }
    }

    /// Whether it lies in the inbox until it is delivered.
    pub(super) fn came_by_message(&self) -> bool {
        match self {
            Self::Outcome(outcome) => outcome.consumed.is_some(),
            Self::Cancel(_) => true,
            Self::Open(_) | Self::Note(_) => false,
        }
    }

    /// Whether it is what a body has returned.
    pub(super) fn is_result(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::TaskCompleted)
    }

    /// Whether it says no more than that something foreign woke the code.
    pub(super) fn is_wake_up(&self) -> bool {
        matches!(self, Self::Outcome(outcome) if outcome.kind == EventKind::Woken)
    }
}

/// An outcome for a call.
pub(super) struct NewOutcome {
    pub(super) kind: EventKind,
    pub(super) call: Option<EventSeq>,
    pub(super) name: Option<Arc<str>>,
    pub(super) payload: Option<Payload>,
    pub(super) meta: Option<Payload>,
    /// What was decoded from the payload already.
    pub(super) value: Option<Box<dyn Any + Send>>,
    /// No earlier than this: a timer never fires before it is due.
    pub(super) not_before: Option<Timestamp>,
    /// When it counts as having happened, where that is not now.
    pub(super) exactly_at: Option<Timestamp>,
    pub(super) consumed: Option<MessageId>,
    /// The event that recorded its value before.
    pub(super) received: Option<EventSeq>,
}

/// An event that is not delivered.
pub(super) struct Note {
    pub(super) kind: EventKind,
    pub(super) call: EventSeq,
    pub(super) payload: Option<Payload>,
    pub(super) meta: AttemptMeta,
}

impl NewOutcome {
    /// Its value was recorded before, by this event.
    pub(super) fn delivered_before(mut self, received: EventSeq) -> Self {
        let meta = AttemptMeta {
            from: Some(received),
            ..AttemptMeta::default()
        };
        self.meta = Payload::encode(&meta).ok();
        self.received = Some(received);
        self
    }

    pub(super) fn new(kind: EventKind, call: EventSeq) -> Self {
        Self {
            kind,
            call: Some(call),
            name: None,
            payload: None,
            meta: None,
            value: None,
            not_before: None,
            exactly_at: None,
            consumed: None,
            received: None,
        }
    }
}

/// Everything one activation writes and starts.
#[derive(Debug, Default)]
pub(super) struct Activation {
    pub(super) events: Vec<Event>,
    pub(super) started: Vec<EventSeq>,
    pub(super) births: Births,
    pub(super) consumed: Vec<MessageId>,
    pub(super) published: Vec<(Arc<str>, Payload)>,
    pub(super) outbox: Vec<(ExecutionId, NewMessage)>,
    pub(super) ended: Option<Ended>,
    took_long: bool,
}

impl Activation {
    /// Whether it took as many deliveries, or as much time, as one commit may.
    pub(super) fn is_long(&self) -> bool {
        self.events.len() >= MOST_DELIVERIES || self.took_long
    }
}

/// How an activation ended its execution, or this run of it.
#[derive(Debug)]
pub(super) enum Ended {
    /// The execution is over.
    Finished {
        status: Status,
        output: Option<Payload>,
        failure: Option<Box<crate::error::FailureData>>,
        /// Why it was terminated.
        termination: Option<String>,
    },
    /// The code begins again, from the events now recorded.
    Again,
    /// The workflow decided to fail just as before: nothing is written.
    Unchanged,
}

impl Driver {
    pub(super) fn outcome(&mut self, outcome: NewOutcome) {
        self.arrivals.push_back(Arrival::Outcome(Box::new(outcome)));
    }

    /// Delivers what has arrived.
    pub(super) fn activate(&mut self) -> Result<Box<Activation>, Stop> {
        let mut activation = Box::<Activation>::default();
        self.append_rewind(&mut activation);
        self.deliver_arrivals(&mut activation)?;
        Ok(activation)
    }

    /// Delivers an arrival that was recorded before the code was polled with it, if there is one. Whatever stops the code
    /// comes after it: a replay hands the arrival to the code first, because it was recorded first.
    pub(super) fn deliver_open(
        &mut self,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        self.append_rewind(activation);
        let is_open = |arrival: &mut Arrival| matches!(arrival, Arrival::Open(_));
        match self.arrivals.pop_front_if(is_open) {
            Some(open) => self.deliver(open, activation),
            None => Ok(None),
        }
    }

    /// Delivers what has arrived, in order, until the code ends.
    pub(super) fn deliver_arrivals(&mut self, activation: &mut Activation) -> Result<(), Stop> {
        let begun = self.engine.clock.elapsed();
        for delivered in 0..MOST_DELIVERIES {
            self.look_for_arrivals();
            if delivered > 0 && self.is_to_commit_first(begun) {
                activation.took_long = true;
                break;
            }
            let Some(arrival) = self.arrivals.pop_front() else {
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

    /// Whether what has arrived since waits for the next commit, because this activation has run for too long since `begun`.
    fn is_to_commit_first(&self, begun: Duration) -> bool {
        // A stop is delivered in the commit that records its reason.
        !self.arrivals.is_empty()
            && !self.arrivals.iter().any(Arrival::is_stop)
            && self.engine.clock.elapsed().saturating_sub(begun) >= LONGEST
    }

    /// Delivers an arrival. A cancellation that waits while the code begins comes first: the code might end, or begin again,
    /// before it waits for anything, and so never hear of it.
    fn deliver_next(
        &mut self,
        arrival: Arrival,
        activation: &mut Activation,
    ) -> Result<Option<End>, Stop> {
        let is_recalled = std::mem::take(&mut self.is_recalled);
        if !is_recalled && !arrival.is_start() {
            return self.deliver(arrival, activation);
        }
        match (arrival, self.take_cancellation()) {
            (arrival, None) => self.deliver(arrival, activation),
            (Arrival::Open(open), Some(cancellation)) => {
                let counts_first = !is_start(&open);
                self.note_cancellation(cancellation, counts_first, activation);
                let end = self.deliver(Arrival::Open(open), activation)?;
                // Calls of code that had begun before; with a hold, they are told when it is lifted.
                if end.is_none() && self.hold.is_none() {
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

    pub(super) fn deliver(
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
        self.first_delivery.get_or_insert(event.seq);
        let cause = Cause::of(&event);
        let delivered = self.machine.deliver(&event, value)?;
        self.settle_call(&event);
        let is_idle = delivered.events.is_empty() && delivered.end.is_none();
        if event.kind == EventKind::Woken && is_idle && !is_recorded {
            self.machine.forget(&event);
            return Ok(None);
        }
        if !is_recorded {
            self.active.observe(&event);
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
            self.value_arrived(&outcome, false);
            self.discard(&outcome, call, activation);
            return None;
        }
        self.value_arrived(&outcome, true);
        activation.consumed.extend(outcome.consumed);
        let now = outcome.exactly_at.unwrap_or_else(|| self.now());
        let at = outcome.not_before.map_or(now, |due| now.max(due));
        let mut event = self.machine.arrival(outcome.kind, at, outcome.call);
        event.name = outcome.name;
        event.payload = outcome.payload;
        event.meta = outcome.meta;
        Some((event, outcome.value))
    }

    /// Whether the code still waits for this call.
    pub(super) fn is_waiting(&self, call: EventSeq) -> bool {
        self.machine
            .shared
            .state()
            .call_by_seq(call)
            .is_some_and(|call| !call.is_answered())
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
            EventKind::PauseAnswered if outcome.received.is_none() && self.answer_is_named => {
                self.lost_answer =
                    Some(self.not_paused_at(outcome.name.as_deref().unwrap_or_default()));
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
        self.active.observe(&event);
        activation.events.push(event);
    }

    /// What happened to a call ends what the driver does for it.
    fn settle_call(&mut self, event: &Event) {
        let Some(call) = event.refers.filter(|_| event.kind.is_completion()) else {
            return;
        };
        self.forget_call(call);
    }

    /// Takes what the code asked for.
    fn take_delivered(
        &mut self,
        delivered: Delivered,
        mut reused: BTreeMap<EventSeq, Taken>,
        activation: &mut Activation,
    ) -> Option<End> {
        for event in &delivered.events {
            self.active.observe(event);
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
        let Some(pool) = self.pool.as_mut().filter(|pool| !pool.is_empty()) else {
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
        self.reusing.insert(call, taken);
        self.outcome(outcome);
    }

    /// Arms timers, waits and pause points; `true` where something is to be started after the commit.
    pub(super) fn arm(&mut self, seq: EventSeq) -> bool {
        let mut state = self.machine.shared.state();
        let Some(call) = state.call_by_seq(seq) else {
            return false;
        };
        let name = Arc::clone(&call.name);
        match &call.request {
            Some(Request::Timer {
                due,
                is_moment: true,
            }) => {
                self.due.arm_moment(seq, *due);
                false
            }
            Some(Request::Timer { due, .. }) => {
                self.due.arm(seq, *due);
                false
            }
            Some(Request::Signal { .. }) => {
                drop(state);
                self.signals.wait(name, seq);
                false
            }
            Some(Request::Cancelled) => {
                drop(state);
                self.await_cancellation(seq);
                false
            }
            Some(Request::Pause { wants, .. }) => {
                let wants = wants.map(|wanted| wanted.name());
                self.signals.stir(EventKind::PauseReached, &name);
                self.pauses.insert(
                    seq,
                    PausePoint::new(&name, seq, self.id.clone(), wants.as_deref()),
                );
                false
            }
            Some(Request::Task(_) | Request::Transaction(_) | Request::Child { .. }) => true,
            None => false,
        }
    }
}
