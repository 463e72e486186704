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

#[task(max_attempts = 2, backoff = "fixed(1ms)")]
async fn sink(_nth: u32) -> Result<(), String> {
    begin();
    Err("it sank".to_owned())
}

/// Fails the first time.
#[task(name = "climb-{step}")]
async fn climb(step: u32) -> Result<u32, String> {
    match begin() {
        1 => Err("slipped".to_owned()),
        _ => Ok(step),
    }
}

#[task(name = "measure-{n}")]
async fn measure(n: u32) -> u32 {
    begin();
    n
}

#[workflow(max_attempts = 200)]
async fn sink_200_times(_ctx: ExecutionContext) -> Result<(), TaskError> {
    warm_up().await?;
    sink(1).await
}

#[workflow(max_attempts = 400)]
async fn sink_400_times(_ctx: ExecutionContext) -> Result<(), TaskError> {
    warm_up().await?;
    sink(1).await
}

#[workflow(max_attempts = 200, timeout = "1s")]
async fn hang_in_body(_ctx: ExecutionContext) -> Result<(), TaskError> {
    warm_up().await?;
    flux::step("never", || async {
        std::future::pending::<Result<(), String>>().await
    })
    .await
}

#[workflow(max_attempts = 1000)]
async fn climb_up(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let mut sum = 0;
    for step in 0..*ctx.input() {
        sum += climb(step).await?;
    }
    Ok(sum)
}

/// What is measured succeeds after what sinks has failed, so that no attempt keeps it.
#[workflow(max_attempts = 7)]
async fn measure_while_it_sinks(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let sunk = sink(1).await;
    let mut sum = 0;
    for n in 0..4 {
        sum += measure(n).await?;
    }
    sunk.map(|()| sum)
}

/// As [`measure_while_it_sinks`], by code that takes its time between two calls.
#[workflow(max_attempts = 2)]
async fn measure_slowly(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let sunk = sink(1).await;
    let mut sum = 0;
    for n in 0..4 {
        // A commit is not extended for longer than ten milliseconds.
        std::thread::sleep(Duration::from_millis(11));
        sum += measure(n).await?;
    }
    sunk.map(|()| sum)
}

/// How many bytes of a history say that it was rewound.
fn size_of_rewinds(events: &[flux::Event]) -> usize {
    let rewinds = events
        .iter()
        .filter(|event| event.kind == EventKind::Rewound);
    rewinds
        .filter_map(|event| event.meta.as_ref())
        .map(|meta| meta.size())
        .sum()
}

