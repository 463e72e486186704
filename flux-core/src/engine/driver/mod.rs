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
//!
//! What it knows and decides is in [`core`]; here it waits, reads and writes.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::mpsc;

use self::halt::Halt;
use self::inbox::refresh_inbox;
use crate::engine::history::replay_loop::fresh_machine;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Attendance;
use crate::engine::kernel::input::DriverInput;
use crate::engine::kernel::log;
use crate::engine::placement::standoff::CallerLine;
use crate::error::{Error, FailureData, panic_message};
use crate::execution::Snapshot;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::Stop;
use crate::workflow::WorkflowDef;

mod always_replay;
mod births;
mod bodies;
mod boot;
mod children;
mod commit;
mod commits;
mod core;
mod doubts;
mod fault;
mod halt;
mod idle;
mod in_turn;
mod inbox;
mod intent;
mod launch;
mod lines;
mod link;
mod load;
mod noted;
mod plan;
mod poke;
mod recall;
mod rest;
mod retire;
mod running;
mod statements;
mod take_up;
mod threads;
mod watch;

use self::core::{Core, LookForNews};
use children::Children;
use commits::Commits;
pub(crate) use in_turn::{drive_in_turn, settle_in_turn};
pub(crate) use intent::{Begin, Intent};
pub(crate) use launch::launch;
use link::Link;
use load::Loading;
pub(crate) use poke::{close_and_poke, poke};
pub(crate) use retire::stop;

/// So many turns are counted for one that took as many deliveries as one commit may.
const LONG_TURN: u32 = 16;

/// Drives one execution until it finishes, pauses or cannot go on.
pub(crate) struct Driver {
    kernel: Arc<Kernel>,
    core: Core,
    commits: Commits,
    link: Link,
    /// What those wait for that called this execution, as soon as a child of it has to wait for its turn.
    line: Option<CallerLine>,
}

