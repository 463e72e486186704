//! Workers: they drive what is ready, whoever started it.
//!
//! ```text
//!   dead owners, due timers, messages, queues ──► claim_ready ──► crew: one driver per execution
//!   schedules that are due ──────────────────────► fire ─────────► executions in the store
//!   store.changed(), calls of this process, a driver's end, the next due moment ──► the next round
//! ```

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::settings::WorkerSettings;
use crate::engine::Engine;
use crate::engine::kernel::present::Present;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;
use crate::store::WorkerRecord;

mod crew;
mod lookout;
mod quarantine;
mod rounds;
mod settings;

/// How many executions a worker drives at once unless told otherwise.
const CONCURRENCY: usize = 256;

/// How long bodies may go on when a worker stops, unless told otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// Looks after executions, whoever started them, until it is told to stop; what [`Engine::worker`] gives.
///
/// It takes over executions whose process died, wakes those whose timer, retry or signal has come, works off queues and
/// fires schedules. Any number of workers, in any number of processes, share one store: each execution is driven by
/// one of them at a time, and a limit holds for all of them together.
///
/// It takes only workflows, and versions of them, that are registered in its program; others wait for a worker that
/// has them. One whose code no longer matches its history is left alone as long as this program runs.
///
/// While a worker runs, executions of its engine that only wait leave memory after a while
/// ([`EngineBuilder::idle_after`](crate::EngineBuilder::idle_after)) and are replayed when they are woken.
#[derive(Clone)]
#[must_use = "a worker does nothing until `run_until` or `spawn`"]
pub struct Worker {
    engine: Engine,
    settings: WorkerSettings,
}

impl Engine {
    /// Returns the number of executions that this engine owned without driving them, and that its workers therefore
    /// released for the next worker. Anything but 0 is a fault of Flux: please report it.
    pub fn adopted(&self) -> u64 {
        self.kernel().ledger.adopted()
    }

    /// A worker on this engine's store: see [`Worker`].
    pub fn worker(&self) -> Worker {
        Worker {
            engine: self.clone(),
            settings: WorkerSettings {
                queues: None,
                concurrency: CONCURRENCY,
                grace: GRACE,
            },
        }
    }

    /// Lists who is registered on the store as an owner of executions: every engine that is open on it, and those
    /// that died and have not been cleared away yet.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Error> {
        Ok(self.kernel().store.workers().await?)
    }
}

impl Worker {
    /// Counts it among the workers of its engine.
    fn enter(&self) -> Present {
        let WorkerSettings {
            queues,
            concurrency,
            ..
        } = &self.settings;
        Present::enter(&self.engine.kernel().workers, queues.clone(), *concurrency)
    }

    /// Serves this queue, and of all queues only this one and others that are named so. Without any it serves all.
    /// What is in no queue is served by every worker.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        let queues = self.settings.queues.get_or_insert_default();
        queues.insert(name.into().into());
        self
    }

    /// Drives at most this many executions at once, and at least one. Those that only wait make room for others. The
    /// default is 256.
    pub fn concurrency(mut self, executions: usize) -> Self {
        self.settings.concurrency = executions;
        self
    }

    /// How long bodies that run may go on when the worker stops. The default is 10 s.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.settings.grace = limit;
        self
    }

    /// Works until `shutdown` resolves, then stops in order: it takes nothing more, lets bodies that run finish for
    /// as long as [`grace`](Self::grace) allows, drops the others, and gives everything up at once to whoever takes it.
    /// Nothing is lost by it, nor by dropping this future, which is a crash.
    ///
    /// # Errors
    ///
    /// Not those of executions, which are logged; [`Error::InsideWorkflow`], and [`Error::InvalidInput`] of a
    /// `concurrency` of 0.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        refuse_inside_workflow("engine.worker()", "start workers outside of workflows")?;
        self.settings.check()?;
        let (stop, stopping) = watch::channel(false);
        let present = self.enter();
        let work = rounds::work(
            Arc::clone(self.engine.kernel()),
            self.settings,
            stopping,
            present,
        );
        let work = std::pin::pin!(work);
        let shutdown = std::pin::pin!(shutdown);
        let mut work = match futures::future::select(work, shutdown).await {
            futures::future::Either::Left(((), _)) => return Ok(()),
            futures::future::Either::Right(((), work)) => work,
        };
        let _ = stop.send(true);
        work.as_mut().await;
        Ok(())
    }

    /// Works beside the rest of the program until it is told to [stop](RunningWorker::stop) or the program ends.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, and with a `concurrency` of 0.
    pub fn spawn(self) -> RunningWorker {
        if let Err(error) = self.settings.check() {
            panic!("{error}");
        }
        let (stop, stopping) = watch::channel(false);
        let present = self.enter();
        let work = rounds::work(
            Arc::clone(self.engine.kernel()),
            self.settings,
            stopping,
            present,
        );
        RunningWorker {
            stop,
            task: tokio::spawn(work),
        }
    }
}

/// A worker that works beside the rest of the program: see [`Worker::spawn`]. Dropping this lets it work on.
#[derive(Debug)]
pub struct RunningWorker {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningWorker {
    /// Stops it in order: see [`Worker::run_until`]. Returns when everything is given up.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a worker ended badly");
        }
    }
}

/// Resolves at Ctrl-C and, on Unix, at SIGTERM: the usual `shutdown` of [`Worker::run_until`].
///
/// From its first poll on, neither ends the process by itself.
pub async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        futures::future::select(std::pin::pin!(interrupt), std::pin::pin!(terminate)).await;
    }
    #[cfg(not(unix))]
    interrupt.await;
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("engine", &self.engine)
            .field("settings", &self.settings)
            .finish()
    }
}
