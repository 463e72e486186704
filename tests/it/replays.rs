//! Replaying without driving: what is recorded, and nothing else, is gone through again.

use std::time::Duration;

use flux::time::{days, secs};
use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, NonDeterminism, Replayed, Status,
    TaskError, task, task_context, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, code_of, count, dies_in, set_code, started, unique};

/// The repair of what is broken.
const REPAIRED: u32 = 1;
const OTHER_OUTPUT: u32 = 2;
const FAILS: u32 = 3;
const PANICS: u32 = 4;
const GOES_ON: u32 = 5;
const BEGINS_ANEW: u32 = 6;
const OTHER_ERROR: u32 = 7;
const SUCCEEDS: u32 = 8;

#[task(rollback = unload)]
async fn load(crate_of: String) -> String {
    begin();
    format!("[{crate_of}]")
}

#[task]
async fn unload(crate_of: String, _loaded: Option<String>) -> Result<(), String> {
    begin();
    drop(crate_of);
    Ok(())
}

#[task(max_attempts = 2, backoff = "fixed(1s)")]
async fn steer() -> Result<u32, String> {
    let is_repaired = code_of(task_context().unwrap().execution_id()) == REPAIRED;
    match begin() {
        _ if is_repaired => Ok(7),
        _ => Err("the rudder broke".to_owned()),
    }
}

#[task]
async fn drift() {
    begin();
    std::future::pending().await
}

#[workflow]
async fn hoist(ctx: ExecutionContext<u32>) -> u32 {
    ctx.input() + 1
}

/// What becomes of a journey.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Journey {
    Ends,
    Pauses,
    Fails,
    GivesUp,
    Panics,
    Waits,
    CleansUp,
    BeginsAnew,
}

#[workflow]
async fn make_journey(ctx: ExecutionContext<Journey>) -> Result<u32, anyhow::Error> {
    let journey = *ctx.input();
    if journey == Journey::BeginsAnew {
        load("rope".into()).await?;
        ctx.continue_as_new(Journey::Pauses).await;
    }
    ctx.on_exit(|| async {
        Ok::<_, TaskError>(drop(flux::step("log", async { Ok::<_, String>(()) }).await))
    });
    let (bread, wine, sails) =
        tokio::join!(load("bread".into()), load("wine".into()), hoist.call(1));
    let _ = (flux::uuid(), flux::random::<u8>(), flux::patched("keel"));
    tokio::select! {
        () = drift_on() => {}
        () = flux::sleep(secs(2)) => {}
    }
    let wind = flux::signal::<u32>("wind").await;
    match journey {
        Journey::Pauses => flux::pause("harbour").await,
        Journey::Fails => drop(steer().await?),
        Journey::GivesUp => anyhow::bail!("no wind for {}", bread?),
        Journey::Panics => panic!("a storm"),
        Journey::Waits => flux::sleep(days(9)).await,
        Journey::CleansUp => {
            flux::cancelled().await;
            load("anchor".into()).await?;
        }
        Journey::Ends | Journey::BeginsAnew => {}
    }
    let length = wine?.len() as u32;
    Ok(length + sails? + wind)
}

async fn drift_on() {
    let _ = drift().await;
}

