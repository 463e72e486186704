//! Errors that `downcast` returns as their own types: the recorded JSON and the name that the program gives decide which
//! type fits, and not the name that Rust has for the type today.

use flux::sqlite::rusqlite::Connection;
use flux::{Engine, EventKind, ExecutionContext, TaskError, Terminal, task, workflow};
use serde::{Deserialize, Serialize};

use crate::support::{Shelf, begin, code_of, count, ran, set_code, unique};

/// Where the types were before a deploy.
mod before {
    use super::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
    #[error("declined")]
    pub(super) struct Declined {
        pub(super) code: u32,
    }

    #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
    pub(super) enum Refusal {
        #[error("declined")]
        Declined,
    }
}

/// And after it.
mod after {
    use super::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
    #[error("declined by the bank")]
    pub(super) struct PaymentDeclined {
        pub(super) code: u32,
        #[serde(default)]
        pub(super) reason: Option<String>,
    }

    #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
    pub(super) enum Refused {
        #[error("declined by the bank")]
        Declined,
    }

    /// Its error has the same name as before the move.
    #[super::task(error = "payments.refused")]
    pub(super) async fn ask_bank() -> Result<u32, Refused> {
        Err(Refused::Declined)
    }
}

/// Of another part of the program, with the same JSON.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum StockRefusal {
    #[error("the shelf declined")]
    Declined,
}

#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum Unnamed {
    #[error("declined by no one")]
    Declined,
}

#[task]
async fn charge_card() -> Result<u32, before::Declined> {
    Err(before::Declined { code: 51 })
}

#[task(error = "payments.refused")]
async fn ask_for_money() -> Result<u32, before::Refusal> {
    Err(before::Refusal::Declined)
}

#[task(error = "stock.refused")]
async fn ask_for_stock() -> Result<u32, StockRefusal> {
    Err(StockRefusal::Declined)
}

#[task]
async fn ask_no_one() -> Result<u32, Unnamed> {
    Err(Unnamed::Declined)
}

#[task(error = "payments.refused")]
async fn ask_once() -> Result<u32, Terminal<before::Refusal>> {
    Err(flux::terminal(before::Refusal::Declined))
}

#[task(error = "stock.refused", fallback = ask_in_writing)]
async fn ask_twice() -> Result<u32, StockRefusal> {
    Err(StockRefusal::Declined)
}

/// Fails with another type than the task, which does not have the name of the task's.
async fn ask_in_writing() -> Result<u32, Unnamed> {
    Err(Unnamed::Declined)
}

#[task]
async fn refund(code: u32) -> u32 {
    begin();
    code
}

#[task]
async fn call_a_person() {
    begin();
}

/// Refunds what was declined, and calls a person for what it does not know.
#[workflow]
async fn pay_or_refund(ctx: ExecutionContext) -> Result<String, TaskError> {
    let error = charge_card().await.unwrap_err();
    let code = match code_of(ctx.execution_id()) {
        0 => error.downcast().map(|before::Declined { code }| code),
        _ => error
            .downcast()
            .map(|after::PaymentDeclined { code, .. }| code),
    };
    match code {
        Some(code) => drop(refund(code).await?),
        None => call_a_person().await?,
    }
    flux::pause("deploy").await;
    Ok(format!("{code:?}"))
}

/// It called a person in the replay, which is a divergence.
#[tokio::test]
async fn a_type_that_has_moved_takes_the_same_branch_in_a_replay() {
    for shelf in Shelf::every_way().await {
        let id = unique("payment");
        let engine = shelf.engine().await;
        let run = pay_or_refund.on(&engine).run(()).execution_id(&id);
        assert!(run.await.unwrap().is_paused());
        set_code(&id, 1);
        let engine = shelf.engine().await;
        let run = pay_or_refund.on(&engine).resume(&id).await.unwrap();
        assert_eq!(run.output().unwrap(), "Some(51)");
        assert_eq!((ran(&id, "refund"), ran(&id, "call_a_person")), (1, 0));
    }
}

/// A history whose types have other names: those of another compiler, or of another place.
fn recorded_elsewhere(file: &std::path::Path) {
    let store = Connection::open(file).unwrap();
    let changed = store
        .execute(
            "UPDATE flux_events SET payload = replace(payload, 'it::typed_errors', 'shop::errors') \
             WHERE payload LIKE '%it::typed_errors%'",
            [],
        )
        .unwrap();
    assert!(changed > 0);
}

