//! Ids: unknown, of another workflow, chosen by the caller, driven elsewhere; and versions.

use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, Status, TaskError, task, workflow,
};
use tokio::sync::Notify;

use crate::support::{Shelf, When, begin, count, dies_in, ran, unique};

#[task]
async fn mint_coin(value: u32) -> u32 {
    begin();
    value
}

#[workflow]
async fn mint(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let coin = mint_coin(*ctx.input()).await?;
    flux::pause("inspect").await;
    Ok(coin)
}

#[workflow]
async fn melt(_ctx: ExecutionContext<u32>) -> u32 {
    flux::pause("inspect").await;
    0
}

/// AT-19.
#[tokio::test]
async fn a_wrong_id_is_refused_and_changes_nothing() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let error = mint.on(&engine).resume("no-such-id").await.unwrap_err();
        assert!(matches!(error, Error::ExecutionNotFound { .. }), "{error}");
        assert!(error.to_string().contains("no-such-id"), "{error}");
        assert!(matches!(
            engine.get("no-such-id").await,
            Err(Error::ExecutionNotFound { .. })
        ));
        assert!(matches!(
            engine.history("no-such-id").await,
            Err(Error::ExecutionNotFound { .. })
        ));
        assert!(matches!(
            engine.signal("no-such-id", "x", &1).await,
            Err(Error::ExecutionNotFound { .. })
        ));
        assert!(matches!(
            engine.subscribe("no-such-id").await,
            Err(Error::ExecutionNotFound { .. })
        ));

        let run = mint.on(&engine).run(3).await.unwrap();
        let id = run.execution_id();
        let before = run.events().await.unwrap();
        let commits = shelf.commits();
        for error in [
            melt.on(&engine).resume(id).await.unwrap_err(),
            melt.on(&engine).get(id).await.unwrap_err(),
            melt.on(&engine).run(3).execution_id(id).await.unwrap_err(),
        ] {
            let Error::WorkflowMismatch {
                expected, found, ..
            } = &error
            else {
                panic!("{error}")
            };
            assert_eq!((&**expected, &**found), ("melt", "mint"));
        }
        assert_eq!(engine.history(id).await.unwrap(), before);
        assert_eq!(shelf.commits(), commits);
        assert!(engine.get(id).await.unwrap().is_paused());
    }
}

#[tokio::test]
async fn a_start_with_an_id_is_idempotent() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let id = unique("coin");
        let on = mint.on(&engine);
        let first = on.run(3).execution_id(&id).await.unwrap();
        let before = first.events().await.unwrap();
        let second = on.run(3).execution_id(&id).await.unwrap();
        assert_eq!(second.status(), Status::Paused);
        let handle = on.start(3).execution_id(&id).await.unwrap();
        assert!(handle.wait().await.unwrap().is_paused());
        assert_eq!(engine.history(&id).await.unwrap(), before);

        let error = on.run(4).execution_id(&id).await.unwrap_err();
        let Error::InputMismatch {
            recorded, given, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((&**recorded, &**given), ("3", "4"));
        let _ = on.resume(&id).await.unwrap();
        let done = on.run(3).execution_id(&id).await.unwrap();
        assert_eq!(done.output(), Some(&3));
        assert!(matches!(
            on.start(4).execution_id(&id).await,
            Err(Error::InputMismatch { .. })
        ));
        assert_eq!(ran(&id, "mint_coin"), 1);
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Parcel {
    address: String,
    items: Vec<String>,
    grams: u32,
}

#[workflow]
async fn send_off(ctx: ExecutionContext<Parcel>) -> u32 {
    ctx.input().grams
}

/// A service that passed the error on told one customer the address of another.
#[tokio::test]
async fn another_input_is_refused_without_showing_what_was_recorded() {
    let engine = Shelf::memory().engine().await;
    let id = unique("parcel");
    let parcel = |address: &str, grams| Parcel {
        address: address.to_owned(),
        items: vec!["a lamp".to_owned(), "a letter to Ada".to_owned()],
        grams,
    };
    let on = send_off.on(&engine);
    let _ = on
        .run(parcel("12 Main Street", 300))
        .execution_id(&id)
        .await
        .unwrap();
    let other = on.run(parcel("7 Side Street", 400)).execution_id(&id).await;
    let error = other.unwrap_err().to_string();
    for secret in ["Main", "Side", "lamp", "Ada"] {
        assert!(!error.contains(secret), "{error}");
    }
    assert!(error.contains("address: <14 characters, #"), "{error}");
    assert!(
        error.contains("grams: 300") && error.contains("grams: 400"),
        "{error}"
    );
    assert!(!error.contains("items"), "they are equal: {error}");
}

#[tokio::test]
async fn many_starts_of_one_id_are_one_execution() {
    for shelf in Shelf::each().await {
        let (one, two) = (shelf.engine().await, shelf.engine().await);
        let id = unique("coin");
        let runs = (0..16).map(|i| {
            let engine = if i % 2 == 0 { &one } else { &two };
            tokio::spawn(mint.on(engine).run(3).execution_id(&id))
        });
        for run in futures::future::join_all(runs).await {
            assert!(run.unwrap().unwrap().is_paused());
        }
        assert_eq!(ran(&id, "mint_coin"), 1);
        assert_eq!(count(&one, &id, EventKind::WorkflowStarted).await, 1);
    }
}

#[tokio::test]
async fn an_id_is_anything_that_names_an_execution() {
    let engine = Engine::in_memory();
    let on = mint.on(&engine);
    let uuid = uuid::Uuid::now_v7();
    let _ = on.run(1).execution_id(uuid).await.unwrap();
    assert!(on.get(uuid).await.unwrap().is_paused());
    assert!(on.get(uuid.to_string()).await.unwrap().is_paused());
    assert!(on.get(&uuid.to_string()).await.unwrap().is_paused());
    assert!(on.get(uuid.to_string().as_str()).await.unwrap().is_paused());
    for bad in ["", "with\nlines", &"x".repeat(256)] {
        let error = on.run(1).execution_id(bad).await.unwrap_err();
        assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
    }
}

static FORGE: Notify = Notify::const_new();

#[task]
async fn forge_blade() {
    begin();
    FORGE.notified().await;
}

#[workflow]
async fn forge(_ctx: ExecutionContext) -> Result<(), TaskError> {
    forge_blade().await
}

/// AT-17, two engines in one process.
#[tokio::test]
async fn what_is_driven_elsewhere_is_refused_and_left_alone() {
    let shelf = Shelf::sqlite().await;
    let (one, two) = (shelf.engine().await, shelf.engine().await);
    let handle = forge.on(&one).start(()).await.unwrap();
    let id = handle.execution_id();
    let mut events = one.subscribe(id).await.unwrap();
    events
        .wait_for(EventKind::TaskStarted)
        .await
        .unwrap()
        .unwrap();
    for engine in [&one, &two] {
        let error = forge.on(engine).resume(id).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");
        assert!(error.to_string().contains(id.as_str()), "{error}");
        assert!(engine.recover().await.unwrap().executions.is_empty());
    }
    FORGE.notify_one();
    assert!(handle.wait().await.unwrap().has_succeeded());
    assert_eq!(ran(id, "forge_blade"), 1);
    assert_eq!(count(&two, id, EventKind::TaskStarted).await, 1);
}

#[tokio::test]
async fn recovery_takes_up_what_crashed_and_nothing_else() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let (crashed, paused) = (unique("crashed"), unique("paused"));
        let _ = mint.on(&engine).run(1).execution_id(&paused).await.unwrap();
        shelf.stop_at(2, When::BeforeCommit);
        let run = mint.on(&engine).run(2).execution_id(&crashed);
        assert!(shelf.crash(run).await.is_none());
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        let recovered = engine.recover().await.unwrap();
        assert!(recovered.failures.is_empty(), "{recovered:?}");
        assert_eq!(recovered.executions.len(), 1);
        assert_eq!(recovered.executions[0].execution_id(), &crashed);
        assert!(recovered.executions[0].is_paused());
        assert_eq!(
            (ran(&paused, "mint_coin"), ran(&crashed, "mint_coin")),
            (1, 2)
        );
        assert_eq!(
            count(&engine, &crashed, EventKind::TaskInterrupted).await,
            1
        );
    }
}

