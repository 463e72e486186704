//! Looking after a file: what is in it, whether it is sound, its tables, a copy of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flux_core::event::{Event, EventKind};
use flux_core::execution::Status;
use flux_core::id::{Epoch, ExecutionKey};
use flux_core::store::contract::given::{
    change, commit, create, creation, event, events, extend, history, in_queue, json, new, pending,
    signal, signal_once,
};
use flux_core::store::{
    Commit, Maintenance, Migrated, NewExecution, Placement, QueueChange, ScheduleRecord, Store,
    StoreError, Target,
};
use futures::executor::block_on;
use rusqlite::Connection;
use tempfile::TempDir;

use super::child::Other;
use super::given::{folder, open, runtime};

/// The version of the tables that this program makes.
const KNOWN: u32 = 5;

fn maintain(file: &Path) -> Box<dyn Maintenance> {
    flux_core::maintain(file.to_str()).unwrap()
}

/// The names of everything in a folder.
fn names(folder: &TempDir) -> BTreeSet<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn assert_says<T: std::fmt::Debug>(result: Result<T, StoreError>, words: &[&str]) {
    let text = result.unwrap_err().to_string();
    println!("{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not said: {text}");
    }
}

/// Ends an execution at epoch 1 as `status` and `kind` say; its last event was `last`.
async fn end(
    store: &Arc<dyn Store>,
    key: ExecutionKey,
    last: u32,
    status: Status,
    kind: EventKind,
) {
    let target = Target::Existing {
        key,
        epoch: Epoch(1),
    };
    let end = Event {
        kind,
        ..event(last + 1)
    };
    let commit = Commit {
        events: vec![end],
        change: Some(change(status)),
        ..commit(target)
    };
    store.commit(commit).await.unwrap();
}

/// A file with executions of every status, messages, tags, published values, a queue and a schedule.
fn filled() -> (TempDir, PathBuf) {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        for (status, kind) in [
            (Status::Completed, EventKind::WorkflowCompleted),
            (Status::Failed, EventKind::WorkflowFailed),
            (Status::Cancelled, EventKind::WorkflowCancelled),
            (Status::Terminated, EventKind::WorkflowTerminated),
        ] {
            let key = create(&store, &format!("{status}"), guard.id()).await;
            store
                .post(&format!("{status}").into(), signal("too late", "1"))
                .await
                .unwrap();
            end(&store, key, 1, status, kind).await;
        }
        let tagged = Placement {
            tags: vec!["vip".into()],
            ..Placement::default()
        };
        let running = NewExecution {
            placement: tagged,
            ..new("Running", guard.id())
        };
        let published = vec![("progress".into(), json("50"))];
        let running = Commit {
            published,
            ..creation(running)
        };
        let key = store.commit(running).await.unwrap().key;
        extend(&store, key, Epoch(1), 2, 30).await.unwrap();
        store
            .post(&"Running".into(), signal_once("go", "1", "k"))
            .await
            .unwrap();
        store
            .commit(creation(pending("Pending", in_queue("mail"))))
            .await
            .unwrap();
        let limited = QueueChange {
            concurrency: Some(Some(3)),
            ..QueueChange::default()
        };
        store.set_queue("post", limited).await.unwrap();
        store.put_schedule(schedule("nightly")).await.unwrap();
    });
    drop(store);
    (folder, file)
}

fn schedule(id: &str) -> ScheduleRecord {
    ScheduleRecord {
        id: id.into(),
        workflow: "order".into(),
        input: json("null"),
        spec: json("{}"),
        is_paused: true,
        next_at: None,
        last_at: None,
        created_at: flux_core::store::contract::given::at(0),
    }
}

