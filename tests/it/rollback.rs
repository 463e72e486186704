//! Rollbacks: what tasks did is undone, newest first and once, when the execution does not come to a good end.

use std::time::Duration;

use flux::time::{days, secs};
use flux::{
    Engine, Event, EventKind, ExecutionContext, ExecutionId, TaskError, task, task_context,
    workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, code_of, lines, names, ran, set_code, started, unique};

/// What becomes of the last booking, and so of the trip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Fate {
    Booked,
    Refused,
    Panics,
    Hangs,
}

#[task(rollback = give_back)]
async fn book(what: String) -> String {
    begin();
    tokio::time::sleep(Duration::from_millis(1)).await;
    format!("{what} booked")
}

#[task(max_attempts = 3, backoff = "fixed(1ms)")]
async fn give_back(what: String, booked: Option<String>) -> Result<String, String> {
    begin();
    match (what.as_str(), task_context().unwrap().attempt()) {
        ("hotel", 1) => Err("try again".to_owned()),
        _ => Ok(booked.unwrap_or_else(|| "unknown".to_owned())),
    }
}

#[task(rollback = forget_car)]
async fn rent(fate: Fate) -> Result<u32, String> {
    begin();
    match fate {
        Fate::Booked => Ok(7),
        Fate::Refused => Err("no car is left".to_owned()),
        Fate::Panics => panic!("the car is gone"),
        Fate::Hangs => std::future::pending().await,
    }
}

/// No task: it becomes a step.
async fn forget_car(_fate: Fate, car: Option<u32>) -> Result<(), String> {
    begin();
    let _inside = give_back("in the step".to_owned(), None).await;
    match car {
        Some(7) | None => Ok(()),
        Some(_) => Err("not ours".to_owned()),
    }
}

#[task]
async fn note(word: String) {
    begin();
    let _ = word;
}

async fn travel(fate: Fate) -> Result<String, TaskError> {
    let flight = book("flight".into()).await?;
    note("half way".into()).await?;
    let hotel = book("hotel".into()).await?;
    let car = rent(fate).await?;
    Ok(format!("{flight}, {hotel}, car {car}"))
}

#[workflow]
async fn book_trip(ctx: ExecutionContext<Fate>) -> Result<String, TaskError> {
    travel(*ctx.input()).await
}

/// The names and inputs of the rollbacks, in order.
fn rollbacks(events: &[Event]) -> Vec<String> {
    let is_rollback = |event: &&Event| {
        let meta = event.meta.as_ref().map(ToString::to_string);
        event.kind == EventKind::TaskStarted && meta.is_some_and(|meta| meta.contains("undoes"))
    };
    let describe = |event: &Event| {
        let input = event.payload.as_ref().map(ToString::to_string);
        format!(
            "{}{}",
            event.name.as_deref().unwrap(),
            input.unwrap_or_default()
        )
    };
    events.iter().filter(is_rollback).map(describe).collect()
}

const HOTEL: &str = r#"give_back["hotel","hotel booked"]"#;
const FLIGHT: &str = r#"give_back["flight","flight booked"]"#;

#[tokio::test]
async fn a_good_end_undoes_nothing_and_costs_nothing() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_trip.on(&engine).run(Fate::Booked).await.unwrap();
        assert_eq!(run.output().unwrap(), "flight booked, hotel booked, car 7");
        // One commit for the start and one for each task.
        assert_eq!(shelf.commits(), 5);
        assert_eq!(run.events().await.unwrap().len(), 10);
    }
}

#[tokio::test]
async fn a_failure_undoes_what_was_done_newest_first_with_attempts_of_its_own() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_trip.on(&engine).run(Fate::Refused).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(
            (failure.task(), failure.message()),
            (Some("rent"), "task `rent` failed: no car is left")
        );
        let events = run.events().await.unwrap();
        assert_eq!(rollbacks(&events), [HOTEL, FLIGHT], "{}", lines(&events));
        assert_eq!(ran(run.execution_id(), "give_back"), 3);
        assert_eq!(names(&events, EventKind::ExitStarted), ["failed"]);
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_undone_without_an_output() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_trip.on(&engine).run(Fate::Panics).await.unwrap();
        assert!(run.has_failed());
        let events = run.events().await.unwrap();
        assert_eq!(
            rollbacks(&events),
            ["forget_car", HOTEL, FLIGHT],
            "{}",
            lines(&events)
        );
        let id = run.execution_id();
        assert_eq!(
            ran(id, "forget_car"),
            2,
            "the call inside the step is a part of it"
        );
    }
}

#[workflow(timeout = "1s")]
async fn book_in_time(ctx: ExecutionContext<Fate>) -> Result<String, TaskError> {
    travel(*ctx.input()).await
}

