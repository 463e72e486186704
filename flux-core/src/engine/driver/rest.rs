//! Leaving memory: an execution that only waits sleeps until a worker wakes it, one that somebody pauses is put on
//! hold, and one whose process is about to end in order is given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::activation::Activation;
use super::{Driver, Halt, Step};
use crate::event::EventKind;
use crate::execution::{Snapshot, Status};
use crate::id::EventSeq;
use crate::store::{Change, Message, Release};

/// What is due within this does not give up its place for it.
const SOON: Duration = Duration::from_millis(20);

impl Driver {
    /// How long it may wait before it sleeps; `None` where it may not.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        self.engine
            .idle_limit(self.row.placement.queue.as_ref())
            .filter(|_| self.may_sleep())
    }

    /// A pause was requested. It counts in every phase, until a later command takes it back.
    pub(super) fn take_hold(&mut self, message: &Message) {
        let reason = message.payload.decode();
        let reason = reason.unwrap_or_else(|_| Arc::from("paused"));
        self.hold = Some(reason);
        self.hold_messages.push(message.id);
    }

    /// A resume or a cancellation came after the pause: what was kept back is released.
    pub(super) fn lift_hold(&mut self) {
        self.stale_messages.append(&mut self.hold_messages);
        if self.hold.take().is_none() {
            return;
        }
        let deferred = std::mem::take(&mut self.deferred).into_iter();
        let (tasks, children): (Vec<_>, Vec<_>) =
            deferred.partition(|call| self.tasks.contains_key(call));
        self.retries.extend(tasks);
        self.held_starts.extend(children);
        if self.cancelling.is_some() {
            for call in std::mem::take(&mut self.cancel_waits) {
                self.await_cancellation(call);
            }
        }
        self.woken();
    }

    /// Whether signals stay in the inbox, because the execution is put on hold as soon as what arrived is delivered.
    pub(super) fn leaves_signals(&self) -> bool {
        self.hold.is_some() && !self.has_running_bodies()
    }

    pub(super) fn has_running_bodies(&self) -> bool {
        self.alone.is_some() || self.tasks.values().any(|task| task.running.is_some())
    }

    /// The process is about to end in order.
    pub(super) fn retire(&mut self) {
        self.is_retiring = !self.is_attended.load(Ordering::Relaxed);
    }

    /// Whether bodies and children that are asked for now wait for another process, or for a resume.
    pub(super) fn starts_nothing(&self) -> bool {
        self.is_retiring || self.hold.is_some()
    }

    /// Gives the execution up if it is to sleep, to be held or to be left to others, and nothing is at work.
    pub(super) async fn rest(&mut self) -> Result<Option<Snapshot>, Halt> {
        let is_asked = std::mem::take(&mut self.is_to_rest) || self.is_in_the_way();
        let is_drowsy = is_asked
            && self
                .engine
                .has_worker_for(self.row.placement.queue.as_ref());
        let leaves = (self.hold.is_some() && self.is_quiet())
            || (self.is_retiring && self.may_be_left())
            || (is_drowsy && self.may_sleep());
        if !leaves {
            return Ok(None);
        }
        Box::pin(self.leave()).await?;
        Ok(self.row.record.clone().map(Snapshot::unfinished))
    }

    /// Whether others wait for a place in a full worker, so that this one leaves as soon as it only waits; for less than a
    /// moment it is not worth it.
    fn is_in_the_way(&self) -> bool {
        let soon = || self.engine.clock.now().after(SOON);
        self.engine.workers.wants_room() && self.next_moment().is_none_or(|due| due > soon())
    }

    /// Puts an execution on hold whose code begins again: the new beginning waits for a resume.
    pub(super) async fn hold_before_beginning(&mut self) -> Result<Step, Halt> {
        let seen = self.last_message;
        self.forget_work();
        // What is read again after the resume must not wake it before.
        self.last_message = seen;
        Box::pin(self.leave()).await?;
        Ok(self.settled(None, None, None))
    }

    async fn leave(&mut self) -> Result<(), Halt> {
        // Those that run here finish by themselves: their last words come into the inbox.
        self.detach_children();
        let mut activation = Box::<Activation>::default();
        let has_deferred = !self.deferred.is_empty();
        for call in self.deferred_tasks() {
            let event = self.event_at(EventKind::TaskDeferred, Some(call));
            activation.events.push(event);
        }
        // First: a clock that is set back from here on is noticed when the commit is written.
        let reckoned_at = self.engine.time.now();
        let standing = self.standing(None, &[]);
        // By the clock, as all that a worker waits for: the time of this execution may be ahead of it.
        let ready_at = if has_deferred {
            Some(reckoned_at)
        } else {
            self.next_moment()
        };
        let status = if self.hold.is_some() {
            Status::Paused
        } else {
            standing.status
        };
        let change = Change {
            status,
            release: Some(Release {
                ready_at: ready_at.filter(|_| self.hold.is_none()),
                reckoned_at: Some(reckoned_at),
                seen: self.last_message,
            }),
            hold: self.hold.clone(),
            ..standing
        };
        self.write(activation, Some(change)).await?;
        self.engine.notify_events(&self.id);
        self.machine.evict();
        self.engine.workers.call();
        Ok(())
    }

    /// Tasks that are recorded and whose bodies were not begun.
    fn deferred_tasks(&mut self) -> Vec<EventSeq> {
        let deferred = std::mem::take(&mut self.deferred);
        deferred
            .into_iter()
            .filter(|call| self.tasks.contains_key(call))
            .collect()
    }

    /// Whether it waits for nothing but what a worker would notice, and nobody waits for this driver.
    fn may_sleep(&self) -> bool {
        // The time of an execution that is not driven does not count as active.
        let counts_time = self.def.options.timeout.is_some() && !self.tasks.is_empty();
        self.may_be_left() && !counts_time && self.row.status() == Status::Running
    }

    fn may_be_left(&self) -> bool {
        let is_free = !self.is_attended.load(Ordering::Relaxed);
        // Nobody would wake it for what is not durable.
        is_free && self.is_quiet() && !self.has_warned_of_foreign && self.waits_for_something()
    }

    /// Whether nothing of it is at work in this process that keeps it here. A hold waits for bodies alone: what follows
    /// waits for the resume, and children run on by themselves.
    fn is_quiet(&self) -> bool {
        let is_kept = !self.transactions.is_empty() || self.children.has_any_here();
        let is_at_work = self.has_running_bodies()
            || !self.arrivals.is_empty()
            || !self.retries.is_empty()
            || !self.held_starts.is_empty()
            || !self.ended_children.is_empty()
            || (is_kept && self.hold.is_none());
        let record = self.row.record.as_ref();
        let is_unfinished = record.is_some_and(|record| !record.status.is_finished());
        is_unfinished && !is_at_work
    }

    fn waits_for_something(&self) -> bool {
        !self.due.is_empty()
            || self.signals.are_awaited()
            || !self.cancel_waits.is_empty()
            || !self.pauses.is_empty()
            || !self.children.is_empty()
            || !self.deferred.is_empty()
    }
}
