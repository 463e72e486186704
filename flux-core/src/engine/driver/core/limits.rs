//! The limits of a workflow: active time and wall-clock time.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{ErrorRecord, FailureKind};
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::workflow::WorkflowOptions;

use super::row::Row;

/// How an execution stands to its limits.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) active: ActiveTime,
    /// Its deadline has passed, and stopped its code.
    pub(crate) is_past_deadline: bool,
    /// Whether results that were there when its time was up have been delivered in spite of that.
    pub(crate) has_let_pass: bool,
    /// Whether the last step delivered something. Code that never waits gives no other occasion to look at its limits.
    pub(crate) has_delivered: bool,
}

impl Limits {
    /// When the next limit is reached. Active time passes only with `is_active`.
    pub(crate) fn next(
        &self,
        options: &WorkflowOptions,
        row: &Row,
        is_active: bool,
    ) -> Option<(Timestamp, FailureKind)> {
        let active = options.timeout.and_then(|limit| {
            let at = self.active.reaches(limit).filter(|_| is_active)?;
            Some((at, FailureKind::Timeout { limit }))
        });
        let begun = row.resumed_at.unwrap_or(row.created_at);
        let wall = options.deadline;
        let wall = wall.map(|limit| (begun.after(limit), FailureKind::Deadline { limit }));
        [active, wall]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

/// The time during which at least one task was at work. Waiting for a signal, a pause or a timer does not
/// count, and neither does the time in which no process drove the execution.
#[derive(Debug, Default)]
pub(crate) struct ActiveTime {
    total: Duration,
    since: Option<Timestamp>,
    at_work: BTreeSet<EventSeq>,
}

impl ActiveTime {
    /// Takes an event into account; the same live and in a replay.
    pub(crate) fn observe(&mut self, event: &Event) {
        match event.kind {
            EventKind::TaskInterrupted => {
                // What lay between the last event and this one is downtime.
                self.since = self.since.map(|_| event.at);
                return;
            }
            EventKind::TaskStarted | EventKind::ChildStarted => {
                self.at_work.insert(event.seq);
            }
            EventKind::TaskCompleted
            | EventKind::TaskFailed
            | EventKind::CallReused
            | EventKind::CallCancelled
            | EventKind::ChildCompleted
            | EventKind::ChildFailed => {
                event.refers.map(|call| self.at_work.remove(&call));
            }
            _ => {}
        }
        match (self.since, self.at_work.is_empty()) {
            (None, false) => self.since = Some(event.at),
            (Some(since), true) => {
                self.total = self.total.saturating_add(event.at.since(since));
                self.since = None;
            }
            _ => {}
        }
    }

    /// Nobody drove the execution until `now`.
    pub(crate) fn skip_downtime(&mut self, last_event: Timestamp, now: Timestamp) {
        if let Some(since) = self.since {
            self.total = self.total.saturating_add(last_event.since(since));
            self.since = Some(now);
        }
    }

    /// A new attempt, or a resume of what timed out: the clock starts again. What is at work stays so.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        self.total = Duration::ZERO;
        self.since = self.since.map(|_| now);
    }

    /// When the limit is reached, if it goes on like this.
    pub(crate) fn reaches(&self, limit: Duration) -> Option<Timestamp> {
        self.since
            .map(|since| since.after(limit.saturating_sub(self.total)))
    }
}

/// What is recorded of an execution that ran out of time.
pub(crate) fn out_of_time(kind: FailureKind) -> ErrorRecord {
    ErrorRecord::message(match kind {
        FailureKind::Timeout { limit } => format!(
            "the workflow was active for longer than its timeout of {}",
            humantime::format_duration(limit)
        ),
        FailureKind::Deadline { limit } => format!(
            "the execution was not done by its deadline of {}",
            humantime::format_duration(limit)
        ),
        FailureKind::Error | FailureKind::Panicked => "the workflow ran out of time".to_owned(),
    })
}
