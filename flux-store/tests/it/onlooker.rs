//! Opening a file only to look at it: whatever is found, it is left as it is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use flux_core::store::Store;
use flux_core::store::contract::given::create;
use flux_store::{SqliteOptions, SqliteStore};
use rusqlite::Connection;

use super::given::{folder, open, runtime};

/// What lies in a folder, byte for byte; a folder in it counts by its name.
fn contents(folder: &Path) -> BTreeMap<OsString, Option<Vec<u8>>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name(), fs::read(entry.path()).ok()))
        .collect()
}

fn look(file: &Path) -> Result<SqliteStore, String> {
    let opened = SqliteOptions::new(file).onlooker().open_blocking();
    opened.map_err(|error| error.to_string())
}

fn file_with_one_execution(file: &Path) {
    let store = open(file);
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        create(&store, "a", guard.id()).await;
    });
}

fn assert_looking_changes_nothing(file: &Path) {
    let before = contents(file.parent().unwrap());
    let store = look(file).unwrap();
    runtime().block_on(async {
        assert!(store.execution(&"a".into()).await.unwrap().is_some());
        store.workers().await.unwrap();
    });
    drop(store);
    assert!(before == contents(file.parent().unwrap()));
}

#[test]
fn looking_changes_no_file() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    file_with_one_execution(&file);
    assert_looking_changes_nothing(&file);
    // Left by a program that was killed.
    fs::create_dir(folder.path().join("flux.db-workers")).unwrap();
    assert_looking_changes_nothing(&file);
}

#[test]
fn a_copy_keeps_its_journal_mode() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let copies = super::given::folder();
    let copy = copies.path().join("copy.db");
    file_with_one_execution(&file);
    let connection = Connection::open(&file).unwrap();
    connection
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    assert_looking_changes_nothing(&copy);
}

#[test]
fn one_who_looks_makes_nothing() {
    let folder = folder();
    for name in ["flux.db", "not/there/flux.db"] {
        let error = look(&folder.path().join(name)).unwrap_err();
        assert!(error.contains("there is none at this path"), "{error}");
        assert!(error.contains("`flux db migrate`"), "{error}");
    }
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    let before = contents(folder.path());
    assert!(look(&empty).unwrap_err().contains("there is none"));
    assert!(before == contents(folder.path()));
}

#[test]
fn older_tables_stay_as_they_are() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let connection = Connection::open(&file).unwrap();
    connection
        .execute("UPDATE flux_meta SET value = '1' WHERE key = 'schema'", [])
        .unwrap();
    drop(connection);
    let before = contents(folder.path());
    let error = look(&file).unwrap_err();
    assert!(error.contains("an older Flux"), "{error}");
    assert!(error.contains("version 1"), "{error}");
    assert!(error.contains("`flux db migrate`"), "{error}");
    assert!(before == contents(folder.path()));
}

#[test]
fn one_who_looks_may_come_to_own_something() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    file_with_one_execution(&file);
    let store = look(&file).unwrap();
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        store.claim(&"a".into(), guard.id()).await.unwrap();
        assert_eq!(store.workers().await.unwrap().len(), 1);
    });
    drop(store);
    let left: Vec<_> = contents(folder.path()).into_keys().collect();
    assert_eq!(left, ["flux.db"]);
}
