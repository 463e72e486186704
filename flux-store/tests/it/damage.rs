//! Damaged rows: each is named, and keeps nothing else back.

use std::collections::BTreeSet;
use std::path::Path;

use flux_core::execution::Status;
use flux_core::store::contract::given::{
    at, before_gate, claim_ready, create, create_ownerless, enqueue, finish, hour, ids, in_queue,
    json, put_to_sleep, request,
};
use flux_core::store::{DueRequest, Filter, Placement, ScheduleRecord, StoreError};
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
const DAMAGE: [(&str, &str); 13] = [
    ("status = 9", "an unknown status, 9"),
    ("base = 0", "`base`: 0"),
    ("base = -1", "`base`: -1"),
    ("base = 4000000000", "`base`: 4000000000"),
    ("rewound = 0", "`rewound`: 0"),
    ("attempt = 0", "`attempt`"),
    ("tags = '{'", "tags that cannot be read"),
    ("parent = CAST(x'ff' AS TEXT)", "`parent`"),
    ("workflow = CAST(x'ff' AS TEXT)", "`workflow`"),
    ("workflow = CAST(x'00ff61' AS TEXT)", "`workflow`"),
    ("version = -1", "`version`: -1"),
    ("queue = CAST(x'ff' AS TEXT)", "`queue`"),
    ("partition = CAST(x'ff' AS TEXT)", "`partition`"),
];

fn assert_named<T>(read: Result<T, StoreError>, key: i64, says: &str, table: &str) {
    let error = read.err().expect("it cannot be read").to_string();
    println!("{error}");
    for word in [&format!("row {key} of `{table}`"), says] {
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
            let read = store.execution(&"b".into()).await;
            assert_named(read, key, says, "flux_executions");
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

/// One damaged schedule stopped every worker: none claimed anything more.
#[test]
fn a_damaged_schedule_keeps_no_other_back() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        for id in ["daily", "damaged", "weekly"] {
            let schedule = ScheduleRecord {
                id: id.into(),
                workflow: "report".into(),
                input: json("null"),
                spec: json("null"),
                is_paused: false,
                next_at: Some(hour(1)),
                last_at: None,
                created_at: at(0),
            };
            store.put_schedule(schedule).await.unwrap();
        }
        for column in ["input", "workflow"] {
            let damage = format!(
                "UPDATE flux_schedules SET {column} = CAST(x'ff' AS TEXT) WHERE id = 'damaged'"
            );
            let connection = Connection::open(&file).unwrap();
            connection.execute_batch(&damage).unwrap();
            let request = DueRequest {
                now: hour(2),
                workflows: BTreeSet::from(["report".into()]),
                limit: 10,
            };
            let due = store.due_schedules(request).await.unwrap().due;
            for found in [store.schedules().await.unwrap(), due] {
                let found: Vec<_> = found.iter().map(|schedule| &*schedule.id).collect();
                assert_eq!(found, ["daily", "weekly"], "{column}");
            }
            let damaged = store.schedule("damaged").await;
            assert_named(damaged, 2, &format!("`{column}`"), "flux_schedules");
        }
    });
}

/// The commit of the one inside failed.
#[test]
fn an_execution_leaves_a_gate_although_a_partition_in_its_line_is_damaged() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let worker = store.join().await.unwrap();
        for (id, partition) in [("inside", "a"), ("damaged", "b"), ("next", "c")] {
            let placement = Placement {
                partition: Some(partition.into()),
                queue: Some("mail".into()),
                ..before_gate("lock", 1)
            };
            enqueue(&store, id, placement).await;
        }
        let claim = request(worker.id(), hour(2));
        assert_eq!(claim_ready(&store, claim.clone()).await, ["inside"]);
        damage(&file, "damaged", "partition = CAST(x'62ff' AS TEXT)");
        finish(&store, "inside").await;
        assert_eq!(claim_ready(&store, claim).await, ["next"]);
    });
}
