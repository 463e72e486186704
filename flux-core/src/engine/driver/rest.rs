//! Leaving memory: an execution that only waits sleeps until a worker wakes it, one that somebody pauses is put on
//! hold, and one whose process is about to end in order is given up.

use std::time::Duration;

use super::core::Core;
use super::core::activation::Activation;
use super::core::calls::CallState;
use super::halt::Halt;
use super::link::Link;
use super::{Driver, Step};
use crate::engine::kernel::Kernel;
use crate::event::EventKind;
use crate::execution::{Snapshot, Status};
use crate::store::{Change, Release};

/// What is due within this does not give up its place for it.
const SOON: Duration = Duration::from_millis(20);

impl Driver {
    /// Gives the execution up if it is to sleep, to be held or to be left to others, and nothing is at work.
    pub(super) async fn rest(&mut self) -> Result<Option<Snapshot>, Halt> {
        let (kernel, core, link) = (&self.kernel, &self.core, &mut self.link);
        let is_asked = link.take_request_to_rest() || is_in_the_way(kernel, core);
        let is_drowsy = is_asked && kernel.workers.serve(core.row.placement.queue.as_ref());
        let leaves = (core.inbox.is_held() && core.is_quiet())
            || (link.is_retiring() && link.may_be_left(core))
            || (is_drowsy && link.may_sleep(core));
        if !leaves {
            return Ok(None);
        }
        Box::pin(self.leave()).await?;
        Ok(self.core.row.record.clone().map(Snapshot::unfinished))
    }

    /// Puts an execution on hold whose code begins again: the new beginning waits for a resume.
    pub(super) async fn hold_before_beginning(&mut self) -> Result<Step, Halt> {
        let seen = self.core.inbox.last();
        self.core.forget_work();
        // What is read again after the resume must not wake it before.
        self.core.inbox.read_after(seen);
        Box::pin(self.leave()).await?;
        Ok(Step::settled(&mut self.core, None, None, None))
    }

    /// Gives up an execution whose next attempt does not begin now.
    pub(super) async fn put_off(&mut self) -> Result<Snapshot, Halt> {
        if self.core.inbox.is_held() {
            self.hold_before_beginning().await?;
        } else {
            let now = self.kernel.clock.now();
            self.commits.release(Some(now)).await;
        }
        let Some(record) = self.core.row.record.clone() else {
            return Err(Halt::PutOff);
        };
        Ok(Snapshot::unfinished(record))
    }

    async fn leave(&mut self) -> Result<(), Halt> {
        // Those that run here finish by themselves: their last words come into the inbox.
        self.core.calls.detach_children();
        let mut activation = Box::<Activation>::default();
        let has_deferred = self.core.calls.has_deferred();
        let deferred = self.core.calls.in_state(CallState::Deferred).clone();
        for call in deferred {
            let event = self.core.event_at(EventKind::TaskDeferred, Some(call));
            activation.events.push(event);
        }
        // First: a clock that is set back from here on is noticed when the commit is written.
        let reckoned_at = self.kernel.time.now();
        let standing = self.core.standing(None, &[]);
        // By the clock, as all that a worker waits for: the time of this execution may be ahead of it.
        let ready_at = if has_deferred {
            Some(reckoned_at)
        } else {
            self.core.next_moment()
        };
        let status = if self.core.inbox.is_held() {
            Status::Paused
        } else {
            standing.status
        };
        let change = Change {
            status,
            release: Some(Release {
                ready_at: ready_at.filter(|_| !self.core.inbox.is_held()),
                reckoned_at: Some(reckoned_at),
                seen: self.core.inbox.last(),
            }),
            hold: self.core.inbox.hold().cloned(),
            ..standing
        };
        self.write(activation, Some(change)).await?;
        self.core.machine.evict();
        self.kernel.workers.call();
        Ok(())
    }
}

impl Link {
    /// How long an execution may wait before it sleeps; `None` where it may not.
    pub(super) fn idle_limit(&self, kernel: &Kernel, core: &Core) -> Option<Duration> {
        let limit = kernel.idle_limit(core.row.placement.queue.as_ref());
        limit.filter(|_| self.may_sleep(core))
    }

    /// Whether it waits for nothing but what a worker would notice, and nobody waits for this driver.
    fn may_sleep(&self, core: &Core) -> bool {
        // The time of an execution that is not driven does not count as active.
        let counts_time = core.def.options.timeout.is_some() && core.calls.has_tasks();
        self.may_be_left(core) && !counts_time && core.row.status() == Status::Running
    }

    fn may_be_left(&self, core: &Core) -> bool {
        let is_free = !self.is_attended() && !core.is_foreign;
        is_free && core.is_quiet() && core.calls.wait()
    }
}

/// Whether others wait for a place in a full worker, so that this execution leaves as soon as it only waits; for less than a
/// moment it is not worth it.
fn is_in_the_way(kernel: &Kernel, core: &Core) -> bool {
    let soon = || kernel.clock.now().after(SOON);
    kernel.workers.wants_room() && core.next_moment().is_none_or(|due| due > soon())
}
