//! Gates: so many with one key are inside at once; the others are refused or wait. Dedup keys: one has each.

use std::sync::Arc;

use super::given::{
    before_gate, change, change_to, claim_ready, creation, enqueue, finish, hour, new, pending,
    put_to_sleep, record, request,
};
use crate::id::WorkerId;
use crate::status::Status;
use crate::store::{
    Change, CommitError, Gate, NewExecution, Placement, QueueChange, Release, Store, WorkRequest,
};

/// A place before a gate that refuses when it is full.
fn refusing(key: &str, limit: u32) -> Placement {
    let gate = Gate {
        key: key.into(),
        limit,
        refuses: true,
    };
    Placement {
        gate: Some(gate),
        ..Placement::default()
    }
}

async fn run(
    store: &Arc<dyn Store>,
    id: &str,
    owner: WorkerId,
    placement: Placement,
) -> Result<(), CommitError> {
    let row = NewExecution {
        placement,
        ..new(id, owner)
    };
    store.commit(creation(row)).await.map(drop)
}

async fn wait(store: &Arc<dyn Store>, id: &str, placement: Placement) -> Result<(), CommitError> {
    let row = pending(id, placement);
    store.commit(creation(row)).await.map(drop)
}

#[track_caller]
fn assert_full(outcome: &Result<(), CommitError>, holder: &str) {
    match outcome {
        Err(CommitError::Full(other)) => assert_eq!(other.holder, holder),
        other => panic!("not full: {other:?}"),
    }
}

/// The refusal names the oldest inside; nothing is written. Another key is another gate.
pub async fn a_full_gate_refuses(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap().id();
    for id in ["a", "b"] {
        run(&store, id, owner, refusing("g", 2)).await.unwrap();
    }
    assert_full(&run(&store, "c", owner, refusing("g", 2)).await, "a");
    assert_full(&wait(&store, "c", refusing("g", 2)).await, "a");
    assert_full(&run(&store, "c", owner, before_gate("g", 2)).await, "a");
    assert_eq!(store.execution(&"c".into()).await.unwrap(), None);
    run(&store, "c", owner, refusing("h", 2)).await.unwrap();
    run(&store, "d", owner, refusing("g", 3)).await.unwrap();
}

/// One that sleeps or is paused is inside; one that has finished is not, and one that is taken up again is.
pub async fn one_is_inside_until_it_has_finished(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let owner = guard.id();
    run(&store, "a", owner, refusing("g", 1)).await.unwrap();
    put_to_sleep(&store, "a", Some(hour(1))).await;
    assert_full(&run(&store, "b", owner, refusing("g", 1)).await, "a");
    let paused = Change {
        release: Some(Release::default()),
        ..change(Status::Paused)
    };
    change_to(&store, "a", paused).await;
    assert_full(&run(&store, "b", owner, refusing("g", 1)).await, "a");
    for status in [Status::Failed, Status::Cancelled] {
        let ended = Change {
            release: Some(Release::default()),
            ..change(status)
        };
        change_to(&store, "a", ended).await;
        let other = status.to_string();
        run(&store, &other, owner, refusing("g", 1)).await.unwrap();
        finish(&store, &other).await;
        // A retry takes it in again, whoever is there.
        store.claim(&"a".into(), owner).await.unwrap();
        change_to(&store, "a", change(Status::Running)).await;
        assert_full(&run(&store, "b", owner, refusing("g", 1)).await, "a");
    }
}

/// Those who wait start as soon as there is room, by priority and age, as many as there is room for.
pub async fn those_who_wait_go_in_as_others_leave(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    run(&store, "first", worker.id(), before_gate("g", 2))
        .await
        .unwrap();
    for (id, priority) in [("a", 0), ("b", 2), ("c", 0), ("d", 1), ("e", 2)] {
        let placement = Placement {
            priority,
            ..before_gate("g", 2)
        };
        enqueue(&store, id, placement).await;
    }
    let ask = async || claim_ready(&store, request(worker.id(), hour(1))).await;
    assert_eq!(ask().await, ["b"]);
    assert_eq!(ask().await, [""; 0]);
    finish(&store, "first").await;
    assert_eq!(ask().await, ["e"]);
    finish(&store, "b").await;
    finish(&store, "e").await;
    assert_eq!(ask().await, ["d", "a"]);
    assert_eq!(ask().await, [""; 0]);
    finish(&store, "a").await;
    let urgent = Placement {
        priority: 9,
        ..before_gate("g", 2)
    };
    enqueue(&store, "urgent", urgent).await;
    assert_eq!(ask().await, ["urgent"]);
    finish(&store, "d").await;
    finish(&store, "urgent").await;
    assert_eq!(ask().await, ["c"]);
}

