//! What a driver knows and decides: everything but waiting, reading and writing.
//!
//! ```text
//!   Inbox ──┐                                              ┌──► Activation: events, births, messages, an end
//!   Calls ──┼──► Arrivals ──► delivery ──► the Machine ────┤
//!   timers ─┘                 (delivery.rs)                └──► Calls: what to do next
//! ```
//!
//! Nothing here awaits anything, and nothing here knows a store: the driver reads, writes and waits, and tells the core what
//! came of it. Each part owns its state, and can be tested without the others.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::error::{Error, FailureKind};
use crate::event::{Event, EventKind};
use crate::execution::{Status, Waiting};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{Machine, Stop};
use crate::store::{Change, Heeds, Message, Release, TransactionBody};
use crate::workflow::{StopReason, WorkflowDef};

pub(super) mod activation;
pub(super) mod arrivals;
mod begin;
pub(super) mod births;
pub(super) mod calls;
pub(super) mod cancel;
pub(super) mod commands;
pub(super) mod delivery;
pub(super) mod end;
pub(super) mod family;
pub(super) mod inbox;
pub(super) mod limits;
pub(super) mod pauses;
pub(super) mod rewinding;
pub(super) mod row;
pub(super) mod stop;
pub(super) mod tasks;
pub(super) mod time;
pub(super) mod values;
pub(super) mod wanted;

use activation::{Activation, Ended};
use arrivals::{Arrival, Arrivals, NewOutcome};
use calls::Calls;
use inbox::{Heard, Inbox};
use limits::Limits;
use rewinding::Rewinding;
use row::Row;
use time::OwnTime;

/// What the engine has been set to, as far as it decides about an execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) payload_limit: usize,
    pub(crate) max_recoveries: u32,
    /// The attempts of a workflow that sets no number of its own.
    pub(crate) max_attempts: u32,
    /// How long code may take to clean up once it was told of a cancellation.
    pub(crate) cancel_window: Duration,
    /// How long another attempt waits for a thread whose time is up.
    pub(crate) blocking_patience: Duration,
}

/// One execution, as its driver knows it.
pub(crate) struct Core {
    pub(crate) id: ExecutionId,
    pub(crate) def: &'static WorkflowDef,
    pub(crate) rules: Rules,
    pub(crate) row: Row,
    pub(crate) machine: Machine,
    pub(crate) arrivals: Arrivals,
    pub(crate) calls: Calls,
    pub(crate) inbox: Inbox,
    pub(crate) rewinding: Rewinding,
    pub(crate) time: OwnTime,
    pub(crate) limits: Limits,
    /// Whether the code has waited for something that is not durable, for which nothing but this process would wake it.
    pub(crate) is_foreign: bool,
}

/// Looks for what has arrived meanwhile, before each delivery.
pub(crate) type LookForNews<'a> = &'a mut dyn FnMut(&mut Core);

impl Core {
    /// An execution of which nothing was read yet.
    pub(crate) fn new(
        kernel: &Kernel,
        def: &'static WorkflowDef,
        id: ExecutionId,
        machine: Machine,
    ) -> Self {
        Self {
            id,
            def,
            rules: Rules {
                payload_limit: kernel.env.payload_limit,
                max_recoveries: kernel.settings.max_recoveries,
                max_attempts: kernel.settings.workflow_max_attempts,
                cancel_window: kernel.settings.cancel_window,
                blocking_patience: kernel.settings.blocking_patience,
            },
            row: Row::new(kernel.clock.now()),
            machine,
            arrivals: Arrivals::default(),
            calls: Calls::default(),
            inbox: Inbox::default(),
            rewinding: Rewinding::default(),
            time: OwnTime::new(&kernel.time),
            limits: Limits::default(),
            is_foreign: false,
        }
    }

    /// Forgets what was known of the execution, but for the time that has come.
    pub(crate) fn start_over(&mut self, kernel: &Kernel, machine: Machine) {
        let fresh = Self::new(kernel, self.def, self.id.clone(), machine);
        let before = std::mem::replace(self, fresh);
        self.time.reach_as(&before.time);
        self.is_foreign = before.is_foreign;
    }

