//! Which failed call escaped: found by watching where its `TaskError` was last dropped.
//!
//! A workflow may turn a `TaskError` into a `String` before it returns it, so that the returned error no
//! longer shows which call it came from. But the conversion drops the `TaskError`, in the delivery that
//! ends the workflow; one that was caught and dealt with was dropped in an earlier delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::EventSeq;

/// Held by every clone of one failed call's error.
#[derive(Clone)]
pub(crate) struct Token {
    _last: Arc<LastDrop>,
}

/// The deliveries in which an execution's tokens were dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct DropMark(Arc<AtomicU32>);

struct LastDrop {
    now: Arc<AtomicU32>,
    mark: DropMark,
}

impl Drop for LastDrop {
    fn drop(&mut self) {
        self.mark
            .0
            .store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Token {
    /// A token whose last drop writes the delivery that `now` then shows into the mark.
    pub(crate) fn new(now: &Arc<AtomicU32>) -> (Self, DropMark) {
        let mark = DropMark::default();
        let last = LastDrop {
            now: Arc::clone(now),
            mark: mark.clone(),
        };
        (
            Self {
                _last: Arc::new(last),
            },
            mark,
        )
    }
}

impl DropMark {
    /// Whether the last clone was dropped in an earlier delivery.
    pub(crate) fn dropped_before(&self, delivery: EventSeq) -> bool {
        (1..delivery.get()).contains(&self.0.load(Ordering::Relaxed))
    }

    /// Whether the last clone was dropped in this delivery.
    pub(crate) fn dropped_in(&self, delivery: EventSeq) -> bool {
        self.0.load(Ordering::Relaxed) == delivery.get()
    }
}
