//! The `Store` trait: what a backend promises the engine. `contract` holds the tests of every promise.
//!
//! A store keeps, per execution, one narrow row ([`ExecutionRecord`]), an append-only history of
//! [`Event`]s, and an inbox of [`Message`]s from other executions and processes. It knows no
//! workflow code and decodes no payload.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::execution::Status;
use crate::id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
use crate::payload::Payload;

mod barrier;
mod catalog;
mod commit;
mod count;
mod maintenance;
mod memory;
mod placement;
mod queue;
mod schedule;
mod set_back;
mod transaction;
mod work;

#[cfg(feature = "test-util")]
pub mod contract;

pub use barrier::Barrier;
pub use catalog::{Serves, WorkflowDescription};
pub use count::WorkflowCount;
pub use maintenance::{BackedUp, Maintenance, Migrated, Problem, StoreContents, StoreInfo};
pub use memory::MemoryStore;
pub use placement::{Gate, InTheWay, Placement};
pub use queue::{QueueChange, QueueRecord, QueueSettings, Rate};
pub use schedule::{
    DueRequest, DueSchedules, Fire, Fired, ScheduleChange, ScheduleRecord, Unfinished,
};
pub use set_back::{LastSetBack, SetBack, is_to_come};
pub use transaction::in_transaction;
pub use work::{Owned, Runnable, Work, WorkRequest, WorkerRecord, hold_reason};

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
    /// - those whose owner has died, or lives and has not shown it for the store's stall time;
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

/// One execution's row: everything about it but its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// The store's own handle.
    pub key: ExecutionKey,
    /// Its id.
    pub id: ExecutionId,
    /// Its workflow's name.
    pub workflow: Arc<str>,
    /// Its workflow's version.
    pub version: u32,
    /// The [format](crate::event::FORMAT) its history began with.
    pub format: u32,
    /// Where it stands.
    pub status: Status,
    /// Which attempt of the workflow this is, from 1.
    pub attempt: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// When its next timer or retry is due.
    pub wake_at: Option<Timestamp>,
    /// What it waits for, as JSON; the engine writes and reads it.
    pub waiting: Option<Payload>,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// The event a replay starts from.
    pub base: EventSeq,
    /// The last `REWOUND` event.
    pub rewound: Option<EventSeq>,
    /// Who drives it, alive or not.
    pub owner: Option<WorkerId>,
    /// Of a row that a claim returned: who owned it until then and had not given it up, a process that died or stalled.
    pub taken_from: Option<WorkerId>,
    /// How often it changed owners.
    pub epoch: Epoch,
    /// When it left its queue, or was created to run at once.
    pub started_at: Option<Timestamp>,
    /// When a worker is to take it up, while it has no owner; `None`: not by itself. Of a `Pending` one, also of one
    /// that somebody has claimed: when it is due, or when it was created.
    pub ready_at: Option<Timestamp>,
    /// Why it is kept from going on until somebody resumes it.
    pub hold: Option<Arc<str>>,
    /// What last kept it from continuing, as JSON; the engine writes and reads it.
    pub obstacle: Option<Payload>,
    /// What it was bound to when it was created.
    pub placement: Placement,
}

/// Everything one activation of one execution writes, in one transaction.
///
/// In this order: the row is created or checked, events appended, children created, messages consumed, the row
/// changed, values published, messages sent, the transaction run.
#[derive(Debug)]
pub struct Commit {
    /// The execution it belongs to.
    pub target: Target,
    /// What to append, numbered from the history's next number.
    pub events: Vec<Event>,
    /// Executions that are created with it. One that is refused does not hinder the others, or the commit:
    /// [`Committed::children`] says so.
    pub children: Vec<NewChild>,
    /// What changes in the row, or nothing: the hot path of a sequential workflow changes nothing.
    pub change: Option<Change>,
    /// Messages that the events above used up.
    pub consumed: Vec<MessageId>,
    /// Values that replace what was published under their names.
    pub published: Vec<(Arc<str>, Payload)>,
    /// Messages for other executions; those that do not exist or have finished are passed over.
    pub outbox: Vec<(ExecutionId, NewMessage)>,
    /// A user's own statements and the event that records their outcome.
    pub transaction: Option<Transaction>,
    /// What the owner has read of its inbox. Where a command came in since, the commit is refused as
    /// [`Unread`](CommitError::Unread). The engine asks for that where the code of an execution ends.
    pub heeds: Option<Heeds>,
}

/// Which messages in the inbox refuse a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heeds {
    /// The newest message that the owner has read: only later ones count.
    pub seen: Option<MessageId>,
    /// Whether a message that is to keep the execution from continuing counts, and not only one that is to end it.
    pub pauses: bool,
}

impl Heeds {
    /// Whether this message refuses the commit.
    pub fn is_unread(&self, id: MessageId, kind: MessageKind) -> bool {
        let counts = kind.ends() || (self.pauses && kind == MessageKind::Pause);
        counts && Some(id) > self.seen
    }
}

