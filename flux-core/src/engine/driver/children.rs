//! Driving children: executions that this one called.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::core::activation::Activation;
use super::core::calls::ChildState;
use super::core::wanted::WantedChild;
use super::halt::Halt;
use super::in_turn::drive_in_turn;
use super::intent::{Begin, Intent};
use super::launch::launch;
use super::link::Link;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::Driving;
use crate::engine::kernel::input::{ChildReport, DriverInput};
use crate::engine::kernel::pausing::Answer;
use crate::engine::kernel::progress::OnSettled;
use crate::engine::ownership::claim;
use crate::engine::placement::standoff::CallerLine;
use crate::error::Error;
use crate::event::EndedMeta;
use crate::execution::{PausePoint, Status, Waiting};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::store::{ClaimError, ExecutionRecord, MessageKind};

/// How long a child is left alone that somebody has for a moment, before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Drives the children of one execution.
pub(super) struct Children<'a> {
    pub(super) kernel: &'a Arc<Kernel>,
    pub(super) core: &'a mut Core,
    pub(super) link: &'a mut Link,
    pub(super) line: &'a mut Option<CallerLine>,
}

impl Children<'_> {
    /// Goes on with a child that is recorded; one that was refused before is to be created with the activation.
    pub(super) async fn start(&mut self, call: EventSeq) -> Result<Option<Box<Activation>>, Halt> {
        let Some(wanted) = self.core.wanted_child(call) else {
            return Ok(None);
        };
        // A driver that an earlier run of this execution has just dropped is on its way out.
        self.kernel.drivers.see_off(&wanted.id).await;
        match self.kernel.store.execution(&wanted.id).await? {
            None => {
                let mut activation = Box::<Activation>::default();
                self.core.expect_child(call, wanted, &mut activation);
                return Ok(Some(activation));
            }
            Some(record) if record.parent.as_ref() == Some(&self.core.id) => {
                self.take_up(call, wanted, record).await?;
            }
            Some(_) => {
                let message = format!(
                    "the id `{}` is taken by an execution that this one did not start",
                    wanted.id
                );
                self.core.child_refused(call, wanted.def, message);
            }
        }
        Ok(None)
    }

    /// Goes on with a child that exists.
    async fn take_up(
        &mut self,
        call: EventSeq,
        wanted: WantedChild,
        record: ExecutionRecord,
    ) -> Result<(), Halt> {
        let is_retried = self.core.rewinding.retried().contains(&call);
        let intent = match record.status {
            // An order from before its parent failed and was resumed: it has to be carried out before the child can
            // be opened again.
            Status::Paused if self.is_to_end(&record).await? => Intent::Recover,
            Status::Paused => {
                let points = Waiting::read(record.waiting.as_ref()).pauses;
                let points = points
                    .iter()
                    .map(|point| point.seen_from_parent(wanted.def.name))
                    .collect();
                let child = wanted.child(record.epoch, ChildState::Paused(points));
                self.core.calls.insert(call, child);
                return Ok(());
            }
            Status::Failed if is_retried || self.core.rewinding.has_failed(call) => Intent::Retry,
            Status::Cancelled if self.core.rewinding.last.is_some() => Intent::Reopen,
            // Pending: a worker starts it when its queue and gate allow, so it is not claimed here.
            Status::Pending => {
                if !self.kernel.workers.see_to(&record) {
                    drive_in_turn(self.kernel, wanted.id.clone());
                }
                self.watch_child(call, &wanted, record.epoch);
                return Ok(());
            }
            Status::Running if self.is_woken_by_worker(&record) => {
                let child = wanted.child(record.epoch, ChildState::Asleep);
                self.core.calls.insert(call, child);
                self.core.inbox.expect_news();
                return Ok(());
            }
            Status::Terminated if self.was_ended_by_parent(&record).await? => Intent::Reopen,
            status if status.is_finished() => {
                self.watch_child(call, &wanted, record.epoch);
                let snapshot = self.kernel.snapshot(record).await?;
                let finished = ChildState::Finished(Box::new(snapshot));
                self.core.calls.set_child(call, finished);
                return Ok(());
            }
            _ => Intent::Recover,
        };
        // The end that it has come to is known already; what is waited for is the next one.
        let since = if record.status.is_finished() {
            Epoch(record.epoch.0 + 1)
        } else {
            record.epoch
        };
        self.claim_child(call, wanted, since, intent).await
    }

    /// Whether a child that nobody drives is set to work by what it waits for. One that was put off before it began waits
    /// for nothing but this execution.
    fn is_woken_by_worker(&self, record: &ExecutionRecord) -> bool {
        let waits = record.ready_at.is_some() || record.waiting.is_some();
        record.owner.is_none() && waits && self.kernel.workers.see_to(record)
    }

    /// Whether this execution terminated the child, before it was resumed itself.
    async fn was_ended_by_parent(&mut self, record: &ExecutionRecord) -> Result<bool, Halt> {
        if self.core.rewinding.last.is_none() {
            return Ok(false);
        }
        let last = self.kernel.store.last_event(record.key).await?;
        Ok(last.is_some_and(|last| last.meta::<EndedMeta>().by_parent))
    }

    /// Whether a parent's order to end lies in its inbox.
    async fn is_to_end(&mut self, record: &ExecutionRecord) -> Result<bool, Halt> {
        if self.core.rewinding.last.is_none() {
            return Ok(false);
        }
        let inbox = self.kernel.store.inbox(record.key).await?;
        Ok(inbox
            .iter()
            .any(|message| matches!(message.kind, MessageKind::Cancel | MessageKind::Terminate)))
    }

    /// `since`: the first epoch of the beginning that is waited for, if others have the child.
    async fn claim_child(
        &mut self,
        call: EventSeq,
        wanted: WantedChild,
        since: Epoch,
        intent: Intent,
    ) -> Result<(), Halt> {
        let Some(claiming) = self.kernel.drivers.begin_claim(&wanted.id) else {
            // Driven in this process, perhaps by a driver that is about to be gone.
            self.watch_child(call, &wanted, since);
            self.look_again(call, &wanted.id, since);
            return Ok(());
        };
        match claim(self.kernel, claiming).await {
            Ok(claimed) => {
                let since = claimed.record.epoch;
                let begin = Begin::claimed(claimed, intent);
                self.drive_claimed(call, &wanted, begin, since).await
            }
            Err(ClaimError::Held { .. }) => {
                self.watch_child(call, &wanted, since);
                if !matches!(intent, Intent::Recover) {
                    // Whoever has it may leave it as it was.
                    self.look_again(call, &wanted.id, since);
                }
                Ok(())
            }
            Err(ClaimError::NotFound) => Ok(()),
            Err(ClaimError::Failed(error)) => Err(error.into()),
        }
    }

    /// Others drive the child: its last word will come into the inbox.
    fn watch_child(&mut self, call: EventSeq, wanted: &WantedChild, since: Epoch) {
        let child = wanted.child(since, ChildState::Elsewhere);
        self.core.calls.insert(call, child);
        self.core.inbox.expect_news();
    }

    /// Has the child looked at again when the driver that this process has for it is gone, or after a while.
    fn look_again(&self, call: EventSeq, id: &ExecutionId, since: Epoch) {
        let sender = self.link.sender().clone();
        let driver = self.kernel.drivers.get(id);
        tokio::spawn(async move {
            match driver {
                Some(driver) => driver.gone().await,
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
            let report = ChildReport::Changed;
            let _ = sender.send(DriverInput::Child {
                call,
                since,
                report,
            });
        });
    }

    /// Drives a child beside this execution. Its replay has succeeded when this returns.
    async fn drive_claimed(
        &mut self,
        call: EventSeq,
        wanted: &WantedChild,
        begin: Begin,
        since: Epoch,
    ) -> Result<(), Halt> {
        let driving = match self.drive_child(call, wanted, begin, since) {
            Ok(driving) => driving,
            Err(Error::AlreadyRunning { .. }) => {
                self.watch_child(call, wanted, since);
                self.look_again(call, &wanted.id, since);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let started = driving.started().await.map_err(Halt::Error)?;
        debug_assert!(started.is_ok(), "one that exists is not refused");
        let guard = driving.into_guard();
        guard.hand_to_parent();
        let child = wanted.child(since, ChildState::Driven(guard));
        self.core.calls.insert(call, child);
        Ok(())
    }

    /// Sets a driver to work that reports to this execution, naming the beginning of the child that it drives.
    pub(super) fn drive_child(
        &self,
        call: EventSeq,
        wanted: &WantedChild,
        begin: Begin,
        since: Epoch,
    ) -> Result<Driving, Error> {
        let sender = self.link.sender().clone();
        let name = wanted.def.name;
        let on_settled: OnSettled = Box::new(move |settled| {
            let report = ChildReport::of(settled, name);
            let _ = sender.send(DriverInput::Child {
                call,
                since,
                report,
            });
        });
        let id = wanted.id.clone();
        launch(self.kernel, wanted.def, id, begin, Some(on_settled))
    }

    /// Hears of children that have finished before their last words came.
    pub(super) async fn hear_finished(&mut self) -> Result<(), Halt> {
        for (call, snapshot) in self.core.calls.take_finished() {
            let last = self.kernel.store.last_event(snapshot.record.key).await?;
            self.core.child_finished(call, *snapshot, last.as_ref());
        }
        Ok(())
    }

    /// Passes a resume's answer on to the child whose pause point it is meant for.
    pub(super) async fn answer(&mut self, point: &PausePoint, answer: &Answer) -> Result<(), Halt> {
        let Some(call) = self.core.calls.call_paused_at(point.execution_id()) else {
            return Ok(());
        };
        let Some(wanted) = self.core.wanted_child(call) else {
            return Ok(());
        };
        let below: Vec<String> = point.path().iter().skip(1).cloned().collect();
        let at = below
            .into_iter()
            .chain([point.name().to_owned()])
            .collect::<Vec<_>>()
            .join("/");
        let answer = Answer {
            meant: None,
            at: Some(at),
            value: answer.value.clone(),
        };
        let child = self.core.calls.child(call);
        let since = child.map_or(Epoch(1), |child| child.since);
        self.claim_child(call, wanted, since, Intent::Answer(answer))
            .await
    }
}
