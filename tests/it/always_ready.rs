//! Code that never waits: every command reaches it between two deliveries, and every limit ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flux::{
    Engine, EventKind, ExecutionContext, ExecutionId, Handle, Payload, Status, TaskError, task,
    workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, count, lines, ran, unique};

/// What the code is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Busy {
    Timers,
    Timeouts,
    Tasks,
    Steps,
    Transactions,
    Children,
    /// A runtime's own future, which is not durable.
    Yields,
    /// It begins again before it waits for anything.
    NewBeginnings,
    /// It fails before it waits for anything, and may fail ever so often.
    Attempts,
}

const ALL: [Busy; 9] = [
    Busy::Timers,
    Busy::Timeouts,
    Busy::Tasks,
    Busy::Steps,
    Busy::Transactions,
    Busy::Children,
    Busy::Yields,
    Busy::NewBeginnings,
    Busy::Attempts,
];

#[task]
async fn nothing() {}

#[task]
async fn leave() {
    begin();
}

#[workflow]
async fn end_at_once(_ctx: ExecutionContext) {}

fn told(error: TaskError) -> String {
    error.to_string()
}

async fn be_busy(ctx: ExecutionContext<Busy>) -> Result<(), String> {
    let what = *ctx.input();
    ctx.on_exit(leave);
    if what == Busy::NewBeginnings {
        tokio::select! {
            biased;
            () = flux::cancelled() => return Ok(()),
            () = std::future::ready(()) => {}
        }
        ctx.continue_as_new(what).await;
    }
    loop {
        match what {
            Busy::Timers => flux::sleep(Duration::ZERO).await,
            Busy::Timeouts => {
                let word = flux::signal::<()>("never");
                flux::timeout(Duration::ZERO, word).await.unwrap_err();
            }
            Busy::Tasks => nothing().await.map_err(told)?,
            Busy::Steps => flux::step("nothing", async { Ok::<(), String>(()) })
                .await
                .map_err(told)?,
            Busy::Transactions => {
                let run = Arc::new(|_: &dyn std::any::Any| Ok(Payload::from_json("null")));
                flux_core::transaction_call::<()>("statements", run)
                    .await
                    .map_err(told)?;
            }
            Busy::Children => end_at_once.call(()).await.map_err(told)?,
            Busy::Yields => {
                tokio::task::yield_now().await;
                flux::publish("turns", &flux::random::<u32>());
            }
            Busy::NewBeginnings => unreachable!("it began again"),
            Busy::Attempts => return Err("on purpose".to_owned()),
        }
    }
}

#[workflow(max_attempts = "unlimited")]
async fn keep_busy(ctx: ExecutionContext<Busy>) -> Result<(), String> {
    be_busy(ctx).await
}

#[workflow(max_attempts = "unlimited", deadline = "30ms")]
async fn busy_until(ctx: ExecutionContext<Busy>) -> Result<(), String> {
    be_busy(ctx).await
}

#[workflow(timeout = "30ms")]
async fn busy_for(ctx: ExecutionContext<Busy>) -> Result<(), String> {
    be_busy(ctx).await
}

/// Far more than a command takes, and far less than for ever.
async fn soon<F: Future>(awaited: &str, what: Busy, future: F) -> F::Output {
    let limited = tokio::time::timeout(Duration::from_secs(30), future).await;
    limited.unwrap_or_else(|_| panic!("{what:?}: {awaited} does not come"))
}

/// Begins it, and lets it be busy for a while.
async fn begun(engine: &Engine, what: Busy) -> Handle<()> {
    let start = keep_busy
        .on(engine)
        .start(what)
        .execution_id(unique("busy"));
    let handle = start.await.unwrap();
    while engine.history(handle.execution_id()).await.unwrap().len() < 4 {
        tokio::task::yield_now().await;
    }
    handle
}

async fn is_cancelled(engine: &Engine, id: &ExecutionId, what: Busy) {
    let run = engine.get(id).await.unwrap();
    let history = run.events().await.unwrap();
    let last = lines(&history[history.len().saturating_sub(20)..]);
    assert_eq!(run.status(), Status::Cancelled, "{what:?}\n{last}");
    assert_eq!(ran(id, "leave"), 1, "{what:?}: its exit handler\n{last}");
    let replayed = engine.replay(id).await;
    replayed.unwrap_or_else(|error| panic!("{what:?}: {error}\n{last}"));
}

async fn hold(engine: &Engine, handle: &Handle<()>, what: Busy) {
    engine.pause(handle.execution_id()).await.unwrap();
    let held = soon("the pause", what, handle.wait()).await.unwrap();
    assert!(held.held().is_some(), "{what:?}: {held}");
    engine.replay(handle.execution_id()).await.unwrap();
}

