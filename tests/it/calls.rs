//! What became of every call of an execution, whatever it asked for.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use flux::time::{days, hours, secs};
use flux::{
    CallInfo, CallKind, CallStatus, Engine, ExecutionContext, ExecutionId, TaskError, task,
    task_context, workflow,
};

use crate::support::{Shelf, begin, code_of, set_code, unique};

/// The repair of what is broken.
const REPAIRED: u32 = 1;

#[task(max_attempts = 3, backoff = "fixed(1s)")]
async fn fetch(works_at: u32) -> Result<u32, String> {
    match begin() as u32 {
        attempt if attempt >= works_at => Ok(attempt),
        attempt => Err(format!("no answer {attempt}")),
    }
}

#[task]
async fn repair() -> Result<String, String> {
    match code_of(task_context().unwrap().execution_id()) {
        REPAIRED => Ok("done".to_owned()),
        _ => Err("no tools".to_owned()),
    }
}

#[task]
async fn hang() {
    begin();
    std::future::pending().await
}

#[workflow]
async fn fold_twice(ctx: ExecutionContext<u32>) -> u32 {
    ctx.input() * 2
}

#[workflow]
async fn do_everything(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    let fetched = fetch(3).await?;
    flux::sleep(secs(5)).await;
    let number = flux::signal::<u32>("number").await;
    let doubled = fold_twice.call(number).await?;
    let approved = flux::pause("approval").value::<bool>().await;
    let lost = flux::timeout(secs(1), fetch(1)).await;
    assert!(lost.is_ok());
    Ok(fetched + doubled + u32::from(approved))
}

async fn calls(engine: &Engine, id: &ExecutionId) -> Vec<CallInfo> {
    engine.get(id).await.unwrap().calls().await.unwrap()
}

fn show(calls: &[CallInfo]) -> String {
    let mut text = String::new();
    for call in calls {
        let (kind, name, status) = (call.kind(), call.name(), call.status());
        write!(text, "{} {kind} {name} {status}", call.call()).unwrap();
        match call.attempts() {
            0 => {}
            attempts => write!(text, " {attempts}").unwrap(),
        }
        if let Some(output) = call.output() {
            write!(text, " {output}").unwrap();
        }
        text.push('\n');
    }
    text
}

#[track_caller]
fn check(calls: &[CallInfo], expected: &[&str]) {
    let shown = show(calls);
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_call_is_told_with_its_outcome() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = do_everything.on(&engine).start(()).await.unwrap();
    let id = handle.execution_id().clone();
    handle.signal("number", &20).await.unwrap();
    let run = handle.wait().await.unwrap();
    assert!(run.is_paused(), "{run}");

    let paused = run.calls().await.unwrap();
    check(
        &paused,
        &[
            "2 Task fetch Completed 3 3",
            "6 Timer timer Completed",
            "8 Signal number Completed 20",
            "10 Child fold_twice Completed 1 40",
            "12 Pause approval Waiting",
        ],
    );
    let [fetched, slept, _, doubled, approval] = &paused[..] else {
        panic!("{paused:?}")
    };
    assert_eq!(fetched.last_error(), Some("no answer 2"));
    assert_eq!(fetched.input().unwrap().as_str(), "[3]");
    assert_eq!(fetched.duration().unwrap().as_secs(), 2);
    assert_eq!(slept.due(), slept.finished_at());
    assert_eq!(slept.duration(), Some(secs(5)));
    let child = doubled.child().unwrap();
    assert_eq!(engine.get(child).await.unwrap().parent(), Some(&id));
    assert_eq!(approval.wants(), Some("bool"));
    assert_eq!((approval.duration(), approval.finished_at()), (None, None));
    let line = approval.site().unwrap();
    assert!(line.starts_with("tests/it/calls.rs:"), "{line}");

    let run = do_everything.on(&engine).resume(&id).with(&true).await;
    let calls = run.unwrap().calls().await.unwrap();
    assert_eq!(calls[4].wants(), None);
    check(
        &calls[4..],
        &[
            "12 Pause approval Completed true",
            "14 Task fetch Completed 1 4",
            "15 Timer timer Cancelled",
        ],
    );
}

#[workflow]
async fn fetch_late(_ctx: ExecutionContext) -> Result<u32, TaskError> {
    fetch(9).await
}

