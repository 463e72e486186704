//! The engine of Flux: everything but SQL and macros. Users depend on the `flux` crate, which re-exports this.

mod catalog;
pub mod clock;
mod context;
mod digest;
mod engine;
mod error;
pub mod event;
pub mod execution;
mod hash;
pub mod id;
mod names;
mod order;
pub mod payload;
mod policy;
#[doc(hidden)]
pub mod private;
mod registry;
mod replay;
mod retry;
pub mod schedule;
mod sites;
mod status;
pub mod store;
mod sync;
mod task;
pub mod time;
mod type_name;
mod workflow;

pub use catalog::WorkflowInfo;
pub use context::{
    Cancelled, ChildCall, Elapsed, ExecutionContext, IntoStep, Pause, PauseValue, Random,
    RawContext, SignalWait, Sleep, TaskCall, TaskContext, Timeout, cancelled, idempotency_key, now,
    patched, pause, publish, random, roll_back, signal, sleep, sleep_until, sleep_until_cron, step,
    task_call, task_context, timeout, transaction_call, uuid,
};
pub use engine::{
    Backend, DefaultStore, Engine, EngineBuilder, Events, List, NamedBy, NewSchedule, OnEngine,
    Opening, Queue, Recovered, ReleaseKind, Replayed, Resume, Run, RunningWorker, Schedule,
    SettingsError, SlotRelease, Start, StoreLocation, Worker, Workflow, maintain, shutdown_signal,
};
pub use error::{
    BodyError, Error, ErrorRecord, EscapedCall, Failure, FailureKind, NonDeterminism, TaskError,
    TaskErrorKind, TaskFailure, Terminal, TerminalSource, terminal,
};
pub use event::{Event, EventKind, FORMAT};
pub use execution::{
    CallInfo, CallKind, CallStatus, Execution, Handle, NotCompleted, Obstacle, ObstacleKind,
    PausePoint, TaskInfo, TaskStatus, UnreadSignal,
};
pub use id::{Epoch, EventSeq, ExecutionId, ExecutionKey, WorkerId};
pub use payload::{Payload, PayloadError};
pub use policy::ChildPolicy;
pub use registry::{TaskEntry, WorkflowEntry};
pub use retry::Backoff;
pub use status::{Status, UnknownStatus};
pub use task::{
    BodyFuture, BodyOutput, BodyResult, Reencode, RollBack, StartBody, StartError, Started, State,
    StateNeed, States, TaskDef, TaskOptions, UndoCall, success,
};
pub use workflow::{OnConflict, WorkflowDef, WorkflowFuture, WorkflowOptions};
