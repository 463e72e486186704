//! Reading executions: their rows, their histories, what they publish.

use serde::de::DeserializeOwned;

use crate::engine::Engine;
use crate::engine::history::reader::History;
use crate::engine::kernel::refuse::invalid;
use crate::error::Error;
use crate::event::Event;
use crate::execution::Execution;
use crate::id::{EventSeq, ExecutionId};

impl Engine {
    /// Reads an execution as it is now; its output is JSON. `my_workflow.get(id)` gives it its type.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn get(&self, id: impl Into<ExecutionId>) -> Result<Execution, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        Execution::new(self.clone(), self.kernel.snapshot(record).await?)
    }

    /// Reads a history, all of it, what was rewound included.
    ///
    /// # Errors
    ///
    /// [`Error::ExecutionNotFound`].
    pub async fn history(&self, id: impl Into<ExecutionId>) -> Result<Vec<Event>, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        let mut all = History::between(
            &self.kernel.store,
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

    /// Reads the value an execution last published under `key` with [`flux::publish`](crate::publish).
    pub async fn published<T: DeserializeOwned>(
        &self,
        id: impl Into<ExecutionId>,
        key: &str,
    ) -> Result<Option<T>, Error> {
        let id = id.into();
        let record = self.kernel.record(&id).await?;
        let Some(payload) = self.kernel.store.published(record.key, key).await? else {
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
