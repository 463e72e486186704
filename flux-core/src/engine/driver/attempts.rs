//! Attempts of a task: how many were made, whether another follows and when.

use std::sync::Arc;

use super::Driver;
use super::activation::{Arrival, NewOutcome, Note};
use super::bodies::Running;
use crate::clock::Timestamp;
use crate::context::request::{Request, TaskRequest};
use crate::error::{Error, ErrorRecord, TaskErrorKind, TaskFailure};
use crate::event::{AttemptMeta, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::task::{BodyError, BodyOutput, BodyResult};

/// A call whose body runs, or will run again.
pub(super) struct Task {
    pub(super) name: Arc<str>,
    pub(super) input: Payload,
    pub(super) request: TaskRequest,
    pub(super) progress: Progress,
    pub(super) running: Option<Running>,
}

/// Which bodies of an execution that is taken up may have been cut off when it was last driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutOff {
    /// All: its process died.
    All,
    /// All, and another run is no harm to those that may run twice: its parent had ended it.
    AtMostOnce,
    /// None, or it was asked for that they run again.
    None,
}

/// What has become of a task so far; read from the history after a crash.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) started_at: Option<Timestamp>,
    /// Attempts that failed.
    pub(super) failed: u32,
    /// Attempts that a crash cut off, and that have a number of their own.
    pub(super) interrupted: u32,
    /// Crashes that may have been this body's doing.
    pub(super) recoveries: u32,
    /// When the next attempt is due.
    pub(super) due: Option<Timestamp>,
    /// It is known that the attempt that comes next was not begun.
    pub(super) is_deferred: bool,
    /// The attempts are spent; the fallback is at work. What the task itself failed with.
    pub(super) fallback_after: Option<TaskFailure>,
}

impl Progress {
    /// The number of the attempt that runs or comes next.
    pub(super) fn attempt(&self) -> u32 {
        self.failed + self.interrupted + 1
    }

    /// Takes a recorded note into account.
    pub(super) fn observe(
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

    /// The moment by which all attempts must be done.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        Some(
            self.progress
                .started_at?
                .after(self.request.policy.deadline?),
        )
    }
}

impl Driver {
    /// Begins a task that is recorded.
    pub(super) fn begin_task(
        &mut self,
        call: EventSeq,
        progress: Progress,
    ) -> Result<(), crate::error::Error> {
        let task = {
            let mut state = self.machine.shared.state();
            let Some(held) = state.call_by_seq(call) else {
                return Ok(());
            };
            let Some(Request::Task(request)) = held.request.take() else {
                return Ok(());
            };
            Task {
                name: Arc::clone(&held.name),
                input: held.input.clone().unwrap_or_else(Payload::null),
                request,
                progress,
                running: None,
            }
        };
        let due = task
            .progress
            .due
            .filter(|_| task.progress.fallback_after.is_none());
        self.tasks.insert(call, Box::new(task));
        match due {
            Some(due) => {
                self.due.arm(call, due);
                Ok(())
            }
            None => self.launch(call),
        }
    }

    /// A body has ended: its outcome is recorded, or another attempt follows.
    pub(super) fn body_ended(&mut self, call: EventSeq, run: u64, result: BodyResult) {
        let Some(task) = self.tasks.get_mut(&call) else {
            return;
        };
        let is_this = |running: &mut Running| running.run == run;
        let Some(mut ended) = task.running.take_if(is_this) else {
            return;
        };
        if let Some(thread) = ended.thread.take() {
            let now = self.engine.time.steady();
            let until = now.after(self.engine.blocking_patience);
            self.threads.leave(&task.name, &task.input, thread, until);
        }
        if let Some(missing) = ended.ended().missing_state.get() {
            self.lost = Some(Error::MissingState {
                task: missing.task.to_string(),
                state: missing.state.to_owned(),
            });
            return;
        }
        match result {
            Ok(output) => self.task_completed(call, output),
            Err(error) => self.attempt_failed(call, &error),
        }
    }

    fn task_completed(&mut self, call: EventSeq, output: BodyOutput) {
        let (size, limit) = (output.payload.size(), self.engine.env.payload_limit);
        if size > limit {
            let message =
                format!("its output takes {size} bytes, and the payload limit is {limit}");
            self.attempt_failed(call, &BodyError::final_message(message));
            return;
        }
        let mut outcome = NewOutcome::new(EventKind::TaskCompleted, call);
        outcome.payload = Some(output.payload);
        outcome.value = Some(output.value);
        self.outcome(outcome);
    }

    fn attempt_failed(&mut self, call: EventSeq, error: &BodyError) {
        let now = self.now();
        let Some(task) = self.tasks.get_mut(&call) else {
            return;
        };
        let failure = task.failure(error, self.engine.env.payload_limit);
        if let Some(first) = task.progress.fallback_after.take() {
            self.task_failed(call, &with_cause(failure, &first));
            return;
        }
        if task.request.policy.at_most_once && error.kind != TaskErrorKind::Failed {
            self.task_failed(call, &unknown_after(failure));
            return;
        }
        let mut meta = AttemptMeta {
            attempt: task.progress.attempt(),
            ..AttemptMeta::default()
        };
        if let Some(due) = task.next_attempt(error, now) {
            meta.due = Some(due);
            self.due.arm(call, due);
        } else if task.request.fallback.is_some() {
            meta.fallback = true;
            self.retries.push(call);
        } else {
            self.task_failed(call, &failure);
            return;
        }
        let payload = Payload::encode(&failure).ok();
        tracing::debug!(target: "flux::task", execution_id = %self.id, workflow = self.def.name, task = %failure.task, attempt = meta.attempt, error = %failure.error.message, "attempt of a task failed; another follows");
        task.progress
            .observe(EventKind::TaskAttemptFailed, &meta, payload.as_ref());
        let note = Note {
            kind: EventKind::TaskAttemptFailed,
            call,
            payload,
            meta,
        };
        self.arrivals.push_back(Arrival::Note(Box::new(note)));
    }

