//! Code that no longer matches a history: told apart precisely, nothing written, and the old code goes on.

use std::time::Duration;

use flux::{
    Engine, Error, ExecutionContext, ExecutionId, NonDeterminism, TaskError, task, workflow,
};

use crate::support::{Shelf, begin, code_of, ran, set_code, unique};

#[task]
async fn charge(amount: u32) -> u32 {
    begin();
    amount
}

#[task]
async fn check() {
    begin();
}

const SWAPPED: u32 = 1;
const INSERTED: u32 = 2;
const REMOVED: u32 = 3;
const RENAMED: u32 = 4;
const OTHER_INPUT: u32 = 5;
const ENDS_EARLY: u32 = 6;
const OTHER_TIMER: u32 = 7;
const OTHER_SIGNAL: u32 = 8;
const OTHER_PAUSE: u32 = 9;
const ALSO_ASKS: u32 = 10;
const FAILS: u32 = 11;
const OTHER_VALUE: u32 = 12;
const NO_VALUE: u32 = 13;

#[workflow]
async fn bill_customer(ctx: ExecutionContext) -> Result<u32, TaskError> {
    let code = code_of(ctx.execution_id());
    let paid = match code {
        SWAPPED => charge(2).await? + charge(1).await?,
        INSERTED => {
            check().await?;
            charge(1).await? + charge(2).await?
        }
        REMOVED => charge(1).await?,
        RENAMED => charge(1).await? + charge(2).named("bill").await?,
        OTHER_INPUT => charge(7).await? + charge(2).await?,
        ENDS_EARLY => return charge(1).await,
        FAILS => panic!("the new code is worse"),
        ALSO_ASKS => {
            let (one, two) = tokio::join!(charge(1), charge(3));
            one? + two? + charge(2).await?
        }
        _ => charge(1).await? + charge(2).await?,
    };
    match code {
        OTHER_VALUE => drop(flux::random::<u32>()),
        NO_VALUE => {}
        _ => drop(flux::uuid()),
    }
    let seconds = if code == OTHER_TIMER { 2 } else { 1 };
    flux::sleep(Duration::from_secs(seconds)).await;
    let word = if code == OTHER_SIGNAL { "stop" } else { "go" };
    let go = flux::signal::<u32>(word).await;
    let point = if code == OTHER_PAUSE {
        "review"
    } else {
        "approval"
    };
    flux::pause(point).await;
    Ok(paid + go + charge(100).await?)
}

/// Runs the old code up to its pause, lets `code` try in vain, and checks that the old code can go on.
async fn refuse(code: u32) -> (NonDeterminism, ExecutionId) {
    let mut seen = None;
    for shelf in [Shelf::memory(), Shelf::memory().always_replay()] {
        let id = unique("bill");
        pause_old_code(&shelf.engine().await, &id).await;
        let engine = shelf.engine().await;
        let before = engine.history(&id).await.unwrap();
        set_code(&id, code);
        let replayed = engine.replay(&id).await.unwrap_err();
        let error = bill_customer.on(&engine).resume(&id).await.unwrap_err();
        assert_eq!(replayed.to_string(), error.to_string());
        let Error::NonDeterminism(divergence) = error else {
            panic!("{error}")
        };
        assert_eq!(divergence.id, id);
        assert_eq!(divergence.workflow, "bill_customer");
        assert_eq!(engine.history(&id).await.unwrap(), before);
        assert!(engine.get(&id).await.unwrap().is_paused());

        set_code(&id, 0);
        let run = bill_customer
            .on(&shelf.engine().await)
            .resume(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&108), "{run}");
        assert_eq!(ran(&id, "charge"), 3);
        assert_eq!(ran(&id, "check"), 0);
        seen = Some((*divergence, id));
    }
    seen.unwrap()
}

async fn pause_old_code(engine: &Engine, id: &ExecutionId) {
    let handle = bill_customer
        .on(engine)
        .start(())
        .execution_id(id)
        .await
        .unwrap();
    handle.signal("go", &5).await.unwrap();
    let run = handle.wait().await.unwrap();
    assert!(run.is_paused(), "{run}");
}

/// The line of this file that has this text.
fn site(text: &str) -> String {
    let found = include_str!("divergence.rs")
        .lines()
        .position(|line| line.contains(text));
    format!("tests/it/divergence.rs:{}:", found.unwrap() + 1)
}

#[track_caller]
fn says(divergence: &NonDeterminism, event: u32, recorded: &str, found: &str) {
    let text = divergence.to_string();
    assert_eq!(divergence.event.get(), event, "{text}");
    assert!(divergence.recorded.contains(recorded), "{text}");
    assert!(divergence.found.contains(found), "{text}");
    assert!(
        text.contains(&format!("event {event} ")) && text.contains("flux::patched"),
        "{text}"
    );
}

#[track_caller]
fn stands_at(divergence: &NonDeterminism, line: &str) {
    let at = divergence
        .site
        .as_deref()
        .unwrap_or_else(|| panic!("no line in: {divergence}"));
    assert!(at.starts_with(&site(line)), "{at} is not {}", site(line));
}

/// PITFALL: two like calls that a deploy swapped were given each other's recorded results, and the replay said that
/// all was well.
#[tokio::test(start_paused = true)]
async fn swapped_calls_are_no_swapped_results() {
    let (divergence, _) = refuse(SWAPPED).await;
    says(
        &divergence,
        2,
        "TASK_STARTED `charge` with input `[1]`",
        "asked for task `charge` with input `[2]`",
    );
    stands_at(&divergence, "SWAPPED => charge(2)");
}