/// While others wait, one that is to run at once is refused, and so is one more than those who wait have room for.
pub async fn nobody_overtakes_those_who_wait(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    enqueue(&store, "a", before_gate("g", 2)).await;
    let outcome = run(&store, "b", guard.id(), before_gate("g", 2)).await;
    assert_full(&outcome, "a");
    wait(&store, "b", refusing("g", 2)).await.unwrap();
    let outcome = wait(&store, "c", refusing("g", 2)).await;
    assert!(matches!(outcome, Err(CommitError::Full(_))), "{outcome:?}");
    assert_eq!(
        claim_ready(&store, request(guard.id(), hour(1))).await,
        ["a", "b"]
    );
}

/// One that is not due yet does not wait: others run meanwhile, and it waits for them when its time has come.
pub async fn one_that_is_not_due_is_in_nobodys_way(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let later = Placement {
        due: Some(hour(5)),
        ..refusing("g", 1)
    };
    enqueue(&store, "later", later).await;
    let ask = async |now| claim_ready(&store, request(worker.id(), now)).await;
    assert_eq!(ask(hour(1)).await, [""; 0]);
    run(&store, "a", worker.id(), refusing("g", 1))
        .await
        .unwrap();
    assert_eq!(ask(hour(6)).await, [""; 0]);
    finish(&store, "a").await;
    let outcome = run(&store, "b", worker.id(), refusing("g", 1)).await;
    assert_full(&outcome, "later");
    assert_eq!(ask(hour(6)).await, ["later"]);
}

/// Those before a gate who cannot be taken (their queue is paused, nobody has their code) do not block the others.
pub async fn one_who_cannot_go_in_does_not_block_the_gate(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let queued = |queue: &str| Placement {
        queue: Some(queue.into()),
        ..before_gate("g", 1)
    };
    run(&store, "first", worker.id(), before_gate("g", 1))
        .await
        .unwrap();
    for i in 0..3 {
        enqueue(&store, &format!("paused{i}"), queued("paused")).await;
        let alien = NewExecution {
            workflow: "alien".into(),
            ..pending(&format!("alien{i}"), queued("mail"))
        };
        store.commit(creation(alien)).await.unwrap();
        let newer = NewExecution {
            version: 7,
            ..pending(&format!("newer{i}"), before_gate("g", 1))
        };
        store.commit(creation(newer)).await.unwrap();
    }
    for i in 0..3 {
        enqueue(&store, &format!("mine{i}"), queued("mail")).await;
    }
    let pause = QueueChange {
        is_paused: Some(true),
        ..QueueChange::default()
    };
    store.set_queue("paused", pause).await.unwrap();
    let mut asked = request(worker.id(), hour(1));
    asked.code[0].versions = 1..=1;
    let ask = async || claim_ready(&store, asked.clone()).await;
    assert_eq!(ask().await, [""; 0]);
    finish(&store, "first").await;
    assert_eq!(ask().await, ["mine0"]);
    assert_eq!(ask().await, [""; 0]);
    finish(&store, "mine0").await;
    assert_eq!(ask().await, ["mine1"]);
    finish(&store, "mine1").await;
    let goes_on = QueueChange {
        is_paused: Some(false),
        ..QueueChange::default()
    };
    store.set_queue("paused", goes_on).await.unwrap();
    for _ in 0..4 {
        let went_in = ask().await;
        assert_eq!(went_in.len(), 1);
        finish(&store, &went_in[0]).await;
    }
    assert_eq!(ask().await, [""; 0]);
}

/// Of those who wait before one gate, partitions have their turn, too.
pub async fn partitions_take_turns_before_a_gate(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for (partition, count) in [("a", 6), ("b", 2), ("c", 1)] {
        for i in 0..count {
            let placement = Placement {
                queue: Some("mail".into()),
                partition: Some(partition.into()),
                ..before_gate("g", 1)
            };
            enqueue(&store, &format!("{partition}{i}"), placement).await;
        }
    }
    let mut order = Vec::new();
    for _ in 0..9 {
        let went_in = claim_ready(&store, request(worker.id(), hour(1))).await;
        assert_eq!(went_in.len(), 1, "after {order:?}");
        finish(&store, &went_in[0]).await;
        order.extend(went_in);
    }
    let place = |id: &str| order.iter().position(|it| it == id).unwrap();
    assert!(place("b0") < 4 && place("c0") < 4, "{order:?}");
    assert!(place("b1") < 7, "{order:?}");
}

