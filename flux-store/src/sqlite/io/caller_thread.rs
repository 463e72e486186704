//! Where a caller runs, and how long its thread may be blocked.

use tokio::runtime::{Handle, RuntimeFlavor};

/// A thread that may be blocked.
#[derive(Clone, Copy)]
pub(crate) enum CallerThread {
    /// It runs tasks: others must take them over first.
    Worker,
    /// It runs one future, under `block_on`.
    Other,
}

impl CallerThread {
    /// Where this is; `None` where a blocked thread would hold up all other tasks.
    pub(crate) fn here() -> Option<Self> {
        let handle = Handle::try_current().ok()?;
        if handle.runtime_flavor() != RuntimeFlavor::MultiThread {
            return None;
        }
        let is_worker = tokio::runtime::worker_index().is_some();
        Some(if is_worker { Self::Worker } else { Self::Other })
    }

    /// Runs what may take long.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        match self {
            Self::Worker => tokio::task::block_in_place(work),
            // `block_in_place` would do nothing here, or panic inside a `LocalSet`.
            Self::Other => work(),
        }
    }
}
