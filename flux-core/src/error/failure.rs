//! `Failure`: why an execution failed, as data.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::record::{ErrorRecord, RecordedCause};
use super::task_error::TaskErrorKind;
use crate::id::EventSeq;

/// Why an execution failed: the payload of `WORKFLOW_FAILED`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FailureData {
    /// What sort of failure it was.
    pub kind: FailureKind,
    /// The attempt of the workflow that failed.
    pub attempt: u32,
    /// What the workflow returned.
    pub error: ErrorRecord,
    /// The delivery in which it failed.
    pub delivery: EventSeq,
    /// The calls whose error escaped: those a `resume` runs again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escaped: Vec<EscapedCall>,
    /// The delivery that stopped the code, where it did not end by itself; or the event after that with which it ended too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<EventSeq>,
    /// Whether what the execution had done was undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// The tasks that were undone, here and in children whose error escaped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<Arc<str>>,
    /// The tasks whose bodies another try runs again, although they may have done their work and are not to do it twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Arc<str>>,
}

/// One failed call whose error escaped to the end of its workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscapedCall {
    /// The number of the event that recorded the call.
    pub call: EventSeq,
    /// The number of the event that recorded its failure.
    pub failed: EventSeq,
    /// The task's name.
    pub task: Arc<str>,
    /// What sort of failure it was.
    pub kind: TaskErrorKind,
    /// How many attempts were made.
    pub attempts: u32,
}

/// What sort of failure ended an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// The workflow returned an error.
    Error,
    /// The workflow's own code panicked.
    Panicked,
    /// The workflow was active for longer than its `timeout`.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The execution was not done by its `deadline`.
    Deadline {
        /// The limit.
        limit: Duration,
    },
}

/// Why an execution failed.
#[derive(Clone)]
pub struct Failure {
    data: Arc<FailureData>,
    source: Option<Arc<RecordedCause>>,
}

impl Failure {
    /// Wraps what the history holds.
    pub(crate) fn new(data: FailureData) -> Self {
        let source = data.error.source();
        Self {
            data: Arc::new(data),
            source,
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> FailureKind {
        self.data.kind
    }

    /// Whether time ran out.
    pub fn has_timed_out(&self) -> bool {
        matches!(
            self.kind(),
            FailureKind::Timeout { .. } | FailureKind::Deadline { .. }
        )
    }

    /// The task whose error escaped, the first if there are several; `None` when the code decided to
    /// fail by itself.
    pub fn task(&self) -> Option<&str> {
        self.data.escaped.first().map(|call| &*call.task)
    }

    /// The calls whose error escaped, in the order they failed: a `resume` runs these again. When it is
    /// empty the workflow's own code decided to fail, and a `resume` with the same code fails the same way.
    pub fn escaped(&self) -> &[EscapedCall] {
        &self.data.escaped
    }

    /// The attempt of the workflow that failed.
    pub fn attempt(&self) -> u32 {
        self.data.attempt
    }

    /// Whether the rollbacks of the execution were begun. A `resume` then begins its code again: what was undone is done
    /// again under new idempotency keys, and a person is asked again at pause points that do not
    /// [keep](crate::Pause::keep_after_rollback) their answers.
    pub fn is_rolled_back(&self) -> bool {
        self.data.rolled_back
    }

    /// The tasks that were rolled back, in the order of their calls, and after them those of children whose error escaped: a
    /// `resume` runs them again, under new idempotency keys. A task whose rollback failed is not among them and keeps its
    /// result.
    pub fn undone(&self) -> impl Iterator<Item = &str> {
        self.data.undone.iter().map(|task| &**task)
    }

    /// Whether it is not known what a body did that is not to do it twice: an `at_most_once` task that was cut off, or a
    /// body that crashed its process again and again. The workflow's own attempts end there, and a `resume` runs that
    /// body again: look first what it did.
    pub fn has_unknown_outcome(&self) -> bool {
        !self.data.unknown.is_empty()
    }

    /// The tasks of which that is not known, and the workflows of children that have such a task.
    pub fn unknown_outcomes(&self) -> impl Iterator<Item = &str> {
        self.data.unknown.iter().map(|task| &**task)
    }

    /// The message of the returned error.
    pub fn message(&self) -> &str {
        &self.data.error.message
    }

    /// The messages of its sources, outermost first.
    pub fn chain(&self) -> &[String] {
        &self.data.error.chain
    }

    /// Returns the error of the workflow as an `E`, if it was recorded whole: see [`TaskError::downcast`].
    ///
    /// [`TaskError::downcast`]: crate::TaskError::downcast
    pub fn downcast<E: DeserializeOwned + 'static>(&self) -> Option<E> {
        self.data.error.downcast()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("kind", &self.kind())
            .field("task", &self.task())
            .field("attempt", &self.attempt())
            .field("message", &self.message())
            .field("chain", &self.chain())
            .finish()
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as _)
    }
}
