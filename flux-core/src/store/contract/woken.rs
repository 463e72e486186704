//! What sleeps without an owner is woken by a moment or a message, and given to a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::given::{
    at, change, change_to, claim_ready, commit, create, create_ownerless, creation, finish, hour,
    in_queue, new, pending, put_to_sleep, record, request, signal,
};
use crate::clock::Timestamp;
use crate::id::{Epoch, ExecutionId};
use crate::status::Status;
use crate::store::{
    Change, Commit, CommitError, MessageKind, NewExecution, NewMessage, QueueChange, Release,
    Runnable, Store, Target, WorkRequest,
};

/// A worker without room is told whether anything is ready for it, or when; nothing is given.
pub async fn a_worker_without_room_is_told_what_is_ready(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let look = async |hours: i64| {
        let request = WorkRequest {
            limit: 0,
            ..request(guard.id(), hour(hours))
        };
        let work = store.claim_ready(request).await.unwrap();
        assert!(work.claimed.is_empty(), "{work:?}");
        work.next
    };
    let is_ready = |next: Option<Timestamp>, hours| {
        next.is_some_and(|next| next < hour(hours).after(Duration::from_mins(1)))
    };
    assert_eq!(look(1).await, None);
    create(&store, "sleeper", guard.id()).await;
    put_to_sleep(&store, "sleeper", Some(hour(3))).await;
    assert_eq!(look(2).await, Some(hour(3)));
    assert!(is_ready(look(4).await, 4));
    assert_eq!(record(&store, "sleeper").await.owner, None);
    put_to_sleep(&store, "sleeper", None).await;
    assert_eq!(look(4).await, None);

    let one = QueueChange {
        concurrency: Some(Some(1)),
        ..QueueChange::default()
    };
    store.set_queue("q", one).await.unwrap();
    for id in ["first", "second"] {
        let row = pending(id, in_queue("q"));
        store.commit(creation(row)).await.unwrap();
    }
    assert!(is_ready(look(4).await, 4));
    let given = claim_ready(&store, request(guard.id(), hour(4))).await;
    assert_eq!(given, ["first"]);
    // Its queue is full: there is nothing for the worker.
    assert_eq!(look(4).await, None);
    create_ownerless(&store, "orphan").await;
    assert!(is_ready(look(4).await, 4));
}

/// It is given from its moment on, to one worker, under a new epoch; until then the store says when that is.
pub async fn a_sleeper_is_given_when_its_moment_has_come(store: Arc<dyn Store>) {
    let (owner, other) = (store.join().await.unwrap(), store.join().await.unwrap());
    let key = create(&store, "a", owner.id()).await;
    put_to_sleep(&store, "a", Some(hour(3))).await;
    let asleep = record(&store, "a").await;
    assert_eq!((asleep.owner, asleep.ready_at), (None, Some(hour(3))));
    let early = store.claim_ready(request(other.id(), hour(2))).await;
    let early = early.unwrap();
    assert_eq!((early.claimed, early.next), (vec![], Some(hour(3))));

    let work = store.claim_ready(request(other.id(), hour(3))).await;
    let work = work.unwrap();
    let woken = record(&store, "a").await;
    assert_eq!(work.claimed, std::slice::from_ref(&woken));
    assert_eq!((woken.owner, woken.epoch), (Some(other.id()), Epoch(2)));
    assert_eq!((woken.ready_at, woken.status), (None, Status::Running));
    let again = store.claim_ready(request(owner.id(), hour(4))).await;
    let again = again.unwrap();
    assert_eq!((again.claimed, again.next), (vec![], None));
    let stale = commit(Target::Existing {
        key,
        epoch: Epoch(1),
    });
    assert!(matches!(
        store.commit(stale).await,
        Err(CommitError::Fenced)
    ));
}

/// Paused ones as well; and one that sleeps without a moment is not given.
pub async fn the_earliest_is_given_first(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    for (id, moment) in [("a", 3), ("b", 1), ("c", 2), ("d", 1)] {
        create(&store, id, owner.id()).await;
        put_to_sleep(&store, id, Some(hour(moment))).await;
    }
    create(&store, "never", owner.id()).await;
    put_to_sleep(&store, "never", None).await;
    let paused = Change {
        release: Some(Release {
            ready_at: Some(hour(2)),
            ..Release::default()
        }),
        ..change(Status::Paused)
    };
    create(&store, "paused", owner.id()).await;
    change_to(&store, "paused", paused).await;
    let two = WorkRequest {
        limit: 2,
        ..request(owner.id(), hour(9))
    };
    assert_eq!(claim_ready(&store, two.clone()).await, ["b", "d"]);
    assert_eq!(claim_ready(&store, two.clone()).await, ["c", "paused"]);
    assert_eq!(claim_ready(&store, two.clone()).await, ["a"]);
    assert_eq!(claim_ready(&store, two).await, [""; 0]);
    assert_eq!(record(&store, "paused").await.status, Status::Paused);
}

