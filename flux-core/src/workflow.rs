//! What a `#[workflow]` expands to: its definition. `Workflow`, the value users hold, is in `engine`.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::RawContext;
use crate::error::{BodyError, FailureKind};
use crate::payload::{Payload, PayloadError};
use crate::task::Reencode;

/// A workflow as the macro describes it, one `static` per `#[workflow]`.
#[derive(Debug)]
pub struct WorkflowDef {
    /// Its name.
    pub name: &'static str,
    /// The module it is defined in.
    pub module: &'static str,
    /// Its version, recorded with every execution.
    pub version: u32,
    /// The recorded versions it can continue, its own among them.
    pub accepts: RangeInclusive<u32>,
    /// What else the attribute says.
    pub options: WorkflowOptions,
    /// Makes the future of one execution.
    pub run: fn(RawContext) -> Result<WorkflowFuture, PayloadError>,
    /// Decodes a recorded input as today's type and encodes it again.
    pub reencode: Reencode,
    /// Encodes the input of an execution that a schedule starts; `None` for a workflow without one.
    pub default_input: Option<fn() -> Result<Payload, PayloadError>>,
}

/// What a `#[workflow]` attribute says about attempts and time, and about when and where executions run.
#[derive(Debug, Clone, Copy)]
pub struct WorkflowOptions {
    /// The limit of active time.
    pub timeout: Option<Duration>,
    /// The limit of wall-clock time since the start.
    pub deadline: Option<Duration>,
    /// Total tries of the whole workflow, at least 1; `None`: the engine's default.
    pub max_attempts: Option<u32>,
    /// Whether a further attempt starts from nothing instead of keeping what succeeded.
    pub restart: bool,
    /// When it starts by itself, each checked by the macro to be a schedule.
    pub schedules: &'static [&'static str],
    /// The queue whose workers run it; `None`: the default one.
    pub queue: Option<&'static str>,
    /// How many executions run at once, at least 1; `None`: any number.
    pub concurrency: Option<u32>,
    /// What becomes of an execution beyond `concurrency`.
    pub on_conflict: OnConflict,
    /// The template of a key, of which one execution runs at a time: `{a.b}` is a field of the input, `{}` all of it,
    /// `{{` and `}}` are braces.
    pub lock: Option<&'static str>,
    /// What executions can be found by.
    pub tags: &'static [&'static str],
}

/// What becomes of an execution that a limit leaves no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It is not started, and its start is an error.
    #[default]
    Reject,
    /// It is recorded and waits for its turn.
    Queue,
    /// It is not started, which is no error.
    Skip,
    /// The execution that runs is terminated to make room.
    Terminate,
}

impl WorkflowOptions {
    /// What a bare `#[workflow]` says: nothing.
    pub const DEFAULT: Self = Self {
        timeout: None,
        deadline: None,
        max_attempts: None,
        restart: false,
        schedules: &[],
        queue: None,
        concurrency: None,
        on_conflict: OnConflict::Reject,
        lock: None,
        tags: &[],
    };
}

/// Why an execution's code is not let run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopReason {
    /// Somebody cancelled the execution.
    Cancelled,
    /// A limit of its workflow is reached.
    OutOfTime(FailureKind),
}

impl StopReason {
    /// The word shown to people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::OutOfTime(_) => "out of time",
        }
    }
}

/// The running code of one execution.
pub type WorkflowFuture = Pin<Box<dyn Future<Output = Result<Payload, BodyError>> + Send>>;
