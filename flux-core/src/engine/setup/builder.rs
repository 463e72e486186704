//! `EngineBuilder`: a store, state, limits and defaults.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::default_store::DefaultStore;
use super::location::{StoreLocation, open_location};
use crate::clock::{Clock, SystemClock};
use crate::engine::Engine;
use crate::engine::kernel::{EngineSettings, Kernel};
use crate::engine::verb::workflow::Workflow;
use crate::error::Error;
use crate::registry::Registry;
use crate::retry::Backoff;
use crate::store::{Durability, MemoryStore, Store};
use crate::task::States;
use crate::workflow::WorkflowDef;

/// Builds an [`Engine`].
///
/// A builder that is told no store takes `$FLUX_STORE`, else the store that the nearest `flux.toml` names, else the file
/// `./flux.db`: see [`DefaultStore`](crate::DefaultStore).
#[must_use = "a builder does nothing until it is built"]
pub struct EngineBuilder {
    store: Choice,
    durability: Durability,
    stall_after: Option<Duration>,
    states: States,
    by_hand: Vec<&'static WorkflowDef>,
    settings: EngineSettings,
    clock: Arc<dyn Clock>,
}

/// Which store to use.
enum Choice {
    Default,
    Path(PathBuf),
    Shared(Arc<dyn Store>),
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            store: Choice::Default,
            durability: Durability::Full,
            stall_after: None,
            states: States::default(),
            by_hand: Vec::new(),
            settings: EngineSettings::default(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl EngineBuilder {
    /// Keeps everything in a SQLite file; it is created if there is none, directories included.
    pub fn sqlite(mut self, path: impl AsRef<Path>) -> Self {
        self.store = Choice::Path(path.as_ref().to_owned());
        self
    }

    /// Sets what a commit to a file survives. The default is [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long a worker of another process may live without showing that it runs, before its executions are
    /// taken over: a process that was stopped, a machine that does nothing but swap. The default is 60 s. Of a process
    /// that has died they are taken over at once.
    pub fn stall_after(mut self, span: Duration) -> Self {
        self.stall_after = Some(span);
        self
    }

    /// Opens the store only to look at it and to steer what others drive: nothing is created, its tables stay of the
    /// version they have, and nothing is written by opening. A store that is not there yet, or whose tables are older
    /// than this program, is an [`Error::Store`] that says the cure.
    ///
    /// The engine is not [listed](Engine::workers) as an owner until it first has to own something: to terminate what
    /// nobody drives, for example. It needs no [state](Self::state): [`build`](Self::build) checks none, since looking
    /// runs no body.
    pub fn onlooker(mut self) -> Self {
        self.settings.is_onlooker = true;
        self
    }

    /// Keeps everything in memory, for tests: it is gone with the engine.
    pub fn in_memory(self) -> Self {
        self.store(MemoryStore::new())
    }

    /// Uses a store of one's own.
    pub fn store(self, store: impl Store) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// Uses a store that other engines of this process use too.
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Choice::Shared(store);
        self
    }

    /// Gives tasks a dependency: a parameter `pool: State<PgPool>` is taken from `.state(pool)`.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(value);
        self
    }

    /// Registers a workflow by hand. They register themselves; this is for crates that nothing else refers to.
    pub fn register<I, O>(mut self, workflow: Workflow<I, O>) -> Self {
        self.by_hand.push(workflow.def());
        self
    }

    /// Limits the JSON of any one recorded value. The default is 8 MiB.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.settings.payload_limit = bytes;
        self
    }

    /// Sets how often a body may take its process with it before its outcome counts as unknown. The default is
    /// 10.
    pub fn max_recoveries(mut self, times: u32) -> Self {
        self.settings.max_recoveries = times;
        self
    }

    /// Sets how long an execution that only waits (for a timer, a signal, a retry) stays in memory while a
    /// [worker](Engine::worker) of this engine runs, which replays it when it is woken. The default is 5 s.
    pub fn idle_after(mut self, span: Duration) -> Self {
        self.settings.idle_after = span;
        self
    }

    /// Sets the attempts of tasks that do not say. The default is 1.
    pub fn default_task_attempts(mut self, attempts: u32) -> Self {
        self.settings.task.max_attempts = attempts.max(1);
        self
    }

    /// Sets the wait between attempts of tasks that do not say. The default is 1 s, doubled each time, at most
    /// 60 s.
    pub fn default_backoff(mut self, backoff: Backoff) -> Self {
        self.settings.task.backoff = backoff;
        self
    }

    /// Limits each attempt of tasks that do not say. The default is no limit.
    pub fn default_task_timeout(mut self, limit: Duration) -> Self {
        self.settings.task.timeout = Some(limit);
        self
    }

    /// Sets the attempts of workflows that do not say. The default is 1.
    pub fn default_workflow_attempts(mut self, attempts: u32) -> Self {
        self.settings.workflow_max_attempts = attempts.max(1);
        self
    }

    /// Sets how long code that was told by [`flux::cancelled`](crate::cancelled) may clean up before it is dropped. It
    /// counts from the moment the request was noted, also over a crash. The default is 30 s.
    pub fn cancel_window(mut self, window: Duration) -> Self {
        self.settings.cancel_window = window;
        self
    }

    /// Sets how long another attempt of a `blocking` task waits for the thread of an attempt whose time was up. A thread
    /// cannot be stopped from outside: one that has not returned by then is warned of once, and the next attempt begins
    /// beside it. The default is 10 s. What follows a timeout otherwise (a fallback, the error, the end of the execution)
    /// does not wait for the thread.
    pub fn blocking_patience(mut self, patience: Duration) -> Self {
        self.settings.blocking_patience = patience;
        self
    }

    /// Drops and replays the code before every activation: slow, and the sharpest test of a workflow's
    /// determinism there is.
    pub fn always_replay(mut self, always: bool) -> Self {
        self.settings.always_replay = always;
        self
    }

    /// Takes the time from another clock than the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens the store and checks that everything registered fits.
    ///
    /// # Errors
    ///
    /// [`Error::DuplicateWorkflow`], [`Error::MissingState`] (not of an [onlooker](Self::onlooker)) and whatever the
    /// store says.
    pub async fn build(self) -> Result<Engine, Error> {
        if !self.settings.is_onlooker {
            Registry::check_states(&self.states)?;
        }
        self.build_unchecked().await
    }

    pub(crate) async fn build_unchecked(self) -> Result<Engine, Error> {
        let registry = Registry::collect(&self.by_hand)?;
        let location = |place| StoreLocation {
            place,
            durability: self.durability,
            stall_after: self.stall_after,
            is_onlooker: self.settings.is_onlooker,
        };
        let store = match self.store {
            Choice::Default => open_location(location(DefaultStore::find()?.location)).await?,
            Choice::Path(path) => {
                open_location(location(path.to_string_lossy().into_owned())).await?
            }
            Choice::Shared(store) => store,
        };
        assemble(store, registry, self.states, self.settings, self.clock).await
    }
}

/// Makes an engine of its parts.
pub(super) async fn assemble(
    store: Arc<dyn Store>,
    registry: Registry,
    states: States,
    settings: EngineSettings,
    clock: Arc<dyn Clock>,
) -> Result<Engine, Error> {
    let kernel = Kernel::new(store, registry, states, settings, clock);
    if !settings.is_onlooker {
        kernel.owner().await?;
    }
    Ok(Engine { kernel })
}

impl IntoFuture for EngineBuilder {
    type Output = Result<Engine, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.build())
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}
