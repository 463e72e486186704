//! What kept an execution from continuing is seen from outside, and gone once it continues.

use std::time::Duration;

use flux::store::{Commit, NewExecution, Placement, QueueChange, Target};
use flux::{
    Engine, Error, Event, EventKind, EventSeq, Execution, ExecutionContext, ExecutionId, Obstacle,
    ObstacleKind, Payload, Status, TaskError, task, workflow,
};

use crate::plain_calls::greet_by;
use crate::support::{Fault, Greeter, Shelf, asleep, code_of, set_code, unique};

#[task]
async fn pack(parcel: u32) -> u32 {
    parcel
}

const CHANGED: u32 = 1;
const OTHER_TYPE: u32 = 2;

#[workflow]
async fn send_when_paid(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let parcel = match code_of(ctx.execution_id()) {
        CHANGED => pack(2).await?,
        OTHER_TYPE => flux::step("pack", async { Ok::<_, String>(String::new()) })
            .await?
            .len() as u32,
        _ => pack(1).await?,
    };
    let paid = flux::signal::<u32>("paid").await;
    flux::signal::<()>("picked_up").await;
    Ok(parcel + paid)
}

/// Waits until an obstacle is seen, or is gone.
async fn until_obstacle(engine: &Engine, id: &ExecutionId, is_there: bool) -> Execution {
    loop {
        let run = engine.get(id).await.unwrap();
        if run.obstacle().is_some() == is_there {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn kind(run: &Execution) -> Option<ObstacleKind> {
    run.obstacle().map(Obstacle::kind)
}

/// "waits for signal paid" though it is in, and the code diverges: nothing said so.
#[tokio::test]
async fn a_divergence_is_seen_until_the_right_code_continues() {
    for shelf in Shelf::each().await {
        let build = || shelf.builder().idle_after(Duration::ZERO).build();
        let engine = build().await.unwrap();
        let worker = engine.worker().spawn();
        let id = unique("parcel");
        let start = send_when_paid.on(&engine).start(()).execution_id(&id);
        start.await.unwrap();
        assert_eq!(asleep(&engine, &id).await.obstacle(), None);

        set_code(&id, CHANGED);
        engine.signal(&id, "paid", &7).await.unwrap();
        let run = until_obstacle(&engine, &id, true).await;
        let obstacle = run.obstacle().unwrap();
        assert_eq!(obstacle.kind(), ObstacleKind::Divergence);
        assert_eq!(obstacle.event(), Some(EventSeq::new(2)));
        assert!(
            obstacle.message().contains("no longer matches"),
            "{obstacle}"
        );
        assert!(obstacle.worker().is_some());
        assert_eq!(run.status(), Status::Running);
        worker.stop().await;

        // The next deploy: one look is enough, though nothing else happens.
        set_code(&id, 0);
        let engine = build().await.unwrap();
        let worker = engine.worker().spawn();
        let _ = until_obstacle(&engine, &id, false).await;
        let run = asleep(&engine, &id).await;
        assert_eq!(run.awaited_signals(), ["picked_up"]);
        engine.signal(&id, "picked_up", &()).await.unwrap();
        let run = send_when_paid.on(&engine).run(()).execution_id(&id).await;
        assert_eq!(run.unwrap().output(), Some(&8));
        worker.stop().await;
    }
}

/// A person who pauses it changes nothing about why it cannot continue; a person who ends it does.
#[tokio::test]
async fn an_obstacle_outlives_a_hold_and_not_the_end() {
    for shelf in Shelf::each().await {
        let id = unique("held");
        let builder = shelf.builder().idle_after(Duration::ZERO);
        let engine = builder.build().await.unwrap();
        let worker = engine.worker().spawn();
        let start = send_when_paid.on(&engine).start(()).execution_id(&id);
        start.await.unwrap();
        let _ = asleep(&engine, &id).await;
        worker.stop().await;

        set_code(&id, CHANGED);
        let error = engine.resume(&id).await.unwrap_err();
        assert!(matches!(error, Error::NonDeterminism(_)), "{error}");
        let run = engine.get(&id).await.unwrap();
        assert_eq!(run.obstacle().unwrap().message(), error.to_string());
        engine.pause(&id).await.unwrap();
        let run = engine.get(&id).await.unwrap();
        assert_eq!(kind(&run), Some(ObstacleKind::Divergence));
        assert!(run.held().is_some());
        engine.terminate(&id, "wrong parcel").await.unwrap();
        assert_eq!(engine.get(&id).await.unwrap().obstacle(), None);
    }
}

/// It is no more than a divergence to the row: what has none pays nothing.
#[tokio::test(start_paused = true)]
async fn what_meets_no_obstacle_writes_nothing_about_one() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = send_when_paid.on(&engine).start(()).await.unwrap();
    let id = handle.execution_id();
    engine.signal(id, "paid", &7).await.unwrap();
    engine.signal(id, "picked_up", &()).await.unwrap();
    let _ = handle.wait().await.unwrap();
    // The start, the task, two waits and the end; a claim and a release there are none.
    let signals = 2;
    assert!(shelf.writes() - signals <= 5, "{}", shelf.writes());
}

#[workflow]
async fn greet_later(_ctx: ExecutionContext) -> Result<String, TaskError> {
    flux::signal::<()>("now").await;
    greet_by("Ada".to_owned()).await
}

#[tokio::test]
async fn missing_state_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flux.db");
    // Opened without a builder, an engine has no state, and does not check that.
    let engine = Engine::open(&file).await.unwrap();
    let handle = greet_later.on(&engine).start(()).await.unwrap();
    let id = handle.execution_id().clone();
    engine.signal(&id, "now", &()).await.unwrap();
    assert!(handle.wait().await.is_err());
    let run = engine.get(&id).await.unwrap();
    assert_eq!(kind(&run), Some(ObstacleKind::MissingState));
    assert!(
        run.obstacle().unwrap().message().contains("Greeter"),
        "{run:?}"
    );
    drop(engine);

    let builder = Engine::builder()
        .sqlite(&file)
        .state(Greeter { word: "hello" });
    let engine = builder.build().await.unwrap();
    let run = greet_later.on(&engine).resume(&id).await.unwrap();
    assert_eq!(run.output().unwrap(), "hello, Ada");
    assert_eq!(run.obstacle(), None);
}

#[tokio::test]
async fn a_value_that_no_longer_decodes_is_seen() {
    for shelf in Shelf::each().await {
        let id = unique("decode");
        let engine = shelf.engine().await;
        let on = pause_after_step.on(&engine);
        let _ = on.run(()).execution_id(&id).await.unwrap();
        set_code(&id, OTHER_TYPE);
        let error = on.resume(&id).await.unwrap_err();
        assert!(matches!(error, Error::ReplayDecode { .. }), "{error}");
        let run = engine.get(&id).await.unwrap();
        assert_eq!(kind(&run), Some(ObstacleKind::Decode));
        assert_eq!(run.status(), Status::Paused);
        set_code(&id, 0);
        let run = on.resume(&id).await.unwrap();
        assert!(run.has_succeeded() && run.obstacle().is_none());
    }
}

#[workflow]
async fn pause_after_step(ctx: ExecutionContext) -> Result<(), TaskError> {
    if code_of(ctx.execution_id()) == OTHER_TYPE {
        flux::step("count", async { Ok::<_, String>(String::new()) }).await?;
    } else {
        flux::step("count", async { Ok::<_, String>(1_u32) }).await?;
    }
    flux::pause("look").await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_store_that_failed_is_seen_until_it_works() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let handle = send_when_paid.on(&engine).start(()).for_worker().await;
    let id = handle.unwrap().execution_id().clone();
    let mut events = engine.subscribe(&id).await.unwrap();
    events.wait_for(EventKind::SignalAwaited).await.unwrap();
    shelf.fail_at(1, Fault::NothingWritten);
    engine.signal(&id, "paid", &7).await.unwrap();
    let run = until_obstacle(&engine, &id, true).await;
    assert_eq!(kind(&run), Some(ObstacleKind::Store));
    let message = run.obstacle().unwrap().message();
    assert!(message.contains("the disk is full"), "{message}");
    let _ = until_obstacle(&engine, &id, false).await;
    worker.stop().await;
}

#[workflow(lock = "desk")]
async fn sit_at_desk(_ctx: ExecutionContext) {
    flux::signal::<()>("leave").await;
}

/// What waits for its turn says for whom.
#[tokio::test]
async fn a_limit_that_is_reached_is_seen() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let on = sit_at_desk.on(&engine);
        let inside = on.start(()).await.unwrap();
        let waits = on.start(()).for_worker().await.unwrap();
        let run = engine.get(waits.execution_id()).await.unwrap();
        assert_eq!(kind(&run), Some(ObstacleKind::Limit));
        let obstacle = run.obstacle().unwrap();
        assert!(
            obstacle.message().contains(inside.execution_id().as_str()),
            "{obstacle}"
        );
        assert_eq!(obstacle.at(), run.created_at());
        let listed = engine.list().status(Status::Pending).await.unwrap();
        assert_eq!(listed[0].obstacle(), run.obstacle());
        engine
            .signal(inside.execution_id(), "leave", &())
            .await
            .unwrap();
        let _ = inside.wait().await.unwrap();
        let run = engine.get(waits.execution_id()).await.unwrap();
        assert_eq!(run.obstacle(), None);

        let pause = QueueChange {
            is_paused: Some(true),
            ..QueueChange::default()
        };
        shelf.store().set_queue("letters", pause).await.unwrap();
        let start = send_when_paid.on(&engine).start(());
        let queued = start.queue("letters").await.unwrap();
        let run = engine.get(queued.execution_id()).await.unwrap();
        let message = run.obstacle().unwrap().message();
        assert_eq!(message, "its queue `letters` is paused");
    }
}

