//! Opening what may be opened.

use flux_core::id::Epoch;
use flux_core::store::Store;
use flux_core::store::contract::given::{create, events, extend, history};
use flux_store::{SqliteOptions, SqliteStore};
use rusqlite::Connection;

use super::given::{folder, open, runtime};

#[test]
fn everything_is_there_when_opened_again() {
    let folder = folder();
    let file = folder.path().join("not/there/yet/flux.db");
    let runtime = runtime();
    let key = runtime.block_on(async {
        let store = open(&file);
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        extend(&store, key, Epoch(1), 2, 50).await.unwrap();
        key
    });
    let store = open(&file);
    assert_eq!(runtime.block_on(history(&store, key)), events(1, 50));
}

#[test]
fn an_empty_file_is_a_new_one() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    std::fs::write(&file, "").unwrap();
    open(&file);
}

#[test]
fn a_name_is_a_name_and_never_a_uri() {
    let folder = folder();
    let file = folder.path().join("file:a?mode=memory");
    open(&file);
    assert!(file.exists());
}

#[test]
fn a_link_leads_to_the_same_workers() {
    let folder = folder();
    let (file, link) = (folder.path().join("flux.db"), folder.path().join("link.db"));
    let store = SqliteStore::open_blocking(&file).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let linked = SqliteStore::open_blocking(&link).unwrap();
    assert_eq!(store.path(), linked.path());
}

#[test]
fn a_database_of_another_program_is_adopted_when_asked() {
    let folder = folder();
    let file = folder.path().join("shop.db");
    let shop = Connection::open(&file).unwrap();
    shop.execute_batch(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (7)",
    )
    .unwrap();
    drop(shop);
    for _ in 0..2 {
        let store = SqliteOptions::new(&file)
            .adopt(true)
            .open_blocking()
            .unwrap();
        drop(runtime().block_on(store.join()).unwrap());
    }
    // Once its tables are there, the file is ours as well.
    SqliteStore::open_blocking(&file).unwrap();
    let shop = Connection::open(&file).unwrap();
    let order: i64 = shop
        .query_row("SELECT id FROM orders", [], |row| row.get(0))
        .unwrap();
    assert_eq!(order, 7);
}

#[test]
fn opening_works_on_every_runtime_and_without_one() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    futures::executor::block_on(SqliteStore::open(&file)).unwrap();
    let current = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    current.block_on(SqliteStore::open(&file)).unwrap();
    let many = runtime();
    many.block_on(many.spawn(SqliteStore::open(file)))
        .unwrap()
        .unwrap();
}

#[test]
fn older_tables_are_brought_up_to_date() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let connection = Connection::open(&file).unwrap();
    for step in [
        include_str!("../../migrations/sqlite/0001_init.sql"),
        include_str!("../../migrations/sqlite/0002_living.sql"),
        "CREATE TABLE flux_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO flux_meta VALUES ('schema', '2');",
    ] {
        connection.execute_batch(step).unwrap();
    }
    drop(connection);
    let store = open(&file);
    runtime().block_on(async {
        assert_eq!(store.workflows().await.unwrap(), []);
        let _guard = store.join().await.unwrap();
        assert_eq!(store.workers().await.unwrap()[0].serves, None);
    });
}
