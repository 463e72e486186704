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
