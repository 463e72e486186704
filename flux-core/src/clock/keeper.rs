//! Waiting by a clock that can be set, on a machine that can sleep.
//!
//! ```text
//!  whoever reads the clock, and a thread every LOOK while anything waits:  clock.now() against clock.elapsed()
//!     ahead (the machine slept, the clock was set) ─► every wait is reckoned again: what fell due is due
//!     back ────────────────────────────────────────► `set_back` grows by as much: lengths of time stay as they are
//! ```
//!
//! The timers of the runtime count the time in which the machine runs, so without the looks a wait would end hours late
//! after a night in which the machine slept. One thread looks for all waits of an engine: to wake thousands of tasks every
//! second would cost more than they do. And nobody reckons with a clock that was set back without having noticed it, not
//! even in the second before the thread looks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, select};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::{Clock, Timestamp};
use crate::store::SetBack;
use crate::sync::lock;

/// How often the clock is looked at while anything waits.
const LOOK: Duration = Duration::from_secs(1);

/// A clock that is set back by more than this is noticed.
const BACK: Duration = Duration::from_secs(2);

/// Between two looks a clock that is put right little by little may lag by this share of the time.
const LAG: u32 = 1_000;

/// A clock that is ahead by more than this ends the waits of the runtime.
const AHEAD: Duration = Duration::from_millis(100);

/// A clock that is ahead by more than this is worth a line in the log.
const NEWS: Duration = Duration::from_mins(1);

/// How many looks are made after the last wait has ended, before the thread ends.
const LINGER: u32 = 5;

/// The clock and the time that passed are read together if no more passed in between.
const TOGETHER: Duration = Duration::from_millis(10);

/// The longest single sleep: the timers of a runtime are not made for all of time.
const LONGEST: Duration = Duration::from_hours(24 * 30);

/// How many times of setting back are remembered.
const REMEMBERED: usize = 16;

/// The clock of an engine, and those who wait by it.
#[derive(Debug)]
pub(crate) struct Timekeeper(Arc<KeeperShared>);

#[derive(Debug)]
struct KeeperShared {
    clock: Arc<dyn Clock>,
    /// By how much the clock was set back in all since the beginning, in microseconds.
    set_back: AtomicU64,
    last: Mutex<ClockReading>,
    state: Mutex<KeeperState>,
    wake: Condvar,
    /// Changes whenever the clock has moved otherwise than time has passed.
    jumps: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct KeeperState {
    waits: usize,
    is_looking: bool,
    is_closing: bool,
    /// The latest times it was set back.
    steps: VecDeque<Duration>,
    /// Those that the store does not know of yet.
    untold: VecDeque<SetBack>,
}

impl Timekeeper {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(KeeperShared {
            last: Mutex::new(ClockReading::at(&*clock)),
            clock,
            set_back: AtomicU64::new(0),
            state: Mutex::default(),
            wake: Condvar::new(),
            jumps: watch::Sender::new(0),
        }))
    }

    /// The present moment, as the clock has it.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.read().now
    }

    /// The present moment, and by how much the clock was set back in all since the engine was built. The sum of both never
    /// goes back by more than [`BACK`].
    pub(crate) fn read(&self) -> Steady {
        self.0.read()
    }

    /// What the clock was set back by that accounts for a record which lies so far ahead of it; nothing if nothing does.
    pub(crate) fn set_back_by_at_least(&self, ahead: Duration) -> Option<Duration> {
        let state = self.0.lock();
        let mut sum = Duration::ZERO;
        state.steps.iter().rev().find_map(|step| {
            sum += *step;
            (sum >= ahead).then_some(sum)
        })
    }

    /// Others have seen it set back by this, before this engine was built.
    pub(crate) fn learn(&self, by: Duration) {
        let mut state = self.0.lock();
        // What this engine has seen itself, it knows better.
        if state.steps.is_empty() {
            state.steps.push_back(by);
        }
    }

    /// The times it was set back that the store has not been told of: whoever takes one tells it.
    pub(crate) fn take_untold(&self) -> Option<SetBack> {
        self.0.lock().untold.pop_front()
    }

    /// The store could not be told.
    pub(crate) fn put_untold(&self, step: SetBack) {
        self.0.lock().untold.push_front(step);
    }

    /// The present moment of a clock that runs as this one, but is never set back.
    pub(crate) fn steady(&self) -> Timestamp {
        self.0.read().moment()
    }

    /// Resolves when `length` has passed, also the time in which the machine slept, however the clock is set back.
    pub(crate) fn pass(&self, length: Duration) -> BoxFuture<'static, ()> {
        self.until_steady(self.steady().after(length))
    }

    /// Resolves when a moment of the clock that is never set back has come.
    pub(crate) fn until_steady(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let shared = Arc::clone(&self.0);
        wait(shared, move |reading| moment.before(reading.set_back)).boxed()
    }

    /// Resolves when the clock has come to `moment`.
    pub(crate) fn until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        wait(Arc::clone(&self.0), move |_| moment).boxed()
    }

    /// Resolves at the next jump of the clock. Jumps count from the call on.
    pub(crate) fn jumped(&self) -> impl Future<Output = ()> + Send + 'static {
        let interest = Interest::new(&self.0);
        let mut jumps = self.0.jumps.subscribe();
        async move {
            let _interest = interest;
            let _ = jumps.changed().await;
        }
    }
}

