//! Attempts of a whole workflow: what succeeded stays, unless it restarts from nothing.

use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Shelf, When, begin, count, ran, started, unique};

#[task]
async fn warm_up() -> u32 {
    u32::try_from(begin()).unwrap()
}

#[task(max_attempts = 3, backoff = "fixed(1s)")]
async fn fail_always(workflow_attempt: u32) -> Result<(), String> {
    let nth = begin();
    Err(format!("This is a test error {workflow_attempt} {nth}"))
}

#[workflow(max_attempts = 2)]
async fn fail_twice(ctx: ExecutionContext) -> Result<(), TaskError> {
    warm_up().await?;
    fail_always(ctx.attempt()).await
}

#[workflow(max_attempts = 2, retry = "restart")]
async fn fail_twice_afresh(ctx: ExecutionContext) -> Result<(), TaskError> {
    warm_up().await?;
    fail_always(ctx.attempt()).await
}

#[workflow(max_attempts = 2)]
async fn fail_by_number(ctx: ExecutionContext) -> Result<u32, TaskError> {
    warm_up().await?;
    if ctx.attempt() == 2 {
        return warm_up().await;
    }
    fail_always(ctx.attempt()).await.map(|()| 0)
}

/// AT-3.
#[tokio::test(start_paused = true)]
async fn attempts_of_the_workflow_multiply_those_of_the_task() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = fail_twice.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        assert!(run.has_failed());
        assert_eq!(run.attempt(), 2);
        assert!(
            run.failure()
                .unwrap()
                .message()
                .contains("This is a test error")
        );
        assert_eq!(run.failure().unwrap().attempt(), 2);
        // Memoized: the task that succeeded ran once.
        assert_eq!((ran(id, "warm_up"), ran(id, "fail_always")), (1, 6));
        assert_eq!(count(&engine, id, EventKind::WorkflowFailed).await, 2);
        assert_eq!(count(&engine, id, EventKind::TaskAttemptFailed).await, 4);
        assert_eq!(count(&engine, id, EventKind::TaskFailed).await, 2);
    }
}

/// AT-3, the order of the attempts, and a start from nothing.
#[tokio::test(start_paused = true)]
async fn a_restarted_workflow_runs_everything_again_in_order() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = fail_twice_afresh.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        assert!(run.has_failed());
        assert_eq!(run.attempt(), 2);
        assert_eq!((ran(id, "warm_up"), ran(id, "fail_always")), (2, 6));
        let tasks = ["warm_up", "fail_always", "fail_always", "fail_always"];
        assert_eq!(started(id), [tasks, tasks].concat());
        let events = engine.history(id).await.unwrap();
        let messages: Vec<_> = events
            .iter()
            .filter(|event| {
                matches!(
                    event.kind,
                    EventKind::TaskAttemptFailed | EventKind::TaskFailed
                )
            })
            .map(|event| event.payload.as_ref().unwrap().to_string())
            .collect();
        for (i, pair) in ["1 1", "1 2", "1 3", "2 4", "2 5", "2 6"]
            .iter()
            .enumerate()
        {
            assert!(
                messages[i].contains(&format!("error {pair}")),
                "{messages:?}"
            );
        }
    }
}

/// PITFALL: a replay told the code the number of the last attempt while it replayed the first, so that code which
/// looked at it took another way than it had.
#[tokio::test(start_paused = true)]
async fn the_attempt_is_the_number_as_of_the_replayed_point() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("by-number");
    let run = fail_by_number
        .on(&engine)
        .run(())
        .execution_id(&id)
        .await
        .unwrap();
    // The second attempt takes up the call that failed, which the code had made when the number was 1.
    assert!(run.has_failed(), "{run}");
    assert_eq!(run.attempt(), 2);
    assert_eq!((ran(&id, "warm_up"), ran(&id, "fail_always")), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_two_attempts_of_the_workflow_changes_nothing() {
    for commit in 1..=12 {
        for when in [When::BeforeCommit, When::AfterCommit] {
            let shelf = Shelf::memory();
            let id = unique("attempts");
            let engine = shelf.engine().await;
            shelf.stop_at(commit, when);
            let run = fail_twice.on(&engine).run(()).execution_id(&id);
            let Some(run) = shelf.crash(run).await else {
                drop(engine);
                shelf.nobody_is_left().await;
                shelf.go_on();
                let engine = shelf.engine().await;
                let run = fail_twice
                    .on(&engine)
                    .run(())
                    .execution_id(&id)
                    .await
                    .unwrap();
                assert!(run.has_failed(), "{run}");
                assert_eq!(run.attempt(), 2, "{when:?} {commit}");
                assert_eq!(count(&engine, &id, EventKind::TaskFailed).await, 2);
                assert_eq!(count(&engine, &id, EventKind::TaskAttemptFailed).await, 4);
                assert!(ran(&id, "fail_always") <= 7);
                continue;
            };
            assert!(run.unwrap().has_failed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resume_opens_a_new_budget_of_attempts() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let run = fail_twice.on(&engine).run(()).await.unwrap();
    let run = fail_twice
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    assert!(run.has_failed());
    assert_eq!(run.attempt(), 4);
    assert_eq!(ran(run.execution_id(), "fail_always"), 12);
    assert_eq!(ran(run.execution_id(), "warm_up"), 1);
    assert!(run.duration() >= Duration::from_secs(8));
}
