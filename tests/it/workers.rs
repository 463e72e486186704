//! Workers: what crashed is taken over, what waits is woken, what is queued is worked off.

use std::time::Duration;

use flux::store::Store;
use flux::time::{days, hours};
use flux::{Engine, EventKind, ExecutionContext, Status, TaskError, TaskErrorKind, task, workflow};

use crate::support::{
    HandClock, Shelf, asleep, begin, code_of, count, dies_in, kinds, ran, set_code, unique, utc,
};

#[task]
async fn note() -> usize {
    begin()
}

#[workflow]
async fn sleep_then_note(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    note().await?;
    flux::sleep(days(30)).await;
    note().await
}

#[workflow]
async fn hear_word(_ctx: ExecutionContext) -> Result<String, TaskError> {
    note().await?;
    Ok(flux::signal::<String>("word").await)
}

#[tokio::test]
async fn an_execution_that_only_waits_leaves_memory_and_is_woken_in_time() {
    for shelf in Shelf::every_way().await {
        let clock = HandClock::at(utc("2024-01-01T12:00:00Z"));
        let builder = shelf.builder().clock(clock.clone());
        let engine = builder.idle_after(Duration::ZERO).build().await.unwrap();
        let worker = engine.worker().spawn();
        let handle = sleep_then_note.on(&engine).start(()).await.unwrap();
        let sleeper = asleep(&engine, handle.execution_id()).await;
        assert_eq!(sleeper.status(), Status::Running);
        assert_eq!(sleeper.ready_at(), sleeper.wakes_at());
        assert_eq!(sleeper.wakes_at(), Some(utc("2024-01-31T12:00:00Z")));
        assert_eq!(ran(handle.execution_id(), "note"), 1);

        clock.pass(days(30));
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&2));
        assert_eq!(run.duration(), days(30));
        assert_eq!(ran(run.execution_id(), "note"), 2);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_signal_wakes_an_execution_that_sleeps() {
    for shelf in Shelf::each().await {
        let engine = shelf
            .builder()
            .idle_after(Duration::ZERO)
            .build()
            .await
            .unwrap();
        let worker = engine.worker().spawn();
        let handle = hear_word.on(&engine).start(()).await.unwrap();
        let _ = asleep(&engine, handle.execution_id()).await;
        engine
            .signal(handle.execution_id(), "word", "hello")
            .await
            .unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().map(String::as_str), Some("hello"));
        worker.stop().await;
    }
}

#[tokio::test]
async fn what_a_dead_process_drove_is_taken_over_without_anybody_asking() {
    for shelf in Shelf::each().await {
        let id = unique("orphan");
        let dead = shelf.engine().await;
        dies_in(hear_word.on(&dead).run(()).execution_id(&id), &id, "note").await;
        drop(dead);
        shelf.nobody_is_left().await;
        let heir = shelf.engine().await;
        let worker = heir.worker().spawn();
        heir.signal(&id, "word", "inherited").await.unwrap();
        let run = hear_word.on(&heir).run(()).execution_id(&id).await.unwrap();
        assert_eq!(run.output().map(String::as_str), Some("inherited"));
        worker.stop().await;
    }
}

#[workflow]
async fn note_once(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    note().await
}

