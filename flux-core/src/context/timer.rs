//! `sleep`, `sleep_until`, `sleep_until_cron` and `timeout`: timers that survive.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use pin_project::pin_project;

use super::current;
use super::pending::{Misplaced, Pending};
use super::request::Request;
use super::shared::NewCall;
use super::until::Until;
use crate::clock::Timestamp;
use crate::event::EventKind;

/// Suspends the workflow until `duration` has passed.
///
/// The moment it ends is recorded, so the wait survives a crash or a deploy: a resume waits for what is left
/// of it. A sleep of a month costs one row.
///
/// Outside a workflow it is `tokio::time::sleep`.
///
/// # Cancel safety
///
/// Dropping the future cancels the timer, and the cancellation is recorded.
///
/// # Panics
///
/// When it is made in a workflow and awaited outside of it (in `tokio::spawn`).
///
/// # Examples
///
/// ```
/// # use flux::{workflow, ExecutionContext};
/// # use std::time::Duration;
/// #[workflow]
/// async fn wait_a_day(_ctx: ExecutionContext) -> bool {
///     let before = flux::now();
///     flux::sleep(flux::time::days(1)).await;
///     flux::now().duration_since(before).is_ok_and(|waited| waited >= flux::time::days(1))
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # tokio::time::pause(); // the day takes no time
/// let run = wait_a_day.on(&flux::Engine::in_memory()).run(()).await?;
/// assert_eq!(run.output(), Some(&true));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(Until::After(duration))
}

/// Suspends the workflow until `moment`; one that has passed ends it at once.
///
/// As [`sleep`] otherwise.
#[track_caller]
pub fn sleep_until(moment: SystemTime) -> Sleep {
    Sleep::new(Until::At(moment.into()))
}

/// Suspends the workflow until `schedule` fires next: at `"0 3 * * *"` until it is three o'clock, in UTC, or with
/// `"0 3 * * * Europe/Berlin"` there. `"@daily"` and `"@every 5m"` are schedules, too.
///
/// The next moment is the first one *after* the present delivery: what ends at three o'clock sharp waits for a day.
/// It is recorded with the schedule. A resume of an unfinished wait counts from the same delivery, by the time zone's rules
/// as the program then knows them; a wait that is overdue ends at once.
///
/// As [`sleep`] otherwise.
///
/// # Panics
///
/// When it is awaited and `schedule` is none: in a workflow that fails the workflow, which corrected code can resume.
///
/// # Examples
///
/// ```
/// # use flux::{workflow, ExecutionContext};
/// # use std::time::{Duration, SystemTime};
/// #[workflow]
/// async fn load_at_night(_ctx: ExecutionContext) -> u64 {
///     flux::sleep_until_cron("0 3 * * *").await;
///     let now = flux::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
///     now.as_secs() / 3_600 % 24
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # tokio::time::pause(); // the night comes at once
/// let run = load_at_night.on(&flux::Engine::in_memory()).run(()).await?;
/// assert_eq!(run.output(), Some(&3));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn sleep_until_cron(schedule: &str) -> Sleep {
    Sleep::new(Until::Cron(schedule.to_owned()))
}

/// Waits for `future`, but no longer than `limit`, measured by a durable timer.
///
/// The loser is dropped, which cancels it: a task's body is aborted, a timed-out signal stays in its queue.
///
/// A `limit` of zero asks whether there is something now: a signal that is there already comes first. Each such question is
/// recorded. A loop that only asks never sleeps: it writes events as fast as the disk takes them, until the history is full
/// (16,777,215 events). Give the wait a length, which costs nothing while it lasts, or wait for several things at once with
/// `select!`.
///
/// # Errors
///
/// [`Elapsed`], when the timer came first. After a crash an overdue timer is delivered before a body that
/// was cut off runs again.
///
/// # Examples
///
/// ```
/// # use flux::{workflow, ExecutionContext};
/// #[workflow]
/// async fn wait_for_approval(_ctx: ExecutionContext) -> bool {
///     let approved = flux::signal::<bool>("approved");
///     flux::timeout(flux::time::hours(48), approved).await.unwrap_or(false)
/// }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
/// # tokio::time::pause(); // the two days pass at once
/// let run = wait_for_approval.on(&flux::Engine::in_memory()).run(()).await?;
/// assert_eq!(run.output(), Some(&false));
/// # Ok(()) }
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        sleep: sleep(limit),
    }
}

/// The future of [`sleep`], [`sleep_until`] and [`sleep_until_cron`].
#[must_use = "a timer does nothing until it is awaited"]
pub struct Sleep(SleepStage);

enum SleepStage {
    /// In a workflow, not yet polled: the moment counts from the first poll.
    New {
        shared: Arc<super::shared::Shared>,
        until: Until,
        site: &'static Location<'static>,
    },
    Waiting(Pending),
    Plain(Until),
    Ticking(Pin<Box<tokio::time::Sleep>>),
    Done,
}

impl Sleep {
    #[track_caller]
    fn new(until: Until) -> Self {
        Self(match current::workflow() {
            Some(shared) => SleepStage::New {
                shared,
                until,
                site: Location::caller(),
            },
            None => SleepStage::Plain(until),
        })
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.0 {
                SleepStage::Waiting(pending) => match pending.poll(cx) {
                    Ok(polled) => {
                        ready!(polled);
                        self.0 = SleepStage::Done;
                        return Poll::Ready(());
                    }
                    Err(Misplaced) => panic!("{}", Misplaced::message("a timer")),
                },
                SleepStage::Ticking(sleep) => return sleep.as_mut().poll(cx),
                SleepStage::Done => return Poll::Pending,
                SleepStage::Plain(until) => {
                    let now = Timestamp::now();
                    let duration = until.moment(now).since(now);
                    self.0 = SleepStage::Ticking(Box::pin(tokio::time::sleep(duration)));
                }
                SleepStage::New {
                    shared,
                    until,
                    site,
                } => {
                    let at = shared.state().at;
                    let call = NewCall {
                        kind: EventKind::TimerStarted,
                        name: "timer".into(),
                        input: Some(until.input()),
                        site,
                        request: Request::Timer {
                            due: until.moment(at),
                            is_moment: !matches!(until, Until::After(_)),
                        },
                    };
                    self.0 = SleepStage::Waiting(Pending::new(Arc::clone(shared), call));
                }
            }
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}

/// The future of [`timeout`].
#[pin_project]
#[must_use = "a timeout does nothing until it is awaited"]
pub struct Timeout<F> {
    #[pin]
    future: F,
    sleep: Sleep,
}

/// The timer of a [`timeout`] came first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[error("the time limit has passed")]
pub struct Elapsed(());

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        ready!(Pin::new(this.sleep).poll(cx));
        Poll::Ready(Err(Elapsed(())))
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timeout")
    }
}
