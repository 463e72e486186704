//! The time of the seeded store: it stands still, and moves where it is told to.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flux::clock::{Clock, Timestamp};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

/// What is due within this is not waited for: the clock jumps there. So attempts follow one another.
const JUMP: Duration = Duration::from_secs(15);

/// A clock that is moved by hand, by the bodies of tasks, and by itself to what is due soon.
#[derive(Clone, Debug)]
pub(crate) struct SeedClock(Arc<watch::Sender<Timestamp>>);

impl SeedClock {
    /// A clock that stands at this moment.
    pub(crate) fn at(moment: SystemTime) -> Self {
        Self(Arc::new(watch::Sender::new(moment.into())))
    }

    /// Moves it there, forward only.
    pub(crate) fn set(&self, moment: SystemTime) {
        self.go_to(moment.into());
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.go_to(self.now().after(span));
    }

    fn go_to(&self, moment: Timestamp) {
        self.0.send_modify(|now| *now = moment.max(*now));
    }
}

impl Clock for SeedClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    fn sleep_until(&self, moment: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        async move {
            if moment <= clock.now().after(JUMP) {
                clock.go_to(moment);
                return;
            }
            let mut now = clock.0.subscribe();
            let _ = now.wait_for(|now| *now >= moment).await;
        }
        .boxed()
    }
}
