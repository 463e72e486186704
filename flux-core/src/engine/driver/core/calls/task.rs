//! A task whose outcome is not recorded yet: its attempts, and whether another follows.

use std::sync::Arc;

use super::due::DueAt;
use super::state::CallState;
use crate::clock::Timestamp;
use crate::context::request::TaskRequest;
use crate::engine::driver::running::RunningBody;
use crate::error::{BodyError, ErrorRecord, TaskErrorKind, TaskFailure};
use crate::event::{AttemptMeta, EventKind};
use crate::payload::Payload;

/// A task whose body runs, or will run again.
pub(crate) struct Task {
    pub(crate) name: Arc<str>,
    pub(crate) input: Payload,
    pub(crate) request: TaskRequest,
    pub(crate) progress: Progress,
    pub(super) state: TaskState,
}

/// Where a task is.
pub(crate) enum TaskState {
    /// Its next attempt begins as soon as what is before it is committed.
    Ready,
    /// A body runs.
    Running(RunningBody),
    /// The body has returned, and what that leads to is about to be delivered.
    Returned,
    /// The next attempt begins then.
    Backoff(Timestamp),
    /// Its body is not begun before the execution goes on.
    Deferred,
}

/// Which bodies of an execution that is taken up may have been cut off when it was last driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutOffBodies {
    /// All: its process died.
    All,
    /// All, and another run is no harm to those that may run twice: its parent had ended it.
    AtMostOnce,
    /// None, or it was asked for that they run again.
    None,
}

/// What has become of a task so far; read from the history after a crash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) started_at: Option<Timestamp>,
    /// Attempts that failed.
    pub(crate) failed: u32,
    /// Attempts that a crash cut off, and that have a number of their own.
    pub(crate) interrupted: u32,
    /// Crashes that may have been this body's doing.
    pub(crate) recoveries: u32,
    /// When the next attempt is due.
    pub(crate) due: Option<Timestamp>,
    /// It is known that the attempt that comes next was not begun.
    pub(crate) is_deferred: bool,
    /// The attempts are spent; the fallback is at work. What the task itself failed with.
    pub(crate) fallback_after: Option<TaskFailure>,
}

/// What follows an attempt that failed.
pub(crate) enum AfterFailure {
    /// The call fails.
    Fail(TaskFailure),
    /// Another attempt, or the fallback: what is recorded of this one.
    TryAgain {
        meta: AttemptMeta,
        failure: TaskFailure,
    },
}

impl Progress {
    pub(crate) fn begun_at(at: Timestamp) -> Self {
        Self {
            started_at: Some(at),
            ..Self::default()
        }
    }

    /// The number of the attempt that runs or comes next.
    pub(crate) fn attempt(&self) -> u32 {
        self.failed + self.interrupted + 1
    }

    /// Takes a recorded note into account.
    pub(crate) fn observe(
        &mut self,
        kind: EventKind,
        meta: &AttemptMeta,
        payload: Option<&Payload>,
    ) {
        self.is_deferred = false;
        match kind {
            EventKind::TaskAttemptFailed => {
                self.failed += 1;
                self.due = meta.due;
                if meta.fallback {
                    self.fallback_after = payload.and_then(|payload| payload.decode().ok());
                }
            }
            EventKind::TaskInterrupted => {
                self.recoveries += 1;
                if !meta.uncertain {
                    self.interrupted += 1;
                }
            }
            _ => {}
        }
    }
}

impl Task {
    pub(crate) fn new(
        name: Arc<str>,
        input: Payload,
        request: TaskRequest,
        progress: Progress,
        state: TaskState,
    ) -> Self {
        Self {
            name,
            input,
            request,
            progress,
            state,
        }
    }

    /// The body that runs.
    pub(crate) fn running(&mut self) -> Option<&mut RunningBody> {
        match &mut self.state {
            TaskState::Running(running) => Some(running),
            _ => None,
        }
    }

    pub(crate) fn is_fallback(&self) -> bool {
        self.progress.fallback_after.is_some()
    }

    /// The moment by which all attempts must be done.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let started_at = self.progress.started_at?;
        Some(started_at.after(self.request.policy.deadline?))
    }

    /// An attempt has failed: whether another one follows. Nothing is changed by asking.
    pub(crate) fn after_failure(
        &self,
        error: &BodyError,
        now: Timestamp,
        limit: usize,
    ) -> AfterFailure {
        let failure = self.failure(error, limit);
        if let Some(first) = &self.progress.fallback_after {
            return AfterFailure::Fail(with_cause(failure, first));
        }
        if self.request.policy.at_most_once && error.kind != TaskErrorKind::Failed {
            return AfterFailure::Fail(unknown_after(failure));
        }
        let mut meta = AttemptMeta {
            attempt: self.progress.attempt(),
            ..AttemptMeta::default()
        };
        match self.next_attempt(error, now) {
            Some(due) => meta.due = Some(due),
            None if self.request.fallback.is_some() => meta.fallback = true,
            None => return AfterFailure::Fail(failure),
        }
        AfterFailure::TryAgain { meta, failure }
    }

    fn failure(&self, error: &BodyError, limit: usize) -> TaskFailure {
        TaskFailure {
            task: Arc::clone(&self.name),
            kind: error.kind,
            attempts: self.progress.failed + 1,
            error: ErrorRecord::clone(&error.record).within(limit),
            undone: Vec::new(),
        }
    }

    /// When the next attempt is due after this failure, if there is to be one.
    fn next_attempt(&self, error: &BodyError, now: Timestamp) -> Option<Timestamp> {
        let policy = &self.request.policy;
        let failed = self.progress.failed + 1;
        let is_spent = policy.max_attempts != u32::MAX && failed >= policy.max_attempts;
        if !error.retryable || is_spent {
            return None;
        }
        let due = now.after(policy.backoff.jittered(failed, fastrand::f64()));
        self.deadline()
            .is_none_or(|deadline| due < deadline)
            .then_some(due)
    }

    pub(super) fn call_state(&self) -> CallState {
        match self.state {
            TaskState::Ready => CallState::Ready,
            TaskState::Running(_) => CallState::Running,
            TaskState::Returned => CallState::Returned,
            TaskState::Backoff(_) => CallState::Backoff,
            TaskState::Deferred => CallState::Deferred,
        }
    }

    pub(super) fn due_at(&self) -> Option<DueAt> {
        match self.state {
            TaskState::Backoff(at) => Some(DueAt::Length(at)),
            _ => None,
        }
    }
}

/// The failure of an `at_most_once` task whose body was cut off: that is no attempt that failed, since the body may have
/// done its work.
fn unknown_after(mut failure: TaskFailure) -> TaskFailure {
    let why = std::mem::take(&mut failure.error.message);
    failure.error.message =
        format!("{why}; an `at_most_once` task is not run again, since it may have done its work");
    failure.kind = TaskErrorKind::OutcomeUnknown;
    failure
}

/// A fallback's failure, with that of the task itself as its last cause.
fn with_cause(mut failure: TaskFailure, first: &TaskFailure) -> TaskFailure {
    failure.attempts = first.attempts;
    failure.error.chain.push(first.error.message.clone());
    let causes = first.error.chain.iter().cloned();
    failure.error.chain.extend(causes);
    failure
}
