//! The memo pool of a rewound execution: what succeeded in the events that no longer count.
//!
//! After a rewind the code may take another way than before; what it asks for again takes the result that
//! is already recorded (`CALL_REUSED`) instead of running twice. A call is found here by kind, name and input,
//! then by source line, then by order; the delivery it was made in does not count, since that may differ.
//!
//! What was undone is no success any more, and what was done at the end of the execution is to be done at each end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::history::{History, Rewind};
use crate::context::shared::Call;
use crate::event::{CallMeta, Event, EventKind};
use crate::id::EventSeq;
use crate::payload::Payload;
use crate::replay::matching::{digest_of, site_text};
use crate::store::{ExecutionRecord, Store, StoreError};

/// What calls have to agree in to take each other's results: kind, name and digest of the input.
type Alike = (u8, Arc<str>, u128);

/// What can be taken up again after a rewind.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// By what calls have to agree in; of equals, in the order of the calls they were recorded for.
    by_call: BTreeMap<Alike, VecDeque<Memo>>,
    /// Completions, no longer counting, of calls that do and have no other.
    answers: BTreeMap<EventSeq, Event>,
    /// Calls that count, and whose failure no longer does: to be tried again.
    failed: BTreeSet<EventSeq>,
    /// The events whose values were taken over, or delivered once more, and by how many events that count.
    used: BTreeMap<EventSeq, usize>,
    /// The rewind up to which all of this is known.
    known_to: Option<EventSeq>,
}

/// A recorded success.
#[derive(Debug, Clone)]
pub(crate) struct Memo {
    pub(crate) from: EventSeq,
    pub(crate) payload: Payload,
    call: EventSeq,
    site: String,
}

/// A result on its way to the call that took it.
#[derive(Debug)]
pub(crate) struct Taken {
    alike: Alike,
    pub(crate) memo: Memo,
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
        let mut builder = Builder {
            pool: self,
            ..Builder::default()
        };
        while let Some(event) = changed.next_event().await? {
            if rewind.runs.counts(event.seq) {
                builder.see_counting(&event);
            } else {
                builder.see(event);
            }
        }
        Ok(builder.finish(rewind))
    }

    /// Takes the result of a call like this one.
    pub(crate) fn take(&mut self, call: &Call) -> Option<Taken> {
        let alike = (
            call.kind as u8,
            Arc::clone(&call.name),
            digest_of(call.input.as_ref()),
        );
        let memos = self.by_call.get_mut(&alike)?;
        let site = site_text(call.site);
        let chosen = memos.iter().position(|memo| memo.site == site).unwrap_or(0);
        let memo = memos.remove(chosen)?;
        Some(Taken { alike, memo })
    }

    /// Takes a result back from a call that was dropped before it was delivered, for the next one like it.
    pub(crate) fn put_back(&mut self, taken: Taken) {
        let memos = self.by_call.entry(taken.alike).or_default();
        let place = memos.partition_point(|memo| memo.call < taken.memo.call);
        memos.insert(place, taken.memo);
    }

    /// Signals and answers of calls that count and were dropped before these were delivered to them once more; those of
    /// `given` are on their way.
    pub(crate) fn unseen(&self, given: &BTreeSet<EventSeq>) -> Vec<Event> {
        let is_value = |event: &Event| {
            matches!(
                event.kind,
                EventKind::SignalReceived | EventKind::PauseAnswered
            )
        };
        let answers = self.answers.iter();
        let unseen = answers.filter(|(call, event)| {
            is_value(event) && !given.contains(call) && !self.is_used(event.first_received())
        });
        unseen.map(|(_, event)| event.clone()).collect()
    }

    /// The completion of a call that a rewind left without one.
    pub(crate) fn answer(&self, call: EventSeq) -> Option<Event> {
        let answer = self.answers.get(&call);
        answer
            .filter(|event| !self.is_used(event.first_received()))
            .cloned()
    }

    /// Whether the failure of this call was taken back, so that it gets another try.
    pub(crate) fn has_failed(&self, call: EventSeq) -> bool {
        self.failed.contains(&call)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_call.is_empty()
    }

    fn is_used(&self, received: EventSeq) -> bool {
        self.used.contains_key(&received)
    }

    /// An event that used a value counts no longer.
    fn set_free(&mut self, received: EventSeq) {
        if let Some(count) = self.used.get_mut(&received) {
            *count -= 1;
            if *count == 0 {
                self.used.remove(&received);
            }
        }
    }
}

/// A call that no longer counts.
struct PooledCall {
    event: Event,
    is_reusable: bool,
}

/// Brings a pool up to another rewind.
#[derive(Default)]
struct Builder {
    pool: Pool,
    /// Calls that no longer count.
    calls: BTreeMap<EventSeq, PooledCall>,
    memos: BTreeMap<EventSeq, Memo>,
    /// Rollbacks that may have done their work, and the calls they undo.
    undone: BTreeMap<EventSeq, EventSeq>,
    /// Whether what follows was done at the end of the execution.
    is_exiting: bool,
}

impl Builder {
    /// A result that was taken since is no longer in the pool, and neither is one that was delivered once more.
    fn see_counting(&mut self, event: &Event) {
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

    fn see_call(&mut self, event: Event) {
        let seq = event.seq;
        if let Some(undone) = event.meta::<CallMeta>().undoes {
            self.undone.insert(seq, undone);
        }
        let call = PooledCall {
            is_reusable: !self.is_exiting && !self.undone.contains_key(&seq),
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
        // A result that was itself reused keeps the event it came from, so that it is never taken twice.
        let from = event.first_received();
        let pooled = &self.calls[&call];
        if !pooled.is_reusable {
            return;
        }
        let site = pooled.event.meta::<CallMeta>().site;
        let payload = event.payload.clone().unwrap_or_else(Payload::null);
        self.memos.insert(
            call,
            Memo {
                from,
                payload,
                call,
                site,
            },
        );
    }

    fn finish(self, rewind: &Rewind) -> Pool {
        let mut pool = self.pool;
        pool.known_to = Some(rewind.seq);
        // What was undone under one call may have been taken over from another.
        let undone = self.undone.values().filter_map(|call| self.memos.get(call));
        let mut taken: BTreeSet<EventSeq> = undone.map(|memo| memo.from).collect();
        if !taken.is_empty() {
            let memos = pool.by_call.values_mut();
            memos.for_each(|memos| memos.retain(|memo| !taken.contains(&memo.from)));
        }
        for (call, memo) in self.memos {
            if pool.is_used(memo.from) || !taken.insert(memo.from) {
                continue;
            }
            let event = &self.calls[&call].event;
            let name = event.name.clone().unwrap_or_else(|| "".into());
            let alike = (event.kind as u8, name, digest_of(event.payload.as_ref()));
            pool.put_back(Taken { alike, memo });
        }
        pool
    }
}
