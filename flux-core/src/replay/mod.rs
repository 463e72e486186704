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
use crate::context::shared::{Call, CallKey, Handed, HandedError, Issued, Outcome, Shared};
use crate::error::escape::Token;
use crate::error::{ErrorRecord, EscapedCall, TaskError, TaskFailure};
use crate::event::{CallMeta, Event, EventKind, RewoundMeta};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::task::BodyError;
use crate::workflow::WorkflowFuture;

mod digest;
mod diverge;
pub(crate) mod matching;
mod waker;

pub(crate) use digest::digest;
pub(crate) use diverge::{Divergence, Stop};
pub(crate) use waker::ForeignWake;

use matching::{IssuedCall, match_calls, site_text};
use waker::RootWaker;

/// One execution's code, held at the point its history has reached.
pub(crate) struct Machine {
    pub(crate) shared: Arc<Shared>,
    future: Option<WorkflowFuture>,
    root: Arc<RootWaker>,
    waker: Waker,
    next: EventSeq,
    last_at: Timestamp,
    has_foreign: bool,
    /// A recorded delivery that waits for something foreign to happen again.
    unwoken: Option<Recorded>,
}

/// A recorded delivery, sorted.
struct Recorded {
    arrival: Event,
    calls: Vec<Event>,
    cancels: Vec<Event>,
    end: Option<Event>,
}

/// One delivery as it is recorded: the arrival, what the code then asked for, and its end.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) arrival: Event,
    pub(crate) asked: Vec<Event>,
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

/// How the code ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It returned a value.
    Completed(Payload),
    /// It returned an error or panicked.
    Failed(FailedEnd),
    /// It began anew.
    ContinuedAsNew(Payload),
}

/// A failure, and the calls whose error escaped with it.
#[derive(Debug)]
pub(crate) struct FailedEnd {
    pub(crate) panicked: bool,
    pub(crate) error: ErrorRecord,
    pub(crate) escaped: Vec<EscapedCall>,
}

enum Polled {
    Pending,
    Returned(Result<Payload, BodyError>),
    Panicked(String),
}

impl Machine {
    /// A machine at the very beginning: nothing is delivered yet. `next` is the first event's number.
    pub(crate) fn new(shared: Arc<Shared>, next: EventSeq, on_foreign: ForeignWake) -> Self {
        let root = RootWaker::new(on_foreign);
        let waker = Waker::from(Arc::clone(&root));
        Self {
            shared,
            future: None,
            root,
            waker,
            next,
            last_at: Timestamp::from_micros(i64::MIN),
            has_foreign: false,
            unwoken: None,
        }
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

    /// Among calls that are alike in everything, takes others than the first try did.
    pub(crate) fn choose(&mut self, choice: usize) {
        self.shared.state().choice = choice;
    }

    /// Whether the replay had such a choice.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.shared.state().is_ambiguous
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
        self.next = event.seq.next();
        self.last_at = self.last_at.max(event.at);
    }

