//! Damaged rows: each is named, and keeps nothing else back.

use std::path::Path;

use flux_core::execution::Status;
use flux_core::store::contract::given::{
    at, claim_ready, create, create_ownerless, enqueue, hour, ids, in_queue, put_to_sleep, request,
};
use flux_core::store::{Filter, Placement, StoreError};
use rusqlite::Connection;

use super::given::{folder, open, runtime};

/// Changes the row of `b`, which is of number 2 or so; what SQLite's types do not allow is no damage that can be.
fn damage(file: &Path, id: &str, set: &str) -> i64 {
    let connection = Connection::open(file).unwrap();
    let update = format!("UPDATE flux_executions SET {set} WHERE id = ?1 RETURNING eid");
    connection
        .query_row(&update, [id], |row| row.get(0))
        .unwrap()
}

/// What a row can hold that it should not, and what is said of it.
const DAMAGE: [(&str, &str); 8] = [
    ("status = 9", "an unknown status, 9"),
    ("base = 0", "`base`: 0"),
    ("base = -1", "`base`: -1"),
    ("base = 4000000000", "`base`: 4000000000"),
    ("rewound = 0", "`rewound`: 0"),
    ("attempt = 0", "`attempt`"),
    ("tags = '{'", "tags that cannot be read"),
    ("parent = CAST(x'ff' AS TEXT)", "`parent`"),
];

fn assert_named<T>(read: Result<T, StoreError>, key: i64, says: &str) {
    let error = read.err().expect("it cannot be read").to_string();
    println!("{error}");
    for word in [&format!("row {key} of `flux_executions`"), says] {
        assert!(error.contains(word), "`{word}` is not said: {error}");
    }
}

#[test]
fn a_damaged_row_is_named_and_left_out_of_lists() {
    for (set, says) in DAMAGE {
        let folder = folder();
        let file = folder.path().join("flux.db");
        let store = open(&file);
        runtime().block_on(async {
            let owner = store.join().await.unwrap();
            for id in ["a", "b", "c"] {
                create(&store, id, owner.id()).await;
            }
            let key = damage(&file, "b", set);
            let all = store.executions(Filter::default()).await.unwrap();
            assert_eq!(ids(&all), ["c", "a"], "{set}");
            let running = Filter {
                statuses: vec![Status::Running],
                ..Filter::default()
            };
            let running = store.executions(running).await.unwrap();
            assert_eq!(ids(&running), ["c", "a"], "{set}");
            store.workflow_counts().await.unwrap();
            assert_named(store.execution(&"b".into()).await, key, says);
        });
    }
}

#[test]
fn a_damaged_row_keeps_no_worker_from_the_others() {
    for (set, _) in DAMAGE {
        let folder = folder();
        let file = folder.path().join("flux.db");
        let store = open(&file);
        runtime().block_on(async {
            let worker = store.join().await.unwrap();
            let unplaced = Placement::default;
            for (id, placement) in [
                ("first", unplaced()),
                ("damaged", unplaced()),
                ("second", unplaced()),
                ("queued", in_queue("mail")),
                ("damaged too", in_queue("mail")),
                ("queued too", in_queue("mail")),
            ] {
                enqueue(&store, id, placement).await;
            }
            for id in ["asleep", "damaged asleep", "asleep too"] {
                create(&store, id, worker.id()).await;
                put_to_sleep(&store, id, Some(hour(1))).await;
            }
            for id in ["orphan", "damaged orphan", "orphan too"] {
                create_ownerless(&store, id).await;
            }
            for id in ["damaged", "damaged too", "damaged asleep", "damaged orphan"] {
                damage(&file, id, set);
            }
            store.orphans(at(0), 100).await.unwrap();
            let mut got = claim_ready(&store, request(worker.id(), hour(2))).await;
            got.sort();
            let wanted = [
                "asleep",
                "asleep too",
                "first",
                "orphan",
                "orphan too",
                "queued",
                "queued too",
                "second",
            ];
            assert_eq!(got, wanted, "{set}");
        });
    }
}

#[test]
fn a_damaged_version_of_the_tables_is_said_to_be_damaged() {
    for (set, says) in [
        (
            "UPDATE flux_meta SET value = 'abc' WHERE key = 'schema'",
            "`abc`",
        ),
        ("UPDATE flux_meta SET value = '' WHERE key = 'schema'", "``"),
        (
            "UPDATE flux_meta SET value = '-3' WHERE key = 'schema'",
            "`-3`",
        ),
        (
            "UPDATE flux_meta SET value = '0' WHERE key = 'schema'",
            "`0`",
        ),
        ("DELETE FROM flux_meta WHERE key = 'schema'", "nothing"),
    ] {
        let folder = folder();
        let file = folder.path().join("flux.db");
        drop(open(&file));
        Connection::open(&file).unwrap().execute_batch(set).unwrap();
        let maintenance = flux_core::maintain(file.to_str()).unwrap();
        let refusals = [
            flux_store::SqliteStore::open_blocking(&file).map(drop),
            flux_store::SqliteOptions::new(&file)
                .onlooker()
                .open_blocking()
                .map(drop),
            futures::executor::block_on(maintenance.info()).map(drop),
            futures::executor::block_on(maintenance.check()).map(drop),
            futures::executor::block_on(maintenance.migrate()).map(drop),
        ];
        for refused in refusals {
            let error = refused.unwrap_err().to_string();
            println!("{error}");
            assert!(error.contains("damaged") && error.contains(says), "{error}");
            assert!(
                !error.contains("older Flux") && error.len() < 500,
                "{error}"
            );
        }
    }
}

/// PITFALL: the error held the whole of the migration that failed.
#[test]
fn a_version_that_is_not_that_of_the_tables_is_told_in_a_sentence() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let connection = Connection::open(&file).unwrap();
    let set = "UPDATE flux_meta SET value = '1' WHERE key = 'schema'";
    connection.execute_batch(set).unwrap();
    let error = flux_store::SqliteStore::open_blocking(&file).unwrap_err();
    let error = error.to_string();
    println!("{error}");
    assert!(
        error.contains("could not be brought to version 2"),
        "{error}"
    );
    assert!(
        !error.contains("ALTER TABLE") && error.len() < 500,
        "{error}"
    );
}
