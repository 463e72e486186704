//! Stopping gracefully: drivers launch no more bodies, bodies that run may end, and executions are given up.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use crate::engine::kernel::Kernel;
use crate::engine::{Engine, ownership};
use crate::error::Error;
use crate::id::ExecutionId;

/// How long the store may take to hear of what is given up.
const FAREWELL: Duration = Duration::from_secs(5);

/// Which drivers of an engine are to stop.
pub(crate) enum Stopping {
    /// Those of one worker, while others of its engine work on.
    These(BTreeSet<ExecutionId>),
    /// All that no caller waits for in person, whatever began them.
    Unattended,
    /// All. What waits for one in person gets an error.
    All,
}

impl Engine {
    /// Stops everything this engine drives, gracefully: its workers take nothing more, no more bodies are begun, bodies
    /// that run may finish for as long as `grace`, and those that then still run are dropped, as in a crash. Every
    /// execution is given up to whoever takes it next. A worker's [`run_until`](crate::Worker::run_until) does the
    /// same; this is for programs without a worker, as the last thing they do.
    ///
    /// A [`run`](crate::Workflow::run) or `resume` that is being awaited on this engine ends with
    /// [`Error::Interrupted`]; its execution is resumable.
    ///
    /// # Errors
    ///
    /// [`Error::InsideWorkflow`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the drivers that have not ended yet as they are: they begin no more bodies and give their
    /// executions up when those that run have ended.
    pub async fn shutdown(&self, grace: Duration) -> Result<(), Error> {
        crate::engine::kernel::refuse::refuse_inside_workflow(
            "engine.shutdown(..)",
            "call it from outside",
        )?;
        let kernel = self.kernel();
        kernel.workers.close(grace);
        kernel
            .stop_drivers(&Stopping::All, tokio::time::sleep(grace))
            .await;
        Ok(())
    }
}

impl Kernel {
    /// Stops drivers: gracefully until `patience` ends, then at once. Returns when the store knows what is given up.
    pub(crate) async fn stop_drivers(
        self: &Arc<Self>,
        which: &Stopping,
        patience: impl Future<Output = ()>,
    ) {
        let mut patience = pin!(patience);
        loop {
            let changed = self.drivers.changed();
            let remaining = self.drivers.ask_to_retire(which);
            if remaining.is_empty() {
                break;
            }
            if let Either::Right(_) = select(pin!(changed), patience.as_mut()).await {
                self.drop_drivers(remaining).await;
                break;
            }
        }
        ownership::settled(self, FAREWELL).await;
    }

    /// Drops drivers where they stand, as in a crash, and waits until they are gone.
    async fn drop_drivers(&self, ids: Vec<ExecutionId>) {
        let dropped: Vec<_> = ids.iter().filter_map(|id| self.drivers.get(id)).collect();
        for active in &dropped {
            active.abort();
        }
        for active in dropped {
            active.gone().await;
        }
    }
}
