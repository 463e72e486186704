//! Pending executions start in turn: when they are due, by priority and age, partition by partition, queue by queue.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::given::{
    at, claim_ready, creation, enqueue, finish, hour, in_queue, pending, record, request,
};
use crate::id::Epoch;
use crate::status::Status;
use crate::store::{NewExecution, Placement, Store, WorkRequest};

/// It is `Pending` without an owner, and becomes `Running` under the worker that gets it, started now.
pub async fn a_pending_execution_is_started(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    enqueue(&store, "a", in_queue("mail")).await;
    let row = record(&store, "a").await;
    assert_eq!((row.status, row.owner), (Status::Pending, None));
    assert_eq!((row.started_at, row.ready_at), (None, Some(at(0))));
    let work = store.claim_ready(request(worker.id(), hour(1))).await;
    let work = work.unwrap();
    let row = record(&store, "a").await;
    assert_eq!(work.claimed, std::slice::from_ref(&row));
    assert_eq!((row.status, row.epoch), (Status::Running, Epoch(2)));
    assert_eq!((row.owner, row.ready_at), (Some(worker.id()), None));
    let began = row.started_at.unwrap();
    assert!(began >= hour(1) && began < hour(2), "{began}");
}

/// Every field of a placement is there when it is read again.
pub async fn a_placement_comes_back(store: Arc<dyn Store>) {
    let gate = crate::store::Gate {
        key: "only/one".into(),
        limit: 3,
        refuses: true,
    };
    let all = Placement {
        queue: Some("mail".into()),
        partition: Some("tenant 'ü'".into()),
        priority: -7,
        due: Some(hour(9)),
        is_delay: true,
        gate: Some(gate),
        dedup: Some("k".into()),
        schedule: Some("daily".into()),
        scheduled_at: Some(hour(8)),
        tags: vec!["billing".into(), "a \"b\"".into()],
    };
    let extremes = Placement {
        queue: Some("".into()),
        partition: Some("".into()),
        priority: i32::MIN,
        ..Placement::default()
    };
    for (id, placement) in [("a", all), ("b", extremes), ("c", Placement::default())] {
        let row = pending(id, placement);
        let key = store.commit(creation(row.clone())).await.unwrap().key;
        let wanted = row.into_record(key, crate::event::FORMAT);
        assert_eq!(record(&store, id).await, wanted);
    }
}

/// Not before it is due, and the store says when that is.
pub async fn a_delayed_execution_is_not_started_early(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for (id, queue) in [("a", Some("mail")), ("b", None)] {
        let placement = Placement {
            queue: queue.map(Into::into),
            due: Some(hour(5)),
            ..Placement::default()
        };
        enqueue(&store, id, placement).await;
        assert_eq!(record(&store, id).await.ready_at, Some(hour(5)));
    }
    let early = store.claim_ready(request(worker.id(), hour(4))).await;
    let early = early.unwrap();
    assert_eq!((early.claimed, early.next), (vec![], Some(hour(5))));
    let mut due = claim_ready(&store, request(worker.id(), hour(5))).await;
    due.sort();
    assert_eq!(due, ["a", "b"]);
}

/// Higher priorities first, then the older; also among those that were delayed, and those in no queue.
pub async fn priority_comes_before_age(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for queue in [Some("mail"), None] {
        let name = |id: &str| format!("{id} {queue:?}");
        for (id, priority, due) in [
            ("low", -1, None),
            ("a", 0, None),
            ("late", 3, Some(hour(1))),
            ("high", 5, None),
            ("lowest", i32::MIN, None),
            ("b", 0, Some(hour(1))),
            ("highest", i32::MAX, None),
            ("c", 0, None),
        ] {
            let placement = Placement {
                queue: queue.map(Into::into),
                priority,
                due,
                ..Placement::default()
            };
            enqueue(&store, &name(id), placement).await;
        }
        let wanted = ["highest", "high", "late", "a", "b", "c", "low", "lowest"];
        for pair in wanted.chunks(2) {
            let asked = WorkRequest {
                limit: 2,
                ..request(worker.id(), hour(1))
            };
            let wanted: Vec<_> = pair.iter().map(|id| name(id)).collect();
            assert_eq!(claim_ready(&store, asked).await, wanted);
        }
    }
}

