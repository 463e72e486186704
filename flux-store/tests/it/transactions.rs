//! A user's own statements: with the commit or not at all, and no harm to others.

use std::path::Path;
use std::sync::Arc;

use flux_core::event::{Event, EventKind};
use flux_core::id::{Epoch, ExecutionKey};
use flux_core::payload::Payload;
use flux_core::store::contract::given::{append, create, extend, history};
use flux_core::store::contract::transactions::transaction;
use flux_core::store::{Commit, CommitError, Store, TransactionBody};
use flux_store::SqliteOptions;
use flux_store::sqlite::body;
use rusqlite::Connection;
use tempfile::TempDir;

use super::given::{folder, runtime};

/// A shop with a table of its own, and Flux beside it.
fn shop() -> (TempDir, Arc<dyn Store>) {
    let folder = folder();
    let file = folder.path().join("shop.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
        .unwrap();
    drop(connection);
    (
        folder,
        Arc::new(
            SqliteOptions::new(file)
                .adopt(true)
                .open_blocking()
                .unwrap(),
        ),
    )
}

fn orders(folder: &Path) -> Vec<i64> {
    let connection = Connection::open(folder.join("shop.db")).unwrap();
    let mut select = connection
        .prepare("SELECT id FROM orders ORDER BY id")
        .unwrap();
    select
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Runs these statements.
fn statements(sql: String) -> TransactionBody {
    body(
        move |connection| connection.execute_batch(&sql),
        |()| Ok(Payload::null()),
        |error: &rusqlite::Error| Payload::encode(&error.to_string()).unwrap(),
    )
}

async fn run(store: &Arc<dyn Store>, key: ExecutionKey, seq: u32, run: TransactionBody) -> Event {
    let commit = Commit {
        transaction: Some(transaction(seq, run)),
        ..append(key, Epoch(1), 1, 0)
    };
    store.commit(commit).await.unwrap().transaction.unwrap()
}

#[test]
fn statements_and_their_record_are_one() {
    let (folder, store) = shop();
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let done = run(
            &store,
            key,
            2,
            statements("INSERT INTO orders VALUES (1)".into()),
        )
        .await;
        assert_eq!(
            (done.kind, done.payload),
            (EventKind::TaskCompleted, Some(Payload::null()))
        );
        let failed = run(
            &store,
            key,
            3,
            statements("INSERT INTO orders VALUES (2), (1)".into()),
        )
        .await;
        assert_eq!(failed.kind, EventKind::TaskFailed);
        assert!(failed.payload.unwrap().to_string().contains("UNIQUE"));
        let late = "INSERT INTO orders VALUES (3); SELECT missing FROM orders";
        assert_eq!(
            run(&store, key, 4, statements(late.into())).await.kind,
            EventKind::TaskFailed
        );
        let panics = body(
            |connection| -> Result<(), rusqlite::Error> {
                connection.execute("INSERT INTO orders VALUES (4)", [])?;
                panic!("on purpose")
            },
            |()| Ok(Payload::null()),
            |_| Payload::null(),
        );
        assert_eq!(
            run(&store, key, 5, panics).await.kind,
            EventKind::TaskFailed
        );
        let unrecordable = body(
            |connection| connection.execute("INSERT INTO orders VALUES (5)", []),
            |_| Err(Payload::from_json(r#""cannot be recorded""#)),
            |_: &rusqlite::Error| Payload::null(),
        );
        assert_eq!(
            run(&store, key, 6, unrecordable).await.kind,
            EventKind::TaskFailed
        );
        assert_eq!(orders(folder.path()), [1]);

        let fenced = Commit {
            transaction: Some(transaction(
                7,
                statements("INSERT INTO orders VALUES (9)".into()),
            )),
            ..append(key, Epoch(5), 1, 0)
        };
        assert!(matches!(
            store.commit(fenced).await,
            Err(CommitError::Fenced)
        ));
        assert_eq!(orders(folder.path()), [1]);
        assert_eq!(history(&store, key).await.len(), 6);
    });
}

/// Nothing that a user says to SQLite ends the transaction of the others.
#[test]
fn an_attempt_to_end_the_transaction_is_refused() {
    const ATTEMPTS: [&str; 9] = [
        "INSERT INTO orders VALUES (100); COMMIT",
        "INSERT INTO orders VALUES (100); ROLLBACK",
        "ROLLBACK; INSERT INTO orders VALUES (100)",
        "ROLLBACK; BEGIN; INSERT INTO orders VALUES (100)",
        "COMMIT; BEGIN; INSERT INTO orders VALUES (100)",
        "INSERT INTO orders VALUES (100); RELEASE flux_transaction",
        "INSERT OR ROLLBACK INTO orders VALUES (100), (100)",
        "BEGIN; INSERT INTO orders VALUES (100)",
        "SAVEPOINT mine; INSERT INTO orders VALUES (100); ROLLBACK TO mine; SELECT missing FROM orders",
    ];
    let (folder, store) = shop();
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let mut tasks = Vec::new();
        for i in 0..60_i64 {
            let key = create(&store, &format!("e{i}"), guard.id()).await;
            let store = Arc::clone(&store);
            let guilty = i % 3 == 0;
            let sql = if guilty {
                ATTEMPTS[usize::try_from(i / 3).unwrap() % ATTEMPTS.len()].to_owned()
            } else {
                format!("INSERT INTO orders VALUES ({i})")
            };
            tasks.push(tokio::spawn(async move {
                let event = run(&store, key, 2, statements(sql.clone())).await;
                let wanted = if guilty {
                    EventKind::TaskFailed
                } else {
                    EventKind::TaskCompleted
                };
                assert_eq!(event.kind, wanted, "{sql}: {event:?}");
                extend(&store, key, Epoch(1), 3, 3).await.unwrap();
                assert_eq!(history(&store, key).await.len(), 3);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    let wanted: Vec<i64> = (0..60).filter(|i| i % 3 != 0).collect();
    assert_eq!(orders(folder.path()), wanted);
}

/// An error that comes from one member alone fails that one; the others of its group are written.
#[test]
fn one_bad_member_does_not_fail_its_group() {
    let (folder, store) = shop();
    let connection = Connection::open(folder.path().join("shop.db")).unwrap();
    for (word, reaction) in [("poison", "ABORT"), ("venom", "ROLLBACK"), ("bane", "FAIL")] {
        let sql = format!(
            "CREATE TRIGGER {word} BEFORE INSERT ON flux_events WHEN NEW.name = '{word}'
             BEGIN SELECT RAISE({reaction}, 'no {word}'); END"
        );
        connection.execute_batch(&sql).unwrap();
    }
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let mut tasks = Vec::new();
        for i in 0..80_usize {
            let key = create(&store, &format!("e{i}"), guard.id()).await;
            let store = Arc::clone(&store);
            tasks.push(tokio::spawn(async move {
                let mut commit = append(key, Epoch(1), 2, 3);
                let word = ["poison", "venom", "bane"].get(i % 10);
                if let Some(word) = word {
                    commit.events[1].name = Some((*word).into());
                }
                match (store.commit(commit).await, word) {
                    (Ok(_), None) => assert_eq!(history(&store, key).await.len(), 3),
                    (Err(CommitError::Failed(error)), Some(word)) => {
                        assert!(error.reason.contains(&format!("no {word}")), "{error}");
                        assert_eq!(history(&store, key).await.len(), 1);
                    }
                    (outcome, word) => panic!("{word:?}: {outcome:?}"),
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Whoever waits for the store inside a transaction would wait for ever: it is told so instead.
#[test]
fn a_commit_inside_a_transaction_is_refused() {
    let (_folder, store) = shop();
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let inner = Arc::clone(&store);
        let nested = body(
            move |_connection| {
                let commit = append(key, Epoch(1), 2, 2);
                let refused = futures::executor::block_on(inner.commit(commit)).unwrap_err();
                let CommitError::Failed(error) = refused else {
                    panic!("not failed: {refused}")
                };
                Err::<(), _>(error.reason)
            },
            |()| Ok(Payload::null()),
            |error: &String| Payload::encode(error).unwrap(),
        );
        let recorded = run(&store, key, 2, nested)
            .await
            .payload
            .unwrap()
            .to_string();
        assert!(recorded.contains("inside a `transaction`"), "{recorded}");
    });
}