#[tokio::test]
async fn a_queued_execution_is_pending_until_a_worker_starts_it() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = note_once
            .on(&engine)
            .start(())
            .queue("letters")
            .await
            .unwrap();
        let waiting = engine.get(handle.execution_id()).await.unwrap();
        assert_eq!(waiting.status(), Status::Pending);
        assert_eq!(
            (waiting.queue(), waiting.started_at()),
            (Some("letters"), None)
        );
        assert_eq!(
            kinds(&engine, handle.execution_id()).await,
            [EventKind::WorkflowQueued]
        );
        assert_eq!(engine.queue("letters").info().await.unwrap().pending, 1);
        assert_eq!(ran(handle.execution_id(), "note"), 0);

        let worker = engine.worker().spawn();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output(), Some(&1));
        assert_eq!(
            kinds(&engine, handle.execution_id()).await,
            [
                EventKind::WorkflowQueued,
                EventKind::WorkflowStarted,
                EventKind::TaskStarted,
                EventKind::TaskCompleted,
                EventKind::WorkflowCompleted,
            ]
        );
        assert!(run.started_at().unwrap() >= run.created_at());
        assert_eq!(engine.queue("letters").info().await.unwrap().pending, 0);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_run_without_a_worker_takes_its_own_turn() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let run = note_once.on(&engine).run(()).queue("own").await.unwrap();
        assert_eq!(run.output(), Some(&1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_delayed_start_happens_when_it_is_due_and_no_sooner() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let worker = engine.worker().spawn();
    let handle = note_once
        .on(&engine)
        .start(())
        .delay(hours(2))
        .await
        .unwrap();
    assert_eq!(handle.status().await.unwrap(), Status::Pending);
    let run = handle.wait().await.unwrap();
    let waited = run
        .started_at()
        .unwrap()
        .duration_since(run.created_at())
        .unwrap();
    assert!(waited >= hours(2) && waited < hours(3), "{waited:?}");
    assert_eq!(ran(run.execution_id(), "note"), 1);
    worker.stop().await;
}

/// Waits until a worker that was told to stop has told the drivers, too.
async fn until_it_stops(shelf: &Shelf) {
    let store = shelf.store();
    let takes_more = async || {
        let workers = store.workers().await.unwrap();
        workers.iter().any(|worker| worker.serves.is_some())
    };
    while takes_more().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // That it takes nothing more is in the store: it tells the drivers as soon as it hears that this was written.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_worker_that_stops_lets_bodies_finish_and_defers_the_next() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let handle = two_slow_notes
            .on(&engine)
            .start(())
            .queue("slow")
            .await
            .unwrap();
        while ran(handle.execution_id(), "slow_note") == 0 {
            tokio::task::yield_now().await;
        }
        let id = handle.execution_id();
        tokio::join!(worker.stop(), async {
            until_it_stops(&shelf).await;
            set_code(id, 1);
        });
        // The first body finished and is recorded; the second is recorded and was not begun.
        assert_eq!(ran(id, "slow_note"), 1);
        assert_eq!(count(&engine, id, EventKind::TaskCompleted).await, 1);
        assert_eq!(count(&engine, id, EventKind::TaskDeferred).await, 1);

        set_code(id, 2);
        let worker = engine.worker().spawn();
        assert_eq!(handle.wait().await.unwrap().output(), Some(&2));
        assert_eq!(count(&engine, id, EventKind::TaskInterrupted).await, 0);
        assert_eq!(ran(id, "slow_note"), 2);
        worker.stop().await;
    }
}

/// What was kept back and then begun was begun: the process after the next has to know.
#[tokio::test]
async fn a_deferred_call_that_is_begun_and_cut_off_is_not_begun_again() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let start = two_slow_notes.on(&engine).start(()).queue("slow");
        let id = start.await.unwrap().execution_id().clone();
        while ran(&id, "slow_note") == 0 {
            tokio::task::yield_now().await;
        }
        // The first body ends some time after the worker was told to stop.
        tokio::join!(worker.stop(), async {
            until_it_stops(&shelf).await;
            set_code(&id, 1);
        });
        assert_eq!(count(&engine, &id, EventKind::TaskDeferred).await, 1);

        // The second one does not end.
        let resume = two_slow_notes.on(&engine).resume(&id);
        let begun = async {
            while ran(&id, "slow_note") < 2 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            run = resume => panic!("it was to die: {run:?}"),
            () = begun => {}
        }
        let run = two_slow_notes.on(&engine).resume(&id).await.unwrap();
        assert_eq!(ran(&id, "slow_note"), 2);
        let escaped = run.failure().unwrap().escaped()[0].clone();
        assert_eq!(escaped.kind, TaskErrorKind::OutcomeUnknown);
    }
}