/// However much one partition has waiting, the others have their turn; those in none are one more.
pub async fn partitions_take_turns(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for (partition, count) in [(Some("a"), 5), (Some("b"), 2), (None, 2), (Some("c"), 1)] {
        for i in 0..count {
            let placement = Placement {
                partition: partition.map(Into::into),
                ..in_queue("mail")
            };
            enqueue(
                &store,
                &format!("{}{i}", partition.unwrap_or("-")),
                placement,
            )
            .await;
        }
    }
    let mut order = Vec::new();
    for limit in [1, 2, 1, 3, 3, 9] {
        let asked = WorkRequest {
            limit,
            ..request(worker.id(), hour(1))
        };
        order.extend(claim_ready(&store, asked).await);
    }
    let wanted = ["a0", "b0", "c0", "-0", "a1", "b1", "-1", "a2", "a3", "a4"];
    assert_eq!(order, wanted);
}

/// Priorities count inside a partition, not between them.
pub async fn no_priority_takes_the_turn_of_another_partition(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for (id, partition, priority) in [("a", "x", 9), ("b", "x", 10), ("c", "y", -5)] {
        let placement = Placement {
            partition: Some(partition.into()),
            priority,
            ..in_queue("mail")
        };
        enqueue(&store, id, placement).await;
    }
    assert_eq!(
        claim_ready(&store, request(worker.id(), hour(1))).await,
        ["b", "c", "a"]
    );
}

/// However much one queue has waiting, the others have their turn.
pub async fn queues_take_turns(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for queue in [Some("mail"), Some("post"), None] {
        for i in 0..3 {
            let placement = queue.map(in_queue).unwrap_or_default();
            enqueue(&store, &format!("{}{i}", queue.unwrap_or("-")), placement).await;
        }
    }
    let mut order = Vec::new();
    for _ in 0..9 {
        let asked = WorkRequest {
            limit: 1,
            ..request(worker.id(), hour(1))
        };
        order.extend(claim_ready(&store, asked).await);
    }
    for round in order.chunks(3) {
        let queues: BTreeSet<&str> = round.iter().map(|id| &id[..id.len() - 1]).collect();
        assert_eq!(queues, BTreeSet::from(["mail", "post", "-"]), "{order:?}");
    }
}

/// What nobody here has code for, or does not serve, waits; and does not keep the others waiting.
pub async fn what_cannot_be_taken_is_in_nobodys_way(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    for i in 0..20 {
        let alien = NewExecution {
            workflow: "alien".into(),
            ..pending(&format!("alien{i}"), in_queue("mail"))
        };
        store.commit(creation(alien)).await.unwrap();
        let newer = NewExecution {
            version: 9,
            ..pending(&format!("newer{i}"), in_queue("mail"))
        };
        store.commit(creation(newer)).await.unwrap();
    }
    let except = enqueue(&store, "except", in_queue("mail")).await;
    enqueue(&store, "mine", in_queue("mail")).await;
    enqueue(&store, "unserved", in_queue("post")).await;
    enqueue(&store, "free", Placement::default()).await;
    let mut asked = request(worker.id(), hour(1));
    asked.limit = 2;
    asked.code[0].versions = 1..=1;
    asked.except = BTreeSet::from([except]);
    asked.queues = Some(BTreeSet::from(["mail".into()]));
    let mut got = claim_ready(&store, asked.clone()).await;
    got.sort();
    assert_eq!(got, ["free", "mine"]);
    assert_eq!(claim_ready(&store, asked.clone()).await, [""; 0]);
    asked.except.clear();
    asked.queues = None;
    let mut got = claim_ready(&store, asked).await;
    got.sort();
    assert_eq!(got, ["except", "unserved"]);
}

