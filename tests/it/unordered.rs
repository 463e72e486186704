//! Values whose JSON has no fixed order are refused where they are first recorded.

use std::collections::{BTreeSet, HashMap, HashSet};

use flux::sqlite::transaction;
use flux::{Engine, Error, ExecutionContext, TaskError, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Greeter, Shelf, unique};

fn ids() -> HashSet<u32> {
    [1, 2].into()
}

#[task]
async fn count(ids: HashSet<u32>) -> usize {
    ids.len()
}

#[task]
async fn collect(_prefix: String) -> (u8, HashSet<u32>) {
    (1, ids())
}

#[workflow]
async fn count_ids(ctx: ExecutionContext<HashSet<u32>>) -> usize {
    ctx.input().len()
}

#[workflow]
async fn return_ids(_ctx: ExecutionContext) -> HashSet<u32> {
    ids()
}

/// Where a workflow records a value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Place {
    TaskInput,
    TaskOutput,
    StepOutput,
    TransactionOutput,
    ChildInput,
    ChildOutput,
    Published,
    NewInput,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Plan {
    place: Place,
    ids: Option<BTreeSet<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<HashSet<u32>>,
}

#[workflow]
async fn record_at(ctx: ExecutionContext<Plan>) -> Result<(), TaskError> {
    match ctx.input().place {
        Place::TaskInput => drop(count(ids()).await?),
        Place::TaskOutput => drop(collect("x".to_owned()).await?),
        Place::StepOutput => {
            let found = flux::step("collect", async { Ok::<_, String>(vec![ids()]) });
            drop(found.await?);
        }
        Place::TransactionOutput => {
            let found = || HashMap::from([("a".to_owned(), ids())]);
            let found = transaction("collect", move |_| Ok::<_, String>(found()));
            drop(found.await?);
        }
        Place::ChildInput => drop(count_ids.call(ids()).await?),
        Place::ChildOutput => drop(return_ids.call(()).await?),
        Place::Published => flux::publish("ids", &(7, ids())),
        Place::NewInput => {
            let plan = Plan {
                others: Some(ids()),
                ..ctx.input().clone()
            };
            match ctx.continue_as_new(plan).await {}
        }
    }
    Ok(())
}

fn is_refused(message: &str, path: &str) {
    let place = match path {
        "." => String::new(),
        path => format!("at `{path}`: "),
    };
    let said = format!("{place}a `HashSet` has no fixed order");
    assert!(message.contains(&said), "{message}");
    assert!(message.contains("use a `BTreeSet`"), "{message}");
}