#[tokio::test(start_paused = true)]
async fn a_task_between_two_attempts_says_when_the_next_is_due() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let handle = fetch_late.on(&engine).start(()).await.unwrap();
    let id = handle.execution_id().clone();
    let mut events = engine.subscribe(&id).await.unwrap();
    let failed = loop {
        let event = events.next().await.unwrap().unwrap();
        if event.kind == flux::EventKind::TaskAttemptFailed {
            break event;
        }
    };
    let waiting = calls(&engine, &id).await;
    check(&waiting, &["2 Task fetch Retrying 2"]);
    assert_eq!(waiting[0].last_error(), Some("no answer 1"));
    let due = waiting[0].due().unwrap();
    let wait = due.duration_since(SystemTime::from(failed.at)).unwrap();
    assert!(
        wait >= Duration::from_millis(500) && wait <= secs(2),
        "{wait:?}"
    );

    let run = handle.wait().await.unwrap();
    let failed = run.calls().await.unwrap();
    check(&failed, &["2 Task fetch Failed 3"]);
    assert_eq!(
        (failed[0].due(), failed[0].last_error()),
        (None, Some("no answer 3"))
    );
}

#[workflow]
async fn mend(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let done = repair().await;
    fetch(1).await?;
    done
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_tried_again_is_listed_once_and_what_followed_its_failure_is_reused() {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let id = unique("mend");
    let run = mend.on(&engine).run(()).execution_id(&id).await.unwrap();
    check(
        &run.calls().await.unwrap(),
        &["2 Task repair Failed 1", "4 Task fetch Completed 1 1"],
    );
    set_code(&id, REPAIRED);
    let run = mend.on(&engine).resume(&id).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
    let calls = run.calls().await.unwrap();
    check(
        &calls,
        &[
            r#"2 Task repair Completed 1 "done""#,
            "9 Task fetch Completed 1",
        ],
    );
    assert_eq!(calls[0].last_error(), Some("no tools"));
    assert!(calls[1].is_reused());
    let tasks = run.tasks().await.unwrap();
    let told = tasks.iter().map(|task| (task.name(), task.attempts()));
    assert_eq!(told.collect::<Vec<_>>(), [("repair", 1), ("fetch", 0)]);
}

#[workflow]
async fn take_turns(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let fetched = fetch(1).await?;
    if *ctx.input() < 3 {
        ctx.continue_as_new(ctx.input() + 1).await;
    }
    Ok(fetched)
}

#[tokio::test(start_paused = true)]
async fn only_the_last_turn_of_an_execution_that_began_anew_is_told() {
    let shelf = Shelf::memory();
    let run = take_turns.on(&shelf.engine().await).run(1).await.unwrap();
    let calls = run.calls().await.unwrap();
    check(&calls, &["8 Task fetch Completed 1 3"]);
}

#[workflow]
async fn race_four(_ctx: ExecutionContext) {
    tokio::select! {
        _ = hang() => {}
        () = flux::sleep(secs(1)) => {}
        () = flux::signal::<()>("never") => {}
        () = flux::cancelled() => {}
    }
}

#[tokio::test(start_paused = true)]
async fn the_losers_of_a_race_are_cancelled_when_it_is_won() {
    let shelf = Shelf::memory();
    let run = race_four.on(&shelf.engine().await).run(()).await.unwrap();
    let calls = run.calls().await.unwrap();
    check(
        &calls,
        &[
            "2 Task hang Cancelled 1",
            "3 Timer timer Completed",
            "4 Signal never Cancelled",
            "5 Cancellation cancelled Cancelled",
        ],
    );
    assert!(calls.iter().all(|call| call.duration() == Some(secs(1))));
}

#[workflow]
async fn sleep_twice(_ctx: ExecutionContext) {
    tokio::join!(flux::sleep(days(1)), flux::sleep(hours(1)));
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_an_execution_is_ended_from_outside_is_cancelled() {
    let shelf = Shelf::memory();
    for is_cancelled in [true, false] {
        let engine = shelf.engine().await;
        let handle = sleep_twice.on(&engine).start(()).await.unwrap();
        let id = handle.execution_id().clone();
        let waiting = calls(&engine, &id).await;
        assert!(
            waiting
                .iter()
                .all(|call| call.status() == CallStatus::Waiting)
        );
        assert!(waiting[0].due() > waiting[1].due());
        if is_cancelled {
            handle.cancel().await.unwrap();
        } else {
            handle.terminate("enough").await.unwrap();
        }
        let run = handle.wait().await.unwrap();
        assert!(run.has_finished(), "{run}");
        check(
            &calls(&engine, &id).await,
            &["2 Timer timer Cancelled", "3 Timer timer Cancelled"],
        );
    }
}

#[tokio::test]
async fn the_words_of_a_call_are_the_same_in_json() {
    let kind = serde_json::to_string(&CallKind::Cancellation).unwrap();
    let status = serde_json::to_string(&CallStatus::Retrying).unwrap();
    assert_eq!((&*kind, &*status), (r#""cancellation""#, r#""retrying""#));
    assert_eq!(format!("{:>8}|", CallKind::Timer), "   Timer|");
}
