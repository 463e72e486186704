//! What an execution's code and its driver share: the calls it has made, and the delivery it is in.
//!
//! The code writes here while it is polled (it issues calls, looks at outcomes, drops calls); the replay
//! core reads the result after each poll. Nothing is locked across an await, and nothing here knows a clock.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};

use super::on_exit::ExitHandler;
use super::request::Request;
use super::rollback::Rollbacks;
use super::unknown::{CutOff, UnknownOutcomes};
use super::unseen::{Unseen, UnseenValues};
use crate::clock::Timestamp;
use crate::error::escape::DropMark;
use crate::error::{ErrorRecord, TaskError};
use crate::event::EventKind;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::{Payload, PayloadError};
use crate::sites::{RecordedValues, Tries};
use crate::sync::lock;
use crate::task::States;
use crate::workflow::{StopReason, WorkflowDef};

/// The limits and defaults that an engine gives to code that runs in it.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) states: States,
    pub(crate) payload_limit: usize,
    pub(crate) defaults: super::request::Policy,
    /// The engine itself, which only it can make sense of.
    pub(crate) engine: Weak<dyn Any + Send + Sync>,
}

/// One execution, as its code sees it.
pub(crate) struct Shared {
    pub(crate) id: ExecutionId,
    pub(crate) workflow: &'static WorkflowDef,
    pub(crate) env: Arc<Environment>,
    /// The moment its schedule started it for.
    pub(crate) scheduled_at: Option<Timestamp>,
    /// The number of the present delivery, for errors that note where they were dropped.
    pub(crate) now: Arc<AtomicU32>,
    state: Mutex<SharedState>,
}

/// Names a call from its first poll on; its event number is known only after the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallKey(u64);

/// One call that its code still holds.
pub(crate) struct Call {
    pub(crate) kind: EventKind,
    pub(crate) name: Arc<str>,
    pub(crate) input: Option<Payload>,
    pub(crate) site: &'static Location<'static>,
    /// What the driver needs to carry it out; taken when it does.
    pub(crate) request: Option<Request>,
    /// Its body never runs again after it was cut off.
    is_once: bool,
    /// Its event, once recorded.
    pub(crate) seq: Option<EventSeq>,
    waker: Option<Waker>,
    outcome: Option<Outcome>,
    /// The event that first recorded the outcome.
    received: EventSeq,
    /// Its code has looked at the outcome.
    seen: bool,
}

/// What a call came to.
pub(crate) enum Outcome {
    /// A value, and where the body ran in this process, what was decoded from it.
    Value(Payload, Option<Box<dyn Any + Send>>),
    /// A failure.
    Error(TaskError),
}

/// What the code did in one delivery, in order.
pub(crate) enum Issued {
    Call(CallKey),
    Value(RecordedValue),
}

/// A value that was recorded the moment it was asked for.
pub(crate) struct RecordedValue {
    pub(crate) kind: EventKind,
    pub(crate) name: Arc<str>,
    pub(crate) payload: Payload,
    pub(crate) site: Option<&'static Location<'static>>,
}

/// What stops an execution's code in mid-delivery.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A recorded value is not of the type the code has today.
    Decode {
        event: EventSeq,
        what: String,
        error: PayloadError,
    },
    /// The code asked for a value that the history does not have here.
    Value {
        kind: EventKind,
        name: Arc<str>,
        site: &'static Location<'static>,
    },
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and no combination is impossible"
)]
pub(crate) struct SharedState {
    pub(crate) delivery: EventSeq,
    pub(crate) at: Timestamp,
    pub(crate) attempt: u32,
    pub(crate) replaying: bool,
    /// Somebody wants the execution cancelled, as of the position that is replayed.
    pub(crate) is_cancelling: bool,
    /// Whether a stop follows this delivery: code that ends in it has ended too late.
    pub(crate) is_late: bool,
    /// The delivery in which the code ended too late.
    pub(crate) ended_late: Option<EventSeq>,
    /// The future is dropped to evict, hand over or shut down: drops cancel nothing.
    closing: bool,
    next_key: u64,
    pub(crate) calls: BTreeMap<CallKey, Call>,
    by_seq: BTreeMap<EventSeq, CallKey>,
    pub(crate) issued: Vec<Issued>,
    /// Recorded calls that the code dropped before their end, in this delivery.
    pub(crate) cancelled: Vec<EventSeq>,
    /// In a replay: the values recorded in this delivery.
    pub(crate) recorded_values: RecordedValues,
    pub(crate) patches: BTreeMap<Arc<str>, bool>,
    pub(crate) continue_with: Option<Payload>,
    pub(crate) fault: Option<Fault>,
    /// What earlier tries of this replay have taught it.
    pub(crate) tries: Tries,
    /// Whether it had a choice between equal calls or values.
    pub(crate) is_ambiguous: bool,
    /// Whether it has given the code a value that was meant for another site.
    pub(crate) is_misjudged: bool,
    /// Errors that were handed to the code, and where the last clone of each was dropped.
    pub(crate) errors: Vec<HandedError>,
    /// Signals and answers that were delivered to calls dropped unseen.
    pub(crate) unseen: UnseenValues,
    /// What undoes the calls made so far.
    pub(crate) rollbacks: Rollbacks,
    pub(crate) unknown: UnknownOutcomes,
    /// What is to be done at the end, the last first.
    pub(crate) exit_handlers: Vec<ExitHandler>,
    /// How the code is not let run on: told to it as an arrival.
    pub(crate) stop: Option<StopReason>,
    /// When a failure of the code begins the exit phase.
    pub(crate) exit_rule: ExitRule,
    /// The code is gone, and what it left to be done at its end is done.
    pub(crate) is_exiting: bool,
}