    /// Takes note of a recorded event that is not delivered.
    pub(crate) fn replay_note(&mut self, event: &Event) {
        self.advance(event);
        if event.kind == EventKind::Rewound {
            self.shared.state().attempt = event.meta::<RewoundMeta>().attempt;
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

    /// Delivers a recorded arrival again and checks that the code asks for what is recorded after it.
    ///
    /// `false` where the arrival is a foreign wake-up that has not come yet: the driver waits for it and calls
    /// [`replay_again`](Self::replay_again).
    pub(crate) fn replay(&mut self, group: Group) -> Result<bool, Stop> {
        self.advance(&group.arrival);
        self.shared.begin(group.arrival.seq, group.arrival.at, true);
        let recorded = self.sort_recorded(group);
        self.hand(&recorded.arrival, None)?;
        self.replay_recorded(recorded)
    }

    /// Goes on with a delivery whose foreign wake-up had not come.
    pub(crate) fn replay_again(&mut self) -> Result<bool, Stop> {
        match self.unwoken.take() {
            Some(recorded) => self.replay_recorded(recorded),
            None => Ok(true),
        }
    }

    fn replay_recorded(&mut self, recorded: Recorded) -> Result<bool, Stop> {
        self.shared.state().replaying = true;
        let polled = self.poll();
        self.shared.state().replaying = false;
        let polled = polled
            .map_err(|stop| self.name_unasked(stop, &recorded))
            .map_err(|stop| self.mark_foreign(stop))?;
        if recorded.arrival.kind == EventKind::Woken && self.lacks(&recorded, &polled) {
            self.unwoken = Some(recorded);
            return Ok(false);
        }
        self.check(&recorded, &polled)
            .map_err(|stop| self.mark_foreign(stop))?;
        Ok(true)
    }

    /// The code asked for a value that is not recorded here: what it should have asked for is the first event that
    /// it has not asked for, if there is one.
    fn name_unasked(&self, stop: Stop, recorded: &Recorded) -> Stop {
        let Stop::Diverged(divergence) = stop else {
            return stop;
        };
        let state = self.shared.state();
        let held: Vec<IssuedCall<'_>> = state
            .issued
            .iter()
            .filter_map(|issued| match issued {
                Issued::Call(key) => Some(*key),
                Issued::Value(_) => None,
            })
            .filter_map(|key| state.calls.get(&key).map(|call| IssuedCall { key, call }))
            .collect();
        let missing = match_calls(&held, &recorded.calls, 0).missing;
        let calls = missing.iter().map(|&index| &recorded.calls[index]);
        let values = state
            .recorded_values
            .iter()
            .filter(|event| event.kind == EventKind::ValueRecorded);
        let unasked = calls
            .chain(values)
            .chain(&recorded.end)
            .min_by_key(|event| event.seq);
        Stop::Diverged(match unasked {
            Some(event) => divergence.instead_of(event),
            None => divergence,
        })
    }

    /// Whether the code has not yet done all that is recorded.
    fn lacks(&self, recorded: &Recorded, polled: &Polled) -> bool {
        let state = self.shared.state();
        let held =
            |issued: &&Issued| matches!(issued, Issued::Call(key) if state.calls.contains_key(key));
        let issued = state.issued.iter().filter(held).count();
        let ended = state.continue_with.is_some() || !matches!(polled, Polled::Pending);
        issued < recorded.calls.len()
            || state.cancelled.len() < recorded.cancels.len()
            || (recorded.end.is_some() && !ended)
    }

    fn mark_foreign(&self, stop: Stop) -> Stop {
        match stop {
            Stop::Diverged(mut divergence) => {
                divergence.foreign = self.has_foreign;
                divergence.ambiguous = self.is_ambiguous();
                Stop::Diverged(divergence)
            }
            decode @ Stop::Decode { .. } => decode,
        }
    }

    /// Drops the code without cancelling anything: it will be replayed, here or elsewhere.
    pub(crate) fn evict(&mut self) {
        self.shared.close();
        let future = self.future.take();
        let drop_it = AssertUnwindSafe(|| {
            current::enter(Current::Workflow(Arc::clone(&self.shared)), || drop(future));
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
        if arrival.kind == EventKind::Woken {
            self.has_foreign = true;
            return Ok(());
        }
        let call = arrival.refers.unwrap_or(EventSeq::FIRST);
        let outcome = self.outcome(arrival, call, value)?;
        self.root.enter();
        let handed = self.shared.hand(call, outcome);
        self.root.leave();
        match handed {
            Handed::Woken => Ok(()),
            Handed::Nobody => {
                Err(self.mark_foreign(Stop::Diverged(Divergence::nobody_waits(arrival))))
            }
        }
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
            data: data.clone(),
        });
        Ok(Outcome::Error(TaskError::recorded(call, data, token)))
    }

    fn begin_code(&mut self, arrival: &Event) -> Result<(), Stop> {
        let input = arrival.payload.clone().unwrap_or_else(Payload::null);
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
        let future = make().map_err(|error| Stop::Decode {
            event: arrival.seq,
            what: format!("input of workflow `{}`", self.shared.workflow.name),
            error,
        })?;
        self.future = Some(future);
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
        let Some(future) = &mut self.future else {
            return Polled::Pending;
        };
        let mut cx = Context::from_waker(&self.waker);
        self.root.enter();
        let polled = loop {
            self.root.take_again();
            let poll = || {
                current::enter(Current::Workflow(Arc::clone(&self.shared)), || {
                    future.as_mut().poll(&mut cx)
                })
            };
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Ready(result)) => break Polled::Returned(result),
                Err(panic) => break Polled::Panicked(panic_message(&*panic)),
                Ok(Poll::Pending)
                    if self.root.take_again() && self.shared.state().fault.is_none() => {}
                Ok(Poll::Pending) => break Polled::Pending,
            }
        };
        self.root.leave();
        if !matches!(polled, Polled::Pending) {
            let future = self.future.take();
            let drop_it =
                || current::enter(Current::Workflow(Arc::clone(&self.shared)), || drop(future));
            if catch_unwind(AssertUnwindSafe(drop_it)).is_err() {
                tracing::warn!(execution_id = %self.shared.id, "a destructor in the workflow panicked at its end");
            }
        }
        polled
    }

