//! A clock that jumps: tokio's, so that a test that pauses it waits for nothing.

use std::time::SystemTime;

use flux::clock::{Clock, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

/// Tells the time by tokio's clock, exactly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokioClock {
    base: Timestamp,
    since: Instant,
}

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self {
            base: SystemTime::now().into(),
            since: Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.base.after(self.since.elapsed())
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let longest = std::time::Duration::from_secs(60 * 60 * 24 * 365);
        tokio::time::sleep(moment.since(self.now()).min(longest)).boxed()
    }
}
