//! The engine: what drives executions. A store, the registered workflows, injected state; tokio starts here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::{Clock, SystemClock, Timekeeper, Timestamp};
use crate::context::current::{self, Current};
use crate::context::request::Policy;
use crate::context::shared::Environment;
use crate::error::Error;
use crate::event::Event;
use crate::execution::{Execution, Snapshot};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::registry::Registry;
use crate::store::{
    ExecutionRecord, MemoryStore, MessageKind, NewMessage, PostError, Store, StoreError,
};
use crate::sync::lock;
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
    inner: Arc<Inner>,
}

/// What a builder decides.
#[derive(Debug, Clone)]
pub(crate) struct EngineSettings {
    payload_limit: usize,
    max_recoveries: u32,
    idle_after: std::time::Duration,
    task: Policy,
    workflow_max_attempts: u32,
    cancel_window: Duration,
    blocking_patience: Duration,
    always_replay: bool,
    is_onlooker: bool,
}

pub(crate) struct Inner {
    owner: kernel::owner::Owner,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Registry,
    pub(crate) env: Arc<Environment>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Waits by the clock.
    pub(crate) time: Arc<Timekeeper>,
    pub(crate) max_recoveries: u32,
    pub(crate) idle_after: std::time::Duration,
    pub(crate) workflow_max_attempts: u32,
    pub(crate) cancel_window: Duration,
    pub(crate) blocking_patience: Duration,
    pub(crate) always_replay: bool,
    pub(crate) active: kernel::drivers::ActiveSet,
    pub(crate) ledger: ownership::Ledger,
    pub(crate) waiters: undriven::Waiters,
    pub(crate) workers: kernel::present::LocalWorkers,
    is_watching: AtomicBool,
    events: tokio::sync::broadcast::Sender<ExecutionId>,
    /// What bodies returned when the store could not take it, for a later resume in this process.
    salvaged: Mutex<BTreeMap<ExecutionId, BTreeMap<EventSeq, Payload>>>,
}

/// How many commits a subscriber may lag behind before it reads everything again.
const EVENT_BACKLOG: usize = 1024;

/// The wait before a store that failed is asked again.
const AFTER_FAULT: Duration = Duration::from_secs(1);

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
            &settings,
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
        settings: &EngineSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let environment = |engine: Weak<Inner>| Environment {
            states,
            payload_limit: settings.payload_limit,
            defaults: settings.task,
            engine,
        };
        let inner = Arc::new_cyclic(|this| Inner {
            owner: kernel::owner::Owner::default(),
            store,
            registry,
            env: Arc::new(environment(Weak::clone(this))),
            time: Arc::new(Timekeeper::new(Arc::clone(&clock))),
            clock,
            max_recoveries: settings.max_recoveries,
            idle_after: settings.idle_after,
            workflow_max_attempts: settings.workflow_max_attempts,
            cancel_window: settings.cancel_window,
            blocking_patience: settings.blocking_patience,
            always_replay: settings.always_replay,
            active: kernel::drivers::ActiveSet::default(),
            ledger: ownership::Ledger::default(),
            waiters: undriven::Waiters::default(),
            workers: kernel::present::LocalWorkers::default(),
            is_watching: AtomicBool::new(false),
            events: tokio::sync::broadcast::Sender::new(EVENT_BACKLOG),
            salvaged: Mutex::default(),
        });
        if !settings.is_onlooker {
            inner.owner().await?;
        }
        Ok(Self { inner })
    }

    pub(crate) fn of(inner: &Arc<Inner>) -> Self {
        Self {
            inner: Arc::clone(inner),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The names of the registered workflows.
    pub fn workflows(&self) -> Vec<String> {
        self.inner.registry.names()
    }

    /// Reads an execution as it is now; its output is JSON. `my_workflow.get(id)` gives it its type.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn get(&self, id: impl Into<ExecutionId>) -> Result<Execution, Error> {
        let id = id.into();
        let record = self.inner.record(&id).await?;
        Execution::new(self.clone(), self.inner.snapshot(record).await?)
    }

    /// Reads a history, all of it, what was rewound included.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn history(&self, id: impl Into<ExecutionId>) -> Result<Vec<Event>, Error> {
        let id = id.into();
        let record = self.inner.record(&id).await?;
        let mut all = history::reader::History::between(
            &self.inner.store,
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
        self.inner.check_size(&payload, what)?;
        let message = NewMessage {
            kind: MessageKind::Signal,
            name: name.into(),
            payload,
            dedup,
            at: self.inner.clock.now(),
        };
        match self.inner.store.post(&id, message).await {
            Ok(()) => {
                self.inner.active.notify_inbox(&id);
                Ok(())
            }
            Err(PostError::NotFound) => Err(self.inner.not_found(&id)),
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
        let record = self.inner.record(&id).await?;
        let Some(payload) = self.inner.store.published(record.key, key).await? else {
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

impl Inner {
    pub(crate) fn not_found(&self, id: &ExecutionId) -> Error {
        Error::ExecutionNotFound {
            id: id.clone(),
            store: self.store.describe(),
        }
    }

    pub(crate) async fn record(&self, id: &ExecutionId) -> Result<ExecutionRecord, Error> {
        self.store
            .execution(id)
            .await?
            .ok_or_else(|| self.not_found(id))
    }

    pub(crate) async fn snapshot(&self, record: ExecutionRecord) -> Result<Snapshot, StoreError> {
        let snapshot = Snapshot::read(&*self.store, record).await?;
        let now = self.clock.now();
        snapshot.with_limit(&*self.store, now).await
    }

    pub(crate) fn check_size(
        &self,
        payload: &Payload,
        what: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        let (size, limit) = (payload.size(), self.env.payload_limit);
        if size <= limit {
            return Ok(());
        }
        Err(Error::PayloadTooLarge {
            what: what(),
            size,
            limit,
        })
    }

    /// Tells subscribers that an execution has new events.
    pub(crate) fn notify_events(&self, id: &ExecutionId) {
        if self.events.receiver_count() > 0 {
            let _ = self.events.send(id.clone());
        }
    }

    /// Keeps what bodies returned and the store could not take.
    pub(crate) fn salvage(&self, id: &ExecutionId, results: Vec<(EventSeq, Payload)>) {
        if !results.is_empty() {
            let mut salvaged = lock(&self.salvaged);
            salvaged.entry(id.clone()).or_default().extend(results);
        }
    }

    pub(crate) fn take_salvaged(&self, id: &ExecutionId) -> BTreeMap<EventSeq, Payload> {
        let mut salvaged = lock(&self.salvaged);
        salvaged.remove(id).unwrap_or_default()
    }
}

/// An error where user code runs that would run again at every replay, or that holds the store.
pub(crate) fn refuse_inside_workflow(what: &str, cure: &str) -> Result<(), Error> {
    match current::code() {
        None | Some(Current::Body(_)) => Ok(()),
        Some(Current::Workflow(_)) => Err(Error::InsideWorkflow {
            what: what.to_owned(),
            cure: cure.to_owned(),
        }),
        Some(Current::Transaction) => Err(Error::InsideTransaction {
            what: what.to_owned(),
        }),
    }
}

pub(crate) fn invalid(what: String, error: crate::payload::PayloadError) -> Error {
    Error::InvalidInput {
        what,
        path: error.path,
        message: error.message,
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.inner.store.describe())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("store", &self.store.describe())
            .finish_non_exhaustive()
    }
}
