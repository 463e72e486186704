//! `Execution`: one run of a workflow, seen from outside.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use super::calls::CallInfo;
use super::obstacle::Obstacle;
use super::snapshot::Snapshot;
use super::tasks::{TaskInfo, tasks_of};
use super::waiting::{PausePoint, Waiting};
use crate::engine::Engine;
use crate::error::{Error, Failure, FailureKind};
use crate::event::Event;
use crate::id::{EventSeq, ExecutionId, WorkerId};
use crate::payload::Payload;
use crate::replay::outline::without_text;
use crate::status::Status;
use crate::store::Message;

/// One run of a workflow, as it was at one moment.
///
/// It is a snapshot: it does not change when the execution goes on. The history is read from the store on
/// demand, with [`events`](Self::events), [`calls`](Self::calls) and [`tasks`](Self::tasks).
///
/// `run(..).await?` is `Ok` also of a workflow that failed or is paused:
/// [`into_result`](Self::into_result) makes an error of both.
#[derive(Clone)]
#[must_use = "it may have failed or be paused, which is no error of `run`: look at it, or ask for `into_result()?`"]
pub struct Execution<O = serde_json::Value> {
    engine: Engine,
    snapshot: Snapshot,
    output: Option<O>,
    failure: Option<Failure>,
    pauses: Vec<PausePoint>,
    obstacle: Option<Obstacle>,
}

impl<O: DeserializeOwned> Execution<O> {
    /// Decodes a snapshot's output.
    pub(crate) fn new(engine: Engine, snapshot: Snapshot) -> Result<Self, Error> {
        let output = match &snapshot.output {
            Some(payload) => Some(decode_output(payload, &snapshot)?),
            None => None,
        };
        let failure = snapshot.failure.clone().map(Failure::new);
        let pauses = match snapshot.record.status {
            status if status.is_finished() => Vec::new(),
            _ => Waiting::read(snapshot.record.waiting.as_ref()).pauses,
        };
        let noted = Obstacle::read(snapshot.record.obstacle.as_ref());
        let obstacle = noted.or_else(|| snapshot.limit.clone());
        Ok(Self {
            engine,
            snapshot,
            output,
            failure,
            pauses,
            obstacle,
        })
    }
}

fn decode_output<O: DeserializeOwned>(payload: &Payload, snapshot: &Snapshot) -> Result<O, Error> {
    payload.decode().map_err(|error| Error::ReplayDecode {
        id: snapshot.record.id.clone(),
        event: snapshot.end.unwrap_or(EventSeq::FIRST),
        what: format!("output of workflow `{}`", snapshot.record.workflow),
        path: error.path,
        message: without_text(&error.message),
    })
}

impl<O> Execution<O> {
    /// Its id.
    pub fn execution_id(&self) -> &ExecutionId {
        &self.snapshot.record.id
    }

    /// Its workflow's name.
    pub fn workflow(&self) -> &str {
        &self.snapshot.record.workflow
    }

    /// The version of the workflow it was begun with.
    pub fn version(&self) -> u32 {
        self.snapshot.record.version
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        self.snapshot.record.status
    }

    /// Whether it waits for a `resume` and nothing else is at work.
    pub fn is_paused(&self) -> bool {
        self.status() == Status::Paused
    }

    /// The name of the pause point that waits, the first if there are several.
    pub fn pause_point(&self) -> Option<&str> {
        self.pauses.first().map(PausePoint::name)
    }

    /// The pause points that wait, its own and those of its children.
    pub fn pause_points(&self) -> &[PausePoint] {
        &self.pauses
    }

    /// Whether it has ended, in whatever way.
    pub fn has_finished(&self) -> bool {
        self.status().is_finished()
    }

    /// Whether it returned its output.
    pub fn has_succeeded(&self) -> bool {
        self.status() == Status::Completed
    }

    /// Whether it returned an error, panicked or ran out of time.
    pub fn has_failed(&self) -> bool {
        self.status() == Status::Failed
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.status() == Status::Cancelled
    }

    /// Whether it was terminated: ended without running its code.
    pub fn is_terminated(&self) -> bool {
        self.status() == Status::Terminated
    }

    /// Why it was terminated, if it was.
    pub fn termination_reason(&self) -> Option<&str> {
        self.snapshot.termination.as_deref()
    }

