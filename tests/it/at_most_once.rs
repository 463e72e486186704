//! `at_most_once`: a body that may have done its work runs again only where a person asks for it, never by an attempt that
//! follows by itself.

use std::time::Duration;

use flux::{
    Engine, EventKind, Execution, ExecutionContext, ExecutionId, TaskError, TaskErrorKind,
    Workflow, task, workflow,
};

use crate::support::{Shelf, begin, code_of, count, dies_in, ran, set_code, unique};

/// What the rocket does, by execution.
const FLIES: u32 = 1;
const FIZZLES: u32 = 2;
const BURSTS: u32 = 3;

#[task(at_most_once, max_attempts = 3, backoff = "fixed(1ms)", timeout = "1h", fallback = light_a_candle)]
async fn fire_rocket() -> Result<String, String> {
    begin();
    match code_of(flux::task_context().unwrap().execution_id()) {
        FLIES => Ok("fired".to_owned()),
        FIZZLES => Err("wet powder".to_owned()),
        BURSTS => panic!("it burst"),
        _ => std::future::pending().await,
    }
}

async fn light_a_candle() -> String {
    "a candle".to_owned()
}

#[task(rollback = lower_flag)]
async fn raise_flag() -> u32 {
    begin();
    1
}

#[task]
async fn lower_flag(_raised: Option<u32>) {
    begin();
}

#[task]
async fn sing() -> Result<u32, String> {
    begin();
    Err("hoarse".to_owned())
}

#[task]
async fn sing_later() -> Result<u32, String> {
    begin();
    tokio::time::sleep(Duration::from_millis(5)).await;
    Err("hoarse".to_owned())
}

