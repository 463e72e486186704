//! The store serves every runtime, several at once, and none; and it can be dropped anywhere.

use std::sync::Arc;

use flux_core::id::{Epoch, ExecutionKey};
use flux_core::payload::Payload;
use flux_core::store::contract::given::{append, create, events, extend, history};
use flux_core::store::contract::transactions::transaction;
use flux_core::store::{Commit, Store, Transaction};
use tokio::task::LocalSet;

use super::given::{folder, open, runtime};

/// Writes and reads, and returns what it wrote to.
async fn work(store: Arc<dyn Store>, id: &'static str) -> ExecutionKey {
    let guard = store.join().await.unwrap();
    let key = create(&store, id, guard.id()).await;
    for seq in 2..=20 {
        extend(&store, key, Epoch(1), seq, seq).await.unwrap();
    }
    assert_eq!(history(&store, key).await, events(1, 20));
    key
}

#[test]
fn one_store_serves_every_kind_of_runtime() {
    let folder = folder();
    let store = open(folder.path().join("flux.db"));
    let many = runtime();
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    futures::executor::block_on(work(Arc::clone(&store), "none"));
    one.block_on(work(Arc::clone(&store), "current thread"));
    many.block_on(work(Arc::clone(&store), "block_on"));
    many.block_on(many.spawn(work(Arc::clone(&store), "task")))
        .unwrap();
    // Where `block_in_place` would panic.
    many.block_on(LocalSet::new().run_until(work(Arc::clone(&store), "local set")));
    many.block_on(LocalSet::new().run_until({
        let store = Arc::clone(&store);
        async {
            tokio::task::spawn_local(work(store, "local task"))
                .await
                .unwrap()
        }
    }));
    one.block_on(LocalSet::new().run_until(work(Arc::clone(&store), "local set, current thread")));
    let blocking = Arc::clone(&store);
    let handle = many.handle().clone();
    many.block_on(many.spawn_blocking(move || handle.block_on(work(blocking, "blocking"))))
        .unwrap();
}

/// The first runtime ends; the store does not notice.
#[test]
fn a_store_outlives_the_runtime_it_was_used_on() {
    let folder = folder();
    let store = open(folder.path().join("flux.db"));
    for id in ["first", "second"] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work(Arc::clone(&store), id));
    }
}

#[test]
fn what_is_queued_is_written_before_the_store_is_gone() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    one.block_on(async {
        let store = open(&file);
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        // Polled once, so that it is queued, and dropped with the store.
        for seq in 2..=50 {
            let mut commit = store.commit(append(key, Epoch(1), seq, seq));
            let _ = futures::poll!(&mut commit);
        }
    });
    let store = open(&file);
    let key = one
        .block_on(store.execution(&"a".into()))
        .unwrap()
        .unwrap()
        .key;
    assert_eq!(one.block_on(history(&store, key)), events(1, 50));
}

/// The last handle on the store is in a user's closure, which ends on the store's own thread.
#[test]
fn a_store_may_be_dropped_on_its_own_thread() {
    let folder = folder();
    let file = folder.path().join("flux.db");
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    one.block_on(async {
        let store = open(&file);
        let guard = store.join().await.unwrap();
        let key = create(&store, "a", guard.id()).await;
        drop(store.changed());
        let last = Arc::clone(&store);
        let run: Transaction = transaction(
            2,
            Arc::new(move |_| {
                let _ = &last;
                Ok(Payload::null())
            }),
        );
        let mut commit = store.commit(Commit {
            transaction: Some(run),
            ..append(key, Epoch(1), 1, 0)
        });
        let _ = futures::poll!(&mut commit);
        drop(commit);
        drop(store);
    });
    let again = open(&file);
    let key = one
        .block_on(again.execution(&"a".into()))
        .unwrap()
        .unwrap()
        .key;
    assert!(
        one.block_on(again.last_event(key))
            .unwrap()
            .unwrap()
            .seq
            .get()
            <= 2
    );
}