/// A journey as far as it goes by itself.
async fn set_out(engine: &Engine, journey: Journey) -> ExecutionId {
    let id = unique("journey");
    let handle = make_journey.on(engine).start(journey).execution_id(&id);
    let handle = handle.await.unwrap();
    handle.signal("wind", &3).await.unwrap();
    match journey {
        Journey::Waits | Journey::CleansUp => {
            let kind = match journey {
                Journey::Waits => EventKind::TimerStarted,
                _ => EventKind::CancelAwaited,
            };
            while count(engine, &id, EventKind::SignalReceived).await == 0
                || count(engine, &id, kind).await == 0
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        _ => drop(handle.wait().await.unwrap()),
    }
    id
}

/// Replays, and checks that nothing was touched.
async fn replay(shelf: &Shelf, id: &ExecutionId) -> Result<Replayed, Error> {
    let engine = shelf.engine().await;
    let (events, row) = (engine.history(id).await.unwrap(), shelf.row(id).await);
    let (writes, bodies) = (shelf.writes(), started(id));
    let replayed = engine.replay(id).await;
    assert_eq!(shelf.writes(), writes);
    assert_eq!(started(id), bodies);
    assert_eq!(engine.history(id).await.unwrap(), events);
    assert_eq!(format!("{:?}", shelf.row(id).await), format!("{row:?}"));
    replayed
}

async fn replay_well(shelf: &Shelf, id: &ExecutionId) -> Replayed {
    let replayed = replay(shelf, id).await;
    match replayed {
        Ok(replayed) => replayed,
        Err(error) => {
            let history = shelf.engine().await.history(id).await.unwrap();
            panic!("{error}\n{}", crate::support::lines(&history))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_ended_or_waits_is_gone_through_and_nothing_is_written() {
    let cases = [
        (Journey::Ends, Status::Completed, true),
        (Journey::Pauses, Status::Paused, false),
        (Journey::Fails, Status::Failed, true),
        (Journey::GivesUp, Status::Failed, true),
        (Journey::Panics, Status::Failed, true),
        (Journey::Waits, Status::Running, false),
        (Journey::CleansUp, Status::Running, false),
        (Journey::BeginsAnew, Status::Paused, false),
    ];
    for (journey, status, is_finished) in cases {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let id = set_out(&engine, journey).await;
        assert_eq!(engine.get(&id).await.unwrap().status(), status);
        let replayed = replay_well(&shelf, &id).await;
        assert_eq!(replayed.is_finished, is_finished, "{journey:?}");
        let counts = engine.history(&id).await.unwrap().len();
        match journey {
            Journey::BeginsAnew => assert!(replayed.events < counts),
            _ => assert_eq!(replayed.events, counts),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_was_cancelled_or_terminated_may_end_anywhere() {
    for journey in [Journey::Waits, Journey::CleansUp] {
        for is_cancelled in [true, false] {
            let shelf = Shelf::memory();
            let engine = shelf.engine().await;
            let id = set_out(&engine, journey).await;
            if is_cancelled {
                engine.cancel(&id).await.unwrap();
            } else {
                engine.terminate(&id, "enough").await.unwrap();
            }
            while !engine.get(&id).await.unwrap().has_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let replayed = replay_well(&shelf, &id).await;
            assert_eq!(replayed.is_finished, is_cancelled);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_rewound_is_gone_through_as_a_resume_would() {
    for journey in [Journey::Fails, Journey::GivesUp] {
        let shelf = Shelf::memory();
        let engine = shelf.engine().await;
        let id = set_out(&engine, journey).await;
        let run = make_journey.on(&engine).resume(&id).await.unwrap();
        assert!(run.has_failed(), "{run}");
        assert!(replay_well(&shelf, &id).await.is_finished);
        set_code(&id, REPAIRED);
        let run = make_journey.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.has_succeeded(), journey == Journey::Fails, "{run}");
        assert!(replay_well(&shelf, &id).await.is_finished);
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_somebody_drives_is_left_to_them() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = set_out(&engine, Journey::Waits).await;
    assert!(engine.get(&id).await.unwrap().worker().is_some());
    replay_well(&shelf, &id).await;
    tokio::time::sleep(days(10)).await;
    assert!(engine.get(&id).await.unwrap().has_succeeded());
    assert!(replay_well(&shelf, &id).await.is_finished);
}

#[tokio::test(start_paused = true)]
async fn an_execution_whose_process_died_is_left_where_it_stands() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("journey");
    let run = make_journey
        .on(&engine)
        .run(Journey::Ends)
        .execution_id(&id);
    dies_in(run, &id, "drift").await;
    drop(engine);
    shelf.nobody_is_left().await;
    let replayed = replay_well(&shelf, &id).await;
    assert!(
        !replayed.is_finished && replayed.deliveries >= 4,
        "{replayed:?}"
    );
}

/// One output or error, as its code says.
#[workflow]
async fn answer(ctx: ExecutionContext) -> Result<u32, anyhow::Error> {
    let code = code_of(ctx.execution_id());
    load("question".into()).await?;
    if code == GOES_ON {
        load("another".into()).await?;
    }
    match (code, flux::signal::<bool>("well").await) {
        (OTHER_OUTPUT, _) => Ok(43),
        (FAILS, _) | (OTHER_ERROR, _) => anyhow::bail!("no idea"),
        (PANICS, _) => panic!("what?"),
        (BEGINS_ANEW, _) => {
            ctx.continue_as_new(()).await;
            unreachable!()
        }
        (SUCCEEDS, _) | (_, true) => Ok(42),
        (_, false) => anyhow::bail!("what is the question?"),
    }
}

async fn answered(shelf: &Shelf, well: bool) -> ExecutionId {
    let id = unique("answer");
    let handle = answer.on(&shelf.engine().await).start(()).execution_id(&id);
    let handle = handle.await.unwrap();
    handle.signal("well", &well).await.unwrap();
    let _ = handle.wait().await.unwrap();
    id
}

async fn differs(shelf: &Shelf, id: &ExecutionId, code: u32) -> NonDeterminism {
    set_code(id, code);
    let error = replay(shelf, id).await.unwrap_err();
    set_code(id, 0);
    assert!(replay_well(shelf, id).await.is_finished);
    let Error::NonDeterminism(divergence) = error else {
        panic!("{error}")
    };
    assert_eq!((&divergence.id, &*divergence.workflow), (id, "answer"));
    *divergence
}

#[tokio::test(start_paused = true)]
async fn code_that_now_ends_otherwise_than_it_did_is_told_with_both_ends() {
    let shelf = Shelf::memory();
    let id = answered(&shelf, true).await;
    let output = "WORKFLOW_COMPLETED with output `42`";
    let cases = [
        (OTHER_OUTPUT, "returned `43`"),
        (FAILS, "returned an error: no idea"),
        (PANICS, "panicked: what?"),
        (BEGINS_ANEW, "begins anew"),
    ];
    for (code, found) in cases {
        let divergence = differs(&shelf, &id, code).await;
        assert_eq!((&*divergence.recorded, &*divergence.found), (output, found));
        assert_eq!(divergence.event.get(), 6);
    }
    let divergence = differs(&shelf, &id, GOES_ON).await;
    assert!(
        divergence.found.contains("asked for task `load`"),
        "{divergence}"
    );

    let id = answered(&shelf, false).await;
    let error = "WORKFLOW_FAILED with error `what is the question?`";
    let undone = "TASK_STARTED `unload`";
    let cases = [
        (OTHER_ERROR, error, "returned an error: no idea"),
        (PANICS, error, "panicked: what?"),
        (SUCCEEDS, undone, "returned `42`"),
    ];
    for (code, recorded, found) in cases {
        let divergence = differs(&shelf, &id, code).await;
        assert!(divergence.recorded.starts_with(recorded), "{divergence}");
        assert_eq!(divergence.found, found);
    }
}

#[workflow]
async fn read_parcel(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let sent: flux::TaskCall<Strict> = weigh(*ctx.input());
    Ok(sent.await?.0)
}

/// Refuses, or panics at, numbers that were good when they were recorded.
#[derive(Debug, Serialize)]
struct Strict(u32);

static STRICTNESS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(from)?;
        match STRICTNESS.load(std::sync::atomic::Ordering::SeqCst) {
            1 => Err(serde::de::Error::custom("too heavy")),
            2 => panic!("far too heavy"),
            _ => Ok(Self(number)),
        }
    }
}

#[task]
async fn weigh(weight: u32) -> Strict {
    Strict(weight)
}

#[tokio::test]
async fn values_that_can_no_longer_be_read_are_errors_and_no_panics() {
    let shelf = Shelf::memory();
    let run = read_parcel.on(&shelf.engine().await).run(9).await.unwrap();
    let id = run.execution_id();
    assert!(replay_well(&shelf, id).await.is_finished);
    STRICTNESS.store(1, std::sync::atomic::Ordering::SeqCst);
    let refused = replay(&shelf, id).await.unwrap_err();
    assert!(
        matches!(&refused, Error::ReplayDecode { message, .. } if message.contains("too heavy")),
        "{refused}"
    );
    STRICTNESS.store(2, std::sync::atomic::Ordering::SeqCst);
    let panicked = replay(&shelf, id).await.unwrap_err();
    assert!(panicked.to_string().contains("far too heavy"), "{panicked}");
    STRICTNESS.store(0, std::sync::atomic::Ordering::SeqCst);
}

#[workflow(deadline = "1h", timeout = "30m")]
async fn hurry(ctx: ExecutionContext<bool>) -> Result<(), TaskError> {
    if *ctx.input() {
        load("chest".into()).await?;
    }
    flux::sleep(days(1)).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn code_that_ran_out_of_time_is_put_away_where_it_was() {
    for has_rollback in [false, true] {
        let shelf = Shelf::memory();
        let run = hurry.on(&shelf.engine().await).run(has_rollback).await;
        let run = run.unwrap();
        assert!(run.failure().unwrap().has_timed_out(), "{run}");
        let replayed = replay_well(&shelf, run.execution_id()).await;
        assert_eq!(replayed.is_finished, has_rollback);
    }
}

#[workflow]
async fn begin_often(ctx: ExecutionContext<u32>) -> u32 {
    if *ctx.input() == 0 {
        ctx.continue_as_new(1).await;
    }
    flux::pause("look").await;
    *ctx.input()
}

/// The beginning is recorded, and the code has not seen it.
#[tokio::test(start_paused = true)]
async fn an_arrival_that_was_never_delivered_is_not_delivered() {
    for is_terminated in [false, true] {
        let shelf = Shelf::memory();
        let id = unique("begin-often");
        let engine = shelf.engine().await;
        shelf.stop_at(1, When::AfterCommit);
        let run = begin_often.on(&engine).run(0).execution_id(&id);
        assert!(shelf.crash(run).await.is_none());
        drop(engine);
        shelf.nobody_is_left().await;
        shelf.go_on();
        let engine = shelf.engine().await;
        if is_terminated {
            engine.terminate(&id, "enough").await.unwrap();
            assert!(engine.get(&id).await.unwrap().is_terminated());
        }
        let replayed = replay_well(&shelf, &id).await;
        assert_eq!(replayed.deliveries, 0);
        assert_eq!(replayed.events, if is_terminated { 2 } else { 1 });
        assert!(!replayed.is_finished);
    }
}

#[tokio::test]
async fn an_execution_that_waits_for_its_turn_has_nothing_to_go_through() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = hoist.on(&engine).start(1).delay(days(1)).await.unwrap();
    let replayed = replay_well(&shelf, handle.execution_id()).await;
    assert_eq!((replayed.events, replayed.deliveries), (1, 0));
    let unknown = engine.replay("nobody").await.unwrap_err();
    assert!(
        matches!(unknown, Error::ExecutionNotFound { .. }),
        "{unknown}"
    );
}
