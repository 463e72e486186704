//! Signals, and answers that no code has seen: which value goes to which call, in the order in which they came.
//!
//! Of one name at most one value is on its way to a call, and it stays where it is kept until it is delivered. So a value
//! whose call is dropped in between is still the first of its name, whatever has come in since. A timer that was due
//! before a signal was sent fires before it, and a later one after it, however late both are looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::arrivals::NewOutcome;
use super::calls::Calls;
use crate::clock::Timestamp;
use crate::context::request::Request;
use crate::context::unseen::Unseen;
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::Machine;
use crate::replay::outline::outline;
use crate::store::{Message, MessageId};

/// What takes a value: the kind of call, and its name.
type Taker = (EventKind, Arc<str>);

/// Where a value is kept until it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// It was delivered before, by this event, and no code has seen it.
    Unseen(EventSeq),
    /// It lies in the inbox.
    Inbox(MessageId),
}

/// Signals in the inbox, and the values that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// By name, the first one first.
    inbox: BTreeMap<Arc<str>, VecDeque<Message>>,
    on_the_way: BTreeMap<Taker, Kept>,
    /// Of these there may be a value and a call for it.
    stirred: BTreeSet<Taker>,
    /// Signals of a type that no call takes: each is warned of once.
    odd: BTreeSet<MessageId>,
}

/// A value that is sent on its way.
pub(crate) struct OnTheWay {
    kept: Kept,
    pub(crate) outcome: NewOutcome,
    /// When it was sent to this execution, where it was not delivered before.
    pub(crate) sent_at: Option<Timestamp>,
}

impl OnTheWay {
    fn of_inbox(call: EventSeq, message: &Message) -> Self {
        let mut outcome = NewOutcome::new(EventKind::SignalReceived, call);
        outcome.name = Some(Arc::clone(&message.name));
        outcome.payload = Some(message.payload.clone());
        outcome.consumed = Some(message.id);
        Self {
            kept: Kept::Inbox(message.id),
            outcome,
            sent_at: Some(message.at),
        }
    }

    fn unseen(outcome: NewOutcome, received: EventSeq, name: &Arc<str>, payload: Payload) -> Self {
        let mut outcome = outcome.delivered_before(received);
        outcome.name = Some(Arc::clone(name));
        outcome.payload = Some(payload);
        Self {
            kept: Kept::Unseen(received),
            outcome,
            sent_at: None,
        }
    }
}

impl NewOutcome {
    /// Which value it brings, where others may be after the same.
    fn kept_value(&self) -> Option<(Taker, Kept)> {
        let kind = match self.kind {
            EventKind::SignalReceived => EventKind::SignalAwaited,
            EventKind::PauseAnswered => EventKind::PauseReached,
            _ => return None,
        };
        let unseen = self.received.map(Kept::Unseen);
        let kept = unseen.or(self.consumed.map(Kept::Inbox))?;
        Some(((kind, self.name.clone()?), kept))
    }
}

impl Values {
    /// A signal has come in.
    pub(crate) fn receive(&mut self, message: Message) {
        self.stir(EventKind::SignalAwaited, &message.name);
        let queue = self.inbox.entry(Arc::clone(&message.name)).or_default();
        queue.push_back(message);
    }

    /// There may be something for calls of this kind and name.
    pub(crate) fn stir(&mut self, kind: EventKind, name: &Arc<str>) {
        self.stirred.insert((kind, Arc::clone(name)));
    }

    /// The code is made again, and waits for nothing yet.
    pub(crate) fn forget_calls(&mut self) {
        self.on_the_way.clear();
    }

    /// The inbox is read again from its beginning.
    pub(crate) fn forget_inbox(&mut self) {
        self.inbox.clear();
    }

    /// Hands values to the calls that wait for them: of each name the first value to the first call that takes it.
    pub(crate) fn match_calls(&mut self, calls: &mut Calls, machine: &Machine) -> Vec<OnTheWay> {
        let news = machine.shared.state().unseen.take_news();
        self.stirred.extend(news);
        let stirred = std::mem::take(&mut self.stirred);
        let mut found: Vec<OnTheWay> = stirred
            .into_iter()
            .filter_map(|taker| self.next_value(taker, calls, machine))
            .collect();
        found.sort_by_key(|next| next.kept);
        found
    }

    /// Sends the next value on its way.
    fn next_value(
        &mut self,
        taker: Taker,
        calls: &mut Calls,
        machine: &Machine,
    ) -> Option<OnTheWay> {
        if self.on_the_way.contains_key(&taker) {
            return None;
        }
        let next = match taker.0 {
            EventKind::SignalAwaited => self.next_signal(&taker.1, calls, machine)?,
            _ => next_answer(&taker.1, calls, machine)?,
        };
        if let Some(call) = next.outcome.call {
            calls.remove(call);
        }
        self.on_the_way.insert(taker, next.kept);
        Some(next)
    }

