//! `TaskInfo`: what became of each task of an execution.

use std::time::{Duration, SystemTime};

use super::calls::{CallInfo, CallKind, CallStatus};
use crate::event::Event;
use crate::id::EventSeq;

/// What became of one call of a task, step or child.
#[derive(Clone, Debug)]
pub struct TaskInfo(CallInfo);

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskStatus {
    /// Its body runs, or will run once more.
    Running,
    /// It returned.
    Completed,
    /// It failed for good.
    Failed,
    /// Its code dropped it.
    Cancelled,
}

impl std::fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        })
    }
}

impl TaskInfo {
    /// The task's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The number of the event that recorded the call.
    pub fn call(&self) -> EventSeq {
        self.0.call()
    }

    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        match self.0.status() {
            CallStatus::Running | CallStatus::Retrying | CallStatus::Waiting => TaskStatus::Running,
            CallStatus::Completed => TaskStatus::Completed,
            CallStatus::Failed => TaskStatus::Failed,
            CallStatus::Cancelled => TaskStatus::Cancelled,
        }
    }

    /// Whether it failed for good.
    pub fn has_failed(&self) -> bool {
        self.status() == TaskStatus::Failed
    }

    /// How many attempts have ended, and for one that runs, the one that runs: see [`CallInfo::attempts`].
    pub fn attempts(&self) -> u32 {
        self.0.attempts()
    }

    /// When it was asked for.
    pub fn started_at(&self) -> SystemTime {
        self.0.started_at()
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<SystemTime> {
        self.0.finished_at()
    }

    /// How long it took, attempts and waits together.
    pub fn duration(&self) -> Option<Duration> {
        self.0.duration()
    }

    /// The message of its last error.
    pub fn last_error(&self) -> Option<&str> {
        self.0.last_error()
    }
}

/// Reads the tasks and children out of a history, in the order they were called.
pub(crate) fn tasks_of(events: &[Event]) -> Vec<TaskInfo> {
    let calls = CallInfo::of(events).into_iter();
    let is_task = |call: &CallInfo| matches!(call.kind(), CallKind::Task | CallKind::Child);
    calls.filter(is_task).map(TaskInfo).collect()
}