#[tokio::test]
async fn code_that_never_waits_is_cancelled() {
    for shelf in Shelf::every_way().await {
        for what in ALL {
            let engine = shelf.engine().await;
            let handle = begun(&engine, what).await;
            handle.cancel().await.unwrap();
            let run = soon("the end", what, handle.wait()).await.unwrap();
            is_cancelled(&engine, run.execution_id(), what).await;
        }
    }
}

/// A driver listened to other processes only where it waited for some time.
#[tokio::test]
async fn code_that_never_waits_is_cancelled_by_another_engine() {
    for shelf in Shelf::each().await {
        for what in ALL {
            let (engine, other) = (shelf.engine().await, shelf.engine().await);
            let handle = begun(&engine, what).await;
            other.cancel(handle.execution_id()).await.unwrap();
            let run = soon("the end", what, handle.wait()).await.unwrap();
            is_cancelled(&engine, run.execution_id(), what).await;
        }
    }
}

#[tokio::test]
async fn code_that_never_waits_is_paused_and_resumed() {
    for shelf in Shelf::every_way().await {
        for what in ALL {
            let engine = shelf.engine().await;
            let handle = begun(&engine, what).await;
            let id = handle.execution_id();
            hold(&engine, &handle, what).await;
            let before = engine.history(id).await.unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert_eq!(engine.history(id).await.unwrap(), before, "{what:?}");

            let worker = engine.worker().spawn();
            engine.resume(id).request().await.unwrap();
            let goes_on = async {
                while engine.history(id).await.unwrap().len() < before.len() + 4 {
                    tokio::task::yield_now().await;
                }
            };
            soon("more", what, goes_on).await;
            hold(&engine, &handle, what).await;
            handle.cancel().await.unwrap();
            let ended = async {
                while !engine.get(id).await.unwrap().has_finished() {
                    tokio::task::yield_now().await;
                }
            };
            soon("the end", what, ended).await;
            is_cancelled(&engine, id, what).await;
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn code_that_never_waits_is_terminated() {
    for shelf in Shelf::every_way().await {
        for what in ALL {
            let engine = shelf.engine().await;
            let handle = begun(&engine, what).await;
            let id = handle.execution_id();
            soon("the end", what, handle.terminate("enough"))
                .await
                .unwrap();
            let run = engine.get(id).await.unwrap();
            assert_eq!(run.status(), Status::Terminated, "{what:?}");
            assert_eq!(ran(id, "leave"), 0, "{what:?}");
            engine.replay(id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_deadline_ends_code_that_never_waits() {
    for shelf in Shelf::every_way().await {
        for what in ALL {
            let engine = shelf.engine().await;
            let run = busy_until.on(&engine).run(what);
            let run = soon("the end", what, run).await.unwrap();
            let id = run.execution_id();
            assert!(run.has_failed(), "{what:?}: {run}");
            assert_eq!(ran(id, "leave"), 1, "{what:?}: its exit handler");
            let replayed = engine.replay(id).await;
            replayed.unwrap_or_else(|error| panic!("{what:?}: {error}"));
        }
    }
}

/// Active time passes while tasks and children are at work.
#[tokio::test]
async fn the_timeout_ends_code_that_never_waits() {
    for shelf in Shelf::every_way().await {
        for what in [Busy::Tasks, Busy::Steps, Busy::Transactions, Busy::Children] {
            let engine = shelf.engine().await;
            let run = soon("the end", what, busy_for.on(&engine).run(what)).await;
            let run = run.unwrap();
            assert!(run.has_failed(), "{what:?}: {run}");
            let stops = count(&engine, run.execution_id(), EventKind::WorkflowStopping).await;
            assert_eq!(stops, 1, "{what:?}");
            engine.replay(run.execution_id()).await.unwrap();
        }
    }
}

/// Works for half a minute, in pieces, and waits for nothing in between: it is stopped long before its end, however busy the
/// machine is.
async fn reckon() {
    for _ in 0..30_000 {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        flux::sleep(Duration::ZERO).await;
    }
}

#[workflow]
async fn reckon_on(_ctx: ExecutionContext) {
    reckon().await;
}

#[workflow(deadline = "30ms")]
async fn reckon_until(_ctx: ExecutionContext) {
    reckon().await;
}

/// PITFALL: up to a thousand deliveries shared a commit, however long the code took for each, and nothing reached it meanwhile.
#[tokio::test]
async fn code_that_computes_and_never_waits_is_cancelled_and_held_and_runs_into_its_deadline() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let run = reckon_until.on(&engine).run(()).await.unwrap();
        assert!(run.has_failed(), "{run}");
        engine.replay(run.execution_id()).await.unwrap();

        let handle = reckon_on.on(&engine).start(()).await.unwrap();
        handle.cancel().await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.status(), Status::Cancelled, "{run}");

        let handle = reckon_on.on(&engine).start(()).await.unwrap();
        engine.pause(handle.execution_id()).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(run.held().is_some(), "{run}");
        engine.replay(run.execution_id()).await.unwrap();
    }
}
