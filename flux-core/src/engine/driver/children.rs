//! Children: executions that this one called.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::activation::{Activation, NewOutcome};
use super::births::Wanted;
use super::family::{Child, ChildState};
use super::{Answer, Begin, ChildReport, Driver, Halt, Input, Intent};
use crate::clock::Timestamp;
use crate::context::ChildPolicy;
use crate::engine::active::{Driving, OnSettled};
use crate::error::{Error, ErrorRecord, FailureData, FailureKind, TaskErrorKind, TaskFailure};
use crate::event::{Doubt, EndedMeta, EventKind};
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{ClaimError, ExecutionRecord, Message, MessageId, MessageKind, NewMessage};
use crate::workflow::WorkflowDef;

/// How long a child is left alone that somebody has for a moment, before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The name of an order that a parent sends. A child that is ended so may be needed again: a parent that failed may be
/// resumed.
pub(crate) const BY_PARENT: &str = "by-parent";

/// A request to cancel the execution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cancellation {
    pub(super) message: MessageId,
    pub(super) is_by_parent: bool,
}

impl Cancellation {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            message: message.id,
            is_by_parent: *message.name == *BY_PARENT,
        }
    }
}

impl NewMessage {
    /// What a child is told when its parent lets go of it.
    pub(crate) fn to_child(policy: ChildPolicy, at: Timestamp) -> Self {
        let (kind, payload) = match policy {
            ChildPolicy::Cancel => (MessageKind::Cancel, Payload::null()),
            ChildPolicy::Abandon => (MessageKind::Abandon, Payload::null()),
            ChildPolicy::Terminate => {
                let reason = Payload::from_json(r#""its parent let go of it""#.to_owned());
                (MessageKind::Terminate, reason)
            }
        };
        Self {
            kind,
            name: BY_PARENT.into(),
            payload,
            dedup: None,
            at,
        }
    }
}

/// How a child has ended, for its parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChildOutcome {
    Completed(Payload),
    Failed(Box<FailureData>),
    Cancelled,
    CancelledByParent,
    Terminated { reason: String },
    TerminatedByParent,
}

impl ChildOutcome {
    pub(crate) fn terminated(reason: String, by_parent: bool) -> Self {
        if by_parent {
            Self::TerminatedByParent
        } else {
            Self::Terminated { reason }
        }
    }
}

/// What a child tells its parent when it has finished: which of its beginnings has ended, and how. A parent that fails
/// and tries again begins its children again, and has heard of an end under an earlier epoch before.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastWord {
    epoch: i64,
    outcome: ChildOutcome,
    #[serde(default, skip_serializing_if = "Doubt::is_none")]
    doubt: Doubt,
}

/// How the end of a child was heard.
#[derive(Debug, Clone, Default)]
struct Heard {
    /// The message that told of it.
    consumed: Option<MessageId>,
    /// What the child leaves in doubt.
    doubt: Doubt,
}

impl Heard {
    fn with(self, mut outcome: NewOutcome) -> NewOutcome {
        outcome.consumed = self.consumed;
        if !self.doubt.is_none() {
            outcome.meta = Payload::encode(&self.doubt).ok();
        }
        outcome
    }
}

/// What a child tells its parent when it waits for a `resume`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PauseWord {
    epoch: i64,
    points: Vec<PausePoint>,
}

impl LastWord {
    pub(crate) fn new(epoch: Epoch, outcome: ChildOutcome, doubt: Doubt) -> Self {
        Self {
            epoch: epoch.0,
            outcome,
            doubt,
        }
    }

    /// The message to a parent.
    pub(crate) fn message(&self, child: &ExecutionId, at: Timestamp) -> Option<NewMessage> {
        Some(NewMessage {
            kind: MessageKind::ChildEnded,
            name: child.as_str().into(),
            payload: Payload::encode(self).ok()?,
            dedup: None,
            at,
        })
    }
}

