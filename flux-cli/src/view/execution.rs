//! An execution: a row of `list`, and its JSON everywhere.

use std::slice;
use std::time::{Duration, SystemTime};

use flux_core::{Engine, Error, EventSeq, Execution, Failure, FailureKind, Obstacle, Status};
use serde::Serialize;
use serde_json::Value;

use super::{iso, maybe_iso, millis};
use crate::ids::short;
use crate::output::{Cell, Column, Output, Row, printable, span, status_style};
use crate::story::{self, Owners};

/// One execution, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ExecutionView {
    id: String,
    workflow: String,
    version: u32,
    #[serde(serialize_with = "as_word")]
    status: Status,
    attempt: u32,
    parent: Option<String>,
    queue: Option<String>,
    priority: i32,
    tags: Vec<String>,
    schedule: Option<String>,
    #[serde(serialize_with = "maybe_iso")]
    scheduled_at: Option<SystemTime>,
    #[serde(serialize_with = "iso")]
    created_at: SystemTime,
    #[serde(serialize_with = "maybe_iso")]
    started_at: Option<SystemTime>,
    #[serde(serialize_with = "maybe_iso")]
    finished_at: Option<SystemTime>,
    /// From its start to its end, or to now.
    duration_ms: Option<u64>,
    /// When it is to start, or to be woken.
    #[serde(serialize_with = "maybe_iso")]
    ready_at: Option<SystemTime>,
    /// When its next timer or retry is due.
    #[serde(serialize_with = "maybe_iso")]
    wakes_at: Option<SystemTime>,
    waits_for: Waits,
    held: Option<String>,
    obstacle: Option<ObstacleView>,
    worker: Option<i64>,
    worker_is_alive: Option<bool>,
    output: Option<Value>,
    failure: Option<FailureView>,
    termination_reason: Option<String>,
    #[serde(skip)]
    short: String,
    #[serde(skip)]
    took: Option<Duration>,
    #[serde(skip)]
    note: String,
}

/// What it waits for.
#[derive(Clone, Debug, Serialize)]
struct Waits {
    pauses: Vec<PauseView>,
    signals: Vec<String>,
}

/// A pause point that waits.
#[derive(Clone, Debug, Serialize)]
struct PauseView {
    name: String,
    event: u32,
    execution: String,
    wants: Option<String>,
}

/// What last kept it from continuing.
#[derive(Clone, Debug, Serialize)]
struct ObstacleView {
    kind: &'static str,
    message: String,
    event: Option<u32>,
    #[serde(serialize_with = "iso")]
    at: SystemTime,
    worker: Option<i64>,
}

impl ObstacleView {
    fn of(obstacle: &Obstacle) -> Self {
        Self {
            kind: obstacle.kind().as_str(),
            message: obstacle.message().to_owned(),
            event: obstacle.event().map(EventSeq::get),
            at: obstacle.at(),
            worker: obstacle.worker().map(|worker| worker.0),
        }
    }
}

/// Why it failed.
#[derive(Clone, Debug, Serialize)]
struct FailureView {
    kind: &'static str,
    message: String,
    chain: Vec<String>,
    task: Option<String>,
    attempt: u32,
    /// The calls whose error escaped: those that `retry` tries again.
    escaped: Vec<EscapedView>,
    /// The tasks that were rolled back, here or in a child that failed, and that `retry` runs again under new keys.
    undone: Vec<String>,
    is_rolled_back: bool,
    /// The tasks that may have done their work, and that `retry` runs again.
    unknown_outcomes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct EscapedView {
    call: u32,
    task: String,
    attempts: u32,
}

impl ExecutionView {
    /// One execution, as it is now.
    pub(crate) async fn read(engine: &Engine, execution: &Execution) -> Result<Self, Error> {
        let owners = Owners::of(engine, slice::from_ref(execution)).await?;
        Ok(Self::of(execution, &owners))
    }

    /// Several, each with the line that says what matters about it.
    pub(crate) async fn read_all(
        engine: &Engine,
        executions: &[Execution],
        output: &Output,
    ) -> Result<Vec<Self>, Error> {
        let owners = Owners::of(engine, executions).await?;
        let view = |execution| Self {
            note: story::note(execution, &owners, output),
            ..Self::of(execution, &owners)
        };
        Ok(executions.iter().map(view).collect())
    }

