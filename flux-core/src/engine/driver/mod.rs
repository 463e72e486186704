//! The async shell around one execution: it turns what happens into arrivals, commits what the core decides,
//! and only then lets it have effects.
//!
//! ```text
//!   bodies, children, timers, inbox ──► arrivals ──► core, one delivery at a time ──► events
//!        ▲                                                                              │
//!        └────────── start bodies, children, timers ◄──── one commit ◄──────────────────┘
//! ```
//!
//! A driver is a tokio task. Dropping it, wherever it stands, is a crash and no more: nothing that is not
//! committed has had an effect that a resume would not account for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::FutureExt;
use tokio::sync::mpsc;

use super::Inner;
use super::active::{Refusal, Settled};
use super::history::Rewind;
use super::log;
use super::ownership::{Claimed, Ownership};
use super::pool::{Pool, Taken};
use super::replaying::fresh_machine;
use super::standoff::Line;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Event;
use crate::execution::{PausePoint, Snapshot, Status, Waiting};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{Machine, Stop, panic_message};
use crate::store::{ExecutionRecord, MessageId, Placement, TransactionBody};
use crate::task::BodyResult;
use crate::workflow::WorkflowDef;

mod activation;
mod attempts;
mod births;
mod bodies;
mod boot;
mod cancel;
pub(crate) mod children;
mod commit;
mod doubts;
mod due;
mod end;
mod family;
mod fault;
mod inputs;
mod limits;
mod lines;
mod own_time;
mod recall;
pub(crate) mod requests;
mod rest;
mod row;
mod signals;
mod statements;
mod stop;
mod threads;
mod wait;
mod waits;

use activation::{Arrival, NewOutcome};
use attempts::Task;
use bodies::Unspawned;
use cancel::Cancelling;
use children::Cancellation;
use doubts::InDoubt;
use due::Due;
use family::Family;
pub(crate) use inputs::Inputs;
use limits::ActiveTime;
use own_time::Ahead;
use row::Row;
use signals::Signals;
use statements::FromBody;
use stop::Termination;
use threads::Threads;
pub(crate) use waits::{choose_pause, takes_no_value};

/// So many turns are counted for one that took as many deliveries as one commit may.
const LONG_TURN: u32 = 16;

/// How a driver gets hold of its execution.
#[derive(Debug)]
pub(crate) enum Begin {
    /// By creating it.
    New {
        /// Its input.
        input: Payload,
        /// What it is bound to.
        placement: Placement,
    },
    /// By having created it for its parent: its history is the one event that begins it.
    Born {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        start: Event,
        /// Whether its parent has sent it something with its creation.
        has_orders: bool,
    },
    /// By having been given it when its turn came: its history is the one event that put it into its queue.
    Queued {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// The event.
        event: Event,
    },
    /// By having claimed it.
    Claimed {
        /// Its row, and the ownership of it.
        claimed: Box<Claimed>,
        /// What is wanted of it.
        intent: Intent,
    },
}

impl Begin {
    /// Goes on with an execution that was claimed.
    pub(crate) fn claimed(claimed: Claimed, intent: Intent) -> Self {
        Self::Claimed {
            claimed: Box::new(claimed),
            intent,
        }
    }

    /// A driver for it is in the active set.
    pub(crate) fn entered(&mut self) {
        match self {
            Self::New { .. } => {}
            Self::Born { claimed, .. }
            | Self::Queued { claimed, .. }
            | Self::Claimed { claimed, .. } => claimed.entered(),
        }
    }
}

/// What is wanted of an execution that exists.
#[derive(Debug, Clone)]
pub(crate) enum Intent {
    /// Go on from where a crash left it; answer no pause.
    Recover,
    /// Answer a pause point.
    Answer(Answer),
    /// Try again what failed.
    Retry,
    /// Go on with a child that was cancelled or terminated because its parent failed, now that the parent goes on.
    Reopen,
}

/// The answer to a pause point.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// Which pause point, where the caller said.
    pub(crate) at: Option<String>,
    /// The value, where the caller gave one.
    pub(crate) value: Option<Payload>,
    /// The pause point that waited when the caller asked: no later one is answered in its stead.
    pub(crate) meant: Option<PausePoint>,
}

