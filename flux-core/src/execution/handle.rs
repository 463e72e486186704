//! `Handle`: an execution that was started and goes on by itself.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::view::Execution;
use crate::engine::Engine;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::status::Status;

/// An execution that goes on by itself, whether or not the handle is kept.
pub struct Handle<O = serde_json::Value> {
    engine: Engine,
    id: ExecutionId,
    _output: PhantomData<fn() -> O>,
}

impl<O> Handle<O> {
    pub(crate) fn new(engine: Engine, id: ExecutionId) -> Self {
        Self {
            engine,
            id,
            _output: PhantomData,
        }
    }

    /// The execution's id.
    pub fn execution_id(&self) -> &ExecutionId {
        &self.id
    }

    /// Reads where it stands.
    pub async fn status(&self) -> Result<Status, Error> {
        Ok(self.engine.get(&self.id).await?.status())
    }

    /// Sends it a signal: see [`Engine::signal`].
    pub async fn signal<T: Serialize + ?Sized + Sync>(
        &self,
        name: &str,
        value: &T,
    ) -> Result<(), Error> {
        self.engine.signal(&self.id, name, value).await
    }
}

impl<O> Handle<O> {
    /// Asks it to end: see [`Engine::cancel`]. [`wait`](Self::wait) returns it once it has.
    pub async fn cancel(&self) -> Result<(), Error> {
        self.engine.cancel(&self.id).await
    }

    /// Ends it without another line of its code: see [`Engine::terminate`].
    pub async fn terminate(&self, reason: impl Into<String>) -> Result<(), Error> {
        self.engine.terminate(&self.id, reason).await
    }
}

impl<O: DeserializeOwned> Handle<O> {
    /// Waits until it finishes or pauses. Dropping this future does not stop the execution.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`](crate::Error::Interrupted) when nothing drives it any more and no worker has taken it over: its
    /// driver has ended with its runtime, or the process that drove it has died.
    pub async fn wait(&self) -> Result<Execution<O>, Error> {
        let snapshot = self.engine.wait_settled(&self.id).await?;
        Execution::new(self.engine.clone(), snapshot)
    }
}

impl<O> Clone for Handle<O> {
    fn clone(&self) -> Self {
        Self::new(self.engine.clone(), self.id.clone())
    }
}

impl<O> fmt::Debug for Handle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("execution_id", &self.id)
            .finish_non_exhaustive()
    }
}