/// Which execution a [`Commit`] belongs to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A new one, owned from the start at epoch 1.
    New(Box<NewExecution>),
    /// One that exists, under the epoch its owner claimed.
    Existing {
        /// The store's handle.
        key: ExecutionKey,
        /// The epoch the committing owner holds.
        epoch: Epoch,
    },
}

/// An execution that the [`Commit`] of another one creates.
#[derive(Clone, Debug)]
pub struct NewChild {
    /// Its row.
    pub new: NewExecution,
    /// The first event of its history.
    pub start: Event,
}

/// The row of an execution that a [`Commit`] creates: attempt 1, base 1, and `Running` if it has an owner, else
/// `Pending`. Refused where its gate is full or its dedup key is taken.
#[derive(Clone, Debug)]
pub struct NewExecution {
    /// Its id.
    pub id: ExecutionId,
    /// Its workflow's name.
    pub workflow: Arc<str>,
    /// Its workflow's version.
    pub version: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// Who owns it and drives it at once; `None`: it waits for a worker.
    pub owner: Option<WorkerId>,
    /// What it is bound to.
    pub placement: Placement,
}

/// What a [`Commit`] changes in the row: all of these at once, as they are to be. None that has started becomes
/// `Pending` again.
#[derive(Clone, Debug)]
pub struct Change {
    /// Where it stands.
    pub status: Status,
    /// Which attempt of the workflow this is.
    pub attempt: u32,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// When its next timer or retry is due.
    pub wake_at: Option<Timestamp>,
    /// What it waits for.
    pub waiting: Option<Payload>,
    /// The event a replay starts from.
    pub base: EventSeq,
    /// The last `REWOUND` event.
    pub rewound: Option<EventSeq>,
    /// Why it is kept from going on.
    pub hold: Option<Arc<str>>,
    /// What last kept it from continuing. One that finishes has no obstacle any more.
    pub obstacle: Option<Payload>,
    /// Set when the owner gives the execution up with this commit. One that finishes leaves its gate, loses its dedup
    /// key for good, is on hold no more, is never ready again, and loses the [commands](MessageKind::is_command) in its inbox.
    pub release: Option<Release>,
}

/// How an owner gives an execution up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// When a worker is to take it up again; `None`: not by itself.
    pub ready_at: Option<Timestamp>,
    /// What the clock showed when that was reckoned from the length of a wait.
    pub reckoned_at: Option<Timestamp>,
    /// The newest message the owner has seen: a later one in the inbox makes the execution ready at once.
    pub seen: Option<MessageId>,
}

/// A time at which an execution is ready that was reckoned by a clock which was set back meanwhile: see
/// [`Store::correct_ready_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// When it is ready as it was written.
    pub wrong: Timestamp,
    /// When it is to be ready.
    pub right: Timestamp,
    /// The present time.
    pub now: Timestamp,
}

/// What came of a [`Commit`].
#[derive(Clone, Debug)]
pub struct Committed {
    /// The execution's handle.
    pub key: ExecutionKey,
    /// The event that records the transaction's outcome, where there was one.
    pub transaction: Option<Event>,
    /// The handle of each child, or why it was not created: [`Exists`](CommitError::Exists),
    /// [`Full`](CommitError::Full) or [`Duplicate`](CommitError::Duplicate). In the order of the commit.
    pub children: Vec<Result<ExecutionKey, CommitError>>,
}

/// A user's own statements, run inside the commit that records their outcome.
///
/// The store runs `run` with its connection after the rest of the commit. `Ok` is the JSON of the
/// result: the statements stay, and `completed` is appended with it as payload. `Err` is the JSON of
/// the error: the statements are undone, and `failed` is appended with it as payload. A panic, or
/// statements that end the surrounding transaction, count as `Err` of this member alone. `run` may
/// be called again when the commit is repeated, each time on a state where it has not run.
#[derive(Clone)]
pub struct Transaction {
    /// The user's statements.
    pub run: TransactionBody,
    /// What to append when they succeed; its payload is filled in.
    pub completed: Event,
    /// What to append when they fail; its payload is filled in.
    pub failed: Event,
}

/// A user's own statements. The argument is the connection: for SQLite a `rusqlite::Connection`.
/// The error is the JSON that `failed` records.
pub type TransactionBody = Arc<dyn Fn(&dyn Any) -> Result<Payload, Payload> + Send + Sync>;

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("completed", &self.completed)
            .finish_non_exhaustive()
    }
}

/// A message's number, as its store gave it; later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// What others want of an execution, until its driver delivers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: MessageId,
    /// What sort it is.
    pub kind: MessageKind,
    /// The signal's name, or what else tells it apart.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// When it was posted.
    pub at: Timestamp,
}

/// A message that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// What sort it is.
    pub kind: MessageKind,
    /// The signal's name, or what else tells it apart.
    pub name: Arc<str>,
    /// Its value.
    pub payload: Payload,
    /// Makes repeats harmless: unique per execution and name.
    pub dedup: Option<Arc<str>>,
    /// When it was posted.
    pub at: Timestamp,
}

