//! `ctx.on_exit`: what is done at the end of an execution, however it ends.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use flux::time::{days, secs};
use flux::{
    Event, EventKind, ExecutionContext, ExecutionId, FailureKind, TaskError, task, task_context,
    workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::agree::{Output, check};
use crate::support::{Shelf, When, begin, code_of, lines, names, ran, set_code, started, unique};

/// How a workflow ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Ending {
    Good,
    Fails,
    Panics,
    Sleeps,
    Toils,
    Anew,
}

const ENDINGS: [Ending; 3] = [Ending::Good, Ending::Fails, Ending::Panics];

#[task]
async fn work(ending: Ending) -> Result<u32, String> {
    begin();
    match ending {
        Ending::Fails => Err("out of order".to_owned()),
        Ending::Toils => std::future::pending().await,
        _ => Ok(1),
    }
}

#[task(max_attempts = 2, backoff = "fixed(1ms)")]
async fn wipe(what: String) -> Result<String, String> {
    let ran = begin();
    match what.as_str() {
        "twice" if ran == 1 => Err("once more".to_owned()),
        "never" => Err("it sticks".to_owned()),
        _ => Ok(what),
    }
}

#[task]
async fn sweep() {
    begin();
}

#[task(rollback = unmake)]
async fn make() {
    begin();
}

#[task]
async fn unmake(_made: Option<()>) {
    begin();
}

async fn end(ctx: &ExecutionContext<Ending>) -> Result<u32, TaskError> {
    let done = work(*ctx.input()).await?;
    match ctx.input() {
        Ending::Panics => panic!("oh"),
        Ending::Sleeps => flux::sleep(days(1)).await,
        Ending::Anew => drop(ctx.continue_as_new(Ending::Good).await),
        _ => {}
    }
    Ok(done)
}

#[workflow]
async fn work_and_tidy(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    make().await?;
    let who = ctx.clone();
    ctx.on_exit(move || async move {
        let said = wipe("twice".to_owned()).await?;
        flux::sleep(Duration::from_millis(3)).await;
        Ok::<_, TaskError>(format!("{} {said}", who.execution_id()))
    });
    end(&ctx).await
}

#[tokio::test]
async fn it_runs_at_every_end_the_last_one_first_and_after_the_rollbacks() {
    for shelf in Shelf::every_way().await {
        for ending in ENDINGS {
            let engine = shelf.engine().await;
            let run = work_and_tidy.on(&engine).run(ending).await.unwrap();
            assert_eq!(run.has_succeeded(), ending == Ending::Good, "{run}");
            let undone: &[&str] = match ending {
                Ending::Good => &[],
                _ => &["unmake"],
            };
            let wanted = [&["make", "work"], undone, &["wipe", "wipe", "sweep"]].concat();
            assert_eq!(started(run.execution_id()), wanted, "{ending:?}");
            let how = if ending == Ending::Good {
                "completed"
            } else {
                "failed"
            };
            assert_eq!(
                names(&run.events().await.unwrap(), EventKind::ExitStarted),
                [how]
            );
        }
    }
}

#[tokio::test]
async fn it_runs_when_the_execution_is_cancelled_and_not_when_it_is_terminated() {
    for shelf in Shelf::every_way().await {
        for terminate in [false, true] {
            let engine = shelf.engine().await;
            let handle = work_and_tidy
                .on(&engine)
                .start(Ending::Toils)
                .await
                .unwrap();
            let id = handle.execution_id();
            while ran(id, "work") == 0 {
                tokio::task::yield_now().await;
            }
            match terminate {
                true => handle.terminate("no").await.unwrap(),
                false => handle.cancel().await.unwrap(),
            }
            let run = handle.wait().await.unwrap();
            assert_eq!(run.is_terminated(), terminate, "{run}");
            assert_eq!(run.is_cancelled(), !terminate, "{run}");
            assert_eq!(ran(id, "sweep"), usize::from(!terminate));
        }
    }
}

#[workflow(timeout = "1s")]
async fn work_in_time(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    // What is done at the end may take longer than the code was given.
    ctx.on_exit(|| async {
        flux::sleep(secs(5)).await;
        sweep().await
    });
    end(&ctx).await
}

#[workflow(deadline = "1s")]
async fn work_by_then(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    end(&ctx).await
}

#[tokio::test(start_paused = true)]
async fn it_runs_when_time_is_up() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = work_in_time.on(&engine).run(Ending::Toils).await.unwrap();
        let kind = run.failure().unwrap().kind();
        assert_eq!(kind, FailureKind::Timeout { limit: secs(1) });
        assert_eq!(
            (ran(run.execution_id(), "sweep"), run.duration()),
            (1, secs(6))
        );
        let run = work_by_then.on(&engine).run(Ending::Sleeps).await.unwrap();
        let kind = run.failure().unwrap().kind();
        assert_eq!(kind, FailureKind::Deadline { limit: secs(1) });
        assert_eq!(ran(run.execution_id(), "sweep"), 1);
    }
}

