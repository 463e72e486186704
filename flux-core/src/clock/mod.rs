//! Time: the only place where the real clock enters.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::time::micros;

mod keeper;

pub(crate) use keeper::{Steady, Timekeeper};

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
        Self(self.0.saturating_add(micros(duration)))
    }

    /// The moment `duration` before this one, or the first one there is.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
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
            Err(before) => Self(-micros(before.duration())),
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

/// A clock as it was read. It still tells the time later, on threads that cannot ask the clock.
///
/// A store needs this: it decides what may start inside a transaction, for whose lock the process may have waited, and
/// a start has the time of its transaction. A time read before would let a start seem earlier than one that came
/// before it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Timestamp,
    /// The clock shows the system's time, which can be read anywhere.
    is_system: bool,
    system: std::time::Instant,
    tokio: tokio::time::Instant,
}

impl Reading {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the real clock enters"
    )]
    fn take(read: impl FnOnce() -> (Timestamp, bool)) -> Self {
        // First, so that the time that passes from here on is not lost.
        let (system, tokio) = (std::time::Instant::now(), tokio::time::Instant::now());
        let (at, is_system) = read();
        Self {
            at,
            is_system,
            system,
            tokio,
        }
    }

    /// The time that was read.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The present time: that of the system, or of a clock that has gone on since as the system's did.
    pub fn now(&self) -> Timestamp {
        if self.is_system {
            return Timestamp::now();
        }
        // Where a test has paused tokio's clock, no time passes; a thread without a runtime does not know of the pause.
        self.at
            .after(self.system.elapsed().min(self.tokio.elapsed()))
    }
}

impl From<Timestamp> for Reading {
    /// A clock that shows this time now.
    fn from(at: Timestamp) -> Self {
        Self::take(|| (at, false))
    }
}

/// Where an engine takes the time from. The default is [`SystemClock`].
///
/// The engine reads it on threads of its own, too.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Reads the clock for a store, which tells the time from the reading when it decides.
    fn read(&self) -> Reading {
        Reading::take(|| (self.now(), false))
    }

    /// Resolves when `moment` has come. The engine asks again whenever [`now`](Self::now) has moved otherwise than time has
    /// passed, so this need not notice that.
    fn sleep_until(&self, moment: Timestamp) -> futures::future::BoxFuture<'static, ()>;

    /// The time since some fixed moment, by a clock that runs evenly and is never set: by it the engine notices that
    /// [`now`](Self::now) was set back. The default is the system's; a clock that a test moves by hand moves this along.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the real clock enters"
    )]
    fn elapsed(&self) -> Duration {
        running(Instant::now())
    }
}

/// How long this process has been running at this moment, without the time in which the machine slept.
fn running(moment: Instant) -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    moment.saturating_duration_since(*BEGAN.get_or_init(|| moment))
}

/// The system's clock, moved along with tokio's: in a test that pauses tokio's clock, durable timers jump as
/// tokio's own do.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// Tokio's clock differs from the system's by more than this only where a test has paused it.
const SAME: Duration = Duration::from_millis(1);

impl SystemClock {
    /// The present time, and whether it is the system's.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the real clock enters"
    )]
    fn look() -> (Timestamp, bool) {
        let before = std::time::Instant::now();
        let tokio = tokio::time::Instant::now().into_std();
        let system = std::time::Instant::now();
        let now = Timestamp::now();
        // The thread may lose its processor between any two of these, so `tokio` is compared with both sides.
        if tokio.saturating_duration_since(system) > SAME {
            (now.after(tokio - system), false)
        } else if before.saturating_duration_since(tokio) > SAME {
            (now.before(system - tokio), false)
        } else {
            (now, true)
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Self::look().0
    }

    fn read(&self) -> Reading {
        Reading::take(Self::look)
    }

    fn sleep_until(&self, moment: Timestamp) -> futures::future::BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(moment.since(self.now())))
    }

    /// By the clock that [`now`](Self::now) is moved along with: else a test that pauses it would seem to set the clock back.
    fn elapsed(&self) -> Duration {
        running(tokio::time::Instant::now().into_std())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_of_the_system_clock_tells_the_systems_time_when_it_is_asked() {
        let reading = SystemClock.read();
        let later = Timestamp::now();
        assert!(reading.at() <= later && later <= reading.now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_goes_on_with_a_clock_that_is_ahead_of_the_system() {
        let hour = Duration::from_hours(1);
        let began = SystemClock.now();
        tokio::time::advance(hour).await;
        let reading = SystemClock.read();
        assert!(began.after(hour) <= reading.now().after(SAME));
        // A store's own thread, which has no runtime.
        let elsewhere = std::thread::spawn(move || reading.now());
        assert!(reading.at() <= elsewhere.join().unwrap());
    }
}
