//! `Workflow`: the value that a `#[workflow]` function becomes.

use std::fmt;
use std::marker::PhantomData;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::chosen::Chosen;
use super::resume::Resume;
use super::start::{Run, Start};
use crate::context::{ChildCall, child_call};
use crate::engine::Engine;
use crate::engine::placement::stand_in::Named;
use crate::error::Error;
use crate::execution::Execution;
use crate::id::ExecutionId;
use crate::registry::check_workflow;
use crate::workflow::WorkflowDef;

/// A workflow: what a `#[workflow]` function becomes.
///
/// It is a `static` of the function's name, so no variable or parameter in its module can have that name:
/// name workflows by verbs (`place_order`, not `order`). That goes for variables of macros as well: beside a workflow called
/// `output` no `tokio::select!` compiles.
pub struct Workflow<I, O> {
    def: &'static WorkflowDef,
    _types: PhantomData<fn(I) -> O>,
}

/// A workflow on an engine of one's choice: what [`Workflow::on`] gives.
pub struct OnEngine<I, O> {
    workflow: Workflow<I, O>,
    engine: Engine,
}

impl<I, O> Workflow<I, O> {
    #[doc(hidden)]
    pub const fn private_new(def: &'static WorkflowDef) -> Self {
        Self {
            def,
            _types: PhantomData,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.def.name
    }

    /// Its version.
    pub fn version(&self) -> u32 {
        self.def.version
    }

    pub(crate) fn def(self) -> &'static WorkflowDef {
        self.def
    }

    /// Chooses the engine. Without it the global one is used, and in a task's body the one that runs it.
    pub fn on(&self, engine: &Engine) -> OnEngine<I, O> {
        OnEngine {
            workflow: *self,
            engine: engine.clone(),
        }
    }
}

impl<I: Serialize, O: DeserializeOwned + 'static> Workflow<I, O> {
    /// Runs the workflow until it finishes or pauses; waits through timers, retries and signals.
    ///
    /// A workflow that failed is `Ok` with [`has_failed`](Execution::has_failed). Dropping the future is a crash and
    /// no more: the execution is resumable. With [`execution_id`](Run::execution_id) it is an idempotent start.
    ///
    /// # Errors
    ///
    /// Only where Flux itself failed: see [`Error`].
    pub fn run(&self, input: I) -> Run<O> {
        Run::new(None, self.def, &input)
    }

    /// Starts the workflow and returns once the start is durable; it continues by itself.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it resolves, the execution may have been started or not; if it was, it continues
    /// by itself. A start with an [`execution_id`](Start::execution_id) can be repeated.
    pub fn start(&self, input: I) -> Start<O> {
        Start::new(None, Named::Code(self.def), &input)
    }

    /// Starts the workflow at a moment: until then the execution is `Pending`, and then a
    /// [worker](Engine::worker) starts it. Returns once that is durable.
    pub fn start_at(&self, input: I, moment: SystemTime) -> Start<O> {
        self.start(input).at(moment)
    }

    /// Calls the workflow from inside another: a child execution, awaited like a task.
    #[track_caller]
    pub fn call(&self, input: I) -> ChildCall<O> {
        child_call(self.def, &input)
    }
}

impl<I, O: DeserializeOwned + 'static> Workflow<I, O> {
    /// Goes on with an execution: see [`Resume`].
    pub fn resume(&self, id: impl Into<ExecutionId>) -> Resume<O> {
        Resume::new(None, Some(self.def), id.into())
    }

    /// Reads an execution of this workflow as it is now.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`], [`Error::WorkflowMismatch`].
    pub async fn get(&self, id: impl Into<ExecutionId>) -> Result<Execution<O>, Error> {
        let engine = Chosen::here(None).for_reading().await?;
        self.get_on(&engine, id.into()).await
    }

    async fn get_on(&self, engine: &Engine, id: ExecutionId) -> Result<Execution<O>, Error> {
        let record = engine.kernel().record(&id).await?;
        check_workflow(self.def, &record)?;
        Execution::new(engine.clone(), engine.kernel().snapshot(record).await?)
    }
}

impl<I: Serialize, O: DeserializeOwned + 'static> OnEngine<I, O> {
    /// As [`Workflow::run`].
    pub fn run(&self, input: I) -> Run<O> {
        Run::new(Some(self.engine.clone()), self.workflow.def, &input)
    }

    /// As [`Workflow::start`].
    pub fn start(&self, input: I) -> Start<O> {
        let workflow = Named::Code(self.workflow.def);
        Start::new(Some(self.engine.clone()), workflow, &input)
    }

    /// As [`Workflow::start_at`].
    pub fn start_at(&self, input: I, moment: SystemTime) -> Start<O> {
        self.start(input).at(moment)
    }
}

impl<I, O: DeserializeOwned + 'static> OnEngine<I, O> {
    /// As [`Workflow::resume`].
    pub fn resume(&self, id: impl Into<ExecutionId>) -> Resume<O> {
        Resume::new(
            Some(self.engine.clone()),
            Some(self.workflow.def),
            id.into(),
        )
    }

    /// As [`Workflow::get`].
    pub async fn get(&self, id: impl Into<ExecutionId>) -> Result<Execution<O>, Error> {
        self.workflow.get_on(&self.engine, id.into()).await
    }
}

impl<I, O> Clone for Workflow<I, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I, O> Copy for Workflow<I, O> {}

impl<I, O> fmt::Debug for Workflow<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workflow")
            .field("name", &self.def.name)
            .field("version", &self.def.version)
            .finish()
    }
}

impl<I, O> fmt::Debug for OnEngine<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnEngine")
            .field("workflow", &self.workflow)
            .field("engine", &self.engine)
            .finish()
    }
}
