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
    by_call: BTreeMap<Alike, VecDeque<Memo>>,
    /// Completions, no longer counting, of calls that do: to be delivered once more.
    answers: BTreeMap<EventSeq, Event>,
    /// Calls that count, and whose failure no longer does: to be tried again.
    failed: BTreeSet<EventSeq>,
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
    /// Reads what the last rewind took back.
    pub(crate) async fn read(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
        rewind: &Rewind,
    ) -> Result<Self, StoreError> {
        let mut builder = Builder::new(rewind);
        let mut all = History::between(store, record.key, record.base, EventSeq::MAX);
        while let Some(event) = all.next_event().await? {
            builder.see(event);
        }
        Ok(builder.finish())
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

    /// Signals and answers of calls that count and were dropped before these were delivered to them once more.
    pub(crate) fn take_unseen(&mut self) -> Vec<Event> {
        let answers = std::mem::take(&mut self.answers).into_values();
        let is_value = |event: &Event| {
            matches!(
                event.kind,
                EventKind::SignalReceived | EventKind::PauseAnswered
            )
        };
        answers.filter(is_value).collect()
    }

    /// Takes the completion of a call that the rewind left without one.
    pub(crate) fn take_answer(&mut self, call: EventSeq) -> Option<Event> {
        self.answers.remove(&call)
    }

    /// Whether the failure of this call was taken back, so that it gets another try.
    pub(crate) fn has_failed(&self, call: EventSeq) -> bool {
        self.failed.contains(&call)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_call.is_empty()
    }
}

/// A call that no longer counts.
struct PooledCall {
    event: Event,
    is_reusable: bool,
}

struct Builder<'a> {
    rewind: &'a Rewind,
    /// Calls that no longer count.
    calls: BTreeMap<EventSeq, PooledCall>,
    memos: BTreeMap<EventSeq, Memo>,
    /// The call each memo answers, in the order the calls were made.
    used: BTreeSet<EventSeq>,
    answers: BTreeMap<EventSeq, Event>,
    failed: BTreeSet<EventSeq>,
    /// Rollbacks that may have done their work, and the calls they undo.
    undone: BTreeMap<EventSeq, EventSeq>,
    /// Whether what follows was done at the end of the execution.
    is_exiting: bool,
}

impl<'a> Builder<'a> {
    fn new(rewind: &'a Rewind) -> Self {
        Self {
            rewind,
            calls: BTreeMap::new(),
            memos: BTreeMap::new(),
            used: BTreeSet::new(),
            answers: BTreeMap::new(),
            failed: BTreeSet::new(),
            undone: BTreeMap::new(),
            is_exiting: false,
        }
    }

    fn see(&mut self, event: Event) {
        if event.seq >= self.rewind.seq || self.rewind.keeps(event.seq) {
            self.see_counting(&event);
        } else if event.kind.is_call() {
            self.see_call(event);
        } else if matches!(event.kind, EventKind::ExitStarted | EventKind::Rewound) {
            self.is_exiting = event.kind == EventKind::ExitStarted;
        } else if event.kind.is_completion() {
            self.see_completion(event);
        }
    }

    /// A result that was taken since is no longer in the pool, and neither is one that was delivered once more.
    fn see_counting(&mut self, event: &Event) {
        let received = event.first_received();
        if received != event.seq {
            self.used.insert(received);
        }
        if let Some(call) = event.refers.filter(|_| event.kind.is_completion()) {
            self.answers.remove(&call);
        }
    }

    fn see_call(&mut self, event: Event) {
        if let Some(undone) = event.meta::<CallMeta>().undoes {
            self.undone.insert(event.seq, undone);
        }
        let call = PooledCall {
            is_reusable: !self.is_exiting && !self.undone.contains_key(&event.seq),
            event,
        };
        self.calls.insert(call.event.seq, call);
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
                self.failed.insert(call);
            }
            self.undone.remove(&call);
            return;
        }
        if is_kept {
            self.answers.insert(call, event);
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

    fn finish(mut self) -> Pool {
        let mut taken = self.used;
        self.answers
            .retain(|_, event| !taken.contains(&event.first_received()));
        let mut pool = Pool {
            by_call: BTreeMap::new(),
            answers: self.answers,
            failed: self.failed,
        };
        // What was undone under one call may have been taken over from another.
        let undone = self.undone.values().filter_map(|call| self.memos.get(call));
        taken.extend(undone.map(|memo| memo.from));
        for (call, memo) in self.memos {
            if !taken.insert(memo.from) {
                continue;
            }
            let event = &self.calls[&call].event;
            let name = event.name.clone().unwrap_or_else(|| "".into());
            let key = (event.kind as u8, name, digest_of(event.payload.as_ref()));
            pool.by_call.entry(key).or_default().push_back(memo);
        }
        pool
    }
}