    pub(super) fn task_failed(&mut self, call: EventSeq, failure: &TaskFailure) {
        let mut outcome = NewOutcome::new(EventKind::TaskFailed, call);
        outcome.payload = Payload::encode(failure).ok();
        self.outcome(outcome);
    }

    /// The wait before an attempt is over: it starts as soon as everything before it is committed.
    pub(super) fn retry_is_due(&mut self, call: EventSeq) {
        self.retries.push(call);
    }

    /// Starts the attempts whose time has come.
    pub(super) fn launch_retries(&mut self) -> Result<(), crate::error::Error> {
        let retries = std::mem::take(&mut self.retries);
        retries.into_iter().try_for_each(|call| self.launch(call))
    }

    /// Takes up a task that was recorded before this process drove the execution.
    pub(super) fn recover_task(
        &mut self,
        call: EventSeq,
        mut progress: Progress,
        cut_off: CutOff,
    ) -> Result<(), crate::error::Error> {
        if progress.is_deferred {
            // Recorded before the body is begun: whoever finds it cut off may not run it as if it never was.
            self.note(EventKind::TaskBegun, call, AttemptMeta::default());
            progress.is_deferred = false;
            self.park(call, progress);
            return Ok(());
        }
        let (name, at_most_once, can_repeat) = self.policy_of(call);
        let was_cut_off = match cut_off {
            CutOff::All => true,
            CutOff::AtMostOnce => at_most_once,
            CutOff::None => false,
        };
        if !was_cut_off {
            self.park(call, progress);
            return Ok(());
        }
        let waits = progress.due.is_some_and(|due| due > self.now());
        let unknown = |reason: String, attempts: u32| TaskFailure {
            task: Arc::clone(&name),
            kind: TaskErrorKind::OutcomeUnknown,
            attempts,
            error: ErrorRecord::message(reason),
            undone: Vec::new(),
        };
        if at_most_once && !waits {
            let what = match cut_off {
                CutOff::All => "the process died",
                CutOff::AtMostOnce | CutOff::None => "the execution was ended by its parent",
            };
            let reason = format!(
                "{what} after the call was recorded, and an `at_most_once` task is not run again"
            );
            self.task_failed(call, &unknown(reason, progress.attempt()));
            return Ok(());
        }
        if waits || !can_repeat {
            return self.begin_task(call, progress);
        }
        if progress.recoveries + 1 > self.engine.max_recoveries {
            let reason = format!(
                "its process died {} times while it ran; a `resume` of the execution tries it again",
                progress.recoveries + 1
            );
            self.task_failed(call, &unknown(reason, progress.attempt()));
            return Ok(());
        }
        let meta = AttemptMeta {
            attempt: progress.attempt(),
            uncertain: progress.due.is_some(),
            ..AttemptMeta::default()
        };
        progress.observe(EventKind::TaskInterrupted, &meta, None);
        self.note(EventKind::TaskInterrupted, call, meta);
        // The body runs again only once the interruption is committed, or a body that kills its process could do
        // so for ever without ever being counted.
        progress.due = None;
        self.park(call, progress);
        Ok(())
    }

    /// Records something about a call with the next commit.
    fn note(&mut self, kind: EventKind, call: EventSeq, meta: AttemptMeta) {
        let note = Note {
            kind,
            call,
            payload: None,
            meta,
        };
        self.arrivals.push_back(Arrival::Note(Box::new(note)));
    }

    /// Keeps a task ready to be launched after the next commit.
    fn park(&mut self, call: EventSeq, progress: Progress) {
        let mut state = self.machine.shared.state();
        let Some(held) = state.call_by_seq(call) else {
            return;
        };
        let Some(Request::Task(request)) = held.request.take() else {
            return;
        };
        let task = Task {
            name: Arc::clone(&held.name),
            input: held.input.clone().unwrap_or_else(Payload::null),
            request,
            progress,
            running: None,
        };
        drop(state);
        self.tasks.insert(call, Box::new(task));
        self.retries.push(call);
    }

    fn policy_of(&self, call: EventSeq) -> (Arc<str>, bool, bool) {
        let mut state = self.machine.shared.state();
        match state.call_by_seq(call) {
            Some(held) => match &held.request {
                Some(Request::Task(task)) => {
                    (Arc::clone(&held.name), task.policy.at_most_once, true)
                }
                _ => (Arc::clone(&held.name), false, false),
            },
            None => ("".into(), false, false),
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
    failure
        .error
        .chain
        .extend(first.error.chain.iter().cloned());
    failure
}
