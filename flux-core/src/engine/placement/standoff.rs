//! Executions that wait for each other: a child for a place that its parent holds, the parent for the child. Also through
//! several queues: the parents in one for children in another, and the other way round.
//!
//! A queue's place and a gate's are held from the start of an execution to its end, also while it waits. So a child in the
//! queue of its parent starts only where there is a place more than the parents take.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::engine::kernel::Kernel;
use crate::execution::{Obstacle, Status, Waiting};
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::store::{ExecutionRecord, Filter, Placement, StoreError};

/// How far up parents are looked at.
const FARTHEST: usize = 64;

/// How many executions of a queue are looked at.
const LOOKED_AT: usize = 200;

/// What a pending child waits for, and those who hold it wait for the child, or for others that wait like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standoff {
    /// A place of its queue.
    Queue {
        queue: Arc<str>,
        limit: u32,
        holder: ExecutionId,
        /// Full queues whose executions wait for this one, and it for them.
        others: Vec<Arc<str>>,
    },
    /// A place behind its gate. What the gate lets in is written in the code.
    Gate {
        key: Arc<str>,
        limit: u32,
        holder: ExecutionId,
    },
}

impl fmt::Display for Standoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue {
                queue,
                limit,
                holder,
                others,
            } => {
                let children = if others.is_empty() {
                    "children in it".to_owned()
                } else {
                    let others: Vec<String> =
                        others.iter().map(|other| format!("`{other}`")).collect();
                    format!(
                        "children in it or in {}, which are full too",
                        others.join(", ")
                    )
                };
                write!(
                    f,
                    "queue `{queue}` runs {limit} at once, and the executions that run in it wait for {children}, \
                     `{holder}` for one: raise its limit, or give parents and children different queues"
                )
            }
            Self::Gate { key, limit, holder } => write!(
                f,
                "`{key}` lets {limit} run at once, and `{holder}`, which waits for this child, is inside until it has \
                 finished"
            ),
        }
    }
}

impl Standoff {
    /// Whether it can never end well: the child's own parent is the only one inside, and takes the child along when it
    /// ends, unless the child is to go on by itself.
    pub(crate) fn is_for_good(&self, parent: &ExecutionId) -> bool {
        matches!(self, Self::Gate { limit: 1, holder, .. } if holder == parent)
    }
}

/// An execution and those that called it, the nearest first: what they hold until they have finished.
#[derive(Debug, Default)]
pub(crate) struct CallerLine(Vec<Held>);

#[derive(Debug)]
struct Held {
    id: ExecutionId,
    queue: Option<Arc<str>>,
    gate: Option<Arc<str>>,
}

impl CallerLine {
    /// Reads the line of an execution; `placement` is its own.
    pub(crate) async fn read(
        kernel: &Kernel,
        id: &ExecutionId,
        placement: &Placement,
        parent: Option<&ExecutionId>,
    ) -> Result<Self, StoreError> {
        let mut line = Self(vec![Held::new(id, placement)]);
        let mut next = parent.cloned();
        while let Some(id) = next.take().filter(|_| line.0.len() < FARTHEST) {
            if let Some(record) = kernel.store.execution(&id).await? {
                line.0.push(Held::new(&id, &record.placement));
                next = record.parent;
            }
        }
        Ok(line)
    }

    /// Whether a child placed so can start only after executions of this line have ended, which wait for it.
    pub(crate) async fn standoff(
        &self,
        kernel: &Kernel,
        placement: &Placement,
    ) -> Result<Option<Standoff>, StoreError> {
        if let Some(gate) = &placement.gate
            && let Some(holder) =
                self.holds_all(gate.limit, |held| held.gate.as_ref() == Some(&gate.key))
        {
            return Ok(Some(Standoff::Gate {
                key: Arc::clone(&gate.key),
                limit: gate.limit,
                holder,
            }));
        }
        let Some(queue) = &placement.queue else {
            return Ok(None);
        };
        let is_in_queue = |held: &Held| held.queue.as_ref() == Some(queue);
        if !self.0.iter().any(is_in_queue) {
            return Ok(None);
        }
        let Some(limit) = kernel.store.queue(queue).await?.concurrency else {
            return Ok(None);
        };
        let holder = self.holds_all(limit, is_in_queue);
        Ok(holder.map(|holder| Standoff::Queue {
            queue: Arc::clone(queue),
            limit,
            holder,
            others: Vec::new(),
        }))
    }

    /// The nearest of those that hold what is asked about, where they hold all there is of it.
    fn holds_all(&self, limit: u32, holds: impl Fn(&Held) -> bool) -> Option<ExecutionId> {
        let holders: Vec<&Held> = self.0.iter().filter(|held| holds(held)).collect();
        let nearest = holders.first()?.id.clone();
        (holders.len() >= limit as usize).then_some(nearest)
    }
}

impl Held {
    fn new(id: &ExecutionId, placement: &Placement) -> Self {
        Self {
            id: id.clone(),
            queue: placement.queue.clone(),
            gate: placement.gate.as_ref().map(|gate| Arc::clone(&gate.key)),
        }
    }
}

