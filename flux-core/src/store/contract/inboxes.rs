//! Inboxes: in order, consumed by commits, harmless to repeat.

use std::sync::Arc;

use super::given::{
    append, at, change, commit, create, history, inbox, json, set, signal, signal_once,
};
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::status::Status;
use crate::store::{
    Commit, CommitError, Heeds, Message, MessageId, MessageKind, NewMessage, PostError, Store,
    Target,
};

async fn consume(store: &Arc<dyn Store>, key: ExecutionKey, consumed: Vec<MessageId>) {
    let target = Target::Existing {
        key,
        epoch: Epoch(1),
    };
    store
        .commit(Commit {
            consumed,
            ..commit(target)
        })
        .await
        .unwrap();
}

/// Oldest first, every field as it was posted, numbers growing.
pub async fn messages_come_in_order(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    let kinds = [
        MessageKind::Signal,
        MessageKind::ChildEnded,
        MessageKind::Cancel,
        MessageKind::Terminate,
        MessageKind::Abandon,
        MessageKind::Resume,
    ];
    for (i, kind) in (0..9).zip(kinds.into_iter().cycle()) {
        let message = NewMessage {
            kind,
            at: at(9 - i),
            ..signal(&format!("m{i}"), &i.to_string())
        };
        store.post(&ExecutionId::from("a"), message).await.unwrap();
    }
    let found = store.inbox(key).await.unwrap();
    for ((i, kind), message) in (0..9).zip(kinds.into_iter().cycle()).zip(&found) {
        let wanted = Message {
            id: message.id,
            kind,
            name: format!("m{i}").into(),
            payload: json(&i.to_string()),
            at: at(9 - i),
        };
        assert_eq!(*message, wanted);
    }
    assert!(found.is_sorted_by(|a, b| a.id < b.id));
    assert_eq!(found.len(), 9);
}

/// What came later, and nothing else: also where the one last seen was consumed, and others' messages lie between.
pub async fn an_inbox_is_read_from_the_one_last_seen(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    create(&store, "b", guard.id()).await;
    let (a, b) = (ExecutionId::from("a"), ExecutionId::from("b"));
    for i in 0..4 {
        let message = signal(&format!("m{i}"), "1");
        store.post(&a, message.clone()).await.unwrap();
        store.post(&b, message).await.unwrap();
    }
    let all = store.inbox(key).await.unwrap();
    assert_eq!(store.inbox_after(key, None).await.unwrap(), all);
    for (i, message) in all.iter().enumerate() {
        let later = store.inbox_after(key, Some(message.id)).await.unwrap();
        assert_eq!(later, all[i + 1..]);
    }
    consume(&store, key, vec![all[1].id]).await;
    let later = store.inbox_after(key, Some(all[1].id)).await.unwrap();
    assert_eq!(later, all[2..]);
}

/// Consumed messages are gone, the others stay, and numbers are not given again.
pub async fn a_consumed_message_is_gone(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let key = create(&store, "a", guard.id()).await;
    for name in ["x", "y", "z"] {
        store
            .post(&ExecutionId::from("a"), signal(name, "1"))
            .await
            .unwrap();
    }
    let ids: Vec<MessageId> = store
        .inbox(key)
        .await
        .unwrap()
        .iter()
        .map(|message| message.id)
        .collect();
    consume(&store, key, vec![ids[1]]).await;
    assert_eq!(inbox(&store, key).await, ["x", "z"]);
    consume(&store, key, vec![ids[0], ids[2]]).await;
    assert_eq!(inbox(&store, key).await, [""; 0]);
    store
        .post(&ExecutionId::from("a"), signal("w", "1"))
        .await
        .unwrap();
    assert!(
        store.inbox(key).await.unwrap()[0].id > ids[2],
        "a number was given twice"
    );
}

/// A number of somebody else's message does nothing.
pub async fn a_commit_consumes_only_its_own_messages(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    store
        .post(&ExecutionId::from("b"), signal("x", "1"))
        .await
        .unwrap();
    let message = store.inbox(b).await.unwrap()[0].id;
    consume(&store, a, vec![message, MessageId(message.0 + 99)]).await;
    assert_eq!(inbox(&store, b).await, ["x"]);
}

/// A dedup key counts once per execution and name, for ever.
pub async fn a_repeat_is_dropped_also_after_consumption(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let (a, b) = (
        create(&store, "a", guard.id()).await,
        create(&store, "b", guard.id()).await,
    );
    let to = ExecutionId::from("a");
    for value in ["1", "2"] {
        store
            .post(&to, signal_once("paid", value, "k1"))
            .await
            .unwrap();
    }
    let found = store.inbox(a).await.unwrap();
    assert_eq!((found.len(), &found[0].payload), (1, &json("1")));
    consume(&store, a, vec![found[0].id]).await;
    store
        .post(&to, signal_once("paid", "3", "k1"))
        .await
        .unwrap();
    assert_eq!(inbox(&store, a).await, [""; 0]);

    store
        .post(&to, signal_once("paid", "4", "k2"))
        .await
        .unwrap();
    store
        .post(&to, signal_once("shipped", "5", "k1"))
        .await
        .unwrap();
    store.post(&to, signal("paid", "6")).await.unwrap();
    store.post(&to, signal("paid", "7")).await.unwrap();
    assert_eq!(inbox(&store, a).await, ["paid", "shipped", "paid", "paid"]);
    store
        .post(&ExecutionId::from("b"), signal_once("paid", "8", "k1"))
        .await
        .unwrap();
    assert_eq!(inbox(&store, b).await, ["paid"]);
}