#[workflow(deadline = "1s")]
async fn book_by_then(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let flight = book("flight".into()).await?;
    flux::sleep(days(1)).await;
    Ok(flight)
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_runs_out_of_time_is_undone_and_times_out() {
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let engine = shelf.engine().await;
        let run = book_in_time.on(&engine).run(Fate::Hangs).await.unwrap();
        assert!(run.failure().unwrap().has_timed_out(), "{run}");
        let events = run.events().await.unwrap();
        assert_eq!(
            rollbacks(&events),
            ["forget_car", HOTEL, FLIGHT],
            "{}",
            lines(&events)
        );
        let run = book_by_then.on(&engine).run(()).await.unwrap();
        assert!(run.failure().unwrap().has_timed_out(), "{run}");
        assert_eq!(rollbacks(&run.events().await.unwrap()), [FLIGHT]);
        assert!(run.duration() < secs(2));
    }
}

#[tokio::test]
async fn a_cancelled_execution_is_undone() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = book_trip.on(&engine).start(Fate::Hangs).await.unwrap();
        let id = handle.execution_id();
        while ran(id, "rent") == 0 {
            tokio::task::yield_now().await;
        }
        handle.cancel().await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(run.is_cancelled(), "{run}");
        let events = run.events().await.unwrap();
        assert_eq!(
            rollbacks(&events),
            ["forget_car", HOTEL, FLIGHT],
            "{}",
            lines(&events)
        );
        assert_eq!(names(&events, EventKind::ExitStarted), ["cancelled"]);
    }
}

#[tokio::test]
async fn a_terminated_execution_is_not() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let handle = book_trip.on(&engine).start(Fate::Hangs).await.unwrap();
        while ran(handle.execution_id(), "rent") == 0 {
            tokio::task::yield_now().await;
        }
        handle.terminate("no").await.unwrap();
        let run = handle.wait().await.unwrap();
        assert!(rollbacks(&run.events().await.unwrap()).is_empty());
    }
}

/// Each rollback completes once and in order, whatever dies when.
#[tokio::test(start_paused = true)]
async fn rollbacks_survive_every_crash() {
    for fate in [Fate::Refused, Fate::Panics] {
        let mut commit = 0;
        loop {
            commit += 1;
            let mut has_ended = false;
            for when in [When::BeforeCommit, When::AfterCommit] {
                has_ended |= crash_while_undoing(fate, commit, when).await;
            }
            if has_ended {
                break;
            }
        }
        assert!(commit > 7, "{fate:?}: {commit}");
    }
}

async fn crash_while_undoing(fate: Fate, commit: usize, when: When) -> bool {
    let at = format!("{fate:?}, {when:?} {commit}");
    let (shelf, id) = (Shelf::memory(), unique("undone"));
    let engine = shelf.engine().await;
    shelf.stop_at(commit, when);
    let run = book_trip.on(&engine).run(fate).execution_id(&id);
    let has_ended = shelf.crash(run).await.is_some();
    drop(engine);
    shelf.nobody_is_left().await;
    shelf.go_on();
    let engine = shelf.engine().await;
    let before = engine.history(&id).await.unwrap_or_default();
    let run = book_trip
        .on(&engine)
        .run(fate)
        .execution_id(&id)
        .await
        .unwrap();
    assert!(run.has_failed(), "{at}: {run}");
    let after = run.events().await.unwrap();
    assert_eq!(after[..before.len()], before, "{at}");
    let wanted: &[&str] = match fate {
        Fate::Panics => &["forget_car", HOTEL, FLIGHT],
        _ => &[HOTEL, FLIGHT],
    };
    assert_eq!(rollbacks(&after), wanted, "{at}\n{}", lines(&after));
    assert_eq!(
        completed_rollbacks(&after),
        wanted.len(),
        "{at}\n{}",
        lines(&after)
    );
    has_ended
}

fn completed_rollbacks(events: &[Event]) -> usize {
    let is_rollback = |call: &Event| {
        let meta = call.meta.as_ref().map(ToString::to_string);
        meta.is_some_and(|meta| meta.contains("undoes"))
    };
    let ends = events
        .iter()
        .filter(|event| event.kind == EventKind::TaskCompleted);
    let calls = ends.filter_map(|end| events.iter().find(|call| Some(call.seq) == end.refers));
    calls.filter(|call| is_rollback(call)).count()
}

#[workflow]
async fn book_twice(ctx: ExecutionContext<Fate>) -> Result<String, TaskError> {
    if travel(*ctx.input()).await.is_err() {
        flux::roll_back().await?;
        flux::roll_back().await?;
    }
    book("train".into()).await?;
    flux::pause("sure").await;
    rent(Fate::Refused).await.map(|_| String::new())
}

