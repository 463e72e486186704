//! Queues: their limits and what is in them.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;
use crate::names::check_name;
use crate::store::{QueueChange, QueueRecord, QueueSettings, Rate};

/// A queue of executions that wait for a worker, and its limits; what [`Engine::queue`] gives.
///
/// A queue needs no making: [`queue("emails")`](crate::Start::queue) on a start is enough. Limits are kept in the
/// store: they hold for all workers of all processes together, survive restarts, and may be changed at any time. A
/// change is written when this is awaited, and says nothing about limits it does not name:
///
/// ```
/// # use flux::Engine;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # let engine = Engine::in_memory();
/// engine.queue("emails").concurrency(10).per_worker(4).rate("100/min").await?;
/// engine.queue("emails").concurrency(None).await?; // no limit any more; the others stay
/// assert_eq!(engine.queue("emails").info().await?.settings.per_worker, Some(4));
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a change of a queue's limits does nothing until it is awaited"]
pub struct Queue {
    engine: Engine,
    name: Arc<str>,
    change: QueueChange,
    refused: Option<Error>,
}

impl Engine {
    /// A queue by its name: see [`Queue`].
    pub fn queue(&self, name: impl Into<String>) -> Queue {
        Queue {
            engine: self.clone(),
            name: name.into().into(),
            change: QueueChange::default(),
            refused: None,
        }
    }

    /// Lists the queues that have limits or hold executions that have not finished.
    pub async fn queues(&self) -> Result<Vec<QueueRecord>, Error> {
        Ok(self.kernel().store.queues().await?)
    }
}

impl Queue {
    /// Limits how many of its executions may have started and not finished; paused and sleeping ones count. `None` takes
    /// the limit away. A limit of 0 is an [`Error::InvalidInput`] when this is awaited: a queue that starts nothing is
    /// [paused](Self::pause).
    pub fn concurrency(mut self, executions: impl Into<Option<u32>>) -> Self {
        self.change.concurrency = Some(self.limit("concurrency", executions.into()));
        self
    }

    /// Limits how many of its executions one worker drives at once; those that sleep do not count. `None` takes the limit
    /// away, and 0 is refused as in [`concurrency`](Self::concurrency).
    pub fn per_worker(mut self, executions: impl Into<Option<u32>>) -> Self {
        self.change.per_worker = Some(self.limit("per_worker", executions.into()));
        self
    }

    /// A limit that starts nothing is noted, and refused with the change.
    fn limit(&mut self, what: &str, executions: Option<u32>) -> Option<u32> {
        if executions == Some(0) {
            self.refuse(
                format!("limit `{what}` of queue `{}`", self.name),
                "a limit of 0 would start nothing: `pause()` the queue",
            );
        }
        executions
    }

    fn refuse(&mut self, what: String, message: impl Into<String>) {
        self.refused.get_or_insert(Error::InvalidInput {
            what,
            path: ".".to_owned(),
            message: message.into(),
        });
    }

    /// Limits how many of its executions may start in any span of time: `"100/min"`, `"5/s"`, `"1000/2h"`. A text that
    /// cannot be read is an [`Error::InvalidInput`] when this is awaited.
    pub fn rate(mut self, rate: &str) -> Self {
        match parse_rate(rate) {
            Ok(rate) => self.change.rate = Some(Some(rate)),
            Err(message) => {
                self.refuse(format!("rate `{rate}` of queue `{}`", self.name), message);
            }
        }
        self
    }

    /// Takes the limit of starts per span of time away.
    pub fn any_rate(mut self) -> Self {
        self.change.rate = Some(None);
        self
    }

    /// Lets executions take turns by a field of their input, `"tenant"` or `"order.customer"`, so that one with many
    /// in the queue does not keep the others waiting. It counts for executions that are put into the queue from now
    /// on. `None` ends it.
    pub fn partition_by_key<'a>(mut self, path: impl Into<Option<&'a str>>) -> Self {
        self.change.partition_by = Some(path.into().map(Arc::from));
        self
    }

    /// Starts nothing from it until it is resumed; what has started goes on.
    pub async fn pause(mut self) -> Result<(), Error> {
        self.change.is_paused = Some(true);
        self.await.map(drop)
    }

    /// Starts executions from it again.
    pub async fn resume(mut self) -> Result<(), Error> {
        self.change.is_paused = Some(false);
        self.await.map(drop)
    }

    /// Reads its limits and how many executions wait in it and run.
    pub async fn info(self) -> Result<QueueRecord, Error> {
        let queues = self.engine.kernel().store.queues().await?;
        let found = queues.into_iter().find(|queue| queue.name == self.name);
        Ok(found.unwrap_or_else(|| QueueRecord {
            name: self.name,
            ..QueueRecord::default()
        }))
    }

    async fn change(self) -> Result<QueueSettings, Error> {
        refuse_inside_workflow("engine.queue(..)", "change queues from outside")?;
        check_name("name of a queue", Some(&self.name))?;
        if let Some(error) = self.refused {
            return Err(error);
        }
        let kernel = self.engine.kernel();
        let settings = kernel.store.set_queue(&self.name, self.change).await?;
        kernel.workers.call();
        Ok(settings)
    }
}

impl IntoFuture for Queue {
    type Output = Result<QueueSettings, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.change())
    }
}

/// Reads `100/min`: a count and a span, which may leave out its 1.
fn parse_rate(text: &str) -> Result<Rate, String> {
    let cure = "a rate reads as `100/min`, `5/s` or `1000/2h`";
    let (count, per) = text.split_once('/').ok_or(cure)?;
    let count = count.trim().replace('_', "").parse().map_err(|_| cure)?;
    let per = per.trim();
    let per = if per.starts_with(|c: char| c.is_ascii_digit()) {
        per.to_owned()
    } else {
        format!("1{per}")
    };
    let per: Duration =
        humantime::parse_duration(&per).map_err(|error| format!("{cure}: {error}"))?;
    if count == 0 {
        return Err("a rate of none would start nothing: `pause()` the queue".to_owned());
    }
    if per.is_zero() {
        return Err("its span is empty".to_owned());
    }
    Ok(Rate { count, per })
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .field("change", &self.change)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_count_in_a_span() {
        let rate = |count, seconds| {
            Ok(Rate {
                count,
                per: Duration::from_secs(seconds),
            })
        };
        for (text, wanted) in [
            ("100/min", rate(100, 60)),
            ("5/s", rate(5, 1)),
            ("1_000 / 2h", rate(1000, 7200)),
            ("3/1m30s", rate(3, 90)),
        ] {
            assert_eq!(parse_rate(text), wanted, "{text}");
        }
        for text in [
            "",
            "100",
            "/min",
            "0/min",
            "5/",
            "5/fortnight",
            "-1/s",
            "5/0s",
        ] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