/// Code, version, queue, and what the worker had better not get: it gets nothing else, and the rest all the same.
pub async fn a_worker_gets_only_what_it_can_drive(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let rows = [
        ("old", "order", 1, None),
        ("new", "order", 2, None),
        ("other", "refund", 1, None),
        ("mail", "order", 1, Some("mail")),
        ("post", "order", 1, Some("post")),
    ];
    for (id, workflow, version, queue) in rows {
        let row = NewExecution {
            workflow: workflow.into(),
            version,
            placement: queue.map(in_queue).unwrap_or_default(),
            ..new(id, owner.id())
        };
        store.commit(super::given::creation(row)).await.unwrap();
        put_to_sleep(&store, id, Some(hour(1))).await;
    }
    let old = record(&store, "old").await.key;
    let code = |workflow: &str, versions| Runnable {
        workflow: workflow.into(),
        versions,
    };
    let get = async |change: &dyn Fn(&mut WorkRequest)| {
        let mut asked = request(owner.id(), hour(1));
        change(&mut asked);
        let got = claim_ready(&store, asked).await;
        for id in &got {
            put_to_sleep(&store, id, Some(hour(1))).await;
        }
        got
    };
    assert_eq!(get(&|_| {}).await, ["old", "new", "mail", "post"]);
    let none = |asked: &mut WorkRequest| asked.code.clear();
    assert_eq!(get(&none).await, [""; 0]);
    let second = |asked: &mut WorkRequest| asked.code = vec![code("order", 2..=5)];
    assert_eq!(get(&second).await, ["new"]);
    let both = |asked: &mut WorkRequest| {
        asked.code = vec![code("refund", 0..=1), code("order", 2..=2)];
    };
    assert_eq!(get(&both).await, ["new", "other"]);
    let served = |asked: &mut WorkRequest| asked.queues = Some(BTreeSet::from(["post".into()]));
    assert_eq!(get(&served).await, ["old", "new", "post"]);
    let except = |asked: &mut WorkRequest| {
        asked.except = BTreeSet::from([old]);
        asked.limit = 1;
    };
    assert_eq!(get(&except).await, ["new"]);
}

/// A message wakes what sleeps, at once; not what waits for its turn, nor what somebody drives.
pub async fn a_message_wakes_a_sleeper(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    for id in ["sleeps", "forever", "driven"] {
        create(&store, id, owner.id()).await;
    }
    put_to_sleep(&store, "sleeps", Some(hour(5))).await;
    put_to_sleep(&store, "forever", None).await;
    let waits = pending("waits", in_queue("mail"));
    store.commit(super::given::creation(waits)).await.unwrap();
    for id in ["sleeps", "forever", "driven", "waits"] {
        let message = NewMessage {
            at: hour(1),
            ..signal("x", "1")
        };
        store.post(&ExecutionId::from(id), message).await.unwrap();
    }
    let unserved = WorkRequest {
        queues: Some(BTreeSet::new()),
        ..request(owner.id(), hour(1))
    };
    assert_eq!(claim_ready(&store, unserved).await, ["sleeps", "forever"]);
    assert_eq!(record(&store, "waits").await.ready_at, Some(at(0)));
    assert_eq!(record(&store, "driven").await.ready_at, None);
}

/// So does one in an outbox.
pub async fn a_message_of_a_commit_wakes_a_sleeper(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let sender = create(&store, "sender", owner.id()).await;
    create(&store, "a", owner.id()).await;
    put_to_sleep(&store, "a", None).await;
    let sends = Commit {
        outbox: vec![("a".into(), signal("x", "1"))],
        ..commit(Target::Existing {
            key: sender,
            epoch: Epoch(1),
        })
    };
    store.commit(sends).await.unwrap();
    assert_eq!(record(&store, "a").await.ready_at, Some(at(5)));
    assert_eq!(
        claim_ready(&store, request(owner.id(), hour(1))).await,
        ["a"]
    );
}

/// Between the owner's last look at the inbox and its commit a message may come: it is not slept through.
pub async fn an_unseen_message_keeps_it_from_sleeping(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    for name in ["x", "y"] {
        store
            .post(&ExecutionId::from("a"), signal(name, "1"))
            .await
            .unwrap();
    }
    let inbox = store.inbox(key).await.unwrap();
    let sleep = async |seen, consumed| {
        let release = Some(Release {
            ready_at: Some(hour(5)),
            seen,
            ..Release::default()
        });
        let epoch = record(&store, "a").await.epoch;
        let asleep = Commit {
            change: Some(Change {
                release,
                ..change(Status::Running)
            }),
            consumed,
            ..commit(Target::Existing { key, epoch })
        };
        store.commit(asleep).await.unwrap();
        record(&store, "a").await.ready_at
    };
    assert_eq!(sleep(Some(inbox[0].id), vec![]).await, Some(at(5)));
    let claimed = claim_ready(&store, request(owner.id(), hour(1))).await;
    assert_eq!(claimed, ["a"]);
    assert_eq!(sleep(None, vec![inbox[0].id]).await, Some(at(5)));
    let claimed = claim_ready(&store, request(owner.id(), hour(1))).await;
    assert_eq!(claimed, ["a"]);
    // Seen, and used up by the very commit.
    assert_eq!(sleep(None, vec![inbox[1].id]).await, Some(hour(5)));
    let claimed = claim_ready(&store, request(owner.id(), hour(6))).await;
    assert_eq!(claimed, ["a"]);
    assert_eq!(sleep(Some(inbox[1].id), vec![]).await, Some(hour(5)));
}