/// One that was claimed for something else waits on: it is not started, others are, and it is back when given up.
pub async fn a_claimed_one_makes_room_for_the_next(store: Arc<dyn Store>) {
    let (worker, other) = (store.join().await.unwrap(), store.join().await.unwrap());
    run(&store, "first", worker.id(), before_gate("g", 1))
        .await
        .unwrap();
    for id in ["a", "b", "c"] {
        enqueue(&store, id, before_gate("g", 1)).await;
    }
    let ask = async || claim_ready(&store, request(worker.id(), hour(1))).await;
    finish(&store, "first").await;
    let a = store.claim(&"a".into(), other.id()).await.unwrap();
    assert_eq!(ask().await, ["b"]);
    store.release(a.key, a.epoch, None).await.unwrap();
    assert_eq!(ask().await, [""; 0]);
    // Ended before it began.
    store.claim(&"a".into(), other.id()).await.unwrap();
    let cancelled = Change {
        release: Some(Release::default()),
        ..change(Status::Cancelled)
    };
    change_to(&store, "a", cancelled).await;
    finish(&store, "b").await;
    assert_eq!(ask().await, ["c"]);
    assert_eq!(record(&store, "a").await.started_at, None);
}

/// What was only waiting and is cancelled leaves its place to the next.
pub async fn a_cancelled_one_leaves_its_place(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for id in ["a", "b"] {
        enqueue(&store, id, before_gate("g", 1)).await;
    }
    store.claim(&"a".into(), worker.id()).await.unwrap();
    finish(&store, "a").await;
    assert_eq!(
        claim_ready(&store, request(worker.id(), hour(1))).await,
        ["b"]
    );
}

/// One that is asked for alone goes in if there is room, and only then.
pub async fn one_alone_goes_in_if_there_is_room(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    run(&store, "first", worker.id(), before_gate("g", 1))
        .await
        .unwrap();
    for id in ["a", "b"] {
        enqueue(&store, id, before_gate("g", 1)).await;
    }
    let only = Some(record(&store, "b").await.key);
    let alone = WorkRequest {
        only,
        ..request(worker.id(), hour(1))
    };
    assert_eq!(claim_ready(&store, alone.clone()).await, [""; 0]);
    finish(&store, "first").await;
    assert_eq!(claim_ready(&store, alone).await, ["b"]);
    let asked = request(worker.id(), hour(1));
    assert_eq!(claim_ready(&store, asked.clone()).await, [""; 0]);
    finish(&store, "b").await;
    assert_eq!(claim_ready(&store, asked).await, ["a"]);
}

/// No two unfinished executions have the same dedup key; the refusal names who has it. A finished one leaves it for
/// good.
pub async fn a_dedup_key_is_free_when_its_execution_has_finished(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap().id();
    let keyed = |key: &str| Placement {
        dedup: Some(key.into()),
        ..Placement::default()
    };
    run(&store, "a", owner, keyed("k")).await.unwrap();
    enqueue(&store, "b", keyed("l")).await;
    for (key, holder) in [("k", "a"), ("l", "b")] {
        for outcome in [
            run(&store, "c", owner, keyed(key)).await,
            wait(&store, "c", keyed(key)).await,
        ] {
            match outcome {
                Err(CommitError::Duplicate(other)) => assert_eq!(other.holder, holder),
                other => panic!("no duplicate: {other:?}"),
            }
        }
    }
    assert_eq!(store.execution(&"c".into()).await.unwrap(), None);
    let failed = Change {
        release: Some(Release::default()),
        ..change(Status::Failed)
    };
    change_to(&store, "a", failed).await;
    assert_eq!(record(&store, "a").await.placement.dedup, None);
    run(&store, "c", owner, keyed("k")).await.unwrap();
    store.claim(&"a".into(), owner).await.unwrap();
    change_to(&store, "a", change(Status::Running)).await;
    assert_eq!(record(&store, "c").await.placement.dedup, Some("k".into()));
    assert!(matches!(
        run(&store, "a", owner, keyed("k")).await,
        Err(CommitError::Exists)
    ));
}
