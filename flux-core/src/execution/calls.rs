//! `CallInfo`: what became of each call of an execution, read from its history.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::counting::Runs;
use super::waiting::PausePoint;
use crate::error::TaskFailure;
use crate::event::{AttemptMeta, CallMeta, Event, EventKind};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;

/// What became of one call of an execution: of a task or step, a timer, a signal, a pause point, a child, or of
/// [`flux::cancelled`](crate::cancelled).
///
/// It is read from the history, and knows what that knows: of a body that runs it tells that it was begun, not that
/// its process is alive.
#[derive(Clone, Debug)]
pub struct CallInfo {
    name: String,
    kind: CallKind,
    call: EventSeq,
    status: CallStatus,
    attempts: u32,
    started_at: SystemTime,
    finished_at: Option<SystemTime>,
    due: Option<SystemTime>,
    child: Option<ExecutionId>,
    last_error: Option<String>,
    undoes: Option<EventSeq>,
    input: Option<Payload>,
    output: Option<Payload>,
    site: Option<String>,
    wants: Option<String>,
    is_reused: bool,
    is_asked_again: bool,
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallKind {
    /// A task, a step or a transaction; also one that undoes another.
    Task,
    /// A moment; [`flux::timeout`](crate::timeout) asks for one beside its call.
    Timer,
    /// A signal.
    Signal,
    /// An answer to a pause point.
    Pause,
    /// Another workflow.
    Child,
    /// To be told when the execution is to be cancelled.
    Cancellation,
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallStatus {
    /// Its body or its child runs, or will once more.
    Running,
    /// An attempt failed, and another is begun when it is [due](CallInfo::due).
    Retrying,
    /// It waits for what it asked for.
    Waiting,
    /// It has its result.
    Completed,
    /// It failed for good.
    Failed,
    /// Its code dropped it, or the execution ended without its code.
    Cancelled,
}

impl CallKind {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "Task",
            Self::Timer => "Timer",
            Self::Signal => "Signal",
            Self::Pause => "Pause",
            Self::Child => "Child",
            Self::Cancellation => "Cancellation",
        }
    }

    fn of(kind: EventKind) -> Option<Self> {
        Some(match kind {
            EventKind::TaskStarted => Self::Task,
            EventKind::TimerStarted => Self::Timer,
            EventKind::SignalAwaited => Self::Signal,
            EventKind::PauseReached => Self::Pause,
            EventKind::ChildStarted => Self::Child,
            EventKind::CancelAwaited => Self::Cancellation,
            _ => return None,
        })
    }

    /// Whether something runs for it.
    const fn is_work(self) -> bool {
        matches!(self, Self::Task | Self::Child)
    }
}

