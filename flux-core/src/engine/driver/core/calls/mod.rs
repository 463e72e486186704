//! What a driver does for the calls of the code that are not answered yet.
//!
//! ```text
//!   the code calls ──► CallWork ──► ready ─► at work here ─► returned ──► its outcome is delivered: gone
//!                            └────► waits: for a time, a signal, an answer, a child elsewhere
//! ```
//!
//! One map holds them, each with a state of its kind. How all of them together stand is never kept beside that map: it is
//! read from an index of the same map by [`CallState`], so that neither a wide parent nor a wide `join!` is walked through
//! for every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::context::request::Request;
use crate::engine::history::pool::Taken;
use crate::event::EventKind;
use crate::execution::{PausePoint, Snapshot};
use crate::id::{Epoch, EventSeq, ExecutionId};
use crate::store::TransactionBody;

mod child;
mod due;
mod state;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use child::{Child, ChildState};
pub(crate) use due::{DueAt, DueCalls};
pub(crate) use state::CallState;
pub(crate) use task::{AfterFailure, CutOffBodies, Progress, Task, TaskState};

use crate::engine::driver::running::RunningBody;

/// What is done for one call.
pub(crate) enum CallWork {
    Task(Box<Task>),
    Child(Box<Child>),
    /// Statements that are run in a commit of their own.
    Transaction(TransactionBody),
    Timer(DueAt),
    /// It waits for a signal of this name.
    Signal(Arc<str>),
    /// It waits for an answer at this point, of this name.
    Pause(Box<PausePoint>, Arc<str>),
    /// It waits to be told of a cancellation.
    Cancellation,
    /// The result of an equal call from before a rewind is about to be delivered.
    Reused(Box<Taken>),
}

impl CallWork {
    /// What is done for a call that only waits; `None` where something is to be begun, once the call is recorded.
    pub(crate) fn of(
        request: &Request,
        name: &Arc<str>,
        call: EventSeq,
        execution: &ExecutionId,
    ) -> Option<Self> {
        Some(match request {
            Request::Timer { due, is_moment } if *is_moment => Self::Timer(DueAt::Moment(*due)),
            Request::Timer { due, .. } => Self::Timer(DueAt::Length(*due)),
            Request::Signal { .. } => Self::Signal(Arc::clone(name)),
            Request::Cancelled => Self::Cancellation,
            Request::Pause { wants, .. } => {
                let wants = wants.map(|wanted| wanted.name());
                let point = PausePoint::new(name, call, execution.clone(), wants.as_deref());
                Self::Pause(Box::new(point), Arc::clone(name))
            }
            Request::Task(_) | Request::Transaction(_) | Request::Child { .. } => return None,
        })
    }

    /// The kind and name of the values that it takes, where others may have them for it already.
    pub(crate) fn takes_value(&self) -> Option<(EventKind, &Arc<str>)> {
        match self {
            Self::Signal(name) => Some((EventKind::SignalAwaited, name)),
            Self::Pause(_, name) => Some((EventKind::PauseReached, name)),
            _ => None,
        }
    }

    fn state(&self) -> CallState {
        match self {
            Self::Task(task) => task.call_state(),
            Self::Child(child) => child.call_state(),
            Self::Transaction(_) => CallState::Transaction,
            Self::Timer(_) | Self::Signal(_) => CallState::Waiting,
            Self::Pause(..) => CallState::Paused,
            Self::Cancellation => CallState::Uncancelled,
            Self::Reused(_) => CallState::Reused,
        }
    }

    fn due_at(&self) -> Option<DueAt> {
        match self {
            Self::Timer(at) => Some(*at),
            Self::Task(task) => task.due_at(),
            _ => None,
        }
    }
}

/// All calls that are not answered yet.
#[derive(Default)]
pub(crate) struct Calls {
    work: BTreeMap<EventSeq, CallWork>,
    index: Index,
}

/// What can be told of the calls without walking through them; all of it follows from the map.
#[derive(Default)]
struct Index {
    by_state: [BTreeSet<EventSeq>; CallState::COUNT],
    due: DueCalls,
    /// The calls that wait for a signal, by its name.
    awaited: BTreeMap<Arc<str>, BTreeSet<EventSeq>>,
    /// The calls of a child; several may have called one that exists.
    by_child: BTreeMap<ExecutionId, BTreeSet<EventSeq>>,
}

impl Index {
    fn add(&mut self, call: EventSeq, work: &CallWork) {
        self.add_state(call, work);
        match work {
            CallWork::Signal(name) => add_to(&mut self.awaited, name, call),
            CallWork::Child(child) => add_to(&mut self.by_child, &child.id, call),
            _ => {}
        }
    }