/// AT-20.
#[tokio::test(start_paused = true)]
async fn an_inserted_call_is_named_with_its_line() {
    let (divergence, _) = refuse(INSERTED).await;
    says(
        &divergence,
        2,
        "TASK_STARTED `charge`",
        "asked for task `check`",
    );
    stands_at(&divergence, "            check().await?;");
}

#[tokio::test(start_paused = true)]
async fn a_call_inserted_beside_another_is_named_with_its_line() {
    let (divergence, _) = refuse(ALSO_ASKS).await;
    says(
        &divergence,
        1,
        "no such call",
        "asked for task `charge` with input `[3]`",
    );
    stands_at(&divergence, "tokio::join!(charge(1), charge(3))");
}

#[tokio::test(start_paused = true)]
async fn a_removed_call_is_named() {
    let (divergence, _) = refuse(REMOVED).await;
    let asked = "asked for VALUE_RECORDED `uuid`";
    says(
        &divergence,
        4,
        "TASK_STARTED `charge` with input `[2]`",
        asked,
    );
    stands_at(&divergence, "drop(flux::uuid())");
}

#[tokio::test(start_paused = true)]
async fn a_renamed_call_is_named_by_both_its_names() {
    let (divergence, _) = refuse(RENAMED).await;
    says(
        &divergence,
        4,
        "TASK_STARTED `charge`",
        "asked for task `bill`",
    );
    stands_at(&divergence, "RENAMED => charge(1)");
}

#[tokio::test(start_paused = true)]
async fn a_changed_input_shows_both_inputs() {
    let (divergence, _) = refuse(OTHER_INPUT).await;
    says(&divergence, 2, "with input `[1]`", "with input `[7]`");
    stands_at(&divergence, "OTHER_INPUT => charge(7)");
}

#[tokio::test(start_paused = true)]
async fn code_that_ends_before_its_history_is_named() {
    let (divergence, _) = refuse(ENDS_EARLY).await;
    says(&divergence, 4, "TASK_STARTED `charge` with input `[2]`", "");
    let (divergence, _) = refuse(FAILS).await;
    says(&divergence, 2, "TASK_STARTED `charge` with input `[1]`", "");
}

#[tokio::test(start_paused = true)]
async fn a_changed_timer_shows_both_durations() {
    let (divergence, _) = refuse(OTHER_TIMER).await;
    says(&divergence, 7, "TIMER_STARTED", "asked for timer");
    assert!(
        divergence.recorded.contains("1000000") && divergence.found.contains("2000000"),
        "{divergence}"
    );
    stands_at(&divergence, "flux::sleep(Duration::from_secs(seconds))");
}

#[tokio::test(start_paused = true)]
async fn a_changed_signal_shows_both_names() {
    let (divergence, _) = refuse(OTHER_SIGNAL).await;
    says(
        &divergence,
        9,
        "SIGNAL_AWAITED `go`",
        "asked for signal `stop`",
    );
    stands_at(&divergence, "flux::signal::<u32>(word)");
}

#[tokio::test(start_paused = true)]
async fn a_changed_pause_point_shows_both_names() {
    let (divergence, _) = refuse(OTHER_PAUSE).await;
    says(
        &divergence,
        11,
        "PAUSE_REACHED `approval`",
        "asked for pause point `review`",
    );
    stands_at(&divergence, "flux::pause(point)");
}

#[tokio::test(start_paused = true)]
async fn a_changed_or_missing_value_is_named() {
    let (divergence, _) = refuse(OTHER_VALUE).await;
    says(&divergence, 6, "VALUE_RECORDED `uuid`", "random");
    stands_at(&divergence, "flux::random::<u32>()");
    let (divergence, _) = refuse(NO_VALUE).await;
    says(
        &divergence,
        6,
        "VALUE_RECORDED `uuid`",
        "did not ask for it",
    );
}

/// PITFALL: the error burnt an attempt and made the execution fail, so that the right code could not go on.
#[tokio::test(start_paused = true)]
async fn a_divergence_after_a_crash_leaves_the_execution_to_the_old_code() {
    let shelf = Shelf::memory();
    let id = unique("bill");
    let engine = shelf.engine().await;
    shelf.stop_at(3, crate::support::When::AfterCommit);
    let run = bill_customer.on(&engine).run(()).execution_id(&id);
    assert!(shelf.crash(run).await.is_none());
    drop(engine);
    shelf.nobody_is_left().await;
    shelf.go_on();

    let engine = shelf.engine().await;
    let before = engine.history(&id).await.unwrap();
    set_code(&id, SWAPPED);
    for _ in 0..3 {
        let recovered = engine.recover().await.unwrap();
        assert!(recovered.executions.is_empty());
        assert!(
            matches!(recovered.failures[..], [(_, Error::NonDeterminism(_))]),
            "{recovered:?}"
        );
        let again = bill_customer.on(&engine).run(()).execution_id(&id).await;
        assert!(matches!(again, Err(Error::NonDeterminism(_))), "{again:?}");
    }
    assert_eq!(engine.history(&id).await.unwrap(), before);
    set_code(&id, 0);
    engine.signal(&id, "go", &1).await.unwrap();
    let run = bill_customer.on(&engine).resume(&id).await.unwrap();
    assert!(run.is_paused(), "{run}");
    assert_eq!(ran(&id, "charge"), 2);
}
