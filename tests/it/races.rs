//! Dropped calls: cancelled, recorded so, and lost in every replay.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, TaskStatus, task, workflow};
use tokio::sync::Barrier;

use crate::support::{Shelf, begin, count, kinds, ran, settle, started};

static ABORTED: AtomicUsize = AtomicUsize::new(0);

struct Aborted;

impl Drop for Aborted {
    fn drop(&mut self) {
        ABORTED.fetch_add(1, Ordering::SeqCst);
    }
}

#[task]
async fn run_slow() -> String {
    begin();
    let aborted = Aborted;
    tokio::time::sleep(Duration::from_secs(60)).await;
    std::mem::forget(aborted);
    "slow".to_owned()
}

#[task]
async fn run_fast(millis: u64) -> String {
    begin();
    tokio::time::sleep(Duration::from_millis(millis)).await;
    format!("fast {millis}")
}

#[workflow]
async fn race_with_timer(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let timed = flux::timeout(Duration::from_secs(1), run_slow()).await;
    assert!(timed.is_err());
    flux::pause("look").await;
    run_fast(1).await
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_race_is_aborted_and_stays_lost() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let before = ABORTED.load(Ordering::SeqCst);
        let run = race_with_timer.on(&engine).run(()).await.unwrap();
        settle().await;
        assert!(ABORTED.load(Ordering::SeqCst) > before);
        let id = run.execution_id().clone();
        assert_eq!(
            run.tasks().await.unwrap()[0].status(),
            TaskStatus::Cancelled
        );
        drop((run, engine));
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        let run = race_with_timer.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), "fast 1");
        assert_eq!(started(&id), ["run_slow", "run_fast"]);
        assert_eq!(count(&engine, &id, EventKind::CallCancelled).await, 1);
    }
}

#[workflow]
async fn race_a_tie(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let winner = tokio::select! {
        one = run_fast(10) => one?,
        two = async { run_fast(10).named("other").await } => two? + " other",
    };
    flux::pause("look").await;
    Ok(winner)
}

/// Both bodies end in the same moment, so both results arrive in one batch.
#[tokio::test(start_paused = true)]
async fn a_tie_has_one_winner_in_every_replay() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = race_a_tie.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        assert_eq!(
            count(&engine, id, EventKind::TaskCompleted).await,
            1,
            "{:?}",
            kinds(&engine, id).await
        );
        assert_eq!(count(&engine, id, EventKind::CallCancelled).await, 1);
        let won = engine
            .history(id)
            .await
            .unwrap()
            .iter()
            .find(|e| e.kind == EventKind::TaskCompleted)
            .unwrap()
            .refers;
        let run = race_a_tie.on(&shelf.engine().await).resume(id).await;
        // The first engine is alive and has let go of the paused execution.
        let run = run.unwrap();
        let expected = if won.unwrap().get() == 2 {
            "fast 10"
        } else {
            "fast 10 other"
        };
        assert_eq!(run.output().unwrap(), expected);
    }
}

#[workflow]
async fn drop_at_once(_ctx: ExecutionContext) -> Result<String, TaskError> {
    for _ in 0..3 {
        // Ready in the poll that issues the call: nothing is recorded of it, and its body never runs.
        tokio::select! {
            () = std::future::ready(()) => {}
            _ = run_slow() => unreachable!(),
        }
        tokio::select! {
            _ = run_slow() => unreachable!(),
            () = std::future::ready(()) => {}
        }
    }
    run_fast(1).await
}

/// PITFALL: a call issued and dropped in one breath was recorded or not as the random order of `select!` had it.
#[tokio::test(start_paused = true)]
async fn a_call_dropped_in_the_delivery_that_issued_it_never_was() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = drop_at_once.on(&engine).run(()).await.unwrap();
        assert_eq!(started(run.execution_id()), ["run_fast"]);
        assert_eq!(run.events().await.unwrap().len(), 4);
    }
}

#[workflow]
async fn never_poll(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let _lazy = run_slow();
    let _sleep = flux::sleep(Duration::from_secs(1));
    run_fast(1).await
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_never_was() {
    let engine = Shelf::memory().engine().await;
    let run = never_poll.on(&engine).run(()).await.unwrap();
    assert_eq!(run.events().await.unwrap().len(), 4);
    assert_eq!(ran(run.execution_id(), "run_slow"), 0);
}

static MEETING: std::sync::LazyLock<Barrier> = std::sync::LazyLock::new(|| Barrier::new(2));
static THREADS: std::sync::Barrier = std::sync::Barrier::new(2);

#[task]
async fn meet() {
    MEETING.wait().await;
}

#[task]
async fn meet_busily() {
    // Would hang for ever if bodies shared a thread.
    THREADS.wait();
}

#[task(blocking)]
fn meet_blocking() -> String {
    THREADS.wait();
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[workflow]
async fn meet_all(_ctx: ExecutionContext) -> Result<(), TaskError> {
    tokio::try_join!(meet(), meet())?;
    tokio::try_join!(meet_busily(), meet_busily())?;
    tokio::try_join!(meet_blocking(), meet_blocking())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bodies_run_in_parallel_also_where_they_keep_a_thread_busy() {
    let engine = Shelf::memory().engine().await;
    let run = meet_all.on(&engine).run(()).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
}

static LONG_BLOCKING: AtomicUsize = AtomicUsize::new(0);

#[task(blocking, timeout = "10ms", max_attempts = 2, backoff = "fixed(1ms)")]
fn block_long() {
    let now = LONG_BLOCKING.fetch_add(1, Ordering::SeqCst);
    assert_eq!(now, 0, "two at once");
    std::thread::sleep(Duration::from_millis(200));
    LONG_BLOCKING.fetch_sub(1, Ordering::SeqCst);
}

#[workflow]
async fn block_too_long(_ctx: ExecutionContext) -> Result<(), TaskError> {
    block_long().await
}

/// PITFALL: a thread cannot be stopped; a retry after its timeout ran beside it.
#[tokio::test]
async fn a_blocking_body_is_waited_out_before_it_is_tried_again() {
    let engine = flux::Engine::in_memory();
    let run = block_too_long.on(&engine).run(()).await.unwrap();
    assert!(
        run.failure()
            .unwrap()
            .message()
            .contains("timed out after 2 attempts"),
        "{run}"
    );
}
