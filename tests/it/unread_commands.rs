//! Commands that come in just before the end, which the driver has not heard of yet: other processes post them at any time.
//! Each that was accepted is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use flux::store::{MessageKind, NewMessage, Store};
use flux::time::hours;
use flux::{
    Engine, EventKind, Execution, ExecutionContext, ExecutionId, Payload, Status, TaskError, task,
    task_context, workflow,
};
use serde::{Deserialize, Serialize};

use crate::support::{HandClock, Shelf, begin, count, payloads, ran, unique, utc};

/// What the code does last, after the command was posted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Last {
    /// The task during which it was posted.
    Task,
    /// The same task fails.
    Failure,
    Timer,
    Transaction,
    /// It begins again, so many times.
    NewBeginnings(u32),
    /// It fails afterwards, and has another attempt.
    Attempt,
    /// It has handlers that run at its end.
    Exit,
    /// It waits to be told of a cancellation beside its task.
    Told,
}

const ALL: [Last; 8] = [
    Last::Task,
    Last::Failure,
    Last::Timer,
    Last::Transaction,
    Last::NewBeginnings(5),
    Last::Attempt,
    Last::Exit,
    Last::Told,
];

/// Where executions lie, and what is posted to them: as another process would, so that no driver is told.
static COMMANDS: LazyLock<Mutex<BTreeMap<ExecutionId, (Arc<dyn Store>, MessageKind)>>> =
    LazyLock::new(Mutex::default);

/// Engines whose own executions cancel themselves.
static ENGINES: LazyLock<Mutex<BTreeMap<ExecutionId, Engine>>> = LazyLock::new(Mutex::default);

/// Executions whose drivers may have heard of the command before the end: their bodies took nearly as long as a driver waits
/// before it listens.
static HEARD: LazyLock<Mutex<BTreeSet<ExecutionId>>> = LazyLock::new(Mutex::default);
const UNHEARD: Duration = Duration::from_millis(15);

async fn post_command(id: &ExecutionId) {
    let began = Instant::now();
    let engine = ENGINES.lock().unwrap().get(id).cloned();
    if let Some(engine) = engine {
        engine.cancel(id).await.unwrap();
    }
    let Some((store, kind)) = COMMANDS.lock().unwrap().remove(id) else {
        return;
    };
    let message = NewMessage {
        kind,
        name: "".into(),
        payload: Payload::from_json("\"enough\""),
        dedup: None,
        at: SystemTime::now().into(),
    };
    store.post(id, message).await.unwrap();
    if began.elapsed() > UNHEARD {
        HEARD.lock().unwrap().insert(id.clone());
    }
}

#[task(rollback = refund)]
async fn pay() -> u32 {
    begin();
    post_command(task_context().unwrap().execution_id()).await;
    7
}

#[task]
async fn refund(paid: Option<u32>) -> Option<u32> {
    begin();
    paid
}

#[task]
async fn fail_to_pay() -> Result<u32, String> {
    let runs = begin();
    post_command(task_context().unwrap().execution_id()).await;
    if runs > 1 {
        return Ok(8);
    }
    Err("no money".to_owned())
}

#[task]
async fn fail_once() -> Result<u32, String> {
    if begin() > 1 {
        return Ok(7);
    }
    Err("not yet".to_owned())
}

#[task]
async fn tidy_up() {
    begin();
}

#[workflow(max_attempts = 2)]
async fn pay_last(ctx: ExecutionContext<Last>) -> Result<u32, TaskError> {
    match *ctx.input() {
        Last::Task => pay().await,
        Last::Failure => fail_to_pay().await,
        Last::Timer => {
            let paid = pay().await?;
            flux::sleep(Duration::from_millis(1)).await;
            Ok(paid)
        }
        Last::Transaction => {
            pay().await?;
            let value = Ok(Payload::from_json("70"));
            let statements = Arc::new(move |_: &dyn std::any::Any| value.clone());
            flux_core::transaction_call("statements", statements).await
        }
        Last::NewBeginnings(0) => Ok(7),
        Last::NewBeginnings(left) => {
            if left == 5 {
                pay().await?;
            }
            match ctx.continue_as_new(Last::NewBeginnings(left - 1)).await {}
        }
        Last::Attempt => {
            pay().await?;
            fail_once().await
        }
        Last::Exit => {
            ctx.on_exit(tidy_up);
            pay().await
        }
        Last::Told => tokio::select! {
            paid = pay() => paid,
            () = flux::cancelled() => {
                tidy_up().await?;
                Ok(9)
            }
        },
    }
}

/// Runs it until it has ended or is on hold. Its history must replay, and its inbox must be empty. One whose driver may have
/// heard of the command, on a slow machine, is another case: then it is tried again.
async fn run_with_command(
    shelf: &Shelf,
    last: Last,
    kind: MessageKind,
) -> (Engine, Execution<u32>) {
    loop {
        let (engine, run) = try_with_command(shelf, last, kind).await;
        if !HEARD.lock().unwrap().contains(run.execution_id()) {
            return (engine, run);
        }
    }
}

async fn try_with_command(
    shelf: &Shelf,
    last: Last,
    kind: MessageKind,
) -> (Engine, Execution<u32>) {
    let id = unique("unread");
    let command = (shelf.store(), kind);
    COMMANDS.lock().unwrap().insert(id.clone(), command);
    let engine = shelf.engine().await;
    let run = pay_last.on(&engine).run(last).execution_id(&id);
    let run = run.await.unwrap();
    assert!(!COMMANDS.lock().unwrap().contains_key(&id), "{last:?}");
    engine.replay(&id).await.unwrap();
    let inbox = shelf.store().inbox(shelf.row(&id).await.key).await.unwrap();
    assert_eq!(inbox, [], "{last:?} {kind:?}");
    (engine, run)
}

