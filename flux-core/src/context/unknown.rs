//! Outcomes that nobody knows: of bodies that were cut off and may have done their work. No attempt that follows by itself
//! may run such a body again; only a person who asks for it may.
//!
//! Which there are follows from what happens to calls, and so is the same live and in every replay.

use std::sync::Arc;

use super::shared::Outcome;
use crate::error::TaskErrorKind;
use crate::id::EventSeq;

/// The unknown outcomes of the history that counts.
#[derive(Debug, Default)]
pub(crate) struct UnknownOutcomes {
    /// The delivery of each, and the task.
    all: Vec<(EventSeq, Arc<str>)>,
}

impl UnknownOutcomes {
    /// A call has its outcome.
    pub(super) fn settle(&mut self, delivery: EventSeq, outcome: &Outcome) {
        if let Outcome::Error(error) = outcome
            && error.kind() == TaskErrorKind::OutcomeUnknown
        {
            self.all.push((delivery, error.task().into()));
        }
    }

    /// A call whose body may not run twice was dropped before it had its outcome.
    pub(super) fn let_go(&mut self, delivery: EventSeq, task: &Arc<str>) {
        self.all.push((delivery, Arc::clone(task)));
    }

    /// The tasks of those that happened from `to` on.
    pub(super) fn since(&self, to: EventSeq) -> impl Iterator<Item = &Arc<str>> {
        let after = self.all.partition_point(|(delivery, _)| *delivery < to);
        self.all[after..].iter().map(|(_, task)| task)
    }
}
