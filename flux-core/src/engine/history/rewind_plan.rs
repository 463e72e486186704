//! Taking back the end of a history: what a rewind keeps, and what gets another try. Also without the code.

use std::sync::Arc;

use super::reader::{History, Rewind};
use crate::error::{FailureData, FailureKind};
use crate::event::{Event, EventKind, OutcomeMeta, RewoundMeta};
use crate::execution::{Runs, Snapshot};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::is_start;
use crate::store::{ExecutionRecord, Store, StoreError};

/// What a rewind takes back and what it gives.
pub(crate) struct RewindPlan {
    /// The first event that no longer counts.
    pub(crate) to: EventSeq,
    /// The calls that get another try.
    pub(crate) retry: Vec<EventSeq>,
    /// Nothing is kept but the input.
    pub(crate) restart: bool,
    /// The code begins from its input, because what it did was undone; it takes up again what was not.
    pub(crate) anew: bool,
    /// The attempt of the workflow that begins.
    pub(crate) attempt: u32,
    /// The attempt that opened its budget.
    pub(crate) budget_from: u32,
    /// Of an attempt that follows by itself: children that were cut off and would be called again.
    pub(crate) cut_off: Vec<ExecutionId>,
}

/// What is rewound.
pub(crate) struct Rewindable<'a> {
    /// Where a replay starts.
    pub(crate) base: EventSeq,
    /// The last rewind.
    pub(crate) rewind: Option<Rewind>,
    /// The first delivery since, where that is known.
    pub(crate) first_delivery: Option<EventSeq>,
    /// The input of the present beginning.
    pub(crate) input: Option<&'a Payload>,
    /// The workflow's name.
    pub(crate) workflow: &'a str,
}

/// A rewind that is to be committed before anything runs again, and what the row then says.
pub(crate) struct Rewound {
    pub(crate) event: Event,
    /// Where a replay starts.
    pub(crate) base: EventSeq,
    /// The last rewind: none where nothing before it is of any use.
    pub(crate) rewind: Option<Rewind>,
    /// The events since the rewind before, and all others that counted and no longer do; first and last of each run.
    pub(crate) changed: Vec<(u32, u32)>,
}

impl RewindPlan {
    /// Another try of what failed: from the earliest failure that escaped; without one, from the last delivery,
    /// or where time ran out, from there.
    pub(crate) fn of(
        failure: &FailureData,
        failed_at: EventSeq,
        attempt: u32,
        budget_from: u32,
    ) -> Self {
        let timed_out = matches!(
            failure.kind,
            FailureKind::Timeout { .. } | FailureKind::Deadline { .. }
        );
        let to = match failure.escaped.iter().map(|call| call.failed).min() {
            Some(first) => first,
            None if timed_out => failure.stopped.unwrap_or(failed_at),
            None => failure.delivery,
        };
        Self {
            to,
            retry: failure.escaped.iter().map(|call| call.call).collect(),
            restart: false,
            anew: failure.rolled_back,
            attempt,
            budget_from,
            cut_off: Vec::new(),
        }
    }

    /// Takes back the event before as well, where it is an arrival that the code may never have been polled with, because
    /// the execution was ended without its code. The arrival is then delivered once more.
    pub(crate) fn take_back_open(&mut self, before: &Event, base: EventSeq) {
        if is_start(before) {
            self.to = base;
            self.anew |= before.kind == EventKind::Rewound;
        } else if before.kind.is_completion() && before.meta::<OutcomeMeta>().open {
            self.to = before.seq;
        }
    }

    /// Fills in `event`, a `REWOUND` that has its number and its moment.
    pub(crate) fn carry_out(self, mut event: Event, of: Rewindable<'_>) -> Rewound {
        let runs = of.rewind.map(|rewind| rewind.runs);
        let mut runs = runs.unwrap_or_else(|| Runs::from(of.base));
        let to = if self.anew { EventSeq::FIRST } else { self.to };
        let mut changed = runs.cut(to, of.first_delivery);
        if let Some(last) = changed.last_mut() {
            last.1 = last.1.min(event.seq.get() - 1);
        }
        let last = runs.last();
        let begins = self.restart || last.is_none();
        // With nothing kept and nothing to take up again, the events before are of no use.
        let restart = self.restart || (begins && !self.anew);
        let (from, to) = last
            .filter(|_| !begins)
            .unwrap_or((of.base.get(), of.base.get()));
        let meta = RewoundMeta {
            to,
            from,
            retry: if begins { Vec::new() } else { self.retry },
            attempt: self.attempt,
            budget_from: self.budget_from,
            cut_off: self.cut_off,
        };
        event.meta = Payload::encode(&meta).ok();
        let seq = event.seq;
        if begins {
            event.payload = of.input.cloned();
            event.name = Some(Arc::from(of.workflow));
            runs = Runs::from(seq);
        } else {
            runs.open(seq, &meta);
        }
        Rewound {
            event,
            base: if restart { seq } else { of.base },
            rewind: (!restart).then_some(Rewind { seq, meta, runs }),
            changed,
        }
    }
}

/// A failed execution, as far as another try has to know it.
pub(crate) struct Failed {
    pub(crate) snapshot: Snapshot,
    pub(crate) failure: FailureData,
    /// Its last event, which says how it failed.
    pub(crate) last: Event,
    pub(crate) rewind: Option<Rewind>,
    pub(crate) input: Option<Payload>,
    /// The event before its code was stopped, if it was.
    before_stop: Option<Event>,
}

impl Failed {
    /// Reads it; nothing where the history does not end in a failure.
    pub(crate) async fn read(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
    ) -> Result<Option<Self>, StoreError> {
        let snapshot = Snapshot::read(&**store, record.clone()).await?;
        let Some(failure) = snapshot.failure.clone() else {
            return Ok(None);
        };
        let Some(last) = store.last_event(record.key).await? else {
            return Ok(None);
        };
        let (_, rewind) = History::open(store, record).await?;
        let before_stop = match failure.stopped {
            Some(stopped) => event_before(store, record, stopped).await?,
            None => None,
        };
        Ok(Some(Self {
            before_stop,
            snapshot,
            failure,
            last,
            rewind,
            input: recorded_input(store, record).await?,
        }))
    }

    /// Another try of what failed, with a new budget of attempts.
    pub(crate) fn plan(&self) -> RewindPlan {
        let attempt = self.snapshot.record.attempt + 1;
        let mut plan = RewindPlan::of(&self.failure, self.last.seq, attempt, attempt);
        if let Some(before) = &self.before_stop {
            plan.take_back_open(before, self.snapshot.record.base);
        }
        plan
    }
}

/// The event before the one with this number.
pub(crate) async fn event_before(
    store: &Arc<dyn Store>,
    record: &ExecutionRecord,
    seq: EventSeq,
) -> Result<Option<Event>, StoreError> {
    let before = EventSeq::new(seq.get().saturating_sub(1));
    let before = store.events(record.key, before, 1).await?.pop();
    Ok(before.filter(|before| before.seq < seq))
}

/// The input that a replay begins with.
pub(crate) async fn recorded_input(
    store: &Arc<dyn Store>,
    record: &ExecutionRecord,
) -> Result<Option<Payload>, StoreError> {
    let first = store.events(record.key, record.base, 1).await?.pop();
    Ok(first.and_then(|event| event.payload))
}
