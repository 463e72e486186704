//! The replay core: what arrived goes in, what the code then asked for comes out.
//!
//! ```text
//!            ┌──────────────────────────── one delivery ────────────────────────────┐
//!  arrival ──► hand its outcome to the call that waits ──► poll the code until it is ──┐
//!            │ (wake exactly that branch)                 quiet                      │  │
//!            └───────────────────────────────────────────────────────────────────────┘  │
//!                 live:   number what it asked for: events to append  ◄─────────────────┤
//!                 replay: match what it asked for with what is recorded ◄───────────────┘
//! ```
//!
//! Deliveries happen one at a time in the order of their event numbers, live and in every replay, so two
//! branches are never newly ready in one poll. The core is synchronous: it knows no runtime, clock, store or
//! randomness, and whatever it returns is only a decision until the driver has committed it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::clock::Timestamp;
use crate::context::RawContext;
use crate::context::current::{self, Current};
use crate::context::lifecycle::Lifecycle;
use crate::context::shared::{Handed, HandedError, Outcome, Shared};
use crate::error::escape::Token;
use crate::error::{BodyError, Error, TaskError, TaskFailure};
use crate::event::{Doubt, Event, EventKind, RewoundMeta, StartedMeta};
use crate::id::EventSeq;
use crate::payload::Payload;

mod check;
mod collect;
mod diverge;
mod ended;
pub(crate) mod matching;
pub(crate) mod outline;
mod recorded;
mod waker;

pub(crate) use crate::context::end::{End, FailedEnd, Stopped};
pub(crate) use crate::sites::Tries;

pub(crate) use diverge::{Divergence, Stop};
pub(crate) use recorded::Group;
pub(crate) use waker::ForeignWake;

use recorded::{Polled, Recorded};
use waker::RootWaker;

/// How many orders of calls that only their order tells apart are tried before a replay is given up.
const CHOICES: usize = 16;

/// How many wrong guesses of a value are mended before a replay is given up: mostly the first teaches all that there is.
const MISJUDGED: usize = 64;

/// One execution's code, held at the point its history has reached.
pub(crate) struct Machine {
    pub(crate) shared: Arc<Shared>,
    code: Option<Lifecycle>,
    root: Arc<RootWaker>,
    waker: Waker,
    next: EventSeq,
    last_at: Timestamp,
    has_foreign: bool,
    /// A recorded delivery that waits for something foreign to happen again.
    unwoken: Option<Recorded>,
    /// The input of an execution that waited in a queue: its start does not repeat it.
    queued_input: Option<Payload>,
    /// Whether nobody has compared the input with the type that the workflow takes.
    has_unchecked_input: bool,
    has_begun: bool,
}

/// What the code did in a live delivery.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// To append, after the arrival itself.
    pub(crate) events: Vec<Event>,
    /// Calls to be carried out once these events are committed.
    pub(crate) started: Vec<EventSeq>,
    /// Calls whose work is to be stopped.
    pub(crate) cancelled: Vec<EventSeq>,
    /// How the code ended, if it did.
    pub(crate) end: Option<End>,
}

impl Machine {
    /// A machine at the very beginning: nothing is delivered yet. `next` is the first event's number.
    pub(crate) fn new(shared: Arc<Shared>, next: EventSeq, on_foreign: ForeignWake) -> Self {
        let root = RootWaker::new(on_foreign);
        let waker = Waker::from(Arc::clone(&root));
        Self {
            shared,
            code: None,
            root,
            waker,
            next,
            last_at: Timestamp::from_micros(i64::MIN),
            has_foreign: false,
            unwoken: None,
            queued_input: None,
            has_unchecked_input: false,
            has_begun: false,
        }
    }

