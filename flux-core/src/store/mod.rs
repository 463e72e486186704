//! The `Store` trait: what a backend promises the engine. `contract` holds the tests of every promise.
//!
//! A store keeps, per execution, one narrow row ([`ExecutionRecord`]), an append-only history of
//! [`Event`]s, and an inbox of [`Message`]s from other executions and processes. It knows no
//! workflow code and decodes no payload.

use std::any::Any;
use std::fmt;

use futures::future::BoxFuture;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;

mod barrier;
mod catalog;
mod change;
mod commit;
mod count;
mod error;
mod filter;
mod maintenance;
mod memory;
mod message;
mod placement;
mod queue;
mod record;
mod schedule;
mod set_back;
mod transaction;
mod work;

#[cfg(feature = "test-util")]
pub mod contract;

pub use barrier::Barrier;
pub use catalog::{Runnable, Serves, WorkflowDescription};
pub use change::{Change, Release};
pub use commit::{Commit, Committed, Correction, Heeds, NewChild, Target};
pub use count::WorkflowCount;
pub use error::{ClaimError, CommitError, PostError, StoreError};
pub use filter::Filter;
pub use maintenance::{BackedUp, Maintenance, Migrated, Problem, StoreContents, StoreInfo};
pub use memory::MemoryStore;
pub use message::{Message, MessageId, MessageKind, NewMessage};
pub use placement::{Gate, InTheWay, Placement};
pub use queue::{QueueChange, QueueRecord, QueueSettings, Rate};
pub use record::{ExecutionRecord, NewExecution};
pub use schedule::{
    DueRequest, DueSchedules, Fire, Fired, ScheduleChange, ScheduleRecord, Unfinished,
};
pub use set_back::{LastSetBack, SetBack, is_to_come};
pub use transaction::{Transaction, TransactionBody, in_transaction};
pub use work::{Owned, Work, WorkRequest, WorkerRecord, hold_reason};

