//! `TaskError`: what awaiting a call gives when it failed.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::escape::Token;
use super::record::{ErrorRecord, RecordedCause};
use crate::id::EventSeq;

/// Why a task, child or step did not give its result.
///
/// It tells the call's name, its attempts, the kind of failure, the message and the source chain of the
/// last error, and after a replay it tells the same. Clones share what they stand for.
#[derive(Clone)]
pub struct TaskError {
    inner: Arc<TaskErrorData>,
    pub(super) source: Option<Arc<RecordedCause>>,
    /// Tells the engine when the last clone is gone: see `escape`.
    _token: Option<Token>,
}

struct TaskErrorData {
    call: Option<EventSeq>,
    data: TaskFailure,
}

/// What a history keeps of a failed call: the payload of `TASK_FAILED` and `CHILD_FAILED`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskFailure {
    /// The name of the task, child or step.
    pub task: Arc<str>,
    /// What sort of failure it was.
    pub kind: TaskErrorKind,
    /// How many attempts were made.
    pub attempts: u32,
    /// The last error.
    pub error: ErrorRecord,
    /// Of a child: the tasks that were rolled back in it, and that run again if it is tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<Arc<str>>,
}

/// What sort of failure a [`TaskError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TaskErrorKind {
    /// The body returned an error, or could not be given its arguments.
    Failed,
    /// An attempt took longer than `timeout`, or all of them than `deadline`.
    TimedOut,
    /// The body panicked.
    Panicked,
    /// The call was cancelled by somebody else.
    Cancelled,
    /// It is not known what the body did: an `at_most_once` task whose process died, whose time was up or that panicked;
    /// a body that crashed its process too often; a child that failed by one of these. The workflow's own attempts do
    /// not run it again; only a `resume` that a person asks for does.
    OutcomeUnknown,
}

impl TaskErrorKind {
    const fn verb(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Panicked => "panicked",
            Self::Cancelled => "was cancelled",
            Self::OutcomeUnknown => "has an unknown outcome",
        }
    }
}

impl fmt::Display for TaskErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

impl TaskError {
    /// An error that belongs to no recorded call.
    pub fn unrecorded(data: TaskFailure) -> Self {
        Self::build(None, data, None)
    }

    pub(crate) fn recorded(call: EventSeq, data: TaskFailure, token: Token) -> Self {
        Self::build(Some(call), data, Some(token))
    }

    fn build(call: Option<EventSeq>, data: TaskFailure, token: Option<Token>) -> Self {
        let source = data.error.source();
        Self {
            inner: Arc::new(TaskErrorData { call, data }),
            source,
            _token: token,
        }
    }

    /// The call's name.
    pub fn task(&self) -> &str {
        &self.inner.data.task
    }

    /// The number of the event that recorded the call; `None` outside a workflow.
    pub fn call(&self) -> Option<EventSeq> {
        self.inner.call
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> u32 {
        self.inner.data.attempts
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> TaskErrorKind {
        self.inner.data.kind
    }

    /// The message of the last error.
    pub fn message(&self) -> &str {
        &self.inner.data.error.message
    }

    /// The messages of the last error's sources, outermost first.
    pub fn chain(&self) -> &[String] {
        &self.inner.data.error.chain
    }

    /// Returns the body's own error as an `E`, if it was recorded whole (its type is `Serialize`) and its JSON is that of an
    /// `E`.
    ///
    /// The type's name in Rust does not count, so that a type can be moved or renamed while executions are under way. Two
    /// types with the same JSON are told apart by names that `#[task(error = "payments.declined")]` gives them: an error
    /// that was recorded under a name is returned only as a type of that name.
    ///
    /// Through `anyhow` and `Box<dyn Error>` message and chain survive, the value does not.
    ///
    /// # Examples
    ///
    /// ```
    /// #[derive(Debug, PartialEq, thiserror::Error, serde::Serialize, serde::Deserialize)]
    /// enum PaymentError {
    ///     #[error("declined, code {0}")]
    ///     Declined(u32),
    /// }
    ///
    /// #[flux::task(error = "payments.error")]
    /// async fn charge(_cents: u32) -> Result<u32, PaymentError> {
    ///     Err(PaymentError::Declined(51))
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    ///
    /// let error = charge(450).await.unwrap_err();
    /// assert_eq!(error.downcast(), Some(PaymentError::Declined(51)));
    /// # }
    /// ```
    pub fn downcast<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        self.inner.data.error.downcast()
    }

    /// The data behind it.
    pub fn data(&self) -> &TaskFailure {
        &self.inner.data
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskFailure {
            task,
            kind,
            attempts,
            error,
            ..
        } = &self.inner.data;
        write!(f, "task `{task}` {kind}")?;
        if *attempts > 1 {
            write!(f, " after {attempts} attempts")?;
        }
        write!(f, ": {}", error.message)
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskError")
            .field("task", &self.task())
            .field("kind", &self.kind())
            .field("attempts", &self.attempts())
            .field("message", &self.message())
            .field("chain", &self.chain())
            .finish_non_exhaustive()
    }
}

impl Serialize for TaskError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.data.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TaskError {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TaskFailure::deserialize(deserializer).map(Self::unrecorded)
    }
}
