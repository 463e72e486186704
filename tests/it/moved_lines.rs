//! Equal calls keep their results when a deploy moves the lines on which they stand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Poll, Waker};

use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, TaskError, durable, task, workflow,
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::support::edits::{Line, replace, shift};
use crate::support::{Shelf, unique};

/// Gives another number each time.
#[task]
async fn draw() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, SeqCst)
}

#[workflow]
async fn tell_id(ctx: ExecutionContext) -> String {
    ctx.execution_id().to_string()
}

/// What the code has seen, each pair from two neighbouring lines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pairs {
    uuids: Option<(String, String)>,
    randoms: Option<(u64, u64)>,
    tasks: Option<(u64, u64)>,
    steps: Option<(u64, u64)>,
    children: Option<(String, String)>,
    signals: Option<(String, String)>,
    answers: Option<(String, String)>,
}

#[workflow]
#[rustfmt::skip]
async fn see_pairs(_ctx: ExecutionContext) -> Result<Pairs, TaskError> {
    let mut pairs = Pairs::default();
    let first = flux::uuid().to_string();
    let other = flux::uuid().to_string();
    pairs.uuids = Some((first, other));
    pairs.randoms = Some((
        flux::random(),
        flux::random(),
    ));
    let (first, other) = tokio::join!(
        draw(),
        draw(),
    );
    pairs.tasks = Some((first?, other?));
    let body = || async { Ok::<_, String>(fastrand::u64(..)) };
    let (first, other) = tokio::join!(
        flux::step("roll", body()),
        flux::step("roll", body()),
    );
    pairs.steps = Some((first?, other?));
    let (first, other) = tokio::join!(
        tell_id.call(()),
        tell_id.call(()),
    );
    pairs.children = Some((first?, other?));
    let signals = tokio::join!(
        flux::signal("word"),
        flux::signal("word"),
    );
    pairs.signals = Some(signals);
    let answers = tokio::join!(
        flux::pause("approve").value(),
        flux::pause("approve").value(),
    );
    pairs.answers = Some(answers);
    flux::publish("seen", &pairs);
    flux::pause("look").await;
    Ok(pairs)
}

/// A process of a build whose lines stand this much below those of the build that wrote the history.
async fn deploy(shelf: &Shelf, engine: Option<Engine>, by: i64) -> Engine {
    drop(engine);
    shelf.nobody_is_left().await;
    shelf.was_written_with(shift(-by));
    shelf.engine().await
}

#[tokio::test(start_paused = true)]
async fn two_of_everything_keep_their_results_when_a_line_is_inserted_above() {
    for (before_the_answers, after_them) in [(0, 1), (1, 0), (-1, 1), (2, -2)] {
        let shelf = Shelf::memory();
        let id = unique("pairs");
        let engine = deploy(&shelf, None, 0).await;
        let handle = see_pairs.on(&engine).start(()).execution_id(&id);
        handle.await.unwrap();
        engine.signal(&id, "word", "one").await.unwrap();
        engine.signal(&id, "word", "two").await.unwrap();
        while !engine.get(&id).await.unwrap().is_paused() {
            tokio::task::yield_now().await;
        }
        let engine = deploy(&shelf, Some(engine), before_the_answers).await;
        for answer in ["yes", "no"] {
            let resume = see_pairs.on(&engine).resume(&id).at("approve");
            let _answered = resume.with(answer).await.unwrap();
        }
        let seen: Pairs = engine.published(&id, "seen").await.unwrap().unwrap();
        let words = ("one".to_owned(), "two".to_owned());
        assert_eq!(seen.signals, Some(words));
        assert_eq!(seen.answers, Some(("yes".to_owned(), "no".to_owned())));

        let engine = deploy(&shelf, Some(engine), after_them).await;
        engine.replay(&id).await.unwrap();
        let run = see_pairs.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output(), Some(&seen));
        assert!(engine.replay(&id).await.unwrap().is_finished);
    }
}

/// Wakes that are no arrivals: the code is polled, asks for nothing, and `join!` begins with another branch.
static KNOCK: Mutex<Vec<Waker>> = Mutex::new(Vec::new());