impl Drop for Timekeeper {
    fn drop(&mut self) {
        self.0.lock().is_closing = true;
        self.0.wake.notify_all();
    }
}

/// Waits until the clock has come to a moment, which is asked for again after each jump.
async fn wait(shared: Arc<KeeperShared>, moment: impl Fn(Steady) -> Timestamp) {
    let _interest = Interest::new(&shared);
    let mut jumps = shared.jumps.subscribe();
    loop {
        jumps.borrow_and_update();
        let reading = shared.read();
        let (mut now, moment) = (reading.now, moment(reading));
        loop {
            if moment <= now {
                return;
            }
            let step = moment.min(now.after(LONGEST));
            let sleep = shared.clock.sleep_until(step);
            match select(sleep, std::pin::pin!(jumps.changed())).await {
                // It has come, whatever the clock says: runtimes and clocks count a little differently.
                Either::Left(_) => now = step,
                Either::Right(_) => break,
            }
        }
    }
}

/// Keeps the thread looking.
struct Interest(Arc<KeeperShared>);

impl Interest {
    fn new(shared: &Arc<KeeperShared>) -> Self {
        let mut state = shared.lock();
        state.waits += 1;
        if !std::mem::replace(&mut state.is_looking, true) {
            start(shared, &mut state);
        }
        drop(state);
        Self(Arc::clone(shared))
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.lock().waits -= 1;
    }
}

fn start(shared: &Arc<KeeperShared>, state: &mut KeeperState) {
    let looking = Arc::clone(shared);
    let runtime = Handle::try_current().ok();
    let spawned = std::thread::Builder::new()
        .name("flux-clock".to_owned())
        .spawn(move || within(runtime.as_ref(), || looking.look_again_and_again()));
    if let Err(error) = spawned {
        // The next wait tries again.
        state.is_looking = false;
        tracing::warn!(%error, "the thread that looks at the clock could not be started");
    }
}

/// Looks at the clock inside the runtime in which the engine waits. Where a test has paused tokio's clock, a thread outside of
/// the runtime would read another time than the waiting tasks, and take the difference for a clock that was set.
fn within<T>(runtime: Option<&Handle>, look: impl FnOnce() -> T) -> T {
    let _entered = runtime.map(Handle::enter);
    look()
}

/// What a look has seen.
#[derive(Clone, Copy, Debug)]
struct ClockReading {
    now: Timestamp,
    elapsed: Duration,
}

/// What two looks come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    AsTimePassed,
    Ahead(Duration),
    Back(Duration),
}

/// The clock as it was read, and what makes it one that is never set back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    /// The present moment.
    pub(crate) now: Timestamp,
    /// By how much the clock was set back in all since the engine was built.
    pub(crate) set_back: Duration,
}

impl Steady {
    /// The present moment of a clock that is never set back.
    fn moment(self) -> Timestamp {
        self.now.after(self.set_back)
    }
}

impl ClockReading {
    fn at(clock: &dyn Clock) -> Self {
        let mut elapsed = clock.elapsed();
        loop {
            let (now, after) = (clock.now(), clock.elapsed());
            // Else this thread was held up in between.
            if after.saturating_sub(elapsed) <= TOGETHER {
                return Self { now, elapsed };
            }
            elapsed = after;
        }
    }

    fn until(self, later: Self) -> Moved {
        let passed = later.elapsed.saturating_sub(self.elapsed);
        let expected = self.now.after(passed);
        let (ahead, back) = (later.now.since(expected), expected.since(later.now));
        // A clock that stands still is one of a test.
        if back > BACK + passed / LAG && later.now != self.now {
            Moved::Back(back)
        } else if ahead > AHEAD {
            Moved::Ahead(ahead)
        } else {
            Moved::AsTimePassed
        }
    }
}

