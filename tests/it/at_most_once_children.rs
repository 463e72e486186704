//! `at_most_once` in children that an attempt of their parent cuts off: the next attempt calls new ones, which know nothing
//! of what the old ones may have done.

use std::time::Duration;

use flux::{
    Engine, Execution, ExecutionContext, ExecutionId, Status, TaskError, TaskErrorKind, Workflow,
    task, workflow,
};

use crate::support::{Shelf, begin, code_of, ran, set_code, unique};

/// What the rocket does, by execution.
const FLIES: u32 = 1;

#[task(at_most_once, timeout = "1h")]
async fn launch_rocket() -> Result<String, String> {
    begin();
    match code_of(flux::task_context().unwrap().execution_id()) {
        FLIES => Ok("launched".to_owned()),
        _ => std::future::pending().await,
    }
}

/// May be done twice.
#[task]
async fn watch_sky() {
    begin();
    std::future::pending::<()>().await;
}

/// Waits until a child of this execution, or one of its own, is in a body that takes for ever.
async fn until_one_is_at_it() {
    let context = flux::task_context().unwrap();
    let id = context.execution_id();
    let below = [".2", ".2.2", ".4"].map(|path| ExecutionId::from(format!("{id}{path}")));
    let is_at_it = |id| ran(id, "launch_rocket") + ran(id, "watch_sky") > 0;
    while !below.iter().any(is_at_it) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Fails when it is done for the first time.
#[task]
async fn sing_aloud() -> Result<usize, String> {
    begin();
    until_one_is_at_it().await;
    match ran(flux::task_context().unwrap().execution_id(), "sing_aloud") {
        1 => Err("hoarse".to_owned()),
        times => Ok(times),
    }
}

#[task]
async fn sing_badly() -> Result<u32, String> {
    begin();
    Err("hoarse".to_owned())
}

#[task]
async fn sing_off_key() -> Result<u32, String> {
    begin();
    until_one_is_at_it().await;
    Err("off key".to_owned())
}

#[workflow]
async fn launch(_ctx: ExecutionContext) -> Result<String, TaskError> {
    launch_rocket().await
}

#[workflow(queue = "rockets")]
async fn launch_in_turn(_ctx: ExecutionContext) -> Result<String, TaskError> {
    launch_rocket().await
}

#[workflow]
async fn have_launched(_ctx: ExecutionContext) -> Result<String, TaskError> {
    launch.call(()).await
}

#[workflow]
async fn watch(_ctx: ExecutionContext) -> Result<(), TaskError> {
    watch_sky().await
}

#[workflow]
async fn have_watched(_ctx: ExecutionContext) -> Result<(), TaskError> {
    watch.call(()).await
}

/// Deals with what nobody knows.
#[workflow]
async fn launch_calmly(_ctx: ExecutionContext) -> String {
    let launched = launch_rocket().await;
    launched.unwrap_or_else(|error| error.kind().to_string())
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_launch(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(launch.call(()), sing_aloud())?;
    Ok(launched)
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_in_turn(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(launch_in_turn.call(()), sing_aloud())?;
    Ok(launched)
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_from_afar(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(have_launched.call(()), sing_aloud())?;
    Ok(launched)
}

/// It does not restart, and calls its child after what its next attempt takes back.
#[workflow(max_attempts = 3)]
async fn celebrate_afterwards(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let sung = sing_badly().await;
    let _ = tokio::try_join!(launch.call(()), sing_off_key());
    sung
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_a_calm_one(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    launch_calmly.call(()).await?;
    sing_badly().await
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_stars(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    let watched = async { tokio::try_join!(watch.call(()), have_watched.call(())) };
    tokio::select! {
        _ = watched => unreachable!("it watches for ever"),
        sung = sing_aloud() => sung,
    }
}

/// How often a task ran in all executions below this one.
async fn ran_below(engine: &Engine, id: &ExecutionId, task: &str) -> usize {
    let mut left = vec![id.clone()];
    let mut count = 0;
    while let Some(id) = left.pop() {
        let children = engine.list().children_of(&id).await.unwrap();
        left.extend(children.iter().map(|child| child.execution_id().clone()));
        count += ran(&id, task);
    }
    count
}

fn knows_nothing<O>(run: &Execution<O>) -> bool {
    run.status() == Status::Failed && run.failure().unwrap().has_unknown_outcome()
}

async fn shelves() -> [Shelf; 3] {
    let memory = Shelf::memory();
    [
        memory,
        Shelf::memory().always_replay(),
        Shelf::sqlite().await,
    ]
}

/// PITFALL: the new child of the second attempt launched the second rocket.
#[tokio::test]
async fn no_attempt_calls_a_child_again_that_was_cut_off_in_what_is_done_at_most_once() {
    let hosts: [Workflow<(), String>; 3] =
        [celebrate_launch, celebrate_in_turn, celebrate_from_afar];
    for host in hosts {
        for shelf in shelves().await {
            let engine = shelf.engine().await;
            let worker = engine.worker().spawn();
            let id = unique("launch");
            let run = host.on(&engine).run(()).execution_id(&id).await.unwrap();
            assert!(knows_nothing(&run), "{run}");
            assert_eq!(run.attempt(), 2);
            assert_eq!(ran_below(&engine, &id, "launch_rocket").await, 1);
            let failure = run.failure().unwrap();
            assert!(failure.message().contains("`launch_rocket`"), "{failure}");
            let refused = failure.escaped()[0].clone();
            assert_eq!(refused.kind, TaskErrorKind::OutcomeUnknown);
            engine.replay(&id).await.unwrap();

            // A person may.
            let child = ExecutionId::from(format!("{id}.{}", refused.call));
            for id in [child.clone(), format!("{child}.2").into()] {
                set_code(&id, FLIES);
            }
            let run = host.on(&engine).resume(&id).await.unwrap();
            assert_eq!(run.output().map(String::as_str), Some("launched"), "{run}");
            assert_eq!(ran_below(&engine, &id, "launch_rocket").await, 2);
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn nor_one_that_was_called_after_what_the_attempt_takes_back() {
    for shelf in shelves().await {
        let engine = shelf.engine().await;
        let id = unique("launch");
        let run = celebrate_afterwards.on(&engine).run(()).execution_id(&id);
        let run = run.await.unwrap();
        assert!(knows_nothing(&run), "{run}");
        assert_eq!((run.attempt(), ran(&id, "sing_badly")), (2, 2));
        assert_eq!(ran_below(&engine, &id, "launch_rocket").await, 1);
    }
}

/// The child is content without knowing; a restart would call another one.
#[tokio::test(start_paused = true)]
async fn a_parent_does_not_restart_after_a_child_that_has_dealt_with_what_nobody_knows() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let id = unique("launch");
        let run = celebrate_a_calm_one.on(&engine).run(()).execution_id(&id);
        let run = run.await.unwrap();
        assert!(run.has_failed(), "{run}");
        assert_eq!((run.attempt(), ran(&id, "sing_badly")), (1, 1));
        assert_eq!(ran_below(&engine, &id, "launch_rocket").await, 1);
    }
}

#[tokio::test]
async fn children_that_may_be_done_twice_are_called_by_every_attempt() {
    for shelf in shelves().await {
        let engine = shelf.engine().await;
        let id = unique("stars");
        let run = celebrate_stars.on(&engine).run(()).execution_id(&id);
        let run = run.await.unwrap();
        assert_eq!((run.output(), run.attempt()), (Some(&2), 2), "{run}");
        assert_eq!(engine.list().children_of(&id).await.unwrap().len(), 4);
    }
}