/// Ends once the code of its execution is that of its number.
#[task(at_most_once)]
async fn slow_note() -> usize {
    let times = begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    while (code_of(&id) as usize) < times {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    times
}

#[workflow]
async fn two_slow_notes(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    slow_note().await?;
    slow_note().await
}

#[tokio::test]
async fn a_paused_queue_starts_nothing_until_it_is_resumed() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        engine.queue("letters").pause().await.unwrap();
        let worker = engine.worker().spawn();
        let first = note_once
            .on(&engine)
            .start(())
            .queue("letters")
            .await
            .unwrap();
        let other = note_once
            .on(&engine)
            .start(())
            .queue("parcels")
            .await
            .unwrap();
        let _ = other.wait().await.unwrap();
        assert_eq!(first.status().await.unwrap(), Status::Pending);
        engine.queue("letters").resume().await.unwrap();
        let _ = first.wait().await.unwrap();
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_execution_that_somebody_paused_goes_on_when_it_is_resumed() {
    for shelf in Shelf::each().await {
        let engine = shelf
            .builder()
            .idle_after(Duration::ZERO)
            .build()
            .await
            .unwrap();
        let worker = engine.worker().spawn();
        let handle = hear_word.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id().clone();
        engine.pause(&id).await.unwrap();
        let held = handle.wait().await.unwrap();
        assert!(held.is_paused() && held.held().is_some() && held.pause_points().is_empty());
        // A signal does not move it on.
        engine.signal(&id, "word", "late").await.unwrap();
        assert!(engine.get(&id).await.unwrap().is_paused());
        let run = hear_word.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().map(String::as_str), Some("late"));
        worker.stop().await;
    }
}

#[task]
async fn note_until_told() {
    begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    while crate::support::code_of(&id) == 0 {
        tokio::task::yield_now().await;
    }
}

#[workflow]
async fn note_and_ask(_ctx: ExecutionContext) -> Result<(), TaskError> {
    let (noted, ()) = tokio::join!(note_until_told(), async { flux::pause("review").await });
    noted
}

/// The hold was lost where the execution came to rest at a pause point of its own.
#[tokio::test]
async fn an_execution_that_somebody_paused_is_on_hold_also_at_its_own_pause_point() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = note_and_ask.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id().clone();
        while ran(&id, "note_until_told") == 0 {
            tokio::task::yield_now().await;
        }
        engine.pause(&id).await.unwrap();
        crate::support::set_code(&id, 1);
        let held = handle.wait().await.unwrap();
        assert!(held.held().is_some(), "{held}");
        assert_eq!(held.pause_point(), Some("review"));
        let waits = note_and_ask.on(&engine).resume(&id).await.unwrap();
        assert_eq!((waits.held(), waits.pause_point()), (None, Some("review")));
        let run = note_and_ask.on(&engine).resume(&id).await.unwrap();
        assert!(run.has_succeeded());
    }
}

#[tokio::test]
async fn a_worker_takes_only_what_it_has_code_for() {
    use flux::store::{Commit, MemoryStore, NewExecution, Placement, Target};
    let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(MemoryStore::new());
    let at = std::time::SystemTime::now().into();
    let new = NewExecution {
        id: "lost".into(),
        workflow: "of_another_program".into(),
        version: 3,
        created_at: at,
        parent: None,
        owner: None,
        placement: Placement {
            queue: Some("letters".into()),
            priority: 9,
            ..Placement::default()
        },
    };
    let commit = Commit::to(Target::New(Box::new(new)));
    store.commit(commit).await.unwrap();
    let builder = Engine::builder()
        .shared_store(store)
        .state(crate::support::Greeter { word: "hi" });
    let engine = builder.build().await.unwrap();
    let worker = engine.worker().spawn();
    let known = note_once
        .on(&engine)
        .start(())
        .queue("letters")
        .await
        .unwrap();
    let _ = known.wait().await.unwrap();
    let waits = engine.list().status(Status::Pending).await.unwrap();
    assert_eq!(waits.len(), 1);
    assert!(waits[0].needs_other_code());
    assert!(
        waits[0]
            .to_string()
            .contains("version 3 of `of_another_program`"),
        "{}",
        waits[0]
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_while_a_worker_claims_it_ends_all_the_same() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let mut handles = Vec::new();
        for _ in 0..100 {
            let handle = note_once
                .on(&engine)
                .start(())
                .queue("short")
                .await
                .unwrap();
            match handle.cancel().await {
                Ok(()) | Err(flux::Error::AlreadyFinished { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            handles.push(handle);
        }
        for handle in handles {
            assert!(handle.wait().await.unwrap().has_finished());
        }
        assert_eq!(engine.queue("short").info().await.unwrap().running, 0);
        worker.stop().await;
    }
}

#[task]
async fn fail_once() -> Result<usize, String> {
    match begin() {
        1 => Err("not yet".to_owned()),
        times => Ok(times),
    }
}

#[workflow(lock = "door:{}")]
async fn pass_door(_ctx: ExecutionContext<u32>) -> Result<usize, TaskError> {
    let times = fail_once().await?;
    flux::pause("inside").await;
    Ok(times)
}

#[tokio::test]
async fn a_resume_of_what_failed_does_not_pass_a_lock_that_another_holds() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let failed = pass_door.on(&engine).run(7).await.unwrap();
        assert!(failed.has_failed());
        let other = pass_door.on(&engine).run(7).await.unwrap();
        let inside = pass_door
            .on(&engine)
            .resume(other.execution_id())
            .await
            .unwrap();
        assert!(inside.is_paused(), "{inside:?}");
        match pass_door.on(&engine).resume(failed.execution_id()).await {
            Err(flux::Error::LimitReached { holder, .. }) => {
                assert_eq!(&holder, inside.execution_id());
            }
            resumed => panic!("{resumed:?}"),
        }
        let _ = pass_door
            .on(&engine)
            .resume(inside.execution_id())
            .await
            .unwrap();
        let passed = pass_door
            .on(&engine)
            .resume(failed.execution_id())
            .await
            .unwrap();
        assert!(passed.is_paused(), "{passed:?}");
    }
}

#[workflow(concurrency = 1, on_conflict = "queue")]
async fn one_by_one(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    brief_note().await
}

#[task]
async fn brief_note() -> usize {
    let times = begin();
    tokio::time::sleep(Duration::from_millis(20)).await;
    times
}

#[tokio::test]
async fn starts_that_wait_for_each_other_need_no_worker_also_when_one_has_come_and_gone() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(one_by_one.on(&engine).start(()).await.unwrap());
        }
        let last = one_by_one.on(&engine).start(()).await.unwrap();
        for handle in &handles {
            assert_eq!(handle.wait().await.unwrap().output(), Some(&1));
        }
        let worker = engine.worker().grace(Duration::from_secs(5)).spawn();
        worker.stop().await;
        let run = match last.wait().await {
            // The worker had just begun it when it stopped.
            Err(flux::Error::Interrupted { id }) => {
                one_by_one.on(&engine).resume(id).await.unwrap()
            }
            run => run.unwrap(),
        };
        assert_eq!(run.output(), Some(&1));
    }
}

