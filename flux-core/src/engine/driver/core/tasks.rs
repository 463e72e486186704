//! Attempts of tasks: what becomes of a call when its body has ended, or was cut off.

use std::sync::Arc;

use super::Core;
use super::arrivals::{NewOutcome, Note};
use super::calls::{AfterFailure, CallWork, CutOffBodies, Progress, Task, TaskState};
use crate::context::request::Request;
use crate::error::{BodyError, ErrorRecord, TaskErrorKind, TaskFailure};
use crate::event::{AttemptMeta, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::task::{BodyOutput, BodyResult};

impl Core {
    /// Takes over a task that is recorded. Its next attempt is due when its history says so, or else is ready.
    pub(crate) fn begin_task(&mut self, call: EventSeq, progress: Progress) {
        let state = match progress.due {
            Some(due) if progress.fallback_after.is_none() => TaskState::Backoff(due),
            _ => TaskState::Ready,
        };
        self.add_task(call, progress, state);
    }

    fn add_task(&mut self, call: EventSeq, progress: Progress, task_state: TaskState) {
        let mut state = self.machine.shared.state();
        let Some(held) = state.call_by_seq(call) else {
            return;
        };
        let Some(Request::Task(request)) = held.request.take() else {
            return;
        };
        let (name, input) = (Arc::clone(&held.name), held.input.clone());
        drop(state);
        let input = input.unwrap_or_else(Payload::null);
        let task = Task::new(name, input, request, progress, task_state);
        self.calls.insert(call, CallWork::Task(Box::new(task)));
    }

    /// A body has returned: its outcome is recorded, or another attempt follows.
    pub(crate) fn attempt_ended(&mut self, call: EventSeq, result: BodyResult) {
        match result {
            Ok(output) => self.task_completed(call, output),
            Err(error) => self.attempt_failed(call, &error),
        }
    }

    fn task_completed(&mut self, call: EventSeq, output: BodyOutput) {
        let (size, limit) = (output.payload.size(), self.rules.payload_limit);
        if size > limit {
            let message =
                format!("its output takes {size} bytes, and the payload limit is {limit}");
            self.attempt_failed(call, &BodyError::final_message(message));
            return;
        }
        let mut outcome = NewOutcome::new(EventKind::TaskCompleted, call);
        outcome.payload = Some(output.payload);
        outcome.value = Some(output.value);
        self.arrivals.push_outcome(outcome);
    }

    fn attempt_failed(&mut self, call: EventSeq, error: &BodyError) {
        let (now, limit) = (self.now(), self.rules.payload_limit);
        let Some(task) = self.calls.task(call) else {
            return;
        };
        let (meta, failure) = match task.after_failure(error, now, limit) {
            AfterFailure::TryAgain { meta, failure } => (meta, failure),
            AfterFailure::Fail(failure) => return self.task_failed(call, &failure),
        };
        let payload = Payload::encode(&failure).ok();
        tracing::debug!(target: "flux::task", execution_id = %self.id, workflow = self.def.name, task = %failure.task, attempt = meta.attempt, error = %failure.error.message, "attempt of a task failed; another follows");
        let kind = EventKind::TaskAttemptFailed;
        task.progress.observe(kind, &meta, payload.as_ref());
        let state = meta.due.map_or(TaskState::Ready, TaskState::Backoff);
        self.calls.set_task(call, state);
        self.arrivals.push_note(Note {
            kind,
            call,
            payload,
            meta,
        });
    }

    fn task_failed(&mut self, call: EventSeq, failure: &TaskFailure) {
        let mut outcome = NewOutcome::new(EventKind::TaskFailed, call);
        outcome.payload = Payload::encode(failure).ok();
        self.arrivals.push_outcome(outcome);
    }

    /// Takes up a task that was recorded before this process drove the execution.
    pub(crate) fn recover_task(
        &mut self,
        call: EventSeq,
        mut progress: Progress,
        cut_off: CutOffBodies,
    ) {
        if progress.is_deferred {
            // Recorded before the body is begun: whoever finds it cut off may not run it as if it never was.
            self.note(EventKind::TaskBegun, call, AttemptMeta::default());
            progress.is_deferred = false;
            self.add_task(call, progress, TaskState::Ready);
            return;
        }
        let (name, at_most_once, can_repeat) = self.policy_of(call);
        let was_cut_off = match cut_off {
            CutOffBodies::All => true,
            CutOffBodies::AtMostOnce => at_most_once,
            CutOffBodies::None => false,
        };
        if !was_cut_off {
            self.add_task(call, progress, TaskState::Ready);
            return;
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
                CutOffBodies::All => "the process died",
                CutOffBodies::AtMostOnce | CutOffBodies::None => {
                    "the execution was ended by its parent"
                }
            };
            let reason = format!(
                "{what} after the call was recorded, and an `at_most_once` task is not run again"
            );
            self.task_failed(call, &unknown(reason, progress.attempt()));
            return;
        }
        if waits || !can_repeat {
            self.begin_task(call, progress);
            return;
        }
        if progress.recoveries + 1 > self.rules.max_recoveries {
            let reason = format!(
                "its process died {} times while it ran; a `resume` of the execution tries it again",
                progress.recoveries + 1
            );
            self.task_failed(call, &unknown(reason, progress.attempt()));
            return;
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
        self.add_task(call, progress, TaskState::Ready);
    }

    /// Records something about a call with the next commit.
    fn note(&mut self, kind: EventKind, call: EventSeq, meta: AttemptMeta) {
        self.arrivals.push_note(Note {
            kind,
            call,
            payload: None,
            meta,
        });
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
