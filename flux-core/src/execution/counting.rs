//! Which events of a history count: what a replay goes through.
//!
//! A `REWOUND` event tells where the last run of events that count before it begins, and where it ends. What counts before
//! that run is told by the event that the run begins with, where that is a `REWOUND`, too. So each is of one size, however
//! many there are.
//!
//! ```text
//!  1 2 3  4 5 6  7 8 9            6 is REWOUND { from: 1, to: 4 }
//!  └─┬─┘         │ └┬┘            9 is REWOUND { from: 6, to: 8 }
//!    └───────────┴──┴── count     so 1 to 3, 6 to 7 and what follows 9
//! ```

use crate::event::{Event, EventKind, RewoundMeta};
use crate::id::EventSeq;

/// The runs of events that count, in order. The last one is open: it ends with the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs(Vec<EventRun>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EventRun {
    first: u32,
    last: u32,
    /// It begins with a `REWOUND` that says nothing of use once another follows it, unless something was delivered between
    /// the two.
    is_passing: bool,
}

impl Runs {
    /// All events from this one on.
    pub(crate) fn from(first: EventSeq) -> Self {
        Self(vec![EventRun {
            first: first.get(),
            last: u32::MAX,
            is_passing: false,
        }])
    }

    /// Reads it from a whole history: its last beginning, or its last rewind, tells.
    pub(super) fn of(events: &[Event]) -> Self {
        let is_turn =
            |event: &&Event| matches!(event.kind, EventKind::ContinuedAsNew | EventKind::Rewound);
        let Some(turn) = events.iter().rev().find(is_turn) else {
            return Self::from(EventSeq::FIRST);
        };
        let mut chain = Chain::new(turn);
        while let Some(wanted) = chain.next() {
            let found = events.binary_search_by_key(&wanted, |event| event.seq);
            chain.see(found.ok().map(|found| &events[found]));
        }
        chain.runs()
    }

    /// Whether this event counts.
    pub(crate) fn counts(&self, seq: EventSeq) -> bool {
        let after = self.0.partition_point(|run| run.first <= seq.get());
        after > 0 && seq.get() <= self.0[after - 1].last
    }

    /// The first and the last event of each.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, u32)> {
        self.0.iter().map(|run| (run.first, run.last))
    }

    /// Takes out what counts from `to` on. Gives the events since the last rewind, and all others that no longer count. The
    /// first delivery since that rewind is that of `first_delivery`, where that is known.
    pub(crate) fn cut(
        &mut self,
        to: EventSeq,
        first_delivery: Option<EventSeq>,
    ) -> Vec<(u32, u32)> {
        let to = to.get();
        let kept = self.0.partition_point(|run| run.first < to);
        let is_since_rewind = kept == self.0.len();
        let gone = self.0.drain(kept..);
        let mut changed: Vec<(u32, u32)> = gone.map(|run| (run.first, run.last)).collect();
        let Some(run) = self.0.last_mut().filter(|run| run.last >= to) else {
            return changed;
        };
        let from = if is_since_rewind { run.first } else { to };
        changed.insert(0, (from, run.last));
        run.last = to - 1;
        let has_delivered = first_delivery.is_none_or(|first| first.get() < to);
        if is_since_rewind && !has_delivered {
            self.0.pop_if(|run| run.is_passing);
        }
        changed
    }

    /// The last run of those that are left after a [`cut`](Self::cut): its first event, and the first that it does not have.
    pub(crate) fn last(&self) -> Option<(u32, u32)> {
        self.0.last().map(|run| (run.first, run.last + 1))
    }

    /// What follows this rewind counts.
    pub(crate) fn open(&mut self, rewound: EventSeq, meta: &RewoundMeta) {
        self.0.push(EventRun {
            first: rewound.get(),
            last: u32::MAX,
            is_passing: is_passing(meta),
        });
    }
}

/// Whether a rewind only began another attempt of the workflow. One that somebody asked for also begins a new deadline.
fn is_passing(meta: &RewoundMeta) -> bool {
    meta.attempt != meta.budget_from
}

/// Follows rewinds back to where the history that counts begins.
#[derive(Debug)]
pub(crate) struct Chain {
    /// The last one first.
    runs: Vec<EventRun>,
    /// The run that comes next, if its first event is known to be one that begins a run.
    wanted: Option<(u32, u32)>,
}