    fn next_signal(
        &mut self,
        name: &Arc<str>,
        calls: &Calls,
        machine: &Machine,
    ) -> Option<OnTheWay> {
        calls.that_await(name).next()?;
        unseen_signal(name, calls, machine).or_else(|| self.signal(name, calls, machine))
    }

    fn signal(&mut self, name: &Arc<str>, calls: &Calls, machine: &Machine) -> Option<OnTheWay> {
        let mut odd = Vec::new();
        let messages = self.inbox.get(name)?;
        let found = messages.iter().find_map(|message| {
            match call_that_takes(name, &message.payload, calls, machine) {
                Some(call) => Some(OnTheWay::of_inbox(call, message)),
                None => {
                    odd.push(message);
                    None
                }
            }
        });
        for message in odd {
            if self.odd.insert(message.id) {
                tracing::warn!(
                    signal = %message.name,
                    value = outline(&message.payload),
                    "a signal has another type than the code waits for and is passed over"
                );
            }
        }
        found
    }

    /// A value is delivered, or its call is gone: then it stays the first of its name.
    pub(crate) fn arrived(&mut self, outcome: &NewOutcome, is_delivered: bool, machine: &Machine) {
        let Some((taker, kept)) = outcome.kept_value() else {
            return;
        };
        if let (Kept::Unseen(received), false, Some(payload)) =
            (kept, is_delivered, &outcome.payload)
        {
            let value = Unseen {
                kind: taker.0,
                name: Arc::clone(&taker.1),
                payload: payload.clone(),
            };
            machine.shared.state().unseen.keep(received, value);
        }
        if self.on_the_way.get(&taker) == Some(&kept) {
            self.on_the_way.remove(&taker);
        }
        if let Kept::Inbox(id) = kept
            && is_delivered
        {
            self.take_from_inbox(&taker.1, id);
        }
        self.stirred.insert(taker);
    }

    fn take_from_inbox(&mut self, name: &Arc<str>, id: MessageId) {
        let Some(queue) = self.inbox.get_mut(name) else {
            return;
        };
        if let Some(place) = queue.iter().position(|message| message.id == id) {
            queue.remove(place);
        }
        if queue.is_empty() {
            self.inbox.remove(name);
        }
    }
}

/// One that was delivered to a call that was dropped unseen goes first.
fn unseen_signal(name: &Arc<str>, calls: &Calls, machine: &Machine) -> Option<OnTheWay> {
    let values: Vec<(EventSeq, Payload)> = {
        let state = machine.shared.state();
        let unseen = state.unseen.of(EventKind::SignalAwaited, name);
        unseen
            .map(|(received, value)| (received, value.payload.clone()))
            .collect()
    };
    values.into_iter().find_map(|(received, payload)| {
        let call = call_that_takes(name, &payload, calls, machine)?;
        let outcome = NewOutcome::new(EventKind::SignalReceived, call);
        Some(OnTheWay::unseen(outcome, received, name, payload))
    })
}

/// The oldest call that waits for a signal of this name and takes a value like this.
fn call_that_takes(
    name: &str,
    payload: &Payload,
    calls: &Calls,
    machine: &Machine,
) -> Option<EventSeq> {
    calls.that_await(name).find(|call| {
        let check = {
            let mut state = machine.shared.state();
            let request = state
                .call_by_seq(*call)
                .and_then(|call| call.request.as_ref());
            match request {
                Some(Request::Signal { check, .. }) => Some(*check),
                _ => None,
            }
        };
        // The user's code, and so not under the lock.
        check.is_some_and(|check| check(payload).is_ok())
    })
}

/// An answer that was delivered to a pause point that was dropped unseen goes to the next of its name.
fn next_answer(name: &Arc<str>, calls: &Calls, machine: &Machine) -> Option<OnTheWay> {
    let (received, payload) = {
        let state = machine.shared.state();
        let (received, value) = state.unseen.of(EventKind::PauseReached, name).next()?;
        (received, value.payload.clone())
    };
    let (call, _) = calls
        .own_pauses()
        .find(|(_, point)| point.name() == &**name)?;
    let outcome = NewOutcome::new(EventKind::PauseAnswered, call);
    Some(OnTheWay::unseen(outcome, received, name, payload))
}

/// Keeps a recorded value that was delivered to a call that is gone.
pub(crate) fn keep_unseen(event: Event, machine: &Machine) {
    let kind = match event.kind {
        EventKind::SignalReceived => EventKind::SignalAwaited,
        _ => EventKind::PauseReached,
    };
    let received = event.first_received();
    if let (Some(name), Some(payload)) = (event.name, event.payload) {
        let value = Unseen {
            kind,
            name,
            payload,
        };
        machine.shared.state().unseen.keep(received, value);
    }
}
