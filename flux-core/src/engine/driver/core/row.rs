//! The row of an execution, as its driver knows it.
//!
//! ```text
//!   what the store has ──► record ──► Row ──► target, and what changes ──► the next commit ──► committed ──► record
//! ```

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::FORMAT;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::status::Status;
use crate::store::{Change, ExecutionRecord, NewExecution, Placement, Target};
use crate::workflow::WorkflowDef;

/// What the row says, and what the next commit is to make it say.
#[derive(Debug)]
pub(crate) struct Row {
    /// As it was last committed; `None` before the first commit.
    pub(crate) record: Option<ExecutionRecord>,
    pub(crate) parent: Option<ExecutionId>,
    pub(crate) placement: Placement,
    /// When the execution was created, or when its turn came.
    pub(crate) created_at: Timestamp,
    /// When it was last resumed after a failure: its deadline counts from then.
    pub(crate) resumed_at: Option<Timestamp>,
    pub(crate) attempt: u32,
    /// The attempt that opened the present budget of `max_attempts`.
    pub(crate) budget_from: u32,
    /// The event a replay starts from.
    pub(crate) base: EventSeq,
    /// The last rewind.
    pub(crate) rewound: Option<EventSeq>,
}

impl Row {
    /// The row of an execution that is yet to be created.
    pub(crate) fn new(created_at: Timestamp) -> Self {
        Self {
            record: None,
            parent: None,
            placement: Placement::default(),
            created_at,
            resumed_at: None,
            attempt: 1,
            budget_from: 1,
            base: EventSeq::FIRST,
            rewound: None,
        }
    }

    /// Takes a row that was read, or was created for this driver.
    pub(crate) fn take(&mut self, record: ExecutionRecord) {
        self.parent.clone_from(&record.parent);
        self.placement.clone_from(&record.placement);
        // An execution that waited in a queue begins when it is claimed. The clock may have been set back while it waited.
        let started_at = record.started_at.unwrap_or(record.created_at);
        self.created_at = started_at.max(record.created_at);
        self.attempt = record.attempt;
        self.base = record.base;
        self.rewound = record.rewound;
        self.record = Some(record);
    }

    /// The status that was last written.
    pub(crate) fn status(&self) -> Status {
        let record = self.record.as_ref();
        record.map_or(Status::Running, |record| record.status)
    }

    /// The row's key, and the epoch under which this driver owns it.
    pub(crate) fn epoch(&self) -> Option<(ExecutionKey, Epoch)> {
        let record = self.record.as_ref()?;
        Some((record.key, record.epoch))
    }

    /// The epoch under which this driver owns the execution, or will own it once it is created.
    pub(crate) fn present_epoch(&self) -> Epoch {
        self.epoch().map_or(Epoch(1), |(_, epoch)| epoch)
    }

    /// Whether no code of the execution has run before the commit under way. A later attempt of one that was queued starts
    /// once more, but not for the first time.
    pub(crate) fn is_first_start(&self) -> bool {
        let before = self.record.as_ref();
        before.is_none_or(|before| before.attempt == 1 && before.rewound.is_none())
    }

    /// Whether `change` would change the row.
    pub(crate) fn differs(&self, change: &Change) -> bool {
        match &self.record {
            Some(record) => !record.is_as(change),
            None => {
                change.status != Status::Running
                    || change.attempt != 1
                    || change.wake_at.is_some()
                    || change.waiting.is_some()
                    || change.base != EventSeq::FIRST
                    || change.rewound.is_some()
            }
        }
    }

    /// What the next commit appends to, or creates.
    pub(crate) fn target(
        &self,
        id: &ExecutionId,
        def: &'static WorkflowDef,
        owner: Option<WorkerId>,
    ) -> Target {
        match self.epoch() {
            Some((key, epoch)) => Target::Existing { key, epoch },
            None => Target::New(Box::new(self.new_execution(id, def, owner))),
        }
    }

    /// Remembers what is now written. `new` is the row that the first commit has created.
    pub(crate) fn committed(
        &mut self,
        key: ExecutionKey,
        change: Option<Change>,
        new: impl FnOnce(&Self) -> NewExecution,
    ) {
        if self.record.is_none() {
            self.record = Some(new(self).into_record(key, FORMAT));
        }
        let (Some(record), Some(change)) = (&mut self.record, change) else {
            return;
        };
        let release = change.release;
        record.apply(change);
        if let Some(release) = release {
            record.owner = None;
            record.ready_at = release.ready_at;
        }
    }

    pub(crate) fn new_execution(
        &self,
        id: &ExecutionId,
        def: &'static WorkflowDef,
        owner: Option<WorkerId>,
    ) -> NewExecution {
        NewExecution {
            id: id.clone(),
            workflow: Arc::from(def.name),
            version: def.version,
            created_at: self.created_at,
            parent: self.parent.clone(),
            owner,
            placement: self.placement.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Release;

    fn new() -> NewExecution {
        NewExecution {
            id: "a".into(),
            workflow: "w".into(),
            version: 1,
            created_at: Timestamp::from_micros(10),
            parent: None,
            owner: None,
            placement: Placement::default(),
        }
    }

    fn record() -> ExecutionRecord {
        ExecutionRecord {
            status: Status::Running,
            ..new().into_record(ExecutionKey(7), FORMAT)
        }
    }

    fn taken(record: ExecutionRecord) -> Row {
        let mut row = Row::new(Timestamp::from_micros(0));
        row.take(record);
        row
    }

    #[test]
    fn a_row_that_is_not_written_yet_differs_from_all_but_its_beginning() {
        let row = Row::new(Timestamp::from_micros(0));
        let change = record().unchanged();
        assert!(!row.differs(&change));
        let paused = Change {
            status: Status::Paused,
            ..change
        };
        assert!(row.differs(&paused));
        assert_eq!(row.present_epoch(), Epoch(1));
        assert!(row.is_first_start());
    }

    #[test]
    fn what_was_committed_is_no_change_any_more() {
        let mut row = taken(record());
        let change = Change {
            wake_at: Some(Timestamp::from_micros(99)),
            attempt: 2,
            ..record().unchanged()
        };
        assert!(row.differs(&change));
        row.committed(ExecutionKey(7), Some(change.clone()), |_| new());
        assert!(!row.differs(&change));
        assert!(!row.is_first_start());
    }

    #[test]
    fn a_release_leaves_the_row_without_an_owner_and_ready_when_it_says() {
        let mut row = taken(ExecutionRecord {
            owner: Some(WorkerId(3)),
            ..record()
        });
        let ready_at = Some(Timestamp::from_micros(50));
        let change = Change {
            status: Status::Paused,
            release: Some(Release {
                ready_at,
                ..Release::default()
            }),
            ..record().unchanged()
        };
        row.committed(ExecutionKey(7), Some(change), |_| new());
        let record = row.record.expect("it was taken");
        assert_eq!(
            (record.owner, record.ready_at, record.status),
            (None, ready_at, Status::Paused)
        );
    }

    #[test]
    fn the_first_commit_makes_the_record() {
        let mut row = Row::new(Timestamp::from_micros(10));
        row.committed(ExecutionKey(7), None, |_| new());
        assert_eq!(row.epoch(), Some((ExecutionKey(7), Epoch(1))));
    }

    #[test]
    fn an_execution_that_waited_for_its_turn_begins_when_that_came_and_never_before_it_was_created()
    {
        let started = |at| {
            let record = ExecutionRecord {
                started_at: Some(Timestamp::from_micros(at)),
                ..record()
            };
            taken(record).created_at.as_micros()
        };
        assert_eq!((started(40), started(4)), (40, 10));
    }
}
