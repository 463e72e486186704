//! Terminating: not another line of the code runs.

use std::time::Duration;

use flux::time::days;
use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, Status, TaskError, task, workflow,
};

use crate::support::{Shelf, When, begin, kinds, ran, unique};

#[task]
async fn work() {
    begin();
    std::future::pending().await
}

#[task]
async fn clean() {
    begin();
}

#[workflow]
async fn nap_a_day(_ctx: ExecutionContext) {
    flux::sleep(days(1)).await;
}

/// Where a workflow is when it is terminated.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Stand {
    Body,
    Sleep,
    Signal,
    Pause,
    Child,
    CleanUp,
}

#[workflow]
async fn stand_still(ctx: ExecutionContext<Stand>) -> Result<(), TaskError> {
    let stand = async {
        match ctx.input() {
            Stand::Body => work().await,
            Stand::Signal => Ok(flux::signal::<()>("never").await),
            Stand::Pause => Ok(flux::pause("never").await),
            Stand::Child => nap_a_day.call(()).await,
            Stand::Sleep | Stand::CleanUp => Ok(flux::sleep(days(1)).await),
        }
    };
    tokio::select! {
        stood = stand => stood,
        () = flux::cancelled() => {
            clean().await?;
            Ok(flux::sleep(days(1)).await)
        }
    }
}

async fn until_it_stands(engine: &Engine, id: &ExecutionId, stand: Stand) {
    let mut events = engine.subscribe(id).await.unwrap();
    let wanted = match stand {
        Stand::Body => EventKind::TaskStarted,
        Stand::Sleep | Stand::CleanUp => EventKind::TimerStarted,
        Stand::Signal => EventKind::SignalAwaited,
        Stand::Pause => EventKind::PauseReached,
        Stand::Child => EventKind::ChildStarted,
    };
    events.wait_for(wanted).await.unwrap().unwrap();
    match stand {
        Stand::Pause => {
            while !engine.get(id).await.unwrap().is_paused() {
                tokio::task::yield_now().await;
            }
        }
        Stand::CleanUp => {
            engine.cancel(id).await.unwrap();
            events
                .wait_for(EventKind::TimerStarted)
                .await
                .unwrap()
                .unwrap();
        }
        _ => {}
    }
}

const STANDS: [Stand; 6] = [
    Stand::Body,
    Stand::Sleep,
    Stand::Signal,
    Stand::Pause,
    Stand::Child,
    Stand::CleanUp,
];

#[tokio::test]
async fn a_terminated_execution_is_over_when_the_call_returns() {
    for shelf in Shelf::every_way().await {
        for stand in STANDS {
            let engine = shelf.engine().await;
            let handle = stand_still.on(&engine).start(stand).await.unwrap();
            let id = handle.execution_id();
            until_it_stands(&engine, id, stand).await;
            let cleaned = ran(id, "clean");
            handle.terminate("out of order").await.unwrap();
            let run = handle.wait().await.unwrap();
            assert!(
                run.is_terminated() && run.has_finished(),
                "{stand:?}: {run}"
            );
            assert_eq!(run.termination_reason(), Some("out of order"));
            assert!(run.to_string().ends_with(": out of order"), "{run}");
            assert!(run.clone().into_result().is_err());
            assert_eq!(
                kinds(&engine, id).await.last(),
                Some(&EventKind::WorkflowTerminated)
            );
            assert_eq!(ran(id, "clean"), cleaned, "{stand:?}");
            if let Stand::Child = stand {
                let child = &engine.list().children_of(id).await.unwrap()[0];
                let mut events = engine.subscribe(child.execution_id()).await.unwrap();
                let end = events.wait_for(EventKind::WorkflowCancelled).await;
                assert!(end.unwrap().is_some());
            }
        }
    }
}

#[tokio::test]
async fn what_has_ended_is_not_terminated() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = stand_still.on(&engine).start(Stand::Signal).await.unwrap();
        handle.terminate("first").await.unwrap();
        let id = handle.execution_id();
        let before = kinds(&engine, id).await;
        for error in [
            handle.terminate("second").await.unwrap_err(),
            handle.cancel().await.unwrap_err(),
            engine.resume(id).await.map(drop).unwrap_err(),
            engine.signal(id, "never", &()).await.unwrap_err(),
        ] {
            let is_refused = matches!(
                error,
                Error::AlreadyFinished {
                    status: Status::Terminated,
                    ..
                }
            );
            assert!(is_refused, "{error}");
        }
        assert_eq!(kinds(&engine, id).await, before);
        assert_eq!(
            handle.wait().await.unwrap().termination_reason(),
            Some("first")
        );
    }
}

