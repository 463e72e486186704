//! Where and when a new execution waits for its turn.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::id::ExecutionId;

/// What a new execution is bound to besides its code: a queue, a moment, others that it must not run beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The queue it waits in.
    pub queue: Option<Arc<str>>,
    /// Which of the queue's partitions it belongs to.
    pub partition: Option<Arc<str>>,
    /// Those of a higher priority go first.
    pub priority: i32,
    /// It does not start before this moment.
    pub due: Option<Timestamp>,
    /// `due` was asked for as a length of time, not as a moment.
    pub is_delay: bool,
    /// What limits how many like it run at once.
    pub gate: Option<Gate>,
    /// No two unfinished executions have the same.
    pub dedup: Option<Arc<str>>,
    /// The schedule that started it.
    pub schedule: Option<Arc<str>>,
    /// The moment that the schedule started it for.
    pub scheduled_at: Option<Timestamp>,
    /// Words to find it by.
    pub tags: Vec<Arc<str>>,
}

/// Lets a number of executions with the same key run at once: those that have started and not finished, paused
/// ones among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// What they have in common.
    pub key: Arc<str>,
    /// How many may be inside, at least 1.
    pub limit: u32,
    /// A full gate refuses a new execution as [`Full`](super::CommitError::Full); otherwise a `Pending` one waits
    /// before it. One that is to run at once is refused either way, also while others wait. One that is not due yet
    /// does not wait: it is in nobody's way until a worker finds it due.
    pub refuses: bool,
}

impl Placement {
    /// Whether nothing but limits keeps it from starting. That it was created at a time that is to come, before the clock was
    /// set back, does not.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

/// Somebody who is in the way of a new execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// The oldest execution inside the gate or, with nobody inside, one that waits before it; or the one that has the
    /// dedup key.
    pub holder: ExecutionId,
}
