//! Children: executions that this one called.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::activation::{Activation, NewOutcome};
use super::{Answer, Begin, ChildReport, Driver, Halt, Input, Intent};
use crate::clock::Timestamp;
use crate::context::ChildPolicy;
use crate::context::request::Request;
use crate::engine::active::{DriverGuard, OnSettled};
use crate::engine::begin::{QueuedInput, queued_start};
use crate::engine::place::{Wishes, place};
use crate::error::{Error, ErrorRecord, FailureData, FailureKind, TaskErrorKind, TaskFailure};
use crate::event::{EndedMeta, EventKind};
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::store::{
    ClaimError, Commit, CommitError, ExecutionRecord, Message, MessageId, MessageKind, NewMessage,
    Placement, Target,
};
use crate::workflow::WorkflowDef;

/// A child that has not ended, or whose end has not been delivered.
#[derive(Debug)]
pub(super) struct Child {
    id: ExecutionId,
    workflow: &'static str,
    policy: ChildPolicy,
    state: ChildState,
}

#[derive(Debug)]
enum ChildState {
    /// It is driven, by this process unless there is no guard.
    Running(Option<DriverGuard>),
    /// It waits for a `resume`.
    Paused(Vec<PausePoint>),
    /// It sleeps, and a worker wakes it: its last word will come into the inbox.
    Asleep,
    /// It has ended, and its outcome is about to be delivered.
    Ended,
}

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

/// What a child tells its parent when it has finished.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChildOutcome {
    Completed(Payload),
    Failed(FailureData),
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

impl Child {
    /// Whether this process drives it for its parent, or its end is about to be delivered.
    pub(super) fn is_driven_here(&self) -> bool {
        matches!(self.state, ChildState::Running(Some(_)) | ChildState::Ended)
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(self.state, ChildState::Paused(_))
    }

    pub(super) fn pause_points(&self) -> Vec<PausePoint> {
        match &self.state {
            ChildState::Paused(points) => points.clone(),
            ChildState::Running(_) | ChildState::Asleep | ChildState::Ended => Vec::new(),
        }
    }
}

/// What a recorded child call asks for.
struct Wanted {
    def: &'static WorkflowDef,
    id: ExecutionId,
    input: Payload,
    policy: ChildPolicy,
}

impl Wanted {
    fn child(&self, state: ChildState) -> Child {
        Child {
            id: self.id.clone(),
            workflow: self.def.name,
            policy: self.policy,
            state,
        }
    }
}

impl Driver {
    fn wanted_child(&self, call: EventSeq) -> Option<Wanted> {
        let mut state = self.machine.shared.state();
        match &state.call_by_seq(call)?.request {
            Some(Request::Child {
                def,
                id,
                input,
                policy,
            }) => Some(Wanted {
                def,
                id: id.clone().unwrap_or_else(|| self.id.child(call)),
                input: input.clone(),
                policy: *policy,
            }),
            _ => None,
        }
    }

    /// Starts a child, or goes on with one that an earlier process started.
    pub(super) async fn start_child(&mut self, call: EventSeq) -> Result<(), Halt> {
        let Some(wanted) = self.wanted_child(call) else {
            return Ok(());
        };
        // A driver that an earlier run of this execution has just let go of is on its way out.
        self.engine.see_off(&wanted.id).await;
        match self.engine.store.execution(&wanted.id).await? {
            None => self.begin_child(call, wanted).await,
            Some(record) if record.parent.as_ref() == Some(&self.id) => {
                self.take_up(call, wanted, record).await
            }
            Some(_) => {
                let message = format!(
                    "the id `{}` is taken by an execution that this one did not start",
                    wanted.id
                );
                self.child_failed(
                    call,
                    wanted.def.name,
                    TaskErrorKind::Failed,
                    0,
                    ErrorRecord::message(message),
                    None,
                );
                Ok(())
            }
        }
    }

    async fn begin_child(&mut self, call: EventSeq, wanted: Wanted) -> Result<(), Halt> {
        let engine = Arc::clone(&self.engine);
        let placed = place(&engine, wanted.def, &wanted.input, Wishes::default()).await;
        let placement = match placed {
            Ok(placement) => placement,
            Err(Error::Store(error)) => return Err(error.into()),
            Err(error) => {
                self.child_refused(call, &wanted, error.to_string());
                return Ok(());
            }
        };
        if placement.queue.is_some() || placement.gate.is_some() {
            return self.queue_child(call, wanted, placement).await;
        }
        let begin = Begin::New {
            input: wanted.input.clone(),
            parent: Some((self.id.clone(), wanted.policy)),
            placement,
        };
        self.drive_child(call, &wanted, begin, false).await
    }

