//! Ownership: claimed, released, and inherited from the dead.

use std::sync::Arc;

use futures::future::join_all;

use super::given::{at, change, commit, create, create_ownerless, extend, record, set};
use crate::id::{Epoch, ExecutionId};
use crate::status::Status;
use crate::store::{
    Change, ClaimError, Commit, CommitError, ExecutionRecord, Owned, Release, Store, Target,
};

/// While the owner lives nobody else gets the execution, and the refusal says who has it.
pub async fn a_living_owner_is_not_robbed(store: Arc<dyn Store>) {
    let (owner, other) = (store.join().await.unwrap(), store.join().await.unwrap());
    assert_ne!(owner.id(), other.id());
    let key = create(&store, "a", owner.id()).await;
    match store.claim(&ExecutionId::from("a"), other.id()).await {
        Err(ClaimError::Held { by }) => assert!(!by.is_empty()),
        refused => panic!("not held: {refused:?}"),
    }
    assert_eq!(record(&store, "a").await.owner, Some(owner.id()));
    extend(&store, key, Epoch(1), 2, 2).await.unwrap();
}

/// A dropped guard frees what it owned; the heir gets a new epoch.
pub async fn a_departed_owner_is_replaced(store: Arc<dyn Store>) {
    let (owner, heir) = (store.join().await.unwrap(), store.join().await.unwrap());
    create(&store, "a", owner.id()).await;
    let dead = owner.id();
    drop(owner);
    let row = store
        .claim(&ExecutionId::from("a"), heir.id())
        .await
        .unwrap();
    assert_eq!((row.owner, row.epoch), (Some(heir.id()), Epoch(2)));
    assert_eq!(row.taken_from, Some(dead), "it had not given it up");
    assert_eq!(record(&store, "a").await, as_read(row));
}

/// Claiming again what one owns makes one's earlier claim stale.
pub async fn an_owner_may_claim_again(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let row = store
        .claim(&ExecutionId::from("a"), owner.id())
        .await
        .unwrap();
    assert_eq!(row.epoch, Epoch(2));
    assert!(matches!(
        extend(&store, key, Epoch(1), 2, 2).await,
        Err(CommitError::Fenced)
    ));
    extend(&store, key, row.epoch, 2, 2).await.unwrap();
}

/// A released execution has no owner and can be claimed at once.
pub async fn a_released_execution_is_free(store: Arc<dyn Store>) {
    let (owner, heir) = (store.join().await.unwrap(), store.join().await.unwrap());
    let key = create(&store, "a", owner.id()).await;
    store.release(key, Epoch(1), None).await.unwrap();
    assert_eq!(record(&store, "a").await.owner, None);
    assert_eq!(
        store
            .claim(&ExecutionId::from("a"), heir.id())
            .await
            .unwrap()
            .epoch,
        Epoch(2)
    );
}

/// A commit can give the execution up, whatever its status.
pub async fn a_commit_may_release(store: Arc<dyn Store>) {
    let (owner, heir) = (store.join().await.unwrap(), store.join().await.unwrap());
    for status in Status::ALL {
        let id = format!("e{status}");
        let key = create(&store, &id, owner.id()).await;
        set(
            &store,
            key,
            Change {
                release: Some(Release::default()),
                ..change(status)
            },
        )
        .await;
        assert_eq!(record(&store, &id).await.owner, None);
        let row = store
            .claim(&ExecutionId::from(id), heir.id())
            .await
            .unwrap();
        assert_eq!((row.status, row.owner), (status, Some(heir.id())));
    }
}

/// A release that comes after a commit which gave the execution up under the same epoch leaves its time as it is.
pub async fn a_second_release_changes_nothing(store: Arc<dyn Store>) {
    let owner = store.join().await.unwrap();
    let key = create(&store, "a", owner.id()).await;
    let ready_at = Some(at(90));
    let release = Release {
        ready_at,
        ..Release::default()
    };
    let paused = Change {
        release: Some(release),
        ..change(Status::Paused)
    };
    set(&store, key, paused).await;
    store.release(key, Epoch(1), Some(at(1))).await.unwrap();
    assert_eq!(record(&store, "a").await.ready_at, ready_at);
}