impl Chain {
    /// From the last rewind, or the last beginning.
    pub(crate) fn new(turn: &Event) -> Self {
        let mut chain = Self {
            runs: Vec::new(),
            wanted: Some((turn.seq.get(), u32::MAX)),
        };
        chain.see(Some(turn));
        chain
    }

    /// The event that is to be [seen](Self::see) next.
    pub(crate) fn next(&self) -> Option<EventSeq> {
        self.wanted.map(|(first, _)| EventSeq::new(first))
    }

    /// Takes the event that was asked for.
    pub(crate) fn see(&mut self, event: Option<&Event>) {
        let Some((first, last)) = self.wanted.take() else {
            return;
        };
        let rewound = event.filter(|event| event.kind == EventKind::Rewound);
        let meta = rewound.map(Event::meta::<RewoundMeta>);
        // One that begins from the input has nothing before it.
        let goes_back = rewound.is_some_and(|event| event.payload.is_none());
        self.runs.push(EventRun {
            first,
            last,
            is_passing: goes_back && meta.as_ref().is_some_and(is_passing),
        });
        if let Some(meta) =
            meta.filter(|meta| goes_back && meta.from < meta.to && meta.from < first)
        {
            self.wanted = Some((meta.from, meta.to - 1));
        }
    }

    /// What counts.
    pub(crate) fn runs(mut self) -> Runs {
        self.runs.reverse();
        Runs(self.runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq(seq: u32) -> EventSeq {
        EventSeq::new(seq)
    }

    fn attempt(attempt: u32, budget_from: u32) -> RewoundMeta {
        RewoundMeta {
            attempt,
            budget_from,
            ..RewoundMeta::default()
        }
    }

    fn shown(runs: &Runs) -> Vec<(u32, u32)> {
        runs.iter().collect()
    }

    #[test]
    fn what_is_cut_off_no_longer_counts() {
        let mut runs = Runs::from(seq(1));
        assert_eq!(runs.cut(seq(4), None), [(1, u32::MAX)]);
        runs.open(seq(6), &attempt(2, 1));
        assert_eq!(shown(&runs), [(1, 3), (6, u32::MAX)]);
        // Further back than the rewind before.
        let mut further = runs.clone();
        assert_eq!(further.cut(seq(3), Some(seq(7))), [(3, 3), (6, u32::MAX)]);
        assert_eq!(shown(&further), [(1, 2)]);
        // Something was delivered since.
        assert_eq!(runs.cut(seq(8), Some(seq(7))), [(6, u32::MAX)]);
        runs.open(seq(9), &attempt(3, 1));
        assert_eq!(shown(&runs), [(1, 3), (6, 7), (9, u32::MAX)]);
        let counting: Vec<u32> = (1..12).filter(|at| runs.counts(seq(*at))).collect();
        assert_eq!(counting, [1, 2, 3, 6, 7, 9, 10, 11]);
    }

    #[test]
    fn a_rewind_after_which_nothing_was_delivered_is_left_out() {
        let mut runs = Runs::from(seq(1));
        runs.cut(seq(3), None);
        for at in [10, 20, 30] {
            runs.open(seq(at), &attempt(at, 1));
            // A note of a failed attempt of the task lies between the two.
            assert_eq!(runs.cut(seq(at + 2), Some(seq(at + 2))), [(at, u32::MAX)]);
            assert_eq!(shown(&runs), [(1, 2)]);
        }
        // The deadline counts from one that somebody asked for.
        runs.open(seq(40), &attempt(9, 9));
        runs.cut(seq(42), Some(seq(42)));
        assert_eq!(shown(&runs), [(1, 2), (40, 41)]);
        // Where it is not known what was delivered, it stays.
        runs.open(seq(50), &attempt(10, 9));
        runs.cut(seq(52), None);
        assert_eq!(shown(&runs), [(1, 2), (40, 41), (50, 51)]);
    }

    #[test]
    fn a_cut_at_the_very_beginning_leaves_nothing() {
        let mut runs = Runs::from(seq(5));
        assert_eq!(runs.cut(seq(5), None), [(5, u32::MAX)]);
        assert_eq!(runs.last(), None);
    }
}
