//! `shutdown`: stops everything that an engine drives, gracefully.

use std::time::Duration;

use crate::engine::Engine;
use crate::engine::driver::stop;
use crate::engine::kernel::drivers::Stopping;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;

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
        refuse_inside_workflow("engine.shutdown(..)", "call it from outside")?;
        let kernel = self.kernel();
        kernel.workers.close(grace);
        stop(kernel, &Stopping::All, tokio::time::sleep(grace)).await;
        Ok(())
    }
}
