//! AT-10: a main task that is retried, a fallback for it, and a cleanup that always runs. AT-18: ending it early.

use std::time::Duration;

use flux::time::secs;
use flux::{
    Engine, Error, EventKind, Execution, ExecutionContext, ExecutionId, Status, TaskError, task,
    workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, count, ran, started, unique};
use crate::support::{begin, names};

/// What goes wrong.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Params {
    retry_count: u32,
    main_fails: bool,
    fallback_fails: bool,
    cleanup_fails: bool,
    hangs: bool,
}

#[task(backoff = "fixed(1ms)", fallback = run_fallback)]
async fn run_main(params: Params) -> Result<String, String> {
    begin();
    if params.hangs {
        std::future::pending::<()>().await;
    }
    match params.main_fails {
        true => Err("main is down".to_owned()),
        false => Ok("main".to_owned()),
    }
}

async fn run_fallback(params: Params) -> Result<String, String> {
    begin_fallback();
    match params.fallback_fails {
        true => Err("fallback is down".to_owned()),
        false => Ok("fallback".to_owned()),
    }
}

fn begin_fallback() {
    FALLBACKS
        .lock()
        .unwrap()
        .push(flux::task_context().unwrap().execution_id().clone());
}

static FALLBACKS: std::sync::Mutex<Vec<ExecutionId>> = std::sync::Mutex::new(Vec::new());

fn fallbacks(id: &ExecutionId) -> usize {
    FALLBACKS
        .lock()
        .unwrap()
        .iter()
        .filter(|other| *other == id)
        .count()
}

#[task]
async fn clean_up(fails: bool) -> Result<(), String> {
    begin();
    match fails {
        true => Err("cleanup is down".to_owned()),
        false => Ok(()),
    }
}

#[workflow(name = "robust-workflow", deadline = "1h")]
async fn run_robustly(ctx: ExecutionContext<Params>) -> Result<String, TaskError> {
    let params = ctx.input().clone();
    let fails = params.cleanup_fails;
    ctx.on_exit(move || clean_up(fails));
    run_main(params.clone())
        .max_attempts(params.retry_count + 1)
        .await
}

async fn run(engine: &Engine, params: Params) -> Execution<String> {
    run_robustly.on(engine).run(params).await.unwrap()
}

/// Main bodies, fallback bodies, cleanup bodies.
fn bodies(id: &ExecutionId) -> (usize, usize, usize) {
    (ran(id, "run_main"), fallbacks(id), ran(id, "clean_up"))
}

fn params() -> Params {
    Params {
        retry_count: 3,
        ..Params::default()
    }
}

#[tokio::test]
async fn at_10_main_is_fine() {
    for shelf in Shelf::every_way().await {
        let run = run(&shelf.engine().await, params()).await;
        assert_eq!(run.output().unwrap(), "main");
        assert_eq!(bodies(run.execution_id()), (1, 0, 1));
    }
}

#[tokio::test]
async fn at_10_main_fails_and_the_fallback_stands_in() {
    for shelf in Shelf::every_way().await {
        let main_fails = true;
        let run = run(
            &shelf.engine().await,
            Params {
                main_fails,
                ..params()
            },
        )
        .await;
        assert_eq!(run.output().unwrap(), "fallback");
        assert_eq!(bodies(run.execution_id()), (4, 1, 1));
    }
}

#[tokio::test]
async fn at_10_both_fail() {
    for shelf in Shelf::every_way().await {
        for cleanup_fails in [false, true] {
            let params = Params {
                main_fails: true,
                fallback_fails: true,
                cleanup_fails,
                ..params()
            };
            let run = run(&shelf.engine().await, params).await;
            let failure = run.failure().unwrap();
            // Whatever becomes of the cleanup, the first error is the failure.
            assert!(failure.message().ends_with("fallback is down"), "{failure}");
            assert_eq!(failure.chain(), ["main is down"]);
            assert_eq!(bodies(run.execution_id()), (4, 1, 1));
        }
    }
}

#[tokio::test]
async fn at_10_only_the_cleanup_fails() {
    for shelf in Shelf::every_way().await {
        let cleanup_fails = true;
        let run = run(
            &shelf.engine().await,
            Params {
                cleanup_fails,
                ..params()
            },
        )
        .await;
        let failure = run.failure().unwrap();
        assert!(failure.message().ends_with("cleanup is down"), "{failure}");
        assert_eq!(failure.task(), Some("clean_up"));
    }
}

#[tokio::test]
async fn at_10_cancelled_in_main() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let params = Params {
            hangs: true,
            ..params()
        };
        let handle = run_robustly.on(&engine).start(params).await.unwrap();
        while ran(handle.execution_id(), "run_main") == 0 {
            tokio::task::yield_now().await;
        }
        handle.cancel().await.unwrap();
        assert!(handle.wait().await.unwrap().is_cancelled());
        assert_eq!(bodies(handle.execution_id()), (1, 0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn at_10_out_of_time_in_main() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let params = Params {
            hangs: true,
            ..params()
        };
        let run = run(&shelf.engine().await, params).await;
        assert!(run.failure().unwrap().has_timed_out(), "{run}");
        assert_eq!(run.duration(), secs(60 * 60));
        assert_eq!(bodies(run.execution_id()), (1, 0, 1));
    }
}

#[tokio::test]
async fn at_18_cancel_runs_on_exit_and_terminate_runs_nothing() {
    for shelf in Shelf::every_way().await {
        for terminate in [false, true] {
            let engine = shelf.engine().await;
            let (id, params) = (
                unique("at-18"),
                Params {
                    hangs: true,
                    ..params()
                },
            );
            let handle = run_robustly.on(&engine).start(params).execution_id(&id);
            let handle = handle.await.unwrap();
            while ran(&id, "run_main") == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(handle.status().await.unwrap(), Status::Running);
            match terminate {
                true => handle.terminate("AT-18").await.unwrap(),
                false => handle.cancel().await.unwrap(),
            }
            let run = handle.wait().await.unwrap();
            assert!(run.has_finished());
            let wanted = match terminate {
                true => (Status::Terminated, Some("AT-18"), 0),
                false => (Status::Cancelled, None, 1),
            };
            assert_eq!(
                (run.status(), run.termination_reason(), ran(&id, "clean_up")),
                wanted
            );
            let requests = count(&engine, &id, EventKind::CancelRequested).await;
            assert_eq!(requests, usize::from(!terminate));
            // Nothing runs on behind its back.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let cleanups: &[&str] = if terminate { &[] } else { &["clean_up"] };
            assert_eq!(started(&id), [&["run_main"], cleanups].concat());
            assert_eq!(
                names(&run.events().await.unwrap(), EventKind::TaskStarted),
                started(&id)
            );
        }
    }
}

#[tokio::test]
async fn at_18_what_has_finished_is_neither_cancelled_nor_terminated() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = run(&engine, params()).await;
        let id = run.execution_id();
        let before = run.events().await.unwrap();
        for refused in [engine.cancel(id).await, engine.terminate(id, "late").await] {
            let error = refused.unwrap_err();
            let is_said = matches!(
                error,
                Error::AlreadyFinished {
                    status: Status::Completed,
                    ..
                }
            );
            assert!(is_said, "{error}");
        }
        assert_eq!(engine.history(id).await.unwrap(), before);
    }
}
