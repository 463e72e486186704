//! Stories with people in them, crashed before and after each commit: whoever had no reply says it again.

use std::collections::BTreeMap;
use std::time::Duration;

use flux::sqlite::transaction;
use flux::{
    Engine, Error, EventKind, ExecutionContext, ExecutionId, Status, TaskError, Workflow, task,
    workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, When, begin, code_of, lines, set_code, unique};

#[task(max_attempts = 2, backoff = "fixed(5ms)", fallback = say_softly)]
async fn say(word: String) -> Result<String, String> {
    begin();
    tokio::time::sleep(Duration::from_millis(1)).await;
    match word.as_str() {
        "loud" => Err("hoarse".to_owned()),
        _ => Ok(word),
    }
}

#[task]
async fn say_softly(word: String) -> String {
    format!("({word})")
}

#[task]
async fn lift(weight: u32) -> Result<String, String> {
    begin();
    let id = flux::task_context().unwrap().execution_id().clone();
    let root: ExecutionId = id.as_str().split('.').next().unwrap().into();
    match code_of(&root) {
        0 => Err("too heavy".to_owned()),
        _ => Ok(format!("lifted {weight}")),
    }
}

#[workflow]
async fn hear_and_ask(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let first = flux::signal::<u32>("number").await;
    let (second, said, ()) = tokio::join!(
        flux::signal::<u32>("number"),
        say("loud".into()),
        flux::sleep(Duration::from_millis(3))
    );
    let (yes, name) = tokio::join!(
        flux::pause("yes").value::<bool>(),
        flux::pause("name").value::<String>()
    );
    let third = flux::signal::<u32>("number").await;
    flux::pause("last").await;
    Ok(format!("{first} {second} {third} {} {yes} {name}", said?))
}

#[workflow]
async fn lift_and_ask(_ctx: ExecutionContext) -> Result<String, String> {
    let before = say("before".into())
        .await
        .map_err(|error| error.to_string())?;
    let (one, two) = tokio::join!(lift(1), async {
        let done = lift(2).await;
        if done.is_err() {
            say("sorry".into()).await.ok();
        }
        done
    });
    flux::pause("last").await;
    match (one, two) {
        (Ok(one), Ok(two)) => Ok(format!("{before} {one} {two}")),
        (one, two) => Err(format!("{} {}", one.is_ok(), two.is_ok())),
    }
}

#[workflow]
async fn ask_child(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let (one, two) = tokio::join!(lift_in_child.call(1), lift_in_child.call(2));
    flux::pause("last").await;
    Ok(format!("{} {}", one?, two?))
}

#[workflow]
async fn lift_in_child(ctx: ExecutionContext<u32>) -> Result<String, TaskError> {
    let name = flux::pause(format!("name{}", ctx.input()))
        .value::<String>()
        .await;
    let lifted = lift(*ctx.input()).await?;
    Ok(format!("{name} {lifted}"))
}

#[workflow(name = "hear_in_rounds")]
async fn hear_rounds(ctx: ExecutionContext<Round>) -> Result<String, TaskError> {
    let mut round = ctx.input().clone();
    round.heard.push(flux::signal::<u32>("number").await);
    say(format!("round {}", round.heard.len())).await?;
    if round.heard.len() < 3 {
        ctx.continue_as_new(round.clone()).await;
    }
    flux::pause("last").await;
    Ok(format!("{:?}", round.heard))
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Round {
    heard: Vec<u32>,
}

#[workflow(max_attempts = 2)]
async fn count_in_table(_ctx: ExecutionContext) -> Result<String, TaskError> {
    transaction("create", |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS tally (n INTEGER)")
    })
    .await?;
    let add = |n: u32| {
        transaction("add", move |db| {
            db.execute("INSERT INTO tally VALUES (?1)", [n])
        })
    };
    let (one, two, said) = tokio::join!(add(1), add(2), say("three".into()));
    let (_, _, said) = (one?, two?, said?);
    flux::pause("last").await;
    let sum: u32 = transaction("sum", |db| {
        db.query_row("SELECT sum(n) FROM tally", [], |row| row.get(0))
    })
    .await?;
    Ok(format!("{sum} {said}"))
}