/// Executions that began again at once were completed instead, 233 of 233.
#[tokio::test]
async fn a_cancellation_that_came_before_the_end_is_carried_out_however_the_code_ends() {
    for shelf in Shelf::every_way().await {
        for last in ALL {
            let (engine, run) = run_with_command(&shelf, last, MessageKind::Cancel).await;
            let id = run.execution_id();
            assert!(run.is_cancelled(), "{last:?}: {run}");
            assert_eq!(count(&engine, id, EventKind::CancelRequested).await, 1);
            let is_undone = !matches!(last, Last::Failure | Last::NewBeginnings(_));
            assert_eq!(ran(id, "refund"), usize::from(is_undone), "{last:?}");
            let tidies = matches!(last, Last::Exit | Last::Told);
            assert_eq!(ran(id, "tidy_up"), usize::from(tidies), "{last:?}");
            assert!(
                ran(id, "pay") <= 1 && ran(id, "fail_to_pay") <= 1,
                "{last:?}"
            );
            if is_undone && last != Last::Told {
                let paid = run.events().await.unwrap();
                let paid = payloads(&paid, EventKind::TaskCompleted);
                assert!(
                    paid.iter().filter(|paid| *paid == "7").count() == 2,
                    "{last:?} {paid:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_termination_that_came_before_the_end_is_carried_out() {
    for shelf in Shelf::every_way().await {
        for last in ALL {
            let (_engine, run) = run_with_command(&shelf, last, MessageKind::Terminate).await;
            let id = run.execution_id();
            // The outcome of a transaction was recorded before, and the code has ended with it.
            let ended = match last {
                Last::Transaction => Status::Completed,
                _ => Status::Terminated,
            };
            assert_eq!(run.status(), ended, "{last:?}: {run}");
            assert_eq!(ran(id, "refund") + ran(id, "tidy_up"), 0, "{last:?}");
        }
    }
}

#[tokio::test]
async fn a_pause_that_came_before_the_end_holds_what_bodies_and_transactions_have_not_ended_yet() {
    for shelf in Shelf::every_way().await {
        for last in ALL {
            let (engine, run) = run_with_command(&shelf, last, MessageKind::Pause).await;
            let id = run.execution_id();
            let has_ended = matches!(last, Last::Task | Last::Transaction | Last::Told);
            assert_eq!(run.has_succeeded(), has_ended, "{last:?}: {run}");
            if !has_ended {
                assert!(run.held().is_some(), "{last:?}: {run}");
                assert_eq!(ran(id, "tidy_up"), 0);
                let run = pay_last.on(&engine).resume(id).await.unwrap();
                assert!(run.has_succeeded(), "{last:?}: {run}");
            }
            assert_eq!(ran(id, "refund"), 0, "{last:?}");
            assert!(ran(id, "fail_to_pay") <= 2, "{last:?}");
        }
    }
}

/// The driver had read it, and delivered before it what ended the code.
#[tokio::test]
async fn a_cancellation_by_the_last_body_itself_is_carried_out() {
    for shelf in Shelf::every_way().await {
        let engine = shelf.engine().await;
        let id = unique("own");
        ENGINES.lock().unwrap().insert(id.clone(), engine.clone());
        let run = pay_last.on(&engine).run(Last::Task).execution_id(&id);
        let run = run.await.unwrap();
        ENGINES.lock().unwrap().remove(&id);
        assert!(run.is_cancelled(), "{run}");
        assert_eq!(ran(&id, "refund"), 1);
        engine.replay(&id).await.unwrap();
    }
}

/// The clocks of executions whose bodies move them.
static CLOCKS: LazyLock<Mutex<BTreeMap<ExecutionId, HandClock>>> = LazyLock::new(Mutex::default);

/// Its driver hears of the cancellation when the deadline has passed.
async fn cancel_and_pass_the_deadline(id: &ExecutionId) {
    post_command(id).await;
    let clock = CLOCKS.lock().unwrap().remove(id).unwrap();
    clock.pass(hours(2));
    std::future::pending().await
}

#[task(rollback = tidy)]
async fn cancel_and_stay() {
    begin();
    cancel_and_pass_the_deadline(task_context().unwrap().execution_id()).await;
}

#[task]
async fn tidy(_none: Option<()>) {
    begin();
}

#[workflow(deadline = "1h")]
async fn stay_too_long(ctx: ExecutionContext<bool>) -> Result<(), TaskError> {
    if *ctx.input() {
        return cancel_and_stay().await;
    }
    flux::step("stay", async {
        cancel_and_pass_the_deadline(task_context().unwrap().execution_id()).await;
        Ok::<_, String>(())
    })
    .await
}

#[tokio::test]
async fn a_cancellation_and_a_deadline_that_come_together_end_it_once() {
    for shelf in Shelf::every_way().await {
        for undoes in [false, true] {
            let (id, clock) = (unique("both"), HandClock::at(utc("2024-01-01T12:00:00Z")));
            CLOCKS.lock().unwrap().insert(id.clone(), clock.clone());
            let engine = shelf.builder().clock(clock).build().await.unwrap();
            ENGINES.lock().unwrap().insert(id.clone(), engine.clone());
            let run = stay_too_long.on(&engine).run(undoes).execution_id(&id);
            let run = run.await.unwrap();
            ENGINES.lock().unwrap().remove(&id);
            assert!(run.is_cancelled() || run.has_failed(), "{run}");
            assert_eq!(ran(&id, "tidy"), usize::from(undoes));
            engine.replay(&id).await.unwrap();
        }
    }
}
