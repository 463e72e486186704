//! One owner: a commit of anybody else is refused and writes nothing.

use std::sync::Arc;

use super::given::{
    append, change, commit, create, create_ownerless, creation, events, extend, history, inbox,
    json, new, record, signal,
};
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::status::Status;
use crate::store::{Commit, CommitError, Committed, Store, Target};

fn assert_fenced(outcome: &Result<Committed, CommitError>) {
    assert!(
        matches!(outcome, Err(CommitError::Fenced)),
        "not fenced: {outcome:?}"
    );
}

/// After a takeover the former owner cannot write.
pub async fn a_stale_epoch_writes_nothing(store: Arc<dyn Store>) {
    let key = create_ownerless(&store, "a").await;
    let heir = store.join().await.unwrap();
    let row = store
        .claim(&ExecutionId::from("a"), heir.id())
        .await
        .unwrap();
    assert_fenced(&extend(&store, key, Epoch(1), 2, 3).await);
    assert_fenced(&extend(&store, key, Epoch(row.epoch.0 + 1), 2, 3).await);
    assert_eq!(history(&store, key).await, events(1, 1));
    extend(&store, key, row.epoch, 2, 3).await.unwrap();
}

/// A history has no gaps: not before a commit, not inside it.
pub async fn a_gap_in_the_numbering_writes_nothing(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    assert_fenced(&extend(&store, key, Epoch(1), 3, 4).await);
    let torn = Commit {
        events: [events(2, 2), events(4, 4)].concat(),
        ..append(key, Epoch(1), 2, 2)
    };
    assert_fenced(&store.commit(torn).await);
    let unborn = Commit {
        events: events(2, 2),
        ..creation(new("b", guard.id()))
    };
    assert_fenced(&store.commit(unborn).await);
    assert_eq!(
        store.execution(&ExecutionId::from("b")).await.unwrap(),
        None
    );
    assert_eq!(history(&store, key).await, events(1, 1));
}

/// What is written is never written over.
pub async fn a_number_is_written_once(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    extend(&store, key, Epoch(1), 2, 5).await.unwrap();
    for from in 1..=5 {
        assert_fenced(&extend(&store, key, Epoch(1), from, 6).await);
    }
    assert_eq!(history(&store, key).await, events(1, 5));
}

/// A key that was never given belongs to nobody.
pub async fn an_unknown_execution_is_fenced(store: Arc<dyn Store>) {
    for key in [ExecutionKey(77), ExecutionKey(0), ExecutionKey(-1)] {
        assert_fenced(&extend(&store, key, Epoch(1), 1, 1).await);
        assert_eq!(history(&store, key).await, []);
    }
}

/// A refused commit changes no row, consumes, publishes and sends nothing.
pub async fn a_refused_commit_has_no_side_effects(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let other = create(&store, "b", guard.id()).await;
    store
        .post(&ExecutionId::from("a"), signal("ping", "1"))
        .await
        .unwrap();
    let message = store.inbox(key).await.unwrap()[0].id;
    let before = record(&store, "a").await;
    let refused = Commit {
        change: Some(change(Status::Completed)),
        consumed: vec![message],
        published: vec![("progress".into(), json("1"))],
        outbox: vec![("b".into(), signal("pong", "1"))],
        ..commit(Target::Existing {
            key,
            epoch: Epoch(9),
        })
    };
    assert_fenced(&store.commit(refused).await);
    assert_eq!(record(&store, "a").await, before);
    assert_eq!(inbox(&store, key).await, ["ping"]);
    assert_eq!(inbox(&store, other).await, [""; 0]);
    assert_eq!(store.published(key, "progress").await.unwrap(), None);
}