/// A file of the first version with one execution.
fn old() -> (TempDir, PathBuf) {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(include_str!("../../migrations/sqlite/0001_init.sql"))
        .unwrap();
    connection
        .execute_batch(
            "CREATE TABLE flux_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
             INSERT INTO flux_meta VALUES ('schema', '1');
             INSERT INTO flux_workers VALUES (1, 1, 'here', 0);
             INSERT INTO flux_executions (id, workflow, version, format, status, attempt, created_at, base, epoch)
             VALUES ('a', 'order', 1, 1, 2, 1, 0, 1, 1);
             INSERT INTO flux_events (key, kind, at) VALUES ((1 << 24) + 1, 1, 0);
             INSERT INTO flux_inbox (eid, kind, name, payload, at) VALUES (1, 1, 'go', '1', 0);",
        )
        .unwrap();
    (folder, file)
}

fn newer() -> (TempDir, PathBuf) {
    let (folder, file) = filled();
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "UPDATE flux_meta SET value = '99' WHERE key = 'schema'; DROP TABLE flux_inbox",
        )
        .unwrap();
    (folder, file)
}

#[test]
fn the_info_tells_what_is_in_a_file() {
    let (folder, file) = filled();
    let info = block_on(maintain(&file).info()).unwrap();
    let (size, log) = (fs::metadata(&file).unwrap().len(), info.wal_bytes);
    assert_eq!(
        info.location,
        fs::canonicalize(&file).unwrap().to_str().unwrap()
    );
    assert_eq!(
        (info.kind, info.schema, info.schema_known),
        ("sqlite", Some(KNOWN), KNOWN)
    );
    assert!(info.library.starts_with("SQLite 3."), "{}", info.library);
    assert_eq!((info.size_bytes, log), (size, 0));
    assert_eq!(info.pages * info.page_bytes, size);
    let contents = info.contents.unwrap();
    for (status, count) in contents.executions {
        assert_eq!(count, u64::from(status != Status::Paused), "{status}");
    }
    assert_eq!(
        (contents.messages, contents.queues, contents.schedules),
        (1, 2, 1)
    );
    assert_eq!((contents.workers_alive, contents.workers_dead), (0, 1));
    assert_eq!(names(&folder), ["flux.db".to_owned()].into());
}

#[test]
fn the_info_has_keys_that_stay() {
    let (_folder, file) = filled();
    let info = block_on(maintain(&file).info()).unwrap();
    let json = serde_json::to_value(info).unwrap();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let wanted = [
        "contents",
        "free_pages",
        "kind",
        "library",
        "location",
        "page_bytes",
        "pages",
        "schema",
        "schema_known",
        "size_bytes",
        "wal_bytes",
    ];
    assert_eq!(keys(&json), wanted);
    let wanted = [
        "executions",
        "messages",
        "queues",
        "schedules",
        "workers_alive",
        "workers_dead",
    ];
    assert_eq!(keys(&json["contents"]), wanted);
    assert_eq!(json["contents"]["executions"]["Completed"], 1);
    assert_eq!(json["contents"]["executions"]["Paused"], 0);
}

#[test]
fn the_info_of_a_file_in_use_counts_who_lives() {
    let (folder, file) = filled();
    let store = open(&file);
    let guards =
        runtime().block_on(async { (store.join().await.unwrap(), store.join().await.unwrap()) });
    let before = names(&folder);
    let info = block_on(maintain(&file).info()).unwrap();
    assert!(info.wal_bytes > 0);
    assert_eq!(info.contents.unwrap().workers_alive, 2);
    assert_eq!(names(&folder), before);
    drop(guards);
}

#[test]
fn the_info_of_no_file_creates_nothing() {
    let folder = folder();
    let file = folder.path().join("not/there/flux.db");
    let maintenance = maintain(&file);
    for result in [
        block_on(maintenance.info()).map(drop),
        block_on(maintenance.check()).map(drop),
        block_on(maintenance.backup(&folder.path().join("copy.db"))).map(drop),
    ] {
        assert_says(
            result,
            &[
                "not/there/flux.db",
                "there is none at this path",
                "flux db migrate",
            ],
        );
    }
    assert_eq!(names(&folder), BTreeSet::new());
}

