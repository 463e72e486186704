//! Cancelling: code that listens may clean up, other code is dropped where it stands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use flux::store::MemoryStore;
use flux::time::{days, hours, secs};
use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, Handle, Status, TaskError, task,
    task_context, workflow,
};

use crate::support::trip::Trip;
use crate::support::{
    Greeter, Shelf, When, begin, code_of, count, kinds, lines, ran, set_code, settle, unique,
};

/// Where a workflow is when it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
enum Stand {
    Body,
    Backoff,
    Sleep,
    Signal,
    Pause,
    Child,
}

const STANDS: [Stand; 6] = [
    Stand::Body,
    Stand::Backoff,
    Stand::Sleep,
    Stand::Signal,
    Stand::Pause,
    Stand::Child,
];

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Counts the bodies that were dropped before their end.
struct Trace;

impl Drop for Trace {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, SeqCst);
    }
}

#[task]
async fn toil() {
    begin();
    let _trace = Trace;
    std::future::pending().await
}

#[task(max_attempts = 2, backoff = "fixed(1d)")]
async fn stumble() -> Result<(), String> {
    begin();
    Err("not yet".to_owned())
}

#[task]
async fn tidy(what: String) -> String {
    begin();
    tokio::time::sleep(Duration::from_millis(2)).await;
    what
}

#[workflow]
async fn doze_a_day(_ctx: ExecutionContext) {
    flux::sleep(days(1)).await;
}

async fn stand(stand: Stand) -> Result<(), TaskError> {
    match stand {
        Stand::Body => toil().await,
        Stand::Backoff => stumble().await,
        Stand::Sleep => Ok(flux::sleep(days(1)).await),
        Stand::Signal => flux::signal::<()>("never").await.pipe(Ok),
        Stand::Pause => flux::pause("never").await.pipe(Ok),
        Stand::Child => doze_a_day.call(()).await,
    }
}

trait Pipe: Sized {
    fn pipe<T>(self, f: impl FnOnce(Self) -> T) -> T {
        f(self)
    }
}

impl<T> Pipe for T {}

#[workflow]
async fn stand_deaf(ctx: ExecutionContext<Stand>) -> Result<(), TaskError> {
    stand(*ctx.input()).await?;
    tidy("never".into()).await?;
    Ok(())
}

#[workflow]
async fn stand_listening(ctx: ExecutionContext<Stand>) -> Result<String, TaskError> {
    tokio::select! {
        stood = stand(*ctx.input()) => stood.map(|()| String::new()),
        () = flux::cancelled() => {
            let first = tidy("desk".into()).await?;
            let second = tidy("floor".into()).await?;
            Ok(format!("{first}, {second}"))
        }
    }
}

/// Waits until the workflow has come to where it stands.
async fn until_it_stands(engine: &Engine, id: &ExecutionId, stand: Stand) {
    let mut events = engine.subscribe(id).await.unwrap();
    let wanted = match stand {
        Stand::Body => EventKind::TaskStarted,
        Stand::Backoff => EventKind::TaskAttemptFailed,
        Stand::Sleep => EventKind::TimerStarted,
        Stand::Signal => EventKind::SignalAwaited,
        Stand::Pause => EventKind::PauseReached,
        Stand::Child => EventKind::ChildStarted,
    };
    events.wait_for(wanted).await.unwrap().unwrap();
    match stand {
        Stand::Body => {
            while ran(id, "toil") == 0 {
                tokio::task::yield_now().await;
            }
        }
        Stand::Pause => {
            while !engine.get(id).await.unwrap().is_paused() {
                tokio::task::yield_now().await;
            }
        }
        _ => {}
    }
}

/// A paused execution has settled, so waiting for it returns at once: wait for its end.
async fn until_it_ends<O>(engine: &Engine, handle: &Handle<O>) -> flux::Execution {
    let mut events = engine.subscribe(handle.execution_id()).await.unwrap();
    while events.next().await.is_some() {}
    engine.get(handle.execution_id()).await.unwrap()
}

