//! The beginning of children: created within the commit that records their calls, and set to work right after it.
//!
//! ```text
//!   the code calls ──► Birth ──► laid: its row, its first event ──► commit ──┬─► driven here, or waiting for its turn
//!                        │                                                  └─► refused: the call fails
//!                        └─ its call dropped in the same activation: not created, unless it is to go on by itself
//! ```
//!
//! So a recorded child exists from the same moment on, whatever becomes of its parent and of this process; one whose call
//! was dropped before that is recorded as cancelled.

use std::sync::Arc;

use super::children::Children;
use super::core::calls::ChildState;
use super::core::wanted::{Birth, Births, WantedChild};
use super::halt::Halt;
use super::in_turn::drive_in_turn;
use super::intent::Begin;
use crate::clock::Timestamp;
use crate::engine::ownership::Claimed;
use crate::engine::ownership::{Born, Newborn};
use crate::engine::placement::place::{Wishes, place};
use crate::engine::placement::queued::{QueuedInput, queued_start};
use crate::engine::placement::standoff::{CallerLine, Standoff, tell_of_standoff};
use crate::error::{Error, TaskErrorKind};
use crate::event::{Event, EventKind, StartedMeta};
use crate::id::{Epoch, EventSeq, WorkerId};
use crate::payload::Payload;
use crate::policy::ChildPolicy;
use crate::store::{CommitError, NewChild, NewExecution, Placement, StoreError};
use crate::workflow::WorkflowDef;

/// The children of the commit under way.
#[derive(Default)]
pub(super) struct Laid {
    children: Vec<LaidChild>,
    refused: Vec<Refused>,
}

/// A child that is not created, and why.
struct Refused {
    call: EventSeq,
    def: &'static WorkflowDef,
    kind: TaskErrorKind,
    message: String,
}

/// A child whose row is part of the commit under way.
struct LaidChild {
    call: EventSeq,
    birth: Birth,
    new: NewChild,
    /// It waits for executions that wait for it.
    standoff: Option<Standoff>,
}

impl Laid {
    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty() && self.refused.is_empty()
    }

    /// The rows, for the commit.
    pub(super) fn rows(&self) -> Vec<NewChild> {
        let rows = self.children.iter();
        rows.map(|child| child.new.clone()).collect()
    }
}

