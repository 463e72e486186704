//! Arguments, outputs and inputs: recorded if they can be, and otherwise merely compiled.
//!
//! Each trait is implemented for every type twice: for `true` as one would think, for `false` so that the expansion
//! compiles and the assertion's error stays the only one. What belongs to `false` is never run.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::context::{ExecutionContext, RawContext};
use crate::error::BodyError;
use crate::payload::{Payload, PayloadError};
use crate::task::{BodyResult, success};
use crate::workflow::WorkflowFuture;

const NEVER: &str = "a program with this mistake does not compile";

/// An argument of a task.
pub trait Argument<const RECORDABLE: bool>: Sized {
    /// What is recorded of it.
    type Recorded: Serialize + DeserializeOwned + Send + 'static;

    /// What is recorded of it.
    fn record(self) -> Self::Recorded;

    /// Has it back.
    fn restore(recorded: Self::Recorded) -> Self;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Argument<true> for T {
    type Recorded = T;

    fn record(self) -> T {
        self
    }

    fn restore(recorded: T) -> T {
        recorded
    }
}

impl<T> Argument<false> for T {
    type Recorded = ();

    fn record(self) {}

    fn restore((): ()) -> T {
        unreachable!("{NEVER}")
    }
}

/// What may stand in a task's name.
pub trait NamePart<const DISPLAY: bool> {
    /// How it stands there.
    fn name_part(&self) -> &dyn Display;
}

impl<T: Display> NamePart<true> for T {
    fn name_part(&self) -> &dyn Display {
        self
    }
}

impl<T> NamePart<false> for T {
    fn name_part(&self) -> &dyn Display {
        &NEVER
    }
}

/// What a task or workflow gives.
pub trait Output<const RECORDABLE: bool>: Sized {
    /// Records it as the output of a task.
    fn of_task(&self) -> BodyResult;

    /// Records it as the output of a workflow.
    fn of_workflow(&self) -> Result<Payload, BodyError>;

    /// Has a recorded one back.
    fn restore(recorded: &Payload) -> Result<Self, PayloadError>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Output<true> for T {
    fn of_task(&self) -> BodyResult {
        success(self)
    }

    fn of_workflow(&self) -> Result<Payload, BodyError> {
        success(self).map(|output| output.payload)
    }

    fn restore(recorded: &Payload) -> Result<Self, PayloadError> {
        recorded.decode()
    }
}

impl<T> Output<false> for T {
    fn of_task(&self) -> BodyResult {
        unreachable!("{NEVER}")
    }

    fn of_workflow(&self) -> Result<Payload, BodyError> {
        unreachable!("{NEVER}")
    }

    fn restore(_: &Payload) -> Result<Self, PayloadError> {
        unreachable!("{NEVER}")
    }
}

/// The future of a workflow whose signature was refused.
pub fn no_workflow<I>(_: ExecutionContext<I>) -> WorkflowFuture {
    unreachable!("{NEVER}")
}

/// What a workflow is given.
pub trait Input<const INPUT: bool>: Sized {
    /// Decodes it from what an execution was started with.
    fn context(raw: RawContext) -> Result<ExecutionContext<Self>, PayloadError>;

    /// Decodes a recorded one as today's type and encodes it again.
    fn reencode(recorded: &Payload) -> Result<Payload, PayloadError>;
}

impl<I: Serialize + DeserializeOwned + Send + Sync + 'static> Input<true> for I {
    fn context(raw: RawContext) -> Result<ExecutionContext<I>, PayloadError> {
        ExecutionContext::private_from_raw(raw)
    }

    fn reencode(recorded: &Payload) -> Result<Payload, PayloadError> {
        super::reencode::<I>(recorded)
    }
}

impl<I> Input<false> for I {
    fn context(_: RawContext) -> Result<ExecutionContext<I>, PayloadError> {
        unreachable!("{NEVER}")
    }

    fn reencode(_: &Payload) -> Result<Payload, PayloadError> {
        unreachable!("{NEVER}")
    }
}

/// What a workflow is given that a schedule starts.
pub trait DefaultInput<const DEFAULT: bool> {
    /// Encodes it.
    fn default_input() -> Result<Payload, PayloadError>;
}

impl<I: Serialize + Default> DefaultInput<true> for I {
    fn default_input() -> Result<Payload, PayloadError> {
        Payload::record(&I::default())
    }
}

impl<I> DefaultInput<false> for I {
    fn default_input() -> Result<Payload, PayloadError> {
        unreachable!("{NEVER}")
    }
}

/// The first parameter of a workflow.
pub trait Context<const CONTEXT: bool>: Sized {
    /// What the workflow is given.
    type Input;

    /// What the body is given.
    fn receive(context: ExecutionContext<Self::Input>) -> Self;
}

impl<I> Context<true> for ExecutionContext<I> {
    type Input = I;

    fn receive(context: Self) -> Self {
        context
    }
}

/// Taken for the input itself, so that the workflow can be used meanwhile.
impl<T> Context<false> for T {
    type Input = T;

    fn receive(_: ExecutionContext<T>) -> T {
        unreachable!("{NEVER}")
    }
}