/// One on hold is woken by what ends it or asks for it to go on, and by nothing else; somebody's claim takes it off hold.
pub async fn one_on_hold_is_woken_by_what_ends_or_resumes_it(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let hold = async |id, ready_at| {
        let held = Change {
            hold: Some("it hurts".into()),
            release: Some(Release {
                ready_at,
                ..Release::default()
            }),
            ..change(Status::Paused)
        };
        change_to(&store, id, held).await;
    };
    let post = async |id: &str, kind| {
        let message = NewMessage {
            kind,
            ..signal("x", "1")
        };
        store.post(&ExecutionId::from(id), message).await.unwrap();
    };
    for id in [
        "signalled",
        "cancelled",
        "terminated",
        "resumed",
        "mail",
        "order",
        "wish",
    ] {
        create(&store, id, owner.id()).await;
        // Some of it came before.
        if ["mail", "order", "wish"].contains(&id) {
            post(id, MessageKind::Signal).await;
        }
        if id == "order" {
            post(id, MessageKind::Cancel).await;
        }
        if id == "wish" {
            post(id, MessageKind::Resume).await;
        }
        hold(id, None).await;
        assert_eq!(record(&store, id).await.hold.as_deref(), Some("it hurts"));
    }
    post("signalled", MessageKind::Signal).await;
    post("cancelled", MessageKind::Signal).await;
    post("cancelled", MessageKind::Cancel).await;
    post("terminated", MessageKind::Terminate).await;
    post("resumed", MessageKind::Resume).await;
    assert!(store.orphans(hour(1), 10).await.unwrap().is_empty());
    assert_eq!(
        claim_ready(&store, request(owner.id(), hour(1))).await,
        ["cancelled", "terminated", "resumed", "order", "wish"]
    );
    let id = ExecutionId::from("signalled");
    let row = store.claim(&id, owner.id()).await.unwrap();
    assert_eq!((row.hold, row.status), (None, Status::Paused));
    assert_eq!(record(&store, "signalled").await.hold, None);
}

/// What has finished is never woken, whatever its owner said; nor is it on hold.
pub async fn what_has_finished_is_never_woken(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    for status in Status::ALL.into_iter().filter(|it| it.is_finished()) {
        let id = status.to_string();
        let key = create(&store, &id, owner.id()).await;
        let finished = Change {
            hold: Some("it hurts".into()),
            release: Some(Release {
                ready_at: Some(hour(1)),
                ..Release::default()
            }),
            ..change(status)
        };
        change_to(&store, &id, finished).await;
        let row = record(&store, &id).await;
        assert_eq!((row.ready_at, row.hold), (None, None));
        // Whoever would have driven it once more gives it up again.
        let claimed = store.claim(&row.id, owner.id()).await.unwrap();
        store
            .release(key, claimed.epoch, Some(hour(1)))
            .await
            .unwrap();
        assert_eq!(record(&store, &id).await.ready_at, None);
    }
    assert_eq!(
        claim_ready(&store, request(owner.id(), hour(2))).await,
        [""; 0]
    );
}

/// What one worker may drive of a queue it may also wake of it, and no more, across requests.
pub async fn the_limit_per_worker_holds_for_the_woken(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let two = QueueChange {
        per_worker: Some(Some(2)),
        ..QueueChange::default()
    };
    store.set_queue("mail", two).await.unwrap();
    for id in ["a", "b", "c"] {
        let row = NewExecution {
            placement: in_queue("mail"),
            ..new(id, owner.id())
        };
        store.commit(super::given::creation(row)).await.unwrap();
        put_to_sleep(&store, id, Some(hour(1))).await;
    }
    create(&store, "free", owner.id()).await;
    put_to_sleep(&store, "free", Some(hour(2))).await;
    let driving = |count| WorkRequest {
        driving: BTreeMap::from([("mail".into(), count)]),
        ..request(owner.id(), hour(3))
    };
    assert_eq!(claim_ready(&store, driving(1)).await, ["a", "free"]);
    assert_eq!(claim_ready(&store, driving(2)).await, [""; 0]);
    assert_eq!(claim_ready(&store, driving(0)).await, ["b", "c"]);
    finish(&store, "b").await;
}