impl Children<'_> {
    /// Makes the rows of children for the commit that records their calls. With `ends`, that commit also ends this execution:
    /// it cannot record any more that a call has failed, so a child is created although calls are in doubt, and the same
    /// commit tells it to end.
    pub(super) async fn lay(&mut self, births: Births, ends: bool) -> Result<Laid, Halt> {
        let mut laid = Laid::default();
        let (kernel, now) = (Arc::clone(self.kernel), self.core.now());
        let owner = kernel.owner().await?;
        for (call, birth) in births {
            let wanted = &birth.wanted;
            let def = wanted.def;
            let mut refuse = |kind, message| {
                let refused = Refused {
                    call,
                    def,
                    kind,
                    message,
                };
                laid.refused.push(refused);
            };
            let is_ended_at_once = ends && wanted.policy != ChildPolicy::Abandon;
            if let Some(in_doubt) = self
                .core
                .rewinding
                .in_doubt
                .as_ref()
                .filter(|_| !is_ended_at_once)
            {
                refuse(TaskErrorKind::OutcomeUnknown, in_doubt.message());
                continue;
            }
            let placed = place(&kernel, wanted.def, &wanted.input, Wishes::default()).await;
            let placement = match placed {
                Ok(placement) => placement,
                Err(Error::Store(error)) => return Err(error.into()),
                Err(error) => {
                    refuse(TaskErrorKind::Failed, error.to_string());
                    continue;
                }
            };
            let standoff = self.standoff(&placement).await?;
            let is_for_good = |standoff: &&Standoff| standoff.is_for_good(&self.core.id);
            if wanted.policy != ChildPolicy::Abandon
                && let Some(standoff) = standoff.as_ref().filter(is_for_good)
            {
                let message = format!("it could never start: {standoff}");
                refuse(TaskErrorKind::Failed, message);
                continue;
            }
            let new = self.newborn(wanted, placement, owner, now);
            laid.children.push(LaidChild {
                call,
                birth,
                new,
                standoff,
            });
        }
        Ok(laid)
    }

    /// Whether a child placed so would wait for this execution or one that called it.
    async fn standoff(&mut self, placement: &Placement) -> Result<Option<Standoff>, StoreError> {
        if placement.queue.is_none() && placement.gate.is_none() {
            return Ok(None);
        }
        let kernel = Arc::clone(self.kernel);
        let line = match self.line.take() {
            Some(line) => line,
            None => {
                CallerLine::read(
                    &kernel,
                    &self.core.id,
                    &self.core.row.placement,
                    self.core.row.parent.as_ref(),
                )
                .await?
            }
        };
        let standoff = line.standoff(&kernel, placement).await;
        *self.line = Some(line);
        standoff
    }

    /// A child that has to wait for its turn does so as any other execution of its workflow.
    fn newborn(
        &self,
        wanted: &WantedChild,
        placement: Placement,
        owner: WorkerId,
        now: Timestamp,
    ) -> NewChild {
        let (def, id, input) = (wanted.def, wanted.id.clone(), wanted.input.clone());
        let parent = (self.core.id.clone(), wanted.policy);
        if placement.queue.is_some() || placement.gate.is_some() {
            let input = QueuedInput {
                value: input,
                is_unchecked: false,
            };
            let (new, start) = queued_start(def, id, input, placement, Some(parent), now);
            return NewChild { new, start };
        }
        let meta = StartedMeta {
            version: def.version,
            parent: Some(self.core.id.as_str().into()),
            when_parent_ends: wanted.policy,
            ..StartedMeta::default()
        };
        let start = Event {
            seq: EventSeq::FIRST,
            at: now,
            kind: EventKind::WorkflowStarted,
            refers: None,
            name: Some(def.name.into()),
            payload: Some(input),
            meta: Payload::encode(&meta).ok(),
        };
        let new = NewExecution {
            id,
            workflow: def.name.into(),
            version: def.version,
            created_at: now,
            parent: Some(parent.0),
            owner: Some(owner),
            placement,
        };
        NewChild { new, start }
    }

    /// Sets children to work that a commit has created. Without news of them (the commit was found in the history) each
    /// is looked for. Nothing is awaited before all of them are in their drivers' hands.
    pub(super) async fn set_to_work(&mut self, laid: Laid, born: Option<Vec<Born>>) {
        for refused in laid.refused {
            let Refused {
                call,
                def,
                kind,
                message,
            } = refused;
            self.core.child_refused_as(kind, call, def, message);
        }
        let (mut held, mut standoffs) = (Vec::new(), Vec::new());
        let born = born.into_iter().flatten().map(Some);
        let born = born.chain(std::iter::repeat_with(|| None));
        for (mut child, born) in laid.children.into_iter().zip(born) {
            if let (Some(standoff), Some(Ok(Newborn::Waits(key)))) = (child.standoff.take(), &born)
            {
                standoffs.push((child.birth.wanted.id.clone(), *key, standoff));
            }
            held.extend(self.set_one_to_work(child, born));
        }
        for claimed in held {
            claimed.ownership.release(None).await;
        }
        for (child, key, standoff) in standoffs {
            tell_of_standoff(self.kernel, &child, key, &standoff).await;
        }
    }

    /// Gives it back where nothing is to start before this execution goes on.
    fn set_one_to_work(&mut self, child: LaidChild, born: Option<Born>) -> Option<Claimed> {
        let LaidChild {
            call, birth, new, ..
        } = child;
        let is_let_go = birth.is_let_go;
        match born {
            Some(Ok(Newborn::Owned(claimed))) => {
                return self.drive_newborn(call, &birth, new, *claimed);
            }
            Some(Ok(Newborn::Waits(_))) => self.await_turn(call, &birth, &new),
            _ if is_let_go => {}
            Some(Err(CommitError::Full(other) | CommitError::Duplicate(other))) => {
                let message = format!(
                    "execution `{}` runs, and no more may run beside it",
                    other.holder
                );
                self.core.child_refused(call, birth.wanted.def, message);
            }
            // Who has the id, or what became of it, is looked up.
            Some(Err(_)) | None => self.core.calls.set_child(call, ChildState::Ready),
        }
        None
    }

    fn drive_newborn(
        &mut self,
        call: EventSeq,
        birth: &Birth,
        new: NewChild,
        claimed: Claimed,
    ) -> Option<Claimed> {
        let (wanted, is_let_go) = (&birth.wanted, birth.is_let_go);
        if self.link.is_retiring() {
            // Dropped, it is released: another process starts it.
            self.defer_child(call, is_let_go);
            return None;
        }
        if self.core.inbox.is_held() && !is_let_go {
            self.defer_child(call, is_let_go);
            return Some(claimed);
        }
        let begin = Begin::Born {
            claimed: Box::new(claimed),
            start: new.start,
            has_orders: is_let_go,
        };
        match self.drive_child(call, wanted, begin, Epoch(1)) {
            Ok(driving) if is_let_go => driving.into_guard().detach(),
            Ok(driving) => {
                let guard = driving.into_guard();
                guard.hand_to_parent();
                self.core.calls.set_child(call, ChildState::Driven(guard));
            }
            // A start of the same id is under way here, and will be refused: the child is released, and looked for.
            Err(_) if is_let_go => {}
            Err(_) => self.core.calls.set_child(call, ChildState::Ready),
        }
        None
    }

    fn defer_child(&mut self, call: EventSeq, is_let_go: bool) {
        if !is_let_go {
            self.core.calls.set_child(call, ChildState::Deferred);
        }
    }

    /// The child waits for its turn.
    fn await_turn(&mut self, call: EventSeq, birth: &Birth, new: &NewChild) {
        let queue = new.new.placement.queue.as_ref();
        if !self.kernel.workers.serve(queue) {
            drive_in_turn(self.kernel, new.new.id.clone());
        }
        if !birth.is_let_go {
            self.core.calls.set_child(call, ChildState::Elsewhere);
        }
    }
}
