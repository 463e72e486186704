//! Signals: queued by name, taken once, in order, before or after somebody waits.

use std::time::Duration;

use flux::{Error, EventKind, ExecutionContext, TaskError, task, workflow};

use crate::support::{Shelf, begin, count, kinds, payloads};

#[workflow]
async fn collect_signals(ctx: ExecutionContext<u32>) -> Vec<u32> {
    let mut seen = Vec::new();
    for _ in 0..*ctx.input() {
        seen.push(flux::signal::<u32>("number").await);
    }
    seen
}

#[workflow]
async fn hear_number(_ctx: ExecutionContext) -> u32 {
    flux::signal::<u32>("number").await
}

/// They were accepted and shown nowhere.
#[tokio::test]
async fn what_no_call_takes_can_be_seen_unread() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = hear_number.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id();
        let mut events = engine.subscribe(id).await.unwrap();
        events.wait_for(EventKind::SignalAwaited).await.unwrap();
        engine.signal(id, "numbr", &1).await.unwrap();
        engine.signal(id, "number", "two").await.unwrap();
        let run = engine.get(id).await.unwrap();
        let unread = run.unread_signals().await.unwrap();
        let names: Vec<_> = unread.iter().map(|signal| signal.name()).collect();
        assert_eq!(names, ["numbr", "number"]);
        assert_eq!(unread[1].value(), "two");

        engine.signal(id, "number", &3).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&3));
        assert_eq!(run.unread_signals().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn signals_of_a_name_are_taken_first_in_first_out() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = collect_signals.on(&engine).start(4).await.unwrap();
        for n in [3, 1, 4] {
            handle.signal("number", &n).await.unwrap();
        }
        engine
            .signal(handle.execution_id(), "other", &9)
            .await
            .unwrap();
        // From another engine on the same store.
        shelf
            .engine()
            .await
            .signal(handle.execution_id(), "number", &1)
            .await
            .unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().unwrap(), &[3, 1, 4, 1]);
        let error = engine
            .signal(run.execution_id(), "number", &5)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::AlreadyFinished { .. }), "{error}");
    }
}

/// PITFALL: a sender that got no reply sent its signal again, and it counted twice.
#[tokio::test]
async fn a_signal_with_a_key_counts_once() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = collect_signals.on(&engine).start(3).await.unwrap();
        let id = handle.execution_id();
        let mut events = engine.subscribe(id).await.unwrap();
        engine.signal_once(id, "number", &1, "a").await.unwrap();
        events
            .wait_for(EventKind::SignalReceived)
            .await
            .unwrap()
            .unwrap();
        // Consumed already, and still the same signal.
        engine.signal_once(id, "number", &1, "a").await.unwrap();
        engine.signal_once(id, "number", &2, "b").await.unwrap();
        engine.signal_once(id, "number", &2, "b").await.unwrap();
        engine.signal(id, "number", &3).await.unwrap();
        assert_eq!(handle.wait().await.unwrap().output().unwrap(), &[1, 2, 3]);
    }
}

#[workflow]
async fn wait_in_vain(_ctx: ExecutionContext) -> (Option<u32>, u32) {
    let first = flux::timeout(Duration::from_secs(5), flux::signal::<u32>("number")).await;
    flux::sleep(Duration::from_secs(5)).await;
    (first.ok(), flux::signal::<u32>("number").await)
}

/// PITFALL: a wait that timed out took the signal with it.
#[tokio::test(start_paused = true)]
async fn a_wait_that_timed_out_takes_nothing() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let handle = wait_in_vain.on(&engine).start(()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(7)).await;
        handle.signal("number", &8).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&(None, 8)));
        assert_eq!(
            count(&engine, run.execution_id(), EventKind::SignalReceived).await,
            1
        );
    }
}

#[workflow]
async fn wait_for_a_number(_ctx: ExecutionContext) -> u32 {
    flux::signal::<u32>("number").await
}

#[tokio::test]
async fn a_signal_of_another_type_is_passed_over() {
    let engine = Shelf::memory().engine().await;
    let handle = wait_for_a_number.on(&engine).start(()).await.unwrap();
    handle.signal("number", "seven").await.unwrap();
    handle.signal("number", &7).await.unwrap();
    assert_eq!(handle.wait().await.unwrap().output(), Some(&7));
}

#[task]
async fn work_a_while(millis: u64) {
    begin();
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[workflow]
async fn race_for_signal(_ctx: ExecutionContext) -> Result<Vec<u32>, TaskError> {
    let mut seen = Vec::new();
    // The signal is there before anybody waits; the wait still comes as a delivery of its own.
    work_a_while(5).await?;
    for _ in 0..2 {
        tokio::select! {
            number = flux::signal::<u32>("number") => seen.push(number),
            done = work_a_while(50) => {
                done?;
                seen.push(0);
            }
        }
    }
    let (one, two) = tokio::join!(flux::signal::<u32>("number"), flux::signal::<u32>("number"));
    seen.extend([one, two]);
    Ok(seen)
}

/// PITFALL: a branch that was ready at once was or was not asked for, as the random order of `select!` had it, and
/// two replays of three said that the code had changed.
#[tokio::test(start_paused = true)]
async fn a_signal_that_is_there_already_races_like_any_other() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        for _ in 0..10 {
            let engine = shelf.engine().await;
            let handle = race_for_signal.on(&engine).start(()).await.unwrap();
            handle.signal("number", &1).await.unwrap();
            handle.signal("number", &2).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            handle.signal("number", &3).await.unwrap();
            handle.signal("number", &4).await.unwrap();
            let run = handle.wait().await.unwrap();
            let mut seen = run.output().unwrap().clone();
            assert_eq!(seen[..2], [1, 2]);
            seen.sort_unstable();
            assert_eq!(seen, [1, 2, 3, 4]);
            assert_eq!(
                count(&engine, run.execution_id(), EventKind::CallCancelled).await,
                2
            );
        }
    }
}

#[workflow]
async fn drop_what_was_delivered(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let mut wait = Box::pin(flux::signal::<u32>("number"));
    // Issued, never looked at again.
    let polled = futures::poll!(&mut wait);
    assert!(polled.is_pending());
    work_a_while(50).await?;
    drop(wait);
    Ok(flux::signal::<u32>("number").await)
}

/// PITFALL: a signal that was delivered to a wait nobody looked at was lost.
#[tokio::test(start_paused = true)]
async fn a_signal_delivered_and_never_looked_at_goes_back_to_its_queue() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let handle = drop_what_was_delivered.on(&engine).start(()).await.unwrap();
        handle.signal("number", &1).await.unwrap();
        handle.signal("number", &2).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(
            run.output(),
            Some(&1),
            "{:?}",
            kinds(&engine, run.execution_id()).await
        );
        let events = run.events().await.unwrap();
        assert_eq!(payloads(&events, EventKind::SignalReceived), ["1", "1"]);
    }
}

#[tokio::test]
async fn what_an_execution_waits_for_can_be_read() {
    let engine = Shelf::memory().engine().await;
    let handle = wait_for_a_number.on(&engine).start(()).await.unwrap();
    let mut events = engine.subscribe(handle.execution_id()).await.unwrap();
    events
        .wait_for(EventKind::SignalAwaited)
        .await
        .unwrap()
        .unwrap();
    let run = engine.get(handle.execution_id()).await.unwrap();
    assert_eq!(run.awaited_signals(), ["number"]);
    assert_eq!(run.status(), flux::Status::Running);
    assert!(!run.is_paused());
}
