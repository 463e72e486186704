//! A user's own statements: what any backend can promise of them, whatever its connection is.

use std::sync::Arc;

use super::given::{append, create, event, extend, history, json};
use crate::event::{Event, EventKind};
use crate::id::Epoch;
use crate::payload::Payload;
use crate::store::{Commit, Store, Transaction, TransactionBody, in_transaction};

/// A transaction that records its outcome as event `seq`.
pub fn transaction(seq: u32, run: TransactionBody) -> Transaction {
    Transaction {
        run,
        completed: Event {
            kind: EventKind::TaskCompleted,
            payload: None,
            ..event(seq)
        },
        failed: Event {
            kind: EventKind::TaskFailed,
            payload: None,
            ..event(seq)
        },
    }
}

async fn outcome(store: &Arc<dyn Store>, run: TransactionBody) -> Event {
    let guard = store.join().await.unwrap();
    let key = create(store, "a", guard.id()).await;
    let commit = Commit {
        transaction: Some(transaction(3, run)),
        ..append(key, Epoch(1), 2, 2)
    };
    let recorded = store
        .commit(commit)
        .await
        .unwrap()
        .transaction
        .expect("the outcome is returned");
    assert_eq!(
        history(store, key).await,
        [event(1), event(2), recorded.clone()]
    );
    extend(store, key, Epoch(1), 4, 4).await.unwrap();
    recorded
}

/// The error is recorded, and the rest of the commit with it.
pub async fn a_failed_body_leaves_its_error_and_nothing_else(store: Arc<dyn Store>) {
    let recorded = outcome(&store, Arc::new(|_| Err(json(r#""no""#)))).await;
    assert_eq!(recorded.kind, EventKind::TaskFailed);
    assert_eq!(recorded.payload, Some(json(r#""no""#)));
}

/// A panic harms nobody: it is recorded with its message.
pub async fn a_panic_in_a_body_is_an_error(store: Arc<dyn Store>) {
    let recorded = outcome(&store, Arc::new(|_| panic!("on purpose"))).await;
    assert_eq!(recorded.kind, EventKind::TaskFailed);
    let text = recorded.payload.unwrap().to_string();
    assert!(text.contains("on purpose"), "{text}");
}

/// Inside a body a thread can tell so: whatever would wait for the store must refuse there.
pub async fn a_body_knows_that_it_runs(store: Arc<dyn Store>) {
    let run: TransactionBody = Arc::new(|_| Ok(Payload::encode(&in_transaction()).unwrap()));
    let recorded = outcome(&store, run).await;
    assert_eq!(
        (recorded.kind, recorded.payload),
        (EventKind::TaskCompleted, Some(json("true")))
    );
    assert!(!in_transaction());
}
