//! The threads of blocking bodies. A thread cannot be stopped from outside: when the time of its attempt is up, it is only
//! asked to return. What the execution does next does not depend on that, with one exception: another attempt of the same
//! work waits for a while, because two bodies would run side by side.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::select;
use tokio::sync::watch;

use crate::clock::{Timekeeper, Timestamp};
use crate::context::BodyContext;
use crate::digest::digest;
use crate::payload::Payload;

/// Held by a thread for as long as its body runs.
#[derive(Debug)]
pub(super) struct Presence {
    _running: watch::Sender<()>,
}

/// What others know of a thread.
#[derive(Debug, Clone)]
pub(super) struct Thread(watch::Receiver<()>);

impl Thread {
    /// A thread that is about to begin.
    pub(super) fn new() -> (Presence, Self) {
        let (running, seen) = watch::channel(());
        (Presence { _running: running }, Self(seen))
    }

    fn has_returned(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Resolves when its body has returned, or never runs.
    async fn returned(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// A thread that had not returned when the time of its attempt was up.
#[derive(Debug, Clone)]
pub(super) struct Left {
    thread: Thread,
    /// Nothing waits for it any longer than this, by a clock that is never set back.
    until: Timestamp,
}

impl Left {
    /// Waits until the thread has returned, or until nothing waits for it any longer, and no longer than `limit`.
    pub(super) async fn wait(self, time: &Timekeeper, limit: Option<Timestamp>) {
        let until = limit.map_or(self.until, |limit| limit.min(self.until));
        let returned = std::pin::pin!(self.thread.returned());
        select(returned, time.until_steady(until)).await;
    }
}

/// The work that a thread does: its task and the task's input. An attempt of the whole workflow may do it under another call.
type ThreadWork = (Arc<str>, u128);

fn work(task: &Arc<str>, input: &Payload) -> ThreadWork {
    (Arc::clone(task), digest(input.as_str()))
}

/// The threads of an execution that are left to themselves.
#[derive(Debug, Default)]
pub(super) struct Threads(BTreeMap<ThreadWork, Left>);

impl Threads {
    /// The thread that an attempt of this work has left, if it has not returned.
    pub(super) fn left_by(&mut self, task: &Arc<str>, input: &Payload) -> Option<Left> {
        if self.0.is_empty() {
            return None;
        }
        self.0.retain(|_, left| !left.thread.has_returned());
        self.0.get(&work(task, input)).cloned()
    }

    /// An attempt is over, and its thread may not be.
    pub(super) fn leave(
        &mut self,
        task: &Arc<str>,
        input: &Payload,
        thread: Thread,
        until: Timestamp,
    ) {
        if !thread.has_returned() {
            self.0.insert(work(task, input), Left { thread, until });
        }
    }
}

/// Warns, once, of a thread that does not return although it was asked to.
pub(super) fn warn_if_it_hangs(
    time: Arc<Timekeeper>,
    context: Arc<BodyContext>,
    thread: Thread,
    until: Timestamp,
) {
    tokio::spawn(async move {
        let left = Left {
            thread: thread.clone(),
            until,
        };
        left.wait(&time, None).await;
        if !thread.has_returned() {
            tracing::warn!(
                execution_id = %context.execution,
                task = %context.task,
                attempt = context.attempt,
                "the time of a blocking attempt is up and its thread has not returned: nothing waits for it any longer; \
                 let the body ask `flux::task_context()` whether it `is_cancelled()`"
            );
        }
    });
}