    /// A child that has to wait for its turn, as any other execution of its workflow.
    async fn queue_child(
        &mut self,
        call: EventSeq,
        wanted: Wanted,
        placement: Placement,
    ) -> Result<(), Halt> {
        let parent = Some((self.id.clone(), wanted.policy));
        let has_worker = self.engine.has_worker_for(placement.queue.as_ref());
        let (new, event) = queued_start(
            wanted.def,
            wanted.id.clone(),
            QueuedInput {
                value: wanted.input.clone(),
                is_unchecked: false,
            },
            placement,
            parent,
            self.now(),
        );
        let commit = Commit {
            target: Target::New(Box::new(new)),
            events: vec![event],
            change: None,
            consumed: Vec::new(),
            children: Vec::new(),
            published: Vec::new(),
            outbox: Vec::new(),
            transaction: None,
        };
        match self.engine.commit(commit).await {
            // Also where an earlier run of this execution has put it there.
            Ok(_) | Err(CommitError::Exists) => {
                if !has_worker {
                    Arc::clone(&self.engine).begin_in_turn(wanted.id.clone());
                }
                self.watch_child(call, &wanted);
                Ok(())
            }
            Err(CommitError::Full(other) | CommitError::Duplicate(other)) => {
                let message = format!(
                    "execution `{}` runs, and no more may run beside it",
                    other.holder
                );
                self.child_refused(call, &wanted, message);
                Ok(())
            }
            Err(CommitError::Failed(error) | CommitError::Unknown(error)) => Err(error.into()),
            Err(CommitError::Fenced) => Err(Error::TakenOver { id: wanted.id }.into()),
        }
    }