    /// What it returned, once it has succeeded.
    pub fn output(&self) -> Option<&O> {
        self.output.as_ref()
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What it returned, or why there is nothing: for those who like `?`.
    pub fn into_result(self) -> Result<O, NotCompleted> {
        if let Some(output) = self.output {
            return Ok(output);
        }
        let id = self.snapshot.record.id;
        Err(match self.failure {
            Some(failure) => NotCompleted::Failed { id, failure },
            None => NotCompleted::Unfinished {
                id,
                status: self.snapshot.record.status,
            },
        })
    }

    /// Which attempt of the workflow it is in, from 1.
    pub fn attempt(&self) -> u32 {
        self.snapshot.record.attempt
    }

    /// When it was created.
    pub fn created_at(&self) -> SystemTime {
        self.snapshot.record.created_at.into()
    }

    /// When its code first ran; `None` while it waits for its turn.
    pub fn started_at(&self) -> Option<SystemTime> {
        self.snapshot.record.started_at.map(Into::into)
    }

    /// The queue it was put into.
    pub fn queue(&self) -> Option<&str> {
        self.snapshot.record.placement.queue.as_deref()
    }

    /// Its priority among those that wait with it.
    pub fn priority(&self) -> i32 {
        self.snapshot.record.placement.priority
    }

    /// The words to find it by, as its workflow's `tags` say.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.snapshot.record.placement.tags.iter().map(|tag| &**tag)
    }

    /// The schedule that started it.
    pub fn schedule(&self) -> Option<&str> {
        self.snapshot.record.placement.schedule.as_deref()
    }

    /// The moment its schedule started it for.
    pub fn scheduled_at(&self) -> Option<SystemTime> {
        self.snapshot.record.placement.scheduled_at.map(Into::into)
    }

    /// When it is to start, while it is `Pending`, or to be woken, while it sleeps.
    pub fn ready_at(&self) -> Option<SystemTime> {
        self.snapshot.record.ready_at.map(Into::into)
    }

    /// Why it is kept from going on by itself until it is resumed: somebody
    /// [paused](Engine::pause) it, or its process died with it too often.
    pub fn held(&self) -> Option<&str> {
        self.snapshot.record.hold.as_deref()
    }

    /// Returns what last kept it from continuing: code that no longer matches its history, code or state that a process
    /// lacks, a store that failed, a limit. `None` once it has continued since, and for one that has finished.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }

    /// Who owns it: an engine that drives it, or that died with it. `None` where nobody does.
    pub fn worker(&self) -> Option<WorkerId> {
        self.snapshot.record.owner
    }

    /// Whether it cannot go on in this program, because its workflow, or this version of it, is not registered.
    pub fn needs_other_code(&self) -> bool {
        let registry = &self.engine.kernel().registry;
        !self.has_finished() && registry.for_execution(&self.snapshot.record, None).is_err()
    }

    /// When it ended.
    pub fn finished_at(&self) -> Option<SystemTime> {
        self.snapshot.record.finished_at.map(Into::into)
    }

    /// From its start to its end; for one that goes on, to now. Zero for one that has not started.
    pub fn duration(&self) -> Duration {
        let record = &self.snapshot.record;
        let end = record.finished_at.unwrap_or_else(|| self.engine.now());
        record
            .started_at
            .map_or(Duration::ZERO, |start| end.since(start))
    }

    /// The execution that called it.
    pub fn parent(&self) -> Option<&ExecutionId> {
        self.snapshot.record.parent.as_ref()
    }

    /// Returns when its next timer or retry is due. The workflow's deadline is no timer.
    pub fn wakes_at(&self) -> Option<SystemTime> {
        self.snapshot.record.wake_at.map(Into::into)
    }

    /// The names of the signals it waits for.
    pub fn awaited_signals(&self) -> Vec<String> {
        Waiting::read(self.snapshot.record.waiting.as_ref()).signals
    }

    /// What was sent to it and has not been delivered.
    pub(super) async fn inbox(&self) -> Result<Vec<Message>, Error> {
        let store = &self.engine.kernel().store;
        Ok(store.inbox(self.snapshot.record.key).await?)
    }

    /// Reads its history, all of it.
    pub async fn events(&self) -> Result<Vec<Event>, Error> {
        self.engine.history(self.execution_id()).await
    }

    /// Reads what became of each call that counts, in the order they were made: see [`CallInfo::of`].
    pub async fn calls(&self) -> Result<Vec<CallInfo>, Error> {
        let calls = CallInfo::of(&self.events().await?).into_iter();
        let (id, points) = (self.execution_id(), &self.pauses);
        Ok(calls.map(|call| call.wanted_at(id, points)).collect())
    }

    /// Reads what became of each task that counts, in the order they were called.
    pub async fn tasks(&self) -> Result<Vec<TaskInfo>, Error> {
        Ok(tasks_of(&self.events().await?))
    }

