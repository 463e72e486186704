//! What the dead owned is taken over, until it is clear that it kills whoever takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::given::{
    append, before_gate, claim_ready, create, create_ownerless, creation, enqueue, hour, in_queue,
    new, record, request, set,
};
use crate::id::{Epoch, ExecutionId, WorkerId};
use crate::status::Status;
use crate::store::{
    ExecutionRecord, NewExecution, QueueChange, Store, Work, WorkRequest, hold_reason,
};

async fn ask(store: &Arc<dyn Store>, worker: WorkerId) -> Work {
    store.claim_ready(request(worker, hour(1))).await.unwrap()
}

/// Also one that was never there.
pub async fn the_dead_are_lost_and_the_living_are_not(store: Arc<dyn Store>) {
    let living = store.join().await.unwrap();
    let dead = store.join().await.unwrap();
    create(&store, "a", dead.id()).await;
    let id = dead.id();
    assert!(!store.is_lost(living.id()).await.unwrap());
    assert!(!store.is_lost(id).await.unwrap());
    drop(dead);
    assert!(store.is_lost(id).await.unwrap());
    assert!(store.is_lost(WorkerId(id.0 + 1000)).await.unwrap());
    assert!(!store.is_lost(living.id()).await.unwrap());
}

/// The oldest first, under a new epoch, whether it runs or is paused; not what a living worker drives, nor what has
/// finished.
pub async fn what_the_dead_owned_is_given_to_the_living(store: Arc<dyn Store>) {
    let heir = store.join().await.unwrap();
    create_ownerless(&store, "a").await;
    create(&store, "alive", heir.id()).await;
    let paused = create_ownerless(&store, "paused").await;
    set(&store, paused, super::given::change(Status::Paused)).await;
    let ended = create_ownerless(&store, "ended").await;
    set(&store, ended, super::given::change(Status::Failed)).await;
    create_ownerless(&store, "b").await;
    let two = WorkRequest {
        limit: 2,
        ..request(heir.id(), hour(1))
    };
    let work = store.claim_ready(two).await.unwrap();
    let rows = [record(&store, "a").await, record(&store, "paused").await];
    assert!(work.claimed.iter().all(|row| row.taken_from.is_some()));
    let claimed = work.claimed.into_iter().map(|row| ExecutionRecord {
        taken_from: None,
        ..row
    });
    assert_eq!(claimed.collect::<Vec<_>>(), rows);
    assert_eq!((rows[0].owner, rows[0].epoch), (Some(heir.id()), Epoch(2)));
    assert_eq!(rows[1].status, Status::Paused);
    assert_eq!(
        super::given::ids(&ask(&store, heir.id()).await.claimed),
        ["b"]
    );
    assert!(ask(&store, heir.id()).await.claimed.is_empty());
}

/// Also what an owner comes to own when it has left already, by a commit that was on its way: a new execution, or one
/// that had finished and goes on.
///
/// PITFALL: a store that remembers for a while who is dead remembered those only who owned something when it looked.
pub async fn what_the_dead_come_to_own_is_given_at_once(store: Arc<dyn Store>) {
    let heir = store.join().await.unwrap();
    let dead = store.join().await.unwrap();
    let late = dead.id();
    drop(dead);
    assert!(ask(&store, heir.id()).await.claimed.is_empty());
    create(&store, "late", late).await;
    let given = ask(&store, heir.id()).await.claimed;
    assert_eq!(super::given::ids(&given), ["late"]);

    let ended = create_ownerless(&store, "ended").await;
    set(&store, ended, super::given::change(Status::Failed)).await;
    assert!(ask(&store, heir.id()).await.claimed.is_empty());
    set(&store, ended, super::given::change(Status::Running)).await;
    let given = ask(&store, heir.id()).await.claimed;
    assert_eq!(super::given::ids(&given), ["ended"]);
}