async fn send_numbers(engine: &Engine, id: &ExecutionId) {
    while engine.get(id).await.is_err() {
        tokio::task::yield_now().await;
    }
    for number in 1..=3 {
        let key = format!("number {number}");
        match engine.signal_once(id, "number", &number, &key).await {
            Ok(()) | Err(Error::AlreadyFinished { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Drives a story to its end, saying again whatever got no reply.
async fn tell<I: Serialize + Clone>(
    workflow: Workflow<I, String>,
    input: &I,
    engine: &Engine,
    id: &ExecutionId,
) -> String {
    let on = workflow.on(engine);
    let first = on.run(input.clone()).execution_id(id);
    let (first, ()) = tokio::join!(first, send_numbers(engine, id));
    let _ = first.unwrap();
    loop {
        let run = on.run(input.clone()).execution_id(id).await.unwrap();
        let resumed = match run.status() {
            Status::Completed => return run.output().unwrap().clone(),
            Status::Failed => {
                set_code(id, 1);
                on.resume(id).await
            }
            Status::Paused => {
                let point = &run.pause_points()[0];
                let name = point.full_name();
                match point.wants() {
                    None => on.resume(id).at(name).await,
                    Some("bool") => on.resume(id).at(name).with(&true).await,
                    Some(_) => on.resume(id).at(name).with("Ada").await,
                }
            }
            other => panic!("{other}"),
        };
        match resumed {
            Ok(_) | Err(Error::NotPausedAt { .. }) => {}
            Err(error) => panic!("{error}\n{}", lines(&engine.history(id).await.unwrap())),
        }
    }
}

/// How often what happened must have happened, crash or no crash.
async fn census(engine: &Engine, id: &ExecutionId) -> BTreeMap<EventKind, usize> {
    let counted = [
        EventKind::TaskCompleted,
        EventKind::SignalReceived,
        EventKind::PauseAnswered,
        EventKind::TimerFired,
        EventKind::ContinuedAsNew,
        EventKind::ChildStarted,
        EventKind::WorkflowCompleted,
    ];
    let mut census = BTreeMap::new();
    for event in engine.history(id).await.unwrap() {
        if counted.contains(&event.kind) {
            *census.entry(event.kind).or_default() += 1;
        }
    }
    census
}

async fn new_shelf(is_sqlite: bool) -> Shelf {
    match is_sqlite {
        true => Shelf::sqlite().await,
        false => Shelf::memory(),
    }
}

async fn sweep<I: Serialize + Clone>(workflow: Workflow<I, String>, input: I, is_sqlite: bool) {
    let undisturbed = new_shelf(is_sqlite).await;
    let (engine, id) = (undisturbed.engine().await, unique("story"));
    let expected = tell(workflow, &input, &engine, &id).await;
    let expected_census = census(&engine, &id).await;
    let most = undisturbed.commits();
    for commit in 1..=most {
        for when in [When::BeforeCommit, When::AfterCommit] {
            let at = format!("{when:?} {commit} of {most}");
            let (shelf, id) = (new_shelf(is_sqlite).await, unique("story"));
            shelf.stop_at(commit, when);
            let engine = shelf.engine().await;
            let told = shelf.crash(tell(workflow, &input, &engine, &id)).await;
            if let Some(told) = told {
                assert_eq!(told, expected, "{at}");
                continue;
            }
            drop(engine);
            shelf.nobody_is_left().await;
            shelf.go_on();
            let engine = shelf.engine().await;
            let before = engine.history(&id).await.unwrap_or_default();
            let told = tell(workflow, &input, &engine, &id).await;
            let after = engine.history(&id).await.unwrap();
            assert_eq!(after[..before.len()], before, "{at}: no continuation");
            assert_eq!(told, expected, "{at}\n{}", lines(&after));
            assert_eq!(
                census(&engine, &id).await,
                expected_census,
                "{at}\n{}",
                lines(&after)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn signals_pauses_timers_and_fallbacks_survive_every_crash() {
    sweep(hear_and_ask, (), false).await;
}

#[tokio::test(start_paused = true)]
async fn a_repair_survives_every_crash() {
    sweep(lift_and_ask, (), false).await;
}

#[tokio::test(start_paused = true)]
async fn children_that_pause_and_fail_survive_every_crash() {
    sweep(ask_child, (), false).await;
}

#[tokio::test(start_paused = true)]
async fn beginning_anew_survives_every_crash() {
    sweep(hear_rounds, Round::default(), false).await;
}

/// A body of two transactions, and one to undo them.
#[task(rollback = take_back)]
async fn put_two(number: i64) -> Result<i64, TaskError> {
    begin();
    add(number).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    add(number + 100).await
}

async fn take_back(number: i64, _put: Option<i64>) -> Result<i64, TaskError> {
    add(-number).await
}

async fn add(number: i64) -> Result<i64, TaskError> {
    transaction("add", move |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS sums (number INTEGER)")?;
        db.execute("INSERT INTO sums VALUES (?1)", [number])?;
        db.query_row("SELECT count(*) FROM sums", [], |row| row.get(0))
    })
    .await
}

#[workflow]
async fn put_in_bodies(_ctx: ExecutionContext) -> Result<String, TaskError> {
    let counts = [put_two(1).await?, put_two(2).await?];
    flux::roll_back().await?;
    let numbers: String = transaction("read", |db| {
        db.query_row("SELECT group_concat(number) FROM sums", [], |row| {
            row.get(0)
        })
    })
    .await?;
    Ok(format!("{counts:?} {numbers}"))
}

#[tokio::test]
async fn transactions_in_bodies_survive_every_crash() {
    sweep(put_in_bodies, (), true).await;
}

#[tokio::test]
async fn transactions_survive_every_crash() {
    sweep(count_in_table, (), true).await;
}
