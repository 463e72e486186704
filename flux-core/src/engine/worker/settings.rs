//! What a worker is told before it works.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// What a worker takes, and how it stops.
#[derive(Clone, Debug)]
pub(super) struct WorkerSettings {
    pub(super) queues: Option<BTreeSet<Arc<str>>>,
    pub(super) concurrency: usize,
    pub(super) grace: Duration,
}

impl WorkerSettings {
    /// A worker that may drive nothing would look like one that serves.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.concurrency > 0 {
            return Ok(());
        }
        Err(Error::InvalidInput {
            what: "concurrency of a worker".to_owned(),
            path: ".".to_owned(),
            message: "0 executions at once is nothing to do: at least 1, or no worker".to_owned(),
        })
    }
}
