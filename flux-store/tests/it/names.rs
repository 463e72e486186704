//! One file has one name and one owner per execution, however it is named and whatever happens to the name meanwhile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flux_core::id::{Epoch, ExecutionId};
use flux_core::store::contract::given::{create, extend, history, record};
use flux_core::store::{ClaimError, CommitError, Store};
use flux_store::{SqliteOptions, SqliteStore};

use super::given::{folder, open, runtime};

/// Opens both names, the first of which creates the file, and asserts that the second finds the owner of the first.
fn assert_one_owner(first: &Path, second: &Path) {
    let (one, two) = (open(first), open(second));
    assert_eq!(one.describe(), two.describe());
    runtime().block_on(async {
        let (owner, other) = (one.join().await.unwrap(), two.join().await.unwrap());
        create(&one, "a", owner.id()).await;
        let claimed = two.claim(&ExecutionId::from("a"), other.id()).await;
        assert!(
            matches!(claimed, Err(ClaimError::Held { .. })),
            "{claimed:?}"
        );
    });
}

#[test]
fn a_dangling_link_leads_to_the_file_that_is_made_at_its_end() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("data")).unwrap();
    symlink(at("data/flux.db"), at("link.db")).unwrap();
    assert_one_owner(&at("link.db"), &at("data/flux.db"));
    assert!(at("data/flux.db").is_file() && !at("link.db-workers").exists());
}

#[test]
fn a_chain_of_relative_links_leads_to_one_file() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for name in ["a", "b", "real"] {
        fs::create_dir(at(name)).unwrap();
    }
    symlink("../b/two.db", at("a/one.db")).unwrap();
    symlink("../linked/three.db", at("b/two.db")).unwrap();
    symlink("real", at("linked")).unwrap();
    symlink("../real/flux.db", at("real/three.db")).unwrap();
    assert_one_owner(&at("a/one.db"), &at("linked/../real/three.db"));
    assert!(at("real/flux.db").is_file());
}

#[test]
fn links_in_a_circle_are_refused() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    symlink(at("b.db"), at("a.db")).unwrap();
    symlink(at("a.db"), at("b.db")).unwrap();
    let error = SqliteStore::open_blocking(at("a.db")).unwrap_err();
    assert!(error.to_string().contains("a.db"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_with_two_hard_links_is_refused_by_both_names() {
    let folder = folder();
    let (file, twin) = (folder.path().join("flux.db"), folder.path().join("twin.db"));
    let store = open(&file);
    fs::hard_link(&file, &twin).unwrap();
    for name in [&file, &twin] {
        let opened = SqliteStore::open_blocking(name).map(drop);
        let looked = SqliteOptions::new(name)
            .onlooker()
            .open_blocking()
            .map(drop);
        let told = flux_core::maintain(name.to_str()).unwrap();
        let told = futures::executor::block_on(told.info()).map(drop);
        for refused in [opened, looked, told] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains("hard link"), "{error}");
            assert!(error.contains(name.to_str().unwrap()), "{error}");
        }
    }
    assert!(!folder.path().join("twin.db-wal").exists());
    fs::remove_file(&twin).unwrap();
    open(&file);
    drop(store);
}

/// Mounts `from` at `to` until it is dropped; nothing where that is not allowed.
struct Bound<'a>(&'a Path);

impl<'a> Bound<'a> {
    fn new(from: &Path, to: &'a Path) -> Option<Self> {
        let mount = Command::new("mount")
            .arg("--bind")
            .args([from, to])
            .output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(to));
        }
        println!("skipped: nothing can be mounted here");
        None
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_folder_that_is_mounted_twice_holds_one_file() {
    let folder = folder();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&there).unwrap();
    let Some(_bound) = Bound::new(&here, &there) else {
        return;
    };
    let (one, two) = (open(here.join("flux.db")), open(there.join("flux.db")));
    runtime().block_on(async {
        let (owner, other) = (one.join().await.unwrap(), two.join().await.unwrap());
        let key = create(&one, "a", owner.id()).await;
        extend(&one, key, Epoch(1), 2, 9).await.unwrap();
        assert_eq!(history(&two, key).await.len(), 9);
        let claimed = two.claim(&ExecutionId::from("a"), other.id()).await;
        assert!(
            matches!(claimed, Err(ClaimError::Held { .. })),
            "{claimed:?}"
        );
    });
}

#[test]
fn a_file_that_is_mounted_by_itself_is_refused() {
    let folder = folder();
    let (file, spot) = (
        folder.path().join("flux.db"),
        folder.path().join("a spot.db"),
    );
    let store = open(&file);
    fs::write(&spot, "").unwrap();
    let Some(_bound) = Bound::new(&file, &spot) else {
        return;
    };
    let error = SqliteStore::open_blocking(&spot).unwrap_err().to_string();
    assert!(error.contains("mount its folder"), "{error}");
    open(&file);
    drop(store);
}

