//! A full disk: a clear error, nothing lost, and on with it once there is room.

use std::fs;
use std::sync::Arc;

use flux_core::id::Epoch;
use flux_core::store::contract::given::{append, at, create, event, extend, history, json};
use flux_core::store::{Commit, CommitError};

use super::given::{Tmpfs, open, runtime};

fn large(key: flux_core::id::ExecutionKey, seq: u32) -> Commit {
    let mut commit = append(key, Epoch(1), seq, seq);
    commit.events[0].payload = Some(json(&format!("\"{}\"", "x".repeat(20_000))));
    commit
}

#[test]
fn a_full_disk_fails_commits_and_loses_none() {
    let Some(disk) = Tmpfs::mount("a_full_disk_fails_commits_and_loses_none", "3m") else {
        return;
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store = open(disk.path().join("flux.db"));
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let mut last = 1;
        let failure = loop {
            match store.commit(large(key, last + 1)).await {
                Ok(_) => last += 1,
                Err(error) => break error,
            }
        };
        assert_full(&failure);
        // Those who come together fail together, each with the reason.
        let together = (0..8).map(|i| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(large(key, last + 1 + i)).await })
        });
        for outcome in futures::future::join_all(together).await {
            match outcome.unwrap() {
                Err(CommitError::Fenced) => {}
                outcome => assert_full(&outcome.unwrap_err()),
            }
        }
        assert_eq!(history(&store, key).await.len(), last as usize);

        fs::remove_file(&ballast).unwrap();
        extend(&store, key, Epoch(1), last + 1, last + 1)
            .await
            .unwrap();
        assert_eq!(store.last_event(key).await.unwrap(), Some(event(last + 1)));
    });
    drop(store);
    let store = open(disk.path().join("flux.db"));
    assert_eq!(
        runtime().block_on(store.orphans(at(0), 1)).unwrap().len(),
        1
    );
}

fn assert_full(error: &CommitError) {
    let CommitError::Failed(error) = error else {
        panic!("not failed: {error:?}")
    };
    assert!(
        error
            .reason
            .contains("the disk is full: free some space and resume"),
        "{error}"
    );
}

#[test]
fn a_disk_without_room_for_a_new_file_is_named() {
    let Some(disk) = Tmpfs::mount("a_disk_without_room_for_a_new_file_is_named", "64k") else {
        return;
    };
    fs::write(disk.path().join("ballast"), vec![1; 50_000]).unwrap();
    let error = flux_store::SqliteStore::open_blocking(disk.path().join("flux.db")).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("flux.db"), "{error}");
    assert!(error.reason.contains("the disk is full"), "{error:?}");
}

#[test]
fn the_store_serves_on_after_each_failure() {
    let Some(disk) = Tmpfs::mount("the_store_serves_on_after_each_failure", "3m") else {
        return;
    };
    let store = open(disk.path().join("flux.db"));
    runtime().block_on(async {
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        let mut last = 1;
        for _ in 0..20 {
            let mut huge = append(key, Epoch(1), last + 1, last + 1);
            huge.events[0].payload = Some(json(&format!("\"{}\"", "x".repeat(4 << 20))));
            assert_full(&store.commit(huge).await.unwrap_err());
            extend(&store, key, Epoch(1), last + 1, last + 1)
                .await
                .unwrap();
            last += 1;
        }
        assert_eq!(history(&store, key).await.len(), last as usize);
    });
}

/// A value that is too large for the disk fails its own commit, not those that share its group.
#[test]
fn one_that_does_not_fit_does_not_fail_its_group() {
    let Some(disk) = Tmpfs::mount("one_that_does_not_fit_does_not_fail_its_group", "3m") else {
        return;
    };
    let store = open(disk.path().join("flux.db"));
    // On one thread, so that what is asked for at once waits together.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let guard = store.join().await.unwrap();
        let mut keys = Vec::new();
        for i in 0..9 {
            keys.push(create(&store, &format!("e{i}"), guard.id()).await);
        }
        for round in 2..12 {
            let commits = keys.iter().enumerate().map(|(i, key)| {
                // The fifth never gets beyond its first event.
                let mut commit = append(*key, Epoch(1), round, round);
                if i == 4 {
                    commit = append(*key, Epoch(1), 2, 2);
                    commit.events[0].payload = Some(json(&format!("\"{}\"", "x".repeat(4 << 20))));
                }
                store.commit(commit)
            });
            let outcomes = futures::future::join_all(commits).await;
            for (i, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(_) => assert_ne!(i, 4),
                    Err(error) => {
                        assert_eq!(i, 4, "{error}");
                        assert_full(&error);
                    }
                }
            }
        }
    });
}