impl Wanted {
    pub(super) fn child(&self, since: Epoch, state: ChildState) -> Child {
        Child {
            id: self.id.clone(),
            workflow: self.def.name,
            policy: self.policy,
            since,
            state,
        }
    }
}

impl Driver {
    /// Goes on with a child that is recorded; one that was refused before is created.
    pub(super) async fn start_child(&mut self, call: EventSeq) -> Result<(), Halt> {
        let Some(wanted) = self.wanted_child(call) else {
            return Ok(());
        };
        // A driver that an earlier run of this execution has just dropped is on its way out.
        self.engine.see_off(&wanted.id).await;
        match self.engine.store.execution(&wanted.id).await? {
            None => {
                let mut activation = Box::<Activation>::default();
                self.expect_child(call, wanted, &mut activation);
                self.write(activation, None).await
            }
            Some(record) if record.parent.as_ref() == Some(&self.id) => {
                self.take_up(call, wanted, record).await
            }
            Some(_) => {
                let message = format!(
                    "the id `{}` is taken by an execution that this one did not start",
                    wanted.id
                );
                self.child_refused(call, wanted.def, message);
                Ok(())
            }
        }
    }

    /// The call of a child that could not be created fails.
    pub(super) fn child_refused(&mut self, call: EventSeq, def: &WorkflowDef, message: String) {
        self.child_refused_as(TaskErrorKind::Failed, call, def, message);
    }

    pub(super) fn child_refused_as(
        &mut self,
        kind: TaskErrorKind,
        call: EventSeq,
        def: &WorkflowDef,
        message: String,
    ) {
        self.children.set(call, ChildState::Ended);
        let error = ErrorRecord::message(message);
        let failure = failure_of(def.name, kind, 0, error);
        self.child_failed(call, &failure, Heard::default());
    }

    /// A child that is recorded is not set to work before this execution goes on.
    pub(super) fn put_child_off(&mut self, call: EventSeq) {
        if let Some(wanted) = self.wanted_child(call) {
            let child = wanted.child(Epoch(1), ChildState::Deferred);
            self.children.insert(call, child);
            self.deferred.push(call);
        }
    }

    /// Goes on with a child that exists.
    async fn take_up(
        &mut self,
        call: EventSeq,
        wanted: Wanted,
        record: ExecutionRecord,
    ) -> Result<(), Halt> {
        let is_retried = self
            .rewind
            .as_ref()
            .is_some_and(|rewind| rewind.meta.retry.contains(&call));
        let intent = match record.status {
            // An order from before its parent failed and was resumed: it has to be carried out before the child can
            // be opened again.
            Status::Paused if self.is_to_end(&record).await? => Intent::Recover,
            Status::Paused => {
                let points = Waiting::read(record.waiting.as_ref()).pauses;
                let points = points
                    .iter()
                    .map(|point| point.seen_from_parent(wanted.def.name))
                    .collect();
                let child = wanted.child(record.epoch, ChildState::Paused(points));
                self.children.insert(call, child);
                return Ok(());
            }
            Status::Failed if is_retried || self.has_failed(call) => Intent::Retry,
            Status::Cancelled if self.rewind.is_some() => Intent::Reopen,
            // Pending: a worker starts it when its queue and gate allow, so it is not claimed here.
            Status::Pending => {
                if !self.engine.has_worker_of(&record) {
                    Arc::clone(&self.engine).begin_in_turn(wanted.id.clone());
                }
                self.watch_child(call, &wanted, record.epoch);
                return Ok(());
            }
            Status::Running if self.is_woken_by_worker(&record) => {
                let child = wanted.child(record.epoch, ChildState::Asleep);
                self.children.insert(call, child);
                self.has_stale_inbox = true;
                return Ok(());
            }
            Status::Terminated if self.was_ended_by_parent(&record).await? => Intent::Reopen,
            status if status.is_finished() => {
                self.watch_child(call, &wanted, record.epoch);
                let snapshot = self.engine.snapshot(record).await?;
                self.ended_children.push((call, Box::new(snapshot)));
                return Ok(());
            }
            _ => Intent::Recover,
        };
        // The end that it has come to is known already; what is waited for is the next one.
        let since = if record.status.is_finished() {
            Epoch(record.epoch.0 + 1)
        } else {
            record.epoch
        };
        self.claim_child(call, wanted, since, intent).await
    }

