//! Which events of a history count: what a replay would go through.

use crate::event::{Event, EventKind, RewoundMeta};
use crate::id::EventSeq;

/// The runs of events that count, first and last of each, in order.
#[derive(Debug)]
pub(super) struct Counting(Vec<(u32, u32)>);

impl Counting {
    /// Reads it from a whole history: its last beginning, or its last rewind, tells.
    pub(super) fn of(events: &[Event]) -> Self {
        let is_turn =
            |event: &&Event| matches!(event.kind, EventKind::ContinuedAsNew | EventKind::Rewound);
        let Some(turn) = events.iter().rev().find(is_turn) else {
            return Self(vec![(0, u32::MAX)]);
        };
        // Of one that begins anew there is nothing kept.
        let mut runs = turn.meta::<RewoundMeta>().kept;
        runs.push((turn.seq.get(), u32::MAX));
        Self(runs)
    }

    /// Whether this event counts.
    pub(super) fn counts(&self, seq: EventSeq) -> bool {
        let holds = |(first, last): &(u32, u32)| (*first..=*last).contains(&seq.get());
        self.0.iter().any(holds)
    }
}