#[test]
fn what_is_no_store_is_refused_with_a_cure() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("empty.db"), "").unwrap();
    fs::write(at("text.db"), "hello").unwrap();
    fs::create_dir(at("folder")).unwrap();
    Connection::open(at("shop.db"))
        .unwrap()
        .execute_batch("CREATE TABLE orders (id)")
        .unwrap();
    let (_keep, file) = filled();
    fs::write(at("cut.db"), &fs::read(file).unwrap()[..8192]).unwrap();
    let before = names(&folder);
    for (name, says) in [
        ("empty.db", "the file is empty"),
        ("text.db", "not a SQLite database"),
        ("folder", "it is a folder"),
        ("shop.db", "another program"),
        ("cut.db", "cut short"),
    ] {
        let maintenance = maintain(&at(name));
        assert_says(block_on(maintenance.info()), &[name, says]);
        assert_says(block_on(maintenance.check()), &[name, says]);
        assert_says(block_on(maintenance.backup(&at("copy.db"))), &[name, says]);
    }
    assert_says(block_on(maintain(Path::new("")).info()), &["names no file"]);
    assert_eq!(names(&folder), before);
}

#[test]
fn an_older_file_can_be_looked_at_and_is_not_changed() {
    let (folder, file) = old();
    let before = fs::read(&file).unwrap();
    let maintenance = maintain(&file);
    let info = block_on(maintenance.info()).unwrap();
    let contents = info.contents.unwrap();
    assert_eq!((info.schema, info.schema_known), (Some(1), KNOWN));
    assert_eq!(
        (contents.executions[&Status::Running], contents.messages),
        (1, 1)
    );
    assert_eq!(
        (contents.queues, contents.schedules, contents.workers_dead),
        (0, 0, 1)
    );
    assert_eq!(block_on(maintenance.check()).unwrap(), []);
    let copy = folder.path().join("copy.db");
    block_on(maintenance.backup(&copy)).unwrap();
    assert_eq!(block_on(maintain(&copy).info()).unwrap().schema, Some(1));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn of_a_newer_file_only_what_is_safe_is_told() {
    let (folder, file) = newer();
    let maintenance = maintain(&file);
    let info = block_on(maintenance.info()).unwrap();
    assert_eq!((info.schema, info.schema_known), (Some(99), KNOWN));
    assert!(info.size_bytes > 0 && info.pages > 0);
    assert_eq!(info.contents, None);
    assert_says(
        block_on(maintenance.check()),
        &["99", "the Flux that wrote it"],
    );
    assert_says(
        block_on(maintenance.migrate()),
        &["newer Flux", "update the program"],
    );
    block_on(maintenance.backup(&folder.path().join("copy.db"))).unwrap();
}

#[test]
fn a_migration_makes_a_file_and_its_folders() {
    let folder = folder();
    let file = folder.path().join("not/there/flux.db");
    let maintenance = maintain(&file);
    assert_eq!(
        block_on(maintenance.migrate()).unwrap(),
        Migrated {
            from: None,
            to: KNOWN
        }
    );
    assert_eq!(
        block_on(maintenance.migrate()).unwrap(),
        Migrated {
            from: Some(KNOWN),
            to: KNOWN
        }
    );
    let info = block_on(maintenance.info()).unwrap();
    assert_eq!(info.contents.unwrap().executions.values().sum::<u64>(), 0);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(
        block_on(maintain(&empty).migrate()).unwrap(),
        Migrated {
            from: None,
            to: KNOWN
        }
    );
}

#[test]
fn a_migration_brings_an_older_file_up_to_date() {
    let (_folder, file) = old();
    let maintenance = maintain(&file);
    assert_eq!(
        block_on(maintenance.migrate()).unwrap(),
        Migrated {
            from: Some(1),
            to: KNOWN
        }
    );
    assert_eq!(block_on(maintenance.info()).unwrap().schema, Some(KNOWN));
    assert_eq!(block_on(maintenance.check()).unwrap(), []);
}

#[test]
fn a_sound_file_has_no_problems() {
    let (folder, file) = filled();
    assert_eq!(block_on(maintain(&file).check()).unwrap(), []);
    assert_eq!(names(&folder), ["flux.db".to_owned()].into());
}

#[test]
fn a_file_that_a_killed_process_left_has_no_problems() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    assert!(!Other::start("commit and die", &file).finish());
    assert_eq!(block_on(maintain(&file).check()).unwrap(), []);
}

