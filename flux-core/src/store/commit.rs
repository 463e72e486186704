//! What every backend checks of a commit before it writes.

use super::{Commit, CommitError, StoreError};
use crate::event::Event;
use crate::id::EventSeq;

impl Commit {
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
    use crate::clock::Timestamp;
    use crate::event::EventKind;
    use crate::id::{Epoch, ExecutionKey};
    use crate::store::Target;

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
        Commit {
            target: Target::Existing {
                key: ExecutionKey(1),
                epoch: Epoch(1),
            },
            events: numbers.iter().map(event).collect(),
            change: None,
            consumed: Vec::new(),
            children: Vec::new(),
            published: Vec::new(),
            outbox: Vec::new(),
            transaction: None,
            heeds: None,
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
