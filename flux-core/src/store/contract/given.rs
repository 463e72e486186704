//! What the promises are tried on: small executions, and shorthands to write to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::{Event, EventKind};
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;
use crate::status::Status;
use crate::store::{
    Change, Commit, CommitError, Committed, ExecutionRecord, Gate, MessageKind, NewExecution,
    NewMessage, Placement, Release, Runnable, Store, Target, WorkRequest,
};

/// A moment, `micros` microseconds after a fixed one.
pub fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + micros)
}

/// A moment, so many hours after a fixed one: what happens meanwhile takes less.
pub fn hour(hours: i64) -> Timestamp {
    at(hours * 3_600_000_000)
}

/// A recorded value.
pub fn json(text: &str) -> Payload {
    Payload::from_json(text)
}

/// The row of a new execution of the workflow `order`.
pub fn new(id: &str, owner: WorkerId) -> NewExecution {
    NewExecution {
        id: id.into(),
        workflow: "order".into(),
        version: 1,
        created_at: at(0),
        parent: None,
        owner: Some(owner),
        placement: Placement::default(),
    }
}

/// The row of a new execution that waits for a worker.
pub fn pending(id: &str, placement: Placement) -> NewExecution {
    NewExecution {
        owner: None,
        placement,
        ..new(id, WorkerId(0))
    }
}

/// A place in a queue.
pub fn in_queue(queue: &str) -> Placement {
    Placement {
        queue: Some(queue.into()),
        ..Placement::default()
    }
}

/// A place before a gate of this limit that lets others wait.
pub fn before_gate(key: &str, limit: u32) -> Placement {
    let gate = Gate {
        key: key.into(),
        limit,
        refuses: false,
    };
    Placement {
        gate: Some(gate),
        ..Placement::default()
    }
}

/// A request for all that there is, by a worker that has code for every version of `order`.
pub fn request(worker: WorkerId, now: Timestamp) -> WorkRequest {
    WorkRequest {
        worker,
        now: now.into(),
        limit: 100,
        code: vec![Runnable {
            workflow: "order".into(),
            versions: 0..=u32::MAX,
        }],
        queues: None,
        driving: BTreeMap::new(),
        except: BTreeSet::new(),
        max_takeovers: 3,
        only: None,
    }
}

/// An event of a kind that says little, with its number as payload.
pub fn event(seq: u32) -> Event {
    Event {
        seq: EventSeq::new(seq),
        at: at(i64::from(seq)),
        kind: if seq == 1 {
            EventKind::WorkflowStarted
        } else {
            EventKind::TaskCompleted
        },
        refers: None,
        name: Some("charge".into()),
        payload: Some(json(&seq.to_string())),
        meta: None,
    }
}

/// Events `from` to `to`, both included.
pub fn events(from: u32, to: u32) -> Vec<Event> {
    (from..=to).map(event).collect()
}

/// A commit to `target` that does nothing yet.
pub fn commit(target: Target) -> Commit {
    Commit::to(target)
}

/// A commit that creates an execution with its first event.
pub fn creation(new: NewExecution) -> Commit {
    Commit {
        events: events(1, 1),
        ..commit(Target::New(Box::new(new)))
    }
}

/// A commit that appends events `from` to `to`.
pub fn append(key: ExecutionKey, epoch: Epoch, from: u32, to: u32) -> Commit {
    Commit {
        events: events(from, to),
        ..commit(Target::Existing { key, epoch })
    }
}

/// What a row becomes when it only changes its status.
pub fn change(status: Status) -> Change {
    Change {
        status,
        attempt: 1,
        finished_at: status.is_finished().then(|| at(9)),
        wake_at: None,
        waiting: None,
        base: EventSeq::FIRST,
        rewound: None,
        hold: None,
        obstacle: None,
        release: None,
    }
}

/// A signal of this name.
pub fn signal(name: &str, value: &str) -> NewMessage {
    NewMessage {
        kind: MessageKind::Signal,
        name: name.into(),
        payload: json(value),
        dedup: None,
        at: at(5),
    }
}

