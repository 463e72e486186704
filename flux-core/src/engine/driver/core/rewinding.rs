//! What is known of rewinds: the last one that is recorded, one that is planned, and what they leave behind.
//!
//! ```text
//!   a failure ──► RewindPlan ──► REWOUND, planned ──► its commit ──► the code again
//!                                                                      └─ calls take from the pool what was taken back
//! ```

use crate::engine::history::pool::{Pool, Taken};
use crate::engine::history::reader::Rewind;
use crate::engine::history::rewind_plan::{RewindPlan, Rewindable};
use crate::error::{ErrorRecord, FailureData, is_same_error};
use crate::event::Event;
use crate::execution::Snapshot;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;

use super::row::Row;

/// The rewinds of an execution.
#[derive(Default)]
pub(crate) struct Rewinding {
    /// The input of the present beginning.
    pub(crate) input: Option<Payload>,
    /// The last rewind.
    pub(crate) last: Option<Rewind>,
    /// The first delivery since, where it is known.
    pub(crate) first_delivery: Option<EventSeq>,
    /// The runs of events that the last rewind took back, as long as the pool was not told.
    pub(crate) changed_runs: Option<Vec<(u32, u32)>>,
    /// A rewind that is planned and is written before anything else.
    pub(crate) planned: Option<Event>,
    /// The first activation after a resume of a workflow that decided to fail is committed only if it comes out
    /// differently from this.
    pub(crate) tentative: Option<Box<Snapshot>>,
    /// What calls may take up that were made before; `None` until it was read.
    pub(crate) pool: Option<Pool>,
    /// Children that earlier attempts have cut off.
    pub(crate) cut_off: Vec<ExecutionId>,
    /// Why no child can be called.
    pub(crate) in_doubt: Option<InDoubt>,
}

/// Why no child can be called again unless a person asks for it.
#[derive(Debug, Clone)]
pub(crate) struct InDoubt {
    pub(crate) child: ExecutionId,
    pub(crate) why: String,
}

impl InDoubt {
    /// Why the call of a child fails.
    pub(crate) fn message(&self) -> String {
        format!(
            "execution `{}`, which an earlier attempt called and cut off, {}; a `resume` calls it again",
            self.child, self.why
        )
    }
}

impl Rewinding {
    /// Takes back the end of the history: fills in `event`, which is to be committed before anything runs again, and says so
    /// in the row.
    pub(crate) fn rewind(
        &mut self,
        plan: RewindPlan,
        event: Event,
        row: &mut Row,
        workflow: &str,
    ) -> Event {
        row.attempt = plan.attempt;
        row.budget_from = plan.budget_from;
        let rewindable = Rewindable {
            base: row.base,
            rewind: self.last.take(),
            first_delivery: Some(self.first_delivery.take().unwrap_or(EventSeq::MAX)),
            input: self.input.as_ref(),
            workflow,
        };
        let rewound = plan.carry_out(event, rewindable);
        row.base = rewound.base;
        row.rewound = rewound.rewind.as_ref().map(|rewind| rewind.seq);
        self.last = rewound.rewind;
        self.changed_runs = Some(rewound.changed);
        rewound.event
    }

    /// The code continues as new from `base`, and nothing before counts.
    pub(crate) fn continue_from(&mut self, base: EventSeq, row: &mut Row) {
        row.base = base;
        row.rewound = None;
        self.last = None;
        self.first_delivery = None;
    }

    pub(crate) fn note_delivery(&mut self, event: EventSeq) {
        self.first_delivery.get_or_insert(event);
    }

    /// Whether the last rewind of the history is in memory, with what counts.
    pub(crate) fn knows_last(&self, rewound: Option<EventSeq>) -> bool {
        self.last.as_ref().map(|rewind| rewind.seq) == rewound
    }

    /// The calls that get another try.
    pub(crate) fn retried(&self) -> &[EventSeq] {
        let last = self.last.as_ref();
        last.map_or(&[], |rewind| &rewind.meta.retry)
    }

    /// Whether a failure of this call was taken back.
    pub(crate) fn has_failed(&self, call: EventSeq) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.has_failed(call))
    }

    /// Gives results back that were not delivered in the end.
    pub(crate) fn put_back(&mut self, reused: impl IntoIterator<Item = Taken>) {
        if let Some(pool) = &mut self.pool {
            for taken in reused {
                pool.put_back(taken);
            }
        }
    }

    /// The error with which a workflow had decided to fail that was resumed.
    pub(crate) fn error_before(&self) -> Option<&ErrorRecord> {
        let before = self.tentative.as_ref()?.failure.as_ref()?;
        Some(&before.error)
    }

    /// Whether a resumed workflow that had decided to fail decided so again.
    pub(crate) fn fails_as_before(&self, failure: &FailureData) -> bool {
        let before = self.error_before();
        before.is_some_and(|before| {
            failure.escaped.is_empty() && is_same_error(before, &failure.error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::event::EventKind;

    fn rewound(seq: u32) -> Event {
        Event {
            seq: EventSeq::new(seq),
            at: Timestamp::from_micros(0),
            kind: EventKind::Rewound,
            refers: None,
            name: None,
            payload: None,
            meta: None,
        }
    }

    fn plan(to: u32) -> RewindPlan {
        RewindPlan {
            to: EventSeq::new(to),
            retry: vec![EventSeq::new(2)],
            restart: false,
            anew: false,
            attempt: 2,
            budget_from: 1,
            cut_off: Vec::new(),
        }
    }

    #[test]
    fn a_rewind_is_known_as_the_last_one_and_the_row_says_so() {
        let (mut rewinding, mut row) = (Rewinding::default(), Row::new(Timestamp::from_micros(0)));
        rewinding.note_delivery(EventSeq::FIRST);
        let event = rewinding.rewind(plan(4), rewound(6), &mut row, "w");
        assert_eq!((row.attempt, row.rewound), (2, Some(event.seq)));
        assert!(rewinding.knows_last(row.rewound));
        assert_eq!(rewinding.retried(), [EventSeq::new(2)]);
        assert!(rewinding.changed_runs.is_some());
        assert_eq!(rewinding.first_delivery, None, "none was made since");
    }

    #[test]
    fn nothing_of_before_counts_when_the_code_continues_as_new() {
        let (mut rewinding, mut row) = (Rewinding::default(), Row::new(Timestamp::from_micros(0)));
        rewinding.note_delivery(EventSeq::FIRST);
        rewinding.rewind(plan(4), rewound(6), &mut row, "w");
        rewinding.continue_from(EventSeq::new(9), &mut row);
        assert_eq!((row.base, row.rewound), (EventSeq::new(9), None));
        assert!(rewinding.knows_last(None));
        assert!(rewinding.retried().is_empty());
    }
}
