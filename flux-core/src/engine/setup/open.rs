//! Where engines come from: builders, files, memory, and the global one.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::OnceCell;

use super::builder::{EngineBuilder, assemble};
use crate::clock::SystemClock;
use crate::engine::Engine;
use crate::engine::kernel::EngineSettings;
use crate::error::Error;
use crate::registry::Registry;
use crate::store::{MemoryStore, Store};
use crate::task::States;

impl Engine {
    /// Opens an engine on a SQLite file; it is created if there is none, directories included.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], naming the file: foreign, truncated, of a newer Flux, not writable, and so on.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().sqlite(path).build_unchecked().await
    }

    /// Builds an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Returns the engine of workflows that are told none: on `$FLUX_STORE`, else on the store that the nearest
    /// `flux.toml` names, else on the file `./flux.db` ([`DefaultStore`](crate::DefaultStore)). It is opened on first use and kept until the
    /// process ends.
    ///
    /// In the body of a task such workflows use the engine that runs the body:
    /// [`TaskContext::engine`](crate::TaskContext::engine).
    pub async fn global() -> Result<Self, Error> {
        static GLOBAL: OnceCell<Engine> = OnceCell::const_new();
        GLOBAL
            .get_or_try_init(|| Self::builder().build_unchecked())
            .await
            .cloned()
    }

    /// An engine that keeps everything in memory, for tests: it is gone with the engine.
    ///
    /// # Panics
    ///
    /// When two registered workflows share a name and version; [`EngineBuilder::build`] gives an error.
    pub fn in_memory() -> Self {
        let settings = EngineSettings::default();
        let registry = Registry::collect(&[]).unwrap_or_else(|error| panic!("{error}"));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let engine = assemble(
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
}
