//! `db` and `doctor`.

use std::sync::Arc;

use flux::clock::Timestamp;
use flux::sqlite::SqliteStore;
use flux::store::{Runnable, ScheduleChange, Serves, Store};

use crate::support::{Folder, golden};

#[test]
fn the_store_is_told_about() {
    golden!(Folder::seeded().transcript(&["flux db info", "flux db info --json"]));
}

#[test]
fn the_store_is_checked() {
    golden!(Folder::seeded().transcript(&["flux db check", "flux db check --json"]));
}

#[test]
fn damage_is_found() {
    let folder = Folder::seeded();
    let file = flux::sqlite::rusqlite::Connection::open(folder.path("flux.db")).unwrap();
    file.execute("DELETE FROM flux_events WHERE kind = 2", [])
        .unwrap();
    drop(file);
    golden!(folder.transcript(&["flux db check", "flux db check --json", "flux doctor"]));
}

#[test]
fn the_store_is_made_and_brought_up_to_date() {
    let folder = Folder::empty();
    golden!(folder.transcript(&[
        "flux db migrate",
        "flux db migrate",
        "flux db migrate --json",
        "flux list",
    ]));
}

#[test]
fn the_store_is_copied() {
    let folder = Folder::seeded();
    golden!(folder.transcript(&[
        "flux db backup copy.db",
        "flux db backup copy.db",
        "flux db backup other.db --json",
        "flux db backup nowhere/copy.db",
    ]));
    let copied = folder.run("flux --db copy.db list -o id").exits(0).stdout;
    assert_eq!(copied, folder.run("flux list -o id").stdout);
}

#[test]
fn the_doctor_finds_what_waits_for_nobody() {
    golden!(Folder::seeded().transcript(&["flux doctor", "flux doctor --json"]));
}

#[test]
fn the_doctor_is_content_with_a_new_store() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    golden!(folder.run("flux doctor").exits(0).transcript());
}

/// "no worker that has it runs", it said of a worker whose clock was behind.
#[tokio::test]
async fn the_doctor_tells_whether_a_late_schedule_has_a_worker() {
    let folder = Folder::seeded();
    let store = SqliteStore::open(folder.path("flux.db")).await.unwrap();
    let schedules = store.schedules().await.unwrap();
    let schedule = schedules.into_iter().find(|it| !it.is_paused).unwrap();
    let an_hour_ago = Timestamp::from_micros(1_709_550_000_000_000);
    let late = ScheduleChange {
        next_at: Some(Some(an_hour_ago)),
        ..ScheduleChange::default()
    };
    store.change_schedule(&schedule.id, late).await.unwrap();
    let told = |why: &str| {
        let doctor = folder.run("flux doctor").exits(1).stdout;
        let told = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = format!("`{}` is late: {why}", schedule.id);
        assert!(told.contains(&wanted), "{told}");
    };
    let workflow = &schedule.workflow;
    told(&format!("no worker that has `{workflow}` runs; start one"));
    let worker = store.join().await.unwrap();
    let serves = Serves {
        queues: None,
        concurrency: 1,
        code: vec![Runnable {
            workflow: Arc::clone(workflow),
            versions: 1..=1,
        }],
    };
    store.serve(worker.id(), Some(serves)).await.unwrap();
    told(&format!(
        "a worker that has `{workflow}` runs, but does not start it"
    ));
}
