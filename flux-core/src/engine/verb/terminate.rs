//! `terminate`: ends an execution without another line of its code.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::driver::close_and_poke;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::refuse::{invalid, refuse_inside_workflow};
use crate::engine::undriven::close::Close;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::status::Status;
use crate::store::{MessageKind, NewMessage};

/// How soon it is looked again whether somebody else has ended an execution, where nothing tells.
const PACE: Duration = Duration::from_millis(50);

impl Engine {
    /// Ends an execution where it stands: its code is told nothing, cleans up nothing and undoes nothing. At most it is
    /// handed a result that was committed before, and nothing that it then asks for is begun. Bodies are aborted, children are let go of as their calls say
    /// ([`when_parent_ends`](crate::ChildCall::when_parent_ends)).
    ///
    /// When this returns `Ok` the execution is `Terminated`, and `reason` is recorded
    /// ([`termination_reason`](crate::Execution::termination_reason)). Where this process or another drives it, its
    /// driver ends it; otherwise this call does, for which the workflow's code need not be registered here.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`]; [`Error::AlreadyFinished`] when it has ended, also when it ended in another way
    /// while this was under way; [`Error::InsideWorkflow`].
    pub async fn terminate(
        &self,
        id: impl Into<ExecutionId>,
        reason: impl Into<String>,
    ) -> Result<(), Error> {
        refuse_inside_workflow(
            "engine.terminate(..)",
            "do it in a task or a `flux::step`; a child is ended by dropping its call",
        )?;
        let (id, reason) = (id.into(), reason.into());
        let what = || format!("reason to terminate execution `{id}`");
        let payload = Payload::encode(&reason).map_err(|error| invalid(what(), error))?;
        self.kernel.check_size(&payload, what)?;
        self.kernel
            .post(
                &id,
                NewMessage::command(MessageKind::Terminate, payload, self.now()),
            )
            .await?;
        until_terminated(&self.kernel, &id).await
    }
}

/// Waits until somebody has ended the execution, and does it where nobody else does.
async fn until_terminated(kernel: &Arc<Kernel>, id: &ExecutionId) -> Result<(), Error> {
    loop {
        let changed = kernel.store.changed();
        let record = kernel.record(id).await?;
        match record.status {
            Status::Terminated => return Ok(()),
            status if status.is_finished() => {
                return Err(Error::AlreadyFinished {
                    id: id.clone(),
                    status,
                });
            }
            _ => {}
        }
        if let Some(active) = kernel.drivers.get(id) {
            kernel.drivers.notify_inbox(id);
            active.gone().await;
            continue;
        }
        let inbox = kernel.store.inbox(record.key).await?;
        if let Some(close) = Close::wanted(&record, &inbox)
            && close_and_poke(kernel, id, close).await?
        {
            continue;
        }
        // Somebody alive drives it, and is told of its inbox as this is told of the end.
        let pace = tokio::time::sleep(PACE);
        futures::future::select(changed, std::pin::pin!(pace)).await;
    }
}
