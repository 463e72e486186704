//! `Obstacle`: what last kept an execution from going on.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{EventSeq, WorkerId};
use crate::payload::Payload;
use crate::store::Barrier;

/// What last kept an execution from continuing, as the process wrote it down that met it.
///
/// It is not part of the history: it is kept beside the row until the execution continues, or meets another obstacle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obstacle {
    kind: ObstacleKind,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<EventSeq>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<i64>,
}

/// What sort an [`Obstacle`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ObstacleKind {
    /// The code no longer matches the history.
    Divergence,
    /// No worker has code for its workflow.
    MissingCode,
    /// The code continues other versions of its workflow than its own.
    OtherVersion,
    /// A task needs state that the engine does not have.
    MissingState,
    /// A recorded value is no longer of the type that the code has.
    Decode,
    /// The store could not do its work.
    Store,
    /// A limit is reached: of its queue, of what may run beside it, of the length of its history.
    Limit,
    /// A child waits for a place that executions hold which wait for it, or for others like it.
    Standoff,
}

/// The longest message that is kept.
const LONGEST: usize = 1000;

impl Obstacle {
    /// What an error means for the execution that a process could not drive because of it; nothing where the error is
    /// about the call and not about the execution.
    pub(crate) fn of(error: &Error, worker: Option<WorkerId>, at: Timestamp) -> Option<Self> {
        let kind = ObstacleKind::of(error)?;
        let event = match error {
            Error::NonDeterminism(error) => Some(error.event),
            Error::ReplayDecode { event, .. } => Some(*event),
            _ => None,
        };
        let mut message = error.to_string();
        if message.len() > LONGEST {
            message.truncate(message.floor_char_boundary(LONGEST));
            message.push('…');
        }
        Some(Self {
            kind,
            message,
            event,
            at,
            worker: worker.map(|worker| worker.0),
        })
    }

    /// Whether an error is about an execution, which it keeps from continuing.
    pub(crate) fn is(error: &Error) -> bool {
        ObstacleKind::of(error).is_some()
    }

    /// No worker that lives has code for a workflow.
    pub(crate) fn missing_code(workflow: &str, worker: Option<WorkerId>, at: Timestamp) -> Self {
        Self {
            kind: ObstacleKind::MissingCode,
            message: format!(
                "no worker that runs has code for workflow `{workflow}`: start one in the program that has it"
            ),
            event: None,
            at,
            worker: worker.map(|worker| worker.0),
        }
    }

    /// A pending child waits for those that wait for it.
    pub(crate) fn standoff(message: String, at: Timestamp) -> Self {
        Self {
            kind: ObstacleKind::Standoff,
            message,
            event: None,
            at,
            worker: None,
        }
    }

    /// A limit that keeps a pending execution from starting since it was due.
    pub(crate) fn limit(barrier: &Barrier, since: Timestamp) -> Self {
        Self {
            kind: ObstacleKind::Limit,
            message: barrier.to_string(),
            event: None,
            at: since,
            worker: None,
        }
    }

    pub(crate) fn read(payload: Option<&Payload>) -> Option<Self> {
        payload?.decode().ok()
    }

    pub(crate) fn to_payload(&self) -> Option<Payload> {
        Payload::encode(self).ok()
    }

    /// What sort it is.
    pub fn kind(&self) -> ObstacleKind {
        self.kind
    }

    /// What happened, and the cure where there is one: the text of the error.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The event at which it was met; `None` where it is not about one.
    pub fn event(&self) -> Option<EventSeq> {
        self.event
    }

    /// When it was last met; of a limit, since when the execution waits for it.
    pub fn at(&self) -> SystemTime {
        self.at.into()
    }

    /// The engine that met it, as [`Engine::workers`](crate::Engine::workers) lists it; `None` for a limit.
    pub fn worker(&self) -> Option<WorkerId> {
        self.worker.map(WorkerId)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ObstacleKind {
    fn of(error: &Error) -> Option<Self> {
        Some(match error {
            Error::NonDeterminism(_) => Self::Divergence,
            Error::WorkflowNotFound { .. } => Self::MissingCode,
            Error::VersionMismatch { .. } | Error::FormatTooNew { .. } => Self::OtherVersion,
            Error::MissingState { .. } => Self::MissingState,
            Error::ReplayDecode { .. } => Self::Decode,
            Error::Store(_) => Self::Store,
            Error::HistoryTooLong { .. } => Self::Limit,
            _ => return None,
        })
    }

    /// The word for it, as in JSON: `missing_code`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Divergence => "divergence",
            Self::MissingCode => "missing_code",
            Self::OtherVersion => "other_version",
            Self::MissingState => "missing_state",
            Self::Decode => "decode",
            Self::Store => "store",
            Self::Limit => "limit",
            Self::Standoff => "standoff",
        }
    }
}

impl fmt::Display for ObstacleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
