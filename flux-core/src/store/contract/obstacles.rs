//! What kept an execution from continuing, and what keeps one from starting.

use std::sync::Arc;
use std::time::Duration;

use super::given::{
    before_gate, change, change_to, claim_ready, create, creation, enqueue, extend, finish, hour,
    in_queue, json, new, record, request,
};
use crate::id::{Epoch, ExecutionId, ExecutionKey, WorkerId};
use crate::status::Status;
use crate::store::{Barrier, Change, NewExecution, Placement, QueueChange, Rate, Release, Store};

/// It is kept beside the row, and the latest counts.
pub async fn an_obstacle_is_kept(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let before = record(&store, "a").await;
    for text in ["1", "{\"met\": 2}"] {
        let noted = store.note_obstacle(key, Epoch(1), json(text)).await;
        noted.unwrap();
        let row = record(&store, "a").await;
        assert_eq!(row.obstacle, Some(json(text)));
        assert_eq!((row.status, row.owner), (before.status, before.owner));
    }
    // Events alone leave it, and so does a claim: its driver learns of it.
    extend(&store, key, Epoch(1), 2, 3).await.unwrap();
    let claimed = store.claim(&ExecutionId::from("a"), owner.id()).await;
    assert_eq!(claimed.unwrap().obstacle, Some(json("{\"met\": 2}")));
}

/// A change says what there is of it, and nothing of what has finished.
pub async fn an_obstacle_is_taken_away_by_a_change(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let note = async || {
        let noted = store.note_obstacle(key, Epoch(1), json("1")).await;
        noted.unwrap();
    };
    note().await;
    let kept = Change {
        obstacle: Some(json("2")),
        ..change(Status::Running)
    };
    change_to(&store, "a", kept.clone()).await;
    assert_eq!(record(&store, "a").await.obstacle, Some(json("2")));
    change_to(&store, "a", change(Status::Running)).await;
    assert_eq!(record(&store, "a").await.obstacle, None);
    note().await;
    let finished = Change {
        status: Status::Failed,
        release: Some(Release::default()),
        ..kept
    };
    change_to(&store, "a", finished).await;
    assert_eq!(record(&store, "a").await.obstacle, None);
    note().await;
    assert_eq!(record(&store, "a").await.obstacle, None, "it has finished");
}

/// Who was replaced has nothing to say of the execution any more.
pub async fn a_late_obstacle_is_not_kept(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let id = ExecutionId::from("a");
    store.claim(&id, owner.id()).await.unwrap();
    let noted = store.note_obstacle(key, Epoch(1), json("1")).await;
    noted.unwrap();
    assert_eq!(record(&store, "a").await.obstacle, None);
}

/// A queue that is full or paused keeps what is due in it from starting.
pub async fn a_queue_is_a_barrier(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = enqueue(&store, "waits", in_queue("q")).await;
    let barrier = async |key| store.barrier(key, hour(1)).await.unwrap();
    let set = async |change| drop(store.set_queue("q", change).await.unwrap());
    assert_eq!(barrier(key).await, None);
    set(QueueChange {
        concurrency: Some(Some(1)),
        ..QueueChange::default()
    })
    .await;
    assert_eq!(barrier(key).await, None);
    let runs = create_in(&store, "runs", owner.id(), in_queue("q")).await;
    let full = Barrier::QueueFull {
        queue: "q".into(),
        limit: 1,
    };
    assert_eq!(barrier(key).await, Some(full));
    set(QueueChange {
        is_paused: Some(true),
        ..QueueChange::default()
    })
    .await;
    let paused = Barrier::QueuePaused { queue: "q".into() };
    assert_eq!(barrier(key).await, Some(paused));
    assert_eq!(barrier(runs).await, None, "it has started");
}

/// So does a queue that has started as many as its rate allows, until time has passed.
pub async fn a_rate_is_a_barrier(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let rate = Rate {
        count: 1,
        per: Duration::from_hours(10),
    };
    let change = QueueChange {
        rate: Some(Some(rate)),
        ..QueueChange::default()
    };
    store.set_queue("q", change).await.unwrap();
    enqueue(&store, "first", in_queue("q")).await;
    let key = enqueue(&store, "second", in_queue("q")).await;
    let given = claim_ready(&store, request(worker.id(), hour(1))).await;
    assert_eq!(given, ["first"]);
    let barrier = Barrier::QueueRate {
        queue: "q".into(),
        rate,
    };
    let at = async |moment| store.barrier(key, moment).await.unwrap();
    assert_eq!(at(hour(5)).await, Some(barrier));
    assert_eq!(at(hour(20)).await, None);
}

/// A full gate tells who holds it. One that is not due yet does not wait before it, and one that is owned is about to do
/// something else.
pub async fn a_gate_is_a_barrier(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    create_in(&store, "inside", owner.id(), before_gate("lock", 1)).await;
    let key = enqueue(&store, "waits", before_gate("lock", 1)).await;
    let later = Placement {
        due: Some(hour(5)),
        ..before_gate("lock", 1)
    };
    let later = enqueue(&store, "later", later).await;
    let full = Some(Barrier::GateFull {
        gate: "lock".into(),
        limit: 1,
        holder: "inside".into(),
    });
    let at = async |key, moment| store.barrier(key, moment).await.unwrap();
    assert_eq!(at(key, hour(4)).await, full);
    assert_eq!(at(later, hour(4)).await, None);
    assert_eq!(at(later, hour(5)).await, full);
    let id = ExecutionId::from("waits");
    store.claim(&id, owner.id()).await.unwrap();
    assert_eq!(at(key, hour(4)).await, None);
    finish(&store, "inside").await;
    assert_eq!(at(later, hour(5)).await, None);
}

async fn create_in(
    store: &Arc<dyn Store>,
    id: &str,
    owner: WorkerId,
    placement: Placement,
) -> ExecutionKey {
    let new = NewExecution {
        placement,
        ..new(id, owner)
    };
    store.commit(creation(new)).await.unwrap().key
}
