//! Reads a history for replay: page by page, in deliveries, without what a rewind has taken back.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{CancelMeta, Event, EventKind, RewoundMeta};
use crate::execution::{Chain, Runs};
use crate::id::{EventSeq, ExecutionKey};
use crate::replay::{Group, is_start};
use crate::store::{ExecutionRecord, Store, StoreError};

/// How many events are read at once: enough to make a read cheap, few enough to bound memory.
const PAGE: usize = 1024;

/// A cursor over the events of one execution that count.
pub(crate) struct History {
    store: Arc<dyn Store>,
    key: ExecutionKey,
    /// What is still to be read, first and last of each run.
    runs: VecDeque<(u32, u32)>,
    page: VecDeque<Event>,
    /// Whether it ends where the history does: only there can an arrival wait to be delivered.
    ends_live: bool,
}

/// One step of a replay.
#[derive(Debug)]
pub(crate) enum ReplayStep {
    /// An arrival with what the code asked for after it. The last one of all may be `open`: nothing is
    /// recorded after the arrival, perhaps because it was committed before the code was polled with it.
    Delivery { group: Group, open: bool },
    /// An event that is not delivered.
    Note(Event),
}

impl History {
    /// The history that a replay of `record` goes through, and the last rewind in it.
    pub(crate) async fn open(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
    ) -> Result<(Self, Option<Rewind>), StoreError> {
        let rewind = match record.rewound {
            Some(seq) => Rewind::read(store, record.key, seq).await?,
            None => None,
        };
        let history = Self::counting(store, record, rewind.as_ref());
        Ok((history, rewind))
    }

    /// As [`open`](Self::open), where the last rewind is known.
    pub(crate) fn counting(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
        rewind: Option<&Rewind>,
    ) -> Self {
        let runs = match rewind {
            Some(rewind) => rewind.runs.iter().collect(),
            None => VecDeque::from([(record.base.get(), u32::MAX)]),
        };
        Self {
            ends_live: true,
            ..Self::of_runs(store, record.key, runs)
        }
    }

    /// Only what is recorded up to `last`, however much follows meanwhile.
    pub(crate) fn until(mut self, last: EventSeq) -> Self {
        if let Some(run) = self.runs.back_mut() {
            run.1 = run.1.min(last.get());
        }
        self
    }

    /// What a rewind that is not written yet keeps.
    pub(crate) fn kept(
        store: &Arc<dyn Store>,
        record: &ExecutionRecord,
        rewind: Option<&Rewind>,
    ) -> Self {
        let mut runs: VecDeque<_> = rewind
            .iter()
            .flat_map(|rewind| rewind.runs.iter())
            .collect();
        runs.pop_back();
        Self::of_runs(store, record.key, runs)
    }

    /// The events from `first` to `last`, all of them.
    pub(crate) fn between(
        store: &Arc<dyn Store>,
        key: ExecutionKey,
        first: EventSeq,
        last: EventSeq,
    ) -> Self {
        Self::of_runs(store, key, VecDeque::from([(first.get(), last.get())]))
    }

    /// The events of these runs, first and last of each.
    pub(crate) fn of_runs(
        store: &Arc<dyn Store>,
        key: ExecutionKey,
        runs: VecDeque<(u32, u32)>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            key,
            runs,
            page: VecDeque::new(),
            ends_live: false,
        }
    }

    /// The next step, or the live edge.
    pub(crate) async fn next(&mut self) -> Result<Option<ReplayStep>, StoreError> {
        let Some(first) = self.next_event().await? else {
            return Ok(None);
        };
        if !is_delivery(&first) {
            return Ok(Some(ReplayStep::Note(first)));
        }
        if let Some(note) = self.note_before_polling(is_start(&first)).await? {
            self.page.push_front(first);
            return Ok(Some(ReplayStep::Note(note)));
        }
        let mut asked = Vec::new();
        while let Some(event) = self.next_event().await? {
            if !event.kind.is_asked() {
                self.page.push_front(event);
                break;
            }
            asked.push(event);
        }
        let next = self.page.front().map(|event| event.kind);
        let is_stopped = next == Some(EventKind::WorkflowStopping);
        let open = self.ends_live && asked.is_empty() && self.page.is_empty();
        Ok(Some(ReplayStep::Delivery {
            group: Group {
                arrival: first,
                asked,
                is_stopped,
            },
            open,
        }))
    }

    /// A cancellation that was noted before the code was polled with an open arrival, its beginning or another, follows
    /// that arrival, and counts before its delivery.
    async fn note_before_polling(&mut self, is_start: bool) -> Result<Option<Event>, StoreError> {
        while self.page.is_empty() {
            if !self.read_page().await? {
                return Ok(None);
            }
        }
        let counts_first = |event: &mut Event| {
            event.kind == EventKind::CancelRequested
                && (is_start || event.meta::<CancelMeta>().counts_first)
        };
        Ok(self.page.pop_front_if(counts_first))
    }

    /// The next event that counts.
    pub(crate) async fn next_event(&mut self) -> Result<Option<Event>, StoreError> {
        while self.page.is_empty() {
            if !self.read_page().await? {
                return Ok(None);
            }
        }
        Ok(self.page.pop_front())
    }

    /// Reads on; `false` at the end.
    async fn read_page(&mut self) -> Result<bool, StoreError> {
        let Some(&(first, last)) = self.runs.front() else {
            return Ok(false);
        };
        let count = PAGE.min((last - first) as usize + 1);
        let events = self
            .store
            .events(self.key, EventSeq::new(first), count)
            .await?;
        let read = events.last().map_or(first, |event| event.seq.get() + 1);
        self.page.extend(
            events
                .into_iter()
                .take_while(|event| event.seq.get() <= last),
        );
        if self.page.is_empty() || read > last {
            self.runs.pop_front();
        } else if let Some(run) = self.runs.front_mut() {
            run.0 = read;
        }
        Ok(true)
    }
}

/// Whether the code is polled with it.
pub(crate) fn is_delivery(event: &Event) -> bool {
    let is_news = matches!(event.kind, EventKind::Woken | EventKind::WorkflowStopping);
    event.kind.is_completion() || is_news || is_start(event)
}

/// The last `REWOUND` event of a history.
#[derive(Debug, Clone)]
pub(crate) struct Rewind {
    pub(crate) seq: EventSeq,
    pub(crate) meta: RewoundMeta,
    /// What counts; the last run begins with the rewind.
    pub(crate) runs: Runs,
}

impl Rewind {
    async fn read(
        store: &Arc<dyn Store>,
        key: ExecutionKey,
        seq: EventSeq,
    ) -> Result<Option<Self>, StoreError> {
        let find = async |seq| {
            let found = store.events(key, seq, 1).await?.pop();
            Ok(found.filter(|event: &Event| event.seq == seq))
        };
        let Some(event) = find(seq).await? else {
            return Ok(None);
        };
        let mut chain = Chain::new(&event);
        while let Some(wanted) = chain.next() {
            let before = find(wanted).await?;
            chain.see(before.as_ref());
        }
        Ok(Some(Self {
            seq,
            meta: event.meta(),
            runs: chain.runs(),
        }))
    }

    /// Whether the code begins from its input, so that nothing before counts.
    pub(crate) fn begins(&self) -> bool {
        self.meta.from >= self.meta.to
    }
}