#[task]
async fn other_note() -> usize {
    begin()
}

#[workflow]
async fn change_mind(ctx: ExecutionContext) -> Result<(), TaskError> {
    if crate::support::code_of(ctx.execution_id()) == 0 {
        note().await?;
    } else {
        other_note().await?;
    }
    flux::signal::<String>("word").await;
    Ok(())
}

#[tokio::test]
async fn whoever_waits_for_what_this_program_cannot_drive_is_told() {
    for shelf in Shelf::each().await {
        let builder = || shelf.builder().idle_after(Duration::ZERO);
        let engine = builder().build().await.unwrap();
        let id = unique("changed");
        let worker = engine.worker().spawn();
        let handle = change_mind
            .on(&engine)
            .start(())
            .execution_id(&id)
            .await
            .unwrap();
        let _ = asleep(&engine, &id).await;
        crate::support::set_code(&id, 1);
        engine.signal(&id, "word", "wake up").await.unwrap();
        let told = handle.wait().await;
        assert!(
            matches!(told, Err(flux::Error::NonDeterminism(_))),
            "{told:?}"
        );
        worker.stop().await;
        // The right code goes on with it.
        crate::support::set_code(&id, 0);
        let run = change_mind.on(&engine).resume(&id).await.unwrap();
        assert!(run.has_succeeded());
    }
}

#[tokio::test]
async fn a_worker_of_another_queue_keeps_nobody_from_taking_its_own_turn() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().queue("letters").spawn();
        let run = note_once
            .on(&engine)
            .run(())
            .queue("parcels")
            .await
            .unwrap();
        assert!(run.has_succeeded());
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_worker_goes_on_with_what_its_own_program_dropped() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let worker = engine.worker().spawn();
        let id = unique("dropped");
        {
            let run = hear_word.on(&engine).run(()).execution_id(&id);
            let begun = async {
                while ran(&id, "note") == 0 {
                    tokio::task::yield_now().await;
                }
            };
            futures::future::select(Box::pin(run), Box::pin(begun)).await;
        }
        engine.signal(&id, "word", "still here").await.unwrap();
        let handle = hear_word
            .on(&engine)
            .start(())
            .execution_id(&id)
            .await
            .unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().map(String::as_str), Some("still here"));
        worker.stop().await;
    }
}
