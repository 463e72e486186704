//! Code that deals with failures: a breaker, a fallback with a clean-up, and failures that stay caught.

use flux::{EventKind, ExecutionContext, TaskError, TaskErrorKind, task, workflow};

use crate::support::{Shelf, begin, count, ran, started};

#[task]
async fn check_health(is_healthy: bool) -> Result<(), String> {
    begin();
    is_healthy
        .then_some(())
        .ok_or_else(|| "unhealthy".to_owned())
}

#[task]
async fn main_work(fails: bool) -> Result<String, String> {
    begin();
    match fails {
        true => Err("main failed".to_owned()),
        false => Ok("main".to_owned()),
    }
}

#[task]
async fn fallback_work(fails: bool) -> Result<String, String> {
    begin();
    match fails {
        true => Err("fallback failed".to_owned()),
        false => Ok("fallback".to_owned()),
    }
}

#[task]
async fn clean_up(fails: bool) -> Result<(), String> {
    begin();
    match fails {
        true => Err("cleaning failed".to_owned()),
        false => Ok(()),
    }
}

#[workflow]
async fn break_circuit(ctx: ExecutionContext<bool>) -> Result<String, TaskError> {
    match check_health(*ctx.input()).await {
        Ok(()) => main_work(false).await,
        Err(_) => fallback_work(false).await,
    }
}

/// AT-9.
#[tokio::test]
async fn a_circuit_breaker_takes_one_way_and_completes() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = break_circuit.on(&engine).run(true).await.unwrap();
        assert_eq!(run.output().unwrap(), "main");
        assert_eq!(started(run.execution_id()), ["check_health", "main_work"]);
        let run = break_circuit.on(&engine).run(false).await.unwrap();
        assert!(run.has_succeeded());
        assert_eq!(
            started(run.execution_id()),
            ["check_health", "fallback_work"]
        );
        let events = run.events().await.unwrap();
        let failed = events
            .iter()
            .find(|event| event.kind == EventKind::TaskFailed)
            .unwrap();
        assert!(
            failed
                .payload
                .as_ref()
                .unwrap()
                .as_str()
                .contains("check_health")
        );
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct BothFailed {
    error: TaskError,
    #[source]
    cause: TaskError,
}

/// Which of the three fail.
type Fails = (bool, bool, bool);

#[workflow]
async fn work_robustly(ctx: ExecutionContext<Fails>) -> Result<String, BothFailed> {
    let (main, fallback, cleaning) = *ctx.input();
    let backoff = flux::Backoff::Fixed(std::time::Duration::from_millis(1));
    let done = match main_work(main).max_attempts(4).backoff(backoff).await {
        Ok(done) => Ok(done),
        Err(cause) => match fallback_work(fallback).await {
            Ok(done) => Ok(done),
            Err(error) => Err(BothFailed { error, cause }),
        },
    };
    let cleaned = clean_up(cleaning).await;
    match (done, cleaned) {
        (Err(first), _) => Err(first),
        (Ok(_), Err(error)) => Err(BothFailed {
            cause: error.clone(),
            error,
        }),
        (Ok(done), Ok(())) => Ok(done),
    }
}

/// AT-10, but for cancelling.
#[tokio::test(start_paused = true)]
async fn a_robust_workflow_cleans_up_on_every_way() {
    let cases = [
        ((false, false, false), Ok("main"), (1, 0)),
        ((true, false, false), Ok("fallback"), (4, 1)),
        ((true, true, false), Err("fallback failed"), (4, 1)),
        ((true, true, true), Err("fallback failed"), (4, 1)),
    ];
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        for (fails, expected, (main, fallback)) in cases {
            let run = work_robustly.on(&engine).run(fails).await.unwrap();
            let id = run.execution_id();
            assert_eq!(
                (ran(id, "main_work"), ran(id, "fallback_work")),
                (main, fallback),
                "{fails:?}"
            );
            assert_eq!(ran(id, "clean_up"), 1);
            match expected {
                Ok(word) => assert_eq!(run.output().unwrap(), word),
                Err(message) => {
                    let failure = run.failure().unwrap();
                    assert!(failure.message().contains(message), "{failure}");
                    assert!(
                        failure
                            .chain()
                            .iter()
                            .any(|cause| cause.contains("main failed")),
                        "{:?}",
                        failure.chain()
                    );
                }
            }
        }
    }
}

#[workflow]
async fn catch_and_pause(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let caught = main_work(true).await.unwrap_err();
    flux::pause("look").await;
    fallback_work(false)
        .await
        .map(|done| format!("{done} after {}", caught.message()))
}

/// AT-21.
#[tokio::test]
async fn a_caught_failure_is_the_same_failure_after_a_resume() {
    for shelf in Shelf::every_way().await {
        let run = catch_and_pause
            .on(&shelf.engine().await)
            .run(())
            .await
            .unwrap();
        assert!(run.is_paused());
        let id = run.execution_id().clone();
        let run = catch_and_pause
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "fallback after main failed");
        assert_eq!(started(&id), ["main_work", "fallback_work"]);
    }
}

#[task(max_attempts = 2, backoff = "fixed(1ms)", fallback = main_by_hand)]
async fn main_by_machine(amount: u32, fails: bool) -> Result<String, String> {
    begin();
    match fails {
        true => Err("the machine is down".to_owned()),
        false => Ok(format!("machine {amount}")),
    }
}

#[task]
async fn main_by_hand(amount: u32, _fails: bool) -> Result<String, String> {
    match amount {
        0 => Err("no hands".to_owned()),
        _ => Ok(format!("hand {amount}")),
    }
}

#[workflow]
async fn work_with_fallback(ctx: ExecutionContext<(u32, bool)>) -> Result<String, TaskError> {
    main_by_machine(ctx.input().0, ctx.input().1).await
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers_for_a_task_whose_attempts_are_spent() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = work_with_fallback
            .on(&engine)
            .run((5, false))
            .await
            .unwrap();
        assert_eq!(run.output().unwrap(), "machine 5");
        let run = work_with_fallback.on(&engine).run((5, true)).await.unwrap();
        assert_eq!(run.output().unwrap(), "hand 5");
        assert_eq!(ran(run.execution_id(), "main_by_machine"), 2);
        assert_eq!(
            count(&engine, run.execution_id(), EventKind::TaskAttemptFailed).await,
            2
        );
        assert_eq!(
            count(&engine, run.execution_id(), EventKind::TaskFailed).await,
            0
        );
        let run = work_with_fallback.on(&engine).run((0, true)).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.escaped()[0].kind, TaskErrorKind::Failed);
        assert!(failure.message().contains("no hands"), "{failure}");
    }
}
