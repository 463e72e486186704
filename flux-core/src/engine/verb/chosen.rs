//! Which engine a start, a resume or a read uses.
//!
//! The one it was told; else, where it is made or awaited in a body, the one that runs the body; else the global one. A body
//! that started something on the global engine instead would write it into another store than its own.

use std::any::Any;
use std::sync::{Arc, Weak};

use crate::context::current::{self, Current};
use crate::context::{TaskContext, shared::Environment};
use crate::engine::Engine;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;

/// The engine that something uses.
#[derive(Clone)]
pub(crate) enum Chosen {
    /// It was told.
    Told(Engine),
    /// It was made in a body, of this engine.
    Body(WeakEngine),
    /// It was made in a workflow, which may only hand it to a body.
    Workflow(WeakEngine),
    /// It was made anywhere else.
    Global,
}

/// The engine that runs some code, which does not keep it open.
#[derive(Clone)]
pub(crate) struct WeakEngine(Weak<dyn Any + Send + Sync>);

impl Chosen {
    /// Chooses where it is made.
    pub(crate) fn here(told: Option<Engine>) -> Self {
        match (told, current::code()) {
            (Some(engine), _) => Self::Told(engine),
            (None, Some(Current::Body(body))) => Self::Body(WeakEngine::of(&body.env)),
            (None, Some(Current::Workflow(shared))) => Self::Workflow(WeakEngine::of(&shared.env)),
            (None, Some(Current::Transaction) | None) => Self::Global,
        }
    }

    /// The engine, to change something on it: an error where that would happen again at every replay.
    pub(crate) async fn for_change(self, what: &str, cure: &str) -> Result<Engine, Error> {
        refuse_inside_workflow(what, cure)?;
        if matches!(self, Self::Workflow(_)) && current::body().is_none() {
            return Err(Error::InsideWorkflow {
                what: what.to_owned(),
                cure: cure.to_owned(),
            });
        }
        self.for_reading().await
    }

    /// The engine, to read what it has.
    pub(crate) async fn for_reading(self) -> Result<Engine, Error> {
        match (self, current::code()) {
            (Self::Told(engine), _) => Ok(engine),
            (_, Some(Current::Body(body))) => WeakEngine::of(&body.env).engine(),
            (_, Some(Current::Workflow(shared))) => WeakEngine::of(&shared.env).engine(),
            (Self::Body(running) | Self::Workflow(running), _) => running.engine(),
            (Self::Global, Some(Current::Transaction) | None) => Engine::global().await,
        }
    }
}

impl WeakEngine {
    fn of(env: &Environment) -> Self {
        Self(Weak::clone(&env.engine))
    }

    fn engine(&self) -> Result<Engine, Error> {
        let kernel = self.0.upgrade();
        let kernel = kernel.and_then(|engine| Arc::downcast::<Kernel>(engine).ok());
        kernel.map(|kernel| Engine::of(&kernel)).ok_or_else(|| {
            Error::Configuration("the engine that ran this code has been closed".to_owned())
        })
    }
}

impl TaskContext {
    /// The engine that runs this body. Workflows that a body starts without [`on`](crate::Workflow::on) use it anyway; it is for
    /// what needs an engine, such as [`Engine::signal`], and for what the body spawns.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] when the engine has been closed, of which only what outlives the body can hear.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flux::{ExecutionContext, TaskError, task, workflow};
    /// #[task]
    /// async fn tell(id: String) -> Result<(), flux::Error> {
    ///     let context = flux::task_context().expect("a workflow calls it");
    ///     context.engine()?.signal(id, "news", "it has begun").await
    /// }
    ///
    /// #[workflow]
    /// async fn listen(ctx: ExecutionContext) -> Result<String, TaskError> {
    ///     tell(ctx.execution_id().to_string()).await?;
    ///     Ok(flux::signal("news").await)
    /// }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// let run = listen.on(&flux::Engine::in_memory()).run(()).await?;
    /// assert_eq!(run.output().unwrap(), "it has begun");
    /// # Ok(()) }
    /// ```
    pub fn engine(&self) -> Result<Engine, Error> {
        WeakEngine::of(self.environment()).engine()
    }
}
