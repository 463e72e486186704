//! A store that outlives engines, and the crashes of those.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use flux::sqlite::SqliteStore;
use flux::store::{ExecutionRecord, MemoryStore, Store};
use flux::{Engine, EngineBuilder, ExecutionId};

use super::edits::Edit;
use super::watched::{Step, Watched};
use super::{Greeter, TokioClock};

/// On which side of a commit the world stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    BeforeCommit,
    AfterCommit,
}

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The store says so, and wrote nothing.
    NothingWritten,
    /// Somebody else owns the execution by now.
    TakenOver,
    /// The store does not know, and wrote it.
    UnknownAndWritten,
    /// The store does not know, and did not write it.
    UnknownAndLost,
    /// The store panics, and wrote nothing.
    Panics,
}

/// A store that several engines use, one after the other or at once.
pub(crate) struct Shelf {
    store: Arc<Watched>,
    is_sqlite: bool,
    always_replay: bool,
    clock: OnceLock<TokioClock>,
    folder: Option<tempfile::TempDir>,
}

impl Shelf {
    pub(crate) fn memory() -> Self {
        Self {
            store: Watched::new(Arc::new(MemoryStore::new())),
            is_sqlite: false,
            always_replay: false,
            clock: OnceLock::new(),
            folder: None,
        }
    }

    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteStore::open(folder.path().join("flux.db"));
        let store: Arc<dyn Store> = Arc::new(file.await.unwrap());
        Self {
            store: Watched::new(store),
            is_sqlite: true,
            always_replay: false,
            clock: OnceLock::new(),
            folder: Some(folder),
        }
    }

    /// One of each kind.
    pub(crate) async fn each() -> [Self; 2] {
        [Self::memory(), Self::sqlite().await]
    }

    /// In memory, in a file, and once more with engines that replay before every activation.
    pub(crate) async fn every_way() -> [Self; 3] {
        [
            Self::memory(),
            Self::sqlite().await,
            Self::memory().always_replay(),
        ]
    }

    /// Its engines drop and replay the code before every activation.
    pub(crate) fn always_replay(mut self) -> Self {
        self.always_replay = true;
        self
    }

    /// Builds an engine as these tests need it; in memory it tells the time by tokio's clock.
    pub(crate) fn builder(&self) -> EngineBuilder {
        let store: Arc<dyn Store> = Arc::clone(&self.store) as _;
        let builder = Engine::builder()
            .shared_store(store)
            .state(Greeter { word: "hello" });
        let builder = if self.always_replay {
            builder.always_replay(true)
        } else {
            builder
        };
        if self.is_sqlite {
            builder
        } else {
            builder.clock(*self.clock.get_or_init(TokioClock::new))
        }
    }

    /// An engine, as a fresh process would have it.
    pub(crate) async fn engine(&self) -> Engine {
        self.builder().build().await.unwrap()
    }

    /// How many commits there were so far.
    pub(crate) fn commits(&self) -> usize {
        self.store.commits()
    }

    /// How often anybody wanted to change anything so far, by a commit or otherwise.
    pub(crate) fn writes(&self) -> usize {
        self.store.writes()
    }

    /// What it keeps, for a test that writes to it as another process would.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as _
    }

    /// How often anybody read a history so far, and how many events that gave, in all.
    pub(crate) fn reads(&self) -> usize {
        self.store.reads()
    }

    /// What workers have done since the last call, in order.
    pub(crate) fn take_steps(&self) -> Vec<Step> {
        self.store.take_steps()
    }

    /// How many messages anybody read so far.
    pub(crate) fn messages_read(&self) -> usize {
        self.store.messages_read()
    }

    /// The row of an execution.
    pub(crate) async fn row(&self, id: &ExecutionId) -> ExecutionRecord {
        self.store.execution(id).await.unwrap().unwrap()
    }

    /// Stops the world at the given commit, counted from 1 from now.
    pub(crate) fn stop_at(&self, number: usize, when: When) {
        self.store.stop_at(Some((number, when)));
    }

    /// Lets the given commit fail, counted from 1 from now.
    pub(crate) fn fail_at(&self, number: usize, fault: Fault) {
        self.store.fail_at(number, fault);
    }

    /// Lets so many releases fail.
    pub(crate) fn fail_releases(&self, count: usize) {
        self.store.fail_releases(count);
    }

    /// What is read from here on was written by a build with these lines.
    pub(crate) fn was_written_with(&self, edit: Edit) {
        self.store.was_written_with(edit);
    }

    /// Lets commits pass again.
    pub(crate) fn go_on(&self) {
        self.store.stop_at(None);
    }

    /// Runs `work` until it ends or the world stops; then it is dropped, as by a crash.
    pub(crate) async fn crash<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.store.until_stopped() => None,
        }
    }

    /// Waits until every engine is gone, with all that it drove.
    pub(crate) async fn nobody_is_left(&self) {
        self.store.until_nobody_is_left().await;
    }
}

impl Drop for Shelf {
    /// Whatever a test does to its executions, the file it leaves is sound.
    fn drop(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| !std::thread::panicking()) else {
            return;
        };
        let file = folder.path().join("flux.db");
        let maintenance = flux_core::maintain(file.to_str()).unwrap();
        let problems = futures::executor::block_on(maintenance.check()).unwrap();
        assert!(problems.is_empty(), "{problems:#?}");
    }
}
