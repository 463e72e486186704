//! Executions that the commit of another one creates: with it or not at all.

use std::sync::Arc;

use super::given::{
    append, before_gate, claim_ready, commit, create, event, history, hour, in_queue, inbox, new,
    pending, record, request, signal,
};
use crate::id::{Epoch, ExecutionKey};
use crate::status::Status;
use crate::store::{
    Commit, CommitError, MessageKind, NewChild, NewExecution, NewMessage, Placement, Store, Target,
};

fn child(new: NewExecution) -> NewChild {
    child_of("parent", new)
}

fn child_of(parent: &str, new: NewExecution) -> NewChild {
    let new = NewExecution {
        parent: Some(parent.into()),
        ..new
    };
    NewChild {
        new,
        start: event(1),
    }
}

fn commit_of(parent: ExecutionKey, epoch: Epoch, children: Vec<NewChild>) -> Commit {
    Commit {
        children,
        ..commit(Target::Existing { key: parent, epoch })
    }
}

/// Each has its row, its first event and its handle, as if it had been created alone.
pub async fn children_are_created_with_the_commit(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let owner = guard.id();
    let parent = create(&store, "parent", owner).await;
    let children = vec![
        child(new("driven", owner)),
        child(pending("queued", in_queue("q"))),
    ];
    let commit = Commit {
        children,
        ..append(parent, Epoch(1), 2, 3)
    };
    let committed = store.commit(commit).await.unwrap();
    assert_eq!(committed.key, parent);
    let keys: Vec<_> = committed.children.into_iter().map(Result::unwrap).collect();
    assert_eq!(history(&store, parent).await.len(), 3);
    for (id, key) in ["driven", "queued"].into_iter().zip(&keys) {
        let row = record(&store, id).await;
        assert_eq!((row.key, row.parent), (*key, Some("parent".into())));
        assert_eq!(history(&store, *key).await, [event(1)]);
    }
    let driven = record(&store, "driven").await;
    let state = (driven.status, driven.owner, driven.epoch);
    assert_eq!(state, (Status::Running, Some(owner), Epoch(1)));
    assert_eq!(record(&store, "queued").await.status, Status::Pending);
    let given = claim_ready(&store, request(owner, hour(1))).await;
    assert_eq!(given, ["queued"]);
}

/// Also those of one commit stand in each other's way.
pub async fn a_refused_child_hinders_nothing(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let owner = guard.id();
    let parent = create(&store, "parent", owner).await;
    create(&store, "taken", owner).await;
    let gated = |id| {
        child(NewExecution {
            placement: before_gate("g", 1),
            ..new(id, owner)
        })
    };
    let twin = |id| {
        let placement = Placement {
            dedup: Some("k".into()),
            ..Placement::default()
        };
        child(pending(id, placement))
    };
    let commit = Commit {
        children: vec![
            child(new("taken", owner)),
            gated("inside"),
            gated("outside"),
            twin("one"),
            twin("two"),
            child(new("free", owner)),
        ],
        ..append(parent, Epoch(1), 2, 2)
    };
    let committed = store.commit(commit).await.unwrap();
    let outcomes: Vec<_> = committed.children.iter().map(Result::as_ref).collect();
    assert!(
        matches!(
            outcomes[..],
            [
                Err(CommitError::Exists),
                Ok(_),
                Err(CommitError::Full(_)),
                Ok(_),
                Err(CommitError::Duplicate(_)),
                Ok(_)
            ]
        ),
        "{outcomes:?}"
    );
    assert_eq!(history(&store, parent).await.len(), 2);
    assert_eq!(record(&store, "taken").await.parent, None);
    for id in ["outside", "two"] {
        assert_eq!(store.execution(&id.into()).await.unwrap(), None, "{id}");
    }
    for id in ["inside", "one", "free"] {
        assert_eq!(record(&store, id).await.parent, Some("parent".into()));
    }
}

/// A commit that is refused creates no child.
pub async fn a_fenced_commit_creates_no_child(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let parent = create(&store, "parent", guard.id()).await;
    store.claim(&"parent".into(), guard.id()).await.unwrap();
    let stale = commit_of(parent, Epoch(1), vec![child(new("child", guard.id()))]);
    let refused = store.commit(stale).await;
    assert!(matches!(refused, Err(CommitError::Fenced)), "{refused:?}");
    assert_eq!(store.execution(&"child".into()).await.unwrap(), None);
}

/// The id that was chosen for a child may be taken: what its parent orders for it is not for others.
pub async fn a_commit_gives_orders_to_its_own_children_alone(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let parent = create(&store, "parent", guard.id()).await;
    let (stranger, nephew) = ("stranger", "nephew");
    create(&store, stranger, guard.id()).await;
    let aunt = create(&store, "aunt", guard.id()).await;
    let by_aunt = commit_of(
        aunt,
        Epoch(1),
        vec![child_of("aunt", new(nephew, guard.id()))],
    );
    store.commit(by_aunt).await.unwrap();
    let own = child(new("child", guard.id()));
    let taken = child(new(stranger, guard.id()));
    let mut commit = commit_of(parent, Epoch(1), vec![own, taken]);
    let kinds = [
        MessageKind::Cancel,
        MessageKind::Terminate,
        MessageKind::Abandon,
    ];
    for to in ["child", stranger, nephew, "parent"] {
        let order = |kind| NewMessage {
            kind,
            ..signal("order", "1")
        };
        let orders = kinds.map(|kind| (to.into(), order(kind)));
        commit.outbox.extend(orders);
        commit.outbox.push((to.into(), signal("greeting", "1")));
    }
    store.commit(commit).await.unwrap();
    let all = ["order", "order", "order", "greeting"];
    for (id, received) in [
        ("child", &all[..]),
        (stranger, &all[3..]),
        (nephew, &all[3..]),
        ("parent", &all[3..]),
    ] {
        let key = record(&store, id).await.key;
        assert_eq!(inbox(&store, key).await, received, "{id}");
    }
}

/// What a commit sends reaches the children that it creates.
pub async fn a_commit_sends_messages_to_the_children_it_creates(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let parent = create(&store, "parent", guard.id()).await;
    let mut commit = commit_of(parent, Epoch(1), vec![child(new("child", guard.id()))]);
    commit.outbox = vec![("child".into(), signal("order", "1"))];
    store.commit(commit).await.unwrap();
    let child = record(&store, "child").await;
    assert_eq!(inbox(&store, child.key).await, ["order"]);
}
