//! Outcomes that nobody knows: of bodies that were cut off and may have done their work. No attempt that follows by itself
//! may run such a body again; only a person who asks for it may.
//!
//! Which there are follows from what happens to calls, and so is the same live and in every replay.

use super::shared::Outcome;
use crate::error::TaskErrorKind;
use crate::id::EventSeq;

/// The unknown outcomes of the history that counts.
#[derive(Debug, Default)]
pub(crate) struct UnknownOutcomes {
    /// The delivery of the last one.
    last: Option<EventSeq>,
}

impl UnknownOutcomes {
    /// A call has its outcome.
    pub(super) fn settle(&mut self, delivery: EventSeq, outcome: &Outcome) {
        if let Outcome::Error(error) = outcome
            && error.kind() == TaskErrorKind::OutcomeUnknown
        {
            self.last = Some(delivery);
        }
    }

    /// A call whose body may not run twice was dropped before it had its outcome.
    pub(super) fn let_go(&mut self, delivery: EventSeq) {
        self.last = Some(delivery);
    }

    /// Whether what happened from `to` on has one.
    pub(super) fn has_one_since(&self, to: EventSeq) -> bool {
        self.last >= Some(to)
    }
}