#[tokio::test]
async fn code_that_does_not_listen_is_dropped_where_it_stands() {
    for shelf in Shelf::every_way().await {
        for stand in STANDS {
            let engine = shelf.engine().await;
            let handle = stand_deaf.on(&engine).start(stand).await.unwrap();
            until_it_stands(&engine, handle.execution_id(), stand).await;
            let dropped = DROPPED.load(SeqCst);
            handle.cancel().await.unwrap();
            let run = until_it_ends(&engine, &handle).await;
            assert!(run.is_cancelled() && run.has_finished(), "{stand:?}: {run}");
            assert!(run.output().is_none() && run.failure().is_none());
            let history = run.events().await.unwrap();
            let end: Vec<_> = history[history.len() - 2..]
                .iter()
                .map(|e| e.kind)
                .collect();
            let wanted = [EventKind::CancelRequested, EventKind::WorkflowCancelled];
            assert_eq!(end, wanted, "{stand:?}\n{}", lines(&history));
            assert_eq!(ran(run.execution_id(), "tidy"), 0);
            if let Stand::Body = stand {
                settle().await;
                assert!(DROPPED.load(SeqCst) > dropped);
            }
            if let Stand::Child = stand {
                let child = &engine.list().children_of(run.execution_id()).await.unwrap()[0];
                let mut events = engine.subscribe(child.execution_id()).await.unwrap();
                let end = events.wait_for(EventKind::WorkflowCancelled).await;
                assert!(end.unwrap().is_some());
            }
        }
    }
}

#[tokio::test]
async fn code_that_listens_cleans_up_and_is_cancelled_all_the_same() {
    for shelf in Shelf::every_way().await {
        for stand in STANDS {
            let engine = shelf.engine().await;
            let handle = stand_listening.on(&engine).start(stand).await.unwrap();
            let id = handle.execution_id();
            until_it_stands(&engine, id, stand).await;
            handle.cancel().await.unwrap();
            let run = until_it_ends(&engine, &handle).await;
            assert!(run.is_cancelled(), "{stand:?}: {run}");
            assert_eq!(ran(id, "tidy"), 2, "{stand:?}");
            assert_eq!(count(&engine, id, EventKind::CancelDelivered).await, 1);
            assert_eq!(count(&engine, id, EventKind::CallCancelled).await, 1);
        }
    }
}

