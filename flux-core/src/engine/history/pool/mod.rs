//! The memo pool of a rewound execution: what succeeded in the events that no longer count.
//!
//! After a rewind the code may take another way than before; what it asks for again takes the result that
//! is already recorded (`CALL_REUSED`) instead of running twice. A call is found here by kind, name and input. Equal ones
//! are told apart as in a replay: by what the delivery that made them came from, and within it by
//! [their sites](crate::sites). Where the code has taken another way, so that no such delivery is recorded, a call takes
//! the result of the site that it probably had, and otherwise the first that is left.
//!
//! What was undone is no success any more, and what was done at the end of the execution is to be done at each end. Where
//! anything was undone, a person is asked again for the answers from before it, unless their calls keep them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::equals::{EqualCalls, LiveDelivery};
use self::memo::Alike;
use crate::context::shared::Call;
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::replay::matching::digest_of;
use crate::sites::{Moves, Site};

mod equals;
mod memo;
mod reading;

pub(crate) use self::memo::{Cause, Taken};

/// What can be taken up again after a rewind.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Calls that no longer count, by what calls have to agree in.
    equals: BTreeMap<Alike, EqualCalls>,
    /// Calls that took the place of a recorded one, and the first of those whose place that was.
    origins: BTreeMap<EventSeq, EventSeq>,
    /// The same the other way round: the calls that took the place of one, in their order.
    heirs: BTreeMap<EventSeq, BTreeSet<EventSeq>>,
    /// What deliveries have come from since the last rewind.
    past: BTreeSet<Cause>,
    /// Completions, no longer counting, of calls that do and have no other.
    answers: BTreeMap<EventSeq, Event>,
    /// Calls that count, and whose failure no longer does: to be tried again.
    failed: BTreeSet<EventSeq>,
    /// The events whose values were taken over, or delivered once more, and by how many events that count.
    used: BTreeMap<EventSeq, usize>,
    /// The rewind up to which all of this is known.
    known_to: Option<EventSeq>,
}

impl Pool {
    /// Takes results for calls that the code has made in one delivery, in the order in which it asked for them.
    ///
    /// # Errors
    ///
    /// One of several recorded calls that nothing tells apart.
    pub(crate) fn take<'a>(
        &mut self,
        cause: Cause,
        calls: impl Iterator<Item = (EventSeq, &'a Call)>,
        moves: &mut Moves,
    ) -> Result<BTreeMap<EventSeq, Taken>, Event> {
        let cause = cause.from(&self.origins);
        self.past.insert(cause);
        let mut by_alike: BTreeMap<Alike, Vec<(EventSeq, Site)>> = BTreeMap::new();
        for (seq, call) in calls {
            let digest = digest_of(call.input.as_ref());
            let alike = (call.kind as u8, Arc::clone(&call.name), digest);
            let equals = by_alike.entry(alike).or_default();
            equals.push((seq, Site::today(call.site)));
        }
        let mut taken = BTreeMap::new();
        for (alike, calls) in by_alike {
            let Some(equals) = self.equals.get_mut(&alike) else {
                continue;
            };
            let mut asked = LiveDelivery {
                cause,
                past: &self.past,
                moves,
            };
            for (call, recorded) in equals.choose(&mut asked, &calls)? {
                let origin = self.origins.get(&recorded).copied();
                let origin = origin.unwrap_or(recorded);
                // Where an attempt that took another way has reused it, its result is now that of the call that took its place.
                let heirs = self.heirs.get(&origin).into_iter().flatten().rev();
                let mut holders = std::iter::once(&recorded).chain(heirs);
                let found = holders.find_map(|holder| Some((*holder, equals.take(*holder)?)));
                if let Some((recorded, memo)) = found {
                    let alike = alike.clone();
                    let result = Taken {
                        alike,
                        recorded,
                        memo,
                    };
                    taken.insert(call, result);
                }
                self.origins.insert(call, origin);
                self.heirs.entry(origin).or_default().insert(call);
            }
        }
        Ok(taken)
    }

    /// Takes a result back from a call that was dropped before it was delivered, for the next one like it.
    pub(crate) fn put_back(&mut self, taken: Taken) {
        if let Some(equals) = self.equals.get_mut(&taken.alike) {
            equals.put(taken.recorded, taken.memo);
        }
    }

    /// Signals and answers of calls that count and were dropped before these were delivered to them once more; those of
    /// `given` are on their way.
    pub(crate) fn unseen(&self, given: &BTreeSet<EventSeq>) -> Vec<Event> {
        let is_value = |event: &Event| {
            matches!(
                event.kind,
                EventKind::SignalReceived | EventKind::PauseAnswered
            )
        };
        let answers = self.answers.iter();
        let unseen = answers.filter(|(call, event)| {
            is_value(event) && !given.contains(call) && !self.is_used(event.first_received())
        });
        unseen.map(|(_, event)| event.clone()).collect()
    }

    /// The completion of a call that a rewind left without one.
    pub(crate) fn answer(&self, call: EventSeq) -> Option<Event> {
        let answer = self.answers.get(&call);
        answer
            .filter(|event| !self.is_used(event.first_received()))
            .cloned()
    }

    /// Whether the failure of this call was taken back, so that it gets another try.
    pub(crate) fn has_failed(&self, call: EventSeq) -> bool {
        self.failed.contains(&call)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.equals.is_empty()
    }

    fn is_used(&self, received: EventSeq) -> bool {
        self.used.contains_key(&received)
    }

    /// An event that used a value counts no longer.
    fn set_free(&mut self, received: EventSeq) {
        if let Some(count) = self.used.get_mut(&received) {
            *count -= 1;
            if *count == 0 {
                self.used.remove(&received);
            }
        }
    }
}