/// What reaches a driver from outside its own code.
#[derive(Debug)]
pub(crate) enum Input {
    /// A body has ended.
    Body {
        call: EventSeq,
        run: u64,
        result: BodyResult,
    },
    /// A body wants statements run.
    Statements(FromBody),
    /// There is news of a child, of the beginning under this epoch.
    Child {
        call: EventSeq,
        since: Epoch,
        report: ChildReport,
    },
    /// There is something new in the inbox.
    Inbox,
    /// Something that is not durable woke the code.
    Woken,
    /// Others need the room: if it only waits, it is to sleep.
    Rest,
    /// It is to start no more bodies, and to give its execution up when those that run have ended.
    Retire,
}

/// How a child's driver ended.
#[derive(Debug)]
pub(crate) enum ChildReport {
    /// It waits for a `resume`.
    Paused(Vec<PausePoint>),
    /// It waits for something else and has left memory.
    Asleep,
    /// It has finished, and mostly said so in its parent's inbox.
    Ended(Box<Snapshot>),
    /// It could not be driven.
    Lost(Error),
    /// Whoever had it has it no longer, or perhaps not.
    Changed,
}

impl ChildReport {
    /// How the driver of a child of this workflow ended.
    fn of(settled: &Settled, workflow: &str) -> Self {
        match settled {
            Ok(snapshot) if snapshot.record.status == Status::Paused => {
                let points = Waiting::read(snapshot.record.waiting.as_ref()).pauses;
                let points = points.iter();
                Self::Paused(
                    points
                        .map(|point| point.seen_from_parent(workflow))
                        .collect(),
                )
            }
            Ok(snapshot) if !snapshot.record.status.is_finished() => Self::Asleep,
            Ok(snapshot) => Self::Ended(Box::new(snapshot.clone())),
            Err(error) => Self::Lost(error.clone()),
        }
    }
}

/// Drives one execution until it finishes, pauses or cannot go on.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and no combination is impossible"
)]
pub(crate) struct Driver {
    engine: Arc<Inner>,
    def: &'static WorkflowDef,
    id: ExecutionId,
    row: Row,
    /// From the claim, or the commit of the start, until a commit or a release gives the execution up. Wherever the
    /// driver is dropped before, that leads to a release.
    ownership: Option<Ownership>,
    machine: Machine,
    input: Option<Payload>,
    rewind: Option<Rewind>,
    /// The first delivery since the last rewind.
    first_delivery: Option<EventSeq>,
    /// The events that the pool has to learn of when the rewind that is about to be committed is written.
    changed_runs: Option<Vec<(u32, u32)>>,
    /// A rewind that is planned and not yet written.
    opening: Option<Event>,
    active: ActiveTime,
    /// Its code was to be stopped because its deadline had passed: no attempt follows.
    is_past_deadline: bool,

