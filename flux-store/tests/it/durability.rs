//! The durability that is asked for is the durability that is had.

use std::sync::Arc;

use flux_core::id::Epoch;
use flux_core::store::contract::given::{append, create};
use flux_core::store::contract::transactions::transaction;
use flux_core::store::{Commit, Store};
use flux_store::sqlite::body;
use flux_store::{Durability, SqliteOptions};

use super::given::{folder, runtime};

/// Asks the connection that writes.
async fn pragma(
    store: &Arc<dyn Store>,
    key: flux_core::id::ExecutionKey,
    seq: u32,
    name: &str,
) -> String {
    let question = format!("PRAGMA {name}");
    let run = body(
        move |connection| {
            connection.query_row(&question, [], |row| {
                row.get::<_, i64>(0)
                    .map(|number| number.to_string())
                    .or_else(|_| row.get(0))
            })
        },
        |answer: &String| Ok(flux_core::payload::Payload::encode(answer).unwrap()),
        |error: &rusqlite::Error| panic!("{error}"),
    );
    let commit = Commit {
        transaction: Some(transaction(seq, run)),
        ..append(key, Epoch(1), 1, 0)
    };
    let recorded = store.commit(commit).await.unwrap().transaction.unwrap();
    recorded.payload.unwrap().decode().unwrap()
}

#[test]
fn the_settings_are_read_back() {
    for (durability, level) in [(Durability::Full, "2"), (Durability::Relaxed, "1")] {
        let folder = folder();
        let opened = SqliteOptions::new(folder.path().join("flux.db"))
            .durability(durability)
            .open_blocking()
            .unwrap();
        assert_eq!(opened.durability(), durability);
        let store: Arc<dyn Store> = Arc::new(opened);
        runtime().block_on(async {
            let guard = store.join().await.unwrap();
            let key = create(&store, "a", guard.id()).await;
            assert_eq!(pragma(&store, key, 2, "synchronous").await, level);
            assert_eq!(pragma(&store, key, 3, "journal_mode").await, "wal");
            assert_eq!(pragma(&store, key, 4, "wal_autocheckpoint").await, "1000");
        });
    }
}
