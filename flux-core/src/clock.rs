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

/// The system's clock. Waiting is tokio's, so that a test that pauses tokio's clock pauses this too.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The longest single wait: tokio's timers end somewhere, and the wall clock may be set meanwhile.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep_until(&self, moment: Timestamp) -> futures::future::BoxFuture<'static, ()> {
        let wait = moment.since(Timestamp::now()).min(LONGEST_WAIT);
        Box::pin(tokio::time::sleep(wait))
    }
}
