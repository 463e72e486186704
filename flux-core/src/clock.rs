//! Time: the only place where the real clock enters.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970 (UTC), as it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Wraps microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since 1970.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// The moment `duration` after this one, or the last one there is.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// The moment `duration` before this one, or the first one there is.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(0).after(since),
            Err(before) => {
                let micros = i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX);
                Self(-micros)
            }
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        let span = Duration::from_micros(timestamp.0.unsigned_abs());
        let moment = if timestamp.0 >= 0 {
            UNIX_EPOCH.checked_add(span)
        } else {
            UNIX_EPOCH.checked_sub(span)
        };
        moment.unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `humantime` prints the years 1970 to 9999; a sleep "for ever" lies beyond them.
        if (0..253_402_300_800_000_000).contains(&self.0) {
            humantime::format_rfc3339_micros(SystemTime::from(*self)).fmt(f)
        } else {
            write!(f, "{} microseconds since 1970", self.0)
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Timestamp {
    /// The system's time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the real clock enters"
    )]
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }
}

/// Where an engine takes the time from. The default is [`SystemClock`].
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Resolves when `moment` has come.
    fn sleep_until(&self, moment: Timestamp) -> futures::future::BoxFuture<'static, ()>;
}

/// The system's clock, moved along with tokio's: in a test that pauses tokio's clock, durable timers jump as
/// tokio's own do.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Tokio's clock differs from the system's by more than this only where a test has paused it.
const SAME: Duration = Duration::from_millis(1);

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the real clock enters"
    )]
    fn now(&self) -> Timestamp {
        let tokio = tokio::time::Instant::now().into_std();
        let system = std::time::Instant::now();
        let now = Timestamp::now();
        let (ahead, behind) = (
            tokio.saturating_duration_since(system),
            system.saturating_duration_since(tokio),
        );
        if ahead > SAME {
            now.after(ahead)
        } else if behind > SAME {
            now.before(behind)
        } else {
            now
        }
    }

    fn sleep_until(&self, moment: Timestamp) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(moment.since(self.now())))
    }
}
