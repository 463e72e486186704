//! Code that changes while it runs, and code that begins anew.

use std::time::Duration;

use flux::{EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Shelf, When, begin, code_of, count, ran, set_code, unique};

#[task]
async fn pass_time(millis: u64) {
    begin();
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[workflow]
async fn patch_in_a_loop(ctx: ExecutionContext<u32>) -> Result<Vec<bool>, TaskError> {
    let mut answers = Vec::new();
    for n in 0..*ctx.input() {
        if n == 2 {
            flux::pause("deploy").await;
        }
        // Deployed between the second turn and the third.
        if code_of(ctx.execution_id()) > 0 {
            answers.push(flux::patched("new-way"));
        }
        pass_time(1).await?;
    }
    Ok(answers)
}

/// PITFALL: in a loop the answer was `false` while replaying and `true` once live, within one execution.
#[tokio::test(start_paused = true)]
async fn a_patch_is_answered_once_for_an_execution() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let id = unique("patch");
        let _ = patch_in_a_loop
            .on(&engine)
            .run(5)
            .execution_id(&id)
            .await
            .unwrap();
        set_code(&id, 1);
        let run = patch_in_a_loop.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), &[false; 5], "begun by the old code");
        let id = unique("patch");
        set_code(&id, 1);
        let _ = patch_in_a_loop
            .on(&engine)
            .run(3)
            .execution_id(&id)
            .await
            .unwrap();
        let run = patch_in_a_loop.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), &[true; 3], "begun by the new code");
        assert_eq!(count(&engine, &id, EventKind::Patched).await, 1);
    }
}

#[workflow]
async fn go_round(ctx: ExecutionContext<(u32, Vec<u32>)>) -> Result<(Vec<u32>, bool), TaskError> {
    let (turn, mut seen) = ctx.input().clone();
    pass_time(1).await?;
    seen.push(flux::signal::<u32>("number").await);
    let patched = flux::patched("round");
    if turn < 3 {
        ctx.continue_as_new((turn + 1, seen)).await;
        unreachable!("it never returns");
    }
    flux::pause("end").await;
    Ok((seen, patched))
}

#[tokio::test(start_paused = true)]
async fn a_workflow_begins_anew_under_its_id_and_keeps_its_signals() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let handle = go_round.on(&engine).start((1, vec![])).await.unwrap();
        for n in 1..=3 {
            handle.signal("number", &n).await.unwrap();
        }
        let run = handle.wait().await.unwrap();
        assert!(run.is_paused(), "{run}");
        let id = run.execution_id().clone();
        assert_eq!(count(&engine, &id, EventKind::ContinuedAsNew).await, 2);
        drop((run, handle, engine));
        shelf.nobody_is_left().await;
        let engine = shelf.engine().await;
        let run = go_round.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), &(vec![1, 2, 3], true));
        assert_eq!(ran(&id, "pass_time"), 3);
    }
}

#[workflow]
async fn begin_at_once(ctx: ExecutionContext<u32>) -> u32 {
    if *ctx.input() == 0 {
        ctx.continue_as_new(1).await;
    }
    flux::pause("look").await;
    *ctx.input()
}

/// PITFALL: the first commit did not write where the replay begins, so that code which began anew before it had asked for
/// anything could not go on after a crash.
#[tokio::test(start_paused = true)]
async fn a_new_beginning_in_the_very_first_commit_survives_a_crash() {
    for shelf in Shelf::every_way().await {
        let id = unique("begin");
        let engine = shelf.engine().await;
        shelf.stop_at(1, When::AfterCommit);
        let run = begin_at_once.on(&engine).run(0).execution_id(&id);
        assert!(shelf.crash(run).await.is_none());
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let run = begin_at_once.on(&engine).resume(&id).await.unwrap();
        assert!(run.is_paused(), "{run}");
        let run = begin_at_once.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&1));
    }
}