#[tokio::test]
async fn one_that_nobody_drives_is_ended_by_whoever_asks() {
    for shelf in Shelf::every_way().await {
        for stand in STANDS {
            let id = unique("left");
            let engine = shelf.engine().await;
            let run = stand_still.on(&engine).run(stand).execution_id(&id);
            tokio::select! {
                _ = run => {}
                () = async {
                    while engine.get(&id).await.is_err() {
                        tokio::task::yield_now().await;
                    }
                    until_it_stands(&engine, &id, stand).await;
                } => {}
            }
            drop(engine);
            shelf.nobody_is_left().await;

            let engine = shelf.engine().await;
            let before = kinds(&engine, &id).await;
            engine.terminate(&id, "left alone").await.unwrap();
            let run = engine.get(&id).await.unwrap();
            assert_eq!(run.termination_reason(), Some("left alone"), "{run}");
            let mut wanted = before;
            wanted.push(EventKind::WorkflowTerminated);
            assert_eq!(kinds(&engine, &id).await, wanted);
        }
    }
}

#[tokio::test]
async fn one_that_has_not_begun_is_ended_as_well() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = stand_still.on(&engine).start(Stand::Body).delay(days(1));
        let handle = handle.await.unwrap();
        handle.terminate("not needed").await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.termination_reason(), Some("not needed"), "{run}");
        assert_eq!(ran(run.execution_id(), "work"), 0);
    }
}

#[tokio::test]
async fn one_that_nobody_has_code_for_is_ended_as_well() {
    use flux::store::{Commit, MemoryStore, NewExecution, Placement, Store, Target};
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::new());
    for id in ["terminated", "cancelled"] {
        let new = NewExecution {
            id: id.into(),
            workflow: "of_another_program".into(),
            version: 3,
            created_at: std::time::SystemTime::now().into(),
            parent: None,
            owner: None,
            placement: Placement::default(),
        };
        let commit = Commit::to(Target::New(Box::new(new)));
        store.commit(commit).await.unwrap();
    }
    let builder = Engine::builder().shared_store(store);
    let greeter = crate::support::Greeter { word: "hi" };
    let engine = builder.state(greeter).build().await.unwrap();
    engine.terminate("terminated", "no code").await.unwrap();
    let run = engine.get("terminated").await.unwrap();
    assert_eq!(run.termination_reason(), Some("no code"), "{run}");
    // It has not begun, so there is nothing that code could clean up.
    engine.cancel("cancelled").await.unwrap();
    let run = engine.get("cancelled").await.unwrap();
    assert!(run.is_cancelled(), "{run}");
    assert_eq!(run.events().await.unwrap().len(), 1);
}

#[tokio::test]
async fn another_engine_on_the_same_store_waits_for_the_driver_to_end_it() {
    for shelf in Shelf::every_way().await {
        let (here, there) = (shelf.engine().await, shelf.engine().await);
        let handle = stand_still.on(&here).start(Stand::Body).await.unwrap();
        until_it_stands(&here, handle.execution_id(), Stand::Body).await;
        let id = handle.execution_id();
        there.terminate(id, "from afar").await.unwrap();
        assert!(there.get(id).await.unwrap().is_terminated());
        assert!(handle.wait().await.unwrap().is_terminated());
    }
}

/// The request is durable before it is carried out: whoever recovers the execution ends it.
#[tokio::test(start_paused = true)]
async fn a_termination_survives_the_crash_of_its_driver() {
    let (shelf, id) = (Shelf::memory(), unique("unheard"));
    let engine = shelf.engine().await;
    let handle = stand_still.on(&engine).start(Stand::Body).execution_id(&id);
    let handle = handle.await.unwrap();
    until_it_stands(&engine, &id, Stand::Body).await;
    shelf.stop_at(1, When::BeforeCommit);
    let told = shelf.crash(handle.terminate("too late")).await;
    assert!(told.is_none());
    drop((engine, handle));
    shelf.go_on();
    shelf.nobody_is_left().await;

    let engine = shelf.engine().await;
    assert!(!engine.get(&id).await.unwrap().has_finished());
    assert!(engine.recover().await.unwrap().failures.is_empty());
    let run = engine.get(&id).await.unwrap();
    assert_eq!(run.termination_reason(), Some("too late"), "{run}");
    assert_eq!(ran(&id, "work"), 1);
}

#[workflow]
async fn call_child(ctx: ExecutionContext) -> Result<String, String> {
    let id = format!("{}-child", ctx.execution_id());
    let ended = nap_a_day.call(()).execution_id(id).await;
    Ok(ended.unwrap_err().to_string())
}

#[tokio::test]
async fn a_parent_is_told_that_its_child_was_terminated_or_cancelled() {
    for shelf in Shelf::every_way().await {
        for (terminate, says) in [(true, "was terminated: enough"), (false, "was cancelled")] {
            let engine = shelf.engine().await;
            let handle = call_child.on(&engine).start(()).await.unwrap();
            let child = ExecutionId::from(format!("{}-child", handle.execution_id()));
            while engine.get(&child).await.is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match terminate {
                true => engine.terminate(&child, "enough").await.unwrap(),
                false => engine.cancel(&child).await.unwrap(),
            }
            let run = handle.wait().await.unwrap();
            assert!(run.output().unwrap().ends_with(says), "{run:?}");
        }
    }
}