#[durable]
async fn knocked_at() {
    std::future::poll_fn(|cx| {
        KNOCK.lock().unwrap().push(cx.waker().clone());
        Poll::<()>::Pending
    })
    .await;
}

#[workflow]
#[rustfmt::skip]
async fn rotate(_ctx: ExecutionContext) -> Result<(u64, String, u64, String), TaskError> {
    let open = Notify::new();
    let left = async {
        open.notified().await;
        let key = flux::uuid().to_string();
        Ok::<_, TaskError>((draw().await?, key))
    };
    let right = async {
        open.notified().await;
        let key = flux::uuid().to_string();
        Ok::<_, TaskError>((draw().await?, key))
    };
    let opener = async {
        flux::signal::<()>("open").await;
        open.notify_waiters();
    };
    let (left, right, ()) = tokio::select! {
        joined = async { tokio::join!(left, right, opener) } => joined,
        () = knocked_at() => unreachable!(),
    };
    let ((left, left_key), (right, right_key)) = (left?, right?);
    let seen = (left, left_key, right, right_key);
    flux::publish("seen", &seen);
    flux::pause("look").await;
    Ok(seen)
}

#[tokio::test]
async fn branches_that_join_has_rotated_keep_their_results() {
    let mut orders = Vec::new();
    for knocks in 0..3 {
        for by in [0, 1, -3] {
            let shelf = Shelf::memory();
            let id = unique("rotated");
            let engine = deploy(&shelf, None, 0).await;
            rotate
                .on(&engine)
                .start(())
                .execution_id(&id)
                .await
                .unwrap();
            for _ in 0..knocks {
                let wakers = loop {
                    crate::support::settle().await;
                    let wakers = std::mem::take(&mut *KNOCK.lock().unwrap());
                    if !wakers.is_empty() {
                        break wakers;
                    }
                };
                wakers.into_iter().for_each(Waker::wake);
                crate::support::settle().await;
            }
            engine.signal(&id, "open", &()).await.unwrap();
            while !engine.get(&id).await.unwrap().is_paused() {
                tokio::task::yield_now().await;
            }
            let seen = engine.published(&id, "seen").await.unwrap();
            let draws = lines_of(&engine, &id, EventKind::TaskStarted).await;
            orders.push(draws.is_sorted());

            let engine = deploy(&shelf, Some(engine), by).await;
            let run = rotate.on(&engine).resume(&id).await;
            let run = run.unwrap_or_else(|error| panic!("{knocks} knocks, {by}: {error}"));
            assert_eq!(run.output().cloned(), seen, "{knocks} knocks, {by}");
        }
    }
    // Code that is replayed before every activation is polled from its first branch on each time.
    let is_always_replayed = std::env::var_os("FLUX_ALWAYS_REPLAY").is_some();
    assert!(
        is_always_replayed || (orders.contains(&true) && orders.contains(&false)),
        "no branch was rotated"
    );
}

async fn lines_of(engine: &Engine, id: &ExecutionId, kind: EventKind) -> Vec<Line> {
    let events = engine.history(id).await.unwrap();
    let events = events.iter().filter(|event| event.kind == kind);
    events.filter_map(Line::of).collect()
}

async fn debit() -> Result<u64, TaskError> {
    draw().await
}

async fn credit() -> Result<u64, TaskError> {
    Ok(draw().await?)
}

#[workflow]
async fn transfer(_ctx: ExecutionContext) -> Result<(u64, u64), TaskError> {
    let (debit, credit) = tokio::join!(debit(), credit());
    let both = (debit?, credit?);
    flux::publish("seen", &both);
    flux::pause("look").await;
    Ok(both)
}