/// Nothing is taken over that the worker cannot drive, or more of a queue than it may.
pub async fn nobody_takes_over_what_he_cannot_drive(store: Arc<dyn Store>) {
    let heir = store.join().await.unwrap();
    let dead = store.join().await.unwrap();
    for (id, workflow, queue) in [
        ("alien", "alien", None),
        ("m0", "order", Some("mail")),
        ("m1", "order", Some("mail")),
        ("p0", "order", Some("post")),
    ] {
        let row = NewExecution {
            workflow: workflow.into(),
            placement: queue.map(in_queue).unwrap_or_default(),
            ..new(id, dead.id())
        };
        store.commit(creation(row)).await.unwrap();
    }
    drop(dead);
    let two = QueueChange {
        per_worker: Some(Some(2)),
        ..QueueChange::default()
    };
    store.set_queue("mail", two).await.unwrap();
    let asked = WorkRequest {
        queues: Some(["mail".into()].into()),
        driving: BTreeMap::from([("mail".into(), 1)]),
        ..request(heir.id(), hour(1))
    };
    assert_eq!(claim_ready(&store, asked).await, ["m0"]);
    assert_eq!(
        claim_ready(&store, request(heir.id(), hour(1))).await,
        ["m1", "p0"]
    );
}

/// Taken over so often with nothing added to its history, it is put on hold: paused, without an owner, with the
/// reason. Any event in between starts the count anew, and so does somebody's claim.
pub async fn what_kills_again_and_again_is_put_on_hold(store: Arc<dyn Store>) {
    let key = create_ownerless(&store, "a").await;
    let take_over = async || {
        let heir = store.join().await.unwrap();
        let work = ask(&store, heir.id()).await;
        (super::given::ids(&work.claimed), work.held)
    };
    let taken = || (vec!["a".to_owned()], vec![]);
    let is_held = || (vec![], vec![(ExecutionId::from("a"), hold_reason(4))]);
    for _ in 0..2 {
        assert_eq!(take_over().await, taken());
    }
    let progress = append(key, Epoch(3), 2, 2);
    store.commit(progress).await.unwrap();
    for _ in 0..3 {
        assert_eq!(take_over().await, taken());
    }
    assert_eq!(take_over().await, is_held());
    let held = record(&store, "a").await;
    assert_eq!((held.status, held.owner), (Status::Paused, None));
    assert_eq!((held.ready_at, held.hold), (None, Some(hold_reason(4))));
    assert_eq!(take_over().await, (vec![], vec![]));
    {
        let somebody = store.join().await.unwrap();
        let row = store.claim(&"a".into(), somebody.id()).await.unwrap();
        assert_eq!((row.hold, row.status), (None, Status::Paused));
    }
    for _ in 0..3 {
        assert_eq!(take_over().await, taken());
    }
    assert_eq!(take_over().await, is_held());
}

/// One that waited for its turn when it was claimed, by one who died, waits as before: it is started, not taken over.
pub async fn a_pending_one_is_back_in_line(store: Arc<dyn Store>) {
    let heir = store.join().await.unwrap();
    for (id, placement) in [("a", in_queue("mail")), ("b", before_gate("g", 1))] {
        enqueue(&store, id, placement).await;
        let dead = store.join().await.unwrap();
        store.claim(&id.into(), dead.id()).await.unwrap();
    }
    let work = ask(&store, heir.id()).await;
    let mut got = super::given::ids(&work.claimed);
    got.sort();
    assert_eq!(got, ["a", "b"]);
    for row in work.claimed {
        assert_eq!((row.status, row.epoch), (Status::Running, Epoch(3)));
        assert!(row.started_at >= Some(hour(1)));
    }
}

/// Who is registered, and how much they own that has not finished.
pub async fn workers_are_listed(store: Arc<dyn Store>) {
    let (one, two) = (store.join().await.unwrap(), store.join().await.unwrap());
    create(&store, "a", one.id()).await;
    let ended = create(&store, "b", one.id()).await;
    set(&store, ended, super::given::change(Status::Failed)).await;
    create(&store, "c", one.id()).await;
    let workers = store.workers().await.unwrap();
    for (guard, owns) in [(&one, 2), (&two, 0)] {
        let found = workers.iter().find(|worker| worker.id == guard.id());
        let found = found.unwrap();
        assert_eq!((found.owns, found.is_alive), (owns, true));
        assert_eq!(found.pid, std::process::id());
    }
    let id = one.id();
    drop(one);
    let workers = store.workers().await.unwrap();
    let found = workers.iter().find(|worker| worker.id == id);
    assert!(found.is_none_or(|worker| !worker.is_alive));
}
