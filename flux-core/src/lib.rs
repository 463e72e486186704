//! The engine of Flux: everything but SQL and macros. Users depend on the `flux` crate, which re-exports this.

pub mod clock;
mod context;
mod engine;
mod error;
pub mod event;
pub mod execution;
pub mod id;
pub mod payload;
#[doc(hidden)]
pub mod private;
mod registry;
mod replay;
mod retry;
pub mod store;
mod task;
pub mod time;
mod workflow;

pub use context::{
    ChildCall, Elapsed, ExecutionContext, IntoStep, Pause, PauseValue, Random, RawContext,
    SignalWait, Sleep, TaskCall, TaskContext, Timeout, idempotency_key, now, patched, pause,
    publish, random, signal, sleep, sleep_until, step, task_call, task_context, timeout,
    transaction_call, uuid,
};
pub use engine::{
    Backend, Engine, EngineBuilder, Events, List, OnEngine, Opening, Recovered, Resume, Run, Start,
    StoreLocation, Workflow,
};
pub use error::{
    Error, ErrorRecord, EscapedCall, Failure, FailureKind, NonDeterminism, TaskError,
    TaskErrorKind, TaskFailure, Terminal, TerminalSource, terminal,
};
pub use event::{Event, EventKind, FORMAT};
pub use execution::{
    Execution, Handle, NotCompleted, PausePoint, Status, TaskInfo, TaskStatus, UnknownStatus,
};
pub use id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
pub use payload::{Payload, PayloadError};
pub use registry::{TaskEntry, WorkflowEntry};
pub use retry::Backoff;
pub use task::{
    BodyError, BodyFuture, BodyOutput, BodyResult, Reencode, StartBody, StartError, Started, State,
    StateNeed, States, TaskDef, TaskOptions, success,
};
pub use workflow::{WorkflowDef, WorkflowFuture, WorkflowOptions};
