//! What is logged of executions: one line for each change of where one stands, once that is committed. The page
//! `docs/observability.md` lists them; targets, fields and levels are kept.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Failure, FailureData, FailureKind};
use crate::execution::Obstacle;
use crate::id::{ExecutionId, WorkerId};
use crate::store::ExecutionRecord;

/// The target of these lines; that of attempts of tasks is `flux::task`.
const TARGET: &str = "flux::execution";

/// The execution that a line is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) id: &'a ExecutionId,
    pub(crate) workflow: &'a str,
    pub(crate) attempt: u32,
}

/// A change of where an execution stands.
#[derive(Debug)]
pub(crate) enum LogLine {
    /// Its code runs for the first time.
    Started { version: u32 },
    /// Its owner is gone, and this engine continues it.
    TakenOver { from: WorkerId },
    /// It continues from a pause, a hold or a failure.
    Resumed,
    /// It waits at these pause points.
    Paused { at: Vec<String> },
    /// An attempt of the workflow failed, and another follows.
    AttemptFailed(Box<FailureData>),
    /// It was kept from continuing.
    Held { reason: Arc<str> },
    /// It returned its output.
    Completed { took: Duration },
    /// It failed for good.
    Failed(Box<FailureData>),
    /// It was cancelled.
    Cancelled,
    /// It was terminated.
    Terminated { reason: String },
}

impl<'a> About<'a> {
    pub(crate) fn of(record: &'a ExecutionRecord) -> Self {
        Self {
            id: &record.id,
            workflow: &record.workflow,
            attempt: record.attempt,
        }
    }
}

impl LogLine {
    pub(crate) fn log(&self, about: About<'_>) {
        let About {
            id,
            workflow,
            attempt,
        } = about;
        match self {
            Self::Started { version } => {
                tracing::info!(target: TARGET, execution_id = %id, workflow, version, "execution started");
            }
            Self::TakenOver { from } => {
                tracing::info!(target: TARGET, execution_id = %id, workflow, from = from.0, "execution taken over");
            }
            Self::Resumed => {
                tracing::info!(target: TARGET, execution_id = %id, workflow, attempt, "execution resumed");
            }
            Self::Paused { at } => {
                let at = at.join(", ");
                tracing::info!(target: TARGET, execution_id = %id, workflow, at, "execution paused");
            }
            Self::AttemptFailed(failure) => {
                let (kind, error) = (kind(failure), error(failure));
                tracing::debug!(target: TARGET, execution_id = %id, workflow, attempt = failure.attempt, kind, error, "attempt of a workflow failed; another follows");
            }
            Self::Held { reason } => {
                tracing::warn!(target: TARGET, execution_id = %id, workflow, reason = &**reason, "execution put on hold");
            }
            Self::Completed { took } => {
                let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                tracing::info!(target: TARGET, execution_id = %id, workflow, attempt, took_ms, "execution finished");
            }
            Self::Failed(failure) => {
                let (kind, error) = (kind(failure), error(failure));
                let task = failure.escaped.first().map(|call| &*call.task);
                tracing::warn!(target: TARGET, execution_id = %id, workflow, attempt = failure.attempt, kind, task, error, "execution failed");
            }
            Self::Cancelled => {
                tracing::warn!(target: TARGET, execution_id = %id, workflow, "execution cancelled");
            }
            Self::Terminated { reason } => {
                tracing::warn!(target: TARGET, execution_id = %id, workflow, reason, "execution terminated");
            }
        }
    }
}

/// An execution was put on hold by its store, which knows no more of it than its id.
pub(crate) fn held(id: &ExecutionId, reason: &str) {
    tracing::warn!(target: TARGET, execution_id = %id, reason, "execution put on hold");
}

/// A process cannot continue an execution. Errors that are about a call, and not about the execution, are its caller's.
pub(crate) fn cannot_continue(id: &ExecutionId, workflow: &str, error: &Error) {
    match error {
        Error::TakenOver { .. } => {
            tracing::warn!(target: TARGET, execution_id = %id, workflow, "execution lost to another engine, which took it for dead");
        }
        error if Obstacle::is(error) => {
            tracing::error!(target: TARGET, execution_id = %id, workflow, %error, "execution cannot continue");
        }
        _ => {}
    }
}

fn error(failure: &FailureData) -> String {
    let failure = Failure::new(failure.clone());
    let message = std::iter::once(failure.message());
    let chain = message.chain(failure.chain().iter().map(String::as_str));
    chain.collect::<Vec<_>>().join(": ")
}

fn kind(failure: &FailureData) -> &'static str {
    match failure.kind {
        FailureKind::Error => "error",
        FailureKind::Panicked => "panicked",
        FailureKind::Timeout { .. } => "timeout",
        FailureKind::Deadline { .. } => "deadline",
    }
}