/// After a deploy that lacks the code, nobody claims it, and so nobody fails with it.
#[tokio::test(start_paused = true)]
async fn code_that_no_worker_has_is_seen() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    record(&shelf, "no_code", "a_workflow_of_another_program", 1).await;
    record(&shelf, "old_version", "send_when_paid", 7).await;
    record(&shelf, "ours", "send_when_paid", 1).await;
    let worker = engine.worker().spawn();
    let run = until_obstacle(&engine, &"no_code".into(), true).await;
    assert_eq!(kind(&run), Some(ObstacleKind::MissingCode));
    let message = run.obstacle().unwrap().message();
    assert!(
        message.contains("`a_workflow_of_another_program`"),
        "{message}"
    );
    let run = until_obstacle(&engine, &"old_version".into(), true).await;
    assert_eq!(kind(&run), Some(ObstacleKind::OtherVersion));
    assert!(
        run.obstacle().unwrap().message().contains("version 7"),
        "{run:?}"
    );
    let run = engine.get("ours").await.unwrap();
    assert_eq!(run.obstacle(), None);
    // It is written down once.
    let first = engine.get("no_code").await.unwrap();
    tokio::time::sleep(Duration::from_mins(5)).await;
    let later = engine.get("no_code").await.unwrap();
    assert_eq!(later.obstacle(), first.obstacle());
    worker.stop().await;
}

/// An execution that waits for a worker, as another program would record it.
async fn record(shelf: &Shelf, id: &str, workflow: &str, version: u32) {
    let now = std::time::SystemTime::UNIX_EPOCH.into();
    let new = NewExecution {
        id: id.into(),
        workflow: workflow.into(),
        version,
        created_at: now,
        parent: None,
        owner: None,
        placement: Placement::default(),
    };
    let queued = Event {
        seq: EventSeq::FIRST,
        at: now,
        kind: EventKind::WorkflowQueued,
        refers: None,
        name: Some(workflow.into()),
        payload: Some(Payload::null()),
        meta: None,
    };
    let commit = Commit {
        events: vec![queued],
        ..Commit::to(Target::New(Box::new(new)))
    };
    shelf.store().commit(commit).await.unwrap();
}
