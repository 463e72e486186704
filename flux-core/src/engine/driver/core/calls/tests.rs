use super::*;
use crate::context::request::{Body, Policy, TaskRequest};
use crate::error::{BodyError, ErrorRecord, TaskErrorKind};
use crate::payload::Payload;
use crate::policy::ChildPolicy;

fn seq(n: u32) -> EventSeq {
    EventSeq::new(n)
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn task_with(policy: Policy, progress: Progress, state: TaskState) -> Task {
    let request = TaskRequest {
        body: Body::Step(Box::new(|| None)),
        policy,
        fallback: None,
        undoes: None,
    };
    Task::new("t".into(), Payload::null(), request, progress, state)
}

fn task(state: TaskState) -> CallWork {
    CallWork::Task(Box::new(task_with(
        Policy::ONCE,
        Progress::default(),
        state,
    )))
}

fn child(id: &str, since: i64, state: ChildState) -> CallWork {
    CallWork::Child(Box::new(Child {
        id: id.into(),
        workflow: "w",
        policy: ChildPolicy::Cancel,
        since: Epoch(since),
        state,
    }))
}

fn pause(call: EventSeq, execution: &str) -> PausePoint {
    PausePoint::new("p", call, execution.into(), None)
}

fn with(work: impl IntoIterator<Item = CallWork>) -> Calls {
    let mut calls = Calls::default();
    for (n, work) in (2..).zip(work) {
        calls.insert(seq(n), work);
    }
    calls
}

#[test]
fn an_execution_is_paused_if_a_pause_point_waits_and_nothing_is_at_work() {
    let paused = || CallWork::Pause(Box::new(pause(seq(2), "a")), "p".into());
    assert!(!with([]).rests());
    assert!(with([paused()]).rests());
    assert!(with([paused(), CallWork::Timer(DueAt::Length(at(9)))]).rests());
    assert!(
        with([
            paused(),
            CallWork::Signal("s".into()),
            CallWork::Cancellation
        ])
        .rests()
    );
    assert!(with([child("c", 1, ChildState::Paused(Vec::new()))]).rests());
    let at_work = [
        task(TaskState::Ready),
        task(TaskState::Returned),
        task(TaskState::Backoff(at(9))),
        task(TaskState::Deferred),
        child("c", 1, ChildState::Unborn),
        child("c", 1, ChildState::Ready),
        child("c", 1, ChildState::Elsewhere),
        child("c", 1, ChildState::Asleep),
        child("c", 1, ChildState::Deferred),
        child("c", 1, ChildState::Ended),
    ];
    for work in at_work {
        assert!(!with([paused(), work]).rests());
    }
}

#[test]
fn what_begins_or_has_a_driver_here_keeps_an_execution_in_memory_and_what_waits_does_not() {
    for (work, is_quiet, is_quiet_on_hold) in [
        (task(TaskState::Ready), false, false),
        (task(TaskState::Backoff(at(9))), true, true),
        (task(TaskState::Deferred), true, true),
        (child("c", 1, ChildState::Ready), false, false),
        (child("c", 1, ChildState::Unborn), false, true),
        (child("c", 1, ChildState::Ended), false, true),
        (child("c", 1, ChildState::Elsewhere), true, true),
        (CallWork::Timer(DueAt::Moment(at(9))), true, true),
        (CallWork::Signal("s".into()), true, true),
    ] {
        let calls = with([work]);
        let found = (calls.are_quiet(false), calls.are_quiet(true));
        assert_eq!(found, (is_quiet, is_quiet_on_hold));
    }
}

#[test]
fn what_is_due_comes_in_the_order_of_its_time_and_then_of_its_call() {
    let mut calls = with([
        CallWork::Timer(DueAt::Length(at(30))),
        task(TaskState::Backoff(at(10))),
        CallWork::Timer(DueAt::Moment(at(10))),
        CallWork::Timer(DueAt::Length(at(99))),
    ]);
    let mut taken = Vec::new();
    while let Some((at, call, is_timer)) = calls.take_due(at(50), at(50)) {
        taken.push((at.as_micros(), call.get(), is_timer));
    }
    assert_eq!(taken, [(10, 3, false), (10, 4, true), (30, 2, true)]);
    assert_eq!(calls.ready_tasks(), [seq(3)], "its next attempt can begin");
    assert_eq!(calls.due().first_length(), Some(at(99)));
}

#[test]
fn a_moment_is_due_by_the_clock_and_a_length_by_the_time_of_the_execution() {
    let mut calls = with([
        CallWork::Timer(DueAt::Length(at(20))),
        CallWork::Timer(DueAt::Moment(at(10))),
    ]);
    // The clock was set back, and the execution's own time was not.
    let first = calls.take_due(at(25), at(5)).map(|(_, call, _)| call);
    assert_eq!(first, Some(seq(2)));
    assert!(calls.take_due(at(25), at(5)).is_none());
}

#[test]
fn a_call_that_is_gone_is_in_no_index() {
    let mut calls = with([
        task(TaskState::Backoff(at(10))),
        CallWork::Signal("s".into()),
        child("c", 1, ChildState::Paused(vec![pause(seq(7), "c")])),
        CallWork::Pause(Box::new(pause(seq(5), "a")), "p".into()),
    ]);
    for n in 2..6 {
        assert!(calls.remove(seq(n)).is_some());
    }
    assert!(calls.due().is_empty() && calls.pause_points().is_empty());
    assert_eq!(calls.awaited().count() + calls.that_await("s").count(), 0);
    assert!(calls.calls_that_wait(&"c".into(), Epoch(1)).is_empty());
    assert!(!calls.wait() && !calls.rests() && !calls.has_tasks() && !calls.has_children());
}

#[test]
fn only_an_end_of_the_present_beginning_of_a_child_is_waited_for_and_only_once() {
    let mut calls = with([child("c", 3, ChildState::Elsewhere)]);
    assert!(calls.calls_that_wait(&"c".into(), Epoch(2)).is_empty());
    assert_eq!(calls.calls_that_wait(&"c".into(), Epoch(3)), [seq(2)]);
    calls.set_child(seq(2), ChildState::Ended);
    assert!(calls.calls_that_wait(&"c".into(), Epoch(3)).is_empty());
}

#[test]
fn an_answer_to_a_pause_below_goes_to_the_call_of_the_child_that_shows_it() {
    let below = ChildState::Paused(vec![pause(seq(4), "grandchild")]);
    let calls = with([
        child("other", 1, ChildState::Paused(Vec::new())),
        child("c", 1, below),
    ]);
    assert_eq!(calls.call_paused_at(&"grandchild".into()), Some(seq(3)));
    assert_eq!(calls.call_paused_at(&"c".into()), None);
}

#[test]
fn what_was_deferred_can_begin_when_the_execution_goes_on() {
    let mut calls = with([
        task(TaskState::Deferred),
        child("c", 1, ChildState::Deferred),
    ]);
    assert!(calls.has_deferred() && !calls.has_ready());
    calls.undefer();
    assert_eq!(calls.ready_tasks(), [seq(2)]);
    assert_eq!(calls.take_ready_children(), [seq(3)]);
    assert!(calls.take_ready_children().is_empty(), "each is taken once");
}

#[test]
fn everything_is_dropped_but_the_children_which_may_have_to_be_told() {
    let mut calls = with([
        task(TaskState::Ready),
        child("c", 1, ChildState::Elsewhere),
        CallWork::Signal("s".into()),
    ]);
    assert!(calls.clear().is_empty());
    assert!(!calls.has_ready() && calls.awaited().next().is_none());
    let left: Vec<_> = calls
        .take_children()
        .into_iter()
        .map(|(call, _)| call)
        .collect();
    assert_eq!(left, [seq(3)]);
}

#[test]
fn a_change_of_a_call_that_is_gone_does_nothing() {
    let mut calls = Calls::default();
    calls.set_task(seq(2), TaskState::Ready);
    calls.set_child(seq(2), ChildState::Ended);
    assert!(calls.take_returned(seq(2), 0).is_none());
    assert!(!calls.has_ready() && !calls.has_children());
}

fn error(kind: TaskErrorKind, retryable: bool) -> BodyError {
    BodyError {
        record: Box::new(ErrorRecord::message("no")),
        kind,
        retryable,
        tasks: Vec::new(),
    }
}

const THRICE: Policy = Policy {
    max_attempts: 3,
    ..Policy::ONCE
};

#[test]
fn another_attempt_follows_as_long_as_there_are_any_and_the_error_allows_it() {
    let failed = |failed| Progress {
        failed,
        ..Progress::default()
    };
    for (progress, retryable, is_tried_again) in [
        (failed(0), true, true),
        (failed(1), true, true),
        (failed(2), true, false),
        (failed(0), false, false),
    ] {
        let task = task_with(THRICE, progress, TaskState::Returned);
        let error = error(TaskErrorKind::Failed, retryable);
        let after = task.after_failure(&error, at(0), 1000);
        let again = matches!(after, AfterFailure::TryAgain { .. });
        assert_eq!(again, is_tried_again);
    }
}

#[test]
fn no_attempt_follows_that_would_begin_after_the_deadline() {
    let policy = Policy {
        deadline: Some(std::time::Duration::from_micros(10)),
        ..THRICE
    };
    let task = task_with(policy, Progress::begun_at(at(0)), TaskState::Returned);
    let after = task.after_failure(&error(TaskErrorKind::Failed, true), at(10), 1000);
    assert!(matches!(after, AfterFailure::Fail(_)));
}

#[test]
fn a_task_that_runs_at_most_once_is_in_doubt_if_its_body_was_cut_off_and_tried_again_if_it_failed()
{
    let policy = Policy {
        at_most_once: true,
        ..THRICE
    };
    let task = task_with(policy, Progress::default(), TaskState::Returned);
    let cut_off = task.after_failure(&error(TaskErrorKind::TimedOut, true), at(0), 1000);
    let AfterFailure::Fail(failure) = cut_off else {
        panic!("it may have done its work");
    };
    assert_eq!(failure.kind, TaskErrorKind::OutcomeUnknown);
    let failed = task.after_failure(&error(TaskErrorKind::Failed, true), at(0), 1000);
    assert!(matches!(failed, AfterFailure::TryAgain { .. }));
}

#[test]
fn an_attempt_that_a_crash_cut_off_has_a_number_unless_it_may_not_have_begun() {
    let mut progress = Progress::default();
    let certain = crate::event::AttemptMeta::default();
    progress.observe(crate::event::EventKind::TaskInterrupted, &certain, None);
    assert_eq!((progress.attempt(), progress.recoveries), (2, 1));
    let uncertain = crate::event::AttemptMeta {
        uncertain: true,
        ..certain
    };
    progress.observe(crate::event::EventKind::TaskInterrupted, &uncertain, None);
    assert_eq!((progress.attempt(), progress.recoveries), (2, 2));
}