/// A resume of what ran out of time goes on where the code was stopped, and is tidied up again at its end.
#[tokio::test(start_paused = true)]
async fn what_was_stopped_is_resumed_where_it_was() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let id = unique("stopped");
        let engine = shelf.engine().await;
        let on = work_in_time.on(&engine);
        let run = on.run(Ending::Toils).execution_id(&id).await.unwrap();
        let before = run.events().await.unwrap();
        drop(engine);
        let engine = shelf.engine().await;
        let run = work_in_time.on(&engine).resume(&id).await.unwrap();
        assert!(run.failure().unwrap().has_timed_out());
        assert_eq!(started(&id), ["work", "sweep", "work", "sweep"]);
        let after = run.events().await.unwrap();
        assert_eq!(after[..before.len()], before);
        let calls = names(&after, EventKind::TaskStarted);
        assert_eq!(calls, ["work", "sweep", "sweep"], "{}", lines(&after));
    }
}

#[workflow(max_attempts = 2)]
async fn work_in_two_tries(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    end(&ctx).await
}

#[tokio::test]
async fn it_runs_after_the_last_attempt_of_the_workflow() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = work_in_two_tries
            .on(&engine)
            .run(Ending::Fails)
            .await
            .unwrap();
        assert!(run.has_failed());
        assert_eq!(started(run.execution_id()), ["work", "work", "sweep"]);
    }
}

#[tokio::test]
async fn it_does_not_run_at_a_new_beginning() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = work_in_two_tries
            .on(&engine)
            .run(Ending::Anew)
            .await
            .unwrap();
        assert!(run.has_succeeded(), "{run}");
        assert_eq!(started(run.execution_id()), ["work", "work", "sweep"]);
    }
}

#[workflow]
async fn end_badly(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    ctx.on_exit(|| wipe("never".to_owned()));
    ctx.on_exit(|| async { Err::<(), _>("first of all") });
    end(&ctx).await
}

#[workflow]
async fn end_in_panic(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    let again = ctx.clone();
    ctx.on_exit(move || async move {
        again.continue_as_new(Ending::Good).await;
        Ok::<_, String>(())
    });
    end(&ctx).await
}

#[tokio::test]
async fn the_first_error_is_the_failure_and_hinders_nothing_that_follows() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        for (ending, message) in [
            (Ending::Good, "first of all"),
            (Ending::Fails, "task `work` failed: out of order"),
            (Ending::Panics, "oh"),
        ] {
            let run = end_badly.on(&engine).run(ending).await.unwrap();
            let failure = run.failure().unwrap();
            assert_eq!(failure.message(), message);
            assert_eq!(
                started(run.execution_id()),
                ["work", "wipe", "wipe", "sweep"]
            );
        }
        let run = end_in_panic.on(&engine).run(Ending::Good).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.kind(), FailureKind::Panicked, "{failure}");
        assert!(failure.message().contains("cannot begin anew"), "{failure}");
        assert_eq!(ran(run.execution_id(), "sweep"), 1);
    }
}

#[task]
async fn close_door() -> Result<(), String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("it is stuck".to_owned()),
        _ => Ok(()),
    }
}

#[workflow(max_attempts = 3)]
async fn enter_and_leave(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    ctx.on_exit(close_door);
    end(&ctx).await
}

#[tokio::test]
async fn what_only_failed_at_its_end_is_resumed_there() {
    for shelf in Shelf::every_way().await {
        let id = unique("leave");
        let engine = shelf.engine().await;
        let on = enter_and_leave.on(&engine);
        let run = on.run(Ending::Good).execution_id(&id).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!((failure.task(), run.attempt()), (Some("close_door"), 1));
        drop(engine);
        set_code(&id, 1);
        let engine = shelf.engine().await;
        let run = enter_and_leave.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&1), "{run}");
        assert_eq!(started(&id), ["work", "close_door", "sweep", "close_door"]);
    }
}

#[tokio::test]
async fn what_was_resumed_is_tidied_up_again_when_it_ends() {
    for shelf in Shelf::every_way().await {
        let id = unique("leave");
        let engine = shelf.engine().await;
        set_code(&id, 1);
        let on = enter_and_leave.on(&engine);
        let run = on.run(Ending::Fails).execution_id(&id).await.unwrap();
        assert_eq!(run.failure().unwrap().task(), Some("work"));
        let run = on.resume(&id).await.unwrap();
        assert!(run.has_failed());
        let tries = ["work", "work", "work", "close_door", "sweep"];
        assert_eq!(started(&id), [tries, tries].concat());
    }
}

#[workflow]
async fn decide_to_fail(ctx: ExecutionContext) -> Result<(), String> {
    ctx.on_exit(sweep);
    Err("no".to_owned())
}

#[tokio::test]
async fn a_resume_that_comes_out_the_same_does_nothing() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = decide_to_fail.on(&engine).run(()).await.unwrap();
        let before = run.events().await.unwrap();
        let run = decide_to_fail
            .on(&engine)
            .resume(run.execution_id())
            .await
            .unwrap();
        assert_eq!(run.failure().unwrap().message(), "no");
        assert_eq!(run.events().await.unwrap(), before);
        assert_eq!(ran(run.execution_id(), "sweep"), 1);
    }
}

