//! A child that is recorded exists, whatever became of its call, its parent or the process since.

use std::time::Duration;

use flux::{
    ChildPolicy, Engine, EventKind, ExecutionContext, ExecutionId, Status, TaskError, task,
    task_context, workflow,
};

use crate::support::{Shelf, When, begin, code_of, count, ran, set_code, settle, unique};

#[task]
async fn water() -> u32 {
    begin();
    1
}

#[workflow]
async fn plant(_ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    water().await
}

/// The ids of the children that a history has as called and not as cancelled.
async fn recorded(engine: &Engine, parent: &ExecutionId, policy: ChildPolicy) -> Vec<ExecutionId> {
    let events = engine.history(parent).await.unwrap();
    let is_cancelled = |call| {
        let mut cancels = events.iter();
        policy != ChildPolicy::Abandon
            && cancels
                .any(|event| event.kind == EventKind::CallCancelled && event.refers == Some(call))
    };
    let called = events
        .iter()
        .filter(|event| event.kind == EventKind::ChildStarted && !is_cancelled(event.seq));
    let id = |event: &flux::Event| {
        let meta: serde_json::Value = event.meta.as_ref().unwrap().decode().unwrap();
        ExecutionId::from(meta["child"].as_str().unwrap())
    };
    called.map(id).collect()
}

async fn until_finished(engine: &Engine, id: &ExecutionId) -> flux::Execution {
    loop {
        let run = engine.get(id).await.unwrap();
        if run.has_finished() {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const POLICIES: [ChildPolicy; 3] = [
    ChildPolicy::Cancel,
    ChildPolicy::Abandon,
    ChildPolicy::Terminate,
];

/// Calls a child and waits for it no longer than so many milliseconds.
#[workflow]
async fn plant_and_leave(ctx: ExecutionContext<(u64, ChildPolicy)>) {
    let (millis, policy) = *ctx.input();
    let call = plant.call(1).when_parent_ends(policy);
    let _ = flux::timeout(Duration::from_millis(millis), call).await;
}

/// PITFALL: a call that was dropped before its child was created was recorded, and its child never came to be.
#[tokio::test]
async fn a_child_exists_however_soon_its_call_is_dropped() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        for policy in POLICIES {
            for millis in [0, 0, 0, 1, 2] {
                let run = plant_and_leave.on(&engine).run((millis, policy)).await;
                let run = run.unwrap();
                assert!(run.has_succeeded());
                let children = recorded(&engine, run.execution_id(), policy).await;
                if policy == ChildPolicy::Abandon {
                    assert_eq!(children.len(), 1);
                }
                for child in children {
                    let child = until_finished(&engine, &child).await;
                    assert_eq!(child.parent(), Some(run.execution_id()));
                    let goes_on = policy == ChildPolicy::Abandon;
                    assert!(child.has_succeeded() || !goes_on, "{policy:?}: {child}");
                }
            }
        }
    }
}

#[workflow]
async fn plant_and_begin_again(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let left = *ctx.input();
    if left == 0 {
        return water().await;
    }
    let call = plant.call(left).when_parent_ends(ChildPolicy::Abandon);
    tokio::select! {
        biased;
        done = call => done,
        never = ctx.continue_as_new(left - 1) => match never {},
    }
}

#[tokio::test]
async fn a_child_exists_though_its_parent_begins_again_in_the_same_moment() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = plant_and_begin_again.on(&engine).run(5).await.unwrap();
        assert_eq!(run.output(), Some(&1));
        let children = recorded(&engine, run.execution_id(), ChildPolicy::Abandon).await;
        assert_eq!(children.len(), 5);
        for child in children {
            assert!(until_finished(&engine, &child).await.has_succeeded());
        }
    }
}

