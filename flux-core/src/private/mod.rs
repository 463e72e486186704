//! What the expansions of the macros call, and nothing else. No part of the public API: it changes with them.
//!
//! A type that does not meet a requirement should give one error, in Flux's words, on the user's token. So each
//! requirement is *probed* into a constant (`probe`), one assertion says what is wrong if it is false (`assert`), and
//! everything else goes through a trait with a `const bool` that is implemented either way (`value`, `describe`).
//!
//! Methods and constants that an expansion reaches by their bare names begin with `flux_`: a blanket trait of the user's
//! that is in scope there (`trait Json { fn json(&self) }`) would otherwise make them ambiguous.

mod assert;
mod describe;
mod probe;
mod returns;
mod start;
mod undo;
mod value;

pub use std::format;
pub use std::ops::RangeInclusive;
pub use std::option::Option;
pub use std::result::Result;
pub use std::time::Duration;

pub use crate::context::{ExecutionContext, RawContext, TaskCall, task_call};
pub use crate::engine::Workflow;
pub use crate::error::{
    BodyError, ErrorEntry, ErrorName, Seen, SeenType, body_error, describe_dyn,
};
pub use crate::payload::{Payload, PayloadError};
pub use crate::registry::{TaskEntry, WorkflowEntry};
pub use crate::retry::Backoff;
pub use crate::task::{
    BodyResult, StartError, Started, States, TaskDef, TaskOptions, reencode, success,
};
pub use crate::workflow::{OnConflict, WorkflowDef, WorkflowFuture, WorkflowOptions};

pub use assert::{
    ErrorType, Fallible, FirstParameter, Injected, NameArgument, NameableError, NamedFallible,
    NotState, RecordableArgument, RecordableInput, RecordableOutput, ResultOf, ScheduledInput,
    assert_argument, assert_context, assert_error, assert_fallible, assert_input, assert_name_part,
    assert_nameable, assert_not_state, assert_output, assert_scheduled,
};
pub use describe::{
    See, SeeAnything, SeeBoxed, SeeDisplay, SeeError, SeeLocal, SeeNoValue, SeeTerminal, SeeType,
    SeeValue, TypeOf,
};
pub use probe::{Otherwise, Probe};
pub use returns::{Given, GivenAtOnce, IntoResultOf, Returns, finish};
pub use start::{decode_args, run_async, run_blocking, run_workflow, start_recorded};
pub use undo::{Undo, UndoByFunction, UndoFuture, Undone, UndoneAlways, restore_output};
pub use value::{Argument, Context, DefaultInput, Input, NamePart, Output, no_workflow};