/// What is tried with a store whose file is not there fails and says so.
async fn assert_refuses_to_write(store: &Arc<dyn Store>, key: flux_core::id::ExecutionKey) {
    match extend(store, key, Epoch(1), 3, 3).await {
        Err(CommitError::Failed(error)) => {
            let error = error.to_string();
            assert!(error.contains("moved, deleted or replaced"), "{error}");
            assert!(error.contains("flux.db"), "{error}");
        }
        written => panic!("it was written: {written:?}"),
    }
    let read = async || store.execution(&"a".into()).await;
    while read().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn nothing_is_written_to_a_file_that_was_moved_deleted_or_replaced_while_it_was_open() {
    let folder = folder();
    let (file, aside) = (
        folder.path().join("flux.db"),
        folder.path().join("aside.db"),
    );
    let copy = folder.path().join("copy.db");
    let store = open(&file);
    let maintenance = flux_core::maintain(file.to_str()).unwrap();
    runtime().block_on(async {
        let owner = store.join().await.unwrap();
        let key = create(&store, "a", owner.id()).await;
        extend(&store, key, Epoch(1), 2, 2).await.unwrap();
        maintenance.backup(&copy).await.unwrap();

        fs::rename(&file, &aside).unwrap();
        assert_refuses_to_write(&store, key).await;
        assert!(!file.exists(), "an empty file took its place");

        fs::copy(&copy, &file).unwrap();
        let restored = fs::read(&file).unwrap();
        assert_refuses_to_write(&store, key).await;
        assert!(restored == fs::read(&file).unwrap());

        symlink(&aside, folder.path().join("link.db")).unwrap();
        fs::rename(folder.path().join("link.db"), &file).unwrap();
        assert_refuses_to_write(&store, key).await;

        // Back in its place, it is as before.
        fs::rename(&aside, &file).unwrap();
        extend(&store, key, Epoch(1), 3, 3).await.unwrap();
        assert_eq!(history(&store, key).await.len(), 3);

        fs::remove_file(&file).unwrap();
        assert_refuses_to_write(&store, key).await;
        drop(owner);
    });
    drop(store);
    assert!(!file.exists());
}

#[test]
fn a_log_that_was_deleted_is_noticed() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let store = open(&file);
    runtime().block_on(async {
        let owner = store.join().await.unwrap();
        let key = create(&store, "a", owner.id()).await;
        // The log is looked at ten times a second.
        tokio::time::sleep(Duration::from_millis(150)).await;
        extend(&store, key, Epoch(1), 2, 2).await.unwrap();
        fs::remove_file(folder.path().join("flux.db-wal")).unwrap();
        let mut next = 3;
        let error = loop {
            match extend(&store, key, Epoch(1), next, next).await {
                Ok(_) => next += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, CommitError::Failed(_)), "{error}");
    });
}

#[test]
fn a_removed_folder_of_workers_hands_nothing_to_a_second_owner() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let workers = folder.path().join("flux.db-workers");
    let quick = || -> Arc<dyn Store> {
        // It beats every 250 ms, and on a busy machine a thread may have to wait for as long before it runs.
        let options = SqliteOptions::new(&file).stall_after(Duration::from_secs(1));
        Arc::new(options.open_blocking().unwrap())
    };
    let (one, two) = (quick(), quick());
    runtime().block_on(async {
        let (owner, other) = (one.join().await.unwrap(), two.join().await.unwrap());
        let key = create(&one, "a", owner.id()).await;
        let id = ExecutionId::from("a");
        let claimed = async || two.claim(&id, other.id()).await;
        for _ in 0..3 {
            // A worker may make its file again while the folder is being removed.
            while fs::remove_dir_all(&workers).is_err() {
                tokio::task::yield_now().await;
            }
            assert!(matches!(claimed().await, Err(ClaimError::Held { .. })));
            // A third one makes the folder again, and clears away what it takes for dead.
            drop(quick().join().await.unwrap());
            assert!(matches!(claimed().await, Err(ClaimError::Held { .. })));
            assert!(
                two.orphans(record(&one, "a").await.created_at, 9)
                    .await
                    .unwrap()
                    .is_empty()
            );
            // The lock is taken again, so that a death is noticed at once as ever.
            while !workers.join(owner.id().0.to_string()).exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        extend(&one, key, Epoch(1), 2, 2).await.unwrap();
        drop(owner);
        assert_eq!(claimed().await.unwrap().epoch, Epoch(2));
    });
}

#[test]
fn one_that_dies_after_its_folder_was_removed_is_replaced_in_time() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let mut owner = super::child::Other::start("own", &file);
    assert_eq!(owner.hear().as_deref(), Some("ready"));
    fs::remove_dir_all(folder.path().join("flux.db-workers")).unwrap();
    owner.kill();
    let store = open(&file);
    runtime().block_on(async {
        let heir = store.join().await.unwrap();
        let id = ExecutionId::from("a");
        let began = std::time::Instant::now();
        while store.claim(&id, heir.id()).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(40));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}