#[workflow]
async fn plant_a_row(ctx: ExecutionContext<ChildPolicy>) -> Result<u32, TaskError> {
    let policy = *ctx.input();
    let first = plant.call(1).when_parent_ends(policy).await?;
    let call = |n| plant.call(n).when_parent_ends(policy);
    let (second, third) = tokio::try_join!(call(2), call(3))?;
    Ok(first + second + third)
}

/// The process dies after each commit in turn: what the history has, the store has, too.
#[tokio::test]
async fn a_child_exists_whenever_the_process_dies() {
    for commit in 1.. {
        let shelf = Shelf::memory();
        let id = unique("row");
        shelf.stop_at(commit, When::AfterCommit);
        let engine = shelf.engine().await;
        let run = plant_a_row.on(&engine).run(ChildPolicy::Cancel);
        let ended = shelf.crash(run.execution_id(&id)).await.is_some();
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        for child in recorded(&engine, &id, ChildPolicy::Cancel).await {
            assert_eq!(engine.get(child).await.unwrap().parent(), Some(&id));
        }
        let run = plant_a_row.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&3), "crashed after {commit}");
        if ended {
            return;
        }
    }
}

/// Whoever terminates a parent without its code finds its children by their rows.
#[tokio::test]
async fn an_abandoned_child_goes_on_though_its_parent_died_and_was_terminated() {
    for shelf in Shelf::each().await {
        let id = unique("row");
        shelf.stop_at(1, When::AfterCommit);
        let engine = shelf.engine().await;
        let run = plant_a_row.on(&engine).run(ChildPolicy::Abandon);
        assert!(shelf.crash(run.execution_id(&id)).await.is_none());
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let children = recorded(&engine, &id, ChildPolicy::Abandon).await;
        assert_eq!(children.len(), 1);
        assert_eq!(ran(&children[0], "water"), 0);
        engine.terminate(&id, "on purpose").await.unwrap();
        drop(engine.recover().await.unwrap());
        let child = until_finished(&engine, &children[0]).await;
        assert!(child.has_succeeded(), "{child}");
    }
}

/// Parent and child need one commit each for the start and for each task: the child's start is in its parent's.
#[tokio::test]
async fn a_child_costs_no_commit_of_its_own() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let before = shelf.commits();
        let run = plant_a_row.on(&engine).run(ChildPolicy::Cancel).await;
        assert_eq!(run.unwrap().output(), Some(&3));
        // Two each for three children, and for the parent at most one for the start and for each of their ends.
        let commits = shelf.commits() - before;
        assert!(commits <= 3 * 2 + 4, "{commits}");
    }
}

#[workflow]
async fn plant_a_field(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let all = futures::future::try_join_all((0..*ctx.input()).map(|n| plant.call(n))).await?;
    Ok(all.into_iter().sum())
}

/// PITFALL: each end of a child had its parent's whole inbox read, and looked at each of its other children.
#[tokio::test]
async fn many_children_cost_as_much_each_as_few() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        for n in [50, 400] {
            let (commits, messages) = (shelf.commits(), shelf.messages_read());
            let run = plant_a_field.on(&engine).run(n).await.unwrap();
            assert_eq!(run.output(), Some(&n));
            let commits = shelf.commits() - commits;
            assert!(commits <= 3 * n as usize + 2, "{n}: {commits} commits");
            let messages = shelf.messages_read() - messages;
            assert_eq!(messages, n as usize, "{n}: messages");
        }
    }
}

#[workflow]
async fn plant_when_told(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    slow_water().await?;
    plant.call(1).await
}