    /// Reads the value last published under `key`.
    pub async fn published<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.engine.published(self.execution_id(), key).await
    }
}

impl<O: fmt::Debug> fmt::Debug for Execution<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Execution");
        debug
            .field("execution_id", self.execution_id())
            .field("workflow", &self.workflow())
            .field("version", &self.version())
            .field("status", &self.status())
            .field("attempt", &self.attempt())
            .field("duration", &self.duration());
        if let Some(obstacle) = &self.obstacle {
            debug.field("obstacle", obstacle);
        }
        if !self.pauses.is_empty() {
            debug.field(
                "pause_points",
                &self
                    .pauses
                    .iter()
                    .map(PausePoint::full_name)
                    .collect::<Vec<_>>(),
            );
        }
        if let Some(output) = &self.output {
            debug.field("output", output);
        }
        if let Some(failure) = &self.failure {
            debug.field("failure", failure);
        }
        if let Some(reason) = self.termination_reason() {
            debug.field("termination_reason", &reason);
        }
        debug.finish_non_exhaustive()
    }
}

impl<O> Execution<O> {
    fn write_pending(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(queue) = self.queue() {
            write!(f, " in queue `{queue}`")?;
        }
        if let Some(moment) = self
            .snapshot
            .record
            .ready_at
            .filter(|ready| *ready > self.engine.now())
        {
            write!(f, ", not before {moment}")?;
        }
        if let Some(obstacle) = self.obstacle() {
            return write!(f, ", {obstacle}");
        }
        self.write_code(f)
    }

    fn write_code(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needs_other_code() {
            let (workflow, version) = (self.workflow(), self.version());
            write!(
                f,
                ", waits for a worker that has version {version} of `{workflow}`"
            )?;
        }
        Ok(())
    }

    fn write_waits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, signal) in self.awaited_signals().iter().enumerate() {
            let before = if i == 0 { ", waits for signal " } else { ", " };
            write!(f, "{before}`{signal}`")?;
        }
        if let Some(moment) = self.snapshot.record.wake_at {
            write!(f, ", next timer at {moment}")?;
        }
        self.write_code(f)
    }
}

/// One line: workflow, id, status, and what matters most about it.
impl<O> fmt::Display for Execution<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.workflow(),
            self.execution_id(),
            self.status()
        )?;
        let took = humantime::format_duration(Duration::from_millis(
            u64::try_from(self.duration().as_millis()).unwrap_or(u64::MAX),
        ));
        if let Some(reason) = self.held() {
            return write!(f, ", on hold: {reason}");
        }
        if let Some(obstacle) = self.obstacle().filter(|_| self.started_at().is_some()) {
            return write!(f, ", cannot continue: {obstacle}");
        }
        if self.status() == Status::Pending {
            return self.write_pending(f);
        }
        match (&self.failure, self.pauses.first()) {
            (Some(failure), _)
                if failure.escaped().is_empty() && failure.kind() == FailureKind::Error =>
            {
                write!(
                    f,
                    " after {took}: {failure} (the workflow itself decided to fail: there is no failed call that a resume could retry)"
                )
            }
            (Some(failure), _) => write!(f, " after {took}: {failure}"),
            (None, Some(_)) => {
                let names: Vec<_> = self
                    .pauses
                    .iter()
                    .map(|point| format!("`{}`", point.full_name()))
                    .collect();
                write!(f, " at {}", names.join(", "))
            }
            _ if self.has_finished() => {
                write!(f, " after {took}")?;
                match self.termination_reason() {
                    Some(reason) => write!(f, ": {reason}"),
                    None => Ok(()),
                }
            }
            _ => {
                write!(f, " for {took}")?;
                self.write_waits(f)
            }
        }
    }
}

/// Why an execution has no output: see [`Execution::into_result`].
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NotCompleted {
    /// It failed.
    #[error("execution `{id}` failed")]
    Failed {
        /// The execution.
        id: ExecutionId,
        /// Why.
        #[source]
        failure: Failure,
    },
    /// It has not ended, or was ended without an output.
    #[error("execution `{id}` has no output: it is {status}")]
    Unfinished {
        /// The execution.
        id: ExecutionId,
        /// Where it stands.
        status: Status,
    },
}

/// What `main` prints when it returns the error: its text and that of the failure behind it.
impl fmt::Debug for NotCompleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { failure, .. } => write!(f, "{self}: {failure}"),
            Self::Unfinished { .. } => write!(f, "{self}"),
        }
    }
}