/// Each rewind repeated all earlier ones, and each attempt read all of them and all that they had taken back: 400
/// attempts took 84 s.
#[tokio::test(start_paused = true)]
async fn an_attempt_costs_the_same_however_many_there_were() {
    let mut costs = Vec::new();
    for workflow in [sink_200_times, sink_400_times] {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let run = workflow.on(&engine).run(()).await.unwrap();
        assert!(run.has_failed(), "{run}");
        assert_eq!(ran(run.execution_id(), "warm_up"), 1);
        let live = shelf.reads();
        let size = size_of_rewinds(&run.events().await.unwrap());
        let before = shelf.reads();
        let replayed = engine.replay(run.execution_id()).await.unwrap();
        costs.push((live, size, shelf.reads() - before, replayed.events));
    }
    let [few, many] = costs[..] else {
        unreachable!()
    };
    assert!(
        many.0 <= 2 * few.0 + 20,
        "events read while it ran: {costs:?}"
    );
    assert!(many.1 <= 2 * few.1 + 400, "bytes of rewinds: {costs:?}");
    assert!(many.2 <= few.2 + 20, "events read by a replay: {costs:?}");
    assert_eq!(many.3, few.3, "events that count: {costs:?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_that_run_out_of_time_cost_the_same_however_many_there_were() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let run = hang_in_body.on(&engine).run(()).await.unwrap();
    assert_eq!((run.has_failed(), run.attempt()), (true, 200), "{run}");
    let live = shelf.reads();
    assert!(live < 200 * 20, "{live}");
    assert!(size_of_rewinds(&run.events().await.unwrap()) < 200 * 100);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_get_further_each_time_keep_a_history_that_grows_with_what_they_did() {
    let mut sizes = Vec::new();
    for steps in [50, 100] {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let run = climb_up.on(&engine).run(steps).await.unwrap();
        assert_eq!(run.output(), Some(&(steps * (steps - 1) / 2)), "{run}");
        assert_eq!(run.attempt(), steps + 1);
        let events = run.events().await.unwrap();
        let before = shelf.reads();
        assert!(engine.replay(run.execution_id()).await.unwrap().is_finished);
        sizes.push((size_of_rewinds(&events), shelf.reads() - before));
        for step in 0..steps {
            assert_eq!(ran(run.execution_id(), &format!("climb-{step}")), 2);
        }
        let tasks = run.tasks().await.unwrap();
        assert_eq!(tasks.len(), steps as usize);
    }
    let [few, many] = sizes[..] else {
        unreachable!()
    };
    assert!(many.0 <= 2 * few.0 + 400, "bytes of rewinds: {sizes:?}");
    assert!(
        many.1 <= 2 * few.1 + 20,
        "events read by a replay: {sizes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_succeeded_is_taken_up_by_every_further_attempt_and_after_a_crash() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = measure_while_it_sinks.on(&engine).run(()).await.unwrap();
        assert_eq!((run.has_failed(), run.attempt()), (true, 7), "{run}");
        for n in 0..4 {
            assert_eq!(ran(run.execution_id(), &format!("measure-{n}")), 1, "{n}");
        }
        let reused = count(&engine, run.execution_id(), EventKind::CallReused).await;
        assert_eq!(reused, 4 * 6);
    }
    for commit in 1..=40 {
        for when in [When::BeforeCommit, When::AfterCommit] {
            let shelf = Shelf::memory();
            let id = unique("sinking");
            let engine = shelf.engine().await;
            shelf.stop_at(commit, when);
            let run = measure_while_it_sinks.on(&engine).run(()).execution_id(&id);
            if shelf.crash(run).await.is_none() {
                drop(engine);
                shelf.nobody_is_left().await;
                shelf.go_on();
                let engine = shelf.engine().await;
                let run = measure_while_it_sinks.on(&engine).run(()).execution_id(&id);
                let run = run.await.unwrap();
                assert_eq!(
                    (run.has_failed(), run.attempt()),
                    (true, 7),
                    "{when:?} {commit}: {run}"
                );
                engine.replay(&id).await.unwrap();
            }
            let bodies: usize = (0..4).map(|n| ran(&id, &format!("measure-{n}"))).sum();
            // The first attempt takes seven commits, and a crash in it may cut off one body.
            let most = if commit <= 7 { 5 } else { 4 };
            assert!(bodies <= most, "{when:?} {commit}: {bodies}");
        }
    }
}

/// A crash between the record of a call and that of the result which it takes up would run a body again whose result is known.
#[tokio::test]
async fn a_result_is_taken_up_in_the_commit_that_records_its_call() {
    for commit in 1..=12 {
        for when in [When::BeforeCommit, When::AfterCommit] {
            let shelf = Shelf::memory();
            let id = unique("slowly");
            let engine = shelf.engine().await;
            shelf.stop_at(commit, when);
            let run = measure_slowly.on(&engine).run(()).execution_id(&id);
            if shelf.crash(run).await.is_none() {
                drop(engine);
                shelf.nobody_is_left().await;
                shelf.go_on();
                let engine = shelf.engine().await;
                let run = measure_slowly.on(&engine).run(()).execution_id(&id);
                assert!(run.await.unwrap().has_failed());
            }
            let bodies: usize = (0..4).map(|n| ran(&id, &format!("measure-{n}"))).sum();
            // The first attempt takes seven commits, and a crash in it may cut off one body.
            let most = if commit <= 7 { 5 } else { 4 };
            assert!(bodies <= most, "{when:?} {commit}: {bodies}");
        }
    }
}
