//! What programs say of themselves to those who do not have their code: their workflows, and what their workers take.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::payload::Payload;
use std::ops::RangeInclusive;

/// A description that says what is written already is written again after this time, to show that it still holds.
const SEEN_EVERY: Duration = Duration::from_hours(1);

/// A workflow as a program that has its code describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its version.
    pub version: u32,
    /// What is said of it, as JSON; the engine writes and reads it.
    pub described: Payload,
    /// When a program last said so, to the hour.
    pub seen_at: Timestamp,
}

/// A workflow that a worker has code for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runnable {
    /// Its name.
    pub workflow: Arc<str>,
    /// The recorded versions that the code continues.
    pub versions: RangeInclusive<u32>,
}

/// What a worker takes; of several workers of one engine, what they take together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serves {
    /// The queues it serves; `None`: all of them. What is in no queue is served by every worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<BTreeSet<Arc<str>>>,
    /// How many executions it drives at once.
    pub concurrency: u32,
    /// What it has code for.
    pub code: Vec<Runnable>,
}

impl WorkflowDescription {
    /// Whether this is to be written over what is stored of the same workflow and version.
    pub fn replaces(&self, stored: &Self) -> bool {
        self.described != stored.described || stored.seen_at.after(SEEN_EVERY) <= self.seen_at
    }
}

impl Serves {
    /// Whether it takes executions of this workflow and version from this queue, or from none.
    pub fn takes(&self, workflow: &str, version: u32, queue: Option<&str>) -> bool {
        let serves = match (&self.queues, queue) {
            (Some(queues), Some(queue)) => queues.contains(queue),
            _ => true,
        };
        let runs =
            |code: &Runnable| *code.workflow == *workflow && code.versions.contains(&version);
        serves && self.code.iter().any(runs)
    }
}