    arrivals: VecDeque<Arrival>,
    tasks: BTreeMap<EventSeq, Box<Task>>,
    threads: Threads,
    /// Children and transactions that start as soon as the rewind is written.
    held_starts: Vec<EventSeq>,
    /// A body that may be done without ever becoming a tokio task.
    alone: Option<Unspawned>,
    transactions: VecDeque<(EventSeq, TransactionBody)>,
    /// Those that bodies run.
    statements: VecDeque<FromBody>,
    due: Due,
    /// Attempts that start as soon as everything before them is committed.
    retries: Vec<EventSeq>,
    signals: Signals,
    pauses: BTreeMap<EventSeq, PausePoint>,
    children: Family,
    /// It and those that called it, once a child was bound to a queue or a gate.
    line: Option<Line>,
    /// Children that earlier attempts cut off, and which of them cannot be called again.
    cut_off: Vec<ExecutionId>,
    in_doubt: Option<InDoubt>,
    /// Children that are to be looked at again.
    reopened: Vec<EventSeq>,
    /// Children whose drivers have ended, until their last words are found.
    ended_children: Vec<(EventSeq, Box<Snapshot>)>,
    last_message: Option<MessageId>,
    /// What can be taken up again; nothing before the history has been read.
    pool: Option<Pool>,
    /// What calls were given from the pool, until it is delivered.
    reusing: BTreeMap<EventSeq, Taken>,
    /// Messages that nobody waits for any more.
    stale_messages: Vec<MessageId>,
    /// Those that asked for its hold: they stay in the inbox until the row says so, for whoever drives it after a crash
    /// and for whoever wants it to go on.
    hold_messages: Vec<MessageId>,
    /// The executions that the commit under way sends something, and whether that is to end them.
    outbox_told: Vec<(ExecutionId, bool)>,
    /// A request to cancel the execution that has been noted.
    cancelling: Option<Cancelling>,
    /// How often such a request waited while the code began again.
    passed_over: u8,
    /// Calls that want to know of one.
    cancel_waits: BTreeSet<EventSeq>,
    /// A request to terminate the execution.
    termination: Option<Termination>,
    /// What bodies have returned, while the commit that records it is under way.
    unwritten: Vec<(EventSeq, Payload)>,
    /// What calls were answered with in a commit that an unread command may refuse.
    recalled: Vec<NewOutcome>,
    /// Whether such a commit was refused, and nothing was delivered since.
    is_recalled: bool,
    /// Why a child, and so its parent, cannot go on.
    lost: Option<Error>,
    /// Whether the answer names its pause point, or has a value for it.
    answer_is_named: bool,
    /// An answer whose pause point was dropped before it could be delivered.
    lost_answer: Option<Error>,
    /// The first activation after a resume of a workflow that decided to fail: committed only if it comes out
    /// differently.
    tentative: Option<Box<Snapshot>>,
    /// A moment that a timer has waited for, or of an event that is recorded: it counts as come, whatever the wall clock says.
    woken_for: Timestamp,
    /// How far its time is ahead of the clock.
    ahead: Ahead,
    has_warned_of_foreign: bool,
    is_watched: bool,
    /// How many turns it took before it was.
    brief_turns: u32,
    has_stale_inbox: bool,
    /// Whether the last step delivered something. Code that never waits gives no other occasion to look at its limits.
    has_delivered: bool,
    /// Whether results that were there when its time was up have been delivered in spite of that.
    has_let_pass: bool,
    next_run: u64,
    /// Whether somebody waits for this driver in person.
    is_attended: Arc<AtomicBool>,
    /// Whether its parent is driven beside it, and is told by it.
    has_parent_here: Arc<AtomicBool>,
    /// Whether it is to sleep as soon as it only waits.
    is_to_rest: bool,
    /// Whether its process is about to end.
    is_retiring: bool,
    /// Why it is to be kept from going on.
    hold: Option<Arc<str>>,
    /// Calls whose bodies were not begun because of that.
    deferred: Vec<EventSeq>,

    inputs: Inputs,
    sender: mpsc::UnboundedSender<Input>,
}

/// Why a driver stops without having settled its execution.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It is not to start; nothing was written.
    Refused(Refusal),
    /// Flux could not go on; the execution is resumable.
    Error(Error),
    /// The end of its code was not written, because its inbox holds a command that was not read.
    Unread,
    /// Its next attempt is not to begin now, because it is to be held or its process is about to end.
    PutOff,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::store::StoreError> for Halt {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Error(error.into())
    }
}

impl Driver {
    /// A driver that has not looked at its execution yet.
    pub(crate) fn new(
        engine: &Arc<Inner>,
        def: &'static WorkflowDef,
        id: ExecutionId,
        sender: mpsc::UnboundedSender<Input>,
        inputs: mpsc::UnboundedReceiver<Input>,
        is_attended: &Arc<AtomicBool>,
    ) -> Self {
        let machine = fresh_machine(engine, def, &id, &sender, None, EventSeq::FIRST);
        Self {
            engine: Arc::clone(engine),
            def,
            id,
            row: Row::new(engine.clock.now()),
            ownership: None,
            machine,
            input: None,
            rewind: None,
            first_delivery: None,
            changed_runs: None,
            opening: None,
            active: ActiveTime::default(),
            is_past_deadline: false,
            arrivals: VecDeque::new(),
            tasks: BTreeMap::new(),
            threads: Threads::default(),
            held_starts: Vec::new(),
            alone: None,
            transactions: VecDeque::new(),
            statements: VecDeque::new(),
            due: Due::default(),
            retries: Vec::new(),
            signals: Signals::default(),
            pauses: BTreeMap::new(),
            children: Family::default(),
            line: None,
            cut_off: Vec::new(),
            in_doubt: None,
            ended_children: Vec::new(),
            reopened: Vec::new(),
            last_message: None,
            pool: None,
            reusing: BTreeMap::new(),
            stale_messages: Vec::new(),
            hold_messages: Vec::new(),
            outbox_told: Vec::new(),
            cancelling: None,
            passed_over: 0,
            cancel_waits: BTreeSet::new(),
            termination: None,
            unwritten: Vec::new(),
            recalled: Vec::new(),
            is_recalled: false,
            lost: None,
            answer_is_named: false,
            lost_answer: None,
            tentative: None,
            woken_for: Timestamp::from_micros(i64::MIN),
            ahead: Ahead::of(&engine.time, Timestamp::from_micros(i64::MIN)),
            has_warned_of_foreign: false,
            is_watched: false,
            brief_turns: 0,
            has_stale_inbox: false,
            has_delivered: false,
            has_let_pass: false,
            next_run: 0,
            is_attended: Arc::clone(is_attended),
            has_parent_here: Arc::default(),
            is_to_rest: false,
            is_retiring: false,
            hold: None,
            deferred: Vec::new(),
            inputs: Inputs::new(inputs),
            sender,
        }
    }