    /// Numbers what live code asked for.
    fn collect(&mut self, polled: Polled) -> Delivered {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut delivered = Delivered::default();
        let (delivery, at) = (state.delivery, state.at);
        for issued in std::mem::take(&mut state.issued) {
            let event = match issued {
                Issued::Value(value) => {
                    let meta = CallMeta {
                        site: site_text(value.site),
                        ..CallMeta::default()
                    };
                    self.event(
                        at,
                        value.kind,
                        delivery,
                        Some(value.name),
                        Some(value.payload),
                        &meta,
                    )
                }
                Issued::Call(key) => {
                    let Some(call) = state.calls.get(&key) else {
                        continue;
                    };
                    let event = self.call_event(at, delivery, call);
                    delivered.started.push(event.seq);
                    state.number(key, event.seq);
                    event
                }
            };
            delivered.events.push(event);
        }
        for call in std::mem::take(&mut state.cancelled) {
            let event = self.note(EventKind::CallCancelled, at, Some(call));
            delivered.events.push(event);
            delivered.cancelled.push(call);
        }
        delivered.end = end_of(polled, &mut state);
        delivered
    }

    fn call_event(&mut self, at: Timestamp, delivery: EventSeq, call: &Call) -> Event {
        let mut meta = CallMeta {
            site: site_text(call.site),
            ..CallMeta::default()
        };
        match &call.request {
            Some(crate::context::request::Request::Timer { due }) => meta.due = Some(*due),
            Some(crate::context::request::Request::Child { id, .. }) => {
                let id = id
                    .clone()
                    .unwrap_or_else(|| self.shared.id.child(self.next));
                meta.child = Some(id.as_str().into());
            }
            _ => {}
        }
        self.event(
            at,
            call.kind,
            delivery,
            Some(Arc::clone(&call.name)),
            call.input.clone(),
            &meta,
        )
    }

    fn event(
        &mut self,
        at: Timestamp,
        kind: EventKind,
        delivery: EventSeq,
        name: Option<Arc<str>>,
        payload: Option<Payload>,
        meta: &CallMeta,
    ) -> Event {
        let mut event = self.note(kind, at, Some(delivery));
        event.name = name;
        event.payload = payload;
        event.meta = Payload::encode(meta).ok();
        event
    }

    /// Sorts what is recorded of a delivery, and gives the values to the code.
    fn sort_recorded(&mut self, group: Group) -> Recorded {
        let mut recorded = Recorded {
            arrival: group.arrival,
            calls: Vec::new(),
            cancels: Vec::new(),
            end: None,
        };
        let mut state = self.shared.state();
        state.recorded_values.clear();
        for event in group.asked {
            self.next = event.seq.next();
            self.last_at = self.last_at.max(event.at);
            match event.kind {
                kind if kind.is_call() => recorded.calls.push(event),
                EventKind::CallCancelled => recorded.cancels.push(event),
                EventKind::ValueRecorded | EventKind::Patched => {
                    state.recorded_values.push_back(event);
                }
                EventKind::Published => {}
                _ => recorded.end = Some(event),
            }
        }
        recorded
    }

