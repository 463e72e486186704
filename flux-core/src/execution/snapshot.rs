//! An execution at one moment, before its output is decoded.

use super::{Obstacle, Status};
use crate::clock::Timestamp;
use crate::error::FailureData;
use crate::event::EventKind;
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::store::{ExecutionRecord, Store, StoreError};

/// The row of an execution and, where it has finished, what it came to.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: ExecutionRecord,
    pub(crate) output: Option<Payload>,
    /// The event that ended it.
    pub(crate) end: Option<EventSeq>,
    pub(crate) failure: Option<FailureData>,
    /// Why it was terminated.
    pub(crate) termination: Option<String>,
    /// A limit that keeps it from starting, while it is pending.
    pub(crate) limit: Option<Obstacle>,
}

impl Snapshot {
    pub(crate) fn unfinished(record: ExecutionRecord) -> Self {
        Self {
            record,
            output: None,
            end: None,
            failure: None,
            termination: None,
            limit: None,
        }
    }

    /// Reads what keeps it from starting, if it is pending and due `now`.
    pub(crate) async fn with_limit(
        mut self,
        store: &dyn Store,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let record = &self.record;
        let since = record.ready_at.filter(|ready| *ready <= now);
        let is_bound = record.placement.queue.is_some() || record.placement.gate.is_some();
        if let Some(since) = since.filter(|_| is_bound && record.status == Status::Pending) {
            let barrier = store.barrier(record.key, now).await?;
            self.limit = barrier.map(|barrier| Obstacle::limit(&barrier, since));
        }
        Ok(self)
    }

    /// Reads what a finished execution came to; its last event tells.
    pub(crate) async fn read(
        store: &dyn Store,
        record: ExecutionRecord,
    ) -> Result<Self, StoreError> {
        if !record.status.is_finished() {
            return Ok(Self::unfinished(record));
        }
        let last = store.last_event(record.key).await?;
        let mut snapshot = Self::unfinished(record);
        if let Some(event) = last {
            snapshot.end = Some(event.seq);
            match event.kind {
                EventKind::WorkflowCompleted => snapshot.output = event.payload,
                EventKind::WorkflowFailed => {
                    snapshot.failure = event.payload.and_then(|payload| payload.decode().ok());
                }
                EventKind::WorkflowTerminated => {
                    snapshot.termination = event.payload.and_then(|payload| payload.decode().ok());
                }
                _ => {}
            }
        }
        Ok(snapshot)
    }
}