/// No message for who does not exist or has ended.
pub async fn nobody_is_home(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let unknown = store
        .post(&ExecutionId::from("nobody"), signal("x", "1"))
        .await;
    assert!(matches!(unknown, Err(PostError::NotFound)), "{unknown:?}");
    for status in Status::ALL {
        let id = format!("e{status}");
        let key = create(&store, &id, guard.id()).await;
        set(&store, key, change(status)).await;
        match store.post(&ExecutionId::from(id), signal("x", "1")).await {
            Ok(()) => assert!(!status.is_finished()),
            Err(PostError::Finished(found)) => {
                assert_eq!((found, true), (status, status.is_finished()));
            }
            Err(other) => panic!("{status}: {other}"),
        }
    }
}

/// Messages are listed by number, with whom they are for; without a number, the newest alone.
pub async fn messages_are_listed_from_the_one_last_seen(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    assert_eq!(store.posted(None).await.unwrap(), []);
    assert_eq!(store.posted(Some(MessageId(0))).await.unwrap(), []);
    let mut wanted = Vec::new();
    for id in ["a", "b", "c"] {
        create(&store, id, guard.id()).await;
    }
    for id in ["c", "a", "c"] {
        let to = ExecutionId::from(id);
        store.post(&to, signal("x", "1")).await.unwrap();
        let key = super::given::record(&store, id).await.key;
        let newest = store.inbox(key).await.unwrap().last().unwrap().id;
        wanted.push((newest, to));
    }
    let after = async |seen| store.posted(Some(MessageId(seen))).await.unwrap();
    assert_eq!(after(0).await, wanted);
    assert_eq!(after(wanted[0].0.0).await, wanted[1..]);
    assert_eq!(after(wanted[2].0.0).await, []);
    assert_eq!(store.posted(None).await.unwrap(), wanted[2..]);
    let emptied = super::given::record(&store, "a").await.key;
    consume(&store, emptied, vec![wanted[1].0]).await;
    assert_eq!(after(0).await, [wanted[0].clone(), wanted[2].clone()]);
}

/// A command that came after what the owner has read refuses a commit that heeds it; what was read, other messages, other
/// executions' commands and commits that heed nothing do not count.
pub async fn an_unread_command_refuses_a_commit_that_heeds_it(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    let ends = [MessageKind::Cancel, MessageKind::Terminate];
    let others = [
        MessageKind::Signal,
        MessageKind::ChildEnded,
        MessageKind::Abandon,
        MessageKind::Resume,
    ];
    let sort = |ends| move |kind| (kind, ends);
    let kinds = ends.into_iter().map(sort([true, true]));
    let kinds = kinds.chain([(MessageKind::Pause, [false, true])]);
    for (kind, refuses) in kinds.chain(others.into_iter().map(sort([false, false]))) {
        for (pauses, refuses) in [false, true].into_iter().zip(refuses) {
            let id = ExecutionId::from(format!("{kind:?}-{pauses}"));
            let key = create(&store, id.as_str(), guard.id()).await;
            let beside = ExecutionId::from(format!("{kind:?}-{pauses}-beside"));
            create(&store, beside.as_str(), guard.id()).await;
            let message = NewMessage {
                kind,
                ..signal("m", "1")
            };
            let ending = |seen| Commit {
                change: Some(change(Status::Completed)),
                heeds: Some(Heeds { seen, pauses }),
                ..append(key, Epoch(1), 2, 2)
            };
            store.post(&id, message.clone()).await.unwrap();
            let seen = store.inbox(key).await.unwrap()[0].id;
            store.post(&beside, message.clone()).await.unwrap();
            store.post(&id, signal("s", "1")).await.unwrap();
            if refuses {
                let unread = store.commit(ending(None)).await;
                assert!(matches!(unread, Err(CommitError::Unread)), "{unread:?}");
                assert_eq!(history(&store, key).await.len(), 1);
                let row = store.execution(&id).await.unwrap().unwrap();
                assert_eq!(row.status, Status::Running);
            }
            let seen = if refuses { Some(seen) } else { None };
            store.commit(ending(seen)).await.unwrap();
            assert_eq!(history(&store, key).await.len(), 2);

            let id = ExecutionId::from(format!("{kind:?}-{pauses}-heedless"));
            let key = create(&store, id.as_str(), guard.id()).await;
            store.post(&id, message).await.unwrap();
            store.commit(append(key, Epoch(1), 2, 2)).await.unwrap();
        }
    }
}

/// A resume of what has finished is not to find a command that came too late; everything else stays.
pub async fn what_has_finished_keeps_no_command(store: Arc<dyn Store>) {
    let guard = store.join().await.unwrap();
    for status in Status::ALL {
        let id = ExecutionId::from(format!("e{status}"));
        let key = create(&store, id.as_str(), guard.id()).await;
        let kinds = [
            MessageKind::Signal,
            MessageKind::Cancel,
            MessageKind::Abandon,
            MessageKind::Terminate,
            MessageKind::Resume,
            MessageKind::Pause,
        ];
        for kind in kinds {
            let message = NewMessage {
                kind,
                ..signal("m", "1")
            };
            store.post(&id, message).await.unwrap();
        }
        set(&store, key, change(status)).await;
        let left = store.inbox(key).await.unwrap();
        let left: Vec<_> = left.iter().map(|message| message.kind).collect();
        if status.is_finished() {
            let others = kinds.into_iter().filter(|kind| !kind.is_command());
            assert_eq!(left, others.collect::<Vec<_>>(), "{status}");
        } else {
            assert_eq!(left, kinds, "{status}");
        }
    }
}