    fn remove(&mut self, call: EventSeq, work: &CallWork) {
        self.remove_state(call, work);
        match work {
            CallWork::Signal(name) => remove_from(&mut self.awaited, name, call),
            CallWork::Child(child) => remove_from(&mut self.by_child, &child.id, call),
            _ => {}
        }
    }

    /// Of what changes while a call is the same call.
    fn add_state(&mut self, call: EventSeq, work: &CallWork) {
        self.by_state[work.state() as usize].insert(call);
        if let Some(at) = work.due_at() {
            self.due.arm(call, at);
        }
    }

    fn remove_state(&mut self, call: EventSeq, work: &CallWork) {
        self.by_state[work.state() as usize].remove(&call);
        if let Some(at) = work.due_at() {
            self.due.disarm(call, at);
        }
    }
}

fn add_to<K: Ord + Clone>(index: &mut BTreeMap<K, BTreeSet<EventSeq>>, key: &K, call: EventSeq) {
    match index.get_mut(key) {
        Some(calls) => {
            calls.insert(call);
        }
        None => {
            index.insert(key.clone(), BTreeSet::from([call]));
        }
    }
}

fn remove_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<EventSeq>>, key: &K, call: EventSeq) {
    if let Some(calls) = index.get_mut(key) {
        calls.remove(&call);
        if calls.is_empty() {
            index.remove(key);
        }
    }
}

impl Calls {
    pub(crate) fn insert(&mut self, call: EventSeq, work: CallWork) {
        drop(self.remove(call));
        self.index.add(call, &work);
        self.work.insert(call, work);
    }

    pub(crate) fn remove(&mut self, call: EventSeq) -> Option<CallWork> {
        let work = self.work.remove(&call)?;
        self.index.remove(call, &work);
        Some(work)
    }

    /// Changes the state of a call, and what is known of it by that.
    fn change<R>(&mut self, call: EventSeq, change: impl FnOnce(&mut CallWork) -> R) -> Option<R> {
        let work = self.work.get_mut(&call)?;
        self.index.remove_state(call, work);
        let changed = change(work);
        self.index.add_state(call, work);
        Some(changed)
    }

    /// Drops everything but the children, which may have to be told; gives the results that were about to be reused.
    pub(crate) fn clear(&mut self) -> Vec<Taken> {
        let work = std::mem::take(&mut self.work);
        self.index = Index::default();
        let mut reused = Vec::new();
        for (call, work) in work {
            match work {
                CallWork::Reused(taken) => reused.push(*taken),
                CallWork::Child(_) => self.insert(call, work),
                _ => {}
            }
        }
        reused
    }

    /// Takes one of the tasks, for as long as there are any: to drop them one by one.
    pub(crate) fn pop_task(&mut self) -> Option<CallWork> {
        let states = CallState::TASKS.into_iter();
        let call = states.filter_map(|state| self.in_state(state).last()).max();
        self.remove(*call?)
    }
}

/// All of them at once.
impl Calls {
    /// The calls that stand so, in their order.
    pub(crate) fn in_state(&self, state: CallState) -> &BTreeSet<EventSeq> {
        &self.index.by_state[state as usize]
    }

    fn any(&self, states: &[CallState]) -> bool {
        states.iter().any(|state| !self.in_state(*state).is_empty())
    }

    pub(crate) fn has_children(&self) -> bool {
        self.any(&CallState::CHILDREN)
    }

    pub(crate) fn has_tasks(&self) -> bool {
        self.any(&CallState::TASKS)
    }

    pub(crate) fn has_running_bodies(&self) -> bool {
        self.any(&[CallState::Running])
    }

    /// Whether a child is to be looked at.
    pub(crate) fn has_ready_children(&self) -> bool {
        self.any(&[CallState::ChildReady])
    }

    /// Whether there is something that can begin now.
    pub(crate) fn has_ready(&self) -> bool {
        self.any(&[CallState::Ready, CallState::ChildReady])
    }

    pub(crate) fn has_deferred(&self) -> bool {
        self.any(&[CallState::Deferred, CallState::ChildDeferred])
    }

    /// Whether active time passes: something is at work that is not merely paused.
    pub(crate) fn passes_active_time(&self) -> bool {
        let has_no_children_but_paused = !self.any(&[
            CallState::ChildReady,
            CallState::ChildHere,
            CallState::ChildAway,
            CallState::ChildDeferred,
        ]);
        self.has_tasks() || self.any(&[CallState::Transaction]) || !has_no_children_but_paused
    }

    /// Whether the execution is paused, as far as its calls decide that: a pause point waits, of its own or of a child, and
    /// nothing is at work or about to be.
    pub(crate) fn rests(&self) -> bool {
        !self.passes_active_time() && self.any(&[CallState::Paused, CallState::ChildPaused])
    }