const TRAIN: &str = r#"give_back["train","train booked"]"#;

#[tokio::test]
async fn code_may_undo_what_it_did_so_far_and_go_on() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_twice.on(&engine).run(Fate::Refused).await.unwrap();
        assert!(run.is_paused(), "{run}");
        assert_eq!(rollbacks(&run.events().await.unwrap()), [HOTEL, FLIGHT]);
        let id = run.execution_id();
        let run = book_twice.on(&engine).resume(id).await.unwrap();
        assert!(run.has_failed());
        assert_eq!(
            rollbacks(&run.events().await.unwrap()),
            [HOTEL, FLIGHT, TRAIN]
        );
    }
}

#[workflow]
async fn race_bookings(_ctx: ExecutionContext) -> Result<(), TaskError> {
    tokio::select! {
        _ = rent(Fate::Hangs) => {}
        booked = book("flight".into()) => drop(booked?),
    }
    let waits = rent(Fate::Hangs);
    let undo = async {
        book("hotel".into()).await?;
        flux::roll_back().await
    };
    tokio::select! {
        _ = waits => {}
        undone = undo => undone?,
    }
    Ok(())
}

#[tokio::test]
async fn a_dropped_call_is_undone_and_one_that_is_awaited_is_left_for_later() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = race_bookings.on(&engine).run(()).await.unwrap();
        assert!(run.has_succeeded(), "{run}");
        let events = run.events().await.unwrap();
        // The second car is still awaited while the others are undone.
        assert_eq!(
            rollbacks(&events),
            [HOTEL, FLIGHT, "forget_car"],
            "{}",
            lines(&events)
        );
    }
}

#[task(rollback = refuse_to_undo)]
async fn stick(what: u32) -> u32 {
    begin();
    what
}

#[task]
async fn refuse_to_undo(_what: u32, _stuck: Option<u32>) -> Result<(), String> {
    begin();
    Err("it sticks".to_owned())
}

#[task]
async fn choose() -> Result<u32, String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("cannot choose".to_owned()),
        _ => Ok(1),
    }
}

#[workflow]
async fn stick_and_book(_ctx: ExecutionContext) -> Result<String, TaskError> {
    stick(1).await?;
    let flight = book("flight".into()).await?;
    note("plain".into()).await?;
    choose().await?;
    Ok(flight)
}

#[tokio::test]
async fn a_rollback_that_fails_does_not_hinder_the_others_nor_hide_the_failure() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = stick_and_book.on(&engine).run(()).await.unwrap();
        assert_eq!(run.failure().unwrap().task(), Some("choose"));
        let events = run.events().await.unwrap();
        assert_eq!(rollbacks(&events), [FLIGHT, "refuse_to_undo[1,1]"]);
    }
}

/// What was undone is done again; what was not, because it has no rollback or that failed, is taken up.
#[tokio::test]
async fn a_resume_after_a_rollback_begins_anew_with_what_was_not_undone() {
    for shelf in Shelf::every_way().await {
        let id = unique("anew");
        let engine = shelf.engine().await;
        let run = stick_and_book
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        let first = run.events().await.unwrap();
        drop(engine);

        // Still broken: the same once more, and it is undone once more.
        let engine = shelf.engine().await;
        let run = stick_and_book.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.failure().unwrap().task(), Some("choose"), "{run}");
        let twice = [
            "stick",
            "book",
            "note",
            "choose",
            "give_back",
            "refuse_to_undo",
        ];
        let again = ["book", "choose", "give_back", "refuse_to_undo"];
        assert_eq!(started(&id), [&twice[..], &again].concat());
        drop(engine);

        set_code(&id, 1);
        let engine = shelf.engine().await;
        let run = stick_and_book.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), "flight booked", "{run}");
        assert_eq!(
            started(&id),
            [&twice[..], &again, &["book", "choose"]].concat()
        );
        let history = run.events().await.unwrap();
        assert_eq!(history[..first.len()], first);
        // And what is there now is replayed as it is.
        drop(engine);
        let engine = shelf.engine().await;
        let run = stick_and_book.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.events().await.unwrap(), history);
    }
}

#[workflow]
async fn undo_and_fail(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let flight = book("flight".into()).await?;
    flux::roll_back().await?;
    choose().await?;
    Ok(flight)
}

#[tokio::test]
async fn so_does_one_after_the_code_itself_has_undone_things() {
    for shelf in Shelf::every_way().await {
        let id = unique("anew");
        let engine = shelf.engine().await;
        let run = undo_and_fail
            .on(&engine)
            .run(())
            .execution_id(&id)
            .await
            .unwrap();
        assert!(run.has_failed());
        set_code(&id, 1);
        let engine = shelf.engine().await;
        let run = undo_and_fail.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), "flight booked", "{run}");
        let wanted = ["book", "give_back", "choose", "book", "give_back", "choose"];
        assert_eq!(started(&id), wanted);
    }
}

