//! `cancel`: asks an execution to end, and lets its code clean up.

use crate::engine::Engine;
use crate::engine::driver::poke;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::store::{MessageKind, NewMessage};

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
        refuse_inside_workflow(
            "engine.cancel(..)",
            "do it in a task or a `flux::step`; a child is cancelled by dropping its call",
        )?;
        let id = id.into();
        self.kernel
            .post(
                &id,
                NewMessage::command(MessageKind::Cancel, Payload::null(), self.now()),
            )
            .await?;
        poke(&self.kernel, &id).await;
        Ok(())
    }
}
