//! Limits of time: of a workflow's active time, of its whole life, of a task's attempts.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use flux::time::{days, hours, secs};
use flux::{
    EventKind, ExecutionContext, ExecutionId, FailureKind, TaskError, TaskErrorKind, Workflow,
    task, workflow,
};

use crate::support::{HandClock, Shelf, asleep, begin, count, ran, settle, unique, utc};

/// Notes when it is dropped before its end.
struct Trace<'a>(&'a std::sync::atomic::AtomicUsize);

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

static DROPPED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

#[task]
async fn toil(millis: u64) -> u64 {
    begin();
    let trace = Trace(&DROPPED);
    tokio::time::sleep(Duration::from_millis(millis)).await;
    std::mem::forget(trace);
    millis
}

#[task]
async fn rest() {
    begin();
}

#[workflow(timeout = "1s")]
async fn toil_too_long(ctx: ExecutionContext<u64>) -> Result<(), TaskError> {
    toil(*ctx.input()).await?;
    rest().await
}

#[workflow(timeout = "1s")]
async fn toil_in_parallel(_ctx: ExecutionContext) -> Result<(), TaskError> {
    let (one, two) = tokio::join!(toil(2000), toil(3000));
    one?;
    two?;
    rest().await
}

#[workflow(timeout = "1s")]
async fn toil_with_breaks(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    let one = toil(400).await?;
    flux::sleep(hours(5)).await;
    let two = toil(400).await?;
    let _ = flux::timeout(hours(3), flux::signal::<u32>("never")).await;
    Ok(one + two)
}

/// AT-14.
#[tokio::test(start_paused = true)]
async fn a_workflow_that_is_active_too_long_fails_and_drops_its_bodies() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = toil_too_long.on(&engine).run(2000).await.unwrap();
        let failure = run.failure().unwrap();
        assert!(failure.has_timed_out(), "{failure:?}");
        assert_eq!(failure.kind(), FailureKind::Timeout { limit: secs(1) });
        assert!(failure.message().contains("timeout of 1s"), "{failure}");
        assert!(
            run.duration() >= secs(1) && run.duration() < Duration::from_millis(1100),
            "{:?}",
            run.duration()
        );
        settle().await;
        assert!(DROPPED.load(std::sync::atomic::Ordering::SeqCst) >= 1);
        assert_eq!(ran(run.execution_id(), "rest"), 0);
        // A resume starts the clock again.
        let again = toil_too_long
            .on(&engine)
            .resume(run.execution_id())
            .await
            .unwrap();
        assert!(again.failure().unwrap().has_timed_out());
        assert_eq!(ran(run.execution_id(), "toil"), 2);

        let run = toil_in_parallel.on(&engine).run(()).await.unwrap();
        assert!(run.failure().unwrap().has_timed_out());
        assert_eq!(
            (
                ran(run.execution_id(), "toil"),
                ran(run.execution_id(), "rest")
            ),
            (2, 0)
        );
        let run = toil_too_long.on(&engine).run(900).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_is_not_active_time() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let run = toil_with_breaks
            .on(&shelf.engine().await)
            .run(())
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&800), "{run}");
        assert!(run.duration() > hours(8));
    }
}