    /// Compares what the code did with what is recorded, and numbers its calls as recorded.
    fn check(&self, recorded: &Recorded, polled: &Polled) -> Result<(), Stop> {
        let Recorded {
            arrival,
            calls,
            cancels,
            end,
        } = recorded;
        let mut state = self.shared.state();
        let issued = std::mem::take(&mut state.issued);
        let keys = issued.iter().filter_map(|issued| match issued {
            Issued::Call(key) => Some(*key),
            Issued::Value(_) => None,
        });
        let matched = {
            let held: Vec<IssuedCall<'_>> = keys
                .filter_map(|key| state.calls.get(&key).map(|call| IssuedCall { key, call }))
                .collect();
            match_calls(&held, calls, state.choice)
        };
        state.is_ambiguous |= matched.is_ambiguous;
        check_calls(arrival, calls, &matched, |key| state.calls.get(&key))
            .map_err(Stop::Diverged)?;
        for (key, seq) in matched.pairs {
            state.number(key, seq);
        }
        let leftover = state
            .recorded_values
            .iter()
            .find(|event| event.kind == EventKind::ValueRecorded);
        if let Some(value) = leftover {
            return Err(Stop::Diverged(Divergence::not_asked(value, None)));
        }
        let dropped = std::mem::take(&mut state.cancelled);
        check_cancels(arrival, cancels, &dropped).map_err(Stop::Diverged)?;
        check_end(arrival, end.as_ref(), polled, state.continue_with.is_some())
            .map_err(Stop::Diverged)
    }
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

fn check_calls<'a>(
    arrival: &Event,
    recorded: &[Event],
    matched: &matching::Matched,
    call: impl Fn(CallKey) -> Option<&'a Call>,
) -> Result<(), Divergence> {
    let extra = matched.extra.first().and_then(|key| call(*key));
    match (matched.missing.first(), extra) {
        (Some(&missing), instead) => Err(Divergence::not_asked(&recorded[missing], instead)),
        (None, Some(extra)) => Err(Divergence::not_recorded(arrival.seq, extra)),
        (None, None) => Ok(()),
    }
}

fn check_cancels(
    arrival: &Event,
    recorded: &[Event],
    dropped: &[EventSeq],
) -> Result<(), Divergence> {
    let is_dropped = |event: &&Event| event.refers.is_some_and(|call| dropped.contains(&call));
    if let Some(held) = recorded.iter().find(|event| !is_dropped(event)) {
        return Err(Divergence::not_dropped(held));
    }
    let is_recorded = |call: &&EventSeq| recorded.iter().any(|event| event.refers == Some(**call));
    match dropped.iter().find(|call| !is_recorded(call)) {
        Some(call) => Err(Divergence::dropped(arrival.seq, *call)),
        None => Ok(()),
    }
}

fn check_end(
    arrival: &Event,
    end: Option<&Event>,
    polled: &Polled,
    continues: bool,
) -> Result<(), Divergence> {
    let ended = continues || !matches!(polled, Polled::Pending);
    match (end, ended) {
        (Some(end), false) => Err(Divergence::plain(end, "goes on")),
        (None, true) => Err(Divergence::plain(
            arrival,
            "ends after it, and the history goes on",
        )),
        _ => Ok(()),
    }
}

fn end_of(polled: Polled, state: &mut crate::context::shared::State) -> Option<End> {
    if let Some(input) = state.continue_with.take() {
        return Some(End::ContinuedAsNew(input));
    }
    match polled {
        Polled::Pending => None,
        Polled::Returned(Ok(output)) => Some(End::Completed(output)),
        Polled::Returned(Err(error)) => {
            let escaped = escaped_calls(state, &error.tasks);
            Some(End::Failed(FailedEnd {
                panicked: false,
                error: error.record,
                escaped,
            }))
        }
        Polled::Panicked(message) => {
            let error = ErrorRecord::message(message);
            Some(End::Failed(FailedEnd {
                panicked: true,
                error,
                escaped: Vec::new(),
            }))
        }
    }
}

/// The failed calls whose error escaped: those found in the returned error, else those whose error was
/// last dropped in this very delivery.
fn escaped_calls(state: &crate::context::shared::State, found: &[TaskError]) -> Vec<EscapedCall> {
    let named = |handed: &&HandedError| found.iter().any(|error| error.call() == Some(handed.call));
    let is_named = state.errors.iter().any(|handed| named(&handed));
    let delivery = state.delivery;
    let escaped = |handed: &&HandedError| {
        if is_named {
            named(handed)
        } else {
            handed.mark.dropped_in(delivery)
        }
    };
    state
        .errors
        .iter()
        .filter(escaped)
        .map(HandedError::escaped)
        .collect()
}

impl HandedError {
    fn escaped(&self) -> EscapedCall {
        EscapedCall {
            call: self.call,
            failed: self.failed,
            task: Arc::clone(&self.data.task),
            kind: self.data.kind,
            attempts: self.data.attempts,
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.future.is_some() {
            self.evict();
        }
    }
}
