//! A commit is atomic, and there for every later reader.

use std::sync::Arc;

use futures::FutureExt as _;

use super::given::{
    append, at, change, commit, create, creation, event, events, extend, history, json, new,
    record, set,
};
use crate::event::FORMAT;
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::status::Status;
use crate::store::{Change, Commit, CommitError, NewExecution, Store, Target};

/// Everything that one commit brings is there when it returns.
pub async fn a_commit_is_there_for_every_reader(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let target = Target::Existing {
        key,
        epoch: Epoch(1),
    };
    let everything = Commit {
        events: events(2, 4),
        change: Some(change(Status::Paused)),
        published: vec![("progress".into(), json("0.5"))],
        ..commit(target)
    };
    assert_eq!(store.commit(everything).await.unwrap().key, key);
    assert_eq!(history(&store, key).await, events(1, 4));
    assert_eq!(record(&store, "a").await.status, Status::Paused);
    assert_eq!(
        store.published(key, "progress").await.unwrap(),
        Some(json("0.5"))
    );
}

/// The row of a new execution: what was given, and the defaults.
pub async fn a_new_execution_starts_as_its_row_says(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let given = NewExecution {
        parent: Some("mother".into()),
        version: 7,
        created_at: at(3),
        ..new("a b/ü", guard.id())
    };
    let key = store.commit(creation(given.clone())).await.unwrap().key;
    assert_eq!(
        record(&store, "a b/ü").await,
        given.into_record(key, FORMAT)
    );
    assert_eq!(
        store.execution(&ExecutionId::from("b")).await.unwrap(),
        None
    );
}

/// A second execution of one id is refused, and changes nothing.
pub async fn an_id_is_given_once(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let again = Commit {
        events: events(1, 3),
        ..creation(NewExecution {
            version: 2,
            ..new("a", guard.id())
        })
    };
    assert!(matches!(
        store.commit(again).await,
        Err(CommitError::Exists)
    ));
    assert_eq!(record(&store, "a").await.version, 1);
    assert_eq!(history(&store, key).await, events(1, 1));
}

/// Every field of a change is found in the row, set and unset.
pub async fn a_change_is_what_the_row_says_after(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let all = Change {
        status: Status::Failed,
        attempt: 3,
        finished_at: Some(at(1)),
        wake_at: Some(at(2)),
        waiting: Some(json("[1]")),
        base: EventSeq::new(5),
        rewound: Some(EventSeq::new(6)),
        hold: None,
        obstacle: None,
        release: None,
    };
    for wanted in [all.clone(), change(Status::Running), all] {
        set(&store, key, wanted.clone()).await;
        let row = record(&store, "a").await;
        assert_eq!(row.status, wanted.status);
        assert_eq!(row.attempt, wanted.attempt);
        assert_eq!(row.finished_at, wanted.finished_at);
        assert_eq!(row.wake_at, wanted.wake_at);
        assert_eq!(row.waiting, wanted.waiting);
        assert_eq!(row.base, wanted.base);
        assert_eq!(row.rewound, wanted.rewound);
        assert_eq!(row.obstacle, wanted.obstacle);
        assert_eq!(row.owner, Some(guard.id()));
    }
}

/// The hot path appends and touches no row.
pub async fn a_commit_without_change_leaves_the_row(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let before = record(&store, "a").await;
    extend(&store, key, Epoch(1), 2, 9).await.unwrap();
    assert_eq!(record(&store, "a").await, before);
}

/// A commit whose future is dropped after its first poll is there whole, or not at all.
pub async fn a_dropped_commit_happens_whole_or_not_at_all(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let mut last = 1;
    for _ in 0..50 {
        let dropped = store
            .commit(append(key, Epoch(1), last + 1, last + 3))
            .now_or_never();
        drop(dropped);
        // Either the three are there by now, or a later commit of the same numbers is in its place.
        match extend(&store, key, Epoch(1), last + 1, last + 3).await {
            Ok(_) | Err(CommitError::Fenced) => {}
            Err(other) => panic!("neither written nor fenced: {other}"),
        }
        last += 3;
        assert_eq!(store.last_event(key).await.unwrap(), Some(event(last)));
    }
    assert_eq!(history(&store, key).await, events(1, last));
}