#[tokio::test]
async fn a_cancellation_is_asked_for_once_however_often() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = stand_listening
            .on(&engine)
            .start(Stand::Body)
            .await
            .unwrap();
        for _ in 0..3 {
            handle.cancel().await.unwrap();
        }
        let run = handle.wait().await.unwrap();
        assert!(run.is_cancelled(), "{run}");
        let id = run.execution_id();
        assert_eq!(count(&engine, id, EventKind::CancelRequested).await, 1);
        let before = kinds(&engine, id).await;
        let error = handle.cancel().await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::AlreadyFinished {
                    status: Status::Cancelled,
                    ..
                }
            ),
            "{error}"
        );
        let error = engine.resume(id).await.unwrap_err();
        assert!(matches!(error, Error::AlreadyFinished { .. }), "{error}");
        assert_eq!(kinds(&engine, id).await, before);
        let error = engine.cancel("nobody").await.unwrap_err();
        assert!(matches!(error, Error::ExecutionNotFound { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_has_finished_is_not_cancelled() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = tidy_up.on(&engine).run(()).await.unwrap();
        let before = run.events().await.unwrap();
        let error = engine.cancel(run.execution_id()).await.unwrap_err();
        assert!(error.to_string().contains("it is Completed"), "{error}");
        assert_eq!(run.events().await.unwrap(), before);
    }
}

#[workflow]
async fn tidy_up(_ctx: ExecutionContext) -> Result<String, TaskError> {
    tidy("all".into()).await
}

#[workflow]
async fn cancel_itself(ctx: ExecutionContext) -> String {
    let id = ctx.execution_id().clone();
    let engine = Engine::in_memory();
    engine.cancel(id).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_workflow_cannot_cancel_at_every_replay() {
    let run = cancel_itself
        .on(&Engine::in_memory())
        .run(())
        .await
        .unwrap();
    assert!(run.output().unwrap().contains("at every replay"), "{run:?}");
}

#[workflow]
async fn listen_and(ctx: ExecutionContext<After>) -> Result<(), TaskError> {
    flux::cancelled().await;
    tidy("before".into()).await?;
    match ctx.input() {
        After::Sleep => flux::sleep(hours(1)).await,
        After::Pause => flux::pause("never").await,
        After::Fail => panic!("dirty"),
        After::BeginAnew => drop(ctx.continue_as_new(After::Sleep).await),
        After::ListenAgain => {
            flux::cancelled().await;
            tidy("again".into()).await?;
        }
    }
    Ok(())
}

/// What code does once it was told.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum After {
    Sleep,
    Pause,
    Fail,
    BeginAnew,
    ListenAgain,
}

#[tokio::test(start_paused = true)]
async fn cleaning_up_is_bounded_by_the_window_and_ends_as_cancelled_whatever_it_does() {
    for always in [false, true] {
        for (after, takes) in [
            (After::Sleep, 20),
            (After::Pause, 20),
            (After::Fail, 0),
            (After::BeginAnew, 0),
            (After::ListenAgain, 0),
        ] {
            let shelf = match always {
                true => Shelf::memory().always_replay(),
                false => Shelf::memory(),
            };
            let builder = shelf.builder().cancel_window(secs(20));
            let engine = builder.build().await.unwrap();
            let handle = listen_and.on(&engine).start(after).await.unwrap();
            handle.cancel().await.unwrap();
            let run = handle.wait().await.unwrap();
            assert!(run.is_cancelled(), "{after:?}: {run}");
            assert_eq!(run.duration().as_secs(), takes, "{after:?}");
            let tidied = 1 + usize::from(matches!(after, After::ListenAgain));
            assert_eq!(ran(run.execution_id(), "tidy"), tidied, "{after:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_window_counts_on_while_nobody_drives() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("window");
    let run = listen_and.on(&engine).run(After::Sleep).execution_id(&id);
    let crashed = shelf.crash(async {
        let cancel = async {
            let mut events = loop {
                match engine.subscribe(&id).await {
                    Ok(events) => break events,
                    Err(_) => tokio::task::yield_now().await,
                }
            };
            engine.cancel(&id).await.unwrap();
            events.wait_for(EventKind::TimerStarted).await.unwrap();
            tokio::time::sleep(secs(10)).await;
        };
        tokio::select! { _ = run => unreachable!("it sleeps"), () = cancel => {} }
    });
    crashed.await;
    drop(engine);
    shelf.nobody_is_left().await;

    tokio::time::sleep(secs(15)).await;
    let engine = shelf.engine().await;
    let recovered = engine.recover().await.unwrap();
    let run = &recovered.executions[0];
    assert!(run.is_cancelled(), "{run}");
    assert_eq!(run.duration(), secs(30));
}

/// A clean-up that is crashed before and after each of its commits ends all the same, and what it did is done once.
#[tokio::test(start_paused = true)]
async fn a_cancellation_survives_every_crash() {
    for stand in [Stand::Body, Stand::Pause, Stand::Signal, Stand::Child] {
        let mut commit = 0;
        loop {
            commit += 1;
            let mut has_ended = false;
            for when in [When::BeforeCommit, When::AfterCommit] {
                has_ended |= crash_while_cancelling(stand, commit, when).await;
            }
            if has_ended {
                break;
            }
        }
        assert!(commit > 4, "{stand:?}");
    }
}

async fn crash_while_cancelling(stand: Stand, commit: usize, when: When) -> bool {
    let at = format!("{stand:?}, {when:?} {commit}");
    let (shelf, id) = (Shelf::memory(), unique("cancelled"));
    let engine = shelf.engine().await;
    shelf.stop_at(commit, when);
    let told = shelf.crash(async {
        let handle = stand_listening.on(&engine).start(stand).execution_id(&id);
        let handle = handle.await.unwrap();
        until_it_stands(&engine, &id, stand).await;
        handle.cancel().await.unwrap();
        let _ = until_it_ends(&engine, &handle).await;
    });
    let has_ended = told.await.is_some();
    drop(engine);
    shelf.go_on();
    shelf.nobody_is_left().await;
    let engine = shelf.engine().await;
    let before = engine.history(&id).await.unwrap_or_default();
    let handle = stand_listening.on(&engine).start(stand).execution_id(&id);
    let handle = handle.await.unwrap();
    // Whoever had no answer asks again.
    match handle.cancel().await {
        Ok(()) | Err(Error::AlreadyFinished { .. }) => {}
        Err(error) => panic!("{at}: {error}"),
    }
    let run = until_it_ends(&engine, &handle).await;
    let after = run.events().await.unwrap();
    assert!(run.is_cancelled(), "{at}: {run}");
    assert_eq!(after[..before.len()], before, "{at}");
    let done = |kind: EventKind| after.iter().filter(|event| event.kind == kind).count();
    assert_eq!(
        done(EventKind::CancelRequested),
        1,
        "{at}\n{}",
        lines(&after)
    );
    assert_eq!(
        done(EventKind::CancelDelivered),
        1,
        "{at}\n{}",
        lines(&after)
    );
    assert_eq!(done(EventKind::TaskCompleted), 2, "{at}\n{}", lines(&after));
    has_ended
}

#[tokio::test]
async fn an_execution_that_nobody_drives_is_taken_up_to_be_cancelled() {
    for shelf in Shelf::every_way().await {
        for stand in [Stand::Pause, Stand::Sleep, Stand::Body] {
            let id = unique("left");
            let engine = shelf.engine().await;
            let run = stand_listening.on(&engine).run(stand).execution_id(&id);
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
            engine.cancel(&id).await.unwrap();
            let mut events = engine.subscribe(&id).await.unwrap();
            while events.next().await.is_some() {}
            assert!(engine.get(&id).await.unwrap().is_cancelled());
            assert_eq!(ran(&id, "tidy"), 2);
        }
    }
}

#[tokio::test]
async fn another_engine_on_the_same_store_cancels_as_well() {
    for shelf in Shelf::every_way().await {
        let (here, there) = (shelf.engine().await, shelf.engine().await);
        let handle = stand_listening.on(&here).start(Stand::Body).await.unwrap();
        until_it_stands(&here, handle.execution_id(), Stand::Body).await;
        there.cancel(handle.execution_id()).await.unwrap();
        assert!(handle.wait().await.unwrap().is_cancelled());
    }
}

#[tokio::test]
async fn one_that_has_not_begun_is_cancelled_at_once() {
    for shelf in Shelf::each().await {
        let engine = shelf.engine().await;
        let handle = tidy_up.on(&engine).start(()).delay(days(1)).await.unwrap();
        assert_eq!(handle.status().await.unwrap(), Status::Pending);
        handle.cancel().await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(run.is_cancelled(), "{run}");
        assert_eq!(ran(run.execution_id(), "tidy"), 0);
    }
}

#[tokio::test]
async fn a_cancellation_takes_back_a_pause_that_came_before_it() {
    for shelf in Shelf::each().await {
        for stand in [Stand::Body, Stand::Signal] {
            let engine = shelf.engine().await;
            let handle = stand_listening.on(&engine).start(stand).await.unwrap();
            let id = handle.execution_id();
            until_it_stands(&engine, id, stand).await;
            engine.pause(id).await.unwrap();
            // With a body at work it is not on hold yet, without one it is.
            while matches!(stand, Stand::Signal) && !engine.get(id).await.unwrap().is_paused() {
                tokio::task::yield_now().await;
            }
            handle.cancel().await.unwrap();
            let run = until_it_ends(&engine, &handle).await;
            assert!(run.is_cancelled(), "{stand:?}: {run}");
            assert_eq!(ran(id, "tidy"), 2, "{stand:?}");
        }
    }
}

/// Its driver, which was about to leave, was told and did not look any more.
#[tokio::test]
async fn a_cancellation_is_carried_out_at_whatever_moment_of_a_pause_it_comes() {
    for stand in [Stand::Signal, Stand::Pause] {
        for turns in 0..24 {
            let store = Trip::yielding(Arc::new(MemoryStore::new()));
            let engine = Engine::builder()
                .shared_store(store)
                .state(Greeter { word: "hello" })
                .build()
                .await
                .unwrap();
            let handle = stand_listening.on(&engine).start(stand).await.unwrap();
            let id = handle.execution_id();
            if stand == Stand::Signal {
                until_it_stands(&engine, id, stand).await;
                engine.pause(id).await.unwrap();
            } else {
                let mut events = engine.subscribe(id).await.unwrap();
                events
                    .wait_for(EventKind::PauseReached)
                    .await
                    .unwrap()
                    .unwrap();
            }
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            handle.cancel().await.unwrap();
            let ended = tokio::time::timeout(secs(10), until_it_ends(&engine, &handle));
            let run = ended
                .await
                .unwrap_or_else(|_| panic!("{stand:?}, {turns} turns: it goes on"));
            assert!(run.is_cancelled(), "{stand:?}, {turns} turns: {run}");
        }
    }
}

#[task]
async fn tidy_when_told() {
    begin();
    let id = task_context().unwrap().execution_id().clone();
    while code_of(&id) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[workflow]
async fn listen_and_tidy(_ctx: ExecutionContext) -> Result<(), TaskError> {
    flux::cancelled().await;
    tidy_when_told().await?;
    tidy_when_told().await
}

#[tokio::test]
async fn a_pause_that_comes_after_a_cancellation_holds_the_clean_up_until_a_resume() {
    for shelf in Shelf::every_way().await {
        for is_read in [false, true] {
            let engine = shelf.engine().await;
            let handle = listen_and_tidy.on(&engine).start(()).await.unwrap();
            let id = handle.execution_id();
            while count(&engine, id, EventKind::CancelAwaited).await == 0 {
                tokio::task::yield_now().await;
            }
            handle.cancel().await.unwrap();
            while is_read && ran(id, "tidy_when_told") == 0 {
                tokio::task::yield_now().await;
            }
            engine.pause(id).await.unwrap();
            set_code(id, 1);
            let run = handle.wait().await.unwrap();
            assert!(run.is_paused() && run.held().is_some(), "{run}");
            assert!(ran(id, "tidy_when_told") <= 1, "{is_read}");
            engine.replay(id).await.unwrap();

            let run = engine.resume(id).await.unwrap();
            assert!(run.is_cancelled(), "{run}");
            assert_eq!(ran(id, "tidy_when_told"), 2);
            engine.replay(id).await.unwrap();
        }
    }
}

#[task(rollback = put_back)]
async fn take_out(what: u32) -> u32 {
    what
}

#[task]
async fn put_back(_what: u32, _taken: Option<u32>) {
    begin();
    let id = task_context().unwrap().execution_id().clone();
    while code_of(&id) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[workflow]
async fn take_two_and_fail(_ctx: ExecutionContext) -> Result<(), String> {
    take_out(1).await.map_err(|error| error.to_string())?;
    take_out(2).await.map_err(|error| error.to_string())?;
    Err("on purpose".to_owned())
}

/// It was taken for too late, and left the pause as it was: the second rollback never ran.
#[tokio::test]
async fn a_cancellation_takes_back_a_pause_while_rollbacks_run() {
    for shelf in Shelf::every_way().await {
        for is_on_hold in [false, true] {
            let engine = shelf.engine().await;
            let handle = take_two_and_fail.on(&engine).start(()).await.unwrap();
            let id = handle.execution_id();
            while ran(id, "put_back") == 0 {
                tokio::task::yield_now().await;
            }
            engine.pause(id).await.unwrap();
            if is_on_hold {
                set_code(id, 1);
                assert!(handle.wait().await.unwrap().held().is_some());
            }
            engine.cancel(id).await.unwrap();
            set_code(id, 1);
            let run = until_it_ends(&engine, &handle).await;
            assert!(run.has_failed(), "{is_on_hold}: {run}");
            assert_eq!(ran(id, "put_back"), 2, "{is_on_hold}");
            engine.replay(id).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_point_in_the_clean_up_is_answered_as_any_other() {
    for is_told_elsewhere in [false, true] {
        let shelf = Shelf::memory();
        let (engine, other) = (shelf.engine().await, shelf.engine().await);
        let handle = listen_and.on(&engine).start(After::Pause).await.unwrap();
        let id = handle.execution_id();
        handle.cancel().await.unwrap();
        while !engine.get(id).await.unwrap().is_paused() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let resuming = if is_told_elsewhere { &other } else { &engine };
        let run = resuming.resume(id).await.unwrap();
        assert!(run.is_cancelled(), "{run}");
        assert!(run.duration() < secs(1), "{run}");
        engine.replay(id).await.unwrap();
    }
}

static HAS_SEEN: AtomicBool = AtomicBool::new(false);

#[task(blocking)]
fn spin() {
    begin();
    let context = flux::task_context().unwrap();
    while !context.is_cancelled() {
        std::thread::yield_now();
    }
    HAS_SEEN.store(true, SeqCst);
}

#[workflow]
async fn spin_on(_ctx: ExecutionContext) -> Result<(), TaskError> {
    spin().await
}

#[tokio::test]
async fn a_blocking_body_is_told_that_nobody_waits_for_it() {
    let engine = Shelf::memory().engine().await;
    let handle = spin_on.on(&engine).start(()).await.unwrap();
    while ran(handle.execution_id(), "spin") == 0 {
        tokio::task::yield_now().await;
    }
    handle.cancel().await.unwrap();
    assert!(handle.wait().await.unwrap().is_cancelled());
    while !HAS_SEEN.load(SeqCst) {
        tokio::task::yield_now().await;
    }
}

static SPAWNED_WERE_TOLD: AtomicUsize = AtomicUsize::new(0);

#[task]
async fn spawn_and(wait: bool) {
    begin();
    let context = flux::task_context().unwrap();
    tokio::spawn(async move {
        context.cancelled().await;
        SPAWNED_WERE_TOLD.fetch_add(1, SeqCst);
    });
    if wait {
        flux::cancelled().await;
    }
}

#[workflow]
async fn spawn_and_wait(_ctx: ExecutionContext) -> Result<(), TaskError> {
    spawn_and(false).await?;
    spawn_and(true).await
}

#[tokio::test(start_paused = true)]
async fn what_a_body_spawned_is_told_but_not_what_an_ended_one_left_behind() {
    let engine = Shelf::memory().engine().await;
    let handle = spawn_and_wait.on(&engine).start(()).await.unwrap();
    settle().await;
    assert_eq!(SPAWNED_WERE_TOLD.load(SeqCst), 0);
    handle.cancel().await.unwrap();
    assert!(handle.wait().await.unwrap().is_cancelled());
    settle().await;
    assert_eq!(SPAWNED_WERE_TOLD.load(SeqCst), 1);
}

#[tokio::test]
async fn outside_a_workflow_nobody_is_cancelled() {
    let waited = tokio::time::timeout(Duration::from_millis(5), flux::cancelled());
    assert!(waited.await.is_err());
}
