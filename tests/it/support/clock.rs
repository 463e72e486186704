//! Clocks for tests: tokio's, which jumps where a test pauses it, and one that a test moves by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use flux::clock::{Clock, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

/// A moment as people write it: `2024-01-02T03:00:00Z`.
pub(crate) fn utc(text: &str) -> SystemTime {
    humantime::parse_rfc3339(text).unwrap()
}

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
        let longest = Duration::from_secs(60 * 60 * 24 * 365);
        tokio::time::sleep(moment.since(self.now()).min(longest)).boxed()
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

/// Stands still until a test moves it, and knows who waits for which moment: so a test can tell that nothing more
/// happens before that. Works with a store that has threads of its own, for which tokio's paused clock does not wait.
#[derive(Debug, Clone)]
pub(crate) struct HandClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    now: watch::Sender<Timestamp>,
    awaited: watch::Sender<BTreeMap<u64, Timestamp>>,
    next: AtomicU64,
    /// How far it was moved forward in all, in microseconds.
    ran: AtomicU64,
}

impl HandClock {
    /// A clock that stands at this moment.
    pub(crate) fn at(moment: SystemTime) -> Self {
        Self(Arc::new(Hands {
            now: watch::Sender::new(moment.into()),
            awaited: watch::Sender::default(),
            next: AtomicU64::new(0),
            ran: AtomicU64::new(0),
        }))
    }

    /// Moves it there, forward only.
    pub(crate) fn set(&self, moment: SystemTime) {
        let moment = Timestamp::from(moment);
        let span = moment.since(self.now());
        self.run(span);
        self.0
            .now
            .send_modify(|now| assert!(std::mem::replace(now, moment) <= moment));
    }

    /// Sets it back: no time passes by that.
    pub(crate) fn set_back(&self, span: Duration) {
        self.0.now.send_modify(|now| *now = now.before(span));
    }

    fn run(&self, span: Duration) {
        let micros = u64::try_from(span.as_micros()).unwrap();
        self.0.ran.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.set(SystemTime::from(self.now()) + span);
    }

    /// Waits until somebody waits for a moment between these two, both included; which one.
    pub(crate) async fn until_awaited(&self, from: SystemTime, to: SystemTime) -> SystemTime {
        let (from, to) = (Timestamp::from(from), Timestamp::from(to));
        let within = |awaited: &BTreeMap<u64, Timestamp>| {
            let within = awaited.values().filter(|at| (from..=to).contains(at));
            within.min().copied()
        };
        let mut awaited = self.0.awaited.subscribe();
        let found = awaited.wait_for(|awaited| within(awaited).is_some()).await;
        within(&found.unwrap()).unwrap().into()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.now.borrow()
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let hands = Arc::clone(&self.0);
        async move {
            let number = hands.next.fetch_add(1, Ordering::Relaxed);
            let _awaiting = Awaiting::new(&hands, number, moment);
            let mut now = hands.now.subscribe();
            let _ = now.wait_for(|now| *now >= moment).await;
        }
        .boxed()
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.0.ran.load(Ordering::Relaxed))
    }
}

/// Somebody waits for a moment.
struct Awaiting<'a>(&'a Hands, u64);

impl<'a> Awaiting<'a> {
    fn new(hands: &'a Hands, number: u64, moment: Timestamp) -> Self {
        hands.awaited.send_modify(|awaited| {
            awaited.insert(number, moment);
        });
        Self(hands, number)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.awaited.send_modify(|awaited| {
            awaited.remove(&self.1);
        });
    }
}