impl Driver {
    /// A driver that has not looked at its execution yet.
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        def: &'static WorkflowDef,
        id: ExecutionId,
        sender: mpsc::UnboundedSender<DriverInput>,
        inputs: mpsc::UnboundedReceiver<DriverInput>,
        attendance: Attendance,
    ) -> Self {
        let link = Link::new(sender, inputs, attendance);
        let machine = fresh_machine(kernel, def, &id, link.sender(), None, EventSeq::FIRST);
        Self {
            kernel: Arc::clone(kernel),
            core: Core::new(kernel, def, id, machine),
            commits: Commits::new(kernel),
            link,
            line: None,
        }
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
        self.kernel.owner().await?;
        match begin {
            Begin::New { input, placement } => self.core.begin_new(input, placement),
            Begin::Born {
                claimed,
                start,
                has_orders,
            } => {
                self.begin_born(*claimed, start, has_orders);
                started();
            }
            Begin::Queued { claimed, event } => {
                self.begin_queued(*claimed, &event);
                started();
            }
            Begin::Claimed { claimed, intent } => {
                if let Some(left) = self.begin_claimed(*claimed, intent, &mut started).await? {
                    return Ok(left);
                }
            }
        }
        self.drive_on(started).await
    }

    async fn drive_on(&mut self, mut started: impl FnMut()) -> Result<Snapshot, Halt> {
        let mut is_started = self.core.row.record.is_some();
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
            if !is_started && self.core.row.record.is_some() {
                is_started = true;
                started();
            }
        }
    }

    /// Takes what has come in since, and does what there is to do.
    ///
    /// Here and below, futures that are large and seldom needed are boxed: a future contains those that it awaits, so each
    /// turn would pay for the largest of them.
    async fn turn(&mut self) -> Result<Step, Halt> {
        // Code that never waits must not keep the runtime's other tasks from theirs, nor its own commands from it.
        tokio::task::coop::consume_budget().await;
        self.link.count_turns(&self.kernel, &mut self.core, 1);
        self.link.poll_alone(&mut self.core).await;
        self.link.take_inputs(&mut self.core);
        if self.core.inbox.is_held() {
            // Perhaps it is to go on after all, and nobody has said so yet.
            self.core.inbox.expect_news();
        }
        if self.core.inbox.may_have_news() {
            Box::pin(refresh_inbox(&self.kernel, &mut self.core)).await?;
        }
        if self.core.calls.has_ready_children() {
            Box::pin(self.children().hear_finished()).await?;
        }
        self.link.look_for_arrivals(&mut self.core);
        self.step().await
    }

    /// One activation and its commit, if there is anything to do.
    async fn step(&mut self) -> Result<Step, Halt> {
        if let Some(termination) = self.core.inbox.take_termination() {
            return Box::pin(self.terminate(termination)).await;
        }
        let has_delivered = std::mem::take(&mut self.core.limits.has_delivered);
        if self.core.is_to_stop()
            && !self.link.lets_results_pass(&mut self.core)
            && let Some(end) = self
                .polling(|core, look| core.limits_end(has_delivered, look))
                .await?
        {
            return self.commit_and_act(end).await;
        }
        if !self.core.arrivals.is_empty() {
            return self.activate().await;
        }
        if self.core.rewinding.planned.is_some() {
            return self.commit_standing().await;
        }
        if self.core.is_to_stop()
            && let Some(end) = self.polling(Core::time_is_up).await?
        {
            return self.commit_and_act(end).await;
        }
        if let Some((call, body)) = self.core.next_transaction() {
            Box::pin(self.commit_transaction(call, body)).await?;
            return Ok(Step::Went);
        }
        if let Some(from) = self.link.next_statements() {
            Box::pin(self.run_statements(from)).await?;
            return Ok(Step::Went);
        }
        self.commit_standing().await
    }

    /// Delivers what has arrived, and commits what that leads to.
    async fn activate(&mut self) -> Result<Step, Halt> {
        self.core.limits.has_delivered = true;
        if self.kernel.settings.always_replay {
            Box::pin(self.loading().replay_always()).await?;
        }
        let activation = self.polling(Core::activate).await?;
        if activation.is_long() {
            self.link
                .count_turns(&self.kernel, &mut self.core, LONG_TURN);
            tokio::task::yield_now().await;
        }
        self.commit_and_act(activation).await
    }

    /// Does what polls the code, outside tokio's co-operative budget: a budget that runs out in the middle of a poll would
    /// make the code wait for a wake-up that no history knows of.
    async fn polling<T>(
        &mut self,
        work: impl FnOnce(&mut Core, LookForNews<'_>) -> Result<T, Stop>,
    ) -> Result<T, Halt> {
        let Self { core, link, .. } = self;
        let polled = async { work(core, &mut |core| link.look_for_arrivals(core)) };
        let done = tokio::task::unconstrained(polled).await;
        Ok(done.map_err(|stop| stop.into_error(&self.core.id, self.core.def.name))?)
    }

    /// The execution cannot go on here. What bodies have returned and a store did not take is kept for a later
    /// resume in this process; after a crash it would be lost.
    async fn give_up(&mut self, error: Halt) -> Halt {
        if let Halt::Error(error) = &error {
            log::cannot_continue(&self.core.id, self.core.def.name, error);
        }
        let is_store_fault = matches!(error, Halt::Error(Error::Store(_)));
        if is_store_fault {
            self.link.salvage(&self.kernel, &mut self.core);
        } else {
            self.commits.note_obstacle(&mut self.core, &error).await;
        }
        // At once: a worker that has other code, or a store that works, may go on with it.
        let now = self.kernel.clock.now();
        self.commits.release(Some(now)).await;
        if is_store_fault {
            // The release comes first: each call may take long to fail.
            self.commits.note_obstacle(&mut self.core, &error).await;
        }
        error
    }

    fn loading(&mut self) -> Loading<'_> {
        Loading {
            kernel: &self.kernel,
            core: &mut self.core,
            link: &mut self.link,
        }
    }

    fn children(&mut self) -> Children<'_> {
        Children {
            kernel: &self.kernel,
            core: &mut self.core,
            link: &mut self.link,
            line: &mut self.line,
        }
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

impl Step {
    /// The execution is over, or is paused, as its row says.
    fn settled(
        core: &mut Core,
        output: Option<Payload>,
        failure: Option<Box<FailureData>>,
        termination: Option<String>,
    ) -> Self {
        core.machine.evict();
        let Some(record) = core.row.record.clone() else {
            return Self::Went;
        };
        let is_finished = record.status.is_finished();
        let end = is_finished.then(|| EventSeq::new(core.machine.next_seq().get() - 1));
        Self::Settled(Box::new(Snapshot {
            record,
            output,
            end,
            failure: failure.map(|failure| *failure),
            termination,
            limit: None,
        }))
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("id", &self.core.id)
            .finish_non_exhaustive()
    }
}
