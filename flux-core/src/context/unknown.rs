//! Outcomes that nobody knows: of bodies that were cut off and may have done their work. No attempt that follows by itself
//! may run such a body again; only a person who asks for it may.
//!
//! Which there are follows from what happens to calls, and so is the same live and in every replay.

use std::sync::Arc;

use super::request::Request;
use super::shared::{Call, Outcome};
use crate::error::TaskErrorKind;
use crate::event::Doubt;
use crate::id::{EventSeq, ExecutionId};
use crate::policy::ChildPolicy;

/// The unknown outcomes of the history that counts.
#[derive(Debug, Default)]
pub(crate) struct UnknownOutcomes {
    /// The delivery of each, and the task.
    all: Vec<(EventSeq, Arc<str>)>,
    /// Those of children that have ended, by the calls of the children: a new call would be a new child, which knows
    /// nothing of them.
    of_children: Vec<(EventSeq, Arc<str>)>,
    /// Children that were cut off, by their calls.
    cut_off: Vec<(EventSeq, CutOff)>,
}

/// A child that was cut off, and may leave something in doubt.
#[derive(Clone, Debug)]
pub(crate) enum CutOff {
    /// The child of this call.
    Own(EventSeq),
    Named(ExecutionId),
}

impl CutOff {
    /// The child of a call that is cut off now. One that continues by itself is not.
    pub(super) fn of(call: &Call) -> Option<(EventSeq, Self)> {
        match (&call.request, call.seq?) {
            (Some(Request::Child { policy, .. }), _) if *policy == ChildPolicy::Abandon => None,
            (Some(Request::Child { id, .. }), seq) => {
                let id = id.clone();
                Some((seq, id.map_or(Self::Own(seq), Self::Named)))
            }
            _ => None,
        }
    }
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

    /// The child of a call was dropped before it had ended.
    pub(super) fn let_go_of_child(&mut self, call: &Call) {
        self.cut_off.extend(CutOff::of(call));
    }

    /// A child has ended and leaves something in doubt.
    pub(crate) fn child_ended(&mut self, call: EventSeq, doubt: Doubt) {
        let unknown = doubt.unknown.into_iter().map(|task| (call, task));
        self.of_children.extend(unknown);
        let cut_off = doubt.cut_off.into_iter().map(CutOff::Named);
        self.cut_off.extend(cut_off.map(|child| (call, child)));
    }

    /// The tasks of those that happened from `to` on, or in children that were called from `to` on.
    pub(super) fn since(&self, to: EventSeq) -> impl Iterator<Item = &Arc<str>> {
        let after = self.all.partition_point(|(delivery, _)| *delivery < to);
        let of_children = self.of_children.iter().filter(move |(call, _)| *call >= to);
        let all = self.all[after..].iter().chain(of_children);
        all.map(|(_, task)| task)
    }

    /// The children that were called from `to` on and cut off.
    pub(super) fn cut_off_since(&self, to: EventSeq) -> impl Iterator<Item = &CutOff> {
        let cut_off = self.cut_off.iter().filter(move |(call, _)| *call >= to);
        cut_off.map(|(_, child)| child)
    }
}
