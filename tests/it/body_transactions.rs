//! Transactions in the bodies of tasks, steps, fallbacks and rollbacks: once for the call, however often its body runs.

use std::sync::atomic::{AtomicU32, Ordering};

use flux::sqlite::{rusqlite, transaction};
use flux::{
    CallStatus, Engine, EventKind, ExecutionContext, TaskCall, TaskError, task, task_context,
    workflow,
};
use tokio::sync::Notify;

use crate::support::{Shelf, count, unique};

/// Puts a row into a table beside the executions.
fn put(row: impl Into<String>) -> TaskCall<usize> {
    let row = row.into();
    transaction("put", move |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS pile (row TEXT)")?;
        db.execute("INSERT INTO pile VALUES (?1)", [&row])
    })
}

/// Takes the rows of this name out again.
fn take(row: String) -> TaskCall<usize> {
    transaction("take", move |db| {
        db.execute("DELETE FROM pile WHERE row = ?1", [&row])
    })
}

/// All rows, as a workflow reads them.
async fn pile() -> Result<Vec<String>, TaskError> {
    transaction("pile", |db| {
        let mut rows = db.prepare("SELECT row FROM pile ORDER BY rowid")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        rows.collect::<Result<Vec<String>, rusqlite::Error>>()
    })
    .await
}

#[workflow]
async fn look_at_pile(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    pile().await
}

async fn pile_of(engine: &Engine) -> Vec<String> {
    let run = look_at_pile.on(engine).run(()).await.unwrap();
    run.into_result().unwrap()
}

#[task(rollback = take_out)]
async fn put_in(row: String) -> Result<usize, TaskError> {
    put(row).await
}

/// No task: what undoes is a transaction in an `async fn`.
async fn take_out(row: String, put: Option<usize>) -> Result<(), TaskError> {
    assert_eq!(put, Some(1));
    take(row).await.map(drop)
}

#[task(rollback = take_out_as_a_call)]
async fn put_in_too(row: String) -> Result<usize, TaskError> {
    put(row).await
}

/// What undoes is a transaction of the workflow's own.
fn take_out_as_a_call(row: String, _put: Option<usize>) -> TaskCall<usize> {
    take(row)
}

#[workflow]
async fn put_and_fail(_ctx: ExecutionContext) -> Result<(), TaskError> {
    put("kept").await?;
    put_in("first".to_owned()).await?;
    put_in_too("second".to_owned()).await?;
    flux::step("fails", async { Err::<(), _>("no") }).await
}

#[tokio::test]
async fn a_rollback_that_is_an_async_fn_undoes_with_a_transaction() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let run = put_and_fail.on(&engine).run(()).await.unwrap();
    assert_eq!(run.failure().unwrap().task(), Some("fails"));
    let calls = run.calls().await.unwrap();
    let undoing: Vec<_> = calls
        .iter()
        .filter(|call| call.undoes().is_some())
        .collect();
    assert_eq!(undoing.len(), 2, "{calls:?}");
    for call in undoing {
        assert_eq!(call.status(), CallStatus::Completed, "{call:?}");
    }
    assert_eq!(pile_of(&engine).await, ["kept"]);
    // It begins again, with what was not undone.
    let run = put_and_fail.on(&engine).resume(run.execution_id());
    assert!(run.await.unwrap().has_failed());
    assert_eq!(pile_of(&engine).await, ["kept"]);
}

#[workflow]
async fn put_at_the_end(ctx: ExecutionContext) -> Result<(), TaskError> {
    ctx.on_exit(|| put("workflow code"));
    ctx.on_exit(|| put_in("a task".to_owned()));
    ctx.on_exit(|| flux::step("step", async { put("a step").await }));
    Ok(())
}

#[tokio::test]
async fn what_is_done_at_the_end_can_be_a_transaction() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let run = put_at_the_end.on(&engine).run(()).await.unwrap();
    assert!(run.has_succeeded(), "{run}");
    assert_eq!(
        pile_of(&engine).await,
        ["a step", "a task", "workflow code"]
    );
}

#[task(blocking)]
fn put_in_a_thread(row: String) -> Result<usize, TaskError> {
    futures::executor::block_on(put(row))
}

#[task(fallback = put_in_a_fallback)]
async fn put_and_fall_back(row: String) -> Result<usize, String> {
    put(row).await.map_err(|error| error.to_string())?;
    Err("no".to_owned())
}

/// It is another body, with transactions of its own under the same name.
async fn put_in_a_fallback(row: String) -> Result<usize, TaskError> {
    put(format!("{row} after all")).await
}

#[task]
async fn put_in_a_call(row: String) -> Result<usize, TaskError> {
    put_in_a_thread(row).await
}

#[workflow]
async fn put_everywhere(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    put_in("task".to_owned()).await?;
    put_in_a_thread("thread".to_owned()).await?;
    put_and_fall_back("fallback".to_owned()).await?;
    put_in_a_call("call".to_owned()).await?;
    flux::step("step", async { put("step").await }).await?;
    let both = tokio::try_join!(put_in("a".to_owned()), put_in("b".to_owned()))?;
    assert_eq!(both, (1, 1));
    pile().await
}

