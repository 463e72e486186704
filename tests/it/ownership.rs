//! What is owned is driven, or given up: by whichever way it came to its owner, and however that one lost it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use flux::sqlite::transaction;
use flux::{Engine, ExecutionContext, ExecutionId, Status, TaskError, task, workflow};

use crate::support::{Fault, Shelf, begin, ran, unique};

#[task]
async fn count(number: u32) -> u32 {
    begin();
    number
}

#[workflow]
async fn approve(_ctx: ExecutionContext) -> u32 {
    flux::pause("ok").value::<u32>().await
}

/// Waits for a person, and books something meanwhile: its last event is the outcome of a transaction.
#[workflow]
async fn book_and_ask(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let booked = transaction("book", |db| {
        db.query_row("SELECT 7", [], |row| row.get::<_, u32>(0))
    });
    let (asked, booked) = tokio::join!(flux::pause("ok").value::<u32>(), booked);
    Ok(asked + booked?)
}

#[workflow(max_attempts = 3)]
async fn fail_at_once(_ctx: ExecutionContext) -> Result<u32, String> {
    Err("it is too early".to_owned())
}

#[workflow]
async fn call_a_failing_child(ctx: ExecutionContext<String>) -> Result<u32, TaskError> {
    let _ = ctx;
    fail_in_a_queue.call(()).await
}

#[workflow(max_attempts = 3, queue = "narrow")]
async fn fail_in_a_queue(_ctx: ExecutionContext) -> Result<u32, String> {
    Err("it is too early".to_owned())
}

#[workflow]
async fn ask_briefly(_ctx: ExecutionContext) -> u32 {
    let asked = flux::pause("ok").value::<u32>();
    let asked = flux::timeout(Duration::from_millis(300), asked).await;
    asked.unwrap_or(77)
}

#[workflow(deadline = "300ms")]
async fn ask_by_a_deadline(_ctx: ExecutionContext) -> u32 {
    flux::pause("ok").value::<u32>().await
}

#[workflow]
async fn count_to_three(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    Ok(count(1).await? + count(2).await? + count(3).await?)
}

/// Waits until an execution has no owner.
async fn until_released(engine: &Engine, id: &ExecutionId) {
    while engine.get(id).await.unwrap().worker().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until an execution has finished, without being one who waits for it in person.
async fn until_finished(engine: &Engine, id: &ExecutionId) {
    while !engine.get(id).await.unwrap().has_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// PITFALL: a paused execution whose last event was an outcome that asks for nothing kept its owner, although no driver
/// was left: neither a request nor a resume reached it.
#[tokio::test]
async fn one_that_is_paused_after_a_transaction_can_be_resumed_by_others() {
    let shelf = Shelf::sqlite().await;
    let (one, other) = (shelf.engine().await, shelf.engine().await);
    let id = unique("booked");
    let run = book_and_ask
        .on(&one)
        .run(())
        .execution_id(&id)
        .await
        .unwrap();
    assert!(run.is_paused());
    assert_eq!(other.get(&id).await.unwrap().worker(), None);

    // A wake-up that has nothing for it: it is claimed, and given up again.
    let worker = one.worker().spawn();
    other.signal(&id, "unrelated", &1).await.unwrap();
    until_released(&other, &id).await;
    worker.stop().await;
    let run = book_and_ask.on(&other).resume(&id).with(&5).await.unwrap();
    assert_eq!(run.output(), Some(&12));
}

/// PITFALL: an execution that had waited for its turn, and failed before it awaited anything, was never tried again and
/// stayed `Running`.
#[tokio::test]
async fn what_waited_for_its_turn_is_tried_as_often_as_what_did_not() {
    for way in 0..4 {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let id = unique("early");
        let worker = engine.worker().spawn();
        let start = fail_at_once.on(&engine).start(()).execution_id(&id);
        let start = match way {
            0 => start,
            1 => start.queue("narrow"),
            2 => start.delay(Duration::from_millis(5)),
            _ => start.for_worker(),
        };
        let run = start.await.unwrap().wait().await.unwrap();
        assert_eq!(
            (run.status(), run.attempt()),
            (Status::Failed, 3),
            "way {way}"
        );
        worker.stop().await;
    }
}

/// The same for a child that waits in a queue; its place in the queue is free again afterwards.
#[tokio::test]
async fn a_queued_child_is_tried_as_often_as_it_may() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    engine.queue("narrow").concurrency(1).await.unwrap();
    let worker = engine.worker().spawn();
    for _ in 0..2 {
        let run = call_a_failing_child
            .on(&engine)
            .run("x".into())
            .await
            .unwrap();
        assert!(run.has_failed());
    }
    worker.stop().await;
}

/// PITFALL: the timer of a paused execution was written, and no worker was told that there is something to wait for.
#[tokio::test]
async fn the_time_limit_of_a_pause_ends_it_in_an_idle_service() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        for _ in 0..2 {
            let handle = ask_briefly.on(&engine).start(()).await.unwrap();
            until_finished(&engine, handle.execution_id()).await;
            let handle = ask_by_a_deadline.on(&engine).start(()).await.unwrap();
            until_finished(&engine, handle.execution_id()).await;
        }
        worker.stop().await;
    }
}

/// Polls a future a number of times, then drops it.
async fn poll_and_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// PITFALL: a resume that was dropped while it claimed left the execution to this engine, which did not drive it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_resume_leaves_its_execution_to_whoever_comes_next() {
    for shelf in Shelf::each().await {
        let (one, other) = (shelf.engine().await, shelf.engine().await);
        for polls in 0..12 {
            let id = unique("asked");
            let run = approve.on(&one).run(()).execution_id(&id);
            assert!(run.await.unwrap().is_paused());
            let resume = approve.on(&one).resume(&id).with(&5);
            let done = poll_and_drop(resume, polls).await.transpose().unwrap();
            until_released(&other, &id).await;
            if done.is_none() && !other.get(&id).await.unwrap().has_finished() {
                let run = approve.on(&other).resume(&id).with(&5).await.unwrap();
                assert_eq!(run.output(), Some(&5), "dropped at poll {polls}");
            }
        }
    }
}

/// PITFALL: a store that failed for a moment also failed when the executions were given up, which was logged and
/// forgotten: they hung until the process ended.
#[tokio::test]
async fn what_ran_when_the_store_failed_goes_on_when_it_works_again() {
    for shelf in Shelf::each().await {
        for commit in 1..=4 {
            let (one, other) = (shelf.engine().await, shelf.engine().await);
            let id = unique("interrupted");
            shelf.fail_at(commit, Fault::NothingWritten);
            shelf.fail_releases(3);
            let ended = count_to_three.on(&one).run(()).execution_id(&id).await;
            ended.unwrap_err();
            if commit == 1 {
                continue;
            }
            // The first engine lives on, and has no worker.
            let worker = other.worker().spawn();
            until_finished(&other, &id).await;
            let run = other.get(&id).await.unwrap();
            assert!(run.has_succeeded(), "commit {commit}: {run}");
            assert!(ran(&id, "count") <= 4);
            worker.stop().await;
        }
    }
}

/// PITFALL: a worker whose handle was dropped, which lets it work on, looked for work without a pause.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_handle_is_dropped_rests_when_there_is_nothing_to_do() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    drop(engine.worker().spawn());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = shelf.writes();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        shelf.writes() - before < 100,
        "{} rounds",
        shelf.writes() - before
    );
    let handle = count_to_three.on(&engine).start(()).for_worker();
    let run = handle.await.unwrap().wait().await.unwrap();
    assert!(run.has_succeeded());
}
