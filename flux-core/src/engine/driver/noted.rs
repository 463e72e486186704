//! What the transactions that bodies run have come to, as it is noted in the history.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::statements::Came;
use crate::event::{BodyTransactionMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;

/// What the transactions of a call have come to so far, by their names, their numbers, and whether it was the fallback that
/// ran them.
#[derive(Debug, Default)]
pub(super) struct Noted(pub(super) BTreeMap<(Arc<str>, u32, bool), Came>);

impl Noted {
    pub(super) fn see(&mut self, call: EventSeq, event: &Event) {
        if event.kind == EventKind::Rewound {
            self.forget_failures();
        }
        if event.refers != Some(call) {
            return;
        }
        match event.kind {
            EventKind::BodyTransaction => self.note(event),
            // A further attempt tries again what failed in this one; one that was cut off goes the same way again.
            EventKind::TaskAttemptFailed => self.forget_failures(),
            _ => {}
        }
    }

    fn note(&mut self, event: &Event) {
        let meta = event.meta::<BodyTransactionMeta>();
        let name = event.name.clone().unwrap_or_default();
        self.0
            .insert((name, meta.nth, meta.fallback), came(event, meta));
    }

    fn forget_failures(&mut self) {
        self.0.retain(|_, came| came.is_ok());
    }
}

/// What an event says that statements have come to.
pub(super) fn came(event: &Event, meta: BodyTransactionMeta) -> Came {
    let payload = event.payload.clone().unwrap_or_else(Payload::null);
    if meta.failed {
        Err(payload)
    } else {
        Ok(payload)
    }
}