    /// Whether its parent is driven beside it.
    pub(crate) fn has_parent_here(&self) -> &Arc<AtomicBool> {
        &self.has_parent_here
    }

    /// Drives until the execution settles: finished or paused; or until it sleeps, which leaves it as it stands
    /// without an owner. `started` is called once the start is committed.
    pub(crate) async fn run(
        mut self,
        begin: Begin,
        started: impl FnMut(),
    ) -> Result<Snapshot, Halt> {
        let driven = AssertUnwindSafe(self.drive(begin, started)).catch_unwind();
        match driven.await {
            Ok(settled) => settled,
            Err(panic) => {
                let message = panic_message(&*panic);
                drop(panic);
                self.hold_after_panic(&message).await
            }
        }
    }

    async fn drive(&mut self, begin: Begin, mut started: impl FnMut()) -> Result<Snapshot, Halt> {
        // What it begins, and what children it begins, is this engine's.
        self.engine.owner().await?;
        match begin {
            Begin::New { input, placement } => {
                self.row.placement = placement;
                self.begin_new(input);
            }
            Begin::Born {
                claimed,
                start,
                has_orders,
            } => {
                let Claimed {
                    record, ownership, ..
                } = *claimed;
                self.ownership = Some(ownership);
                self.boot_born(record, start);
                self.log(&[self.start_line()]);
                self.has_stale_inbox = has_orders;
                started();
            }
            Begin::Queued { claimed, event } => {
                let Claimed {
                    record, ownership, ..
                } = *claimed;
                self.ownership = Some(ownership);
                self.boot_queued(record, &event);
                started();
            }
            Begin::Claimed { claimed, intent } => {
                let Claimed {
                    record, ownership, ..
                } = *claimed;
                self.ownership = Some(ownership);
                Self::log_takeover(&record);
                let Some(intent) = Self::fit(&record, intent) else {
                    self.release(None).await;
                    return Ok(self.engine.snapshot(record).await?);
                };
                match Box::pin(self.boot(record, intent)).await {
                    Ok(()) => started(),
                    Err(Halt::PutOff) => {
                        started();
                        return match Box::pin(self.put_off()).await {
                            Ok(asleep) => Ok(asleep),
                            Err(error) => Err(self.give_up(error).await),
                        };
                    }
                    Err(error) => return Err(self.give_up(error).await),
                }
            }
        }
        let mut is_started = self.row.record.is_some();
        loop {
            match self.turn().await {
                Ok(Step::Settled(snapshot)) => return Ok(*snapshot),
                Ok(Step::Went) => {}
                Ok(Step::Idle) => match self.rest().await {
                    Ok(Some(asleep)) => return Ok(asleep),
                    Ok(None) => self.wait().await,
                    Err(error) => return Err(self.give_up(error).await),
                },
                Err(error) => return Err(self.give_up(error).await),
            }
            if !is_started && self.row.record.is_some() {
                is_started = true;
                started();
            }
        }
    }

    /// Fits what is wanted to what the execution has become by the time it was claimed; nothing where it is over.
    fn fit(record: &ExecutionRecord, intent: Intent) -> Option<Intent> {
        let is_wanted = match intent {
            Intent::Retry => record.status == Status::Failed,
            Intent::Reopen => matches!(record.status, Status::Cancelled | Status::Terminated),
            Intent::Recover | Intent::Answer(_) => !record.status.is_finished(),
        };
        if is_wanted {
            return Some(intent);
        }
        (!record.status.is_finished()).then_some(Intent::Recover)
    }

