//! Why a store refuses, or fails.

use std::sync::Arc;

use super::InTheWay;
use crate::execution::Status;

/// A store that could not do its work: disk full, file busy or foreign, connection lost.
#[derive(Debug, Clone, thiserror::Error)]
#[error("store `{store}` could not {action}: {reason}")]
pub struct StoreError {
    /// Which store: [`Store::describe`](crate::store::Store::describe).
    pub store: String,
    /// What it was asked to do, as an infinitive: `open the file`, `append events`.
    pub action: String,
    /// What went wrong and, where there is one, the cure.
    pub reason: String,
    /// The backend's own error.
    #[source]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Why a commit was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Somebody else owns the execution now, or its history has moved on. Nothing was written.
    #[error("the execution has another owner now")]
    Fenced,
    /// The inbox holds a command that the owner has not read, and that the commit [heeds](crate::store::Commit::heeds). Nothing was
    /// written.
    #[error("the execution was sent a command that its owner has not read")]
    Unread,
    /// An execution of this id exists. Nothing was written.
    #[error("an execution of this id exists")]
    Exists,
    /// The gate of a new execution, or of one that had finished and is to go on, is full. Nothing was written.
    #[error("execution `{}` runs, and no more may run beside it", .0.holder)]
    Full(InTheWay),
    /// An unfinished execution has the dedup key of a new one. Nothing was written.
    #[error("execution `{}` has the same dedup key", .0.holder)]
    Duplicate(InTheWay),
    /// The store could not. Nothing was written.
    #[error(transparent)]
    Failed(StoreError),
    /// The store cannot tell whether the commit happened: read back before anything else.
    #[error("it is unknown whether the commit happened")]
    Unknown(#[source] StoreError),
}

/// Why a claim was refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// There is no such execution.
    #[error("there is no such execution")]
    NotFound,
    /// A worker that is alive owns it.
    #[error("it is driven by {by}")]
    Held {
        /// Who, for people: process id and so on.
        by: String,
    },
    /// The store could not.
    #[error(transparent)]
    Failed(StoreError),
}

/// Why a message was not posted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// There is no such execution.
    #[error("there is no such execution")]
    NotFound,
    /// The execution has finished.
    #[error("the execution is {0}")]
    Finished(Status),
    /// The store could not.
    #[error(transparent)]
    Failed(StoreError),
}
