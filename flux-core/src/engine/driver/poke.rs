//! Executions that were sent something, and perhaps have no driver to read it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::intent::{Begin, Intent};
use super::launch::launch;
use crate::engine::kernel::Kernel;
use crate::engine::ownership::claim_if_free;
use crate::engine::undriven::close::{Close, close};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, MessageKind};

/// An execution was sent something: its driver is told. One that nobody drives is taken up if it is to end.
pub(crate) async fn poke(kernel: &Arc<Kernel>, id: &ExecutionId) {
    poke_all(kernel, vec![id.clone()]).await;
}

/// Ends an execution that nobody drives, and sees to it that those it tells of it hear it. `false` where somebody else has it,
/// or was faster: look again.
pub(crate) async fn close_and_poke(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
    end: Close,
) -> Result<bool, Error> {
    let Some(told) = close(kernel, id, end).await? else {
        return Ok(false);
    };
    poke_all(kernel, told).await;
    Ok(true)
}

/// Those that end without a driver tell others in turn.
async fn poke_all(kernel: &Arc<Kernel>, told: Vec<ExecutionId>) {
    let mut left = VecDeque::from(told);
    while let Some(id) = left.pop_front() {
        // A driver whose future was dropped reads nothing any more.
        kernel.drivers.see_off(&id).await;
        if kernel.drivers.notify_inbox(&id) {
            continue;
        }
        match end_undriven(kernel, &id).await {
            Ok(told) => left.extend(told),
            // Whoever has the code will find the message.
            Err(error @ (Error::WorkflowNotFound { .. } | Error::VersionMismatch { .. })) => {
                tracing::debug!(execution_id = %id, %error, "a message waits for another process");
            }
            Err(error) => {
                tracing::warn!(execution_id = %id, %error, "could not hand on a message");
            }
        }
    }
}

/// Takes up an execution that nobody drives, if it is to be cancelled or terminated. Returns those whose inboxes tell of its end.
async fn end_undriven(kernel: &Arc<Kernel>, id: &ExecutionId) -> Result<Vec<ExecutionId>, Error> {
    let Some(record) = kernel.store.execution(id).await? else {
        return Ok(Vec::new());
    };
    if record.status.is_finished() {
        return Ok(Vec::new());
    }
    let inbox = kernel.store.inbox(record.key).await?;
    if let Some(end) = Close::wanted(&record, &inbox) {
        return Ok(close(kernel, id, end).await?.unwrap_or_default());
    }
    if inbox
        .iter()
        .any(|message| message.kind == MessageKind::Cancel)
    {
        recover_cancelled(kernel, record).await?;
    }
    Ok(Vec::new())
}

/// Drives an execution on, which its message will end; it goes on by itkernel.
async fn recover_cancelled(kernel: &Arc<Kernel>, record: ExecutionRecord) -> Result<(), Error> {
    let code = kernel.registry.for_execution(&record, None)?;
    if let Some(claimed) = claim_if_free(kernel, &record.id).await? {
        let begin = Begin::claimed(claimed, Intent::Recover);
        // Refused where somebody in this process was faster: the message is read by the next driver.
        if let Ok(driving) = launch(kernel, code, record.id, begin, None) {
            driving.into_guard().detach();
        }
    }
    Ok(())
}
