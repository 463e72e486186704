//! How many executions there are of what.

use std::sync::Arc;

use serde::Serialize;

use crate::status::Status;

/// How many executions of a workflow have a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkflowCount {
    /// The workflow's name.
    pub workflow: Arc<str>,
    /// Where they stand.
    pub status: Status,
    /// How many, all versions together; at least 1.
    pub count: u64,
}