#[tokio::test]
async fn what_a_workflow_records_is_refused_with_its_path_and_the_cure() {
    let shelf = Shelf::sqlite().await;
    for engine in [shelf.engine().await, shelf.always_replay().engine().await] {
        for (place, path) in [
            (Place::TaskInput, "[0]"),
            (Place::TaskOutput, "[1]"),
            (Place::StepOutput, "[0]"),
            (Place::TransactionOutput, "a"),
            (Place::ChildInput, "."),
            (Place::ChildOutput, "."),
            (Place::Published, "[1]"),
            (Place::NewInput, "others"),
        ] {
            let (ids, others) = (None, None);
            let plan = Plan { place, ids, others };
            let run = record_at.on(&engine).run(plan).await.unwrap();
            is_refused(run.failure().unwrap().message(), path);
            engine.replay(run.execution_id()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_comes_from_outside_is_refused_and_nothing_is_written() {
    let engine = Engine::in_memory();
    let run = count_ids.on(&engine).run(ids()).execution_id("run").await;
    let by_name = engine.start_by_name("count_ids", ids());
    let schedule = engine.schedule("nightly", count_ids, ids());
    let schedule = schedule.cron("0 3 * * *").await;
    let errors = [
        run.unwrap_err(),
        count_ids.on(&engine).start(ids()).await.unwrap_err(),
        by_name.await.unwrap_err(),
        schedule.unwrap_err(),
    ];
    for error in errors {
        is_refused(&error.to_string(), ".");
    }
    assert!(engine.list().await.unwrap().is_empty());

    let handle = wait_for_ids.on(&engine).start(()).execution_id("wait");
    handle.await.unwrap();
    let signal = engine.signal("wait", "ids", &ids()).await.unwrap_err();
    is_refused(&signal.to_string(), ".");
    engine.signal("wait", "ids", &[1, 2]).await.unwrap();
    while !engine.get("wait").await.unwrap().is_paused() {
        tokio::task::yield_now().await;
    }
    let answer = wait_for_ids.on(&engine).resume("wait").with(&(ids(), 1));
    is_refused(&answer.await.unwrap_err().to_string(), "[0]");
    let answer = wait_for_ids.on(&engine).resume("wait").with(&([1], 1));
    assert_eq!(answer.await.unwrap().output(), Some(&3));
}

/// What is sent in an order may be received as a set: it is the JSON that is recorded.
#[workflow]
async fn wait_for_ids(_ctx: ExecutionContext) -> usize {
    let ids = flux::signal::<HashSet<u32>>("ids").await;
    let (others, _): (HashSet<u32>, u8) = flux::pause("others").value().await;
    ids.len() + others.len()
}

#[workflow]
async fn pass_on(ctx: ExecutionContext<Plan>) -> Result<usize, TaskError> {
    flux::pause("look").await;
    Ok(ctx.input().ids.as_ref().map_or(0, BTreeSet::len))
}

/// PITFALL: an input whose order had changed was another input for a second start of the same id.
#[tokio::test]
async fn an_idempotent_start_compares_what_is_read_and_not_how_it_was_written() {
    let engine = Engine::builder().in_memory().state(Greeter { word: "hi" });
    let engine = engine.build().await.unwrap();
    let id = unique("again");
    let plan = Plan {
        place: Place::Published,
        ids: Some([1, 2].into()),
        others: None,
    };
    let first = pass_on.on(&engine).run(plan.clone()).execution_id(&id);
    assert!(first.await.unwrap().is_paused());
    // Another order of keys and of items, and a field that is left out or said to be empty.
    for same in [
        r#"{"ids":[2,1],"place":"Published"}"#,
        r#"{"others":null,"place":"Published","ids":[1,2]}"#,
    ] {
        let input: serde_json::Value = serde_json::from_str(same).unwrap();
        let run = engine.run_by_name("pass_on", input).execution_id(&id);
        assert!(run.await.unwrap().is_paused(), "{same}");
    }
    let other = Plan {
        ids: Some([1, 3].into()),
        ..plan
    };
    let run = pass_on.on(&engine).run(other).execution_id(&id).await;
    assert!(matches!(run, Err(Error::InputMismatch { .. })), "{run:?}");
}

#[workflow]
async fn nest(ctx: ExecutionContext<Option<Option<u32>>>) -> Result<String, TaskError> {
    flux::pause("look").await;
    Ok(format!("{:?}", ctx.input()))
}

/// `Some(None)` and `None` are one JSON, and so one value.
#[tokio::test]
async fn it_is_the_json_that_is_compared() {
    let engine = Engine::in_memory();
    let run = nest.on(&engine).run(Some(None)).execution_id("nest").await;
    assert!(run.unwrap().is_paused());
    let again = nest.on(&engine).run(None).execution_id("nest").await;
    assert!(again.unwrap().is_paused());
    let run = nest.on(&engine).resume("nest").await.unwrap();
    assert_eq!(run.output().unwrap(), "None");
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("not in stock")]
struct Missing {
    ids: HashSet<u32>,
}

#[workflow]
async fn miss(_ctx: ExecutionContext) -> Result<(), Missing> {
    Err(Missing {
        ids: (0..20).collect(),
    })
}

/// An error is always recorded, so the order of what it holds is not compared.
#[tokio::test]
async fn an_error_that_holds_a_set_is_the_same_error_in_a_replay() {
    let engine = Engine::in_memory();
    let run = miss.on(&engine).run(()).await.unwrap();
    assert!(run.has_failed());
    engine.replay(run.execution_id()).await.unwrap();
}
