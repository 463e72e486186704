//! A clock that all processes of a round share, and that can be set ahead and back.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flux::clock::{Clock, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;

/// How late a sleeper notices that the clock was set.
const LOOK: Duration = Duration::from_millis(50);

/// Tells the system's time and what a file says that is to be added, in milliseconds.
#[derive(Clone, Debug)]
pub struct WallClock(PathBuf);

impl WallClock {
    pub fn of(file: PathBuf) -> Self {
        Self(file)
    }

    /// Sets the clocks of all processes ahead of the system's.
    pub fn set(file: &Path, ahead_ms: i64) {
        // Never half written.
        let new = file.with_extension("new");
        std::fs::write(&new, ahead_ms.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    fn ahead_ms(&self) -> i64 {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.parse().unwrap_or(0)
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::from(SystemTime::now());
        Timestamp::from_micros(now.as_micros() + 1000 * self.ahead_ms())
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        async move {
            loop {
                let left = moment.since(clock.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK)).await;
            }
        }
        .boxed()
    }
}
