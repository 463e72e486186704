//! Histories: read in order, in pages, and back as they were written.

use std::sync::Arc;

use super::given::{append, at, create, event, events, extend, history, json};
use crate::clock::Timestamp;
use crate::event::{Event, EventKind};
use crate::id::{Epoch, EventSeq};
use crate::store::{Commit, Store};

/// Pages begin where they are asked to and end at their limit.
pub async fn a_history_is_read_in_pages(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    extend(&store, key, Epoch(1), 2, 1000).await.unwrap();
    for (from, limit, first, last) in [
        (1, 10, 1, 10),
        (11, 300, 11, 310),
        (990, 100, 990, 1000),
        (1000, 1, 1000, 1000),
    ] {
        assert_eq!(
            store.events(key, EventSeq::new(from), limit).await.unwrap(),
            events(first, last)
        );
    }
    assert_eq!(
        store.events(key, EventSeq::new(1001), 10).await.unwrap(),
        []
    );
    assert_eq!(store.events(key, EventSeq::FIRST, 0).await.unwrap(), []);
    assert_eq!(history(&store, key).await.len(), 1000);
}

/// Every kind, and every field, present and absent.
pub async fn every_field_of_an_event_comes_back(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let mut written = events(1, 1);
    for (kind, seq) in EventKind::ALL.iter().zip(2..) {
        written.push(Event {
            seq: EventSeq::new(seq),
            at: if seq == 2 {
                Timestamp::from_micros(-1)
            } else {
                at(i64::from(seq))
            },
            kind: *kind,
            refers: (seq % 2 == 0).then_some(EventSeq::new(seq - 1)),
            name: (seq % 3 == 0).then(|| "ünïcode 🦀 'quoted'\u{0} \"name\"".into()),
            payload: (seq % 4 == 0)
                .then(|| json(r#"{"text":"\u0000 '; DROP TABLE flux_events; --"}"#)),
            meta: (seq % 5 == 0).then(|| json("{}")),
        });
    }
    let commit = Commit {
        events: written[1..].to_vec(),
        ..append(key, Epoch(1), 2, 2)
    };
    store.commit(commit).await.unwrap();
    assert_eq!(history(&store, key).await, written);
}

/// The last event, also of what does not exist.
pub async fn the_last_event_is_known(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    assert_eq!(store.last_event(key).await.unwrap(), Some(event(1)));
    extend(&store, key, Epoch(1), 2, 7).await.unwrap();
    assert_eq!(store.last_event(key).await.unwrap(), Some(event(7)));
    assert_eq!(
        store
            .last_event(crate::id::ExecutionKey(key.0 + 1))
            .await
            .unwrap(),
        None
    );
}

/// Neighbours keep their events to themselves.
pub async fn histories_do_not_mix(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let mut keys = Vec::new();
    for id in ["a", "b", "c"] {
        keys.push(create(&store, id, guard.id()).await);
    }
    for step in 2..=5 {
        for (extra, key) in (0..).zip(&keys) {
            let from = 2 + (step - 2) * (extra + 1);
            extend(&store, *key, Epoch(1), from, from + extra)
                .await
                .unwrap();
        }
    }
    for (extra, key) in (0..).zip(&keys) {
        assert_eq!(history(&store, *key).await, events(1, 1 + 4 * (extra + 1)));
    }
}
