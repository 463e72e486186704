//! Reading an execution from the store: its history is replayed up to the live edge.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::core::Core;
use super::core::calls::Progress;
use super::core::commands::Cancelling;
use super::core::limits::ActiveTime;
use super::doubts::Doubts;
use super::halt::Halt;
use super::link::Link;
use crate::clock::Timestamp;
use crate::engine::history::pool::Pool;
use crate::engine::history::reader::{History, is_delivery};
use crate::engine::history::replay_loop::{Replaying, Trying, fresh_machine};
use crate::engine::kernel::Kernel;
use crate::event::{AttemptMeta, Event, EventKind, RewoundMeta};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{Machine, Tries};
use crate::store::ExecutionRecord;

/// Reads an execution for its driver.
pub(super) struct Loading<'a> {
    pub(super) kernel: &'a Arc<Kernel>,
    pub(super) core: &'a mut Core,
    pub(super) link: &'a mut Link,
}

impl Loading<'_> {
    fn doubts(&mut self) -> Doubts<'_> {
        Doubts {
            kernel: self.kernel,
            core: self.core,
            link: self.link,
        }
    }

    /// A machine at the beginning of the history that counts.
    pub(super) fn fresh_machine(&self) -> Machine {
        let row = &self.core.row;
        fresh_machine(
            self.kernel,
            self.core.def,
            &self.core.id,
            self.link.sender(),
            row.placement.scheduled_at,
            row.base,
        )
    }

    /// Replays the history up to the live edge, with another try where [that may help](Machine::next_try).
    pub(super) async fn load(&mut self) -> Result<BTreeMap<EventSeq, Progress>, Halt> {
        let mut trying = Trying::default();
        trying.tries.learns = self.core.row.rewound.is_some();
        loop {
            match self.load_trying(trying.tries.clone()).await {
                Err(Halt::Error(error)) => trying.failed(error, &self.core.machine)?,
                loaded => return loaded,
            }
        }
    }

    async fn load_trying(&mut self, tries: Tries) -> Result<BTreeMap<EventSeq, Progress>, Halt> {
        let Some(record) = self.core.row.record.clone() else {
            return Ok(BTreeMap::new());
        };
        self.core.machine = self.fresh_machine();
        self.core.machine.try_with(tries);
        self.core.limits.active = ActiveTime::default();
        let mut learnt = Learnt {
            budget_from: 1,
            rewound: self.core.row.rewound,
            ..Learnt::default()
        };
        let planned = self.core.rewinding.planned.clone();
        let record = ExecutionRecord {
            base: self.core.row.base,
            rewound: self.core.row.rewound,
            ..record
        };
        let mut history = match &planned {
            Some(event) if event.payload.is_some() => None,
            Some(_) => Some(History::kept(
                &self.kernel.store,
                &record,
                self.core.rewinding.last.as_ref(),
            )),
            None if self.core.rewinding.knows_last(self.core.row.rewound) => {
                let rewind = self.core.rewinding.last.as_ref();
                Some(History::counting(&self.kernel.store, &record, rewind))
            }
            None => {
                let (history, rewind) = History::open(&self.kernel.store, &record).await?;
                self.core.rewinding.last = rewind;
                Some(history)
            }
        };
        if let Some(history) = &mut history {
            self.replay_all(history, &mut learnt).await?;
        }
        if let Some(event) = planned {
            self.replay_planned(event, &mut learnt);
        }
        let progress = std::mem::take(&mut learnt.progress);
        learnt.tell(self.core);
        self.doubts().settle().await?;
        self.fill_pool(&record).await?;
        self.core.reckon_time();
        let (last, now) = (self.core.machine.last_at(), self.core.now());
        self.core.limits.active.skip_downtime(last, now);
        Ok(progress)
    }

    /// What the last rewind took back can be taken up again. Where this driver has seen all others, only that is read.
    async fn fill_pool(&mut self, record: &ExecutionRecord) -> Result<(), Halt> {
        let store = &self.kernel.store;
        let rewinding = &mut self.core.rewinding;
        let changed = rewinding.changed_runs.take();
        let pool = match (&rewinding.last, rewinding.pool.take(), changed) {
            (None, ..) => Pool::default(),
            (Some(rewind), Some(pool), Some(runs)) => {
                let changed = History::of_runs(store, record.key, runs.into());
                pool.rewound(changed, rewind).await?
            }
            (Some(rewind), ..) => Pool::read(store, record, rewind).await?,
        };
        rewinding.pool = Some(pool);
        Ok(())
    }

    /// A rewind that is not in the store yet.
    fn replay_planned(&mut self, event: Event, learnt: &mut Learnt) {
        learnt.see(&event);
        self.core.limits.active.restart(event.at);
        if event.payload.is_some() {
            self.core.machine.skip_to(event.seq);
            self.core.arrivals.push_open(event);
        } else {
            self.core.machine.replay_note(&event);
        }
    }

    async fn replay_all(&mut self, history: &mut History, learnt: &mut Learnt) -> Result<(), Halt> {
        let active = &mut self.core.limits.active;
        let mut replaying = Replaying {
            machine: &mut self.core.machine,
            id: &self.core.id,
            workflow: self.core.def.name,
            inputs: &mut self.link.inputs,
        };
        let observe = |event: &Event| {
            active.observe(event);
            if event.kind == EventKind::Rewound {
                active.restart(event.at);
            }
            learnt.see(event);
        };
        if let Some(arrival) = replaying.all(history, observe).await? {
            self.core.machine.skip_to(arrival.seq);
            self.core.arrivals.push_open(arrival);
        }
        Ok(())
    }
}