/// Keeps executions, their histories and their inboxes.
///
/// # The contract
///
/// - **A commit is atomic and durable.** When [`commit`](Store::commit) returns `Ok`, everything in
///   it is there for every later reader, in this process and others, and (at the store's stated
///   durability) after a crash. When it returns any error but `Unknown`, nothing of it is there.
/// - **One owner.** A commit whose epoch is not the execution's present one is refused as `Fenced`
///   and writes nothing, and neither does it hinder the commits that are grouped with it.
/// - **Histories have no gaps and are never rewritten.** Events are numbered from 1; a commit
///   whose first event is not the next number is refused as `Fenced`.
/// - **Reads see every acknowledged commit** of this process at once, of others within moments.
/// - **Futures may be dropped.** A commit whose future is dropped may or may not have happened, as
///   with a crash; nothing else does.
/// - **Nothing scans a history**: every listing is served by an index.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Names the store in errors: the path of its file, or what else tells it apart.
    fn describe(&self) -> String;

    /// Registers an owner. It counts as alive until the guard is dropped or the process dies.
    fn join(&self) -> BoxFuture<'_, Result<WorkerGuard, StoreError>>;

    /// Appends to one execution, or creates one: see [`Commit`].
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>>;

    /// Reads one execution's row.
    fn execution<'a>(
        &'a self,
        id: &'a ExecutionId,
    ) -> BoxFuture<'a, Result<Option<ExecutionRecord>, StoreError>>;

    /// Lists executions, newest first.
    fn executions(&self, filter: Filter)
    -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>>;

    /// Finds executions by a piece of their id: those whose id begins or ends with `fragment`, newest first, at most
    /// `limit`. One whose id is the fragment itself is found alone. The text is taken as it stands, letter by letter;
    /// where there is none, nothing is found.
    fn matching<'a>(
        &'a self,
        fragment: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<ExecutionId>, StoreError>>;

    /// Counts the executions of each workflow, each status by itself: by name, then by status. What there is none of
    /// is left out.
    fn workflow_counts(&self) -> BoxFuture<'_, Result<Vec<WorkflowCount>, StoreError>>;

    /// Lists executions that nobody alive owns and that have something to do or to wait for: `Running` ones, and
    /// `Paused` ones whose [`ready_at`](ExecutionRecord::ready_at) is not after `now` or whose owner has died. Not
    /// those on hold. Oldest first, at most `limit`.
    fn orphans(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<ExecutionRecord>, StoreError>>;

    /// Gives a worker executions to drive, as many as are ready and the limits allow, in one transaction:
    ///
    /// - those whose owner has died, also if a later commit has made it their owner, or lives and has not shown it for
    ///   the store's stall time;
    /// - `Running` and `Paused` ones without an owner whose [`ready_at`](ExecutionRecord::ready_at) has come, the
    ///   earliest first;
    /// - `Pending` ones: not before they are due, within the limits of their queue and gate; queues take turns, of one
    ///   queue its partitions take turns, inside a partition it goes by priority and then by age. They become
    ///   `Running`, and [`started_at`](ExecutionRecord::started_at) is the moment of this transaction.
    ///
    /// What has started counts against the limit per worker of its queue, too, whether it is woken or taken over.
    ///
    /// Only what the worker has code for, serves the queue of, and does not except. What it does not get does not
    /// keep it from the rest. Nothing is scanned that is not ready. Where nothing is ready, nothing is written.
    ///
    /// One that has been taken over from dead owners more than `max_takeovers` times, its history having grown by
    /// nothing in between, is put on hold: `Paused`, with [`hold`](ExecutionRecord::hold) saying why. Those who have
    /// only stalled do not count.
    fn claim_ready(&self, request: WorkRequest) -> BoxFuture<'_, Result<Work, StoreError>>;

    /// Reads a piece of a history: events `from` and later, in order, at most `limit`.
    fn events(
        &self,
        key: ExecutionKey,
        from: EventSeq,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// Reads the last event of a history.
    fn last_event(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Option<Event>, StoreError>>;

    /// Makes `worker` the owner under a new epoch, whatever the status, takes it off hold, and returns the row as
    /// it then is. Refused as `Held` while another worker that is alive owns it. A worker may claim
    /// again what it owns: the epoch grows and its own earlier claim is stale. The status stays.
    fn claim<'a>(
        &'a self,
        id: &'a ExecutionId,
        worker: WorkerId,
    ) -> BoxFuture<'a, Result<ExecutionRecord, ClaimError>>;

    /// Gives ownership up without another change, if `epoch` is still the present one; else does nothing. `ready_at`
    /// says when a worker is to take it up again; `None`: not by itself.
    fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Whether what `worker` owns may be claimed by others: it has died or left, or it lives and has not shown it for the
    /// store's stall time. A store may find that out only by being asked again and again.
    fn is_lost(&self, worker: WorkerId) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Lists the executions that `worker` owns and that have not finished, in no particular order.
    fn owned_by(&self, worker: WorkerId) -> BoxFuture<'_, Result<Vec<Owned>, StoreError>>;

    /// Keeps, beside the row, what kept an execution from continuing, if `epoch` is still the present one and it has not
    /// finished; else does nothing. It takes the place of what was kept before, until a [`Change`] says otherwise.
    fn note_obstacle(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        obstacle: Payload,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Tells what keeps a `Pending` execution without an owner, which is due `now`, from starting: a limit of its queue
    /// or its gate. Nothing of any other execution, and nothing of limits that are a worker's own.
    fn barrier(
        &self,
        key: ExecutionKey,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Barrier>, StoreError>>;

    /// Puts a message into an execution's inbox. A message with a `dedup` key that this execution
    /// has seen under the same name, consumed or not, is dropped and counts as posted.
    ///
    /// One that has started and has no owner is ready from then on, unless it is on hold and the message is none
    /// that [reaches](MessageKind::reaches_held) it.
    fn post<'a>(
        &'a self,
        to: &'a ExecutionId,
        message: NewMessage,
    ) -> BoxFuture<'a, Result<(), PostError>>;

    /// Reads an execution's inbox, oldest first.
    fn inbox(&self, key: ExecutionKey) -> BoxFuture<'_, Result<Vec<Message>, StoreError>> {
        self.inbox_after(key, None)
    }

    /// Reads the messages of an execution's inbox that came after the given one, oldest first; without one, all of
    /// them. It costs what it gives, however much lies in the inbox.
    fn inbox_after(
        &self,
        key: ExecutionKey,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<Message>, StoreError>>;

    /// Lists the messages after the given one that have not been consumed, oldest first, and whom they are for;
    /// without one, the newest message alone.
    fn posted(
        &self,
        after: Option<MessageId>,
    ) -> BoxFuture<'_, Result<Vec<(MessageId, ExecutionId)>, StoreError>>;

    /// Reads the value last published under `name`.
    fn published<'a>(
        &'a self,
        key: ExecutionKey,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Payload>, StoreError>>;

    /// Reads a queue's limits: the defaults where nobody has set any.
    fn queue<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<QueueSettings, StoreError>>;

    /// Lists the queues that have limits or executions that have not finished, by name.
    fn queues(&self) -> BoxFuture<'_, Result<Vec<QueueRecord>, StoreError>>;

    /// Changes a queue's limits, for everybody and from the next claim on, and returns them.
    fn set_queue<'a>(
        &'a self,
        name: &'a str,
        change: QueueChange,
    ) -> BoxFuture<'a, Result<QueueSettings, StoreError>>;

    /// Lists all schedules by name.
    fn schedules(&self) -> BoxFuture<'_, Result<Vec<ScheduleRecord>, StoreError>>;

    /// Reads one schedule.
    fn schedule<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<ScheduleRecord>, StoreError>>;

    /// Lists schedules that are due and not paused, the earliest first, and tells when the next one after them is due.
    /// The cost depends on how many are due, not on how many there are.
    fn due_schedules(&self, request: DueRequest)
    -> BoxFuture<'_, Result<DueSchedules, StoreError>>;

    /// Creates a schedule, or replaces all of it but `created_at`, `last_at` and `is_paused`.
    fn put_schedule(&self, schedule: ScheduleRecord) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Changes a schedule; `false` where there is none of this name.
    fn change_schedule<'a>(
        &'a self,
        id: &'a str,
        change: ScheduleChange,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Removes a schedule, not the executions it started; `false` where there is none of this name.
    fn delete_schedule<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Fires schedules, one after another in one transaction: see [`Fire`]. Returns what came of each, in the same order. One
    /// that comes to nothing does not affect the others.
    fn fire(&self, firings: Vec<Fire>) -> BoxFuture<'_, Result<Vec<Fired>, StoreError>>;

    /// Lists who is registered as an owner.
    fn workers(&self) -> BoxFuture<'_, Result<Vec<WorkerRecord>, StoreError>>;

    /// Keeps what a program says of its workflows, for those who do not have their code. It takes the place of what was
    /// said of the same name and version; nothing is written where that is the same and was
    /// [said lately](WorkflowDescription::replaces).
    fn describe_workflows(
        &self,
        workflows: Vec<WorkflowDescription>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Lists the workflows that programs have described, by name and version.
    fn workflows(&self) -> BoxFuture<'_, Result<Vec<WorkflowDescription>, StoreError>>;

    /// Keeps what a registered owner takes as a worker, for as long as it is registered; `None`: nothing any more.
    fn serve(
        &self,
        worker: WorkerId,
        serves: Option<Serves>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The clock was set back: what sleeps without an owner, and what was delayed by a length of time, becomes ready as much
    /// earlier, so that its wait keeps its length. What was to start at a moment starts at that moment.
    ///
    /// Every process on the machine notices the same; of several calls that tell of it the first counts.
    fn clock_set_back(&self, step: SetBack) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Compares a clock with the times at which anything was put to sleep or delayed. Where these are to come, the clock was
    /// set back, and those who saw it have died before they could tell: as [`clock_set_back`](Store::clock_set_back), by what
    /// the clock is behind the latest of them. Of delays, only those that were created at a time that is to come become
    /// ready earlier; the others may be of after. Returns the last time that it was set back, this one or one
    /// before.
    fn compare_clock(
        &self,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<LastSetBack>, StoreError>>;

    /// Makes an execution without an owner ready at `right` instead of at `wrong`, if `epoch` is still the present one and it
    /// is to be ready at `wrong`; else does nothing. Its owner has reckoned by a clock that was set back before its commit
    /// was written.
    fn correct_ready_at(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        correction: Correction,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Resolves once something may have been written since the call by anyone but the commits of
    /// this store value: another process, [`post`](Store::post), [`release`](Store::release),
    /// [`claim_ready`](Store::claim_ready), [`set_queue`](Store::set_queue), a schedule's change. At most 100 ms
    /// late, cheap while nothing happens, and free when nobody waits. A write whose caller was dropped counts as soon as it is
    /// written. And once an owner may have died or stalled, within half a second of it.
    fn changed(&self) -> BoxFuture<'_, ()>;
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process, of the operating system and of the power supply. Each commit waits for the
    /// disk.
    #[default]
    Full,
    /// The death of the process. After a power cut the last commits may be missing, never a part of one; tasks
    /// whose results were lost run again.
    Relaxed,
}

/// Keeps an owner alive; dropping it gives everything it owns up to whoever claims it.
pub struct WorkerGuard {
    id: WorkerId,
    _alive: Box<dyn Any + Send + Sync>,
}

impl WorkerGuard {
    /// Wraps what keeps the worker alive: a locked file, a registration.
    pub fn new(id: WorkerId, alive: impl Any + Send + Sync) -> Self {
        Self {
            id,
            _alive: Box::new(alive),
        }
    }

    /// The worker's id.
    pub fn id(&self) -> WorkerId {
        self.id
    }
}

impl fmt::Debug for WorkerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerGuard").field(&self.id).finish()
    }
}
