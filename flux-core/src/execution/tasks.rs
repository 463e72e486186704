//! `TaskInfo`: what became of each task of an execution.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::error::TaskFailure;
use crate::event::{AttemptMeta, Event, EventKind};
use crate::id::EventSeq;

/// What became of one call of a task, step or child.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    name: String,
    call: EventSeq,
    status: TaskStatus,
    attempts: u32,
    started_at: SystemTime,
    finished_at: Option<SystemTime>,
    last_error: Option<String>,
}

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
        &self.name
    }

    /// The number of the event that recorded the call.
    pub fn call(&self) -> EventSeq {
        self.call
    }

    /// Where it stands.
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// Whether it failed for good.
    pub fn has_failed(&self) -> bool {
        self.status == TaskStatus::Failed
    }

    /// How many attempts have ended, and for one that runs, the one that runs.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When it was asked for.
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<SystemTime> {
        self.finished_at
    }

    /// How long it took, attempts and waits together.
    pub fn duration(&self) -> Option<Duration> {
        self.finished_at?.duration_since(self.started_at).ok()
    }

    /// The message of its last error.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

/// Reads the calls out of a history, in the order they were made.
pub(crate) fn tasks_of(events: &[Event]) -> Vec<TaskInfo> {
    let mut tasks: BTreeMap<EventSeq, TaskInfo> = BTreeMap::new();
    for event in events {
        if matches!(event.kind, EventKind::TaskStarted | EventKind::ChildStarted) {
            tasks.insert(event.seq, started(event));
        } else if let Some(task) = event.refers.and_then(|call| tasks.get_mut(&call)) {
            update(task, event);
        }
    }
    tasks.into_values().collect()
}

fn started(event: &Event) -> TaskInfo {
    TaskInfo {
        name: event.name_str().to_owned(),
        call: event.seq,
        status: TaskStatus::Running,
        attempts: 1,
        started_at: event.at.into(),
        finished_at: None,
        last_error: None,
    }
}

fn update(task: &mut TaskInfo, event: &Event) {
    let error = || {
        event
            .payload
            .as_ref()
            .and_then(|payload| payload.decode::<TaskFailure>().ok())
    };
    match event.kind {
        EventKind::TaskAttemptFailed => {
            let meta = event.meta::<AttemptMeta>();
            task.attempts = meta.attempt + u32::from(!meta.fallback);
            task.last_error = error().map(|failure| failure.error.message);
            return;
        }
        EventKind::TaskInterrupted => {
            task.attempts += 1;
            return;
        }
        EventKind::TaskCompleted | EventKind::ChildCompleted | EventKind::CallReused => {
            task.status = TaskStatus::Completed;
        }
        EventKind::TaskFailed | EventKind::ChildFailed => {
            task.status = TaskStatus::Failed;
            if let Some(failure) = error() {
                task.attempts = failure.attempts;
                task.last_error = Some(failure.error.message);
            }
        }
        EventKind::CallCancelled => task.status = TaskStatus::Cancelled,
        _ => return,
    }
    task.finished_at = Some(event.at.into());
}