#[tokio::test]
async fn what_is_at_its_end_ends_as_it_was_going_to() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let handle = linger.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id();
        let mut events = engine.subscribe(id).await.unwrap();
        events.wait_for(EventKind::SignalAwaited).await.unwrap();
        handle.cancel().await.unwrap();
        engine.signal(id, "go", &()).await.unwrap();
        let run = handle.wait().await.unwrap();
        assert_eq!(run.output().map(String::as_str), Some("done"), "{run}");
    }
}

#[workflow]
async fn linger(ctx: ExecutionContext) -> String {
    ctx.on_exit(|| async { Ok::<_, String>(flux::signal::<()>("go").await) });
    "done".to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_good_end_agrees_live_and_in_every_replay_and_survives_every_crash() {
    check(work_and_sweep, Ending::Good, Output::Same).await;
}

#[workflow]
async fn work_and_sweep(ctx: ExecutionContext<Ending>) -> Result<u32, TaskError> {
    ctx.on_exit(sweep);
    let (made, done) = tokio::join!(make(), end(&ctx));
    made?;
    ctx.on_exit(|| async {
        let (one, two) = tokio::join!(wipe("one".to_owned()), wipe("two".to_owned()));
        flux::sleep(Duration::from_millis(3)).await;
        one.and(two)
    });
    done
}

/// What is done at a bad end is done once, whatever dies when.
#[tokio::test(start_paused = true)]
async fn a_bad_end_survives_every_crash() {
    for ending in [Ending::Fails, Ending::Toils] {
        let mut commit = 0;
        loop {
            commit += 1;
            let mut has_ended = false;
            for when in [When::BeforeCommit, When::AfterCommit] {
                has_ended |= crash_at_the_end(ending, commit, when).await;
            }
            if has_ended {
                break;
            }
        }
        assert!(commit > 6, "{ending:?}: {commit}");
    }
}

async fn crash_at_the_end(ending: Ending, commit: usize, when: When) -> bool {
    let at = format!("{ending:?}, {when:?} {commit}");
    let (shelf, id) = (Shelf::memory(), unique("end"));
    let engine = shelf.engine().await;
    shelf.stop_at(commit, when);
    let ended = shelf
        .crash(bring_to_an_end(&engine, ending, &id))
        .await
        .is_some();
    drop(engine);
    shelf.go_on();
    shelf.nobody_is_left().await;
    let engine = shelf.engine().await;
    let before = engine.history(&id).await.unwrap_or_default();
    let run = bring_to_an_end(&engine, ending, &id).await;
    assert!(run.has_failed() || run.is_cancelled(), "{at}: {run}");
    let after = run.events().await.unwrap();
    assert_eq!(after[..before.len()], before, "{at}");
    assert_eq!(
        completed(&after),
        ["make", "unmake", "wipe", "sweep"],
        "{at}\n{}",
        lines(&after)
    );
    ended
}

/// Runs it until it fails, or for one that does not end, until it is cancelled.
async fn bring_to_an_end(
    engine: &flux::Engine,
    ending: Ending,
    id: &ExecutionId,
) -> flux::Execution<u32> {
    let run = work_and_tidy.on(engine).run(ending).execution_id(id);
    let cancel = async {
        while ran(id, "work") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if ending == Ending::Toils {
            engine.cancel(id).await.ok();
        }
    };
    tokio::join!(run, cancel).0.unwrap()
}

/// The names of the tasks that returned, in order.
fn completed(events: &[Event]) -> Vec<String> {
    let ends = events
        .iter()
        .filter(|event| event.kind == EventKind::TaskCompleted);
    let calls = ends.filter_map(|end| events.iter().find(|call| Some(call.seq) == end.refers));
    calls
        .filter_map(|call| call.name.as_deref().map(str::to_owned))
        .collect()
}

static HELD: Mutex<Weak<()>> = Mutex::new(Weak::new());

#[workflow]
async fn hold_context(ctx: ExecutionContext) {
    let held = Arc::new(());
    *HELD.lock().unwrap() = Arc::downgrade(&held);
    let me = ctx.clone();
    ctx.on_exit(move || async move {
        drop((me, held));
        Ok::<_, String>(())
    });
    flux::pause("here").await;
}

/// A handler may hold the context that holds it.
#[tokio::test]
async fn what_is_put_away_is_let_go_of() {
    let engine = Shelf::memory().engine().await;
    let run = hold_context.on(&engine).run(()).await.unwrap();
    assert!(run.is_paused());
    assert_eq!(HELD.lock().unwrap().strong_count(), 0);
}

#[workflow]
async fn register_elsewhere(ctx: ExecutionContext) -> Result<(), String> {
    let inner = ctx.clone();
    let spawned = tokio::spawn(async move { inner.on_exit(sweep) });
    spawned.await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn it_is_registered_by_the_workflow_itself() {
    let engine = Shelf::memory().engine().await;
    let run = register_elsewhere.on(&engine).run(()).await.unwrap();
    assert!(
        run.failure().unwrap().message().contains("panicked"),
        "{run}"
    );
    assert_eq!(ran(run.execution_id(), "sweep"), 0);
}
