//! The engine: what drives executions. A store, the registered workflows, injected state; tokio starts here.
//!
//! ```text
//!   setup ──► verb ◄── worker
//!               └──► driver ──┬──► undriven ──► ownership, history ──► kernel
//!                             └──► placement ────────────────────────────┘
//! ```
//!
//! A room names only those that its arrows lead to, at once or through others. Verbs and what is above them name [`Engine`].

use std::fmt;
use std::sync::Arc;

use self::kernel::Kernel;
use crate::clock::Timestamp;

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
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("store", &self.kernel.store.describe())
            .finish_non_exhaustive()
    }
}