/// A queue that is full.
#[derive(Debug)]
struct Full {
    limit: u32,
    running: Vec<ExecutionRecord>,
}

/// Says once, in the log and beside its row, that a child waits for executions that wait for it.
pub(crate) async fn tell_of_standoff(
    kernel: &Kernel,
    child: &ExecutionId,
    key: ExecutionKey,
    standoff: &Standoff,
) {
    tracing::warn!(
        target: "flux::execution",
        execution_id = %child,
        reason = %standoff,
        "a child waits for executions that wait for it, and may never start"
    );
    let obstacle = Obstacle::standoff(standoff.to_string(), kernel.clock.now());
    kernel.keep_obstacle(key, Epoch(1), &obstacle).await;
}

/// Looks for full queues in which every execution only waits for children that wait in one of these queues, and tells
/// of what is pending in them.
pub(crate) async fn look_for_standoffs(kernel: &Kernel) -> Result<(), StoreError> {
    let mut full = full_queues(kernel).await?;
    // Each queue that can move may free a place for another one.
    while let Some(moving) = one_that_moves(kernel, &full).await? {
        full.remove(&moving);
    }
    let names: Vec<&Arc<str>> = full.keys().collect();
    for (queue, Full { limit, running }) in &full {
        let Some(holder) = running.first().map(|first| first.id.clone()) else {
            continue;
        };
        let standoff = Standoff::Queue {
            queue: Arc::clone(queue),
            limit: *limit,
            holder,
            others: names
                .iter()
                .filter(|name| **name != queue)
                .copied()
                .cloned()
                .collect(),
        };
        let waiting = of_queue(kernel, queue, &[Status::Pending]).await?;
        let news = waiting.iter().filter(|record| record.obstacle.is_none());
        for record in news.filter(|record| record.epoch == Epoch(1)) {
            tell_of_standoff(kernel, &record.id, record.key, &standoff).await;
        }
    }
    Ok(())
}

/// The queues that start nothing more before an execution in them ends, and what runs there.
async fn full_queues(kernel: &Kernel) -> Result<BTreeMap<Arc<str>, Full>, StoreError> {
    let mut full = BTreeMap::new();
    for record in kernel.store.queues().await? {
        let limit = record.settings.concurrency;
        let limit = limit.filter(|limit| record.running >= u64::from(*limit));
        let is_looked_at = record.pending > 0 && record.running <= LOOKED_AT as u64;
        if let Some(limit) = limit.filter(|_| is_looked_at) {
            let statuses = [Status::Running, Status::Paused];
            let running = of_queue(kernel, &record.name, &statuses).await?;
            full.insert(record.name, Full { limit, running });
        }
    }
    Ok(full)
}

/// One of these queues in which something is done, or waits for something other than a place in one of them.
async fn one_that_moves(
    kernel: &Kernel,
    full: &BTreeMap<Arc<str>, Full>,
) -> Result<Option<Arc<str>>, StoreError> {
    for (queue, Full { running, .. }) in full {
        if running.is_empty() || !all_wait_for_children(kernel, running.clone(), full).await? {
            return Ok(Some(Arc::clone(queue)));
        }
    }
    Ok(None)
}

async fn of_queue(
    kernel: &Kernel,
    queue: &Arc<str>,
    statuses: &[Status],
) -> Result<Vec<ExecutionRecord>, StoreError> {
    let filter = Filter {
        statuses: statuses.to_vec(),
        queue: Some(Arc::clone(queue)),
        limit: LOOKED_AT,
        ..Filter::default()
    };
    kernel.store.executions(filter).await
}

/// Whether nothing can move these but a free place in one of the queues: each sleeps, and each unfinished child of it
/// is pending in one of them or sleeps in the same way.
async fn all_wait_for_children(
    kernel: &Kernel,
    mut left: Vec<ExecutionRecord>,
    full: &BTreeMap<Arc<str>, Full>,
) -> Result<bool, StoreError> {
    let mut seen = BTreeSet::new();
    while let Some(record) = left.pop() {
        if !seen.insert(record.key) {
            continue;
        }
        if !waits_for_children_alone(&record) || seen.len() > LOOKED_AT {
            return Ok(false);
        }
        let filter = Filter {
            statuses: vec![Status::Pending, Status::Running, Status::Paused],
            parent: Some(record.id),
            limit: LOOKED_AT,
            ..Filter::default()
        };
        let children = kernel.store.executions(filter).await?;
        if children.is_empty() || children.len() == LOOKED_AT {
            return Ok(false);
        }
        for child in children {
            let queue = child.placement.queue.as_ref();
            match child.status {
                Status::Pending if queue.is_some_and(|queue| full.contains_key(queue)) => {}
                Status::Running => left.push(child),
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}

/// Whether it sleeps, and nothing but a child of it will wake it.
fn waits_for_children_alone(record: &ExecutionRecord) -> bool {
    let is_asleep = record.status == Status::Running && record.owner.is_none();
    let has_no_moment = record.ready_at.is_none() && record.wake_at.is_none();
    let waiting = Waiting::read(record.waiting.as_ref());
    let for_nothing_else = waiting.pauses.is_empty() && waiting.signals.is_empty();
    is_asleep && has_no_moment && for_nothing_else
}