#[workflow(max_attempts = 3)]
async fn celebrate(_ctx: ExecutionContext) -> Result<String, TaskError> {
    fire_rocket().await
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_from_the_start(_ctx: ExecutionContext) -> Result<String, TaskError> {
    fire_rocket().await
}

#[workflow(max_attempts = 3)]
async fn celebrate_with_flags(_ctx: ExecutionContext) -> Result<String, TaskError> {
    raise_flag().await?;
    fire_rocket().await
}

/// Deals with what nobody knows, and fails by something else.
#[workflow(max_attempts = 3)]
async fn celebrate_calmly(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let fired = fire_rocket().await;
    assert_eq!(fired.unwrap_err().kind(), TaskErrorKind::OutcomeUnknown);
    sing().await
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_calmly_from_the_start(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let _ = fire_rocket().await;
    sing().await
}

/// Drops the rocket where the song fails.
#[workflow(max_attempts = 3)]
async fn celebrate_all_at_once(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let (fired, _) = tokio::try_join!(fire_rocket(), sing_later())?;
    Ok(fired)
}

/// Drops the rocket long before the song fails.
#[workflow(max_attempts = 3)]
async fn celebrate_in_a_hurry(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let _ = flux::timeout(Duration::from_millis(5), fire_rocket()).await;
    flux::sleep(Duration::from_millis(5)).await;
    sing().await
}

#[workflow(max_attempts = 3, timeout = "1m")]
async fn celebrate_briefly(_ctx: ExecutionContext) -> Result<String, TaskError> {
    fire_rocket().await
}

#[workflow(max_attempts = 3)]
async fn host(ctx: ExecutionContext<ExecutionId>) -> Result<String, TaskError> {
    celebrate.call(()).execution_id(ctx.input()).await
}

#[workflow]
async fn watch_rocket(_ctx: ExecutionContext) -> Result<String, TaskError> {
    fire_rocket().await
}

#[workflow(max_attempts = 2)]
async fn host_in_a_hurry(ctx: ExecutionContext<ExecutionId>) -> Result<String, TaskError> {
    let guest = watch_rocket.call(()).execution_id(ctx.input());
    let (fired, _) = tokio::try_join!(guest, sing_later())?;
    Ok(fired)
}

/// Its process dies in the body, and whatever drives it next comes to an end.
async fn after_a_crash<O>(workflow: Workflow<(), O>, shelf: &Shelf, id: &ExecutionId) -> Execution
where
    O: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
{
    let engine = shelf.engine().await;
    let run = workflow.on(&engine).run(()).execution_id(id);
    dies_in(run, id, "fire_rocket").await;
    drop(engine);
    shelf.nobody_is_left().await;
    recovered(shelf, id).await
}

async fn recovered(shelf: &Shelf, id: &ExecutionId) -> Execution {
    let engine = shelf.engine().await;
    let recovered = engine.recover().await.unwrap();
    assert!(recovered.failures.is_empty(), "{:?}", recovered.failures);
    engine.get(id).await.unwrap()
}

fn is_unknown<O>(run: &Execution<O>) -> bool {
    let failure = run.failure().unwrap();
    failure.has_unknown_outcome() && failure.escaped()[0].kind == TaskErrorKind::OutcomeUnknown
}

/// The attempt that followed fired it once more.
#[tokio::test]
async fn no_attempt_of_the_workflow_repeats_an_outcome_that_nobody_knows() {
    for workflow in [celebrate, celebrate_from_the_start] {
        for shelf in Shelf::every_way().await {
            let id = unique("rocket");
            let run = after_a_crash(workflow, &shelf, &id).await;
            assert!(is_unknown(&run), "{run}");
            assert_eq!((run.attempt(), ran(&id, "fire_rocket")), (1, 1));
            let engine = shelf.engine().await;
            engine.replay(&id).await.unwrap();
            // A person may.
            set_code(&id, FLIES);
            let run = workflow.on(&engine).resume(&id).await.unwrap();
            assert_eq!(run.output().map(String::as_str), Some("fired"));
            assert_eq!((run.attempt(), ran(&id, "fire_rocket")), (2, 2));
        }
    }
}

#[tokio::test]
async fn an_error_is_known_and_is_tried_again() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    for workflow in [celebrate, celebrate_from_the_start] {
        let id = unique("rocket");
        set_code(&id, FIZZLES);
        let run = workflow
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        // The fallback comes when the task's own attempts are spent.
        assert_eq!(run.output().map(String::as_str), Some("a candle"));
        assert_eq!(ran(&id, "fire_rocket"), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_cut_off_by_its_timeout_or_panicked_is_not_run_again() {
    for code in [0, BURSTS] {
        for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
            let engine = shelf.engine().await;
            let id = unique("rocket");
            set_code(&id, code);
            let run = celebrate
                .on(&engine)
                .run(())
                .execution_id(&id)
                .await
                .unwrap();
            assert!(is_unknown(&run), "{run}");
            let why = if code == BURSTS {
                "it burst"
            } else {
                "timeout"
            };
            assert!(run.failure().unwrap().message().contains(why), "{run}");
            assert_eq!((run.attempt(), ran(&id, "fire_rocket")), (1, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_code_has_dealt_with_is_kept_by_its_attempts_unless_they_restart() {
    let shelf = Shelf::memory();
    let id = unique("rocket");
    let run = after_a_crash(celebrate_calmly, &shelf, &id).await;
    assert_eq!(
        (run.attempt(), ran(&id, "sing"), ran(&id, "fire_rocket")),
        (3, 3, 1)
    );
    assert!(!run.failure().unwrap().has_unknown_outcome());

    let shelf = Shelf::memory();
    let id = unique("rocket");
    let run = after_a_crash(celebrate_calmly_from_the_start, &shelf, &id).await;
    assert!(run.has_failed(), "{run}");
    assert_eq!(
        (run.attempt(), ran(&id, "sing"), ran(&id, "fire_rocket")),
        (1, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_dropped_is_not_run_again_by_the_attempt_that_follows() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let id = unique("rocket");
        let run = celebrate_all_at_once
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        assert!(run.failure().unwrap().has_unknown_outcome(), "{run}");
        assert_eq!((run.attempt(), ran(&id, "fire_rocket")), (1, 1));

        // One that was dropped before what the attempt takes back stays dropped.
        let id = unique("rocket");
        let run = celebrate_in_a_hurry
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        assert!(!run.failure().unwrap().has_unknown_outcome(), "{run}");
        assert_eq!(
            (run.attempt(), ran(&id, "sing"), ran(&id, "fire_rocket")),
            (3, 3, 1)
        );

        let id = unique("rocket");
        let run = celebrate_briefly
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        assert!(run.failure().unwrap().has_unknown_outcome(), "{run}");
        assert!(run.failure().unwrap().has_timed_out());
        assert_eq!((run.attempt(), ran(&id, "fire_rocket")), (1, 1));
    }
}

#[tokio::test]
async fn where_no_attempt_may_follow_the_execution_is_rolled_back() {
    for shelf in Shelf::every_way().await {
        let id = unique("rocket");
        let run = after_a_crash(celebrate_with_flags, &shelf, &id).await;
        assert!(is_unknown(&run), "{run}");
        assert!(run.failure().unwrap().is_rolled_back());
        assert_eq!((ran(&id, "fire_rocket"), ran(&id, "lower_flag")), (1, 1));
        let engine = shelf.engine().await;
        assert_eq!(count(&engine, &id, EventKind::Rewound).await, 0);
        assert!(engine.replay(&id).await.unwrap().is_finished);
        set_code(&id, FLIES);
        let run = engine.resume(&id).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
        assert_eq!((ran(&id, "raise_flag"), ran(&id, "fire_rocket")), (2, 2));
    }
}

#[tokio::test]
async fn no_attempt_of_a_parent_repeats_what_its_child_does_not_know() {
    for shelf in Shelf::every_way().await {
        let (id, child) = (unique("host"), unique("rocket"));
        let engine = shelf.engine().await;
        let run = host.on(&engine).run(child.clone()).execution_id(&id);
        dies_in(run, &child, "fire_rocket").await;
        drop(engine);
        shelf.nobody_is_left().await;
        let run = recovered(&shelf, &id).await;
        assert!(is_unknown(&run), "{run}");
        assert_eq!((run.attempt(), ran(&child, "fire_rocket")), (1, 1));
    }
}

/// The child is cancelled with the attempt, and opened again by the next one.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_opened_again_does_not_run_again_what_it_was_cut_off_in() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let (id, child) = (unique("host"), unique("rocket"));
    let run = host_in_a_hurry
        .on(&engine)
        .run(child.clone())
        .execution_id(&id);
    let run = run.await.unwrap();
    assert!(is_unknown(&run), "{run}");
    assert_eq!((run.attempt(), ran(&child, "fire_rocket")), (2, 1));
    let seen: Engine = shelf.engine().await;
    let failure = seen.get(&child).await.unwrap().failure().unwrap().clone();
    assert!(failure.message().contains("its parent"), "{failure}");
}
