//! Which store a call is about.

use flux::sqlite::rusqlite::Connection;

use crate::support::{Folder, golden};

/// Stores by the name of their only execution, each in a file of that name.
fn folder() -> Folder {
    let folder = Folder::empty();
    for name in ["flag", "variable", "file", "flux"] {
        let line = format!("flux --db {name}.db start remind --id {name} -q");
        folder.run(&line).exits(0);
    }
    folder
}

#[test]
fn the_option_goes_before_the_variable_before_the_file_before_the_default() {
    let folder = folder();
    let list = || folder.call("flux list -o id");
    assert_eq!(list().run().stdout, "flux\n");
    folder.write("flux.toml", "db = \"file.db\"\n");
    assert_eq!(list().run().stdout, "file\n");
    let variable = |call: crate::support::Call| call.env("FLUX_STORE", "variable.db").run().stdout;
    assert_eq!(variable(list()), "variable\n");
    let flag = folder.call("flux --db flag.db list -o id");
    assert_eq!(variable(flag), "flag\n");
    let empty = list().env("FLUX_STORE", "").run();
    assert_eq!(empty.stdout, "file\n", "an empty variable is none");
}

#[test]
fn a_file_of_settings_counts_for_the_folders_below() {
    let folder = folder();
    folder.write("flux.toml", "db = \"file.db\"\n");
    folder.write("deep/down/here.txt", "");
    let below = folder.path("deep/down");
    let list = folder.call("flux list -o id").within(&below).run().exits(0);
    assert_eq!(list.stdout, "file\n");
    // The nearest counts.
    folder.write("deep/flux.toml", "db = \"../flag.db\"\n");
    let list = folder.call("flux list -o id").within(&below).run().exits(0);
    assert_eq!(list.stdout, "flag\n");
}

#[test]
fn hints_name_the_store_that_was_named() {
    let folder = folder();
    let named = folder.run("flux --db flag.db show flag").exits(0);
    assert!(
        named.stdout.contains("  flux --db flag.db cancel flag "),
        "{}",
        named.stdout
    );
    let default = folder.run("flux show flux").exits(0);
    assert!(
        default.stdout.contains("  flux cancel flux "),
        "{}",
        default.stdout
    );
}

#[test]
fn settings_that_cannot_be_read_are_an_error() {
    let folder = folder();
    let mut text = String::new();
    for settings in ["database = \"file.db\"\n", "db = 7\n", "db = \n"] {
        folder.write("flux.toml", settings);
        text.push_str(&folder.run("flux list").exits(2).transcript());
        text.push('\n');
    }
    folder.write("flux.toml", "# nothing\n");
    assert_eq!(folder.run("flux list -o id").exits(0).stdout, "flux\n");
    golden!(text);
}

#[test]
fn a_missing_store_is_an_error_and_stays_missing() {
    let folder = Folder::empty();
    golden!(folder.transcript(&[
        "flux list",
        "flux --db orders.db show 7",
        "flux --db orders.db cancel 7",
        "flux db info",
        "flux db check",
        "flux db backup copy.db",
        "flux doctor",
        "flux worker list",
        "shop list",
    ]));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn another_kind_of_store_is_unknown() {
    golden!(Folder::empty().transcript(&[
        "flux --db mysql://localhost/orders list",
        "flux --db postgres://localhost/orders start remind",
    ]));
}

#[test]
fn a_file_that_is_no_store_is_told_so() {
    let folder = Folder::empty();
    folder.write(
        "notes.txt",
        &"these are notes, and no pages of a database\n".repeat(200),
    );
    Connection::open(folder.path("other.db"))
        .unwrap()
        .execute_batch("CREATE TABLE birds (name TEXT)")
        .unwrap();
    golden!(folder.transcript(&[
        "flux --db notes.txt list",
        "flux --db other.db list",
        "flux --db . list",
    ]));
}

/// As the version before wrote it: without the catalog.
fn older(folder: &Folder) {
    let migrations = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../flux-store/migrations/sqlite"
    );
    let mut steps: Vec<_> = std::fs::read_dir(migrations)
        .unwrap()
        .map(|step| step.unwrap().path())
        .collect();
    steps.sort();
    let store = Connection::open(folder.path("flux.db")).unwrap();
    store.pragma_update(None, "journal_mode", "wal").unwrap();
    for step in &steps[..2] {
        store
            .execute_batch(&std::fs::read_to_string(step).unwrap())
            .unwrap();
    }
    store.execute_batch(META).unwrap();
}

const META: &str = "CREATE TABLE flux_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO flux_meta VALUES ('schema', '2')";

#[test]
fn an_older_store_wants_to_be_migrated() {
    let folder = Folder::empty();
    older(&folder);
    golden!(folder.transcript(&[
        "flux list",
        "flux db info",
        "flux doctor",
        "flux db migrate",
        "flux list",
    ]));
}

#[test]
fn a_newer_store_wants_a_newer_program() {
    let folder = Folder::empty();
    folder.run("flux db migrate").exits(0);
    let store = Connection::open(folder.path("flux.db")).unwrap();
    store
        .execute_batch("UPDATE flux_meta SET value = '99' WHERE key LIKE '%schema%'")
        .unwrap();
    drop(store);
    golden!(folder.transcript(&[
        "flux list",
        "flux db info",
        "flux db migrate",
        "flux doctor",
    ]));
}
