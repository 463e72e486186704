//! What a worker asks for, and what it gets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ExecutionRecord, Runnable, Serves};
use crate::clock::{Reading, Timestamp};
use crate::event::Event;
use crate::id::{Epoch, ExecutionId, ExecutionKey, WorkerId};

/// A worker's request for executions that it could drive now.
#[derive(Clone, Debug)]
pub struct WorkRequest {
    /// Who asks, and will own what it gets.
    pub worker: WorkerId,
    /// The worker's clock. The store reads it when it decides, so that starts have times in the order in which they
    /// were decided, whichever process asked first.
    pub now: Reading,
    /// At most this many. With 0 nothing is given and nothing written: [`next`](Work::next) is then the present time where
    /// something seems to be ready for a worker that has room. That may be wrong, but never the other way round.
    pub limit: usize,
    /// What the worker has code for.
    pub code: Vec<Runnable>,
    /// The queues it serves; `None`: all of them. What is in no queue is served by every worker.
    pub queues: Option<BTreeSet<Arc<str>>>,
    /// How many executions of each queue it drives already, for limits per worker.
    pub driving: BTreeMap<Arc<str>, u32>,
    /// Executions that it had better not get: its code does not fit them.
    pub except: BTreeSet<ExecutionKey>,
    /// How often an execution may be taken over from a dead owner without having got any further; then it is held.
    pub max_takeovers: u32,
    /// This `Pending` execution and no other, as soon as it is due and the limits allow, whoever waits before it;
    /// [`next`](Work::next) is then about it alone.
    pub only: Option<ExecutionKey>,
}

/// Why an execution is put on hold that was taken over from the dead so often without having got any further.
pub fn hold_reason(takeovers: u32) -> Arc<str> {
    format!(
        "its process died {takeovers} times without getting any further; a `resume` tries again"
    )
    .into()
}

/// What a worker got.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Executions it now owns, under a new epoch each.
    pub claimed: Vec<ExecutionRecord>,
    /// Of those that have just got their turn and whose inbox is empty: the one event of their history, so that it
    /// need not be read. A store may leave this out.
    pub queued: BTreeMap<ExecutionKey, Event>,
    /// Executions that were put on hold instead, with the reason.
    pub held: Vec<(ExecutionId, Arc<str>)>,
    /// When more may be ready if nobody writes anything until then; `None`: not by itself.
    pub next: Option<Timestamp>,
}

/// An execution that has an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The store's handle.
    pub key: ExecutionKey,
    /// Its id.
    pub id: ExecutionId,
    /// The epoch its owner claimed.
    pub epoch: Epoch,
}

/// A registered owner of executions, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its id.
    pub id: WorkerId,
    /// The process it lives in.
    pub pid: u32,
    /// The machine the process runs on.
    pub host: String,
    /// When it was registered.
    pub started_at: Timestamp,
    /// Whether it is alive, as far as can be told.
    pub is_alive: bool,
    /// How many executions it owns.
    pub owns: u64,
    /// What its engine's workers take; `None` while it runs none.
    pub serves: Option<Serves>,
}
