//! News: whoever waits for a change is woken.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;

use super::given::{create, signal};
use crate::id::ExecutionId;
use crate::store::Store;

/// A post wakes those who wait, also several of them.
pub async fn a_post_is_news(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    create(&store, "a", guard.id()).await;
    for _ in 0..20 {
        let waiting = Arc::clone(&store);
        let other = tokio::spawn(async move { waiting.changed().await });
        let news = store.changed();
        store
            .post(&ExecutionId::from("a"), signal("x", "1"))
            .await
            .unwrap();
        news.await;
        // The other may have begun to wait after the post: then the next one is its news.
        while !other.is_finished() {
            store
                .post(&ExecutionId::from("a"), signal("x", "1"))
                .await
                .unwrap();
            tokio::task::yield_now().await;
        }
        other.await.unwrap();
    }
}

/// What happens between the call and the first poll is not missed.
pub async fn news_count_from_the_call(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    create(&store, "a", guard.id()).await;
    let news = store.changed();
    store
        .post(&ExecutionId::from("a"), signal("x", "1"))
        .await
        .unwrap();
    assert!(
        news.now_or_never().is_some(),
        "a post in this process wakes at once"
    );
}

/// Who stops waiting leaves nothing behind, and later ones are woken as before.
pub async fn one_may_stop_waiting(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    create(&store, "a", guard.id()).await;
    for _ in 0..200 {
        drop(store.changed());
        // It may be news that the worker has joined, or the execution been created: both are right.
        let _ = tokio::time::timeout(Duration::ZERO, store.changed()).await;
    }
    let news = store.changed();
    store
        .post(&ExecutionId::from("a"), signal("x", "1"))
        .await
        .unwrap();
    news.await;
}
