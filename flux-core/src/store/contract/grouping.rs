//! Commits that wait together do not hinder each other.

use std::sync::Arc;

use futures::future::join_all;

use super::given::{create, events, extend, history};
use crate::id::{Epoch, ExecutionKey};
use crate::store::{CommitError, Store};

/// Runs one task per execution at once, so that a store that groups commits does group them.
async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    join_all(running)
        .await
        .into_iter()
        .map(|ended| ended.expect("the task does not panic"))
        .collect()
}

/// Of many concurrent commits each tenth is stale: those are refused, all others are written.
pub async fn a_stale_commit_does_not_hinder_those_around_it(store: Arc<dyn Store>) {
    const MANY: usize = 100;
    let guard = store.join().await.unwrap();
    let mut keys = Vec::new();
    for i in 0..MANY {
        keys.push(create(&store, &format!("e{i}"), guard.id()).await);
    }
    for round in 0..5_u32 {
        let tasks = keys.iter().copied().enumerate().map(|(i, key)| {
            let store = Arc::clone(&store);
            let epoch = if i % 10 == 3 { Epoch(99) } else { Epoch(1) };
            async move { extend(&store, key, epoch, 2 + round, 2 + round).await }
        });
        for (i, outcome) in at_once(tasks).await.into_iter().enumerate() {
            match outcome {
                Ok(_) => assert_ne!(i % 10, 3),
                Err(CommitError::Fenced) => assert_eq!(i % 10, 3),
                Err(other) => panic!("commit {i}: {other}"),
            }
        }
    }
    for (i, key) in keys.into_iter().enumerate() {
        let last = if i % 10 == 3 { 1 } else { 6 };
        assert_eq!(history(&store, key).await, events(1, last));
    }
}

/// Two drivers that believe in the same epoch and number: one of them is right.
pub async fn of_two_commits_of_one_number_one_is_written(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    for number in 2..30 {
        let racers = (0..4).map(|_| {
            let store = Arc::clone(&store);
            async move { extend(&store, key, Epoch(1), number, number).await.is_ok() }
        });
        let winners = at_once(racers).await.into_iter().filter(|won| *won).count();
        assert_eq!(winners, 1, "of the commits of event {number}");
    }
    assert_eq!(history(&store, key).await, events(1, 29));
}

/// Executions that append without pause do not lose, reorder or mix anything.
pub async fn concurrent_commits_of_many_executions_all_happen(store: Arc<dyn Store>) {
    const STEPS: u32 = 20;
    let guard = store.join().await.unwrap();
    let owner = guard.id();
    let drivers = (0..32).map(|i| {
        let store = Arc::clone(&store);
        async move {
            let key = create(&store, &format!("e{i}"), owner).await;
            for step in 2..=STEPS {
                extend(&store, key, Epoch(1), step, step).await.unwrap();
            }
            key
        }
    });
    let keys: Vec<ExecutionKey> = at_once(drivers).await;
    for key in keys {
        assert_eq!(history(&store, key).await, events(1, STEPS));
    }
}
