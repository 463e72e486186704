//! The limits of a workflow: active time and wall-clock time.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Driver;
use super::activation::{Activation, Arrival};
use crate::clock::Timestamp;
use crate::error::{ErrorRecord, FailureKind};
use crate::event::{Event, EventKind};
use crate::id::EventSeq;
use crate::replay::Stop;
use crate::workflow::StopReason;

/// The time during which at least one task was at work. Waiting for a signal, a pause or a timer does not
/// count, and neither does the time in which no process drove the execution.
#[derive(Debug, Default)]
pub(super) struct ActiveTime {
    total: Duration,
    since: Option<Timestamp>,
    at_work: BTreeSet<EventSeq>,
}

impl ActiveTime {
    /// Takes an event into account; the same live and in a replay.
    pub(super) fn observe(&mut self, event: &Event) {
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
    pub(super) fn skip_downtime(&mut self, last_event: Timestamp, now: Timestamp) {
        if let Some(since) = self.since {
            self.total = self.total.saturating_add(last_event.since(since));
            self.since = Some(now);
        }
    }

    /// A new attempt, or a resume of what timed out: the clock starts again. What is at work stays so.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.total = Duration::ZERO;
        self.since = self.since.map(|_| now);
    }

    /// When the limit is reached, if it goes on like this.
    pub(super) fn reaches(&self, limit: Duration) -> Option<Timestamp> {
        self.since
            .map(|since| since.after(limit.saturating_sub(self.total)))
    }
}

impl Driver {
    /// When the next limit of the workflow is reached.
    pub(super) fn next_limit(&self) -> Option<(Timestamp, FailureKind)> {
        let options = &self.def.options;
        if (options.timeout.is_none() && options.deadline.is_none()) || self.is_exiting() {
            return None;
        }
        let active = self.def.options.timeout.and_then(|limit| {
            let is_at_work = !self.tasks.is_empty() || !self.transactions.is_empty();
            let children_wait = !is_at_work && self.children.are_all_paused();
            let at = self.active.reaches(limit).filter(|_| !children_wait)?;
            Some((at, FailureKind::Timeout { limit }))
        });
        let begun = self.row.resumed_at.unwrap_or(self.row.created_at);
        let wall = self.def.options.deadline;
        let wall = wall.map(|limit| (begun.after(limit), FailureKind::Deadline { limit }));
        [active, wall]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// When its code is stopped next, if it has not ended by then.
    pub(super) fn next_stop(&self) -> Option<Timestamp> {
        let limit = self.next_limit().map(|(at, _)| at);
        limit.into_iter().chain(self.window_ends()).min()
    }

    /// When it is to be driven again if nothing comes for it before: its next timer or retry is due, or its time is up.
    /// Active time does not pass while nobody drives it.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        let limit = self.next_limit().map(|(at, _)| at);
        let limit = limit.filter(|_| self.def.options.deadline.is_some());
        let stops = limit.into_iter().chain(self.window_ends());
        let stops = stops.map(|at| self.by_the_clock(at));
        stops.chain(self.next_due()).min()
    }

    /// Whether results of bodies are delivered although the time of the code is up, because they came in before that was
    /// noticed. That happens once, or a steady stream of results would keep the code from its end. Not where an open arrival
    /// waits: [`stop`](Self::stop) delivers that first by itself.
    pub(super) fn lets_results_pass(&mut self) -> bool {
        if self.has_let_pass || self.next_stop().is_none_or(|at| self.now() < at) {
            return false;
        }
        self.take_inputs();
        let is_open = |arrival: &Arrival| matches!(arrival, Arrival::Open(_));
        let has_open = self.arrivals.iter().any(is_open);
        self.has_let_pass = !has_open && self.arrivals.iter().any(Arrival::is_result);
        self.has_let_pass
    }

    /// The end of an execution whose wall-clock time is up, whatever has arrived since.
    pub(super) fn deadline_is_up(&mut self) -> Result<Option<Box<Activation>>, Stop> {
        match self.next_limit() {
            Some((_, FailureKind::Deadline { .. })) => self.time_is_up(),
            _ => Ok(None),
        }
    }

    /// The end of an execution whose time is up.
    pub(super) fn time_is_up(&mut self) -> Result<Option<Box<Activation>>, Stop> {
        match self.next_limit() {
            Some((at, kind)) if self.now() >= at => {
                self.stop(StopReason::OutOfTime(kind)).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// What is recorded of an execution that ran out of time.
pub(super) fn out_of_time(kind: FailureKind) -> ErrorRecord {
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
