//! Choosing which executions are listed.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::{ExecutionId, ExecutionKey};
use crate::status::Status;

/// The executions to list; by default the newest 50.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only these statuses; empty means all.
    pub statuses: Vec<Status>,
    /// Only this workflow.
    pub workflow: Option<Arc<str>>,
    /// Only the children of this execution.
    pub parent: Option<ExecutionId>,
    /// Only executions of this queue.
    pub queue: Option<Arc<str>>,
    /// Only executions that this schedule started.
    pub schedule: Option<Arc<str>>,
    /// Only executions with this tag.
    pub tag: Option<Arc<str>>,
    /// Only executions created at this time or later. A store may assume that executions were created in order of time,
    /// give or take a few minutes: if a clock was set back further, some may be missing.
    pub since: Option<Timestamp>,
    /// Only executions created before this one: the next page.
    pub before: Option<ExecutionKey>,
    /// At most this many.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            workflow: None,
            parent: None,
            queue: None,
            schedule: None,
            tag: None,
            since: None,
            before: None,
            limit: 50,
        }
    }
}