    fn child_refused(&mut self, call: EventSeq, wanted: &Wanted, message: String) {
        let error = ErrorRecord::message(message);
        self.child_failed(call, wanted.def.name, TaskErrorKind::Failed, 0, error, None);
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
                let child = wanted.child(ChildState::Paused(points));
                self.children.insert(call, child);
                return Ok(());
            }
            Status::Failed if is_retried || self.has_failed(call) => Intent::Retry,
            Status::Cancelled if self.rewind.is_some() => Intent::Reopen,
            // It has its turn when it has it.
            Status::Pending => {
                if !self.engine.has_worker_of(&record) {
                    Arc::clone(&self.engine).begin_in_turn(wanted.id.clone());
                }
                self.watch_child(call, &wanted);
                return Ok(());
            }
            // A worker wakes it.
            Status::Running if record.owner.is_none() && self.engine.has_worker_of(&record) => {
                let child = wanted.child(ChildState::Asleep);
                self.children.insert(call, child);
                self.has_stale_inbox = true;
                return Ok(());
            }
            Status::Terminated if self.was_ended_by_parent(&record).await? => Intent::Reopen,
            status if status.is_finished() => {
                let snapshot = self.engine.snapshot(record).await?;
                self.ended_children.push((call, Box::new(snapshot)));
                self.watch_child(call, &wanted);
                return Ok(());
            }
            _ => Intent::Recover,
        };
        self.claim_child(call, wanted, intent).await
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

    async fn claim_child(
        &mut self,
        call: EventSeq,
        wanted: Wanted,
        intent: Intent,
    ) -> Result<(), Halt> {
        let engine = Arc::clone(&self.engine);
        let Some(claiming) = engine.begin_claim(&wanted.id) else {
            self.watch_child(call, &wanted);
            return Ok(());
        };
        match engine.acquire(claiming).await {
            Ok(claimed) => {
                let begin = Begin::claimed(claimed, intent);
                self.drive_child(call, &wanted, begin, true).await
            }
            Err(ClaimError::Held { .. }) => {
                self.watch_child(call, &wanted);
                Ok(())
            }
            Err(ClaimError::NotFound) => Ok(()),
            Err(ClaimError::Failed(error)) => Err(error.into()),
        }
    }

    /// Somebody else drives the child: its last word will come into the inbox.
    fn watch_child(&mut self, call: EventSeq, wanted: &Wanted) {
        let child = wanted.child(ChildState::Running(None));
        self.children.insert(call, child);
        self.has_stale_inbox = true;
    }

    /// Drives a child beside this execution. With `wait`, its replay has succeeded when this returns.
    async fn drive_child(
        &mut self,
        call: EventSeq,
        wanted: &Wanted,
        begin: Begin,
        wait: bool,
    ) -> Result<(), Halt> {
        let sender = self.sender.clone();
        let name = wanted.def.name;
        let on_settled: OnSettled = Box::new(move |settled| {
            let report = match settled {
                Ok(snapshot) if snapshot.record.status == Status::Paused => {
                    let points = Waiting::read(snapshot.record.waiting.as_ref()).pauses;
                    ChildReport::Paused(
                        points
                            .iter()
                            .map(|point| point.seen_from_parent(name))
                            .collect(),
                    )
                }
                Ok(snapshot) if !snapshot.record.status.is_finished() => ChildReport::Asleep,
                Ok(snapshot) => ChildReport::Ended(Box::new(snapshot.clone())),
                Err(error) => ChildReport::Lost(error.clone()),
            };
            let _ = sender.send(Input::Child { call, report });
        });
        let driving =
            match self
                .engine
                .drive(wanted.def, wanted.id.clone(), begin, Some(on_settled))
            {
                Ok(driving) => driving,
                Err(Error::AlreadyRunning { .. }) => {
                    self.watch_child(call, wanted);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
        if wait {
            let started = driving.started().await.map_err(Halt::Error)?;
            debug_assert!(started.is_ok(), "one that exists is not refused");
        } else {
            self.starting.push(driving.begun());
        }
        let guard = driving.into_guard();
        guard.is_childs();
        let child = wanted.child(ChildState::Running(Some(guard)));
        self.children.insert(call, child);
        Ok(())
    }

    /// Waits until the children that were just set to work are in the store, so that they can be sent something.
    /// Their starts share a commit.
    pub(super) async fn await_starts(&mut self) {
        let starting = std::mem::take(&mut self.starting);
        futures::future::join_all(starting).await;
    }

    pub(super) fn child_sleeps(&mut self, call: EventSeq) {
        if let Some(child) = self.children.get_mut(&call)
            && matches!(child.state, ChildState::Running(_))
        {
            child.state = ChildState::Asleep;
        }
    }

    pub(super) fn child_paused(&mut self, call: EventSeq, points: &[PausePoint]) {
        if let Some(child) = self.children.get_mut(&call)
            && !matches!(child.state, ChildState::Ended)
        {
            child.state = ChildState::Paused(points.to_vec());
        }
    }

    /// A parent that is not driven beside this execution sees its pause by a message.
    pub(super) fn tell_of_pause(&self, activation: &mut Activation) {
        let Some(parent) = &self.parent else { return };
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
        let Ok(payload) = Payload::encode(&seen.collect::<Vec<_>>()) else {
            return;
        };
        let message = NewMessage {
            kind: MessageKind::ChildPaused,
            name: self.id.as_str().into(),
            payload,
            dedup: None,
            at: self.now(),
        };
        activation.outbox.push((parent.clone(), message));
    }

    /// A child that somebody else drives waits for a `resume`.
    pub(super) fn hear_of_pause(&mut self, message: &Message) {
        self.stale_messages.push(message.id);
        let call = self
            .children
            .iter()
            .find(|(_, child)| child.id == *message.name);
        let Some(call) = call.map(|(call, _)| *call) else {
            return;
        };
        if let Ok(points) = message.payload.decode::<Vec<PausePoint>>() {
            self.child_paused(call, &points);
        }
    }

    /// A child's last word.
    pub(super) fn child_ended(&mut self, message: &Message) {
        let found = self.children.iter().find(|(_, child)| {
            child.id == *message.name && !matches!(child.state, ChildState::Ended)
        });
        let Some(call) = found.map(|(call, _)| *call) else {
            self.stale_messages.push(message.id);
            return;
        };
        match message.payload.decode::<ChildOutcome>() {
            Ok(outcome) => self.take_child_outcome(call, outcome, Some(message.id)),
            Err(error) => {
                tracing::error!(execution_id = %self.id, child = %message.name, %error, "a child's last word cannot be read");
            }
        }
    }

    /// Children that ended without a last word: a resume that came out as before writes nothing.
    pub(super) fn hear_ended_children(&mut self) {
        for (call, snapshot) in std::mem::take(&mut self.ended_children) {
            let is_open = self.children.get(&call).is_some_and(|child| {
                matches!(child.state, ChildState::Running(_) | ChildState::Asleep)
            });
            if !is_open {
                continue;
            }
            let outcome = match (snapshot.record.status, snapshot.output, snapshot.failure) {
                (Status::Completed, Some(output), _) => ChildOutcome::Completed(output),
                (Status::Failed, _, Some(failure)) => ChildOutcome::Failed(failure),
                (Status::Terminated, ..) => ChildOutcome::Terminated {
                    reason: snapshot.termination.unwrap_or_default(),
                },
                _ => ChildOutcome::Cancelled,
            };
            self.take_child_outcome(call, outcome, None);
        }
    }

    fn take_child_outcome(
        &mut self,
        call: EventSeq,
        outcome: ChildOutcome,
        consumed: Option<MessageId>,
    ) {
        let Some(child) = self.children.get_mut(&call) else {
            return;
        };
        let workflow = child.workflow;
        child.state = ChildState::Ended;
        match outcome {
            ChildOutcome::Completed(output) => {
                let mut outcome = NewOutcome::new(EventKind::ChildCompleted, call);
                outcome.payload = Some(output);
                outcome.consumed = consumed;
                self.outcome(outcome);
            }
            ChildOutcome::Failed(failure) => {
                let kind = match failure.kind {
                    _ if failure.unknown => TaskErrorKind::OutcomeUnknown,
                    FailureKind::Error => TaskErrorKind::Failed,
                    FailureKind::Panicked => TaskErrorKind::Panicked,
                    FailureKind::Timeout { .. } | FailureKind::Deadline { .. } => {
                        TaskErrorKind::TimedOut
                    }
                };
                self.child_failed(
                    call,
                    workflow,
                    kind,
                    failure.attempt,
                    failure.error,
                    consumed,
                );
            }
            ChildOutcome::Cancelled => {
                let error = ErrorRecord::message("the child execution was cancelled");
                self.child_failed(call, workflow, TaskErrorKind::Cancelled, 1, error, consumed);
            }
            ChildOutcome::Terminated { reason } => {
                let message = format!("the child execution was terminated: {reason}");
                let error = ErrorRecord::message(message);
                self.child_failed(call, workflow, TaskErrorKind::Cancelled, 1, error, consumed);
            }
            // The call still waits, so this execution has failed and been resumed since it ended the child.
            ChildOutcome::CancelledByParent | ChildOutcome::TerminatedByParent => {
                self.stale_messages.extend(consumed);
                self.children.remove(&call);
                self.reopened.push(call);
            }
        }
    }

    /// Opens children again that were cancelled for a failure that has been taken back.
    pub(super) async fn reopen_children(&mut self) -> Result<(), Halt> {
        for call in std::mem::take(&mut self.reopened) {
            self.start_child(call).await?;
        }
        Ok(())
    }

    fn child_failed(
        &mut self,
        call: EventSeq,
        workflow: &'static str,
        kind: TaskErrorKind,
        attempts: u32,
        error: ErrorRecord,
        consumed: Option<MessageId>,
    ) {
        let failure = TaskFailure {
            task: Arc::from(workflow),
            kind,
            attempts,
            error,
        };
        let mut outcome = NewOutcome::new(EventKind::ChildFailed, call);
        outcome.payload = Payload::encode(&failure).ok();
        outcome.consumed = consumed;
        self.outcome(outcome);
    }

    /// Passes a resume's answer on to the child whose pause point it is meant for.
    pub(super) async fn answer_child(
        &mut self,
        point: &PausePoint,
        answer: &Answer,
    ) -> Result<(), Halt> {
        let waits = |child: &Child| {
            child
                .pause_points()
                .iter()
                .any(|own| own.execution_id() == point.execution_id())
        };
        let Some(call) = self
            .children
            .iter()
            .find(|(_, child)| waits(child))
            .map(|(call, _)| *call)
        else {
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
        self.claim_child(call, wanted, Intent::Answer(answer)).await
    }

    /// Lets go of a child whose call was dropped.
    pub(super) fn let_go_of_child(&self, child: Child, activation: &mut Activation) {
        let message = NewMessage::to_child(child.policy, self.now());
        activation.outbox.push((child.id, message));
        // The child's driver is let run on: it is the one that records what becomes of it.
        if let ChildState::Running(Some(guard)) = child.state {
            guard.detach();
        }
    }

    /// Leaves the children that are driven here to themselves: their last words come into the inbox.
    pub(super) fn detach_children(&mut self) {
        for child in self.children.values_mut() {
            if let ChildState::Running(guard) = &mut child.state
                && let Some(guard) = guard.take()
            {
                guard.detach();
            }
        }
    }

    /// Lets go of all children that have not ended.
    pub(super) fn let_go_of_children(&mut self, activation: &mut Activation) {
        for (_, child) in std::mem::take(&mut self.children) {
            self.let_go_of_child(child, activation);
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
            status: self.status(),
            has_waited_there: None,
        }
    }
}