    /// The present moment in its own time.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.now(self.machine.last_at())
    }

    /// The present moment for what the code asked for as a moment.
    fn clock_now(&self) -> Timestamp {
        self.time.clock_now(self.machine.last_at())
    }

    /// A moment of its own time by the clock that is never set back; the present one where it has passed.
    pub(crate) fn steady_at(&self, at: Timestamp) -> Timestamp {
        self.time.keeper().steady().after(at.since(self.now()))
    }

    pub(crate) fn event_at(&mut self, kind: EventKind, refers: Option<EventSeq>) -> Event {
        let now = self.now();
        self.machine.note(kind, now, refers)
    }

    /// Whether the code still waits for this call.
    pub(crate) fn is_waiting(&self, call: EventSeq) -> bool {
        let mut state = self.machine.shared.state();
        let call = state.call_by_seq(call);
        call.is_some_and(|call| !call.is_answered())
    }

    pub(crate) fn name_of(&self, call: EventSeq) -> Option<Arc<str>> {
        let mut state = self.machine.shared.state();
        state.call_by_seq(call).map(|call| Arc::clone(&call.name))
    }

    /// Refuses a commit of a history that is as long as one can be.
    pub(crate) fn check_length(&self) -> Result<(), Error> {
        if self.machine.next_seq() < EventSeq::MAX {
            return Ok(());
        }
        Err(Error::HistoryTooLong {
            id: self.id.clone(),
            events: self.machine.next_seq().get(),
        })
    }

    /// Whether the code is gone, and what it left to be done is done.
    pub(crate) fn is_exiting(&self) -> bool {
        self.machine.shared.state().is_exiting
    }

    /// Takes a message in, and does at once what needs no delivery.
    pub(crate) fn receive(&mut self, message: Message) {
        match self.inbox.receive(message) {
            Some(Heard::ChildPaused(message)) => self.hear_of_pause(&message),
            Some(Heard::ChildEnded(message)) => self.child_ended(&message),
            Some(Heard::Cancel(cancellation)) => self.receive_cancellation(cancellation),
            Some(Heard::Resume(message)) => self.receive_request(message),
            None => {}
        }
    }

    /// A resume or a cancellation came after a pause: what was kept back may begin.
    fn lift_hold(&mut self) {
        if !self.inbox.lift_hold() {
            return;
        }
        self.calls.undefer();
        if self.inbox.cancelling.is_some() {
            for call in self.calls.take_uncancelled() {
                self.await_cancellation(call);
            }
        }
        self.woken();
    }

    /// Something that is not durable woke the code: its place among the arrivals is recorded.
    pub(crate) fn woken(&mut self) {
        if self.inbox.is_held() || !self.machine.take_foreign() {
            return;
        }
        if !std::mem::replace(&mut self.is_foreign, true) {
            tracing::warn!(
                execution_id = %self.id,
                workflow = self.def.name,
                "the workflow awaits something that is not durable (a tokio timer, a socket, a spawned task); \
                 after a crash it happens again, perhaps differently: do it in a task or a `flux::step`"
            );
        }
        let outcome = NewOutcome::without_call(EventKind::Woken);
        self.arrivals.push_outcome(outcome);
    }

    /// Whether signals stay in the inbox, because the execution is put on hold as soon as what arrived is delivered.
    pub(crate) fn leaves_signals(&self) -> bool {
        self.inbox.is_held() && !self.calls.has_running_bodies()
    }

    /// Hands signals and unseen answers to the calls that wait for them.
    pub(crate) fn match_values(&mut self) {
        let values = &mut self.inbox.values;
        for next in values.match_calls(&mut self.calls, &self.machine) {
            if let Some(sent_at) = next.sent_at {
                self.fire_due_by_then(sent_at);
            }
            self.arrivals.push_outcome(next.outcome);
        }
    }

    pub(crate) fn is_due(&self) -> bool {
        let due = self.calls.due();
        if due.is_empty() {
            return false;
        }
        let is_past = |at: Option<Timestamp>, now| at.is_some_and(|at| at <= now);
        is_past(due.first_length(), self.now()) || is_past(due.first_moment(), self.clock_now())
    }

    /// Turns what is due into arrivals, in the order of due time and call.
    pub(crate) fn fire_due(&mut self) {
        if !self.calls.due().is_empty() {
            self.fire_due_by(self.now(), self.clock_now());
        }
    }

    /// As [`fire_due`](Self::fire_due), as of an earlier moment by the clock: something was sent then.
    fn fire_due_by_then(&mut self, moment: Timestamp) {
        let (now, clock) = (self.now(), self.clock_now());
        let ahead = now.since(clock);
        self.fire_due_by(now.min(moment.after(ahead)), clock.min(moment));
    }

    /// As [`fire_due`](Self::fire_due), as of an earlier moment, in its own time and by the clock.
    fn fire_due_by(&mut self, now: Timestamp, clock: Timestamp) {
        while let Some((due, call, is_timer)) = self.calls.take_due(now, clock) {
            if is_timer {
                let mut outcome = NewOutcome::new(EventKind::TimerFired, call);
                outcome.not_before = Some(due);
                self.arrivals.push_outcome(outcome);
            }
        }
    }

    /// Reckons how far its time is ahead, once its history is read. What begins it again may be the only event that counts,
    /// and has not been delivered yet.
    pub(crate) fn reckon_time(&mut self) {
        let last = self.machine.last_at();
        let open = self.arrivals.last_recorded_at();
        self.time
            .reckon_from(open.map_or(last, |open| open.max(last)));
    }

    /// Goes by what the row says of its next wait, once it is known what it waits for.
    pub(crate) fn reckon_by_row(&mut self) {
        let wake_at = self.row.record.as_ref().and_then(|record| record.wake_at);
        let due = self.calls.due();
        if let (Some(wake_at), Some(length)) = (wake_at, due.first_length())
            && due.first_moment() != Some(wake_at)
        {
            self.time.reckon_by_wait(length, wake_at);
        }
    }

    /// When the next timer or retry is due, by the clock.
    fn next_due(&self) -> Option<Timestamp> {
        let due = self.calls.due();
        let length = due.first_length();
        let length = length.map(|at| self.time.by_the_clock(at));
        length.into_iter().chain(due.first_moment()).min()
    }

    /// When the next limit of the workflow is reached.
    fn next_limit(&self) -> Option<(Timestamp, FailureKind)> {
        let options = &self.def.options;
        if (options.timeout.is_none() && options.deadline.is_none()) || self.is_exiting() {
            return None;
        }
        let is_active = self.calls.passes_active_time();
        self.limits.next(options, &self.row, is_active)
    }

    /// When its code is stopped next, if it has not ended by then.
    pub(crate) fn next_stop(&self) -> Option<Timestamp> {
        let limit = self.next_limit().map(|(at, _)| at);
        limit.into_iter().chain(self.window_ends()).min()
    }

    /// When it is to be driven again if nothing comes for it before: its next timer or retry is due, or its time is up.
    /// Active time does not pass while nobody drives it.
    pub(crate) fn next_moment(&self) -> Option<Timestamp> {
        let limit = self.next_limit().map(|(at, _)| at);
        let limit = limit.filter(|_| self.def.options.deadline.is_some());
        let stops = limit.into_iter().chain(self.window_ends());
        let stops = stops.map(|at| self.time.by_the_clock(at));
        stops.chain(self.next_due()).min()
    }

    /// Whether its time is up.
    pub(crate) fn is_to_stop(&self) -> bool {
        self.next_stop().is_some_and(|at| self.now() >= at)
    }

    /// Whether results of bodies are delivered although the time of the code is up, because they came in before that was
    /// noticed. That happens once, or a steady stream of results would keep the code from its end. Not where an open arrival
    /// waits: [`stop`](Self::stop) delivers that first by itself.
    pub(crate) fn lets_results_pass(&mut self) -> bool {
        if self.limits.has_let_pass {
            return false;
        }
        let has_results = !self.arrivals.has_open() && self.arrivals.has(Arrival::is_result);
        self.limits.has_let_pass = has_results;
        has_results
    }

    /// The end of an execution whose deadline or cancel window is over, whatever has arrived since; with `has_delivered`, also
    /// one that was active for too long.
    pub(crate) fn limits_end(
        &mut self,
        has_delivered: bool,
        look: LookForNews<'_>,
    ) -> Result<Option<Box<Activation>>, Stop> {
        let limit = self.next_limit();
        if matches!(limit, Some((_, FailureKind::Deadline { .. })))
            && let Some(end) = self.time_is_up(&mut *look)?
        {
            return Ok(Some(end));
        }
        if let Some(end) = self.window_is_over(&mut *look)? {
            return Ok(Some(end));
        }
        if has_delivered {
            return self.time_is_up(look);
        }
        Ok(None)
    }

    /// The end of an execution whose time is up.
    pub(crate) fn time_is_up(
        &mut self,
        look: LookForNews<'_>,
    ) -> Result<Option<Box<Activation>>, Stop> {
        match self.next_limit() {
            Some((at, kind)) if self.now() >= at => {
                self.stop(StopReason::OutOfTime(kind), look).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The next transaction that the code has asked for; none is run of what is to be put on hold.
    pub(crate) fn next_transaction(&mut self) -> Option<(EventSeq, TransactionBody)> {
        if self.inbox.is_held() {
            return None;
        }
        self.calls.take_transaction()
    }

    /// Where the execution stands after this activation.
    pub(crate) fn standing(&self, ended: Option<&Ended>, started: &[EventSeq]) -> Change {
        let (status, finished_at) = match ended {
            Some(Ended::Finished { status, .. }) => (*status, Some(self.machine.last_at())),
            None if self.rests(started) => (Status::Paused, None),
            Some(Ended::Again | Ended::Unchanged) | None => (Status::Running, None),
        };
        let waits = ended.is_none();
        let hold = self.inbox.hold().cloned();
        let hold = hold.filter(|_| status == Status::Paused);
        let stays = match status {
            Status::Paused => hold.is_none() && self.cleans_up(),
            status => status == Status::Running,
        };
        // First: a clock that is set back from here on is noticed when the commit is written.
        let reckoned_at = (!stays).then(|| self.time.sent_at());
        let wake_at = self.next_due().filter(|_| waits);
        let ready_at = self.next_moment().filter(|_| waits);
        Change {
            status,
            attempt: self.row.attempt,
            finished_at,
            wake_at,
            waiting: self.waiting().filter(|_| waits),
            base: self.row.base,
            rewound: self.row.rewound,
            release: (!stays).then_some(Release {
                ready_at: ready_at.filter(|_| hold.is_none()),
                reckoned_at,
                seen: self.inbox.last(),
            }),
            hold,
            // It went on.
            obstacle: None,
        }
    }

    /// Whether it is paused: a pause point waits, and nothing is at work or about to be.
    fn rests(&self, started: &[EventSeq]) -> bool {
        started.is_empty() && self.arrivals.is_empty() && self.calls.rests()
    }

    /// What the row says it waits for.
    fn waiting(&self) -> Option<Payload> {
        let signals: Vec<String> = self.calls.awaited().map(ToString::to_string).collect();
        if signals.is_empty()
            && !self.calls.has_children()
            && self.calls.own_pauses().next().is_none()
        {
            return None;
        }
        Waiting {
            pauses: self.calls.pause_points(),
            signals,
            cleans_up: self.cleans_up(),
        }
        .to_payload()
    }

    /// Whether nothing of it is at work in this process that keeps it here.
    pub(crate) fn is_quiet(&self) -> bool {
        let record = self.row.record.as_ref();
        let is_unfinished = record.is_some_and(|record| !record.status.is_finished());
        is_unfinished && self.arrivals.is_empty() && self.calls.are_quiet(self.inbox.is_held())
    }

    /// What the commit of these events heeds: everything that could still change how the code ends, where it ends with them.
    pub(crate) fn heeds(&self, events: &[Event], change: Option<&Change>) -> Option<Heeds> {
        // An execution that is new, or that had finished, cannot have been sent a command.
        let record = self.row.record.as_ref();
        record.filter(|record| !record.status.is_finished())?;
        let has = |kinds: &[EventKind]| events.iter().any(|event| kinds.contains(&event.kind));
        let ends = |change: &Change| matches!(change.status, Status::Completed | Status::Failed);
        let begins_exit = has(&[EventKind::ExitStarted]);
        let ends_now = begins_exit || (change.is_some_and(ends) && !self.is_exiting());
        if !ends_now || self.inbox.cancelling.is_some() {
            return None;
        }
        // No body is cut off, and no attempt is repeated, for a pause.
        let cuts_off = has(&[EventKind::CallCancelled, EventKind::TaskAttemptFailed]);
        let is_free = !self.inbox.is_held() && !self.calls.has_running_bodies();
        Some(Heeds {
            seen: self.inbox.last(),
            pauses: is_free && !cuts_off,
        })
    }

    /// Puts away the code that has ended, with all that it waited for. What came by message and was not delivered is read
    /// again.
    pub(crate) fn forget_work(&mut self) {
        self.machine.evict();
        self.calls.detach_children();
        let reused = self.calls.clear();
        self.calls.take_children();
        self.rewinding.put_back(reused);
        self.inbox.values.forget_calls();
        let dropped = self.arrivals.clear();
        if dropped.has_cancellation {
            self.inbox.passed_over = self.inbox.passed_over.saturating_add(1);
        }
        if dropped.has_messages {
            self.inbox.forget();
        }
    }

    /// Drops all that is at work but the children.
    pub(crate) fn stop_work(&mut self) {
        drop(self.calls.clear());
    }

    /// Writes a planned rewind before anything else.
    pub(crate) fn append_rewind(&mut self, activation: &mut Activation) {
        activation.events.extend(self.rewinding.planned.take());
    }
}
