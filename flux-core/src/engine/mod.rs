//! The engine: what drives executions. A store, the registered workflows, injected state; tokio starts here.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::kernel::refuse::{invalid, refuse_inside_workflow};
use self::kernel::{EngineSettings, Kernel};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::Error;
use crate::event::Event;
use crate::execution::Execution;
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::registry::Registry;
use crate::store::{MemoryStore, MessageKind, NewMessage, PostError, Store};
use crate::task::States;

pub(crate) mod driver;
pub(crate) mod history;
pub(crate) mod kernel;
pub(crate) mod ownership;
mod placement;
mod setup;
mod undriven;
mod verb;
mod worker;

pub use setup::{
    Backend, DefaultStore, EngineBuilder, NamedBy, Opening, SettingsError, StoreLocation, maintain,
};
pub use verb::{
    Events, List, NewSchedule, OnEngine, Queue, Recovered, ReleaseKind, Replayed, Resume, Run,
    Schedule, SlotRelease, Start, Workflow,
};
pub use worker::{RunningWorker, Worker, shutdown_signal};

/// Drives executions: it holds a store, the registered workflows and the injected state.
///
/// Cheap to clone; all clones are one engine. Workflows that are not told an engine use the global one
/// ([`Engine::global`]).
#[derive(Clone)]
pub struct Engine {
    kernel: Arc<Kernel>,
}

impl Engine {
    /// An engine that keeps everything in memory, for tests: it is gone with the engine.
    ///
    /// # Panics
    ///
    /// When two registered workflows share a name and version; [`EngineBuilder::build`] gives an error.
    pub fn in_memory() -> Self {
        let settings = EngineSettings::default();
        let registry = Registry::collect(&[]).unwrap_or_else(|error| panic!("{error}"));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = Self::assemble(
            store,
            registry,
            States::default(),
            settings,
            Arc::new(SystemClock),
        );
        engine
            .now_or_never()
            .expect("the memory store never waits")
            .expect("the memory store never fails")
    }

    pub(crate) async fn assemble(
        store: Arc<dyn Store>,
        registry: Registry,
        states: States,
        settings: EngineSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let kernel = Kernel::new(store, registry, states, settings, clock);
        if !settings.is_onlooker {
            kernel.owner().await?;
        }
        Ok(Self { kernel })
    }

    pub(crate) fn of(kernel: &Arc<Kernel>) -> Self {
        Self {
            kernel: Arc::clone(kernel),
        }
    }

    pub(crate) fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.kernel.clock.now()
    }

    /// The names of the registered workflows.
    pub fn workflows(&self) -> Vec<String> {
        self.kernel.registry.names()
    }

    /// Reads an execution as it is now; its output is JSON. `my_workflow.get(id)` gives it its type.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn get(&self, id: impl Into<ExecutionId>) -> Result<Execution, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        Execution::new(self.clone(), self.kernel.snapshot(record).await?)
    }

    /// Reads a history, all of it, what was rewound included.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn history(&self, id: impl Into<ExecutionId>) -> Result<Vec<Event>, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        let mut all = history::reader::History::between(
            &self.kernel.store,
            record.key,
            EventSeq::FIRST,
            EventSeq::MAX,
        );
        let mut events = Vec::new();
        while let Some(event) = all.next_event().await? {
            events.push(event);
        }
        Ok(events)
    }

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
        value: Result<Payload, crate::payload::PayloadError>,
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
            at: self.kernel.clock.now(),
        };
        match self.kernel.store.post(&id, message).await {
            Ok(()) => {
                self.kernel.drivers.notify_inbox(&id);
                Ok(())
            }
            Err(PostError::NotFound) => Err(self.kernel.not_found(&id)),
            Err(PostError::Finished(status)) => Err(Error::AlreadyFinished { id, status }),
            Err(PostError::Failed(error)) => Err(error.into()),
        }
    }

    /// Reads the value an execution last published under `key` with [`flux::publish`](crate::publish).
    pub async fn published<T: DeserializeOwned>(
        &self,
        id: impl Into<ExecutionId>,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        let Some(payload) = self.kernel.store.published(record.key, key).await? else {
            return Ok(None);
        };
        let value = payload.decode();
        value.map(Some).map_err(|error| {
            invalid(
                format!("type for the published value `{key}` of execution `{id}`"),
                error,
            )
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.kernel.store.describe())
            .finish_non_exhaustive()
    }
}
