//! The root waker of a workflow: it tells the code's own combinators from foreign wake-ups.
//!
//! A wake during a poll, on the polling thread, is a combinator's (`FuturesUnordered`, a channel between two
//! branches): the code is polled again at once, as it will be in every replay. Any other wake comes from
//! something that is not durable; its place among the deliveries has to be recorded.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;
use std::thread::{self, ThreadId};

use crate::sync::lock;

/// Tells the driver that something foreign woke the code.
pub(crate) type ForeignWake = Arc<dyn Fn() + Send + Sync>;

pub(crate) struct RootWaker {
    /// The thread that polls or delivers, while one does.
    inside: Mutex<Option<ThreadId>>,
    again: AtomicBool,
    foreign: AtomicBool,
    on_foreign: ForeignWake,
}

impl RootWaker {
    pub(crate) fn new(on_foreign: ForeignWake) -> Arc<Self> {
        Arc::new(Self {
            inside: Mutex::new(None),
            again: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
            on_foreign,
        })
    }

    /// Wakes on this thread are the code's own from here on.
    pub(crate) fn enter(&self) {
        self.set(Some(thread::current().id()));
    }

    /// Every wake is foreign from here on.
    pub(crate) fn leave(&self) {
        self.set(None);
    }

    /// Whether the code woke itself since this was last asked.
    pub(crate) fn take_again(&self) -> bool {
        self.again.swap(false, Ordering::Relaxed)
    }

    /// Whether something foreign woke the code since this was last asked.
    pub(crate) fn take_foreign(&self) -> bool {
        self.foreign.swap(false, Ordering::AcqRel)
    }

    fn set(&self, thread: Option<ThreadId>) {
        *lock(&self.inside) = thread;
    }
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let inside = *lock(&self.inside);
        if inside == Some(thread::current().id()) {
            self.again.store(true, Ordering::Relaxed);
        } else {
            self.foreign.store(true, Ordering::Release);
            (self.on_foreign)();
        }
    }
}

impl fmt::Debug for RootWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootWaker")
    }
}
