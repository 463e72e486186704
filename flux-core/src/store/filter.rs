//! Which executions are listed.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::execution::Status;
use crate::id::{ExecutionId, ExecutionKey};

/// Which executions to list; the default is the newest 50 of all.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only these statuses; empty means all.
    pub statuses: Vec<Status>,
    /// Only this workflow.
    pub workflow: Option<Arc<str>>,
    /// Only the children of this execution.
    pub parent: Option<ExecutionId>,
    /// Only those of this queue.
    pub queue: Option<Arc<str>>,
    /// Only those that this schedule started.
    pub schedule: Option<Arc<str>>,
    /// Only those with this tag.
    pub tag: Option<Arc<str>>,
    /// Only those created at this moment or later. A store may take it that executions were created in the order of
    /// their moments, but for a few minutes; where a clock was set back further, some may be missing.
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
