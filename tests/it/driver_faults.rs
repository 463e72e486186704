//! A driver that panics is a fault of Flux: its execution is put on hold, and no body runs again because of it.

use std::time::Duration;

use flux::{Backoff, Engine, Error, ExecutionContext, Status, TaskError, task, workflow};
use serde::{Deserialize, Deserializer};

use crate::support::{Fault, Shelf, begin, ran, unique};

#[task]
async fn charge_card() -> u32 {
    begin();
    7
}

#[task]
async fn hand_over(receipt: u32) -> u32 {
    begin();
    receipt
}

#[workflow]
async fn sell_ticket(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let receipt = charge_card().await?;
    hand_over(receipt).await
}

#[task]
async fn be_declined() -> Result<(), String> {
    begin();
    Err("declined".to_owned())
}

#[workflow]
async fn try_never_again(_ctx: ExecutionContext) -> Result<(), TaskError> {
    let never = Backoff::Fixed(Duration::MAX);
    be_declined().max_attempts(2).backoff(never).await
}

/// Waits until the execution has finished or is paused and nobody drives it.
async fn at_rest(engine: &Engine, id: &flux::ExecutionId) -> flux::Execution {
    loop {
        let run = engine.get(id).await.unwrap();
        let is_settled = run.has_finished() || run.status() == Status::Paused;
        if is_settled && run.worker().is_none() {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A worker took the driver for one that had been dropped where it stood, and adopted the execution: the body ran
/// eleven times.
#[tokio::test]
async fn a_driver_that_panics_puts_its_execution_on_hold_and_no_body_runs_again() {
    for shelf in Shelf::every_way().await {
        for commit in 1..=3 {
            let engine = shelf.engine().await;
            let worker = engine.worker().spawn();
            let id = unique("faulty");
            shelf.fail_at(commit, Fault::Panics);
            let start = sell_ticket.on(&engine).start(()).execution_id(&id);
            if commit == 1 {
                // Nothing was written, so there is nothing to hold.
                let error = start.await.unwrap_err();
                assert!(matches!(error, Error::Interrupted { .. }), "{error}");
                assert_eq!(ran(&id, "charge_card"), 0);
                worker.stop().await;
                continue;
            }
            start.await.unwrap();
            let held = at_rest(&engine, &id).await;
            assert_eq!(held.status(), Status::Paused, "{held}");
            let reason = held.held().unwrap();
            assert!(
                reason.contains("the store has a fault of its own"),
                "{reason}"
            );
            let charged = ran(&id, "charge_card");
            let handed_over = ran(&id, "hand_over");
            assert!(charged <= 1 && handed_over <= 1);
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(ran(&id, "charge_card"), charged);
            assert_eq!(ran(&id, "hand_over"), handed_over);

            let run = sell_ticket.on(&engine).resume(&id).await.unwrap();
            assert_eq!(run.output(), Some(&7), "{run}");
            worker.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_put_it_on_hold_is_asked_until_it_can() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let id = unique("faulty");
    shelf.fail_at(2, Fault::Panics);
    shelf.fail_at(3, Fault::NothingWritten);
    shelf.fail_at(4, Fault::UnknownAndLost);
    shelf.fail_at(5, Fault::UnknownAndWritten);
    shelf.fail_at(6, Fault::Panics);
    let start = sell_ticket.on(&engine).start(()).execution_id(&id);
    start.await.unwrap();
    let held = at_rest(&engine, &id).await;
    assert!(held.held().is_some(), "{held}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(ran(&id, "charge_card"), 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_makes_a_driver_panic_is_not_read_again_by_itself() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let id = unique("faulty");
    let start = never_ends.on(&engine).start(()).execution_id(&id);
    start.await.unwrap();
    // The commit that fails is the one of the cancellation, and no earlier one.
    while engine.get(&id).await.unwrap().awaited_signals().is_empty() {
        tokio::task::yield_now().await;
    }
    shelf.fail_at(1, Fault::Panics);
    engine.cancel(&id).await.unwrap();
    let held = at_rest(&engine, &id).await;
    assert!(held.held().is_some(), "{held}");
    let commits = shelf.commits();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(shelf.commits(), commits);
    // The request is not lost: whoever drives it next carries it out.
    let run = never_ends.on(&engine).resume(&id).await.unwrap();
    assert!(run.is_cancelled(), "{run}");
    worker.stop().await;
}

#[workflow]
async fn never_ends(_ctx: ExecutionContext) {
    flux::signal::<()>("never").await
}

/// The jitter made a wait longer than any `Duration`, which was a panic of the driver.
#[tokio::test(start_paused = true)]
async fn the_longest_backoff_is_waited_for_and_not_begun_again() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let id = unique("never-again");
        let start = try_never_again.on(&engine).start(()).execution_id(&id);
        let handle = start.await.unwrap();
        tokio::time::sleep(flux::time::hours(1)).await;
        let run = engine.get(&id).await.unwrap();
        assert_eq!((run.status(), run.held()), (Status::Running, None), "{run}");
        assert_eq!(ran(&id, "be_declined"), 1);
        handle.cancel().await.unwrap();
        assert!(handle.wait().await.unwrap().is_cancelled());
        worker.stop().await;
    }
}

/// A type whose `Deserialize` does what none should.
#[derive(Debug)]
struct Touchy;

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        assert_eq!(word, "please", "say please");
        Ok(Self)
    }
}

#[workflow]
async fn be_polite(_ctx: ExecutionContext) {
    flux::signal::<Touchy>("asked").await;
    flux::pause("asked").value::<Touchy>().await;
}

#[tokio::test]
async fn a_type_that_panics_when_it_is_read_refuses_the_value_and_nothing_else_happens() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = be_polite.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id();
        engine.signal(id, "asked", "now").await.unwrap();
        engine.signal(id, "asked", "please").await.unwrap();
        let paused = handle.wait().await.unwrap();
        assert!(paused.is_paused() && paused.held().is_none(), "{paused}");
        let error = be_polite
            .on(&engine)
            .resume(id)
            .with("now")
            .await
            .unwrap_err();
        let Error::InvalidInput { message, .. } = &error else {
            panic!("{error}")
        };
        assert!(message.contains("say please"), "{error}");
        let run = be_polite
            .on(&engine)
            .resume(id)
            .with("please")
            .await
            .unwrap();
        assert!(run.has_succeeded(), "{run}");
    }
}
