//! What a `#[workflow]` expands to: its definition. `Workflow`, the value users hold, is in `engine`.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::time::Duration;

use crate::context::RawContext;
use crate::payload::{Payload, PayloadError};
use crate::task::{BodyError, Reencode};

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
}

/// What a `#[workflow]` attribute says about attempts and time.
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
}

impl WorkflowOptions {
    /// What a bare `#[workflow]` says: nothing.
    pub const DEFAULT: Self = Self {
        timeout: None,
        deadline: None,
        max_attempts: None,
        restart: false,
    };
}

/// The running code of one execution.
pub type WorkflowFuture = Pin<Box<dyn Future<Output = Result<Payload, BodyError>> + Send>>;
