//! Messages that a commit sends: with it or not at all.

use std::sync::Arc;

use super::given::{change, commit, create, history, inbox, set, signal, signal_once};
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::status::Status;
use crate::store::{Commit, NewMessage, Store, Target};

async fn send(store: &Arc<dyn Store>, from: ExecutionKey, outbox: Vec<(ExecutionId, NewMessage)>) {
    let target = Target::Existing {
        key: from,
        epoch: Epoch(1),
    };
    store
        .commit(Commit {
            outbox,
            ..commit(target)
        })
        .await
        .unwrap();
}

/// When the commit has returned, its messages are in the inboxes, in order.
pub async fn messages_are_sent_with_the_commit(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    let messages = ["x", "y"].map(|name| ("b".into(), signal(name, "1")));
    send(&store, a, messages.to_vec()).await;
    send(&store, b, vec![("b".into(), signal("z", "1"))]).await;
    assert_eq!(inbox(&store, b).await, ["x", "y", "z"]);
    assert_eq!(inbox(&store, a).await, [""; 0]);
    assert_eq!(history(&store, b).await.len(), 1);
}

/// The commit happens all the same, and so do its other messages.
pub async fn missing_and_finished_receivers_are_passed_over(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    let ended = create(&store, "ended", guard.id()).await;
    set(&store, ended, change(Status::Completed)).await;
    let messages = ["nobody", "ended", "b"].map(|to| (to.into(), signal("x", "1")));
    send(&store, a, messages.to_vec()).await;
    assert_eq!(inbox(&store, b).await, ["x"]);
    assert_eq!(inbox(&store, ended).await, [""; 0]);
}

/// Posts and outboxes share the keys.
pub async fn a_repeat_from_an_outbox_is_dropped(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    let message = || signal_once("paid", "1", "k");
    send(
        &store,
        a,
        vec![("b".into(), message()), ("b".into(), message())],
    )
    .await;
    store.post(&"b".into(), message()).await.unwrap();
    send(&store, a, vec![("b".into(), message())]).await;
    assert_eq!(inbox(&store, b).await, ["paid"]);
}
