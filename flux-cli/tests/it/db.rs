//! `db` and `doctor`.

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
