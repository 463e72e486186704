//! Values that were delivered to a call whose code dropped it without looking: they go to the next calls of their name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::EventKind;
use crate::id::EventSeq;
use crate::payload::Payload;

/// A signal or an answer that no code has seen.
pub(crate) struct Unseen {
    /// What sort of call takes it.
    pub(crate) kind: EventKind,
    pub(crate) name: Arc<str>,
    pub(crate) payload: Payload,
}

/// All of them, by the event that first recorded each: the order in which they came, however their calls were dropped.
#[derive(Default)]
pub(crate) struct UnseenValues {
    by_event: BTreeMap<EventSeq, Unseen>,
    has_news: bool,
}

impl UnseenValues {
    /// Keeps a value for the next call that takes it.
    pub(crate) fn keep(&mut self, received: EventSeq, value: Unseen) {
        self.by_event.insert(received, value);
        self.has_news = true;
    }

    /// Another call has the value of this event, or is about to.
    pub(crate) fn forget(&mut self, received: EventSeq) {
        self.by_event.remove(&received);
    }

    /// The values for calls of this kind and name, the first one first.
    pub(crate) fn of<'a>(
        &'a self,
        kind: EventKind,
        name: &'a str,
    ) -> impl Iterator<Item = (EventSeq, &'a Unseen)> {
        let fits = move |value: &Unseen| value.kind == kind && *value.name == *name;
        let all = self.by_event.iter();
        all.filter(move |(_, value)| fits(value))
            .map(|(received, value)| (*received, value))
    }

    /// The kinds and names of all values, where any was added since this was last asked.
    pub(crate) fn take_news(&mut self) -> Vec<(EventKind, Arc<str>)> {
        if !std::mem::take(&mut self.has_news) {
            return Vec::new();
        }
        let values = self.by_event.values();
        values
            .map(|value| (value.kind, Arc::clone(&value.name)))
            .collect()
    }
}