/// What a message wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum MessageKind {
    /// A signal for code that waits for its name, now or later.
    Signal = 1,
    /// A child has finished; `name` is its id.
    ChildEnded = 2,
    /// The execution is to be cancelled.
    Cancel = 3,
    /// The execution is to be terminated; the payload says why.
    Terminate = 4,
    /// The execution is to be kept from going on; the payload says why.
    Pause = 5,
    /// A child waits for a `resume`; `name` is its id, the payload says where.
    ChildPaused = 6,
    /// The parent has let go of the execution, which goes on by itself. It is not consumed.
    Abandon = 7,
    /// The execution is to go on, of which the payload says more: a pause point is answered, what failed is tried again,
    /// or what was asked of it before, to be on hold, is taken back.
    Resume = 8,
}

impl MessageKind {
    /// The stored number.
    pub const fn code(self) -> i64 {
        self as i64
    }

    /// The kind a stored number stands for.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Signal),
            2 => Some(Self::ChildEnded),
            3 => Some(Self::Cancel),
            4 => Some(Self::Terminate),
            5 => Some(Self::Pause),
            6 => Some(Self::ChildPaused),
            7 => Some(Self::Abandon),
            8 => Some(Self::Resume),
            _ => None,
        }
    }

    /// Whether it is to end the execution.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate)
    }

    /// Whether it says how an execution is to continue or end. One that has finished keeps none: a resume is not to find it.
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate | Self::Pause)
    }

    /// Whether it reaches also an execution that is on hold: it is to end it, or to let it go on.
    pub const fn reaches_held(self) -> bool {
        self.ends() || matches!(self, Self::Resume)
    }
}

/// Which executions to list; the default is the newest 50 of all.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only these statuses; empty means all.
    pub statuses: Vec<Status>,
    /// Only this workflow.
    pub workflow: Option<Arc<str>>,
    /// Only the children of this execution.
    pub parent: Option<ExecutionId>,
    /// Only those of this queue.
    pub queue: Option<Arc<str>>,
    /// Only those that this schedule started.
    pub schedule: Option<Arc<str>>,
    /// Only those with this tag.
    pub tag: Option<Arc<str>>,
    /// Only those created at this moment or later. A store may take it that executions were created in the order of
    /// their moments, but for a few minutes; where a clock was set back further, some may be missing.
    pub since: Option<Timestamp>,
    /// Only executions created before this one: the next page.
    pub before: Option<ExecutionKey>,
    /// At most this many.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            workflow: None,
            parent: None,
            queue: None,
            schedule: None,
            tag: None,
            since: None,
            before: None,
            limit: 50,
        }
    }
}

/// A store that could not do its work: disk full, file busy or foreign, connection lost.
#[derive(Debug, Clone, thiserror::Error)]
#[error("store `{store}` could not {action}: {reason}")]
pub struct StoreError {
    /// Which store: [`Store::describe`].
    pub store: String,
    /// What it was asked to do, as an infinitive: `open the file`, `append events`.
    pub action: String,
    /// What went wrong and, where there is one, the cure.
    pub reason: String,
    /// The backend's own error.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Why a commit was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else owns the execution now, or its history has moved on. Nothing was written.
    #[error("the execution has another owner now")]
    Fenced,
    /// The inbox holds a command that the owner has not read, and that the commit [heeds](Commit::heeds). Nothing was
    /// written.
    #[error("the execution was sent a command that its owner has not read")]
    Unread,
    /// An execution of this id exists. Nothing was written.
    #[error("an execution of this id exists")]
    Exists,
    /// The gate of a new execution, or of one that had finished and is to go on, is full. Nothing was written.
    #[error("execution `{}` runs, and no more may run beside it", .0.holder)]
    Full(InTheWay),
    /// An unfinished execution has the dedup key of a new one. Nothing was written.
    #[error("execution `{}` has the same dedup key", .0.holder)]
    Duplicate(InTheWay),
    /// The store could not. Nothing was written.
    #[error(transparent)]
    Failed(StoreError),
    /// The store cannot tell whether the commit happened: read back before anything else.
    #[error("it is unknown whether the commit happened")]
    Unknown(#[source] StoreError),
}

/// Why a claim was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// There is no such execution.
    #[error("there is no such execution")]
    NotFound,
    /// A worker that is alive owns it.
    #[error("it is driven by {by}")]
    Held {
        /// Who, for people: process id and so on.
        by: String,
    },
    /// The store could not.
    #[error(transparent)]
    Failed(StoreError),
}

/// Why a message was not posted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// There is no such execution.
    #[error("there is no such execution")]
    NotFound,
    /// The execution has finished.
    #[error("the execution is {0}")]
    Finished(Status),
    /// The store could not.
    #[error(transparent)]
    Failed(StoreError),
}
