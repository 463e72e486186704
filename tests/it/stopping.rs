//! Stopping gracefully: bodies that run may finish, whatever began their execution.

use std::time::Duration;

use flux::time::secs;
use flux::{Engine, Error, EventKind, ExecutionContext, ExecutionId, TaskError, task, workflow};

use crate::support::{Shelf, begin, count, ran, unique};

#[task(at_most_once)]
async fn upload(takes: u64) -> u64 {
    begin();
    tokio::time::sleep(Duration::from_secs(takes)).await;
    takes
}

/// Two bodies, of which a stop lets the first end and leaves the second to the next process.
#[workflow]
async fn publish_twice(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    let takes = *ctx.input();
    Ok(upload(takes).await? + upload(1).await?)
}

#[workflow]
async fn publish_through_a_child(ctx: ExecutionContext<u64>) -> Result<u64, TaskError> {
    publish_twice.call(*ctx.input()).await
}

async fn until_begun(id: &ExecutionId) {
    while ran(id, "upload") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Another process finishes what was stopped; no body ran twice, and none is in doubt.
async fn finish(engine: &Engine, id: &ExecutionId) {
    let worker = engine.worker().spawn();
    while !engine.get(id).await.unwrap().has_finished() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
    let run = engine.get(id).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
}

/// PITFALL: a worker that stopped gave up at once what `start` had begun beside it, and the bodies were cut off; an
/// `at_most_once` task came back as `OutcomeUnknown` at each deploy.
#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_lets_bodies_end_that_a_start_began() {
    let shelf = Shelf::memory();
    for is_for_worker in [true, false] {
        let (engine, next) = (shelf.engine().await, shelf.engine().await);
        let id = unique("publish");
        let worker = engine.worker().grace(secs(10)).spawn();
        let start = publish_twice.on(&engine).start(2).execution_id(&id);
        let start = if is_for_worker {
            start.for_worker()
        } else {
            start
        };
        start.await.unwrap();
        until_begun(&id).await;
        worker.stop().await;
        assert_eq!(count(&next, &id, EventKind::TaskCompleted).await, 1);
        assert_eq!(ran(&id, "upload"), 1);
        assert_eq!(next.get(&id).await.unwrap().worker(), None);
        finish(&next, &id).await;
        assert_eq!(ran(&id, "upload"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_without_a_worker_shuts_down_gracefully() {
    let shelf = Shelf::memory();
    let (engine, next) = (shelf.engine().await, shelf.engine().await);
    let id = unique("publish");
    let start = publish_twice.on(&engine).start(2).execution_id(&id);
    start.await.unwrap();
    until_begun(&id).await;
    engine.shutdown(secs(10)).await.unwrap();
    assert_eq!(count(&next, &id, EventKind::TaskCompleted).await, 1);
    assert_eq!(next.get(&id).await.unwrap().worker(), None);
    finish(&next, &id).await;
    assert_eq!(ran(&id, "upload"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_stops_the_workers_of_its_engine() {
    let shelf = Shelf::memory();
    let (engine, next) = (shelf.engine().await, shelf.engine().await);
    let id = unique("publish");
    let worker = engine.worker().grace(secs(1)).spawn();
    let start = publish_twice.on(&engine).start(4).execution_id(&id);
    start.for_worker().await.unwrap();
    until_begun(&id).await;
    engine.shutdown(secs(10)).await.unwrap();
    worker.stop().await;
    assert_eq!(count(&next, &id, EventKind::TaskCompleted).await, 1);
    finish(&next, &id).await;
    assert_eq!(ran(&id, "upload"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_parent_calls_is_given_time_too() {
    let shelf = Shelf::memory();
    let (engine, next) = (shelf.engine().await, shelf.engine().await);
    let id = unique("publish");
    let worker = engine.worker().spawn();
    let start = publish_through_a_child
        .on(&engine)
        .start(2)
        .execution_id(&id);
    let handle = start.await.unwrap();
    let child: ExecutionId = loop {
        let children = next.list().children_of(&id).await.unwrap();
        if let Some(child) = children.first() {
            break child.execution_id().clone();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    until_begun(&child).await;
    worker.stop().await;
    assert_eq!(count(&next, &child, EventKind::TaskCompleted).await, 1);
    finish(&next, handle.execution_id()).await;
    assert_eq!(ran(&child, "upload"), 2);
}

/// What exceeds the grace is dropped, as in a crash, and belongs to whoever takes it next.
#[tokio::test(start_paused = true)]
async fn a_body_that_exceeds_the_grace_is_dropped() {
    let shelf = Shelf::memory();
    let (engine, next) = (shelf.engine().await, shelf.engine().await);
    let id = unique("publish");
    let start = publish_twice.on(&engine).start(3600).execution_id(&id);
    start.await.unwrap();
    until_begun(&id).await;
    engine.shutdown(secs(5)).await.unwrap();
    let run = next.get(&id).await.unwrap();
    assert_eq!(run.worker(), None);
    let run = publish_twice.on(&next).resume(&id).await.unwrap();
    let failure = run.failure().unwrap().to_string();
    assert!(failure.contains("outcome"), "{failure}");
}

/// A caller that waits in person is told that its execution was left to others.
#[tokio::test(start_paused = true)]
async fn a_run_that_a_shutdown_interrupts_says_so() {
    let shelf = Shelf::memory();
    let (engine, next) = (shelf.engine().await, shelf.engine().await);
    let id = unique("publish");
    let run = publish_twice.on(&engine).run(2).execution_id(&id);
    let run = tokio::spawn(run);
    until_begun(&id).await;
    engine.shutdown(secs(10)).await.unwrap();
    let error = run.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
    finish(&next, &id).await;
    assert_eq!(ran(&id, "upload"), 2);
}
