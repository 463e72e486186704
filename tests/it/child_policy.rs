//! What becomes of a child when its parent lets go of it.

use std::time::Duration;

use flux::time::days;
use flux::{
    ChildPolicy, Engine, EventKind, ExecutionContext, ExecutionId, Status, TaskError, task,
    task_context, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, code_of, count, ran, set_code, started, unique};

/// How a parent lets go of its child.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Way {
    /// It drops the call and goes on.
    Drops,
    Completes,
    Fails,
    /// It is cancelled, terminated, terminated while nobody drives it.
    Cancelled,
    Terminated,
    Left,
}

const WAYS: [Way; 6] = [
    Way::Drops,
    Way::Completes,
    Way::Fails,
    Way::Cancelled,
    Way::Terminated,
    Way::Left,
];

const POLICIES: [ChildPolicy; 3] = [
    ChildPolicy::Cancel,
    ChildPolicy::Abandon,
    ChildPolicy::Terminate,
];

#[workflow]
async fn wait_for_word(ctx: ExecutionContext) -> String {
    ctx.on_exit(note_end);
    flux::signal::<String>("word").await
}

#[task]
async fn note_end() {
    begin();
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    child: String,
    policy: ChildPolicy,
    way: Way,
}

#[workflow]
async fn let_go(ctx: ExecutionContext<Plan>) -> Result<(), String> {
    let plan = ctx.input();
    let call = wait_for_word.call(()).execution_id(plan.child.as_str());
    let call = call.when_parent_ends(plan.policy);
    let go = flux::signal::<()>("go");
    tokio::select! {
        _ = call => {}
        () = go => {}
    }
    match plan.way {
        Way::Drops => flux::sleep(days(1)).await,
        Way::Fails => return Err("on purpose".to_owned()),
        _ => {}
    }
    Ok(())
}

async fn until_there(engine: &Engine, id: &ExecutionId) {
    while engine.get(id).await.is_err() {
        tokio::task::yield_now().await;
    }
}