    /// Whether no call keeps the execution in this process. What is to be put on hold waits for bodies alone: what follows
    /// waits for the resume, and children run on by themselves.
    pub(crate) fn are_quiet(&self, is_held: bool) -> bool {
        let is_at_work = self.any(&[CallState::Running, CallState::Ready, CallState::ChildReady]);
        let is_kept = self.any(&[CallState::Transaction, CallState::ChildHere]);
        !is_at_work && (is_held || !is_kept)
    }

    /// Whether a call waits for something.
    pub(crate) fn wait(&self) -> bool {
        self.has_children()
            || self.any(&[
                CallState::Backoff,
                CallState::Deferred,
                CallState::Paused,
                CallState::Waiting,
                CallState::Uncancelled,
            ])
    }

    /// Whether this call is the only one.
    pub(crate) fn are_only(&self, call: EventSeq) -> bool {
        self.work.len() == 1 && self.work.contains_key(&call)
    }

    /// Lets begin what was kept back.
    pub(crate) fn undefer(&mut self) {
        for call in self.in_state(CallState::Deferred).clone() {
            self.set_task(call, TaskState::Ready);
        }
        for call in self.in_state(CallState::ChildDeferred).clone() {
            self.set_child(call, ChildState::Ready);
        }
    }
}

/// Tasks.
impl Calls {
    pub(crate) fn task(&mut self, call: EventSeq) -> Option<&mut Task> {
        match self.work.get_mut(&call) {
            Some(CallWork::Task(task)) => Some(task),
            _ => None,
        }
    }

    /// The tasks whose next attempts can begin.
    pub(crate) fn ready_tasks(&self) -> Vec<EventSeq> {
        self.in_state(CallState::Ready).iter().copied().collect()
    }

    /// Changes where a task is, if its call still waits.
    pub(crate) fn set_task(&mut self, call: EventSeq, state: TaskState) {
        self.change(call, |work| {
            if let CallWork::Task(task) = work {
                task.state = state;
            }
        });
    }

    /// This run of the body has returned; `None` where it is not the one that counts.
    pub(crate) fn take_returned(&mut self, call: EventSeq, run: u64) -> Option<RunningBody> {
        let task = self.task(call)?;
        task.running().filter(|running| running.run == run)?;
        let ended = self.change(call, |work| match work {
            CallWork::Task(task) => match std::mem::replace(&mut task.state, TaskState::Returned) {
                TaskState::Running(running) => Some(running),
                _ => None,
            },
            _ => None,
        });
        ended.flatten()
    }
}

/// Children.
impl Calls {
    pub(crate) fn child(&self, call: EventSeq) -> Option<&Child> {
        match self.work.get(&call) {
            Some(CallWork::Child(child)) => Some(child),
            _ => None,
        }
    }

    /// Changes where a child is, if its call still waits.
    pub(crate) fn set_child(&mut self, call: EventSeq, state: ChildState) {
        self.change(call, |work| {
            if let CallWork::Child(child) = work {
                child.state = state;
            }
        });
    }

    /// The children that are to be looked at now; each of them is taken for one that others drive until then.
    pub(crate) fn take_ready_children(&mut self) -> Vec<EventSeq> {
        let mut ready: Vec<_> = self
            .in_state(CallState::ChildReady)
            .iter()
            .copied()
            .collect();
        ready.retain(|call| {
            let child = self.child(*call);
            child.is_some_and(|child| matches!(child.state, ChildState::Ready))
        });
        for call in &ready {
            self.set_child(*call, ChildState::Elsewhere);
        }
        ready
    }

    /// Takes the ends of children whose last words were not heard.
    pub(crate) fn take_finished(&mut self) -> Vec<(EventSeq, Box<Snapshot>)> {
        let ready = self.in_state(CallState::ChildReady).clone();
        let finished = ready.into_iter().filter_map(|call| {
            let is_finished = |child: &Child| matches!(child.state, ChildState::Finished(_));
            self.child(call).filter(|child| is_finished(child))?;
            let taken = self.change(call, |work| match work {
                CallWork::Child(child) => {
                    Some(std::mem::replace(&mut child.state, ChildState::Elsewhere))
                }
                _ => None,
            });
            match taken.flatten() {
                Some(ChildState::Finished(snapshot)) => Some((call, snapshot)),
                _ => None,
            }
        });
        finished.collect()
    }