#[tokio::test(flavor = "multi_thread")]
async fn any_body_can_run_a_transaction() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let run = put_everywhere.on(&engine).run(()).await.unwrap();
    assert!(engine.replay(run.execution_id()).await.unwrap().is_finished);
    let mut rows = run.into_result().unwrap();
    rows[6..].sort();
    assert_eq!(
        rows[..4],
        ["task", "thread", "fallback", "fallback after all"]
    );
    assert_eq!(rows[4..], ["call", "step", "a", "b"]);
}

/// The first attempt puts two rows and fails; the second comes the same way, and puts a third.
#[task(max_attempts = 2, backoff = "fixed(0s)")]
async fn put_in_two_attempts() -> Result<usize, TaskError> {
    let attempt = task_context().unwrap().attempt();
    put(format!("one in attempt {attempt}")).await?;
    put(format!("two in attempt {attempt}")).await?;
    if attempt == 1 {
        return transaction("refused", |db| {
            db.execute("INSERT INTO missing VALUES (1)", [])
        })
        .await;
    }
    // What was refused is tried again.
    transaction("refused", |db| {
        db.execute("INSERT INTO pile VALUES ('refused')", [])
    })
    .await
}

#[workflow]
async fn put_twice(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    put_in_two_attempts().await?;
    pile().await
}

#[tokio::test]
async fn a_further_attempt_does_not_commit_again_what_is_committed() {
    let shelf = Shelf::sqlite().await;
    let run = put_twice.on(&shelf.engine().await).run(()).await.unwrap();
    let rows = run.into_result().unwrap();
    assert_eq!(rows, ["one in attempt 1", "two in attempt 1", "refused"]);
}

static CUT_OFF: Notify = Notify::const_new();
static TRIES: AtomicU32 = AtomicU32::new(0);

/// The first try puts a row, is refused another, and never returns.
#[task]
async fn put_and_hang() -> Result<String, TaskError> {
    put("before the end").await?;
    let table = if TRIES.fetch_add(1, Ordering::SeqCst) == 0 {
        "missing"
    } else {
        "pile"
    };
    let refused = transaction("refused", move |db| {
        db.execute(&format!("INSERT INTO {table} VALUES ('odd')"), [])
    });
    let refused = refused.await.unwrap_err();
    if TRIES.load(Ordering::SeqCst) == 1 {
        CUT_OFF.notify_one();
        std::future::pending::<()>().await;
    }
    Ok(refused.message().to_owned())
}

#[workflow]
async fn put_and_be_cut_off(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    let refused = put_and_hang().await?;
    assert!(refused.contains("no such table: missing"), "{refused}");
    pile().await
}

#[tokio::test]
async fn a_body_that_was_cut_off_comes_the_same_way_again() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let id = unique("pile");
    let on = put_and_be_cut_off.on(&engine);
    let run = tokio::spawn(on.run(()).execution_id(&id));
    CUT_OFF.notified().await;
    run.abort();
    let _ = run.await;
    let run = on.run(()).execution_id(&id).await.unwrap();
    assert_eq!(run.into_result().unwrap(), ["before the end"]);
    assert_eq!(count(&engine, &id, EventKind::BodyTransaction).await, 2);
}

/// A call that is tried again by a resume is the same call.
#[task]
async fn put_before_it_fails() -> Result<(), String> {
    put("once").await.map_err(|error| error.to_string())?;
    match TRIES_OF_RESUME.fetch_add(1, Ordering::SeqCst) {
        0 => Err("no".to_owned()),
        _ => Ok(()),
    }
}

static TRIES_OF_RESUME: AtomicU32 = AtomicU32::new(0);

#[workflow]
async fn put_and_be_resumed(_ctx: ExecutionContext) -> Result<Vec<String>, TaskError> {
    put_before_it_fails().await?;
    pile().await
}

#[tokio::test]
async fn a_resume_of_what_failed_does_not_commit_again_what_is_committed() {
    let shelf = Shelf::sqlite().await;
    let engine = shelf.engine().await;
    let run = put_and_be_resumed.on(&engine).run(()).await.unwrap();
    assert!(run.has_failed());
    let run = put_and_be_resumed.on(&engine).resume(run.execution_id());
    assert_eq!(run.await.unwrap().into_result().unwrap(), ["once"]);
}

#[tokio::test]
async fn without_sqlite_a_transaction_in_a_body_is_an_error_of_it() {
    let engine = Shelf::memory().engine().await;
    let run = put_everywhere.on(&engine).run(()).await.unwrap();
    let message = run.failure().unwrap().message().to_owned();
    assert!(message.contains("no SQLite connection"), "{message}");
}

#[task]
async fn put_from_what_it_spawns() -> Result<usize, TaskError> {
    tokio::spawn(put("lost")).await.unwrap()
}

#[workflow]
async fn put_and_spawn(_ctx: ExecutionContext) -> Result<usize, TaskError> {
    put_from_what_it_spawns().await
}

#[tokio::test]
async fn what_a_body_spawns_runs_no_transaction() {
    let shelf = Shelf::sqlite().await;
    let run = put_and_spawn
        .on(&shelf.engine().await)
        .run(())
        .await
        .unwrap();
    let message = run.failure().unwrap().message().to_owned();
    assert!(message.contains("none runs here"), "{message}");
}
