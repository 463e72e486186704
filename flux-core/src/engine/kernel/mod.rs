//! What everything else in the engine stands on: what one engine owns, and the words in which its parts speak.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::ledger::Ledger;
use self::waiters::Waiters;
use crate::clock::{Clock, Timekeeper};
use crate::context::shared::Environment;
use crate::error::Error;
use crate::execution::Snapshot;
use crate::id::{ExecutionId, WorkerId};
use crate::payload::Payload;
use crate::registry::Registry;
use crate::store::{ExecutionRecord, NewMessage, PostError, Store, StoreError};
use crate::task::States;

pub(crate) mod drivers;
pub(crate) mod driving;
pub(crate) mod input;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod message;
mod obstacle;
pub(crate) mod owner;
pub(crate) mod pausing;
pub(crate) mod present;
pub(crate) mod progress;
pub(crate) mod refuse;
mod salvage;
mod settings;
pub(crate) mod shield;
mod subscribers;
pub(crate) mod waiters;
pub(crate) mod write;

use self::drivers::Drivers;
use self::owner::Owner;
use self::present::LocalWorkers;
use self::salvage::Salvage;
pub(crate) use self::settings::EngineSettings;
use self::subscribers::Subscribers;

/// The wait before a store that failed is asked again.
pub(crate) const AFTER_FAULT: Duration = Duration::from_secs(1);

/// What one engine owns. All clones of an [`Engine`](crate::Engine) share it, and so does whatever works for them.
pub(crate) struct Kernel {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) registry: Registry,
    pub(crate) env: Arc<Environment>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Waits by the clock.
    pub(crate) time: Arc<Timekeeper>,
    pub(crate) settings: EngineSettings,
    owner: Owner,
    pub(crate) drivers: Arc<Drivers>,
    pub(crate) ledger: Ledger,
    pub(crate) waiters: Waiters,
    pub(crate) workers: Arc<LocalWorkers>,
    pub(crate) subscribers: Subscribers,
    pub(crate) salvage: Salvage,
}

impl Kernel {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        registry: Registry,
        states: States,
        settings: EngineSettings,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let environment = |engine: Weak<Self>| Environment {
            states,
            payload_limit: settings.payload_limit,
            defaults: settings.task,
            engine,
        };
        Arc::new_cyclic(|this| Self {
            store,
            registry,
            env: Arc::new(environment(Weak::clone(this))),
            time: Arc::new(Timekeeper::new(Arc::clone(&clock))),
            clock,
            settings,
            owner: Owner::default(),
            drivers: Arc::default(),
            ledger: Ledger::default(),
            waiters: Waiters::default(),
            workers: Arc::default(),
            subscribers: Subscribers::default(),
            salvage: Salvage::default(),
        })
    }

    /// Who this engine is to the store; registers it if it is nobody yet.
    pub(crate) async fn owner(&self) -> Result<WorkerId, StoreError> {
        self.owner.join(&*self.store).await
    }

    /// Who this engine is to the store; `None` for one that has only looked at it.
    pub(crate) fn owner_if_any(&self) -> Option<WorkerId> {
        self.owner.id()
    }

    /// How long an execution of this queue may wait in memory; `None` where nobody would wake it.
    pub(crate) fn idle_limit(&self, queue: Option<&Arc<str>>) -> Option<Duration> {
        let is_woken = self.workers.serve(queue);
        is_woken.then_some(self.settings.idle_after)
    }

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

    /// Puts a message into an execution's inbox.
    pub(crate) async fn post(&self, to: &ExecutionId, message: NewMessage) -> Result<(), Error> {
        match self.store.post(to, message).await {
            Ok(()) => Ok(()),
            Err(PostError::NotFound) => Err(self.not_found(to)),
            Err(PostError::Finished(status)) => Err(Error::AlreadyFinished {
                id: to.clone(),
                status,
            }),
            Err(PostError::Failed(error)) => Err(error.into()),
        }
    }

    pub(crate) fn check_size(
        &self,
        payload: &Payload,
        what: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        let (size, limit) = (payload.size(), self.settings.payload_limit);
        if size <= limit {
            return Ok(());
        }
        Err(Error::PayloadTooLarge {
            what: what(),
            size,
            limit,
        })
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("store", &self.store.describe())
            .finish_non_exhaustive()
    }
}