#[tokio::test]
async fn the_name_that_rust_had_for_a_type_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flux.db");
    let id = unique("payment");
    let engine = Engine::open(&file).await.unwrap();
    let run = pay_or_refund.on(&engine).run(()).execution_id(&id);
    assert!(run.await.unwrap().is_paused());
    drop(engine);
    recorded_elsewhere(&file);
    let engine = Engine::open(&file).await.unwrap();
    let run = pay_or_refund.on(&engine).resume(&id).await.unwrap();
    assert_eq!(run.output().unwrap(), "Some(51)");
}

/// The types as which an error is returned.
fn types_of(error: &TaskError) -> String {
    let mut types = Vec::new();
    let mut ask = |name, is_one| types.extend(Some(name).filter(|_| is_one));
    ask("before", error.downcast::<before::Refusal>().is_some());
    ask("after", error.downcast::<after::Refused>().is_some());
    ask("stock", error.downcast::<StockRefusal>().is_some());
    ask("unnamed", error.downcast::<Unnamed>().is_some());
    ask("text", error.downcast::<String>().is_some());
    types.join(" ")
}

#[workflow]
async fn tell_apart(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    let errors = [
        ask_for_money().await.unwrap_err(),
        after::ask_bank().await.unwrap_err(),
        ask_once().await.unwrap_err(),
        ask_for_stock().await.unwrap_err(),
        ask_no_one().await.unwrap_err(),
        ask_twice().await.unwrap_err(),
    ];
    let live: Vec<String> = errors.iter().map(types_of).collect();
    flux::publish("types", &live);
    flux::pause("deploy").await;
    Ok(errors.iter().map(types_of).collect())
}

#[tokio::test]
async fn types_of_one_json_are_told_apart_by_the_names_that_they_are_given() {
    for shelf in Shelf::every_way().await {
        let id = unique("refusals");
        let engine = shelf.engine().await;
        let run = tell_apart.on(&engine).run(()).execution_id(&id);
        assert!(run.await.unwrap().is_paused());
        let engine = shelf.engine().await;
        let run = tell_apart.on(&engine).resume(&id).await.unwrap();
        let types = run.output().unwrap();
        let expected = [
            "before after",
            "before after",
            "before after",
            "stock",
            "before after stock unnamed text",
            "before after stock unnamed text",
        ];
        assert_eq!(*types, expected);
        let live: Option<Vec<String>> = engine.published(&id, "types").await.unwrap();
        assert_eq!(live.unwrap(), expected);
    }
}

#[workflow(error = "orders.refused")]
async fn refuse_order(ctx: ExecutionContext) -> Result<u32, before::Declined> {
    ctx.on_exit(|| async { tidy_up().await });
    Err(before::Declined { code: 7 })
}

#[task]
async fn tidy_up() {
    begin();
}

#[workflow]
async fn order_it(_ctx: ExecutionContext) -> Result<(Option<u32>, Option<u32>), TaskError> {
    let error = refuse_order.call(()).await.unwrap_err();
    let own = error.downcast().map(|before::Declined { code }| code);
    let other = error
        .downcast()
        .map(|after::PaymentDeclined { code, .. }| code);
    Ok((own, other))
}

#[tokio::test]
async fn an_error_of_a_workflow_has_its_name_in_the_parent_and_in_the_failure() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let run = order_it.on(&engine).run(()).await.unwrap();
        assert_eq!(run.output(), Some(&(Some(7), None)), "{run}");
        let run = refuse_order.on(&engine).run(()).await.unwrap();
        let failure = run.failure().unwrap();
        assert_eq!(failure.downcast(), Some(before::Declined { code: 7 }));
        assert_eq!(failure.downcast::<after::PaymentDeclined>(), None);
    }
}

/// It was recorded once more, and what is done at the end of the execution was done once more.
#[tokio::test]
async fn a_failure_is_no_other_because_its_type_has_moved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flux.db");
    let id = unique("order");
    let engine = Engine::open(&file).await.unwrap();
    let run = refuse_order.on(&engine).run(()).execution_id(&id);
    assert!(run.await.unwrap().has_failed());
    drop(engine);
    recorded_elsewhere(&file);
    let engine = Engine::open(&file).await.unwrap();
    let run = refuse_order.on(&engine).resume(&id).await.unwrap();
    assert!(run.has_failed(), "{run}");
    assert_eq!(count(&engine, &id, EventKind::WorkflowFailed).await, 1);
    assert_eq!(ran(&id, "tidy_up"), 1);
    assert!(engine.replay(&id).await.unwrap().is_finished);
}
