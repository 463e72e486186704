//! Starting a schedule's executions by hand: now, for a moment, for all moments of a span.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use super::start::{Planned, plan};
use super::{Schedule, bad_schedule, micros, shared};
use crate::clock::Timestamp;
use crate::engine::kernel::refuse::refuse_inside_workflow;
use crate::error::Error;
use crate::execution::{Handle, Status};
use crate::id::ExecutionId;
use crate::schedule::{Overlap, slot_id};
use crate::store::{Fire, Fired, Unfinished};

/// At most this many moments are backfilled at once.
const MOST: usize = 10_000;

/// How a moment is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReleaseKind {
    /// Once per moment, which has to be one of the schedule's: an execution of it that is there is what one gets.
    #[default]
    Normal,
    /// As `Normal`, and one that has failed is resumed, as [`Engine::retry`](crate::Engine::retry) does.
    Rerun,
    /// In any case, as a new execution, for any moment.
    Force,
}

/// Starts the execution of one moment of a schedule when it is awaited. [`Schedule::release`] gives it.
#[must_use = "a release does nothing until it is awaited"]
pub struct SlotRelease {
    schedule: Schedule,
    at: Timestamp,
    kind: ReleaseKind,
}

impl Schedule {
    /// Starts an execution now, beside those of its moments and whatever runs. The moment it stands for is now.
    pub async fn trigger(&self) -> Result<Handle, Error> {
        let now = self.engine.now();
        let id = format!("{}@manual-{}", self.id(), ExecutionId::mint());
        self.start(vec![self.planned(id.into(), now, false)])
            .await?
            .pop()
            .ok_or_else(|| self.gone())
    }

    /// Starts the execution of one moment: see [`ReleaseKind`]. Its code sees the moment as
    /// [`scheduled_at`](crate::ExecutionContext::scheduled_at).
    pub fn release(&self, at: SystemTime) -> SlotRelease {
        SlotRelease {
            schedule: self.clone(),
            at: micros(at),
            kind: ReleaseKind::Normal,
        }
    }

    /// Starts the executions of all moments from `from` to `to`, both included, that have none yet; they run one
    /// after another unless the schedule allows [overlap](Overlap::Allow).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for more than 10,000 moments.
    pub async fn backfill(&self, from: SystemTime, to: SystemTime) -> Result<Vec<Handle>, Error> {
        let (from, to) = (micros(from), micros(to));
        let before = Timestamp::from_micros(from.as_micros().saturating_sub(1));
        let slots: Vec<_> = self
            .spec
            .preview(before, MOST + 1)
            .into_iter()
            .take_while(|slot| *slot <= to)
            .collect();
        if slots.len() > MOST {
            let message = format!(
                "it has more than {MOST} moments from {from} to {to}: backfill a shorter span"
            );
            return Err(bad_schedule(self.id(), &message));
        }
        let waits = self.spec.overlap != Overlap::Allow;
        let planned = slots.into_iter().map(|slot| {
            let id = slot_id(self.id(), slot);
            self.planned(id, slot, waits)
        });
        self.start(planned.collect()).await
    }

    /// Not later than its moment: that may be one to come.
    fn planned(&self, id: ExecutionId, slot: Timestamp, waits: bool) -> Planned {
        Planned {
            id,
            slot,
            due: self.engine.now(),
            waits,
        }
    }

    async fn start(&self, planned: Vec<Planned>) -> Result<Vec<Handle>, Error> {
        refuse_inside_workflow(
            "starting a schedule's execution",
            "do it outside of workflows",
        )?;
        let def = self.def().await?;
        let kernel = self.engine.kernel();
        let mut start = Vec::with_capacity(planned.len());
        for planned in planned {
            start.push(plan(kernel, def, &self.record, planned).await?);
        }
        let fire = Fire {
            schedule: shared(self.id()),
            advance: None,
            start,
            unfinished: Unfinished::Leave,
            now: self.engine.now(),
        };
        match kernel.store.fire(vec![fire]).await?.pop() {
            None | Some(Fired::Stale) => Err(self.gone()),
            Some(Fired::Done { started, .. }) => {
                kernel.workers.call();
                let handle = |id| Handle::new(self.engine.clone(), id);
                Ok(started.into_iter().map(handle).collect())
            }
        }
    }

    fn gone(&self) -> Error {
        self.engine.no_schedule(self.id())
    }
}

impl SlotRelease {
    /// How it is released. The default is [`ReleaseKind::Normal`].
    pub fn kind(mut self, kind: ReleaseKind) -> Self {
        self.kind = kind;
        self
    }

    async fn go(self) -> Result<Handle, Error> {
        let schedule = &self.schedule;
        if self.kind == ReleaseKind::Force {
            let id = format!(
                "{}#{}",
                slot_id(schedule.id(), self.at),
                ExecutionId::mint()
            );
            return self.start(id.into()).await;
        }
        if !schedule.spec.is_slot(self.at) {
            return Err(Error::OffSchedule {
                id: schedule.id().to_owned(),
                at: self.at,
                next: schedule.spec.next_after(self.at),
            });
        }
        let id = slot_id(schedule.id(), self.at);
        let store = &schedule.engine.kernel().store;
        match store.execution(&id).await? {
            None => self.start(id).await,
            Some(record) => {
                if self.kind == ReleaseKind::Rerun && record.status == Status::Failed {
                    schedule.engine.resume_in_background(&id).await?;
                }
                Ok(Handle::new(schedule.engine.clone(), id))
            }
        }
    }

    async fn start(&self, id: ExecutionId) -> Result<Handle, Error> {
        let planned = self.schedule.planned(id.clone(), self.at, false);
        self.schedule.start(vec![planned]).await?;
        // Somebody else may have been faster: it is the same execution.
        Ok(Handle::new(self.schedule.engine.clone(), id))
    }
}

impl IntoFuture for SlotRelease {
    type Output = Result<Handle, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.go())
    }
}

impl fmt::Debug for SlotRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotRelease")
            .field("schedule", &self.schedule)
            .field("at", &self.at)
            .field("kind", &self.kind)
            .finish()
    }
}