/// One that somebody has claimed for something else is not started; given up, it waits as before.
pub async fn a_claimed_one_is_not_started(store: Arc<dyn Store>) {
    let (worker, other) = (store.join().await.unwrap(), store.join().await.unwrap());
    let key = enqueue(&store, "a", in_queue("mail")).await;
    let later = Placement {
        due: Some(hour(5)),
        ..in_queue("mail")
    };
    let delayed = enqueue(&store, "later", later).await;
    for id in ["a", "later"] {
        let row = store.claim(&id.into(), other.id()).await.unwrap();
        assert_eq!((row.status, row.epoch), (Status::Pending, Epoch(2)));
        assert_eq!(record(&store, id).await, row);
    }
    let asked = request(worker.id(), hour(9));
    assert_eq!(claim_ready(&store, asked.clone()).await, [""; 0]);
    store.release(key, Epoch(2), Some(hour(20))).await.unwrap();
    store.release(delayed, Epoch(2), None).await.unwrap();
    assert_eq!(record(&store, "later").await.ready_at, Some(hour(5)));
    let early = WorkRequest {
        now: hour(4).into(),
        ..asked.clone()
    };
    let early = store.claim_ready(early).await.unwrap();
    assert_eq!(super::given::ids(&early.claimed), ["a"]);
    assert_eq!(early.next, Some(hour(5)));
    assert_eq!(record(&store, "a").await.epoch, Epoch(3));
    assert_eq!(claim_ready(&store, asked).await, ["later"]);
    finish(&store, "a").await;
}

/// One that is asked for alone is given when it may start, whoever waits before it, and nothing else is.
pub async fn one_is_given_alone(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    enqueue(&store, "first", in_queue("mail")).await;
    let key = enqueue(&store, "a", in_queue("mail")).await;
    let later = Placement {
        due: Some(hour(5)),
        ..in_queue("mail")
    };
    let delayed = enqueue(&store, "later", later).await;
    let alone = |key, now| WorkRequest {
        only: Some(key),
        ..request(worker.id(), now)
    };
    let early = store.claim_ready(alone(delayed, hour(1))).await.unwrap();
    assert_eq!((early.claimed, early.next), (vec![], Some(hour(5))));
    let paused = crate::store::QueueChange {
        is_paused: Some(true),
        ..crate::store::QueueChange::default()
    };
    store.set_queue("mail", paused).await.unwrap();
    assert_eq!(claim_ready(&store, alone(key, hour(1))).await, [""; 0]);
    let goes_on = crate::store::QueueChange {
        is_paused: Some(false),
        ..crate::store::QueueChange::default()
    };
    store.set_queue("mail", goes_on).await.unwrap();
    let work = store.claim_ready(alone(key, hour(1))).await.unwrap();
    assert_eq!(work.claimed, [record(&store, "a").await]);
    assert_eq!(work.next, None);
    let again = store.claim_ready(alone(key, hour(1))).await.unwrap();
    assert_eq!((again.claimed, again.next), (vec![], None));
    assert_eq!(
        claim_ready(&store, alone(delayed, hour(5))).await,
        ["later"]
    );
    assert_eq!(
        claim_ready(&store, request(worker.id(), hour(1))).await,
        ["first"]
    );
}

/// Of many who ask at once each gets others, and all is given.
pub async fn nothing_is_given_twice(store: Arc<dyn Store>) {
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(store.join().await.unwrap());
    }
    for i in 0..100 {
        enqueue(&store, &format!("e{i}"), in_queue("mail")).await;
    }
    let claims = workers.iter().map(|worker| {
        let (store, id) = (Arc::clone(&store), worker.id());
        tokio::spawn(async move {
            let mut got = Vec::new();
            loop {
                let asked = WorkRequest {
                    limit: 3,
                    ..request(id, hour(1))
                };
                let some = claim_ready(&store, asked).await;
                if some.is_empty() {
                    return got;
                }
                got.extend(some);
            }
        })
    });
    let got = futures::future::join_all(claims).await;
    let mut all: Vec<String> = got.into_iter().flat_map(Result::unwrap).collect();
    all.sort();
    let mut wanted: Vec<String> = (0..100).map(|i| format!("e{i}")).collect();
    wanted.sort();
    assert_eq!(all, wanted);
}
