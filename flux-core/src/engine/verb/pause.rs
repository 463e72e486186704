//! `pause`: keeps an execution from going on until it is resumed.

use crate::engine::Engine;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::engine::undriven::hold_idle;
use crate::error::Error;
use crate::execution::Status;
use crate::id::ExecutionId;
use crate::payload::Payload;
use crate::store::{MessageKind, NewMessage};

/// What the row says of an execution that a person paused.
const REASON: &str = "somebody paused it; a `resume` goes on with it";

impl Engine {
    /// Keeps an execution from going on until it is [resumed](Engine::resume): it becomes `Paused`, with
    /// [`held`](crate::Execution::held) saying why. Bodies that run finish and are recorded first; timers and signals
    /// wait, and children continue. It answers no pause point, and neither does the resume.
    ///
    /// It counts in every phase, also while code cleans up after a cancellation or rollbacks run. A
    /// [cancellation](Engine::cancel) that comes after it takes it back.
    ///
    /// When this returns, the request is durable; pausing again does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`], [`Error::AlreadyFinished`], and [`Error::NotStarted`] for one that is `Pending`:
    /// pause its queue, or cancel it.
    pub async fn pause(&self, id: impl Into<ExecutionId>) -> Result<(), Error> {
        refuse_inside_workflow("engine.pause(..)", "use `flux::pause(name)`")?;
        let id = id.into();
        let record = self.kernel().record(&id).await?;
        if record.status == Status::Pending {
            return Err(Error::NotStarted { id });
        }
        // What was sent to it since may be about to take it off hold again.
        let is_undisturbed = record.owner.is_none() && record.ready_at.is_none();
        if record.hold.is_some() && is_undisturbed {
            return Ok(());
        }
        let message = NewMessage {
            kind: MessageKind::Pause,
            name: "pause".into(),
            payload: Payload::encode(REASON).unwrap_or_else(|_| Payload::null()),
            dedup: None,
            at: self.now(),
        };
        self.kernel().post(&id, message).await?;
        if self.kernel().drivers.notify_inbox(&id) {
            return Ok(());
        }
        hold_idle(self.kernel(), &id, REASON).await
    }
}