/// What a replay learns besides the state of the code.
#[derive(Default)]
struct Learnt {
    progress: BTreeMap<EventSeq, Progress>,
    budget_from: u32,
    resumed_at: Option<Timestamp>,
    cancelling: Option<Cancelling>,
    input: Option<Payload>,
    /// The last rewind, and the first delivery since.
    rewound: Option<EventSeq>,
    first_delivery: Option<EventSeq>,
    /// What the last rewind says of children that were cut off.
    cut_off: Vec<ExecutionId>,
}

impl Learnt {
    /// Tells the core, once everything is replayed.
    fn tell(self, core: &mut Core) {
        core.row.budget_from = self.budget_from;
        core.row.resumed_at = self.resumed_at;
        core.inbox.cancelling = self.cancelling;
        core.rewinding.first_delivery = self.first_delivery;
        core.rewinding.cut_off = self.cut_off;
        if core.rewinding.input.is_none() {
            core.rewinding.input = self.input;
        }
    }

    fn see(&mut self, event: &Event) {
        if Some(event.seq) > self.rewound && is_delivery(event) {
            self.first_delivery.get_or_insert(event.seq);
        }
        match event.kind {
            EventKind::TaskStarted => {
                self.progress
                    .insert(event.seq, Progress::begun_at(event.at));
            }
            EventKind::TaskCompleted
            | EventKind::TaskFailed
            | EventKind::CallReused
            | EventKind::CallCancelled => {
                event.refers.map(|call| self.progress.remove(&call));
            }
            EventKind::TaskDeferred | EventKind::TaskBegun => {
                if let Some(progress) = event.refers.and_then(|call| self.progress.get_mut(&call)) {
                    progress.is_deferred = event.kind == EventKind::TaskDeferred;
                }
            }
            EventKind::TaskAttemptFailed | EventKind::TaskInterrupted => {
                if let Some(progress) = event.refers.and_then(|call| self.progress.get_mut(&call)) {
                    progress.observe(
                        event.kind,
                        &event.meta::<AttemptMeta>(),
                        event.payload.as_ref(),
                    );
                }
            }
            // A start from a queue has its input in the event that put it there.
            EventKind::WorkflowStarted if event.payload.is_none() => {}
            EventKind::WorkflowQueued | EventKind::WorkflowStarted | EventKind::ContinuedAsNew => {
                self.input.clone_from(&event.payload);
            }
            EventKind::CancelRequested => self.cancelling = Some(Cancelling::noted(event)),
            EventKind::Rewound => self.see_rewound(event),
            _ => {}
        }
    }

    /// A rewind gives every call that is at work a new budget of attempts.
    fn see_rewound(&mut self, event: &Event) {
        let meta = event.meta::<RewoundMeta>();
        self.budget_from = meta.budget_from;
        self.cut_off = meta.cut_off;
        // An attempt that opens a budget was asked for; the others follow by themselves.
        if meta.attempt == meta.budget_from {
            self.resumed_at = Some(event.at);
        }
        for progress in self.progress.values_mut() {
            *progress = Progress::begun_at(event.at);
        }
        if event.payload.is_some() {
            self.input.clone_from(&event.payload);
        }
    }
}
