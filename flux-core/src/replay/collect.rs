//! A live delivery: what the code asked for is numbered and made events.

use std::sync::Arc;

use super::recorded::Polled;
use super::{Delivered, Machine};
use crate::clock::Timestamp;
use crate::context::end::End;
use crate::context::request::Request;
use crate::context::shared::{Call, Issued, SharedState};
use crate::event::{CallMeta, Event, EventKind, site_text};
use crate::id::EventSeq;
use crate::payload::Payload;

impl Machine {
    /// Numbers what live code asked for.
    pub(super) fn collect(&mut self, polled: Polled) -> Delivered {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.state();
        let mut delivered = Delivered::default();
        let (delivery, at) = (state.delivery, state.at);
        for issued in std::mem::take(&mut state.issued) {
            let event = match issued {
                Issued::Value(value) => {
                    let meta = CallMeta {
                        site: value.site.map(site_text).unwrap_or_default(),
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
            Some(Request::Timer { due, .. }) => meta.due = Some(*due),
            Some(Request::Child { id, policy, .. }) => {
                meta.when_parent_ends = *policy;
                let id = id
                    .clone()
                    .unwrap_or_else(|| self.shared.id.child(self.next));
                meta.child = Some(id.as_str().into());
            }
            Some(Request::Pause { is_kept, .. }) => meta.keep = *is_kept,
            Some(Request::Signal { again, .. }) => meta.again = *again,
            Some(Request::Task(task)) => meta.undoes = task.undoes,
            Some(Request::Transaction(transaction)) => meta.undoes = transaction.undoes,
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
}

/// How the code ended, if it did. Beginning anew is an end, too, of code that is left waiting.
fn end_of(polled: Polled, state: &mut SharedState) -> Option<End> {
    if let Some(input) = state.continue_with.take() {
        return Some(End::ContinuedAsNew(input));
    }
    match polled {
        Polled::Pending => None,
        Polled::Ended(end) => Some(end),
    }
}