/// Two functions, each with an equal call: where the build that wrote the history had them, as (line, column).
async fn resume_from(lines: [(i64, i64); 2]) -> Result<bool, Error> {
    let shelf = Shelf::memory();
    let engine = shelf.engine().await;
    let run = transfer.on(&engine).run(()).await?;
    let id = run.execution_id();
    let seen: Option<(u64, u64)> = engine.published(id, "seen").await?;
    let today = lines_of(&engine, id, EventKind::TaskStarted).await;
    let was = today.iter().zip(lines).map(|(today, (line, column))| {
        let was = Line {
            line,
            column,
            ..today.clone()
        };
        (today.clone(), was)
    });
    shelf.was_written_with(replace(was));
    let run = transfer.on(&engine).resume(id).await?;
    Ok(run.output().copied() == seen)
}

#[tokio::test]
async fn functions_that_are_moved_past_each_other_are_told_apart_by_their_columns() {
    let [debit, credit] = [5, 8];
    assert!(resume_from([(10, debit), (20, credit)]).await.unwrap());
    assert!(resume_from([(20, debit), (10, credit)]).await.unwrap());
}

#[tokio::test]
async fn equal_calls_that_nothing_tells_apart_are_a_divergence_that_says_so() {
    let error = resume_from([(20, 9), (10, 9)]).await.unwrap_err();
    let Error::NonDeterminism(divergence) = &error else {
        panic!("{error}")
    };
    assert!(divergence.recorded.contains("draw"), "{error}");
    let note = divergence.note.as_deref().unwrap_or_default();
    assert!(
        note.contains("which of them is which cannot be told"),
        "{error}"
    );
}

/// A failed branch is repaired in a build with other lines, after the other branches have come further.
#[workflow]
#[rustfmt::skip]
async fn repair(ctx: ExecutionContext) -> Result<(u64, u64), TaskError> {
    let left = async {
        let first = draw().await?;
        flux::sleep(std::time::Duration::from_millis(first % 7)).await;
        draw().await
    };
    let right = async {
        let first = draw().await?;
        flux::sleep(std::time::Duration::from_millis(first % 5)).await;
        draw().await
    };
    let broken = async {
        flux::step("broken", {
            let id = ctx.execution_id().clone();
            async move {
                match crate::support::code_of(&id) {
                    0 => Err("not yet".to_owned()),
                    _ => Ok(()),
                }
            }
        }).await
    };
    let (broken, left, right) = tokio::join!(broken, left, right);
    let seen = (left?, right?);
    flux::publish("seen", &seen);
    broken?;
    Ok(seen)
}

#[tokio::test(start_paused = true)]
async fn what_succeeded_beside_a_failure_keeps_its_branch_when_the_repair_moves_lines() {
    for by in -6..=6 {
        let shelf = Shelf::memory();
        let engine = deploy(&shelf, None, 0).await;
        let id = unique("repaired");
        let run = repair.on(&engine).run(()).execution_id(&id).await;
        assert!(run.unwrap().has_failed());
        let seen = engine.published(&id, "seen").await.unwrap();
        crate::support::set_code(&id, 1);
        let engine = deploy(&shelf, Some(engine), by).await;
        let run = repair.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().copied(), seen, "moved by {by}");
    }
}

/// As many equal values as a loop draws, and as many results as it waits for at once.
#[workflow]
async fn draw_many(ctx: ExecutionContext<usize>) -> Result<(u64, u64), TaskError> {
    let drawn = (0..*ctx.input()).map(|_| {
        let drawn = flux::random::<u32>();
        flux::publish("last", &drawn);
        u64::from(drawn)
    });
    let drawn = drawn.sum();
    let results = join_all((0..*ctx.input() / 10).map(|_| draw())).await;
    let results: Result<Vec<u64>, TaskError> = results.into_iter().collect();
    Ok((drawn, results?.iter().sum()))
}

/// PITFALL: each value walked over all that were recorded and read where each was drawn: 5,000 of them took 18 s.
#[tokio::test]
async fn many_equal_values_and_calls_of_one_delivery_are_replayed_in_one_go() {
    let engine = Engine::in_memory();
    let run = draw_many.on(&engine).run(20_000).await.unwrap();
    let replaying = std::time::Instant::now();
    assert!(engine.replay(run.execution_id()).await.unwrap().is_finished);
    // Minutes, where the time grows with the square.
    assert!(replaying.elapsed() < std::time::Duration::from_secs(20));
}