    pub(crate) fn of(execution: &Execution, owners: &Owners) -> Self {
        let id = execution.execution_id();
        let took = execution.started_at().map(|_| execution.duration());
        Self {
            id: id.to_string(),
            workflow: execution.workflow().to_owned(),
            version: execution.version(),
            status: execution.status(),
            attempt: execution.attempt(),
            parent: execution.parent().map(ToString::to_string),
            queue: execution.queue().map(str::to_owned),
            priority: execution.priority(),
            tags: execution.tags().map(str::to_owned).collect(),
            schedule: execution.schedule().map(str::to_owned),
            scheduled_at: execution.scheduled_at(),
            created_at: execution.created_at(),
            started_at: execution.started_at(),
            finished_at: execution.finished_at(),
            duration_ms: took.map(millis),
            ready_at: execution.ready_at(),
            wakes_at: execution.wakes_at(),
            waits_for: Waits {
                pauses: execution.pause_points().iter().map(pause).collect(),
                signals: execution.awaited_signals(),
            },
            held: execution.held().map(str::to_owned),
            obstacle: execution.obstacle().map(ObstacleView::of),
            worker: execution.worker().map(|worker| worker.0),
            worker_is_alive: owners.is_alive(execution),
            output: execution.output().cloned(),
            failure: execution.failure().map(failure),
            termination_reason: execution.termination_reason().map(str::to_owned),
            short: short(id).to_owned(),
            took,
            note: String::new(),
        }
    }
}

fn pause(point: &flux_core::PausePoint) -> PauseView {
    PauseView {
        name: point.full_name(),
        event: point.event().get(),
        execution: point.execution_id().to_string(),
        wants: point.wants().map(str::to_owned),
    }
}

fn failure(failure: &Failure) -> FailureView {
    let kind = match failure.kind() {
        FailureKind::Panicked => "panicked",
        FailureKind::Timeout { .. } => "timeout",
        FailureKind::Deadline { .. } => "deadline",
        _ => "error",
    };
    FailureView {
        kind,
        message: failure.message().to_owned(),
        chain: failure.chain().to_vec(),
        task: failure.task().map(str::to_owned),
        attempt: failure.attempt(),
        escaped: failure
            .escaped()
            .iter()
            .map(|call| EscapedView {
                call: call.call.get(),
                task: call.task.to_string(),
                attempts: call.attempts,
            })
            .collect(),
        undone: failure.undone().map(str::to_owned).collect(),
        is_rolled_back: failure.is_rolled_back(),
        unknown_outcomes: failure.unknown_outcomes().map(str::to_owned).collect(),
    }
}

/// Why it failed, in a line: the task, its last attempt and the message first.
pub(crate) fn failure_text(failure: &Failure) -> String {
    let message = match failure.chain() {
        [] => failure.message().to_owned(),
        chain => format!("{}: {}", failure.message(), chain.join(": ")),
    };
    let message = printable(&message);
    match failure.escaped().first() {
        Some(call) => {
            let (task, attempts) = (&call.task, call.attempts);
            format!(
                "`{task}` failed on attempt {attempts}: {}",
                without_task(&message, task)
            )
        }
        None if failure.kind() == FailureKind::Panicked => {
            format!("the workflow's own code panicked: {message}")
        }
        None => message.into_owned(),
    }
}

/// A task's error that the workflow passed on names the task itself.
fn without_task<'a>(message: &'a str, task: &str) -> &'a str {
    let is_its = message.starts_with(&format!("task `{task}` "));
    match message.split_once(": ") {
        Some((_, rest)) if is_its => rest,
        _ => message,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_word<S: serde::Serializer>(status: &Status, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(status.as_str())
}

impl Row for ExecutionView {
    const COLUMNS: &'static [Column] = &[
        Column::new("ID"),
        Column::new("WORKFLOW"),
        Column::new("STATUS"),
        Column::new("CREATED"),
        Column::new("TOOK").number(),
        Column::new("FULL ID").wide(),
        Column::new("VERSION").wide().number(),
        Column::new("ATTEMPT").wide().number(),
        Column::new("QUEUE").wide(),
        Column::new("PRIORITY").wide().number(),
        Column::new("SCHEDULE").wide(),
        Column::new("TAGS").wide(),
        Column::new("NOTE").wraps(),
    ];

    fn id(&self) -> String {
        self.id.clone()
    }

    fn cells(&self, output: &Output) -> Vec<Cell> {
        vec![
            Cell::from(self.short.as_str()),
            Cell::from(self.workflow.as_str()),
            Cell::styled(self.status.as_str(), status_style(self.status)),
            Cell::from(output.moment(self.created_at)),
            Cell::from(self.took.map(span).unwrap_or_default()),
            Cell::from(self.id.as_str()),
            Cell::from(self.version.to_string()),
            Cell::from(self.attempt.to_string()),
            Cell::from(self.queue.as_deref().unwrap_or_default()),
            Cell::from(self.priority.to_string()),
            Cell::from(self.schedule.as_deref().unwrap_or_default()),
            Cell::from(self.tags.join(",")),
            Cell::from(self.note.as_str()),
        ]
    }
}
