//! Why a store refuses, or fails.

use std::sync::Arc;

use super::InTheWay;
use crate::status::Status;

/// A failure of the store itself: disk full, file busy or foreign, connection lost.
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
    /// The execution has another owner now, or its history has moved on. Nothing was written.
    #[error("the execution has another owner now")]
    Fenced,
    /// The inbox holds a command that the owner has not read and that the commit [heeds](crate::store::Commit::heeds).
    /// Nothing was written.
    #[error("the execution was sent a command that its owner has not read")]
    Unread,
    /// An execution with this id exists already. Nothing was written.
    #[error("an execution of this id exists")]
    Exists,
    /// The gate is full: of a new execution, or of a finished one that is to continue. Nothing was written.
    #[error("execution `{}` runs, and no more may run beside it", .0.holder)]
    Full(InTheWay),
    /// An unfinished execution has the dedup key of a new one. Nothing was written.
    #[error("execution `{}` has the same dedup key", .0.holder)]
    Duplicate(InTheWay),
    /// The store failed. Nothing was written.
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
    /// No execution has this id.
    #[error("no execution has this id")]
    NotFound,
    /// A worker that is alive owns it.
    #[error("it is driven by {by}")]
    Held {
        /// Describes that worker for people: its process id and so on.
        by: String,
    },
    /// The store failed.
    #[error(transparent)]
    Failed(StoreError),
}

/// Why a message was not posted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// No execution has this id.
    #[error("no execution has this id")]
    NotFound,
    /// The execution has finished.
    #[error("the execution is {0}")]
    Finished(Status),
    /// The store failed.
    #[error(transparent)]
    Failed(StoreError),
}