/// What is to happen when the code fails, as of the delivery under way.
#[derive(Debug, Default)]
pub(crate) enum ExitRule {
    /// The execution has failed: what is left to be done at its end is done.
    #[default]
    Begin,
    /// Another attempt follows.
    Wait,
    /// A failure just like this one is no news.
    BeginUnless(Box<ErrorRecord>),
}

/// A failed call whose error the code was given.
pub(crate) struct HandedError {
    pub(crate) call: EventSeq,
    pub(crate) failed: EventSeq,
    pub(crate) mark: DropMark,
    /// The call is a child, and what it failed with is in that one's history, too.
    pub(crate) is_of_child: bool,
    pub(crate) data: crate::error::TaskFailure,
}

/// What came of handing an arrival to the code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// The call waits for it and was woken.
    Woken,
    /// No call of this number waits: it was dropped, or never asked for.
    Nobody,
}

impl Shared {
    pub(crate) fn new(
        id: ExecutionId,
        workflow: &'static WorkflowDef,
        env: Arc<Environment>,
        scheduled_at: Option<Timestamp>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            workflow,
            env,
            scheduled_at,
            now: Arc::default(),
            state: Mutex::new(SharedState::new()),
        })
    }

    /// Locks the state. A poisoned lock is taken all the same: user code never runs under it.
    pub(crate) fn state(&self) -> MutexGuard<'_, SharedState> {
        lock(&self.state)
    }

    /// Opens a delivery.
    pub(crate) fn begin(&self, delivery: EventSeq, at: Timestamp, replaying: bool) {
        self.now.store(delivery.get(), Ordering::Relaxed);
        let mut state = self.state();
        state.delivery = delivery;
        state.at = at;
        state.replaying = replaying;
    }

    /// Drops of calls cancel nothing from here on.
    pub(crate) fn close(&self) {
        self.state().closing = true;
    }

    /// Hands an outcome to the call `seq`; `received` is the event that first recorded it.
    pub(crate) fn hand(&self, seq: EventSeq, outcome: Outcome, received: EventSeq) -> Handed {
        let waker = {
            let mut state = self.state();
            let state = &mut *state;
            let Some(call) = state
                .by_seq
                .get(&seq)
                .and_then(|key| state.calls.get_mut(key))
            else {
                return Handed::Nobody;
            };
            state.rollbacks.settle(seq, &outcome);
            state.unknown.settle(state.delivery, &outcome);
            call.outcome = Some(outcome);
            call.received = received;
            state.unseen.forget(received);
            call.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Handed::Woken
    }

    /// Registers a call on its first poll.
    pub(crate) fn issue(&self, call: NewCall, waker: &Waker) -> CallKey {
        let mut state = self.state();
        let key = CallKey(state.next_key);
        state.next_key += 1;
        state.issued.push(Issued::Call(key));
        let call = Call {
            kind: call.kind,
            name: call.name,
            input: call.input,
            site: call.site,
            is_once: call.request.is_once(),
            request: Some(call.request),
            seq: None,
            waker: Some(waker.clone()),
            outcome: None,
            received: EventSeq::FIRST,
            seen: false,
        };
        state.calls.insert(key, call);
        key
    }

    /// Looks at a call's outcome, or leaves the waker.
    pub(crate) fn poll_call(&self, key: CallKey, cx: &Context<'_>) -> Poll<Outcome> {
        let waker = cx.waker().clone();
        // A waker may be the last owner of a combinator's task, whose drop comes back here: not under the lock.
        let _old_waker;
        let mut state = self.state();
        let Some(call) = state.calls.get_mut(&key) else {
            return Poll::Pending;
        };
        if let Some(outcome) = call.outcome.take() {
            call.seen = true;
            drop(state);
            return Poll::Ready(outcome);
        }
        _old_waker = call.waker.replace(waker);
        drop(state);
        Poll::Pending
    }

    /// Takes back a call that its code dropped.
    pub(crate) fn drop_call(&self, key: CallKey) {
        // What the request holds (a step's future, say) may run user code when dropped: not under the lock.
        let _call = self.state().remove(key);
    }

    /// Stops the code: what it asked for cannot be answered.
    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault.get_or_insert(fault);
    }

    /// Records a value, or in a replay finds the one that was recorded.
    pub(crate) fn value(
        &self,
        kind: EventKind,
        name: &Arc<str>,
        site: &'static Location<'static>,
        make: impl FnOnce() -> Payload,
    ) -> Option<Payload> {
        let mut state = self.state();
        if state.replaying {
            let found = state.take_recorded(kind, name, site);
            if found.is_none() {
                state.fault.get_or_insert(Fault::Value {
                    kind,
                    name: Arc::clone(name),
                    site,
                });
            }
            return found;
        }
        let payload = make();
        let value = RecordedValue {
            kind,
            name: Arc::clone(name),
            payload: payload.clone(),
            site: Some(site),
        };
        state.issued.push(Issued::Value(value));
        Some(payload)
    }

    /// Answers `patched(id)`: sticky from its first answer in this execution.
    pub(crate) fn patched(&self, id: &Arc<str>, site: &'static Location<'static>) -> bool {
        let mut state = self.state();
        if let Some(answer) = state.patches.get(id) {
            return *answer;
        }
        // A replay that finds no record is of a history that older code wrote: the old side was taken.
        let answer = if state.replaying {
            state.take_recorded(EventKind::Patched, id, site).is_some()
        } else {
            let payload = Payload::from_json("true");
            state.issued.push(Issued::Value(RecordedValue {
                kind: EventKind::Patched,
                name: Arc::clone(id),
                payload,
                site: Some(site),
            }));
            true
        };
        state.patches.insert(Arc::clone(id), answer);
        answer
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A call as its future describes it.
pub(crate) struct NewCall {
    pub(crate) kind: EventKind,
    pub(crate) name: Arc<str>,
    pub(crate) input: Option<Payload>,
    pub(crate) site: &'static Location<'static>,
    pub(crate) request: Request,
}

impl SharedState {
    fn new() -> Self {
        Self {
            delivery: EventSeq::FIRST,
            at: Timestamp::from_micros(0),
            attempt: 1,
            replaying: false,
            is_cancelling: false,
            is_late: false,
            ended_late: None,
            closing: false,
            next_key: 0,
            calls: BTreeMap::new(),
            by_seq: BTreeMap::new(),
            issued: Vec::new(),
            cancelled: Vec::new(),
            recorded_values: RecordedValues::default(),
            patches: BTreeMap::new(),
            continue_with: None,
            fault: None,
            tries: Tries::default(),
            is_ambiguous: false,
            is_misjudged: false,
            errors: Vec::new(),
            unseen: UnseenValues::default(),
            rollbacks: Rollbacks::default(),
            unknown: UnknownOutcomes::default(),
            exit_handlers: Vec::new(),
            stop: None,
            exit_rule: ExitRule::Begin,
            is_exiting: false,
        }
    }

    /// Gives a call its event number.
    pub(crate) fn number(&mut self, key: CallKey, seq: EventSeq) {
        if let Some(call) = self.calls.get_mut(&key) {
            call.seq = Some(seq);
            self.rollbacks.register(seq, call);
            self.by_seq.insert(seq, key);
        }
    }

    /// The call of this number, while its code holds it.
    pub(crate) fn call_by_seq(&mut self, seq: EventSeq) -> Option<&mut Call> {
        let key = self.by_seq.get(&seq)?;
        self.calls.get_mut(key)
    }

    /// The same, only to be looked at.
    pub(crate) fn held(&self, seq: EventSeq) -> Option<&Call> {
        self.calls.get(self.by_seq.get(&seq)?)
    }

    /// The numbered calls that wait for an outcome, in order.
    pub(crate) fn pending(&mut self) -> impl Iterator<Item = (EventSeq, &mut Call)> {
        self.calls
            .values_mut()
            .filter(|call| call.outcome.is_none() && !call.seen)
            .filter_map(|call| call.seq.map(|seq| (seq, call)))
    }

    /// Lets go of errors that the code has dealt with; now and then, so that it costs nothing.
    pub(crate) fn forget_old_errors(&mut self) {
        let count = self.errors.len();
        if count >= 32 && count.is_power_of_two() {
            let delivery = self.delivery;
            self.errors
                .retain(|error| !error.mark.dropped_before(delivery));
        }
    }

    fn remove(&mut self, key: CallKey) -> Option<Call> {
        if self.closing {
            return None;
        }
        let mut call = self.calls.remove(&key)?;
        // Without a number it was issued in this very delivery: ephemeral, as if never asked for.
        let Some(seq) = call.seq else {
            return Some(call);
        };
        self.by_seq.remove(&seq);
        match call.outcome.take() {
            _ if call.seen => {}
            None => {
                self.cancelled.push(seq);
                self.rollbacks.let_go(seq);
                if call.is_once {
                    self.unknown.let_go(self.delivery, &call.name);
                }
                self.unknown.let_go_of_child(&call);
            }
            Some(Outcome::Value(payload, _)) if call.kind.takes_from_a_queue() => {
                let value = Unseen {
                    kind: call.kind,
                    name: Arc::clone(&call.name),
                    payload,
                };
                self.unseen.keep(call.received, value);
            }
            Some(_) => {}
        }
        Some(call)
    }

    /// The tasks whose bodies would run again, although they may have done their work and are not to do it twice, if what
    /// happened from `to` on were taken back.
    pub(crate) fn unknown_since(&self, to: EventSeq) -> Vec<Arc<str>> {
        let is_cut_off = |call: &&Call| call.is_once && call.seq.is_some() && !call.is_answered();
        let cut_off = self.calls.values().filter(is_cut_off);
        let mut names: Vec<Arc<str>> = Vec::new();
        for task in self.unknown.since(to).chain(cut_off.map(|call| &call.name)) {
            if !names.contains(task) {
                names.push(Arc::clone(task));
            }
        }
        names
    }

    /// The children that were called from `to` on and are cut off, or are if the code ends now.
    pub(crate) fn cut_off_since(&self, to: EventSeq) -> Vec<CutOff> {
        let held = self.calls.values().filter(|call| !call.is_answered());
        let held = held.filter_map(CutOff::of).filter(|(seq, _)| *seq >= to);
        let held = held.map(|(_, child)| child);
        let dropped = self.unknown.cut_off_since(to).cloned();
        dropped.chain(held).collect()
    }

    /// Whether there is something to do when the code is gone. A good end undoes nothing.
    pub(crate) fn has_work_at_exit(&self, is_good: bool) -> bool {
        let has_rollbacks = !is_good && !self.rollbacks.is_empty();
        !self.is_exiting && (has_rollbacks || !self.exit_handlers.is_empty())
    }

    /// Whether the code is gone and that work begins: live as decided, in a replay as recorded.
    pub(super) fn begin_exit(&mut self, why: &str, wanted: bool) -> bool {
        let begins = if self.replaying {
            self.recorded_values.take_any(EventKind::ExitStarted)
        } else {
            wanted
        };
        if begins && !self.replaying {
            self.issued.push(Issued::Value(RecordedValue {
                kind: EventKind::ExitStarted,
                name: why.into(),
                payload: Payload::null(),
                site: None,
            }));
        }
        self.is_exiting = begins;
        begins
    }

    /// Takes the recorded value of this kind and name that is meant here.
    fn take_recorded(
        &mut self,
        kind: EventKind,
        name: &Arc<str>,
        site: &'static Location<'static>,
    ) -> Option<Payload> {
        let values = &mut self.recorded_values;
        let (value, is_ambiguous) = values.take(kind, name, site, self.delivery, &self.tries)?;
        self.is_ambiguous |= is_ambiguous;
        Some(value)
    }
}

impl Call {
    /// Whether an outcome was handed to it that its code has not looked at.
    pub(crate) fn is_answered(&self) -> bool {
        self.outcome.is_some() || self.seen
    }
}
