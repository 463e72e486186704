//! `cancel`: asks an execution to end, and lets its code clean up.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::driver::launch;
use crate::engine::driver::{Begin, Intent};
use crate::engine::kernel::Kernel;
use crate::engine::ownership::claim;
use crate::engine::undriven::close::Close;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::status::Status;
use crate::store::{ClaimError, ExecutionRecord, MessageKind, NewMessage, PostError};

impl Engine {
    /// Asks an execution to end.
    ///
    /// Code that awaits [`flux::cancelled`](crate::cancelled) is told and may clean up for as long as the engine's
    /// [`cancel_window`](crate::EngineBuilder::cancel_window); other code is dropped where it stands, and what it was
    /// waiting for is cancelled: bodies are aborted, children are let go of as their calls say
    /// ([`when_parent_ends`](crate::ChildCall::when_parent_ends)). Then its rollbacks run, and what
    /// [`on_exit`](crate::ExecutionContext::on_exit) was given. However the code ends, the execution is `Cancelled`; one
    /// whose code has ended already ends as it was going to. A [pause](Engine::pause) that came before is taken back; one
    /// that comes later holds what is left of the clean-up.
    ///
    /// When this returns `Ok` the request is durable: it survives crashes of both sides. It is carried out by whoever
    /// drives the execution, here or in another process; one that nobody drives, because it is paused or its process
    /// died, is taken up by this engine if its workflow is registered here, else by the next engine that recovers it;
    /// one that is `Pending` ends at once.
    /// Asking again does nothing more.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`], [`Error::AlreadyFinished`]; [`Error::InsideWorkflow`] where it would be asked
    /// again at every replay.
    pub async fn cancel(&self, id: impl Into<ExecutionId>) -> Result<(), Error> {
        crate::engine::kernel::refuse::refuse_inside_workflow(
            "engine.cancel(..)",
            "do it in a task or a `flux::step`; a child is cancelled by dropping its call",
        )?;
        let id = id.into();
        self.kernel
            .post(&id, MessageKind::Cancel, Payload::null())
            .await?;
        self.kernel.poke(&id).await;
        Ok(())
    }
}

impl Kernel {
    /// Puts a message without a name into an execution's inbox.
    pub(crate) async fn post(
        &self,
        id: &ExecutionId,
        kind: MessageKind,
        payload: Payload,
    ) -> Result<(), Error> {
        let message = NewMessage {
            kind,
            name: "".into(),
            payload,
            dedup: None,
            at: self.clock.now(),
        };
        match self.store.post(id, message).await {
            Ok(()) => Ok(()),
            Err(PostError::NotFound) => Err(self.not_found(id)),
            Err(PostError::Finished(status)) => Err(Error::AlreadyFinished {
                id: id.clone(),
                status,
            }),
            Err(PostError::Failed(error)) => Err(error.into()),
        }
    }

    /// An execution was sent something: its driver is told. One that nobody drives is taken up if it is to end.
    pub(crate) async fn poke(self: &Arc<Self>, id: &ExecutionId) {
        if self.drivers.notify_inbox(id) {
            return;
        }
        match self.end_undriven(id).await {
            Ok(()) => {}
            // Whoever has the code will find the message.
            Err(error @ (Error::WorkflowNotFound { .. } | Error::VersionMismatch { .. })) => {
                tracing::debug!(execution_id = %id, %error, "a message waits for another process");
            }
            Err(error) => {
                tracing::warn!(execution_id = %id, %error, "could not hand on a message");
            }
        }
    }

    /// Takes up an execution that nobody drives, if it is to be cancelled or terminated.
    async fn end_undriven(self: &Arc<Self>, id: &ExecutionId) -> Result<(), Error> {
        let Some(record) = self.store.execution(id).await? else {
            return Ok(());
        };
        if record.status.is_finished() {
            return Ok(());
        }
        let inbox = self.store.inbox(record.key).await?;
        if let Some(close) = Close::wanted(&record, &inbox) {
            self.close(id, close).await?;
        } else if inbox
            .iter()
            .any(|message| message.kind == MessageKind::Cancel)
        {
            self.recover_cancelled(record).await?;
        }
        Ok(())
    }

    /// Drives an execution on, which its message will end; it goes on by itself.
    async fn recover_cancelled(self: &Arc<Self>, record: ExecutionRecord) -> Result<(), Error> {
        let code = self.registry.for_execution(&record, None)?;
        let Some(claiming) = self.drivers.begin_claim(&record.id) else {
            return Ok(());
        };
        match claim(self, claiming).await {
            Ok(claimed) => {
                let begin = Begin::claimed(claimed, Intent::Recover);
                // Refused where somebody in this process was faster: the message is read by the next driver.
                if let Ok(driving) = launch(self, code, record.id, begin, None) {
                    driving.into_guard().detach();
                }
                Ok(())
            }
            Err(ClaimError::Held { .. } | ClaimError::NotFound) => Ok(()),
            Err(ClaimError::Failed(error)) => Err(error.into()),
        }
    }
}

impl Close {
    /// What the inbox of an execution that nobody drives asks for, if its code is not needed for it.
    pub(crate) fn wanted(
        record: &ExecutionRecord,
        inbox: &[crate::store::Message],
    ) -> Option<Self> {
        let find = |kind| inbox.iter().find(|message| message.kind == kind);
        if let Some(message) = find(MessageKind::Terminate) {
            return Some(Self::terminated(message));
        }
        // Code that has not begun has nothing to clean up.
        find(MessageKind::Cancel)
            .filter(|_| record.status == Status::Pending)
            .map(Self::cancelled)
    }
}