impl CallStatus {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Retrying => "Retrying",
            Self::Waiting => "Waiting",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether the call has its outcome.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for CallKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl CallInfo {
    /// Reads the calls out of a history, which has to be whole, in the order they were made.
    ///
    /// Only what counts is there: neither the calls from before the execution last began anew, nor those that a rewind
    /// took back. A call whose failure was taken back runs again.
    pub fn of(events: &[Event]) -> Vec<Self> {
        let counting = Runs::of(events);
        let mut calls = HistoryCalls::default();
        for event in events {
            if counting.counts(event.seq) {
                calls.see(event);
            } else {
                calls.see_taken_back(event);
            }
        }
        calls.0
    }

    /// The name that is recorded: the task's, the signal's, the pause point's, the workflow's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks for.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// The number of the event that recorded the call.
    pub fn call(&self) -> EventSeq {
        self.call
    }

    /// Where it stands.
    pub fn status(&self) -> CallStatus {
        self.status
    }

    /// How many attempts have ended, and for one that runs, the one that runs. A resume of what failed counts anew. None
    /// were made for a call that only waits, or that took over a result.
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

    /// When a timer fires; when the next attempt of a task that [retries](CallStatus::Retrying) is begun.
    pub fn due(&self) -> Option<SystemTime> {
        self.due
    }

    /// The execution of a child.
    pub fn child(&self) -> Option<&ExecutionId> {
        self.child.as_ref()
    }

    /// The message of its last error, also where it succeeded after that.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// The call that this one, a rollback, undoes.
    pub fn undoes(&self) -> Option<EventSeq> {
        self.undoes
    }

    /// What it was given; of a timer, what it was asked to wait for.
    pub fn input(&self) -> Option<&Payload> {
        self.input.as_ref()
    }

    /// Its result: a task's or child's output, a signal's or an answer's value.
    pub fn output(&self) -> Option<&Payload> {
        self.output.as_ref()
    }

    /// The source line that asked for it, as `src/orders.rs:42:5`.
    pub fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// The type of the value that a pause point wants. No event has it: it is known while the execution waits there, and
    /// only from [`Execution::calls`](crate::Execution::calls).
    pub fn wants(&self) -> Option<&str> {
        self.wants.as_deref()
    }

    /// Whether it took the result that was recorded before a rewind instead of running.
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Whether what it received is asked for again when the execution is resumed after it was rolled back: an answer to a
    /// pause point, unless it is [kept](crate::Pause::keep_after_rollback).
    pub fn is_asked_again_after_rollback(&self) -> bool {
        self.is_asked_again
    }

    /// Learns from the pause points that wait what they want.
    pub(super) fn wanted_at(mut self, execution: &ExecutionId, points: &[PausePoint]) -> Self {
        let is_this =
            |point: &&PausePoint| point.event() == self.call && point.execution_id() == execution;
        let point = points.iter().find(is_this).filter(|_| self.is_open_pause());
        self.wants = point.and_then(PausePoint::wants).map(str::to_owned);
        self
    }

    fn is_open_pause(&self) -> bool {
        self.kind == CallKind::Pause && !self.status.is_finished()
    }

    fn started(kind: CallKind, event: &Event) -> Self {
        let meta = event.meta::<CallMeta>();
        let is_asked_again = meta.is_asked_again(event.kind);
        Self {
            name: event.name_str().to_owned(),
            kind,
            call: event.seq,
            status: if kind.is_work() {
                CallStatus::Running
            } else {
                CallStatus::Waiting
            },
            attempts: u32::from(kind.is_work()),
            started_at: event.at.into(),
            finished_at: None,
            due: meta.due.map(Into::into),
            child: meta.child.as_deref().map(Into::into),
            last_error: None,
            undoes: meta.undoes,
            input: event.payload.clone(),
            output: None,
            site: Some(meta.site).filter(|site| !site.is_empty()),
            wants: None,
            is_reused: false,
            is_asked_again,
        }
    }

    fn see(&mut self, event: &Event) {
        match event.kind {
            EventKind::TaskAttemptFailed => self.attempt_failed(event),
            EventKind::TaskInterrupted => self.interrupted(event),
            EventKind::TaskFailed | EventKind::ChildFailed => self.failed(event),
            EventKind::CallCancelled => self.end(CallStatus::Cancelled, event),
            EventKind::CallReused => {
                self.is_reused = true;
                self.attempts = 0;
                self.completed(event);
            }
            kind if kind.is_completion() => self.completed(event),
            _ => {}
        }
    }

    fn attempt_failed(&mut self, event: &Event) {
        let meta = event.meta::<AttemptMeta>();
        self.attempts = meta.attempt + u32::from(!meta.fallback);
        self.due = meta.due.map(Into::into);
        self.status = if meta.due.is_some() {
            CallStatus::Retrying
        } else {
            CallStatus::Running
        };
        self.remember_error(event);
    }

    /// The body runs again. An attempt that may not have begun keeps its number.
    fn interrupted(&mut self, event: &Event) {
        self.attempts += u32::from(!event.meta::<AttemptMeta>().uncertain);
        self.run_again();
    }

    fn failed(&mut self, event: &Event) {
        if let Some(failure) = self.remember_error(event) {
            self.attempts = self.attempts.max(failure.attempts);
        }
        self.end(CallStatus::Failed, event);
    }

    fn completed(&mut self, event: &Event) {
        self.output.clone_from(&event.payload);
        self.end(CallStatus::Completed, event);
    }

    fn end(&mut self, status: CallStatus, event: &Event) {
        self.status = status;
        self.finished_at = Some(event.at.into());
        if self.kind == CallKind::Task {
            self.due = None;
        }
    }

    fn remember_error(&mut self, event: &Event) -> Option<TaskFailure> {
        let failure: TaskFailure = event.payload.as_ref()?.decode().ok()?;
        self.last_error = Some(failure.error.message.clone());
        Some(failure)
    }

    fn run_again(&mut self) {
        self.status = CallStatus::Running;
        self.due = None;
    }

    /// A rewind gives what is at work a new budget of attempts.
    fn rewound(&mut self) {
        if self.kind.is_work() && !self.status.is_finished() {
            self.attempts = 1;
            self.run_again();
        }
    }
}

/// The calls of a history, in order.
#[derive(Default)]
struct HistoryCalls(Vec<CallInfo>);

impl HistoryCalls {
    fn see(&mut self, event: &Event) {
        if let Some(kind) = CallKind::of(event.kind) {
            self.0.push(CallInfo::started(kind, event));
            return;
        }
        match event.kind {
            EventKind::Rewound => self.0.iter_mut().for_each(CallInfo::rewound),
            EventKind::WorkflowCancelled | EventKind::WorkflowTerminated => self.cut_off(event),
            _ => {
                if let Some(call) = self.called(event) {
                    call.see(event);
                }
            }
        }
    }