async fn until_it_is(engine: &Engine, id: &ExecutionId, status: Status) -> flux::Execution {
    loop {
        let run = engine.get(id).await.unwrap();
        if run.status() == status {
            return run;
        }
        assert!(!run.has_finished(), "{run}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn it_is_cancelled_goes_on_or_is_terminated_as_its_call_says() {
    for shelf in Shelf::every_way().await {
        for way in WAYS {
            for policy in POLICIES {
                let (parent, child) = (unique("parent"), unique("child"));
                let plan = Plan {
                    child: child.to_string(),
                    policy,
                    way,
                };
                let mut engine = shelf.engine().await;
                if way == Way::Left {
                    let run = let_go.on(&engine).run(plan).execution_id(&parent);
                    tokio::select! { _ = run => {}, () = until_there(&engine, &child) => {} }
                    drop(engine);
                    engine = shelf.engine().await;
                } else {
                    let started = let_go.on(&engine).start(plan).execution_id(&parent);
                    started.await.unwrap();
                    until_there(&engine, &child).await;
                }
                match way {
                    Way::Cancelled => engine.cancel(&parent).await.unwrap(),
                    Way::Terminated | Way::Left => engine.terminate(&parent, "x").await.unwrap(),
                    _ => engine.signal(&parent, "go", &()).await.unwrap(),
                }
                what_becomes_of_it(&engine, &parent, &child, policy, way).await;
            }
        }
    }
}

async fn what_becomes_of_it(
    engine: &Engine,
    parent: &ExecutionId,
    child: &ExecutionId,
    policy: ChildPolicy,
    way: Way,
) {
    match policy {
        ChildPolicy::Abandon => {
            if way != Way::Drops {
                while !engine.get(parent).await.unwrap().has_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            if way == Way::Left {
                let recovering = engine.clone();
                tokio::spawn(async move { recovering.recover().await.map(drop) });
            }
            engine.signal(child, "word", "on its own").await.unwrap();
            let run = until_it_is(engine, child, Status::Completed).await;
            assert_eq!(run.output().unwrap(), "on its own", "{way:?}");
            assert_eq!(ran(child, "note_end"), 1);
        }
        ChildPolicy::Terminate => {
            let run = until_it_is(engine, child, Status::Terminated).await;
            assert_eq!(run.termination_reason(), Some("its parent let go of it"));
            assert_eq!(ran(child, "note_end"), 0, "{way:?}");
        }
        _ => {
            let _ = until_it_is(engine, child, Status::Cancelled).await;
            assert_eq!(ran(child, "note_end"), 1, "{way:?}");
        }
    }
}

/// Its parent lives and has let go of it: a recovery takes it up all the same.
#[tokio::test]
async fn an_abandoned_child_is_recovered_though_its_parent_lives() {
    for shelf in [Shelf::memory(), Shelf::sqlite().await] {
        let (parent, child) = (unique("parent"), unique("child"));
        let plan = Plan {
            child: child.to_string(),
            policy: ChildPolicy::Abandon,
            way: Way::Drops,
        };
        let engine = shelf.engine().await;
        let run = let_go.on(&engine).run(plan).execution_id(&parent);
        let leave = async {
            until_there(&engine, &child).await;
            engine.signal(&parent, "go", &()).await.unwrap();
            let mut events = engine.subscribe(&parent).await.unwrap();
            events.wait_for(EventKind::TimerStarted).await.unwrap();
        };
        tokio::select! { _ = run => {}, () = leave => {} }
        // The child goes on by itself, until its process dies, too.
        shelf.stop_at(1, When::BeforeCommit);
        engine.signal(&child, "word", "again").await.unwrap();
        let dead = shelf.crash(std::future::pending::<()>()).await;
        assert!(dead.is_none());
        drop(engine);
        shelf.go_on();
        shelf.nobody_is_left().await;

        let engine = shelf.engine().await;
        assert_eq!(engine.get(&child).await.unwrap().status(), Status::Running);
        let ended = until_it_is(&engine, &child, Status::Completed);
        let run = tokio::select! {
            _ = engine.recover() => unreachable!("the parent sleeps"),
            run = ended => run,
        };
        assert_eq!(run.output().unwrap(), "again");
    }
}

#[task(rollback = unsow)]
async fn sow() {
    begin();
}

#[task]
async fn unsow(_sown: Option<()>) {
    begin();
}

#[task]
async fn rain() -> Result<(), String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("it is dry".to_owned()),
        _ => Ok(()),
    }
}

#[workflow]
async fn grow(ctx: ExecutionContext<bool>) -> Result<String, TaskError> {
    if *ctx.input() {
        sow().await?;
    }
    tokio::select! {
        word = flux::signal::<String>("word") => Ok(word),
        () = flux::cancelled() => Ok("told".to_owned()),
    }
}

#[workflow]
async fn garden(ctx: ExecutionContext<(String, ChildPolicy, bool)>) -> Result<String, TaskError> {
    let (child, policy, sows) = ctx.input().clone();
    let call = grow.call(sows).execution_id(child).when_parent_ends(policy);
    let (grown, ()) = tokio::try_join!(call, async {
        flux::signal::<()>("go").await;
        rain().await
    })?;
    Ok(grown)
}

/// A failed parent that is resumed has its child back: it is opened where it was before it was told to end, or where that
/// has undone what it did, from its beginning.
#[tokio::test]
async fn a_child_that_was_ended_is_opened_again_with_its_parent() {
    for shelf in Shelf::every_way().await {
        for policy in POLICIES {
            for sows in [false, true] {
                let (parent, child) = (unique("parent"), unique("child"));
                let engine = shelf.engine().await;
                let on = garden.on(&engine);
                let run = on
                    .run((child.to_string(), policy, sows))
                    .execution_id(&parent);
                let go = async {
                    until_there(&engine, &child).await;
                    while sows && ran(&child, "sow") == 0 {
                        tokio::task::yield_now().await;
                    }
                    engine.signal(&parent, "go", &()).await.unwrap();
                };
                let (run, ()) = tokio::join!(run, go);
                assert!(run.unwrap().has_failed());
                match policy {
                    ChildPolicy::Cancel => {
                        drop(until_it_is(&engine, &child, Status::Cancelled).await)
                    }
                    ChildPolicy::Terminate => {
                        drop(until_it_is(&engine, &child, Status::Terminated).await);
                    }
                    _ => {}
                }
                set_code(&parent, 1);
                let word = async {
                    while engine.signal(&child, "word", "ripe").await.is_err() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                let (run, ()) = tokio::join!(on.resume(&parent), word);
                let run = run.unwrap();
                assert_eq!(
                    run.output().map(String::as_str),
                    Some("ripe"),
                    "{policy:?}: {run}"
                );
                let cancelled = policy == ChildPolicy::Cancel;
                let wanted: &[&str] = match (sows, cancelled) {
                    (false, _) => &[],
                    (true, false) => &["sow"],
                    (true, true) => &["sow", "unsow", "sow"],
                };
                assert_eq!(started(&child), wanted, "{policy:?}");
                let told = count(&engine, &child, EventKind::CancelDelivered).await;
                assert_eq!(told, usize::from(cancelled));
            }
        }
    }
}