/// The first time it waits for ever.
#[task]
async fn stoke_fire() {
    begin();
    let context = flux::task_context().unwrap();
    if ran(context.execution_id(), "stoke_fire") == 1 {
        std::future::pending::<()>().await;
    }
}

#[workflow]
async fn stoke(_ctx: ExecutionContext) -> Result<(), TaskError> {
    stoke_fire().await
}

/// PITFALL: it belonged to a living engine, which drove it no more, and was left out.
#[tokio::test]
async fn recovery_takes_up_what_a_dropped_run_of_the_same_engine_has_left() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let id = unique("dropped");
        let run = stoke.on(&engine).run(()).execution_id(&id);
        dies_in(run, &id, "stoke_fire").await;
        let recovered = engine.recover().await.unwrap();
        assert!(recovered.failures.is_empty(), "{recovered:?}");
        assert_eq!(recovered.executions.len(), 1);
        assert!(recovered.executions[0].has_succeeded());
        assert_eq!(ran(&id, "stoke_fire"), 2);
    }
}

#[workflow]
async fn mint_elsewhere(ctx: ExecutionContext<ExecutionId>) -> Result<u32, TaskError> {
    mint.call(1).execution_id(ctx.input()).await
}

/// PITFALL: two ids looked the same in every table, or one read backwards.
#[tokio::test]
async fn names_with_characters_that_cannot_be_seen_are_refused_and_nothing_is_stored() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        for unseen in ['\u{202e}', '\u{feff}', '\u{200b}'] {
            let name = format!("mint{unseen}42");
            let on = mint.on(&engine);
            let code = format!("U+{:04X}", u32::from(unseen));
            let schedule = engine.schedule(&name, mint, 1).every("5m");
            for refused in [
                on.run(1).execution_id(&*name).await.map(drop),
                on.start(1).execution_id(&*name).await.map(drop),
                on.start(1).queue(&*name).await.map(drop),
                engine.queue(&*name).concurrency(1).await.map(drop),
                schedule.await.map(drop),
                engine.start_elsewhere(&name, 1).await.map(drop),
            ] {
                let error = refused.unwrap_err();
                assert!(matches!(error, Error::InvalidInput { .. }), "{error}");
                assert!(error.to_string().contains(&code), "{error}");
            }
            assert!(engine.list().await.unwrap().is_empty());
            assert!(engine.queues().await.unwrap().is_empty());
            assert!(engine.schedules().await.unwrap().is_empty());
        }
        let child = ExecutionId::from("mint\u{202e}42");
        let run = mint_elsewhere.on(&engine).run(child).await.unwrap();
        let failure = run.failure().unwrap();
        assert!(failure.message().contains("U+202E"), "{failure}");
        assert_eq!(engine.list().await.unwrap().len(), 1);
    }
}
