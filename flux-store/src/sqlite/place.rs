//! Where a caller runs, and how long its thread may be blocked.

use tokio::runtime::{Handle, RuntimeFlavor};

/// A thread that may be blocked.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// It runs tasks, as one of this many workers.
    Worker { of: usize },
    /// It runs one future, under `block_on`.
    Other,
}

impl Place {
    /// Where this is; `None` where a blocked thread would hold up all other tasks.
    pub(super) fn here() -> Option<Self> {
        let handle = Handle::try_current().ok()?;
        if handle.runtime_flavor() != RuntimeFlavor::MultiThread {
            return None;
        }
        Some(match tokio::runtime::worker_index() {
            Some(_) => Self::Worker {
                of: handle.metrics().num_workers(),
            },
            None => Self::Other,
        })
    }

    /// Whether others go on with the tasks while this thread is blocked.
    pub(super) fn has_spare_workers(self) -> bool {
        match self {
            Self::Worker { of } => of > 1,
            Self::Other => true,
        }
    }

    /// Runs what may take long.
    pub(super) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Worker { .. } => tokio::task::block_in_place(work),
            // `block_in_place` would do nothing here, or panic inside a `LocalSet`.
            Self::Other => work(),
        }
    }
}
