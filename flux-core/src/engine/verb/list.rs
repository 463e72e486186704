//! `list`: which executions there are.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use crate::engine::Engine;
use crate::error::Error;
use crate::execution::{Execution, Status};
use crate::id::ExecutionId;
use crate::store::{Filter, WorkflowCount};

/// A listing that is being described; await it. What [`Engine::list`] gives.
#[derive(Debug)]
#[must_use = "a listing does nothing until it is awaited"]
pub struct List {
    engine: Engine,
    filter: Filter,
    before: Option<ExecutionId>,
}

impl Engine {
    /// Lists executions, newest first: the newest 50 unless told otherwise.
    pub fn list(&self) -> List {
        List {
            engine: self.clone(),
            filter: Filter::default(),
            before: None,
        }
    }

    /// Counts the executions of each workflow, each status by itself: by name, then by status.
    pub async fn workflow_counts(&self) -> Result<Vec<WorkflowCount>, Error> {
        Ok(self.kernel().store.workflow_counts().await?)
    }
}

impl List {
    /// Only executions of this status; used several times, of any of these.
    pub fn status(mut self, status: Status) -> Self {
        self.filter.statuses.push(status);
        self
    }

    /// Only executions of this workflow.
    pub fn workflow(mut self, name: impl Into<String>) -> Self {
        self.filter.workflow = Some(name.into().into());
        self
    }

    /// Only the children of this execution.
    pub fn children_of(mut self, parent: impl Into<ExecutionId>) -> Self {
        self.filter.parent = Some(parent.into());
        self
    }

    /// Only executions that were put into this queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.filter.queue = Some(name.into().into());
        self
    }

    /// Only executions that this schedule started.
    pub fn schedule(mut self, id: impl Into<String>) -> Self {
        self.filter.schedule = Some(id.into().into());
        self
    }

    /// Only executions with this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.filter.tag = Some(tag.into().into());
        self
    }

    /// Only executions created at this moment or later.
    pub fn since(mut self, moment: SystemTime) -> Self {
        self.filter.since = Some(moment.into());
        self
    }

    /// At most this many.
    pub fn limit(mut self, count: usize) -> Self {
        self.filter.limit = count;
        self
    }

    /// Only executions created before this one: the next page, given the last of this.
    pub fn before(mut self, id: impl Into<ExecutionId>) -> Self {
        self.before = Some(id.into());
        self
    }

    async fn read(mut self) -> Result<Vec<Execution>, Error> {
        if let Some(before) = &self.before {
            self.filter.before = Some(self.engine.kernel.record(before).await?.key);
        }
        let records = self.engine.kernel.store.executions(self.filter).await?;
        let mut executions = Vec::with_capacity(records.len());
        for record in records {
            let snapshot = self.engine.kernel.snapshot(record).await?;
            executions.push(Execution::new(self.engine.clone(), snapshot)?);
        }
        Ok(executions)
    }
}

impl IntoFuture for List {
    type Output = Result<Vec<Execution>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}
