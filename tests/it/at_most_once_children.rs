//! `at_most_once` in children that an attempt of their parent cuts off: the next attempt calls new ones, which know nothing
//! of what the old ones may have done.

use std::time::Duration;

use flux::{
    Engine, Execution, ExecutionContext, ExecutionId, Status, TaskError, TaskErrorKind, Workflow,
    task, workflow,
};

use crate::support::{Shelf, When, begin, code_of, ran, set_code, unique};

/// What the rocket does, by the execution that wants it launched. Else it takes for ever.
const FLIES: u32 = 1;
const FLIES_SLOWLY: u32 = 2;

/// The execution that was started, of those that it called.
fn root(id: &ExecutionId) -> ExecutionId {
    id.as_str().split('.').next().unwrap().into()
}

#[task(at_most_once, timeout = "1h")]
async fn launch_rocket() -> Result<String, String> {
    begin();
    match code_of(&root(flux::task_context().unwrap().execution_id())) {
        FLIES => {}
        // It is cut off before it is there, however slow the machine is.
        FLIES_SLOWLY => tokio::time::sleep(Duration::from_secs(2)).await,
        _ => std::future::pending().await,
    }
    Ok("launched".to_owned())
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

/// Fails in the first attempt.
#[task]
async fn sing_aloud(attempt: u32) -> Result<u32, String> {
    begin();
    until_one_is_at_it().await;
    match attempt {
        1 => Err("hoarse".to_owned()),
        attempt => Ok(attempt),
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

/// Deals with an unknown outcome.
#[workflow]
async fn launch_calmly(_ctx: ExecutionContext) -> String {
    let launched = launch_rocket().await;
    launched.unwrap_or_else(|error| error.kind().to_string())
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_launch(ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(launch.call(()), sing_aloud(ctx.attempt()))?;
    Ok(launched)
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_in_turn(ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(launch_in_turn.call(()), sing_aloud(ctx.attempt()))?;
    Ok(launched)
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_from_afar(ctx: ExecutionContext) -> Result<String, TaskError> {
    let (launched, _) = tokio::try_join!(have_launched.call(()), sing_aloud(ctx.attempt()))?;
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
async fn celebrate_stars(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let watched = async { tokio::try_join!(watch.call(()), have_watched.call(())) };
    tokio::select! {
        _ = watched => unreachable!("it watches for ever"),
        sung = sing_aloud(ctx.attempt()) => sung,
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
            assert_eq!(failure.escaped()[0].kind, TaskErrorKind::OutcomeUnknown);
            engine.replay(&id).await.unwrap();

            // A person may.
            set_code(&id, FLIES);
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
async fn a_parent_does_not_restart_after_a_child_that_has_dealt_with_an_unknown_outcome() {
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

/// Whether the process of an execution dies before it ends, with all that it drives.
fn dies(shelf: &Shelf, host: Workflow<(), String>, id: &ExecutionId) -> bool {
    let life = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let ended = runtime.block_on(async {
            let engine = shelf.engine().await;
            let run = host.on(&engine).run(()).execution_id(id);
            shelf.crash(run).await
        });
        ended.is_none()
    };
    std::thread::scope(|scope| scope.spawn(life).join().unwrap())
}

/// Whichever commit the process dies at: there is one rocket.
#[tokio::test]
async fn a_crash_at_any_commit_launches_no_second_rocket() {
    let hosts: [Workflow<(), String>; 2] = [celebrate_launch, celebrate_from_afar];
    for (host, commit) in hosts
        .into_iter()
        .flat_map(|host| (1..=10).map(move |n| (host, n)))
    {
        for when in [When::BeforeCommit, When::AfterCommit] {
            for recovers in [true, false] {
                let shelf = Shelf::memory();
                let id = unique("launch");
                set_code(&id, FLIES_SLOWLY);
                shelf.stop_at(commit, when);
                if !dies(&shelf, host, &id) {
                    continue;
                }
                shelf.nobody_is_left().await;
                shelf.go_on();
                let engine = shelf.engine().await;
                let continued = async {
                    if recovers {
                        drop(engine.recover().await.unwrap());
                    } else if engine.get(&id).await.is_ok_and(|run| !run.has_finished()) {
                        drop(host.on(&engine).resume(&id).await.unwrap());
                    }
                };
                let continued = tokio::time::timeout(Duration::from_secs(60), continued).await;
                assert!(
                    continued.is_ok(),
                    "{id} hangs at {commit}, {when:?}, {recovers}"
                );
                let launched = ran_below(&engine, &id, "launch_rocket").await;
                assert!(launched <= 1, "{launched} at {commit}, {when:?}");
                if let Ok(run) = engine.get(&id).await {
                    assert!(run.has_finished(), "{run} at {commit}, {when:?}");
                }
            }
        }
    }
}

/// Its clean-up takes as long as it may.
#[workflow]
async fn watch_and_linger(_ctx: ExecutionContext) -> Result<(), TaskError> {
    tokio::select! {
        watched = watch_sky() => watched,
        () = flux::cancelled() => clean_up_for_long().await,
    }
}

#[task]
async fn clean_up_for_long() {
    begin();
    std::future::pending::<()>().await;
}

#[workflow(max_attempts = 3, retry = "restart")]
async fn celebrate_with_a_lingerer(ctx: ExecutionContext) -> Result<u32, TaskError> {
    tokio::select! {
        _ = watch_and_linger.call(()) => unreachable!("it watches for ever"),
        sung = sing_aloud(ctx.attempt()) => sung,
    }
}

/// They were heard after 40 s.
#[tokio::test]
async fn commands_are_heard_while_the_next_attempt_waits_for_a_child_that_cleans_up() {
    for shelf in shelves().await {
        let (hand, other) = (shelf.engine().await, shelf.engine().await);
        for asker in [&hand, &other] {
            let begin = async || {
                let id = unique("lingers");
                let run = celebrate_with_a_lingerer
                    .on(&hand)
                    .run(())
                    .execution_id(&id);
                let running = tokio::spawn(run.into_future());
                let child = ExecutionId::from(format!("{id}.2"));
                while ran(&child, "clean_up_for_long") == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                (id, running)
            };
            let soon = async |running: tokio::task::JoinHandle<Result<Execution<u32>, _>>| {
                let run = tokio::time::timeout(Duration::from_secs(10), running);
                let run: Result<Execution<u32>, flux::Error> = run.await.unwrap().unwrap();
                run.unwrap()
            };
            let (id, running) = begin().await;
            asker.cancel(&id).await.unwrap();
            let run = soon(running).await;
            assert!(run.is_cancelled(), "{run}");
            hand.replay(&id).await.unwrap();

            let (id, running) = begin().await;
            asker.terminate(&id, "enough").await.unwrap();
            assert_eq!(soon(running).await.status(), Status::Terminated);

            let (id, running) = begin().await;
            asker.pause(&id).await.unwrap();
            let run = soon(running).await;
            assert!(run.held().is_some(), "{run}");
            // The child ends when its window is over, or here.
            let child = ExecutionId::from(format!("{id}.2"));
            hand.terminate(&child, "enough").await.unwrap();
            let run = celebrate_with_a_lingerer.on(&hand).resume(&id);
            let resumed = soon(tokio::spawn(run.into_future())).await;
            assert_eq!(resumed.output(), Some(&2), "{resumed}");
        }
    }
}

/// Its first attempt drops the call of a child, whose id it was given, before there is one.
#[workflow(max_attempts = 2, retry = "restart")]
async fn call_by_a_taken_id(ctx: ExecutionContext<String>) -> Result<u32, String> {
    if ctx.attempt() > 1 {
        return Ok(2);
    }
    tokio::select! {
        _ = watch.call(()).execution_id(ctx.input().as_str()) => unreachable!("it was dropped"),
        () = flux::sleep(Duration::ZERO) => Err("not yet".to_owned()),
    }
}

/// The next attempt waited for its end.
#[tokio::test]
async fn an_execution_that_another_started_under_the_id_of_a_child_is_not_waited_for() {
    for shelf in shelves().await {
        let engine = shelf.engine().await;
        let id = unique("taken");
        let taken = watch.on(&engine).start(()).execution_id(&id);
        let taken = taken.await.unwrap();
        let run = call_by_a_taken_id.on(&engine).run(id.to_string());
        let run = tokio::time::timeout(Duration::from_secs(10), run.into_future());
        let run = run.await.unwrap().unwrap();
        assert_eq!(run.output(), Some(&2), "{run}");
        assert_eq!(taken.status().await.unwrap(), Status::Running);
    }
}