#[task]
async fn slow_water() {
    begin();
    while code_of(task_context().unwrap().execution_id()) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn held_with_child(shelf: &Shelf) -> (Engine, ExecutionId, ExecutionId) {
    let id = unique("held");
    let engine = shelf.engine().await;
    let start = plant_when_told.on(&engine).start(()).execution_id(&id);
    drop(start.await.unwrap());
    while ran(&id, "slow_water") == 0 {
        tokio::task::yield_now().await;
    }
    engine.pause(&id).await.unwrap();
    set_code(&id, 1);
    while engine.get(&id).await.unwrap().held().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let children = recorded(&engine, &id, ChildPolicy::Cancel).await;
    assert_eq!(children.len(), 1);
    (engine, id, children[0].clone())
}

/// It exists, and is set to work when its parent goes on.
#[tokio::test]
async fn a_child_that_a_held_parent_has_called_waits_for_it() {
    for shelf in Shelf::each().await {
        let (engine, id, child) = held_with_child(&shelf).await;
        settle().await;
        assert_eq!(ran(&child, "water"), 0);
        assert_eq!(engine.get(&child).await.unwrap().parent(), Some(&id));
        let run = plant_when_told.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&1));
        assert_eq!(ran(&child, "water"), 1);
    }
}

#[tokio::test]
async fn a_child_that_waits_for_a_held_parent_ends_with_it() {
    for shelf in Shelf::each().await {
        let (engine, id, child) = held_with_child(&shelf).await;
        engine.terminate(&id, "on purpose").await.unwrap();
        let child = until_finished(&engine, &child).await;
        assert_eq!(child.status(), Status::Cancelled);
        assert_eq!(ran(child.execution_id(), "water"), 0);
    }
}

#[workflow(concurrency = 1)]
async fn use_the_only_pot(ctx: ExecutionContext<bool>) -> Result<u32, TaskError> {
    if *ctx.input() {
        flux::signal::<()>("go").await;
    }
    water().await
}

#[workflow]
async fn ask_for_the_pot(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    use_the_only_pot.call(false).await
}

/// A refused child fails its call; the retry creates it.
#[tokio::test]
async fn a_child_that_is_refused_fails_its_call_and_is_created_by_a_resume() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let held = use_the_only_pot.on(&engine).start(true).await.unwrap();
        let run = ask_for_the_pot.on(&engine).run(()).await.unwrap();
        let message = run.failure().unwrap().message();
        assert!(message.contains("no more may run beside it"), "{message}");
        let id = run.execution_id().clone();
        let child = recorded(&engine, &id, ChildPolicy::Cancel).await.remove(0);
        assert!(engine.get(&child).await.is_err());
        held.signal("go", &()).await.unwrap();
        assert!(held.wait().await.unwrap().has_succeeded());
        let run = ask_for_the_pot.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&1), "{run}");
        assert_eq!(engine.get(&child).await.unwrap().parent(), Some(&id));
    }
}

/// Fails once per execution, and succeeds when it is tried again.
#[task]
async fn sprout() -> Result<u32, String> {
    begin();
    let id = task_context().unwrap().execution_id().clone();
    match ran(&id, "sprout") {
        1 => Err("too cold".to_owned()),
        tries => Ok(u32::try_from(tries).unwrap()),
    }
}

#[workflow]
async fn sow(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    sprout().await
}

#[workflow(max_attempts = 2)]
async fn sow_twice(ctx: ExecutionContext<ChildPolicy>) -> Result<u32, TaskError> {
    sow.call(()).when_parent_ends(*ctx.input()).await
}

/// PITFALL: the end of a child's first try was heard twice, by its driver and by message, and the second time it counted
/// as the end of the second try.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_of_a_child_counts_once() {
    for shelf in [Shelf::memory(), Shelf::sqlite().await] {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        for policy in POLICIES {
            let mut parents = Vec::new();
            for _ in 0..60 {
                parents.push(sow_twice.on(&engine).start(policy).await.unwrap());
            }
            for parent in parents {
                let wait = tokio::time::timeout(Duration::from_secs(30), parent.wait());
                let run = wait.await.expect("its child is heard of").unwrap();
                assert_eq!(run.output(), Some(&2), "{policy:?}: {run}");
                let ends = [EventKind::ChildFailed, EventKind::ChildCompleted];
                for end in ends {
                    assert_eq!(count(&engine, run.execution_id(), end).await, 1);
                }
            }
        }
        worker.stop().await;
    }
}