    /// The calls that wait for an end or a pause of this child under this epoch.
    pub(crate) fn calls_that_wait(&self, child: &ExecutionId, epoch: Epoch) -> Vec<EventSeq> {
        let calls = self.index.by_child.get(child).into_iter().flatten();
        let calls = calls.copied();
        calls
            .filter(|call| {
                self.child(*call)
                    .is_some_and(|child| child.waits_for(epoch))
            })
            .collect()
    }

    /// The call whose child, or a child of that one, waits at a pause point of this execution.
    pub(crate) fn call_paused_at(&self, execution: &ExecutionId) -> Option<EventSeq> {
        let mut paused = self.in_state(CallState::ChildPaused).iter().copied();
        paused.find(|call| {
            self.points_of(*call)
                .any(|point| point.execution_id() == execution)
        })
    }

    /// Lets the drivers of children here run on by themselves.
    pub(crate) fn detach_children(&mut self) {
        for call in self.in_state(CallState::ChildHere).clone() {
            self.change(call, |work| {
                let CallWork::Child(child) = work else { return };
                if matches!(child.state, ChildState::Driven(_))
                    && let ChildState::Driven(guard) =
                        std::mem::replace(&mut child.state, ChildState::Elsewhere)
                {
                    guard.detach();
                }
            });
        }
    }

    /// Takes all children, in the order of their calls.
    pub(crate) fn take_children(&mut self) -> Vec<(EventSeq, Child)> {
        let states = CallState::CHILDREN.into_iter();
        let mut calls: Vec<EventSeq> = states
            .flat_map(|state| self.in_state(state).iter().copied())
            .collect();
        calls.sort_unstable();
        let taken = calls
            .into_iter()
            .filter_map(|call| match self.remove(call) {
                Some(CallWork::Child(child)) => Some((call, *child)),
                _ => None,
            });
        taken.collect()
    }
}

/// Transactions, timers, signals and pause points.
impl Calls {
    /// Takes the statements that were asked for first.
    pub(crate) fn take_transaction(&mut self) -> Option<(EventSeq, TransactionBody)> {
        let call = *self.in_state(CallState::Transaction).first()?;
        match self.remove(call) {
            Some(CallWork::Transaction(body)) => Some((call, body)),
            _ => None,
        }
    }

    pub(crate) fn due(&self) -> &DueCalls {
        &self.index.due
    }

    /// Takes what is due, the earliest first, and whether it is a timer: that is gone; a task that waited for its next attempt
    /// is ready for it.
    pub(crate) fn take_due(
        &mut self,
        now: Timestamp,
        clock: Timestamp,
    ) -> Option<(Timestamp, EventSeq, bool)> {
        let (at, call) = self.index.due.first_until(now, clock)?;
        let is_timer = matches!(self.work.get(&call), Some(CallWork::Timer(_)));
        if is_timer {
            self.remove(call);
        } else {
            self.set_task(call, TaskState::Ready);
        }
        Some((at, call, is_timer))
    }

    /// The names of the signals that calls wait for.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = &Arc<str>> {
        self.index.awaited.keys()
    }

    /// The calls that wait for a signal of this name, the oldest first.
    pub(crate) fn that_await(&self, name: &str) -> impl Iterator<Item = EventSeq> + use<'_> {
        let calls = self.index.awaited.get(name);
        calls.into_iter().flatten().copied()
    }

    pub(crate) fn pause_at(&self, call: EventSeq) -> Option<&PausePoint> {
        match self.work.get(&call) {
            Some(CallWork::Pause(point, _)) => Some(point),
            _ => None,
        }
    }

    /// The pause points of this execution's own code.
    pub(crate) fn own_pauses(&self) -> impl Iterator<Item = (EventSeq, &PausePoint)> {
        let paused = self.in_state(CallState::Paused).iter();
        paused.filter_map(|call| Some((*call, self.pause_at(*call)?)))
    }

    /// The pause points that wait, its own and its children's.
    pub(crate) fn pause_points(&self) -> Vec<PausePoint> {
        let own = self.own_pauses().map(|(_, point)| point);
        let paused = self.in_state(CallState::ChildPaused).iter();
        let of_children = paused.flat_map(|call| self.points_of(*call));
        own.chain(of_children).cloned().collect()
    }

    fn points_of(&self, call: EventSeq) -> impl Iterator<Item = &PausePoint> {
        let points = match self.child(call).map(|child| &child.state) {
            Some(ChildState::Paused(points)) => &points[..],
            _ => &[],
        };
        points.iter()
    }

    /// Takes the calls that wait to be told of a cancellation.
    pub(crate) fn take_uncancelled(&mut self) -> Vec<EventSeq> {
        let calls: Vec<_> = self
            .in_state(CallState::Uncancelled)
            .iter()
            .copied()
            .collect();
        for call in &calls {
            self.remove(*call);
        }
        calls
    }
}