    /// Takes what has come in since, and does what there is to do.
    ///
    /// Here and below, futures that are large and seldom needed are boxed: a future contains those that it awaits, so each
    /// turn would pay for the largest of them.
    async fn turn(&mut self) -> Result<Step, Halt> {
        // Code that never waits must not keep the runtime's other tasks from theirs, nor its own commands from it.
        tokio::task::coop::consume_budget().await;
        self.count_turns(1);
        self.poll_alone().await;
        self.take_inputs();
        // Nobody may have said yet that it is to go on after all.
        self.has_stale_inbox |= self.hold.is_some();
        if self.has_stale_inbox {
            Box::pin(self.refresh_inbox()).await?;
        }
        if !self.ended_children.is_empty() {
            Box::pin(self.hear_ended_children()).await?;
        }
        if !self.reopened.is_empty() {
            Box::pin(self.reopen_children()).await?;
        }
        self.look_for_arrivals();
        self.step().await
    }

    /// One activation and its commit, if there is anything to do.
    async fn step(&mut self) -> Result<Step, Halt> {
        if let Some(termination) = self.termination.take() {
            return Box::pin(self.terminate(termination)).await;
        }
        let has_delivered = std::mem::take(&mut self.has_delivered);
        if !self.lets_results_pass() {
            if let Some(end) = self.polling(Self::deadline_is_up).await? {
                return self.commit_and_act(end).await;
            }
            if let Some(end) = self.polling(Self::window_is_over).await? {
                return self.commit_and_act(end).await;
            }
            if has_delivered && let Some(end) = self.polling(Self::time_is_up).await? {
                return self.commit_and_act(end).await;
            }
        }
        if !self.arrivals.is_empty() {
            self.has_delivered = true;
            if self.engine.always_replay {
                Box::pin(self.replay_always()).await?;
            }
            let activation = self.polling(Self::activate).await?;
            if activation.is_long() {
                self.count_turns(LONG_TURN);
                tokio::task::yield_now().await;
            }
            return self.commit_and_act(activation).await;
        }
        if self.opening.is_some() {
            return self.commit_standing().await;
        }
        if let Some(end) = self.polling(Self::time_is_up).await? {
            return self.commit_and_act(end).await;
        }
        if let Some((call, body)) = self.next_transaction() {
            Box::pin(self.commit_transaction(call, body)).await?;
            return Ok(Step::Went);
        }
        if let Some(from) = self.statements.pop_front() {
            Box::pin(self.run_statements(from)).await?;
            return Ok(Step::Went);
        }
        self.commit_standing().await
    }

    /// Does what polls the code, outside tokio's co-operative budget: a budget that runs out in the middle of a poll would
    /// make the code wait for a wake-up that no history knows of.
    async fn polling<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Halt> {
        let done = tokio::task::unconstrained(async { work(self) }).await;
        Ok(done.map_err(|stop| stop.into_error(&self.id, self.def.name))?)
    }

    /// The execution cannot go on here. What bodies have returned and a store did not take is kept for a later
    /// resume in this process; after a crash it would be lost.
    async fn give_up(&mut self, error: Halt) -> Halt {
        if let Halt::Error(error) = &error {
            log::cannot_continue(&self.id, self.def.name, error);
        }
        let is_store_fault = matches!(error, Halt::Error(Error::Store(_)));
        if is_store_fault {
            self.salvage();
        } else {
            self.note_obstacle(&error).await;
        }
        // At once: a worker that has other code, or a store that works, may go on with it.
        let now = self.engine.clock.now();
        self.release(Some(now)).await;
        if is_store_fault {
            // The release comes first: each call may take long to fail.
            self.note_obstacle(&error).await;
        }
        error
    }

    /// Keeps why it cannot go on beside the row, for whoever asks.
    async fn note_obstacle(&mut self, error: &Halt) {
        if let Halt::Error(error) = error
            && let Some((key, epoch)) = self.row.epoch()
        {
            self.engine.note_obstacle(key, epoch, error).await;
        }
    }

    /// Gives the execution up as it is, so that somebody else may try.
    async fn release(&mut self, ready_at: Option<Timestamp>) {
        if let Some(ownership) = self.ownership.take() {
            ownership.release(ready_at).await;
        }
    }

    fn event_at(&mut self, kind: crate::event::EventKind, refers: Option<EventSeq>) -> Event {
        let now = self.now();
        self.machine.note(kind, now, refers)
    }
}

/// What one turn of the loop came to.
enum Step {
    /// The execution has finished or paused.
    Settled(Box<Snapshot>),
    /// Something was done; there may be more.
    Went,
    /// There is nothing to do until something happens.
    Idle,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
