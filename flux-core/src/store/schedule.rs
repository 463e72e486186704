//! Schedules: kept in the store, fired by whichever worker is first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{MessageKind, NewExecution, NewMessage};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::ExecutionId;
use crate::payload::Payload;

/// A schedule as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Its name.
    pub id: Arc<str>,
    /// The workflow it starts.
    pub workflow: Arc<str>,
    /// The input it gives.
    pub input: Payload,
    /// When it fires and how, as JSON; the engine writes and reads it.
    pub spec: Payload,
    /// Whether it does not fire for now.
    pub is_paused: bool,
    /// The next moment it fires for; `None`: never again.
    pub next_at: Option<Timestamp>,
    /// The last moment it fired for.
    pub last_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What is to change about a schedule; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleChange {
    /// Pause it or let it go on.
    pub is_paused: Option<bool>,
    /// See [`ScheduleRecord::next_at`].
    pub next_at: Option<Option<Timestamp>>,
}

/// Asks for the schedules that are due: see [`Store::due_schedules`](super::Store::due_schedules).
#[derive(Clone, Debug)]
pub struct DueRequest {
    /// Due at this time or earlier.
    pub now: Timestamp,
    /// Only those that start one of these workflows.
    pub workflows: BTreeSet<Arc<str>>,
    /// At most this many.
    pub limit: usize,
}

/// The schedules that are due, and when another one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueSchedules {
    /// Those that have been due for longest, in the order of the times they are due at.
    pub due: Vec<ScheduleRecord>,
    /// When the next one after these is due, of the same workflows. Where more are due than were asked for, this time has
    /// come already. A store may also return an earlier time.
    pub next: Option<Timestamp>,
}

/// One firing: executions to start, and where the schedule then stands. All in one transaction.
#[derive(Debug)]
pub struct Fire {
    /// The schedule.
    pub schedule: Arc<str>,
    /// Moves the schedule on, if it stands at the first moment still, to the second; otherwise somebody else was
    /// faster, and nothing happens. `None` starts without moving it: a trigger, a backfill.
    pub advance: Option<(Timestamp, Option<Timestamp>)>,
    /// What to start, `Pending`, with the first event of each. One whose id exists is passed over.
    pub start: Vec<(NewExecution, Event)>,
    /// What to do about earlier executions of the schedule that have not finished.
    pub unfinished: Unfinished,
    /// The present moment.
    pub now: Timestamp,
}

/// What a firing does about earlier executions of its schedule that have not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// Nothing.
    Leave,
    /// With one of them there, nothing is started.
    Skip,
    /// They are sent a [`Cancel`](MessageKind::Cancel).
    Cancel,
}

impl NewMessage {
    /// What an unfinished execution is sent when its schedule fires again and is to cancel it.
    pub fn cancellation_by_schedule(at: Timestamp) -> Self {
        Self {
            kind: MessageKind::Cancel,
            name: "by-schedule".into(),
            payload: Payload::null(),
            dedup: None,
            at,
        }
    }
}

/// What came of a [`Fire`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Somebody else was faster, or the schedule is gone or paused: nothing happened.
    Stale,
    /// The schedule has moved on.
    Done {
        /// What was started.
        started: Vec<ExecutionId>,
        /// Whether something was not started because an earlier execution has not finished.
        skipped: bool,
        /// Whom a cancellation was sent.
        cancelled: Vec<ExecutionId>,
    },
}
