//! A user's own statements and their record in one commit.

use std::time::Duration;

use flux::sqlite::{rusqlite, transaction};
use flux::{Engine, EventKind, ExecutionContext, TaskError, workflow};

use crate::support::{Greeter, Shelf, count, unique};

#[workflow]
async fn move_money(ctx: ExecutionContext<(i64, i64)>) -> Result<i64, TaskError> {
    let (amount, again) = *ctx.input();
    transaction("set up", |db| {
        db.execute_batch("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER CHECK (cents >= 0))")?;
        db.execute("INSERT OR IGNORE INTO accounts VALUES ('a', 100), ('b', 0)", [])
    })
    .await?;
    let moved = move || {
        transaction("move", move |db| {
            db.execute(
                "UPDATE accounts SET cents = cents + ?1 WHERE name = 'b'",
                [amount],
            )?;
            db.execute(
                "UPDATE accounts SET cents = cents - ?1 WHERE name = 'a'",
                [amount],
            )
        })
    };
    for _ in 0..again {
        if let Err(error) = moved().await {
            assert!(error.message().contains("CHECK"), "{error}");
        }
    }
    transaction("read", |db| {
        db.query_row("SELECT cents FROM accounts WHERE name = 'b'", [], |row| {
            row.get::<_, i64>(0)
        })
    })
    .await
}

fn sums(path: &std::path::Path) -> (i64, i64) {
    let db = rusqlite::Connection::open(path).unwrap();
    let read = |name: &str| {
        let sql = "SELECT coalesce(sum(cents), 0) FROM accounts WHERE name = ?1";
        db.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    (read("a"), read("b"))
}

#[tokio::test]
async fn statements_and_their_record_are_one_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flux.db");
    let engine = Engine::builder()
        .sqlite(&path)
        .state(Greeter { word: "hi" })
        .build()
        .await
        .unwrap();
    let run = move_money.on(&engine).run((30, 2)).await.unwrap();
    assert_eq!(run.output(), Some(&60), "{run}");
    assert_eq!(sums(&path), (40, 60));
    // Refused by the table: undone as a whole, and an error of the call.
    let run = move_money.on(&engine).run((41, 1)).await.unwrap();
    assert_eq!(run.output(), Some(&60));
    assert_eq!(sums(&path), (40, 60));
    assert_eq!(
        count(&engine, run.execution_id(), EventKind::TaskFailed).await,
        1
    );
}

/// PITFALL: a transaction's completion is committed before the code has seen it, and a log that ended so was taken for
/// one that the code no longer matched.
#[tokio::test]
async fn a_crash_around_a_transaction_runs_it_exactly_once() {
    for millis in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flux.db");
        let id = unique("money");
        let build = || {
            Engine::builder()
                .sqlite(&path)
                .state(Greeter { word: "hi" })
                .build()
        };
        let engine = build().await.unwrap();
        let run = move_money.on(&engine).run((10, 5)).execution_id(&id);
        let _ = tokio::time::timeout(Duration::from_millis(millis), run).await;
        // The same engine, which has let go of it.
        let run = move_money
            .on(&engine)
            .run((10, 5))
            .execution_id(&id)
            .await
            .unwrap();
        assert_eq!(run.output(), Some(&50), "{run}");
        assert_eq!(sums(&path), (50, 50));
        assert_eq!(count(&engine, &id, EventKind::TaskCompleted).await, 7);
    }
}

#[tokio::test]
async fn without_a_sqlite_store_a_transaction_is_an_error() {
    let engine = Shelf::memory().engine().await;
    let run = move_money.on(&engine).run((1, 1)).await.unwrap();
    assert!(run.failure().unwrap().message().contains("SQLite"), "{run}");
    let error = transaction("plain", |db| db.execute("SELECT 1", []))
        .await
        .unwrap_err();
    assert!(error.message().contains("none runs here"), "{error}");
}
