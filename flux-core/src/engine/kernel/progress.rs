//! How far a driver has come, and how it ended.

use std::sync::{Arc, OnceLock};

use tokio::task::AbortHandle;

use crate::error::Error;
use crate::execution::Snapshot;
use crate::id::ExecutionId;

/// How a driver ended.
pub(crate) type Settled = Result<Snapshot, Error>;

/// Called once when a driver has ended, unless it is dropped.
pub(crate) type OnSettled = Box<dyn FnOnce(&Settled) + Send>;

/// The task of a driver, once it is spawned.
pub(crate) type TaskSlot = Arc<OnceLock<AbortHandle>>;

/// How far a driver has come.
#[derive(Clone, Debug)]
pub(crate) enum DriverProgress {
    Starting,
    Started,
    /// Nothing was started.
    Refused(Refusal),
    Settled(Box<Settled>),
}

/// Why a start began nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// An execution of this id exists.
    Exists,
    /// As many as may run beside this one do; the oldest of them.
    Full(ExecutionId),
    /// An unfinished execution has the same dedup key.
    Duplicate(ExecutionId),
}