#[workflow(deadline = "7d")]
async fn wait_too_long(_ctx: ExecutionContext) -> Result<(), TaskError> {
    rest().await?;
    flux::sleep(days(30)).await;
    rest().await
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_wall_clock_time() {
    let engine = Shelf::memory().engine().await;
    let run = wait_too_long.on(&engine).run(()).await.unwrap();
    let failure = run.failure().unwrap();
    assert_eq!(failure.kind(), FailureKind::Deadline { limit: days(7) });
    assert!(failure.has_timed_out());
    assert!(run.duration() >= days(7) && run.duration() < days(8));
    assert_eq!(ran(run.execution_id(), "rest"), 1);
}

#[workflow(deadline = "7d")]
async fn hear_word_in_time(_ctx: ExecutionContext) -> String {
    flux::signal::<String>("word").await
}

/// The deadline wakes what sleeps, but it is no timer of the code.
#[tokio::test]
async fn the_next_timer_is_not_the_deadline() {
    for shelf in Shelf::every_way().await {
        let begin = utc("2024-01-01T12:00:00Z");
        let clock = HandClock::at(begin);
        let builder = shelf.builder().clock(clock.clone());
        let engine = builder.idle_after(Duration::ZERO).build().await.unwrap();
        let worker = engine.worker().spawn();
        let waits = hear_word_in_time.on(&engine).start(()).await.unwrap();
        let sleeps = wait_too_long.on(&engine).start(()).await.unwrap();

        let run = asleep(&engine, waits.execution_id()).await;
        assert_eq!(run.wakes_at(), None);
        assert_eq!(run.ready_at(), Some(begin + days(7)));
        assert!(!run.to_string().contains("timer"), "{run}");
        let run = asleep(&engine, sleeps.execution_id()).await;
        assert_eq!(run.wakes_at(), Some(begin + days(30)));
        assert_eq!(run.ready_at(), Some(begin + days(7)));

        clock.pass(days(7));
        assert!(waits.wait().await.unwrap().has_failed());
        assert!(sleeps.wait().await.unwrap().has_failed());
        worker.stop().await;
    }
}

#[task(timeout = "100ms", max_attempts = 2, backoff = "fixed(50ms)")]
async fn answer_late(millis: u64) -> usize {
    let nth = begin();
    tokio::time::sleep(Duration::from_millis(if nth == 1 {
        millis
    } else {
        millis / 4
    }))
    .await;
    nth
}

#[workflow]
async fn ask_late(ctx: ExecutionContext<u64>) -> Result<usize, TaskError> {
    answer_late(*ctx.input()).await
}

#[tokio::test(start_paused = true)]
async fn a_timeout_limits_each_attempt_of_a_task() {
    let engine = Shelf::memory().engine().await;
    let run = ask_late.on(&engine).run(200).await.unwrap();
    assert_eq!(run.output(), Some(&2));
    let run = ask_late.on(&engine).run(1000).await.unwrap();
    let failure = run.failure().unwrap();
    assert_eq!(failure.escaped()[0].kind, TaskErrorKind::TimedOut);
    assert!(
        failure.message().contains("timed out after 2 attempts"),
        "{failure}"
    );
    assert!(failure.message().contains("timeout of 100ms"), "{failure}");
}

#[task(max_attempts = "unlimited", backoff = "fixed(100ms)", deadline = "1s")]
async fn fail_for_ever() -> Result<(), String> {
    begin();
    Err("not yet".into())
}

#[task(deadline = "1s", max_attempts = 5)]
async fn hang_for_ever() {
    begin();
    std::future::pending::<()>().await;
}

#[workflow]
async fn meet_deadlines(_ctx: ExecutionContext) -> (String, String) {
    let failing = fail_for_ever().await.unwrap_err();
    let hanging = hang_for_ever().await.unwrap_err();
    assert_eq!(hanging.kind(), TaskErrorKind::TimedOut);
    (failing.to_string(), hanging.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_deadline_limits_all_attempts_of_a_task_together() {
    let engine = Shelf::memory().engine().await;
    let run = meet_deadlines.on(&engine).run(()).await.unwrap();
    let (failing, hanging) = run.output().unwrap_or_else(|| panic!("{run}"));
    assert!(failing.contains("not yet"), "{failing}");
    assert!(hanging.contains("deadline"), "{hanging}");
    let attempts = ran(run.execution_id(), "fail_for_ever");
    assert!((7..=10).contains(&attempts), "{attempts}");
    assert_eq!(ran(run.execution_id(), "hang_for_ever"), 1);
    assert!(
        run.duration() <= Duration::from_millis(2100),
        "{:?}",
        run.duration()
    );
    assert_eq!(
        count(&engine, run.execution_id(), EventKind::TaskFailed).await,
        2
    );
}

/// The clocks of executions whose bodies move them.
static CLOCKS: LazyLock<Mutex<BTreeMap<ExecutionId, HandClock>>> = LazyLock::new(Mutex::default);

/// Returns in the same instant in which its clock passes every limit, so that its driver sees both at once.
#[task(at_most_once)]
async fn toil_until_late() -> u64 {
    begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    let clock = CLOCKS.lock().unwrap().remove(&id).unwrap();
    clock.pass(hours(2));
    60
}

#[workflow(deadline = "1h")]
async fn toil_until_the_deadline(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    toil_until_late().await
}

#[workflow(deadline = "1h")]
async fn toil_beyond_the_deadline(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    let done = toil_until_late().await?;
    flux::sleep(hours(1)).await;
    Ok(done)
}

#[workflow(timeout = "1h")]
async fn toil_until_the_timeout(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    toil_until_late().await
}

#[workflow]
async fn toil_until_a_timer(_ctx: ExecutionContext) -> Result<u64, TaskError> {
    let done = flux::timeout(hours(1), toil_until_late()).await;
    done.unwrap_or(Ok(0))
}

/// The body had done its work, and its result was thrown away.
#[tokio::test]
async fn a_result_that_is_there_when_the_time_is_up_counts() {
    for shelf in Shelf::every_way().await {
        let workflows: [Workflow<(), u64>; 4] = [
            toil_until_the_deadline,
            toil_until_the_timeout,
            toil_until_a_timer,
            toil_beyond_the_deadline,
        ];
        for (is_over, workflow) in [true, true, true, false].into_iter().zip(workflows) {
            let (id, clock) = (unique("late"), HandClock::at(utc("2024-01-01T12:00:00Z")));
            CLOCKS.lock().unwrap().insert(id.clone(), clock.clone());
            let engine = shelf.builder().clock(clock).build().await.unwrap();
            let run = workflow.on(&engine).run(()).execution_id(&id);
            let run = run.await.unwrap();
            if is_over {
                assert_eq!(run.output(), Some(&60), "{run}");
            } else {
                assert!(run.failure().unwrap().has_timed_out(), "{run}");
            }
            assert_eq!(count(&engine, &id, EventKind::TaskCompleted).await, 1);
            engine.replay(&id).await.unwrap();
        }
    }
}