    /// Whether a child that nobody drives is set to work by what it waits for. One that was put off before it began waits
    /// for nothing but this execution.
    fn is_woken_by_worker(&self, record: &ExecutionRecord) -> bool {
        let waits = record.ready_at.is_some() || record.waiting.is_some();
        record.owner.is_none() && waits && self.engine.has_worker_of(record)
    }

    /// Whether a failure of this call was taken back.
    fn has_failed(&self, call: EventSeq) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.has_failed(call))
    }

    /// Whether this execution terminated the child, before it was resumed itself.
    async fn was_ended_by_parent(&mut self, record: &ExecutionRecord) -> Result<bool, Halt> {
        if self.rewind.is_none() {
            return Ok(false);
        }
        let last = self.engine.store.last_event(record.key).await?;
        Ok(last.is_some_and(|last| last.meta::<EndedMeta>().by_parent))
    }

    /// Whether a parent's order to end lies in its inbox.
    async fn is_to_end(&mut self, record: &ExecutionRecord) -> Result<bool, Halt> {
        if self.rewind.is_none() {
            return Ok(false);
        }
        let inbox = self.engine.store.inbox(record.key).await?;
        Ok(inbox
            .iter()
            .any(|message| matches!(message.kind, MessageKind::Cancel | MessageKind::Terminate)))
    }

    /// `since`: the first epoch of the beginning that is waited for, if others have the child.
    async fn claim_child(
        &mut self,
        call: EventSeq,
        wanted: Wanted,
        since: Epoch,
        intent: Intent,
    ) -> Result<(), Halt> {
        let engine = Arc::clone(&self.engine);
        let Some(claiming) = engine.begin_claim(&wanted.id) else {
            // Driven in this process, perhaps by a driver that is about to be gone.
            self.watch_child(call, &wanted, since);
            self.look_again(call, &wanted.id, since);
            return Ok(());
        };
        match engine.acquire(claiming).await {
            Ok(claimed) => {
                let since = claimed.record.epoch;
                let begin = Begin::claimed(claimed, intent);
                self.drive_claimed(call, &wanted, begin, since).await
            }
            Err(ClaimError::Held { .. }) => {
                self.watch_child(call, &wanted, since);
                if !matches!(intent, Intent::Recover) {
                    // Whoever has it may leave it as it was.
                    self.look_again(call, &wanted.id, since);
                }
                Ok(())
            }
            Err(ClaimError::NotFound) => Ok(()),
            Err(ClaimError::Failed(error)) => Err(error.into()),
        }
    }

    /// Others drive the child: its last word will come into the inbox.
    fn watch_child(&mut self, call: EventSeq, wanted: &Wanted, since: Epoch) {
        let child = wanted.child(since, ChildState::Elsewhere);
        self.children.insert(call, child);
        self.has_stale_inbox = true;
    }

    /// Has the child looked at again when the driver that this process has for it is gone, or after a while.
    fn look_again(&self, call: EventSeq, id: &ExecutionId, since: Epoch) {
        let sender = self.sender.clone();
        let driver = self.engine.active.get(id);
        tokio::spawn(async move {
            match driver {
                Some(driver) => driver.gone().await,
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
            let report = ChildReport::Changed;
            let _ = sender.send(Input::Child {
                call,
                since,
                report,
            });
        });
    }

    /// Drives a child beside this execution. Its replay has succeeded when this returns.
    async fn drive_claimed(
        &mut self,
        call: EventSeq,
        wanted: &Wanted,
        begin: Begin,
        since: Epoch,
    ) -> Result<(), Halt> {
        let driving = match self.drive_child(call, wanted, begin, since) {
            Ok(driving) => driving,
            Err(Error::AlreadyRunning { .. }) => {
                self.watch_child(call, wanted, since);
                self.look_again(call, &wanted.id, since);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let started = driving.started().await.map_err(Halt::Error)?;
        debug_assert!(started.is_ok(), "one that exists is not refused");
        let guard = driving.into_guard();
        guard.is_childs();
        let child = wanted.child(since, ChildState::Driven(guard));
        self.children.insert(call, child);
        Ok(())
    }

    /// Sets a driver to work that reports to this execution, naming the beginning of the child that it drives.
    pub(super) fn drive_child(
        &self,
        call: EventSeq,
        wanted: &Wanted,
        begin: Begin,
        since: Epoch,
    ) -> Result<Driving, Error> {
        let sender = self.sender.clone();
        let name = wanted.def.name;
        let on_settled: OnSettled = Box::new(move |settled| {
            let report = ChildReport::of(settled, name);
            let _ = sender.send(Input::Child {
                call,
                since,
                report,
            });
        });
        let id = wanted.id.clone();
        self.engine.drive(wanted.def, id, begin, Some(on_settled))
    }

    /// What the driver of a child says when it ends. What is of an earlier beginning of the child is no news.
    pub(super) fn child_reported(&mut self, call: EventSeq, since: Epoch, report: ChildReport) {
        let is_current = |child: &Child| {
            child.since == since && !matches!(child.state, ChildState::Ended | ChildState::Unborn)
        };
        if !self.children.get(call).is_some_and(is_current) {
            return;
        }
        match report {
            ChildReport::Ended(snapshot) => {
                self.has_stale_inbox = true;
                self.ended_children.push((call, snapshot));
            }
            ChildReport::Asleep => self.children.set(call, ChildState::Asleep),
            ChildReport::Paused(points) => self.children.set(call, ChildState::Paused(points)),
            // It goes on with its new owner.
            ChildReport::Changed | ChildReport::Lost(Error::TakenOver { .. }) => {
                self.reopened.push(call);
            }
            ChildReport::Lost(error) => self.lost = Some(error),
        }
    }

    /// A parent that is not driven beside this execution sees its pause by a message.
    pub(super) fn tell_of_pause(&self, activation: &mut Activation) {
        let Some(parent) = &self.row.parent else {
            return;
        };
        if self
            .has_parent_here
            .load(std::sync::atomic::Ordering::Relaxed)
        {
            return;
        }
        let points = self.pause_points();
        let seen = points
            .iter()
            .map(|point| point.seen_from_parent(self.def.name));
        let word = PauseWord {
            epoch: self.row.present_epoch().0,
            points: seen.collect(),
        };
        let Ok(payload) = Payload::encode(&word) else {
            return;
        };
        let message = NewMessage {
            kind: MessageKind::ChildPaused,
            name: self.id.as_str().into(),
            payload,
            dedup: None,
            at: self.sent_at(),
        };
        activation.outbox.push((parent.clone(), message));
    }

    /// A child that others drive waits for a `resume`.
    pub(super) fn hear_of_pause(&mut self, message: &Message) {
        self.stale_messages.push(message.id);
        let Ok(word) = message.payload.decode::<PauseWord>() else {
            return;
        };
        let child = ExecutionId::from(&*message.name);
        for call in self.children.calls_that_wait(&child, Epoch(word.epoch)) {
            let state = ChildState::Paused(word.points.clone());
            self.children.set(call, state);
        }
    }

    /// A child's last word. Each call that waits for the child has it; of an earlier beginning, or heard before, it is
    /// consumed and counts no more.
    pub(super) fn child_ended(&mut self, message: &Message) {
        let word = match message.payload.decode::<LastWord>() {
            Ok(word) => word,
            Err(error) => {
                tracing::error!(execution_id = %self.id, child = %message.name, %error, "a child's last word cannot be read");
                return;
            }
        };
        let child = ExecutionId::from(&*message.name);
        let calls = self.children.calls_that_wait(&child, Epoch(word.epoch));
        if calls.is_empty() {
            self.stale_messages.push(message.id);
        }
        let mut heard = Heard {
            consumed: Some(message.id),
            doubt: word.doubt,
        };
        for call in calls {
            self.take_child_outcome(call, word.outcome.clone(), heard.clone());
            heard.consumed = None;
        }
    }

    /// Children whose end is heard before their last word, or that have none: a resume that came out as before writes
    /// nothing. Which of them this execution ended itself, before it began again, only their histories tell.
    pub(super) async fn hear_ended_children(&mut self) -> Result<(), Halt> {
        for (call, snapshot) in std::mem::take(&mut self.ended_children) {
            if !self.children.waits_for(call, snapshot.record.epoch) {
                continue;
            }
            let was_stopped = matches!(
                snapshot.record.status,
                Status::Cancelled | Status::Terminated
            );
            let last = self.engine.store.last_event(snapshot.record.key).await?;
            let ended = last.map_or_else(EndedMeta::default, |last| last.meta());
            let by_parent = was_stopped && self.rewind.is_some() && ended.by_parent;
            let outcome = match (snapshot.record.status, snapshot.output, snapshot.failure) {
                (Status::Cancelled, ..) if by_parent => ChildOutcome::CancelledByParent,
                (Status::Terminated, ..) if by_parent => ChildOutcome::TerminatedByParent,
                (Status::Completed, Some(output), _) => ChildOutcome::Completed(output),
                (Status::Failed, _, Some(failure)) => ChildOutcome::Failed(Box::new(failure)),
                (Status::Terminated, ..) => ChildOutcome::Terminated {
                    reason: snapshot.termination.unwrap_or_default(),
                },
                _ => ChildOutcome::Cancelled,
            };
            let heard = Heard {
                consumed: None,
                doubt: ended.doubt,
            };
            self.take_child_outcome(call, outcome, heard);
        }
        Ok(())
    }

    fn take_child_outcome(&mut self, call: EventSeq, outcome: ChildOutcome, heard: Heard) {
        let Some(child) = self.children.get(call) else {
            return;
        };
        let workflow = child.workflow;
        self.children.set(call, ChildState::Ended);
        match outcome {
            ChildOutcome::Completed(output) => {
                let mut outcome = NewOutcome::new(EventKind::ChildCompleted, call);
                outcome.payload = Some(output);
                self.outcome(heard.with(outcome));
            }
            ChildOutcome::Failed(failure) => {
                let kind = match failure.kind {
                    _ if !failure.unknown.is_empty() => TaskErrorKind::OutcomeUnknown,
                    FailureKind::Error => TaskErrorKind::Failed,
                    FailureKind::Panicked => TaskErrorKind::Panicked,
                    FailureKind::Timeout { .. } | FailureKind::Deadline { .. } => {
                        TaskErrorKind::TimedOut
                    }
                };
                let failure = TaskFailure {
                    undone: failure.undone,
                    ..failure_of(workflow, kind, failure.attempt, failure.error)
                };
                self.child_failed(call, &failure, heard);
            }
            ChildOutcome::Cancelled => {
                let error = ErrorRecord::message("the child execution was cancelled");
                self.child_failed(call, &cancelled(workflow, error), heard);
            }
            ChildOutcome::Terminated { reason } => {
                let message = format!("the child execution was terminated: {reason}");
                let error = ErrorRecord::message(message);
                self.child_failed(call, &cancelled(workflow, error), heard);
            }
            // The call still waits, so this execution has failed and been resumed since it ended the child.
            ChildOutcome::CancelledByParent | ChildOutcome::TerminatedByParent => {
                self.stale_messages.extend(heard.consumed);
                self.children.set(call, ChildState::Elsewhere);
                self.reopened.push(call);
            }
        }
    }

    /// Looks again at children of which something has changed: those that were ended for a failure that has been taken
    /// back are opened again.
    pub(super) async fn reopen_children(&mut self) -> Result<(), Halt> {
        for call in std::mem::take(&mut self.reopened) {
            let waits = |child: &Child| !matches!(child.state, ChildState::Ended);
            if self.children.get(call).is_some_and(waits) && self.is_waiting(call) {
                self.start_child(call).await?;
            }
        }
        Ok(())
    }

    fn child_failed(&mut self, call: EventSeq, failure: &TaskFailure, heard: Heard) {
        let mut outcome = NewOutcome::new(EventKind::ChildFailed, call);
        outcome.payload = Payload::encode(failure).ok();
        self.outcome(heard.with(outcome));
    }

    /// Passes a resume's answer on to the child whose pause point it is meant for.
    pub(super) async fn answer_child(
        &mut self,
        point: &PausePoint,
        answer: &Answer,
    ) -> Result<(), Halt> {
        let Some(call) = self.children.call_paused_at(point.execution_id()) else {
            return Ok(());
        };
        let Some(wanted) = self.wanted_child(call) else {
            return Ok(());
        };
        let below: Vec<String> = point.path().iter().skip(1).cloned().collect();
        let at = below
            .into_iter()
            .chain([point.name().to_owned()])
            .collect::<Vec<_>>()
            .join("/");
        let answer = Answer {
            meant: None,
            at: Some(at),
            value: answer.value.clone(),
        };
        let since = self
            .children
            .get(call)
            .map_or(Epoch(1), |child| child.since);
        self.claim_child(call, wanted, since, Intent::Answer(answer))
            .await
    }

    /// Leaves a child to itself whose call is gone, with the order that its policy says.
    pub(super) fn let_go_of_child(
        &self,
        call: EventSeq,
        child: Child,
        activation: &mut Activation,
    ) {
        let is_unborn = matches!(child.state, ChildState::Unborn);
        if is_unborn && !self.let_go_of_unborn(call, activation) {
            return;
        }
        let message = NewMessage::to_child(child.policy, self.sent_at());
        activation.outbox.push((child.id, message));
        // The child's driver runs on: it is the one that records what becomes of it.
        if let ChildState::Driven(guard) = child.state {
            guard.detach();
        }
    }

    /// Leaves the children that are driven here to themselves: their last words come into the inbox.
    pub(super) fn detach_children(&mut self) {
        self.children.detach_all();
    }

    /// Leaves all children to themselves that have not ended.
    pub(super) fn let_go_of_children(&mut self, activation: &mut Activation) {
        for (call, child) in self.children.take_all() {
            self.let_go_of_child(call, child, activation);
        }
    }

    /// The error of an answer that came too late.
    pub(super) fn not_paused_at(&self, name: &str) -> Error {
        let pending = self
            .pause_points()
            .iter()
            .map(PausePoint::full_name)
            .collect();
        Error::NotPausedAt {
            id: self.id.clone(),
            name: name.to_owned(),
            pending,
            status: self.row.status(),
            has_waited_there: None,
        }
    }
}

fn cancelled(workflow: &str, error: ErrorRecord) -> TaskFailure {
    failure_of(workflow, TaskErrorKind::Cancelled, 1, error)
}

fn failure_of(
    workflow: &str,
    kind: TaskErrorKind,
    attempts: u32,
    error: ErrorRecord,
) -> TaskFailure {
    TaskFailure {
        task: Arc::from(workflow),
        kind,
        attempts,
        error,
        undone: Vec::new(),
    }
}
