//! Tables that change while programs use them, and files that others leave behind.

use std::fs;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use flux_core::id::Epoch;
use flux_core::store::contract::given::{create, extend, history, signal};
use flux_core::store::{CommitError, Migrated, PostError};
use futures::executor::block_on;
use rusqlite::Connection;

use super::given::{folder, open, runtime};

const KNOWN: u32 = 5;

#[test]
fn a_program_writes_nothing_more_once_a_newer_one_has_changed_the_tables() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let owner = store.join().await.unwrap();
        let key = create(&store, "a", owner.id()).await;
        extend(&store, key, Epoch(1), 2, 2).await.unwrap();
        let connection = Connection::open(&file).unwrap();
        let newer = "UPDATE flux_meta SET value = '99' WHERE key = 'schema'";
        connection.execute_batch(newer).unwrap();
        let refused = |error: String| {
            println!("{error}");
            for word in ["version 99", "start a newer one", "flux.db"] {
                assert!(error.contains(word), "`{word}` is not said: {error}");
            }
        };
        for _ in 0..2 {
            match extend(&store, key, Epoch(1), 3, 3).await {
                Err(CommitError::Failed(error)) => refused(error.to_string()),
                written => panic!("it was written: {written:?}"),
            }
            match store.post(&"a".into(), signal("x", "1")).await {
                Err(PostError::Failed(error)) => refused(error.to_string()),
                written => panic!("it was written: {written:?}"),
            }
        }
        assert_eq!(history(&store, key).await.len(), 2);
        // A user's own tables are no business of ours.
        connection
            .execute_batch(&format!(
                "UPDATE flux_meta SET value = '{KNOWN}' WHERE key = 'schema'; CREATE TABLE t (x)"
            ))
            .unwrap();
        extend(&store, key, Epoch(1), 3, 3).await.unwrap();
    });
}

#[test]
fn of_two_who_migrate_at_once_one_says_that_it_did() {
    for _ in 0..20 {
        let folder = folder();
        let file = folder.path().join("flux.db");
        let start = Arc::new(Barrier::new(2));
        let migrate = || {
            let (file, start) = (file.clone(), Arc::clone(&start));
            std::thread::spawn(move || {
                let maintenance = flux_core::maintain(file.to_str()).unwrap();
                start.wait();
                block_on(maintenance.migrate()).unwrap()
            })
        };
        let migrating = [migrate(), migrate()];
        let mut done = migrating.map(|thread| thread.join().unwrap());
        done.sort_by_key(|migrated| migrated.from);
        let told = |from| Migrated { from, to: KNOWN };
        assert_eq!(done, [told(None), told(Some(KNOWN))]);
    }
}

/// PITFALL: what a backup that was killed had written lay there for ever.
#[test]
fn a_backup_clears_away_what_killed_ones_have_left() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let at = |name: &str| folder.path().join(name);
    drop(open(&file));
    let maintenance = flux_core::maintain(file.to_str()).unwrap();
    for name in [
        "monday.db.123-1700000000000000.part",
        "monday.db.123-1700000000000000.part-journal",
        "not a copy.part",
        "a.b-c.part",
    ] {
        fs::write(at(name), "x").unwrap();
    }
    let lives = at("tuesday.db.77-1700000000000001.part");
    let locked = fs::File::create(&lives).unwrap();
    locked.lock().unwrap();
    block_on(maintenance.backup(&at("copy.db"))).unwrap();
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let wanted = [
        "a.b-c.part",
        "copy.db",
        "flux.db",
        "not a copy.part",
        "tuesday.db.77-1700000000000001.part",
    ];
    assert_eq!(left, wanted);
}

#[test]
fn what_the_living_own_is_free_in_a_copy() {
    let folder = folder();
    let (file, copy) = (folder.path().join("flux.db"), folder.path().join("copy.db"));
    let store = open(&file);
    let maintenance = flux_core::maintain(file.to_str()).unwrap();
    runtime().block_on(async {
        let owner = store.join().await.unwrap();
        create(&store, "a", owner.id()).await;
        maintenance.backup(&copy).await.unwrap();
        let restored = open(&copy);
        let heir = restored.join().await.unwrap();
        let claimed = restored.claim(&"a".into(), heir.id()).await.unwrap();
        assert_eq!(claimed.epoch, Epoch(2));
    });
}

/// PITFALL: the log kept for ever what it had grown to while somebody read for long.
#[test]
fn the_log_shrinks_again_after_a_long_read() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let log = || {
        fs::metadata(folder.path().join("flux.db-wal"))
            .unwrap()
            .len()
    };
    let store = open(&file);
    runtime().block_on(async {
        let owner = store.join().await.unwrap();
        let key = create(&store, "a", owner.id()).await;
        let reader = Connection::open(&file).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let count = "SELECT count(*) FROM flux_events";
        let _: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();
        let mut next = 2;
        while log() < 60_000_000 {
            extend(&store, key, Epoch(1), next, next + 1_999)
                .await
                .unwrap();
            next += 2_000;
        }
        reader.execute_batch("COMMIT").unwrap();
        let began = std::time::Instant::now();
        while log() > 40_000_000 {
            extend(&store, key, Epoch(1), next, next).await.unwrap();
            next += 1;
            assert!(began.elapsed() < Duration::from_mins(1), "{} bytes", log());
        }
    });
}
