//! Files that are not ours to write: refused with the file's name and a cure, and left as they are.

use std::fs;
use std::path::Path;

use flux_store::SqliteStore;
use rusqlite::Connection;

use super::child::Other;
use super::given::{Tmpfs, folder, open};

/// Opening it fails with a reason that says all of this, and neither changes the file nor leaves
/// anything beside it.
fn assert_refused(file: &Path, says: &[&str]) {
    let before = (fs::read(file).ok(), names(file.parent().unwrap()));
    let error = SqliteStore::open_blocking(file).expect_err("the file is refused");
    println!("{error}");
    let text = error.to_string();
    assert!(
        text.contains(&file.display().to_string()),
        "the file is not named: {text}"
    );
    for word in says {
        assert!(text.contains(word), "`{word}` is not said: {text}");
    }
    assert!(
        before == (fs::read(file).ok(), names(file.parent().unwrap())),
        "the file or its folder was changed"
    );
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn a_newer_schema() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let connection = Connection::open(&file).unwrap();
    connection
        .execute("UPDATE flux_meta SET value = '99' WHERE key = 'schema'", [])
        .unwrap();
    drop(connection);
    assert_refused(&file, &["newer Flux", "99", "update the program"]);
}

#[test]
fn a_newer_schema_that_is_still_in_the_log() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let mut other = Other::start("commit and die", &file);
    assert!(!other.finish());
    let connection = Connection::open(&file).unwrap();
    connection
        .execute("UPDATE flux_meta SET value = '99' WHERE key = 'schema'", [])
        .unwrap();
    // Ends without writing the log into the file.
    std::mem::forget(connection);
    let copy = super::given::folder();
    for name in ["flux.db", "flux.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let (file, log) = (copy.path().join("flux.db"), copy.path().join("flux.db-wal"));
    let before = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    let error = SqliteStore::open_blocking(&file).unwrap_err();
    assert!(error.to_string().contains("newer Flux"), "{error}");
    assert!(
        before == (fs::read(&file).unwrap(), fs::read(&log).unwrap()),
        "the file or its log was changed"
    );
}

#[test]
fn no_database_at_all() {
    let folder = folder();
    for (name, content) in [
        ("short.db", &b"hello"[..]),
        ("long.db", &[b'x'; 9000]),
        ("half.db", b"SQLite format 3\0"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        assert_refused(&file, &["not a SQLite database", "another path"]);
    }
}

#[test]
fn a_database_of_another_program() {
    let folder = folder();
    for (name, mode) in [("delete.db", "DELETE"), ("wal.db", "WAL")] {
        let file = folder.path().join(name);
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (x)"))
            .unwrap();
        drop(connection);
        assert_refused(&file, &["another program", "adopt"]);
    }
}

#[test]
fn a_file_cut_short() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let whole = fs::read(&file).unwrap();
    for left in [whole.len() / 2, 4096, 4000, 1000] {
        fs::write(&file, &whole[..left]).unwrap();
        assert_refused(&file, &["cut short", "backup"]);
    }
}

#[test]
fn an_emptied_file_with_a_log() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let mut other = Other::start("commit and die", &file);
    assert!(!other.finish());
    fs::write(&file, "").unwrap();
    assert_refused(&file, &["cut short", "backup"]);
}

#[test]
fn a_folder() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    fs::create_dir(&file).unwrap();
    assert_refused(&file, &["folder", "path of a file"]);
}

#[test]
fn no_name_of_a_file() {
    for name in [":memory:", ""] {
        let error = SqliteStore::open_blocking(name).unwrap_err();
        assert!(error.to_string().contains(".in_memory()"), "{error}");
    }
    let error = SqliteStore::open_blocking("/proc/nowhere/flux.db").unwrap_err();
    assert!(
        error.to_string().contains("/proc/nowhere/flux.db"),
        "{error}"
    );
}

#[test]
fn a_read_only_place() {
    let Some(disk) = Tmpfs::mount("a_read_only_place", "8m") else {
        return;
    };
    let file = disk.path().join("flux.db");
    drop(open(&file));
    disk.remount("ro");
    assert_refused(&file, &["read-only", "writable"]);
    assert_refused(&disk.path().join("new.db"), &["read-only"]);
    disk.remount("rw");
    open(&file);
}

#[test]
fn a_read_only_file() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    drop(open(&file));
    let mut permissions = fs::metadata(&file).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&file, permissions).unwrap();
    if fs::OpenOptions::new().append(true).open(&file).is_ok() {
        println!("skipped a_read_only_file: the superuser may write to it all the same");
        return;
    }
    assert_refused(&file, &["read-only", "writable"]);
}
