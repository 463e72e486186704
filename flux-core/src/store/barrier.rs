//! What keeps a pending execution from starting although it is due.

use std::fmt;
use std::sync::Arc;

use super::Rate;
use crate::id::ExecutionId;

/// What keeps a pending execution that is due from starting, in a queue or before a gate: a limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Barrier {
    /// Its queue is paused.
    QueuePaused {
        /// The queue.
        queue: Arc<str>,
    },
    /// As many of its queue run as may at once.
    QueueFull {
        /// The queue.
        queue: Arc<str>,
        /// How many may run.
        limit: u32,
    },
    /// As many of its queue have started lately as its rate allows.
    QueueRate {
        /// The queue.
        queue: Arc<str>,
        /// How many may start in which time.
        rate: Rate,
    },
    /// As many of those it must not run beside run as may at once.
    GateFull {
        /// What they have in common.
        gate: Arc<str>,
        /// How many may run.
        limit: u32,
        /// The oldest of them.
        holder: ExecutionId,
    },
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueuePaused { queue } => write!(f, "its queue `{queue}` is paused"),
            Self::QueueFull { queue, limit } => {
                write!(f, "its queue `{queue}` is full: {limit} of {limit} run")
            }
            Self::QueueRate { queue, rate } => {
                let per = humantime::format_duration(rate.per);
                let count = rate.count;
                write!(
                    f,
                    "its queue `{queue}` has started {count} within {per}, as many as it may"
                )
            }
            Self::GateFull {
                gate,
                limit: 1,
                holder,
            } => write!(f, "execution `{holder}` holds `{gate}`"),
            Self::GateFull {
                gate,
                limit,
                holder,
            } => write!(
                f,
                "`{gate}` is full: {limit} of {limit} run, the oldest is `{holder}`"
            ),
        }
    }
}
