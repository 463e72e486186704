//! Bodies, from recorded arguments to a future.

use std::future::Future;

use serde::de::DeserializeOwned;

use crate::error::BodyError;
use crate::payload::Payload;
use crate::task::{BodyResult, StartError, Started, States};
use crate::workflow::WorkflowFuture;

/// Decodes recorded arguments: a JSON array, as which tuples are recorded (and `[(); 0]`, for a task without any).
pub fn decode_args<A: DeserializeOwned>(recorded: &Payload) -> Result<A, StartError> {
    recorded.decode().map_err(StartError::Arguments)
}

/// Starts a body on recorded arguments.
pub fn start_recorded<A: DeserializeOwned>(
    recorded: &Payload,
    states: &States,
    start: fn(A, &States) -> Result<Started, StartError>,
) -> Result<Started, StartError> {
    start(decode_args(recorded)?, states)
}

/// Makes an async body ready to run.
pub fn run_async<F>(body: F, finish: fn(F::Output) -> BodyResult) -> Started
where
    F: Future + Send + 'static,
{
    Started::Async(Box::pin(async move { finish(body.await) }))
}

/// Makes a blocking body ready to run.
pub fn run_blocking<F, R>(body: F, finish: fn(R) -> BodyResult) -> Started
where
    F: FnOnce() -> R + Send + 'static,
    R: 'static,
{
    Started::Blocking(Box::new(move || finish(body())))
}

/// Makes a workflow's body ready to run.
pub fn run_workflow<F>(
    body: F,
    finish: fn(F::Output) -> Result<Payload, BodyError>,
) -> WorkflowFuture
where
    F: Future + Send + 'static,
{
    Box::pin(async move { finish(body.await) })
}
