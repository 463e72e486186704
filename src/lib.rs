//! Durable execution for Rust.

pub use flux_core::store::Durability;
pub use flux_core::{
    Backoff, ChildCall, Elapsed, Engine, EngineBuilder, Epoch, Error, ErrorRecord, EscapedCall,
    Event, EventKind, EventSeq, Events, Execution, ExecutionContext, ExecutionId, ExecutionKey,
    Failure, FailureKind, Handle, IntoStep, List, NonDeterminism, NotCompleted, OnEngine, Pause,
    PausePoint, PauseValue, Payload, PayloadError, Random, Recovered, Resume, Run, SignalWait,
    Sleep, Start, State, Status, TaskCall, TaskContext, TaskError, TaskErrorKind, TaskFailure,
    TaskInfo, TaskStatus, Terminal, Timeout, UnknownStatus, WorkerId, Workflow, idempotency_key,
    now, patched, pause, publish, random, signal, sleep, sleep_until, step, task_context, terminal,
    timeout, uuid,
};
pub use flux_core::{clock, store, time};
pub use flux_macros::{durable, task, workflow};

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod select;

/// The SQLite store, and transactions in it.
pub mod sqlite {
    pub use flux_store::rusqlite;
    pub use flux_store::sqlite::{SqliteOptions, SqliteStore, transaction};
}
