//! What bodies returned when the store could not take it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::sync::lock;

/// The results of bodies that no store has, for a later resume in this process, by execution and call.
#[derive(Debug, Default)]
pub(crate) struct Salvage(Mutex<BTreeMap<ExecutionId, BTreeMap<EventSeq, Payload>>>);

impl Salvage {
    /// Keeps what bodies returned and the store could not take.
    pub(crate) fn keep(&self, id: &ExecutionId, results: Vec<(EventSeq, Payload)>) {
        if !results.is_empty() {
            let mut salvaged = lock(&self.0);
            salvaged.entry(id.clone()).or_default().extend(results);
        }
    }

    pub(crate) fn take(&self, id: &ExecutionId) -> BTreeMap<EventSeq, Payload> {
        lock(&self.0).remove(id).unwrap_or_default()
    }
}