    /// An event that no longer counts: an error that was taken back is still the last one of its call.
    fn see_taken_back(&mut self, event: &Event) {
        let is_error = matches!(
            event.kind,
            EventKind::TaskAttemptFailed | EventKind::TaskFailed | EventKind::ChildFailed
        );
        if is_error && let Some(call) = self.called(event) {
            call.remember_error(event);
        }
    }

    /// The execution ended without its code, which might have dropped what it held.
    fn cut_off(&mut self, event: &Event) {
        let open = self.0.iter_mut().filter(|call| !call.status.is_finished());
        open.for_each(|call| call.end(CallStatus::Cancelled, event));
    }

    /// The call that this happened to.
    fn called(&mut self, event: &Event) -> Option<&mut CallInfo> {
        let seq = event.refers?;
        let found = self.0.binary_search_by_key(&seq, |call| call.call).ok()?;
        self.0.get_mut(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::clock::Timestamp;

    /// Event `seq`, at second `seq`.
    fn event(seq: u32, kind: EventKind, refers: u32, payload: &str, meta: &str) -> Event {
        let text = |text: &str| (!text.is_empty()).then(|| Payload::from_json(text));
        Event {
            seq: EventSeq::new(seq),
            at: Timestamp::from_micros(i64::from(seq) * 1_000_000),
            kind,
            refers: (refers > 0).then(|| EventSeq::new(refers)),
            name: kind
                .is_call()
                .then(|| kind.as_str().to_lowercase().as_str().into()),
            payload: text(payload),
            meta: text(meta),
        }
    }

    fn call(seq: u32, kind: EventKind) -> Event {
        event(seq, kind, 1, "", "")
    }

    fn on(seq: u32, kind: EventKind, call: u32) -> Event {
        event(seq, kind, call, "", "")
    }

    fn failure(seq: u32, kind: EventKind, call: u32, attempts: u32, meta: &str) -> Event {
        let payload = format!(
            r#"{{"task":"t","kind":"Failed","attempts":{attempts},"error":{{"type":"","message":"error {attempts}"}}}}"#
        );
        event(seq, kind, call, &payload, meta)
    }

    fn rewound(seq: u32, from: u32, to: u32) -> Event {
        let meta = format!(r#"{{"to":{to},"from":{from},"retry":[],"attempt":2,"budget_from":2}}"#);
        event(seq, EventKind::Rewound, 0, "", &meta)
    }

    /// Which call, where it stands, after how many attempts, and what else there is to say.
    fn show(calls: &[CallInfo]) -> String {
        let seconds = |moment: SystemTime| Timestamp::from(moment).as_micros() / 1_000_000;
        let mut text = String::new();
        for call in calls {
            write!(
                text,
                "#{} {} {} {}",
                call.call, call.kind, call.status, call.attempts
            )
            .unwrap();
            if let Some(end) = call.finished_at {
                write!(text, ", ended {}", seconds(end)).unwrap();
            }
            if let Some(due) = call.due {
                write!(text, ", due {}", seconds(due)).unwrap();
            }
            if let Some(output) = &call.output {
                write!(text, ", gave {output}").unwrap();
            }
            if let Some(error) = &call.last_error {
                write!(text, ", {error}").unwrap();
            }
            if call.is_reused {
                text.push_str(", reused");
            }
            text.push('\n');
        }
        text
    }

    #[track_caller]
    fn check(events: &[Event], expected: &[&str]) {
        let shown = show(&CallInfo::of(events));
        let shown: Vec<&str> = shown.lines().collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_kind_of_call_waits_or_runs_until_it_is_answered() {
        use EventKind::*;
        let begun = [
            call(2, TaskStarted),
            event(
                3,
                TimerStarted,
                1,
                r#"{"after":5000000}"#,
                r#"{"due":6000000}"#,
            ),
            call(4, SignalAwaited),
            call(5, PauseReached),
            call(6, ChildStarted),
            call(7, CancelAwaited),
        ];
        check(
            &begun,
            &[
                "#2 Task Running 1",
                "#3 Timer Waiting 0, due 6",
                "#4 Signal Waiting 0",
                "#5 Pause Waiting 0",
                "#6 Child Running 1",
                "#7 Cancellation Waiting 0",
            ],
        );
        let answers = [
            event(8, TaskCompleted, 2, "1", ""),
            on(9, TimerFired, 3),
            event(10, SignalReceived, 4, "2", ""),
            event(11, PauseAnswered, 5, "3", ""),
            event(12, ChildCompleted, 6, "4", ""),
            on(13, CancelDelivered, 7),
        ];
        check(
            &[begun, answers].concat(),
            &[
                "#2 Task Completed 1, ended 8, gave 1",
                "#3 Timer Completed 0, ended 9, due 6",
                "#4 Signal Completed 0, ended 10, gave 2",
                "#5 Pause Completed 0, ended 11, gave 3",
                "#6 Child Completed 1, ended 12, gave 4",
                "#7 Cancellation Completed 0, ended 13",
            ],
        );
    }

    #[test]
    fn attempts_are_counted_as_the_execution_counts_them() {
        use EventKind::*;
        let task = call(2, TaskStarted);
        let first = failure(3, TaskAttemptFailed, 2, 1, r#"{"attempt":1,"due":9000000}"#);
        let begun = [task, first];
        check(&begun, &["#2 Task Retrying 2, due 9, error 1"]);
        let with = |event: Event| [begun.to_vec(), vec![event]].concat();
        let cut_off = event(4, TaskInterrupted, 2, "", r#"{"attempt":2}"#);
        check(&with(cut_off), &["#2 Task Running 3, error 1"]);
        let perhaps = event(
            4,
            TaskInterrupted,
            2,
            "",
            r#"{"attempt":2,"uncertain":true}"#,
        );
        check(&with(perhaps), &["#2 Task Running 2, error 1"]);
        let spent = failure(
            4,
            TaskAttemptFailed,
            2,
            2,
            r#"{"attempt":2,"fallback":true}"#,
        );
        check(&with(spent), &["#2 Task Running 2, error 2"]);
        let failed = failure(4, TaskFailed, 2, 2, "");
        check(&with(failed), &["#2 Task Failed 2, ended 4, error 2"]);
        let completed = event(4, TaskCompleted, 2, "true", "");
        check(
            &with(completed),
            &["#2 Task Completed 2, ended 4, gave true, error 1"],
        );
    }

    #[test]
    fn a_failure_that_was_taken_back_runs_again_and_what_came_of_it_is_left_out() {
        use EventKind::*;
        let failed = [
            call(2, TaskStarted),
            call(3, TaskStarted),
            failure(4, TaskFailed, 2, 3, ""),
            call(5, TaskStarted),
            event(6, TaskCompleted, 3, "1", ""),
            on(7, WorkflowFailed, 0),
        ];
        check(
            &failed,
            &[
                "#2 Task Failed 3, ended 4, error 3",
                "#3 Task Completed 1, ended 6, gave 1",
                "#5 Task Running 1",
            ],
        );
        let mut events = [failed.to_vec(), vec![rewound(8, 1, 4)]].concat();
        check(
            &events,
            &["#2 Task Running 1, error 3", "#3 Task Running 1"],
        );
        events.push(event(9, TaskCompleted, 3, "1", ""));
        events.push(event(10, TaskCompleted, 2, "2", ""));
        events.push(call(11, TaskStarted));
        events.push(event(12, CallReused, 11, "5", r#"{"from":5}"#));
        check(
            &events,
            &[
                "#2 Task Completed 1, ended 10, gave 2, error 3",
                "#3 Task Completed 1, ended 9, gave 1",
                "#11 Task Completed 0, ended 12, gave 5, reused",
            ],
        );
    }

    #[test]
    fn a_second_rewind_refers_to_the_first() {
        use EventKind::*;
        let events = [
            call(2, TaskStarted),
            failure(3, TaskFailed, 2, 1, ""),
            rewound(4, 1, 3),
            event(5, TaskCompleted, 2, "1", ""),
            call(6, TaskStarted),
            failure(7, TaskFailed, 6, 1, ""),
            call(8, ChildStarted),
            rewound(9, 4, 7),
        ];
        check(
            &events,
            &[
                "#2 Task Completed 1, ended 5, gave 1, error 1",
                "#6 Task Running 1, error 1",
            ],
        );
    }

    #[test]
    fn what_was_before_a_new_beginning_is_left_out() {
        use EventKind::*;
        let events = [
            call(2, TaskStarted),
            event(3, TaskCompleted, 2, "1", ""),
            event(4, ContinuedAsNew, 0, "2", ""),
            call(5, TimerStarted),
        ];
        check(&events, &["#5 Timer Waiting 0"]);
    }

    #[test]
    fn an_end_without_the_code_cancels_what_was_open() {
        use EventKind::*;
        for end in [WorkflowTerminated, WorkflowCancelled] {
            let events = [
                call(2, TaskStarted),
                call(3, SignalAwaited),
                on(4, CallCancelled, 2),
                on(5, TaskDiscarded, 2),
                on(6, end, 0),
            ];
            check(
                &events,
                &[
                    "#2 Task Cancelled 1, ended 4",
                    "#3 Signal Cancelled 0, ended 6",
                ],
            );
        }
    }

    #[test]
    fn details_are_what_the_call_recorded() {
        let meta = r#"{"site":"src/a.rs:1:2","child":"x.1","undoes":7}"#;
        let calls = CallInfo::of(&[event(9, EventKind::ChildStarted, 1, "[1]", meta)]);
        let call = &calls[0];
        assert_eq!(call.name(), "child_started");
        assert_eq!(call.site(), Some("src/a.rs:1:2"));
        assert_eq!(call.child(), Some(&"x.1".into()));
        assert_eq!(call.undoes(), Some(EventSeq::new(7)));
        assert_eq!(call.input(), Some(&Payload::from_json("[1]")));
        assert_eq!((call.duration(), call.wants()), (None, None));
        let words = serde_json::to_string(&(call.kind(), call.status())).unwrap();
        assert_eq!(words, r#"["child","running"]"#);
    }
}
