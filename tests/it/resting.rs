//! What goes on beside a pause point: bodies are finished first, timers stay armed.

use std::time::Duration;

use flux::{Error, EventKind, ExecutionContext, Status, TaskError, task, workflow};
use tokio::sync::Notify;

use crate::support::{Shelf, begin, count, started};

#[task]
async fn tidy(what: String) -> String {
    begin();
    what
}

static HAMMER: Notify = Notify::const_new();

#[task]
async fn hammer() -> String {
    begin();
    HAMMER.notified().await;
    "done".to_owned()
}

#[workflow]
async fn pause_beside_work(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let ((), done) = tokio::join!(flux::pause("review"), hammer());
    done
}

/// PITFALL: a run that paused beside a running body returned at once, and what the body did was lost.
#[tokio::test]
async fn what_runs_beside_a_pause_point_is_finished_and_recorded_first() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = pause_beside_work.on(&engine).start(()).await.unwrap();
    let mut events = engine.subscribe(handle.execution_id()).await.unwrap();
    events
        .wait_for(EventKind::PauseReached)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(handle.status().await.unwrap(), Status::Running);
    HAMMER.notify_one();
    let run = handle.wait().await.unwrap();
    assert!(run.is_paused());
    assert_eq!(
        count(&engine, run.execution_id(), EventKind::TaskCompleted).await,
        1
    );
    let run = pause_beside_work
        .on(&engine)
        .resume(run.execution_id())
        .await
        .unwrap();
    assert_eq!(run.output().unwrap(), "done");
    assert_eq!(started(run.execution_id()), ["hammer"]);
}

#[workflow]
async fn pause_for_two_days(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let review = flux::pause("review").value::<String>();
    let verdict = match flux::timeout(flux::time::days(2), review).await {
        Ok(verdict) => verdict,
        Err(elapsed) => elapsed.to_string(),
    };
    tidy(verdict).await
}

#[tokio::test(start_paused = true)]
async fn a_timer_beside_a_pause_point_stays_armed_and_moves_it_on() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let on = pause_for_two_days.on(&engine);
        let run = on.run(()).await.unwrap();
        assert!(run.is_paused());
        assert!(run.wakes_at().is_some());
        // In time.
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
        let run = on.resume(run.execution_id()).with("fine").await.unwrap();
        assert_eq!(run.output().unwrap(), "fine");
        // Too late: the timer, overdue by now, is delivered first, and the answer has nothing to answer.
        let run = on.run(()).await.unwrap();
        tokio::time::sleep(flux::time::days(3)).await;
        let late = on.resume(run.execution_id()).with("fine").await;
        assert!(
            matches!(
                late,
                Err(Error::NotPaused { .. } | Error::NotPausedAt { .. })
            ),
            "{late:?}"
        );
        let run = on.resume(run.execution_id()).await.unwrap();
        assert_eq!(run.output().unwrap(), "the time limit has passed");
    }
}
