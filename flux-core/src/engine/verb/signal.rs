//! `signal`: hands a value to the code of an execution.

use std::sync::Arc;

use serde::Serialize;

use crate::engine::Engine;
use crate::engine::kernel::refuse::{invalid, refuse_inside_workflow};
use crate::error::Error;
use crate::id::ExecutionId;
use crate::payload::{Payload, PayloadError};
use crate::store::{MessageKind, NewMessage};

impl Engine {
    /// Sends an execution a signal. It is kept, first in, first out per name, until the execution's code takes it
    /// with [`flux::signal`](crate::signal), now or later; it survives crashes of both sides.
    ///
    /// When this returns `Ok` the signal is durable. An execution that this process drives, or another process on
    /// the same store, is woken by it; one that is paused takes it when it next runs.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`], [`Error::AlreadyFinished`]; [`Error::InsideWorkflow`] where it would be sent
    /// again at every replay.
    pub async fn signal<T: Serialize + ?Sized>(
        &self,
        id: impl Into<ExecutionId>,
        name: &str,
        value: &T,
    ) -> Result<(), Error> {
        self.post_signal(id.into(), name, Payload::record(value), None)
            .await
    }

    /// As [`signal`](Self::signal), but harmless to repeat: an execution takes one signal of this name per `key`,
    /// however often it is sent. For senders that cannot know whether the first try arrived.
    pub async fn signal_once<T: Serialize + ?Sized>(
        &self,
        id: impl Into<ExecutionId>,
        name: &str,
        value: &T,
        key: &str,
    ) -> Result<(), Error> {
        self.post_signal(id.into(), name, Payload::record(value), Some(key.into()))
            .await
    }

    async fn post_signal(
        &self,
        id: ExecutionId,
        name: &str,
        value: Result<Payload, PayloadError>,
        dedup: Option<Arc<str>>,
    ) -> Result<(), Error> {
        refuse_inside_workflow("engine.signal(..)", "send it from a task or a `flux::step`")?;
        let what = || format!("value for signal `{name}`");
        let payload = value.map_err(|error| invalid(what(), error))?;
        self.kernel.check_size(&payload, what)?;
        let message = NewMessage {
            kind: MessageKind::Signal,
            name: name.into(),
            payload,
            dedup,
            at: self.now(),
        };
        self.kernel.post(&id, message).await?;
        self.kernel.drivers.notify_inbox(&id);
        Ok(())
    }
}