/// A signal that is harmless to repeat.
pub fn signal_once(name: &str, value: &str, dedup: &str) -> NewMessage {
    NewMessage {
        dedup: Some(dedup.into()),
        ..signal(name, value)
    }
}

/// Creates an execution with its first event, owned by `owner` at epoch 1.
pub async fn create(store: &Arc<dyn Store>, id: &str, owner: WorkerId) -> ExecutionKey {
    store
        .commit(creation(new(id, owner)))
        .await
        .expect("a new execution is created")
        .key
}

/// Creates an execution owned by a worker that leaves at once.
pub async fn create_ownerless(store: &Arc<dyn Store>, id: &str) -> ExecutionKey {
    let guard = store.join().await.expect("a worker joins");
    create(store, id, guard.id()).await
}

/// Creates an execution that waits for a worker.
pub async fn enqueue(store: &Arc<dyn Store>, id: &str, placement: Placement) -> ExecutionKey {
    store
        .commit(creation(pending(id, placement)))
        .await
        .expect("a new execution is created")
        .key
}

/// Asks for work, and returns the ids of what was given.
pub async fn claim_ready(store: &Arc<dyn Store>, request: WorkRequest) -> Vec<String> {
    let work = store.claim_ready(request).await.expect("work is given");
    ids(&work.claimed)
}

/// The ids of rows.
pub fn ids(records: &[ExecutionRecord]) -> Vec<String> {
    records.iter().map(|record| record.id.to_string()).collect()
}

/// Changes a row under its present epoch.
pub async fn change_to(store: &Arc<dyn Store>, id: &str, change: Change) {
    let ExecutionRecord { key, epoch, .. } = record(store, id).await;
    let commit = Commit {
        change: Some(change),
        ..commit(Target::Existing { key, epoch })
    };
    store.commit(commit).await.expect("the row is changed");
}

/// Finishes an execution, as its owner does.
pub async fn finish(store: &Arc<dyn Store>, id: &str) {
    let release = Some(Release::default());
    let finished = Change {
        release,
        ..change(Status::Completed)
    };
    change_to(store, id, finished).await;
}

/// Lets an execution sleep until `ready_at`, as its owner does.
pub async fn put_to_sleep(store: &Arc<dyn Store>, id: &str, ready_at: Option<Timestamp>) {
    let release = Some(Release {
        ready_at,
        ..Release::default()
    });
    let asleep = Change {
        release,
        ..change(Status::Running)
    };
    change_to(store, id, asleep).await;
}

/// Appends events `from` to `to`.
pub async fn extend(
    store: &Arc<dyn Store>,
    key: ExecutionKey,
    epoch: Epoch,
    from: u32,
    to: u32,
) -> Result<Committed, CommitError> {
    store.commit(append(key, epoch, from, to)).await
}

/// Changes the row of an execution at epoch 1.
pub async fn set(store: &Arc<dyn Store>, key: ExecutionKey, change: Change) {
    let target = Target::Existing {
        key,
        epoch: Epoch(1),
    };
    store
        .commit(Commit {
            change: Some(change),
            ..commit(target)
        })
        .await
        .expect("the row is changed");
}

/// Reads a row that is there.
pub async fn record(store: &Arc<dyn Store>, id: &str) -> ExecutionRecord {
    let found = store
        .execution(&ExecutionId::from(id))
        .await
        .expect("the row is read");
    found.expect("the row is there")
}

/// Reads a whole history.
pub async fn history(store: &Arc<dyn Store>, key: ExecutionKey) -> Vec<Event> {
    store
        .events(key, EventSeq::FIRST, usize::MAX)
        .await
        .expect("the history is read")
}

/// Reads the names in an inbox.
pub async fn inbox(store: &Arc<dyn Store>, key: ExecutionKey) -> Vec<String> {
    let messages = store.inbox(key).await.expect("the inbox is read");
    messages
        .iter()
        .map(|message| message.name.to_string())
        .collect()
}