/// Breaks a sound file by plain SQL; exactly this problem is found, of this execution, and the message says this.
fn finds(break_it: &str, what: &str, execution: Option<&str>, says: &str) {
    let (_folder, file) = filled();
    Connection::open(&file)
        .unwrap()
        .execute_batch(break_it)
        .unwrap();
    let problems = block_on(maintain(&file).check()).unwrap();
    assert_eq!(problems.len(), 1, "{break_it}: {problems:?}");
    let found = &problems[0];
    assert_eq!(
        (found.what, found.execution.as_ref().map(AsRef::as_ref)),
        (what, execution),
        "{found:?}"
    );
    assert!(
        found.message.contains(says),
        "`{says}` is not said: {}",
        found.message
    );
}

const RUNNING: &str = "(SELECT eid FROM flux_executions WHERE id = 'Running')";

#[test]
fn a_history_that_does_not_begin_with_1_is_found() {
    let break_it = format!(
        "DELETE FROM flux_events WHERE key BETWEEN {RUNNING} << 24 AND ({RUNNING} << 24) + 3"
    );
    finds(
        &break_it,
        "history_start",
        Some("Running"),
        "begins with event 4",
    );
}

#[test]
fn a_gap_in_a_history_is_found() {
    let break_it = format!("DELETE FROM flux_events WHERE key = ({RUNNING} << 24) + 17");
    finds(
        &break_it,
        "history_gap",
        Some("Running"),
        "29 events from 1 to 30",
    );
}

#[test]
fn an_execution_without_a_history_is_found() {
    let break_it = format!("DELETE FROM flux_events WHERE key >> 24 = {RUNNING}");
    finds(&break_it, "history_missing", Some("Running"), "no history");
}

#[test]
fn events_without_an_execution_are_found() {
    let break_it = "INSERT INTO flux_events (key, kind, at) VALUES ((77 << 24) + 1, 1, 0), ((77 << 24) + 2, 2, 0)";
    finds(
        break_it,
        "event_without_execution",
        None,
        "2 events are of number 77",
    );
}

#[test]
fn a_finished_one_without_its_end_is_found() {
    let break_it = "UPDATE flux_executions SET status = 4 WHERE id = 'Running'";
    finds(
        break_it,
        "end_missing",
        Some("Running"),
        "it is Completed, but its last event is TASK_COMPLETED",
    );
    let break_it = "UPDATE flux_executions SET status = 7 WHERE id = 'Failed'";
    finds(
        break_it,
        "end_missing",
        Some("Failed"),
        "it is Terminated, but its last event is WORKFLOW_FAILED",
    );
}

#[test]
fn an_unfinished_one_with_an_end_is_found() {
    let break_it = "UPDATE flux_executions SET status = 3 WHERE id = 'Cancelled'";
    finds(
        break_it,
        "end_unexpected",
        Some("Cancelled"),
        "it is Paused, but its last event is WORKFLOW_CANCELLED",
    );
}

