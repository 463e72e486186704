//! Signals come in the order in which they were sent, whatever becomes of the waits for them.

use std::time::Duration;

use flux::{Engine, Error, ExecutionContext, ExecutionId, TaskError, task, task_context, workflow};

use crate::support::{Shelf, When, begin, code_of, ran, set_code, unique};

/// Waits with two calls at a time and uses the one that comes first.
#[workflow]
async fn take_either(ctx: ExecutionContext<usize>) -> Vec<u32> {
    flux::signal::<()>("go").await;
    let mut got = Vec::new();
    while got.len() < *ctx.input() {
        tokio::select! {
            n = flux::signal::<u32>("number") => got.push(n),
            n = flux::signal::<u32>("number") => got.push(n),
        }
    }
    got
}

/// Waits for no longer than a millisecond, again and again.
#[workflow]
async fn take_in_time(ctx: ExecutionContext<usize>) -> Vec<u32> {
    flux::signal::<()>("go").await;
    let mut got = Vec::new();
    while got.len() < *ctx.input() {
        let wait = flux::signal::<u32>("number");
        if let Ok(n) = flux::timeout(Duration::from_millis(1), wait).await {
            got.push(n);
        }
    }
    got
}

/// Takes what is there, and waits for nothing.
#[workflow]
async fn take_what_is_there(_ctx: ExecutionContext) -> Vec<u32> {
    flux::signal::<()>("go").await;
    let mut got = Vec::new();
    while let Ok(n) = flux::timeout(Duration::ZERO, flux::signal::<u32>("number")).await {
        got.push(n);
    }
    got
}

async fn send(engine: &Engine, id: &ExecutionId, numbers: impl IntoIterator<Item = u32>) {
    for n in numbers {
        engine.signal(id, "number", &n).await.unwrap();
    }
}

/// PITFALL: a signal that a dropped wait had went behind those that came after it.
#[tokio::test]
async fn a_signal_whose_wait_is_dropped_stays_first_in_line() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = take_either.on(&engine).start(40).await.unwrap();
        send(&engine, handle.execution_id(), 0..40).await;
        handle.signal("go", &()).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), &(0..40).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn signals_that_come_while_waits_are_dropped_keep_their_order() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        for workflow in [take_either, take_in_time] {
            let handle = workflow.on(&engine).start(60).await.unwrap();
            handle.signal("go", &()).await.unwrap();
            for n in 0..60 {
                send(&engine, handle.execution_id(), [n]).await;
                if n % 7 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let run = handle.wait().await.unwrap();
            assert_eq!(run.output().unwrap(), &(0..60).collect::<Vec<_>>());
        }
    }
}

/// A signal that was sent before a timer is due comes before it, however late both are looked at.
#[tokio::test]
async fn a_wait_without_patience_takes_what_is_there() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = take_what_is_there.on(&engine).start(()).await.unwrap();
        send(&engine, handle.execution_id(), 0..20).await;
        handle.signal("go", &()).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), &(0..20).collect::<Vec<_>>());
    }
}

/// Ends when all signals are there.
#[task]
async fn settle_in() {
    begin();
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Three waits get their signals while nobody looks at them, and are then dropped, the last one first.
#[workflow]
async fn drop_three(_ctx: ExecutionContext) -> Result<Vec<u32>, TaskError> {
    let wait = || Box::pin(flux::signal::<u32>("number"));
    let (mut one, mut two, mut three) = (wait(), wait(), wait());
    for wait in [&mut one, &mut two, &mut three] {
        assert!(futures::poll!(wait).is_pending());
    }
    settle_in().await?;
    drop(three);
    drop(one);
    drop(two);
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(flux::signal::<u32>("number").await);
    }
    Ok(got)
}

/// PITFALL: after a replay what had been handed on came once more.
#[tokio::test]
async fn signals_that_no_code_saw_come_once_more_in_their_order() {
    for shelf in Shelf::every_way().await {
        let id = unique("dropped");
        let engine = shelf.engine().await;
        let start = drop_three.on(&engine).start(()).execution_id(&id);
        let handle = start.await.unwrap();
        send(&engine, &id, 0..5).await;
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), &[0, 1, 2, 3, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_at_any_commit_signals_come_once_and_in_order() {
    for commit in 1.. {
        let id = unique("crashed");
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        shelf.stop_at(commit, When::AfterCommit);
        let run = drop_three.on(&engine).run(()).execution_id(&id);
        let sent = send_once(&engine, &id);
        let ended = shelf.crash(async { tokio::join!(run, sent) }).await;
        let is_done = ended.is_some();
        drop(ended);
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let run = drop_three.on(&engine).run(()).execution_id(&id);
        let (run, ()) = tokio::join!(run, send_once(&engine, &id));
        assert_eq!(run.unwrap().output().unwrap(), &[0, 1, 2, 3, 4], "{commit}");
        if is_done {
            return;
        }
    }
}

/// Sends five signals as soon as the execution is there, unless it has had them.
async fn send_once(engine: &Engine, id: &ExecutionId) {
    while engine.get(id).await.is_err() {
        tokio::task::yield_now().await;
    }
    for n in 0..5u32 {
        let key = n.to_string();
        let sent = engine.signal_once(id, "number", &n, &key).await;
        assert!(matches!(sent, Ok(()) | Err(Error::AlreadyFinished { .. })));
    }
}

#[task]
async fn check_stock() -> Result<(), String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("there is none".to_owned()),
        _ => Ok(()),
    }
}

/// The task fails at once, and its failure ends the execution when all signals are there.
#[workflow]
async fn take_and_check(ctx: ExecutionContext<usize>) -> Result<Vec<u32>, TaskError> {
    let all = async {
        let mut got = Vec::new();
        while got.len() < *ctx.input() {
            tokio::select! {
                n = flux::signal::<u32>("number") => got.push(n),
                n = flux::signal::<u32>("number") => got.push(n),
            }
        }
        got
    };
    let (checked, got) = tokio::join!(check_stock(), all);
    checked?;
    Ok(got)
}

/// PITFALL: what a resume gave back to a wait that was then dropped was lost.
#[tokio::test]
async fn a_resume_gives_signals_back_in_their_order() {
    for shelf in Shelf::every_way().await {
        let id = unique("resumed");
        let engine = shelf.engine().await;
        let start = take_and_check.on(&engine).start(9).execution_id(&id);
        let handle = start.await.unwrap();
        while ran(&id, "check_stock") == 0 {
            tokio::task::yield_now().await;
        }
        send(&engine, &id, 0..9).await;
        assert!(handle.wait().await.unwrap().has_failed());
        set_code(&id, 1);
        let run = take_and_check.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), &(0..9).collect::<Vec<_>>());
    }
}
