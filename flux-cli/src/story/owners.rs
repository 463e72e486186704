//! Who of those that own executions lives: an execution whose process died looks like any other by its row.

use flux_core::store::WorkerRecord;
use flux_core::{Engine, Error, Execution};

/// The owners of the executions that are shown; by default nothing is known of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(Option<Vec<WorkerRecord>>);

impl Owners {
    /// Reads them, where any of the executions has an owner.
    pub(crate) async fn of(engine: &Engine, executions: &[Execution]) -> Result<Self, Error> {
        if executions
            .iter()
            .all(|execution| execution.worker().is_none())
        {
            return Ok(Self::default());
        }
        Ok(Self(Some(engine.workers().await?)))
    }

    pub(crate) fn among(workers: &[WorkerRecord]) -> Self {
        Self(Some(workers.to_vec()))
    }

    /// Whether the owner of an execution lives; `None` where it has none, or where that is not known.
    pub(crate) fn is_alive(&self, execution: &Execution) -> Option<bool> {
        let owner = execution.worker()?;
        let is_it = |worker: &WorkerRecord| worker.id == owner && worker.is_alive;
        Some(self.0.as_ref()?.iter().any(is_it))
    }

    /// Whether the process that drove it died, and no other has taken it over.
    pub(crate) fn has_crashed(&self, execution: &Execution) -> bool {
        !execution.has_finished() && self.is_alive(execution) == Some(false)
    }
}
