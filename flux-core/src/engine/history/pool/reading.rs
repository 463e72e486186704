//! Brings a pool up to another rewind.

use std::collections::{BTreeMap, BTreeSet};

use super::Pool;
use super::equals::PooledCall;
use super::memo::{Alike, Cause, Memo};
use crate::engine::history::reader::{History, Rewind, is_delivery};
use crate::event::{CallMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::matching::digest_of;
use crate::sites::Site;
use crate::store::{ExecutionRecord, Store, StoreError};
use std::sync::Arc;

/// A call that no longer counts.
struct TakenBack {
    event: Event,
    site: Option<Site>,
    is_reusable: bool,
}

/// Sees the events that count, and those that no longer do, in their order.
#[derive(Default)]
struct Builder {
    pool: Pool,
    /// Calls that no longer count.
    calls: BTreeMap<EventSeq, TakenBack>,
    /// The results of those that succeeded.
    memos: BTreeMap<EventSeq, Memo>,
    /// What each delivery came from.
    causes: BTreeMap<EventSeq, Cause>,
    /// The call that each recorded success is of.
    succeeded: BTreeMap<EventSeq, EventSeq>,
    /// Rollbacks that may have done their work, and the calls they undo.
    undone: BTreeMap<EventSeq, EventSeq>,
    /// Whether what follows was done at the end of the execution.
    is_exiting: bool,
}

impl Pool {
    /// Reads what the last rewind took back, and all rewinds before it.
    pub(crate) async fn read(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
        rewind: &Rewind,
    ) -> Result<Self, StoreError> {
        let all = History::between(store, record.key, record.base, EventSeq::MAX);
        Self::default().rewound(all, rewind).await
    }

    /// As it is after another rewind. `changed` are the events since the rewind before, and all others that counted and no
    /// longer do.
    pub(crate) async fn rewound(
        self,
        mut changed: History,
        rewind: &Rewind,
    ) -> Result<Self, StoreError> {
        let mut builder = Builder::new(self);
        while let Some(event) = changed.next_event().await? {
            if event.kind == EventKind::Rewound && event.payload.is_some() {
                builder.begin_again();
            }
            if rewind.runs.counts(event.seq) {
                builder.see_counting(&event);
            } else {
                builder.see(event);
            }
        }
        Ok(builder.finish(rewind))
    }
}

impl Builder {
    fn new(pool: Pool) -> Self {
        let mut builder = Self {
            pool,
            ..Self::default()
        };
        builder.pool.past.clear();
        builder
    }

    /// A result that was taken since is no longer in the pool, and neither is one that was delivered once more.
    fn see_counting(&mut self, event: &Event) {
        self.see_delivery(event);
        let received = event.first_received();
        if received != event.seq {
            *self.pool.used.entry(received).or_default() += 1;
        }
        if let Some(call) = event.refers.filter(|_| event.kind.is_completion()) {
            self.pool.answers.remove(&call);
        }
    }

    /// An event that no longer counts.
    fn see(&mut self, event: Event) {
        self.see_delivery(&event);
        let received = event.first_received();
        if received != event.seq && Some(event.seq) < self.pool.known_to {
            self.pool.set_free(received);
        }
        if event.kind.is_call() {
            self.see_call(event);
        } else if matches!(event.kind, EventKind::ExitStarted | EventKind::Rewound) {
            self.is_exiting = event.kind == EventKind::ExitStarted;
        } else if event.kind.is_completion() {
            self.see_completion(event);
        }
    }

    fn see_delivery(&mut self, event: &Event) {
        if !is_delivery(event) {
            return;
        }
        if event.kind == EventKind::CallReused
            && let Some(call) = event.refers
            && let Some(origin) = self.succeeded.get(&event.first_received())
        {
            let origin = *self.pool.origins.entry(call).or_insert(*origin);
            self.pool.heirs.entry(origin).or_default().insert(call);
        }
        let cause = Cause::of(event).from(&self.pool.origins);
        self.causes.insert(event.seq, cause);
    }

    fn see_call(&mut self, event: Event) {
        let seq = event.seq;
        let meta = event.meta::<CallMeta>();
        if let Some(undone) = meta.undoes {
            self.undone.insert(seq, undone);
        }
        let call = TakenBack {
            site: Site::recorded(&meta.site),
            is_reusable: !self.is_exiting && meta.undoes.is_none(),
            event,
        };
        self.calls.insert(seq, call);
        self.pool.failed.remove(&seq);
        // Its completion was taken back before, when the call still counted.
        if let Some(completion) = self.pool.answers.remove(&seq) {
            self.see_completion(completion);
        }
    }

    fn see_completion(&mut self, event: Event) {
        let Some(call) = event.refers else { return };
        let is_kept = !self.calls.contains_key(&call);
        // Nobody cancels the execution that goes on now.
        if event.kind == EventKind::CancelDelivered {
            return;
        }
        // A failure is no result to keep: two calls whose failures were delivered again in turn would let no
        // resume through.
        if matches!(event.kind, EventKind::TaskFailed | EventKind::ChildFailed) {
            if is_kept {
                self.pool.failed.insert(call);
            }
            self.undone.remove(&call);
            return;
        }
        if is_kept {
            self.pool.answers.insert(call, event);
            return;
        }
        if !self.calls[&call].is_reusable {
            return;
        }
        self.succeeded.insert(event.seq, call);
        // A result that was itself reused keeps the event it came from, so that it is never taken twice.
        let memo = Memo {
            from: event.first_received(),
            payload: event.payload.unwrap_or_else(Payload::null),
        };
        self.memos.insert(call, memo);
    }

    /// What was done was undone, and the code begins from its input. What a person answered was about what was undone.
    fn begin_again(&mut self) {
        let calls = &self.calls;
        self.memos
            .retain(|call, _| !is_asked_again(&calls[call].event));
        for equals in self.pool.equals.values_mut() {
            equals.forget_results(|call, _| is_asked_again(call));
        }
    }

    fn finish(mut self, rewind: &Rewind) -> Pool {
        if rewind.begins() {
            self.begin_again();
        }
        self.pool.known_to = Some(rewind.seq);
        self.forget_what_is_taken();
        let mut grown = BTreeSet::new();
        for (call, taken_back) in std::mem::take(&mut self.calls) {
            if !taken_back.is_reusable {
                continue;
            }
            let event = taken_back.event;
            let name = event.name.clone().unwrap_or_else(|| "".into());
            let alike: Alike = (event.kind as u8, name, digest_of(event.payload.as_ref()));
            let cause = event.refers.and_then(|delivery| self.causes.get(&delivery));
            let pooled = PooledCall {
                cause: cause.copied().unwrap_or(Cause::Other),
                site: taken_back.site,
                memo: self.memos.remove(&call),
                event,
            };
            let equals = self.pool.equals.entry(alike.clone()).or_default();
            equals.add(pooled);
            grown.insert(alike);
        }
        for alike in grown {
            if let Some(equals) = self.pool.equals.get_mut(&alike) {
                equals.forget_spent();
            }
        }
        self.pool
    }

    /// Leaves each result with the last call that had it, if nothing has taken it since and it was not undone.
    fn forget_what_is_taken(&mut self) {
        // What was undone under one call may have been taken over from another.
        let undone = self.undone.values().filter_map(|call| self.memos.get(call));
        let mut taken: BTreeSet<EventSeq> = undone.map(|memo| memo.from).collect();
        if !taken.is_empty() {
            let equals = self.pool.equals.values_mut();
            equals.for_each(|equals| equals.forget_results(|_, memo| taken.contains(&memo.from)));
        }
        let calls: Vec<EventSeq> = self.memos.keys().rev().copied().collect();
        for call in calls {
            let from = self.memos[&call].from;
            if self.pool.is_used(from) || !taken.insert(from) {
                self.memos.remove(&call);
            }
        }
    }
}

/// Whether what this call received is asked for again when the code begins again.
fn is_asked_again(call: &Event) -> bool {
    call.kind.takes_from_a_queue() && call.meta::<CallMeta>().is_asked_again(call.kind)
}
