//! Queues: their limits, kept in the store so that every process obeys them.

use std::sync::Arc;
use std::time::Duration;

/// A queue as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits.
    pub settings: QueueSettings,
    /// How many executions wait in it.
    pub pending: u64,
    /// How many have started and not finished, paused ones among them: what `concurrency` limits.
    pub running: u64,
}

/// The limits of a queue. One that nobody has set has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSettings {
    /// How many may have started and not finished, all processes together.
    pub concurrency: Option<u32>,
    /// How many one worker may drive at once.
    pub per_worker: Option<u32>,
    /// How many may start in any span of time.
    pub rate: Option<Rate>,
    /// The field of the input that tells partitions apart, `tenant` or `order.customer`. Partitions take turns.
    pub partition_by: Option<Arc<str>>,
    /// Whether nothing is started from it for now.
    pub is_paused: bool,
}

/// So many starts in any span of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// The span, longer than zero.
    pub per: Duration,
}

/// What is to change about a queue; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// See [`QueueSettings::concurrency`]; `Some(None)` takes the limit away.
    pub concurrency: Option<Option<u32>>,
    /// See [`QueueSettings::per_worker`].
    pub per_worker: Option<Option<u32>>,
    /// See [`QueueSettings::rate`].
    pub rate: Option<Option<Rate>>,
    /// See [`QueueSettings::partition_by`]. Executions that are in the queue already keep their partition.
    pub partition_by: Option<Option<Arc<str>>>,
    /// See [`QueueSettings::is_paused`].
    pub is_paused: Option<bool>,
}

impl QueueChange {
    /// Applies it.
    pub fn apply(self, settings: &mut QueueSettings) {
        let Self {
            concurrency,
            per_worker,
            rate,
            partition_by,
            is_paused,
        } = self;
        settings.concurrency = concurrency.unwrap_or(settings.concurrency);
        settings.per_worker = per_worker.unwrap_or(settings.per_worker);
        settings.rate = rate.unwrap_or(settings.rate);
        if let Some(partition_by) = partition_by {
            settings.partition_by = partition_by;
        }
        settings.is_paused = is_paused.unwrap_or(settings.is_paused);
    }
}
