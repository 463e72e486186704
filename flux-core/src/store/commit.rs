//! What an owner writes in one transaction, and what every backend checks of it first.

use std::sync::Arc;

use super::{
    Change, CommitError, MessageId, MessageKind, NewExecution, NewMessage, StoreError, Transaction,
};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey};
use crate::payload::Payload;

/// Everything one activation of one execution writes, in one transaction.
///
/// In this order: the row is created or checked, events appended, children created, messages consumed, the row
/// changed, values published, messages sent, the transaction run.
#[derive(Debug)]
pub struct Commit {
    /// The execution it belongs to.
    pub target: Target,
    /// What to append, numbered from the history's next number.
    pub events: Vec<Event>,
    /// Executions to create. A child that is refused affects neither the others nor the commit:
    /// [`Committed::children`] says why it was.
    pub children: Vec<NewChild>,
    /// What changes in the row, or nothing: the hot path of a sequential workflow changes nothing.
    pub change: Option<Change>,
    /// Messages that the events above used up.
    pub consumed: Vec<MessageId>,
    /// Values that replace what was published under their names.
    pub published: Vec<(Arc<str>, Payload)>,
    /// Messages for other executions; those that do not exist or have finished are passed over. So is an
    /// [order to a child](super::MessageKind::is_order_to_child) for an execution whose parent is not the one that this commit is of:
    /// the id that a parent has chosen for a child may be another execution's.
    pub outbox: Vec<(ExecutionId, NewMessage)>,
    /// A user's own statements and the event that records their outcome.
    pub transaction: Option<Transaction>,
    /// What the owner has read of its inbox. If a command has come in since, the commit is refused as
    /// [`Unread`](CommitError::Unread). The engine asks for this when the code of an execution ends.
    pub heeds: Option<Heeds>,
}

/// Which messages in the inbox refuse a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heeds {
    /// The newest message that the owner has read: only later ones count.
    pub seen: Option<MessageId>,
    /// Whether a request to pause refuses the commit, too, and not only one to cancel or terminate.
    pub pauses: bool,
}

impl Heeds {
    /// Returns whether this message refuses the commit.
    pub fn is_unread(&self, id: MessageId, kind: MessageKind) -> bool {
        let counts = kind.ends() || (self.pauses && kind == MessageKind::Pause);
        counts && Some(id) > self.seen
    }
}

/// Which execution a [`Commit`] belongs to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A new one, owned from the start at epoch 1.
    New(Box<NewExecution>),
    /// One that exists, under the epoch its owner claimed.
    Existing {
        /// The store's handle.
        key: ExecutionKey,
        /// The epoch the committing owner holds.
        epoch: Epoch,
    },
}

/// An execution that the [`Commit`] of another one creates.
#[derive(Clone, Debug)]
pub struct NewChild {
    /// Its row.
    pub new: NewExecution,
    /// The first event of its history.
    pub start: Event,
}

/// A correction of a [`ready_at`](crate::store::Release::ready_at) that was computed before the clock was set back: see
/// [`Store::correct_ready_at`](crate::store::Store::correct_ready_at).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The time that was written.
    pub wrong: Timestamp,
    /// The time at which it should be ready.
    pub right: Timestamp,
    /// The present time.
    pub now: Timestamp,
}

/// The result of a [`Commit`].
#[derive(Clone, Debug)]
pub struct Committed {
    /// The execution's handle.
    pub key: ExecutionKey,
    /// The event that records the transaction's outcome, if there was a transaction.
    pub transaction: Option<Event>,
    /// The handle of each child, or why it was not created: [`Exists`](CommitError::Exists),
    /// [`Full`](CommitError::Full) or [`Duplicate`](CommitError::Duplicate). In the order of the commit.
    pub children: Vec<Result<ExecutionKey, CommitError>>,
}

impl Commit {
    /// Creates a commit that writes nothing yet.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            events: Vec::new(),
            change: None,
            consumed: Vec::new(),
            children: Vec::new(),
            published: Vec::new(),
            outbox: Vec::new(),
            transaction: None,
            heeds: None,
        }
    }

    /// Whether the events, the transaction's last, follow `last` without gaps.
    ///
    /// `Fenced` when they do not, and `Failed` when the history would grow past
    /// [`EventSeq::MAX`]. `store` names the store in that error.
    pub fn check_numbers(&self, last: Option<EventSeq>, store: &str) -> Result<(), CommitError> {
        let mut last = last.map_or(0, EventSeq::get);
        for Event { seq, .. } in &self.events {
            last += 1;
            if seq.get() != last {
                return Err(CommitError::Fenced);
            }
        }
        if let Some(transaction) = &self.transaction {
            last += 1;
            if transaction.completed.seq.get() != last || transaction.failed.seq.get() != last {
                return Err(CommitError::Fenced);
            }
        }
        if last > EventSeq::MAX.get() {
            return Err(CommitError::Failed(too_long(store)));
        }
        Ok(())
    }
}

fn too_long(store: &str) -> StoreError {
    StoreError {
        store: store.to_owned(),
        action: "append events".to_owned(),
        reason: format!(
            "a history holds at most {} events: use `continue_as_new` before",
            EventSeq::MAX
        ),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    fn commit(numbers: &[u32]) -> Commit {
        let event = |seq: &u32| Event {
            seq: EventSeq::new(*seq),
            at: Timestamp::from_micros(0),
            kind: EventKind::TaskStarted,
            refers: None,
            name: None,
            payload: None,
            meta: None,
        };
        let target = Target::Existing {
            key: ExecutionKey(1),
            epoch: Epoch(1),
        };
        Commit {
            events: numbers.iter().map(event).collect(),
            ..Commit::to(target)
        }
    }

    #[test]
    fn numbers_follow_without_gaps() {
        let last = |seq| Some(EventSeq::new(seq));
        assert!(commit(&[1, 2]).check_numbers(None, "s").is_ok());
        assert!(commit(&[8, 9]).check_numbers(last(7), "s").is_ok());
        for (numbers, before) in [
            (&[2][..], None),
            (&[7], last(7)),
            (&[9], last(7)),
            (&[8, 10], last(7)),
        ] {
            let outcome = commit(numbers).check_numbers(before, "s");
            assert!(matches!(outcome, Err(CommitError::Fenced)), "{numbers:?}");
        }
    }

    #[test]
    fn a_history_that_is_full_says_so() {
        let max = EventSeq::MAX.get();
        let before = Some(EventSeq::new(max - 1));
        assert!(commit(&[max]).check_numbers(before, "s").is_ok());
        let full = commit(&[max, max + 1]).check_numbers(before, "s");
        let Err(CommitError::Failed(error)) = full else {
            panic!("not full: {full:?}")
        };
        assert!(error.reason.contains("continue_as_new"), "{error}");
    }
}
