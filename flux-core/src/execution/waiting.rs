//! What an execution waits for, as it is kept in its row.

use serde::{Deserialize, Serialize};

use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;

/// A pause point that waits for a `resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausePoint {
    name: String,
    call: EventSeq,
    execution: ExecutionId,
    /// The workflows between the execution that was asked and the one that waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    path: Vec<String>,
    /// The type of the value it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wants: Option<String>,
}

impl PausePoint {
    pub(crate) fn new(
        name: &str,
        call: EventSeq,
        execution: ExecutionId,
        wants: Option<&str>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            call,
            execution,
            path: Vec::new(),
            wants: wants.map(str::to_owned),
        }
    }

    /// The same point, seen from the parent of its execution.
    pub(crate) fn seen_from_parent(&self, workflow: &str) -> Self {
        let mut point = self.clone();
        point.path.insert(0, workflow.to_owned());
        point
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the event that recorded it.
    pub fn event(&self) -> EventSeq {
        self.call
    }

    /// The execution that waits: the one asked, or a child of it.
    pub fn execution_id(&self) -> &ExecutionId {
        &self.execution
    }

    /// The names of the child workflows that lead to it; empty for the execution's own.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// The type of the value it wants; `None` where it wants none.
    pub fn wants(&self) -> Option<&str> {
        self.wants.as_deref()
    }

    /// Whether `name` names it: its own name, or that with its path, `child/review`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.full_name() == name
    }

    /// Its name with its path, `child/review`.
    pub fn full_name(&self) -> String {
        let mut parts = self.path.clone();
        parts.push(self.name.clone());
        parts.join("/")
    }
}

/// What an execution waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pauses: Vec<PausePoint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) signals: Vec<String>,
    /// It is paused while it cleans up after a cancellation: its driver stays, and ends it when its time is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) cleans_up: bool,
}

impl Waiting {
    pub(crate) fn read(payload: Option<&Payload>) -> Self {
        payload
            .and_then(|payload| payload.decode().ok())
            .unwrap_or_default()
    }

    pub(crate) fn to_payload(&self) -> Option<Payload> {
        let is_empty = self.pauses.is_empty() && self.signals.is_empty();
        if is_empty {
            None
        } else {
            Payload::encode(self).ok()
        }
    }
}