    /// Whether the code was made.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the code was made, and has come to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_begun && self.code.is_none()
    }

    /// The number the next event gets.
    pub(crate) fn next_seq(&self) -> EventSeq {
        self.next
    }

    /// Numbers go on after `last`, whose events are not delivered.
    pub(crate) fn skip_to(&mut self, last: EventSeq) {
        self.next = last.next();
    }

    /// Numbers go on with `next`.
    pub(crate) fn set_next(&mut self, next: EventSeq) {
        self.next = next;
    }

    /// The moment of the last event: no later one is earlier.
    pub(crate) fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// Lets it know what earlier tries have taught.
    pub(crate) fn try_with(&mut self, tries: Tries) {
        self.shared.state().tries = tries;
    }

    /// What another try is to know after this error, if it may come out differently: a value was given to the code that
    /// was meant for another site, or equal calls had to be told apart by their order alone.
    pub(crate) fn next_try(&self, error: &Error) -> Option<Tries> {
        if !matches!(error, Error::NonDeterminism(_) | Error::ReplayDecode { .. }) {
            return None;
        }
        let state = self.shared.state();
        let mut next = state.tries.clone();
        if state.is_misjudged && next.misjudged < MISJUDGED {
            next.misjudged += 1;
        } else if state.is_ambiguous && next.choice < CHOICES {
            next.choice += 1;
        } else {
            return None;
        }
        Some(next)
    }

    /// Whether something foreign woke the code since this was last asked.
    pub(crate) fn take_foreign(&mut self) -> bool {
        let woken = self.root.take_foreign();
        self.has_foreign |= woken;
        woken
    }

    /// Numbers an event that is recorded but not delivered.
    pub(crate) fn note(
        &mut self,
        kind: EventKind,
        at: Timestamp,
        refers: Option<EventSeq>,
    ) -> Event {
        let at = at.max(self.last_at);
        let event = Event {
            seq: self.next,
            at,
            kind,
            refers,
            name: None,
            payload: None,
            meta: None,
        };
        self.advance(&event);
        event
    }

    /// Numbers an arrival, to be handed to [`deliver`](Self::deliver).
    pub(crate) fn arrival(
        &mut self,
        kind: EventKind,
        at: Timestamp,
        refers: Option<EventSeq>,
    ) -> Event {
        self.note(kind, at, refers)
    }

    /// Takes back the number of an event that is not recorded after all, the last one given.
    pub(crate) fn forget(&mut self, event: &Event) {
        self.next = event.seq;
    }

    fn advance(&mut self, event: &Event) {
        // A cancellation may be noted between a beginning and its delivery.
        self.next = self.next.max(event.seq.next());
        self.last_at = self.last_at.max(event.at);
    }

    /// Takes note of a recorded event that is not delivered.
    pub(crate) fn replay_note(&mut self, event: &Event) {
        self.advance(event);
        match event.kind {
            EventKind::Rewound => {
                self.shared.state().attempt = event.meta::<RewoundMeta>().attempt;
            }
            EventKind::WorkflowQueued => {
                self.queued_input.clone_from(&event.payload);
                self.has_unchecked_input = event.meta::<StartedMeta>().unchecked;
            }
            EventKind::CancelRequested => self.shared.state().is_cancelling = true,
            _ => {}
        }
    }

    /// Delivers an arrival to live code and returns what it then asked for. `value` is what was already
    /// decoded from the arrival's payload.
    pub(crate) fn deliver(
        &mut self,
        arrival: &Event,
        value: Option<Box<dyn std::any::Any + Send>>,
    ) -> Result<Delivered, Stop> {
        self.advance(arrival);
        self.shared.begin(arrival.seq, arrival.at, false);
        self.hand(arrival, value)?;
        let polled = self.poll()?;
        Ok(self.collect(polled))
    }

    /// Hands over a recorded arrival and polls nothing: what it brings must be of the type the code has today.
    pub(crate) fn hand_over(&mut self, arrival: &Event) -> Result<(), Stop> {
        self.advance(arrival);
        self.shared.begin(arrival.seq, arrival.at, true);
        self.hand(arrival, None)
    }

    fn mark_foreign(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Diverged(mut divergence) => {
                divergence.foreign = self.has_foreign;
                divergence.ambiguous = self.shared.state().is_ambiguous;
                Stop::Diverged(divergence)
            }
            decode @ Stop::Decode { .. } => decode,
        }
    }

    /// Drops the code without cancelling anything: it will be replayed, here or elsewhere.
    pub(crate) fn evict(&mut self) {
        self.shared.close();
        let code = self.code.take();
        // They may hold the context, and so what holds them.
        let at_exit = std::mem::take(&mut self.shared.state().exit_handlers);
        let drop_it = AssertUnwindSafe(|| {
            let here = Current::Workflow(Arc::clone(&self.shared));
            current::enter(here, || drop((code, at_exit)));
        });
        if catch_unwind(drop_it).is_err() {
            tracing::warn!(execution_id = %self.shared.id, "a destructor in the workflow panicked while it was put away");
        }
    }

    /// Hands an arrival to the call that waits for it, or makes the code.
    fn hand(
        &mut self,
        arrival: &Event,
        value: Option<Box<dyn std::any::Any + Send>>,
    ) -> Result<(), Stop> {
        if is_start(arrival) {
            return self.begin_code(arrival);
        }
        match arrival.kind {
            EventKind::Woken => {
                self.has_foreign = true;
                return Ok(());
            }
            EventKind::WorkflowStopping => return self.hand_stop(arrival),
            _ => {}
        }
        let call = arrival.refers.unwrap_or(EventSeq::FIRST);
        let outcome = self.outcome(arrival, call, value)?;
        if is_end_of_child(arrival.kind) && arrival.meta.is_some() {
            let doubt = arrival.meta::<Doubt>();
            self.shared.state().unknown.child_ended(call, doubt);
        }
        self.root.enter();
        let handed = self.shared.hand(call, outcome, arrival.first_received());
        self.root.leave();
        match handed {
            Handed::Woken => Ok(()),
            Handed::Nobody => {
                Err(self.mark_foreign(Stop::Diverged(Divergence::nobody_waits(arrival))))
            }
        }
    }

    fn hand_stop(&self, arrival: &Event) -> Result<(), Stop> {
        let payload = arrival.payload.clone().unwrap_or_else(Payload::null);
        let why = payload.decode().map_err(|error| Stop::Decode {
            event: arrival.seq,
            what: "reason to stop".to_owned(),
            error,
        })?;
        self.shared.state().stop = Some(why);
        Ok(())
    }

    fn outcome(
        &self,
        arrival: &Event,
        call: EventSeq,
        value: Option<Box<dyn std::any::Any + Send>>,
    ) -> Result<Outcome, Stop> {
        let payload = arrival.payload.clone().unwrap_or_else(Payload::null);
        if !matches!(arrival.kind, EventKind::TaskFailed | EventKind::ChildFailed) {
            return Ok(Outcome::Value(payload, value));
        }
        let data: TaskFailure = payload.decode().map_err(|error| Stop::Decode {
            event: arrival.seq,
            what: format!("error of call {call}"),
            error,
        })?;
        let (token, mark) = Token::new(&self.shared.now);
        let mut state = self.shared.state();
        state.forget_old_errors();
        state.errors.push(HandedError {
            call,
            failed: arrival.seq,
            mark,
            is_of_child: arrival.kind == EventKind::ChildFailed,
            data: data.clone(),
        });
        Ok(Outcome::Error(TaskError::recorded(call, data, token)))
    }

    fn begin_code(&mut self, arrival: &Event) -> Result<(), Stop> {
        self.has_begun = true;
        let input = arrival
            .payload
            .clone()
            .or_else(|| self.queued_input.clone());
        let input = input.unwrap_or_else(Payload::null);
        {
            let mut state = self.shared.state();
            if arrival.kind == EventKind::Rewound {
                state.attempt = arrival.meta::<RewoundMeta>().attempt;
            }
        }
        let raw = RawContext {
            shared: Arc::clone(&self.shared),
            input,
        };
        let make = || {
            current::enter(Current::Workflow(Arc::clone(&self.shared)), || {
                (self.shared.workflow.run)(raw)
            })
        };
        let what = || format!("input of workflow `{}`", self.shared.workflow.name);
        let future = match make() {
            Ok(future) => future,
            // That is no change of the code: it never fitted, and whoever started it could not know.
            Err(error) if self.has_unchecked_input => {
                let error = Error::InvalidInput {
                    what: what(),
                    path: error.path,
                    message: error.message,
                };
                let error = BodyError::final_message(error.to_string());
                Box::pin(std::future::ready(Err(error)))
            }
            Err(error) => {
                return Err(Stop::Decode {
                    event: arrival.seq,
                    what: what(),
                    error,
                });
            }
        };
        self.code = Some(Lifecycle::new(Arc::clone(&self.shared), future));
        Ok(())
    }

    /// Polls the code until it neither is done nor wakes itself.
    fn poll(&mut self) -> Result<Polled, Stop> {
        let polled = if self.shared.state().replaying {
            // Nothing is logged twice: what the code logs in a replay was logged when it was live.
            tracing::dispatcher::with_default(&tracing::Dispatch::none(), || {
                self.poll_until_quiet()
            })
        } else {
            self.poll_until_quiet()
        };
        let (fault, delivery) = {
            let mut state = self.shared.state();
            (state.fault.take(), state.delivery)
        };
        fault.map_or(Ok(polled), |fault| Err(Stop::from_fault(fault, delivery)))
    }

    fn poll_until_quiet(&mut self) -> Polled {
        let Some(code) = &mut self.code else {
            return Polled::Pending;
        };
        let mut cx = Context::from_waker(&self.waker);
        self.root.enter();
        let polled = loop {
            self.root.take_again();
            let here = Current::Workflow(Arc::clone(&self.shared));
            match current::enter(here, || code.poll(&mut cx)) {
                Poll::Ready(end) => break Polled::Ended(end),
                Poll::Pending if self.root.take_again() && self.shared.state().fault.is_none() => {}
                Poll::Pending => break Polled::Pending,
            }
        };
        self.root.leave();
        if !matches!(polled, Polled::Pending) {
            self.code = None;
        }
        polled
    }
}

fn is_end_of_child(kind: EventKind) -> bool {
    matches!(kind, EventKind::ChildCompleted | EventKind::ChildFailed)
}

/// Whether the code is made anew at this arrival.
pub(crate) fn is_start(event: &Event) -> bool {
    match event.kind {
        EventKind::WorkflowStarted | EventKind::ContinuedAsNew => true,
        // A rewind that keeps nothing carries the input.
        EventKind::Rewound => event.payload.is_some(),
        _ => false,
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.evict();
    }
}
