//! The catalog: what programs say of their workflows, and what their workers take.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::given::{at, hour, json};
use crate::clock::Timestamp;
use crate::id::WorkerId;
use crate::store::{Runnable, Serves, Store, WorkflowDescription};

fn described(name: &str, version: u32, as_json: &str, seen_at: Timestamp) -> WorkflowDescription {
    WorkflowDescription {
        name: name.into(),
        version,
        described: json(as_json),
        seen_at,
    }
}

/// The newest description of a name and version is kept, and they are listed by both.
pub async fn the_latest_description_is_kept(store: Arc<dyn Store>) {
    assert_eq!(store.workflows().await.unwrap(), []);
    let (b, a2, a1) = (
        described("b", 1, r#"{"queue":"x"}"#, hour(1)),
        described("a", 2, "{}", hour(1)),
        described("a", 1, "{}", hour(1)),
    );
    let all = vec![b, a2.clone(), a1.clone()];
    store.describe_workflows(all).await.unwrap();
    let other_b = described("b", 1, r#"{"queue":"y"}"#, hour(1));
    let again = vec![other_b.clone()];
    store.describe_workflows(again).await.unwrap();
    assert_eq!(store.workflows().await.unwrap(), [a1, a2, other_b]);
}

/// What is said again within the hour is not written again; after it, it is, to show that it still holds.
pub async fn a_description_is_renewed_by_the_hour(store: Arc<dyn Store>) {
    let first = described("a", 1, "{}", at(0));
    for (seen_at, kept) in [
        (at(0), at(0)),
        (at(1), at(0)),
        (hour(1), hour(1)),
        (at(2), hour(1)),
    ] {
        let said = WorkflowDescription {
            seen_at,
            ..first.clone()
        };
        store.describe_workflows(vec![said]).await.unwrap();
        assert_eq!(store.workflows().await.unwrap()[0].seen_at, kept);
    }
}

/// What a worker takes is listed with it until it is taken back, and changes nobody else.
pub async fn what_a_worker_takes_is_listed(store: Arc<dyn Store>) {
    let (one, two) = (store.join().await.unwrap(), store.join().await.unwrap());
    let code = |workflow: &str, versions: RangeInclusive<u32>| Runnable {
        workflow: workflow.into(),
        versions,
    };
    let some = Serves {
        queues: Some(["emails".into(), "letters".into()].into()),
        concurrency: 3,
        code: vec![code("a", 1..=2), code("b", 7..=7)],
    };
    let all = Serves {
        queues: None,
        concurrency: 256,
        code: Vec::new(),
    };
    let serves = async |id| {
        let workers = store.workers().await.unwrap();
        let found = workers.into_iter().find(|worker| worker.id == id);
        found.unwrap().serves
    };
    assert_eq!(serves(one.id()).await, None);
    for said in [Some(some), Some(all), None] {
        store.serve(one.id(), said.clone()).await.unwrap();
        assert_eq!(serves(one.id()).await, said);
        assert_eq!(serves(two.id()).await, None);
    }
    // One that has left is told nothing.
    let gone = WorkerId(one.id().0 + 1_000_000);
    store.serve(gone, None).await.unwrap();
}