/// Makes event 5 of an execution that nobody owns the call of a child that does not exist, and event 7 what became of it.
fn call_of_nobody(policy: &str, then: EventKind, payload: &str) -> String {
    let meta = format!(r#"{{"site":"a.rs:1:2","child":"Nobody","when_parent_ends":"{policy}"}}"#);
    format!(
        "UPDATE flux_executions SET owner = NULL WHERE eid = {RUNNING};
        UPDATE flux_events SET kind = {started}, meta = '{meta}' WHERE key = ({RUNNING} << 24) + 5;
        UPDATE flux_events SET kind = {then}, ref = 5, payload = '{payload}' WHERE key = ({RUNNING} << 24) + 7",
        started = EventKind::ChildStarted.code(),
        then = then.code(),
    )
}

#[test]
fn a_recorded_child_that_does_not_exist_is_found() {
    let lost = [
        ("cancel", EventKind::ChildCompleted, "1"),
        ("cancel", EventKind::ChildFailed, r#"{"attempts":1}"#),
        ("abandon", EventKind::CallCancelled, "1"),
    ];
    for (policy, then, payload) in lost {
        let break_it = call_of_nobody(policy, then, payload);
        let says = "event 5 says that it called child `Nobody`";
        finds(&break_it, "child_missing", Some("Running"), says);
    }
}

/// It was dropped as soon as it was called, refused, or not needed.
#[test]
fn a_child_that_was_never_to_be_is_not_missed() {
    let never = [
        ("terminate", EventKind::CallCancelled, "1"),
        ("cancel", EventKind::ChildFailed, r#"{"attempts":0}"#),
        ("abandon", EventKind::CallReused, "1"),
    ];
    for (policy, then, payload) in never {
        let (_folder, file) = filled();
        let change_it = call_of_nobody(policy, then, payload);
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(&change_it).unwrap();
        drop(connection);
        assert_eq!(block_on(maintain(&file).check()).unwrap(), [], "{policy}");
    }
}

#[test]
fn statuses_and_kinds_that_are_not_known_are_found() {
    let break_it = "UPDATE flux_executions SET status = 42 WHERE id = 'Running'";
    finds(break_it, "unknown_status", Some("Running"), "42");
    let break_it = format!("UPDATE flux_events SET kind = 99 WHERE key = ({RUNNING} << 24) + 5");
    finds(
        &break_it,
        "unknown_event",
        Some("Running"),
        "event 5 is of kind 99",
    );
}

#[test]
fn rows_without_an_execution_are_found() {
    let break_it = "UPDATE flux_inbox SET eid = 77 WHERE name = 'go'";
    finds(
        break_it,
        "message_without_execution",
        None,
        "(`go`) is for number 77",
    );
    let break_it = "UPDATE flux_dedup SET eid = 77";
    finds(
        break_it,
        "row_without_execution",
        None,
        "`go` of `flux_dedup` is of number 77",
    );
    let break_it = "UPDATE flux_published SET eid = 77";
    finds(
        break_it,
        "row_without_execution",
        None,
        "`progress` of `flux_published` is of number 77",
    );
    let break_it = "UPDATE flux_tags SET eid = 77";
    finds(
        break_it,
        "tag_without_execution",
        None,
        "tag `vip` is of number 77",
    );
}

#[test]
fn an_index_that_does_not_fit_its_table_is_found() {
    // The index is dropped from the schema, a row changed without it, and the schema put back.
    let break_it = "PRAGMA writable_schema = ON;
        CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'flux_executions_by_parent';
        DELETE FROM sqlite_schema WHERE name = 'flux_executions_by_parent';
        PRAGMA writable_schema = RESET;
        UPDATE flux_executions SET parent = 'x' WHERE id = 'Running';
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema SELECT * FROM kept;
        PRAGMA writable_schema = RESET;";
    let (_folder, file) = filled();
    Connection::open(&file)
        .unwrap()
        .execute_batch(break_it)
        .unwrap();
    let problems = block_on(maintain(&file).check()).unwrap();
    assert!(
        !problems.is_empty() && problems.iter().all(|problem| problem.what == "damaged"),
        "{problems:?}"
    );
    assert!(
        problems[0].message.contains("flux_executions_by_parent"),
        "{problems:?}"
    );
}

#[test]
fn damaged_pages_are_found() {
    let (_folder, file) = filled();
    let mut bytes = fs::read(&file).unwrap();
    let page = usize::from(rootpage(&file, "flux_events"));
    bytes[(page - 1) * 4096..page * 4096].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    let problems = block_on(maintain(&file).check()).unwrap();
    assert!(
        !problems.is_empty() && problems.iter().all(|problem| problem.what == "damaged"),
        "{problems:?}"
    );
}

fn rootpage(file: &Path, table: &str) -> u16 {
    let connection = Connection::open(file).unwrap();
    let select = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    connection
        .query_row(select, [table], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_copy_taken_while_others_commit_is_whole() {
    let folder = folder();
    let (file, copy) = (folder.path().join("flux.db"), folder.path().join("copy.db"));
    let store = open(&file);
    let runtime = runtime();
    let (guard, key) = runtime.block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        extend(&store, key, Epoch(1), 2, 20_000).await.unwrap();
        (guard, key)
    });
    let (stop, committed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (backed_up, last) = std::thread::scope(|scope| {
        let writes = scope.spawn(|| {
            let mut last = 20_000;
            while !stop.load(Ordering::SeqCst) {
                runtime
                    .block_on(extend(&store, key, Epoch(1), last + 1, last + 2))
                    .unwrap();
                last += 2;
                committed.store(true, Ordering::SeqCst);
            }
            last
        });
        while !committed.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let backed_up = block_on(maintain(&file).backup(&copy));
        stop.store(true, Ordering::SeqCst);
        (backed_up.unwrap(), writes.join().unwrap())
    });
    drop(guard);
    assert_eq!(backed_up.path, copy);
    assert_eq!(backed_up.bytes, fs::metadata(&copy).unwrap().len());
    assert_eq!(block_on(maintain(&copy).check()).unwrap(), []);
    let copied = runtime.block_on(history(&open(&copy), key));
    let count = u32::try_from(copied.len()).unwrap();
    assert!(
        count > 20_000 && count <= last && count.is_multiple_of(2),
        "{count} of {last}"
    );
    assert_eq!(copied, events(1, count));
}

#[test]
fn a_copy_is_written_over_nothing_and_leaves_nothing_when_it_fails() {
    let (folder, file) = filled();
    let maintenance = maintain(&file);
    let at = |name: &str| folder.path().join(name);
    fs::write(at("there.db"), "mine").unwrap();
    let before = names(&folder);
    assert_says(
        block_on(maintenance.backup(&at("there.db"))),
        &["there.db", "another name"],
    );
    assert_says(block_on(maintenance.backup(&file)), &["another name"]);
    assert_says(
        block_on(maintenance.backup(folder.path())),
        &["another name"],
    );
    assert_says(
        block_on(maintenance.backup(&at("nowhere/copy.db"))),
        &["nowhere/copy.db", "folder"],
    );
    assert_eq!(fs::read(at("there.db")).unwrap(), b"mine");
    assert_eq!(names(&folder), before);
}

#[test]
fn a_copy_that_finds_no_room_leaves_nothing() {
    use super::given::Tmpfs;
    let Some(disk) = Tmpfs::mount("a_copy_that_finds_no_room_leaves_nothing", "64k") else {
        return;
    };
    let (_folder, file) = filled();
    assert_says(
        block_on(maintain(&file).backup(&disk.path().join("copy.db"))),
        &["copy.db", "full"],
    );
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

#[test]
fn a_location_may_name_the_kind_of_store() {
    let (_folder, file) = filled();
    let location = format!("sqlite:{}", file.display());
    let info = block_on(flux_core::maintain(Some(&location)).unwrap().info());
    assert_eq!(info.unwrap().location, file.to_str().unwrap());
    let error = flux_core::maintain(Some("elsewhere://x")).unwrap_err();
    assert!(
        error.to_string().contains("no store understands"),
        "{error}"
    );
}
