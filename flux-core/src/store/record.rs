//! The row of an execution.

use std::sync::Arc;

use super::{Change, Placement};
use crate::clock::Timestamp;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;
use crate::status::Status;

/// One execution's row: everything about it but its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// The store's own handle.
    pub key: ExecutionKey,
    /// Its id.
    pub id: ExecutionId,
    /// Its workflow's name.
    pub workflow: Arc<str>,
    /// Its workflow's version.
    pub version: u32,
    /// The [format](crate::event::FORMAT) its history began with.
    pub format: u32,
    /// Its status.
    pub status: Status,
    /// Which attempt of the workflow this is, from 1.
    pub attempt: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// When its next timer or retry is due.
    pub wake_at: Option<Timestamp>,
    /// What it waits for, as JSON; the engine writes and reads it.
    pub waiting: Option<Payload>,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// The event a replay starts from.
    pub base: EventSeq,
    /// The last `REWOUND` event.
    pub rewound: Option<EventSeq>,
    /// The worker that owns it, alive or not.
    pub owner: Option<WorkerId>,
    /// In a row that a claim returned: the previous owner, if that died or stalled before it gave the execution up.
    pub taken_from: Option<WorkerId>,
    /// How often it changed owners.
    pub epoch: Epoch,
    /// When it left its queue, or was created to run at once.
    pub started_at: Option<Timestamp>,
    /// When a worker is to take it up, while it has no owner; `None` if no worker should by itself. For a `Pending`
    /// execution, claimed or not: when it is due, or when it was created.
    pub ready_at: Option<Timestamp>,
    /// Why it is on hold, until it is resumed.
    pub hold: Option<Arc<str>>,
    /// What last kept it from continuing, as JSON; the engine writes and reads it.
    pub obstacle: Option<Payload>,
    /// What it was bound to when it was created.
    pub placement: Placement,
}

/// The row of an execution that a [`Commit`](crate::store::Commit) creates: attempt 1, base 1, and `Running` if it has an
/// owner, else `Pending`. Refused if its gate is full or its dedup key is taken.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its workflow's name.
    pub workflow: Arc<str>,
    /// Its workflow's version.
    pub version: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// The worker that owns it and drives it at once; `None` if it waits for one.
    pub owner: Option<WorkerId>,
    /// What it is bound to.
    pub placement: Placement,
}

impl NewExecution {
    /// Returns the row that this creates.
    pub fn into_record(self, key: ExecutionKey, format: u32) -> ExecutionRecord {
        let is_driven = self.owner.is_some();
        ExecutionRecord {
            key,
            id: self.id,
            workflow: self.workflow,
            version: self.version,
            format,
            status: if is_driven {
                Status::Running
            } else {
                Status::Pending
            },
            attempt: 1,
            created_at: self.created_at,
            finished_at: None,
            wake_at: None,
            waiting: None,
            parent: self.parent,
            base: EventSeq::FIRST,
            rewound: None,
            owner: self.owner,
            taken_from: None,
            epoch: Epoch(1),
            started_at: is_driven.then_some(self.created_at),
            ready_at: (!is_driven).then(|| self.placement.due.unwrap_or(self.created_at)),
            hold: None,
            obstacle: None,
            placement: self.placement,
        }
    }
}

impl ExecutionRecord {
    /// Returns a change that leaves the row as it is and keeps its owner, for the caller to set what differs.
    pub fn unchanged(&self) -> Change {
        Change {
            status: self.status,
            attempt: self.attempt,
            finished_at: self.finished_at,
            wake_at: self.wake_at,
            waiting: self.waiting.clone(),
            base: self.base,
            rewound: self.rewound,
            hold: self.hold.clone(),
            obstacle: self.obstacle.clone(),
            release: None,
        }
    }

    /// Applies `change`, except for its release, which each store carries out in its own way.
    pub fn apply(&mut self, change: Change) {
        let Change {
            status,
            attempt,
            finished_at,
            wake_at,
            waiting,
            base,
            rewound,
            hold,
            obstacle,
            release: _,
        } = change;
        self.status = status;
        self.attempt = attempt;
        self.finished_at = finished_at;
        self.wake_at = wake_at;
        self.waiting = waiting;
        self.base = base;
        self.rewound = rewound;
        self.hold = hold;
        self.obstacle = obstacle;
    }

    /// Returns whether `change`, except for its release, would leave the row as it is.
    pub fn is_as(&self, change: &Change) -> bool {
        self.status == change.status
            && self.attempt == change.attempt
            && self.finished_at == change.finished_at
            && self.wake_at == change.wake_at
            && self.waiting == change.waiting
            && self.base == change.base
            && self.rewound == change.rewound
            && self.hold == change.hold
            && self.obstacle == change.obstacle
    }
}
