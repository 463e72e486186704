//! The catalog: what programs tell the store of their workflows, and who takes what.

use crate::catalog::WorkflowInfo;
use crate::engine::Engine;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::refuse::invalid;
use crate::engine::placement::stand_in::read;
use crate::error::Error;
use crate::payload::Payload;
use crate::store::{WorkerRecord, WorkflowDescription};

impl Engine {
    /// Lists the workflows that this program has code for, all versions, by name.
    pub fn registered(&self) -> Vec<WorkflowInfo> {
        registered(self.kernel())
    }

    /// Lists the workflows that programs with a [worker](Self::worker) have described in the store, by name and
    /// version. They stay listed when no such program runs any more.
    pub async fn catalog(&self) -> Result<Vec<WorkflowInfo>, Error> {
        let described = self.kernel().store.workflows().await?;
        described.iter().map(read).collect()
    }

    /// Lists the living whose workers would take an execution of this workflow and version from this queue, or from
    /// none. An engine says so from when its first worker starts until its last one has been stopped; one whose worker
    /// was dropped instead goes on saying so while it lives.
    pub async fn served_by(
        &self,
        workflow: &str,
        version: u32,
        queue: Option<&str>,
    ) -> Result<Vec<WorkerRecord>, Error> {
        let mut workers = self.workers().await?;
        workers.retain(|worker| {
            let serves = worker.serves.as_ref();
            worker.is_alive && serves.is_some_and(|serves| serves.takes(workflow, version, queue))
        });
        Ok(workers)
    }
}

fn registered(kernel: &Kernel) -> Vec<WorkflowInfo> {
    kernel.registry.all().map(WorkflowInfo::of).collect()
}

/// Tells the store of the workflows that this program has code for.
pub(crate) async fn describe_workflows(kernel: &Kernel) -> Result<(), Error> {
    let seen_at = kernel.clock.now();
    let describe = |info: WorkflowInfo| {
        let described = Payload::encode(&info)
            .map_err(|error| invalid(format!("description of workflow `{}`", info.name), error))?;
        Ok(WorkflowDescription {
            name: info.name.into(),
            version: info.version,
            described,
            seen_at,
        })
    };
    let all: Result<_, Error> = registered(kernel).into_iter().map(describe).collect();
    Ok(kernel.store.describe_workflows(all?).await?)
}