impl KeeperShared {
    fn lock(&self) -> MutexGuard<'_, KeeperState> {
        lock(&self.state)
    }

    fn last(&self) -> MutexGuard<'_, ClockReading> {
        lock(&self.last)
    }

    fn set_back(&self) -> Duration {
        Duration::from_micros(self.set_back.load(Ordering::Acquire))
    }

    /// Reads the clock, and notices if it has moved otherwise than time has passed.
    fn read(&self) -> Steady {
        loop {
            let set_back = self.set_back();
            let look = ClockReading::at(&*self.clock);
            if self.last().until(look) != Moved::AsTimePassed {
                self.look();
                continue;
            }
            // Else what was read may be of before, and what is added to it of after.
            if self.set_back() == set_back {
                return Steady {
                    now: look.now,
                    set_back,
                };
            }
        }
    }

    /// The thread.
    fn look_again_and_again(&self) {
        let mut idle = 0;
        while self.rest(&mut idle) {
            self.look();
        }
    }

    /// Looks at the clock, and tells if it has moved otherwise than time has passed.
    fn look(&self) {
        let mut last = self.last();
        // Inside the lock, so that looks follow one another.
        let look = ClockReading::at(&*self.clock);
        let moved = last.until(look);
        let within = look.elapsed.saturating_sub(last.elapsed);
        *last = look;
        match moved {
            Moved::AsTimePassed => return,
            Moved::Ahead(by) => {
                if by > NEWS {
                    tracing::info!(
                        ?by,
                        "the clock has moved ahead: the machine slept, or the clock was set"
                    );
                }
            }
            Moved::Back(by) => {
                tracing::warn!(
                    ?by,
                    "the clock was set back: waits in progress keep their length, moments that were asked for come as the clock has them now"
                );
                let at = look.now;
                self.note_set_back(SetBack { by, at, within });
            }
        }
        drop(last);
        self.jump();
    }

    fn note_set_back(&self, step: SetBack) {
        let mut state = self.lock();
        let micros = u64::try_from(step.by.as_micros()).unwrap_or(u64::MAX);
        self.set_back.fetch_add(micros, Ordering::AcqRel);
        state.steps.push_back(step.by);
        if state.steps.len() > REMEMBERED {
            state.steps.pop_front();
        }
        state.untold.push_back(step);
        if state.untold.len() > REMEMBERED {
            state.untold.pop_front();
        }
    }

    fn jump(&self) {
        self.jumps.send_modify(|jumps| *jumps += 1);
    }

    /// Sleeps until the next look; false when it is time to end.
    fn rest(&self, idle: &mut u32) -> bool {
        let is_open = |state: &mut KeeperState| !state.is_closing;
        let (mut state, _) = self
            .wake
            .wait_timeout_while(self.lock(), LOOK, is_open)
            .unwrap_or_else(PoisonError::into_inner);
        *idle = if state.waits == 0 { *idle + 1 } else { 0 };
        state.is_looking = !state.is_closing && *idle < LINGER;
        state.is_looking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(elapsed: u64, to: u64) -> Moved {
        let look = |seconds: u64, elapsed| ClockReading {
            now: Timestamp::from_micros(0).after(Duration::from_secs(seconds)),
            elapsed: Duration::from_secs(elapsed),
        };
        look(10_000, 50).until(look(to, 50 + elapsed))
    }

    #[test]
    fn a_clock_that_moves_otherwise_than_time_passes_is_noticed() {
        let seconds = Duration::from_secs;
        assert_eq!(moved(1, 10_001), Moved::AsTimePassed);
        assert_eq!(moved(1, 10_003), Moved::Ahead(seconds(2)));
        assert_eq!(moved(1, 38_801), Moved::Ahead(seconds(28_800)));
        assert_eq!(moved(1, 9_999), Moved::AsTimePassed);
        assert_eq!(moved(1, 9_998), Moved::Back(seconds(3)));
        assert_eq!(moved(1, 6_401), Moved::Back(seconds(3_600)));
        // The process was stopped, and the clock was set meanwhile.
        assert_eq!(moved(600, 10_300), Moved::Back(seconds(300)));
    }

    #[test]
    fn a_clock_that_stands_still_was_not_set_back() {
        assert_eq!(moved(1, 10_000), Moved::AsTimePassed);
        assert_eq!(moved(60, 10_000), Moved::AsTimePassed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_a_test_has_paused_was_not_set_back() {
        let keeper = Timekeeper::new(Arc::new(super::super::SystemClock));
        tokio::time::advance(Duration::from_hours(1)).await;
        keeper.0.look();
        let before = keeper.read();
        let shared = Arc::clone(&keeper.0);
        let runtime = Handle::current();
        let looking = std::thread::spawn(move || within(Some(&runtime), || shared.read()));
        let read = looking.join().unwrap();
        assert_eq!(read.set_back, Duration::ZERO);
        assert!(read.now.since(before.now) < Duration::from_secs(1));
        assert_eq!(keeper.read().set_back, Duration::ZERO);
    }

    #[test]
    fn a_record_from_before_is_accounted_for_by_the_latest_steps_that_suffice() {
        let keeper = Timekeeper::new(Arc::new(super::super::SystemClock));
        for by in [3_600, 60, 5] {
            keeper.0.note_set_back(SetBack {
                by: Duration::from_secs(by),
                at: Timestamp::from_micros(0),
                within: LOOK,
            });
        }
        let by = |ahead| keeper.set_back_by_at_least(Duration::from_secs(ahead));
        assert_eq!(keeper.read().set_back, Duration::from_secs(3_665));
        assert_eq!(by(4), Some(Duration::from_secs(5)));
        assert_eq!(by(6), Some(Duration::from_secs(65)));
        assert_eq!(by(100), Some(Duration::from_secs(3_665)));
        assert_eq!(by(4_000), None);
    }
}