/// A booking whose rollback failed is taken up, and undone the next time: then it is not taken up any more, though the
/// event that recorded it belongs to another call.
#[task(rollback = undo_late)]
async fn book_late() -> u32 {
    begin();
    1
}

#[task]
async fn undo_late(_booked: Option<u32>) -> Result<(), String> {
    begin();
    match code_of(task_context().unwrap().execution_id()) {
        0 => Err("not yet".to_owned()),
        _ => Ok(()),
    }
}

#[workflow]
async fn book_late_and_fail(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let booked = book_late().await?;
    let _ = ctx;
    rent(Fate::Refused).await?;
    Ok(booked)
}

#[tokio::test]
async fn what_is_undone_at_last_is_not_taken_up_from_an_earlier_time() {
    for shelf in Shelf::every_way().await {
        let id = unique("late");
        let engine = shelf.engine().await;
        let on = book_late_and_fail.on(&engine);
        let _ = on.run(()).execution_id(&id).await.unwrap();
        let _ = on.resume(&id).await.unwrap();
        assert_eq!(ran(&id, "book_late"), 1);
        set_code(&id, 1);
        let _ = on.resume(&id).await.unwrap();
        assert_eq!((ran(&id, "book_late"), ran(&id, "undo_late")), (1, 3));
        let _ = on.resume(&id).await.unwrap();
        assert_eq!((ran(&id, "book_late"), ran(&id, "undo_late")), (2, 4));
    }
}

#[workflow(max_attempts = 2)]
async fn book_in_two_tries(ctx: ExecutionContext<Fate>) -> Result<String, TaskError> {
    travel(*ctx.input()).await
}

#[tokio::test]
async fn only_the_last_attempt_of_the_workflow_is_undone() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_in_two_tries
            .on(&engine)
            .run(Fate::Refused)
            .await
            .unwrap();
        assert!(run.has_failed());
        let events = run.events().await.unwrap();
        assert_eq!(rollbacks(&events), [HOTEL, FLIGHT], "{}", lines(&events));
        assert_eq!(ran(run.execution_id(), "rent"), 2);
        let exit = events
            .iter()
            .position(|event| event.kind == EventKind::ExitStarted);
        let rewound = events
            .iter()
            .position(|event| event.kind == EventKind::Rewound);
        assert!(rewound < exit, "{}", lines(&events));
    }
}

#[workflow]
async fn book_and_decide(_ctx: ExecutionContext) -> Result<(), String> {
    book("flight".into())
        .await
        .map_err(|error| error.to_string())?;
    Err("changed my mind".to_owned())
}

#[workflow]
async fn note_and_decide(_ctx: ExecutionContext) -> Result<(), String> {
    note("here".into())
        .await
        .map_err(|error| error.to_string())?;
    Err("changed my mind".to_owned())
}

#[tokio::test]
async fn code_that_decides_to_fail_is_undone_too_and_resumed_anew() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = book_and_decide.on(&engine).run(()).await.unwrap();
        let id = run.execution_id();
        assert_eq!(rollbacks(&run.events().await.unwrap()), [FLIGHT]);
        let run = book_and_decide.on(&engine).resume(id).await.unwrap();
        assert_eq!(run.failure().unwrap().message(), "changed my mind");
        assert_eq!((ran(id, "book"), ran(id, "give_back")), (2, 2));
        // Where nothing was undone, nothing is written.
        let run = note_and_decide.on(&engine).run(()).await.unwrap();
        let before = run.events().await.unwrap();
        let run = note_and_decide
            .on(&engine)
            .resume(run.execution_id())
            .await
            .unwrap();
        assert_eq!(run.events().await.unwrap(), before);
    }
}

#[workflow]
async fn round_trip(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    book(format!("round {}", ctx.input())).await?;
    if *ctx.input() == 0 {
        ctx.continue_as_new(1).await;
    }
    rent(Fate::Refused).await
}

#[tokio::test]
async fn what_was_done_before_a_new_beginning_stays_done() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = round_trip.on(&engine).run(0).await.unwrap();
        assert!(run.has_failed());
        let events = run.events().await.unwrap();
        assert_eq!(
            rollbacks(&events),
            [r#"give_back["round 1","round 1 booked"]"#]
        );
    }
}

#[tokio::test]
async fn outside_a_workflow_there_is_nothing_to_undo() {
    assert!(flux::roll_back().await.is_ok());
    let id: &ExecutionId = &unique("none");
    let engine = Engine::in_memory();
    assert!(engine.get(id).await.is_err());
}