/// An owner is told of what it has not finished nor given up, each under the epoch it holds.
pub async fn an_owner_is_told_what_it_owns(store: Arc<dyn Store>) {
    let (owner, other) = (store.join().await.unwrap(), store.join().await.unwrap());
    create(&store, "other", other.id()).await;
    for (id, status) in [("done", Status::Completed), ("asks", Status::Paused)] {
        let key = create(&store, id, owner.id()).await;
        let given_up = Change {
            release: Some(Release::default()),
            ..change(status)
        };
        set(&store, key, given_up).await;
    }
    let first = create(&store, "runs", owner.id()).await;
    let asks = ExecutionId::from("asks");
    let asks = store.claim(&asks, owner.id()).await.unwrap().key;
    let mut found = store.owned_by(owner.id()).await.unwrap();
    found.sort_by_key(|found| found.key);
    let expected = [(asks, "asks", Epoch(2)), (first, "runs", Epoch(1))];
    let expected = expected.map(|(key, id, epoch)| Owned {
        key,
        id: id.into(),
        epoch,
    });
    assert_eq!(found, expected);
}

/// Who was replaced cannot release what is no longer theirs.
pub async fn a_late_release_changes_nothing(store: Arc<dyn Store>) {
    let key = create_ownerless(&store, "a").await;
    let heir = store.join().await.unwrap();
    let row = store
        .claim(&ExecutionId::from("a"), heir.id())
        .await
        .unwrap();
    store.release(key, Epoch(1), None).await.unwrap();
    assert_eq!(record(&store, "a").await, as_read(row.clone()));
    let late = Commit {
        change: Some(Change {
            release: Some(Release::default()),
            ..change(Status::Running)
        }),
        ..commit(Target::Existing {
            key,
            epoch: Epoch(1),
        })
    };
    assert!(matches!(store.commit(late).await, Err(CommitError::Fenced)));
    assert_eq!(record(&store, "a").await, as_read(row));
}

/// There is nothing to claim.
pub async fn an_unknown_execution_cannot_be_claimed(store: Arc<dyn Store>) {
    let worker = store.join().await.unwrap();
    let refused = store.claim(&ExecutionId::from("nobody"), worker.id()).await;
    assert!(matches!(refused, Err(ClaimError::NotFound)), "{refused:?}");
}

/// Of all who claim at once exactly one gets it.
pub async fn of_many_who_claim_one_wins(store: Arc<dyn Store>) {
    create_ownerless(&store, "a").await;
    let workers = join_all((0..16).map(|_| store.join())).await;
    let claims = workers.iter().map(|worker| {
        let (store, worker) = (Arc::clone(&store), worker.as_ref().unwrap().id());
        tokio::spawn(async move { store.claim(&ExecutionId::from("a"), worker).await })
    });
    let outcomes = join_all(claims).await;
    let won: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.unwrap().ok())
        .collect();
    assert_eq!(won.len(), 1);
    assert_eq!(record(&store, "a").await, as_read(won[0].clone()));
}

/// Orphans: running, owner gone; oldest first, at most as many as asked for.
pub async fn an_orphan_is_running_and_has_no_living_owner(store: Arc<dyn Store>) {
    let alive = store.join().await.unwrap();
    create_ownerless(&store, "orphan").await;
    create(&store, "driven", alive.id()).await;
    let paused = create_ownerless(&store, "paused").await;
    let release = Some(Release::default());
    let asleep = Change {
        release,
        ..change(Status::Paused)
    };
    set(&store, paused, asleep).await;
    let ended = create_ownerless(&store, "ended").await;
    set(&store, ended, change(Status::Failed)).await;
    let released = create(&store, "released", alive.id()).await;
    store.release(released, Epoch(1), None).await.unwrap();
    create_ownerless(&store, "younger").await;

    let names = async |limit| {
        let orphans = store.orphans(at(0), limit).await.unwrap();
        orphans
            .iter()
            .map(|orphan| orphan.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(10).await, ["orphan", "released", "younger"]);
    assert_eq!(names(2).await, ["orphan", "released"]);
    store
        .claim(&ExecutionId::from("orphan"), alive.id())
        .await
        .unwrap();
    assert_eq!(names(10).await, ["released", "younger"]);
    drop(alive);
    assert_eq!(names(10).await, ["orphan", "driven", "released", "younger"]);
}

/// A claimed row as every other reader sees it.
fn as_read(claimed: ExecutionRecord) -> ExecutionRecord {
    ExecutionRecord {
        taken_from: None,
        ..claimed
    }
}
