//! News: whoever waits for a change is woken.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::given::{at, create, json, request, signal};
use crate::id::{Epoch, ExecutionId};
use crate::store::{QueueChange, ScheduleChange, ScheduleRecord, Store};

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

/// A changed queue or schedule, work that was given, an execution given up, an owner who has gone.
pub async fn whatever_may_give_work_is_news(store: Arc<dyn Store>) {
    let (worker, leaves) = (store.join().await.unwrap(), store.join().await.unwrap());
    let key = create(&store, "a", worker.id()).await;
    let is_news = |news: BoxFuture<'_, ()>| {
        let heard = news.now_or_never().is_some();
        assert!(heard, "what this process does wakes at once");
    };
    let news = store.changed();
    let change = QueueChange::default();
    store.set_queue("mail", change).await.unwrap();
    is_news(news);
    let schedule = ScheduleRecord {
        id: "daily".into(),
        workflow: "order".into(),
        input: json("null"),
        spec: json("null"),
        is_paused: false,
        next_at: None,
        last_at: None,
        created_at: at(0),
    };
    let news = store.changed();
    store.put_schedule(schedule).await.unwrap();
    is_news(news);
    let news = store.changed();
    let change = ScheduleChange::default();
    store.change_schedule("daily", change).await.unwrap();
    is_news(news);
    let news = store.changed();
    store.delete_schedule("daily").await.unwrap();
    is_news(news);
    let news = store.changed();
    store.release(key, Epoch(1), Some(at(1))).await.unwrap();
    is_news(news);
    let news = store.changed();
    let given = super::given::claim_ready(&store, request(worker.id(), at(1))).await;
    assert_eq!(given, ["a"]);
    is_news(news);
    create(&store, "b", leaves.id()).await;
    let news = store.changed();
    drop(leaves);
    is_news(news);
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
