//! Taking an execution up: from nothing, from its history, or again after a failed attempt.

use std::collections::{BTreeMap, BTreeSet};

use super::activation::{Activation, Arrival, NewOutcome};
use super::attempts::{CutOff, Progress};
use super::cancel::Cancelling;
use super::due::Due;
use super::limits::ActiveTime;
use super::{Answer, Driver, Halt, Intent};
use crate::clock::Timestamp;
use crate::context::request::Request;
use crate::engine::history::{History, Item, is_delivery};
use crate::engine::pool::Pool;
use crate::engine::replaying::{Replaying, Trying, check_format, fresh_machine};
use crate::engine::rewinding::{Failed, RewindPlan, event_before, recorded_input};
use crate::error::FailureData;
use crate::event::{AttemptMeta, EndedMeta, Event, EventKind};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::replay::{Machine, Tries};
use crate::store::ExecutionRecord;

impl Driver {
    /// The start, as the first arrival.
    pub(super) fn begin_new(&mut self, input: Payload) {
        let meta = crate::event::StartedMeta {
            version: self.def.version,
            ..crate::event::StartedMeta::default()
        };
        self.input = Some(input.clone());
        self.row.created_at = self.now();
        let mut outcome = NewOutcome::new(EventKind::WorkflowStarted, EventSeq::FIRST);
        outcome.call = None;
        outcome.name = Some(self.def.name.into());
        outcome.payload = Some(input);
        outcome.meta = Payload::encode(&meta).ok();
        outcome.not_before = Some(self.row.created_at);
        self.outcome(outcome);
    }

    /// A child that its parent's commit created: its start is recorded, and no code has seen it.
    pub(super) fn boot_born(&mut self, record: ExecutionRecord, start: Event) {
        self.row.take(record);
        self.input.clone_from(&start.payload);
        self.active.observe(&start);
        self.machine.skip_to(start.seq);
        self.arrivals.push_back(Arrival::Open(start));
        self.reckon_time();
    }

    /// An execution whose turn has come: there is nothing to replay and nothing in its inbox.
    pub(super) fn boot_queued(&mut self, record: ExecutionRecord, event: &Event) {
        self.row.take(record);
        self.input.clone_from(&event.payload);
        self.machine = fresh_machine(
            &self.engine,
            self.def,
            &self.id,
            &self.sender,
            self.row.placement.scheduled_at,
            self.row.base,
        );
        self.machine.replay_note(event);
        self.reckon_time();
        self.begin_queued();
    }

    /// The start of an execution that has waited for its turn, unless an earlier process saw to it.
    fn begin_queued(&mut self) {
        if self.machine.has_begun() || !self.arrivals.is_empty() {
            return;
        }
        let mut outcome = NewOutcome::new(EventKind::WorkflowStarted, EventSeq::FIRST);
        outcome.call = None;
        outcome.name = Some(self.def.name.into());
        // The first start counts from the claim; a later attempt's begins when it begins.
        outcome.exactly_at = self.row.rewound.is_none().then_some(self.row.created_at);
        self.outcome(outcome);
    }

    /// Replays what is recorded and takes up what was at work.
    pub(super) async fn boot(
        &mut self,
        record: ExecutionRecord,
        intent: Intent,
    ) -> Result<(), Halt> {
        let readable = check_format(&record);
        self.row.take(record);
        readable?;
        match intent {
            Intent::Retry => self.plan_retry().await?,
            Intent::Reopen => self.plan_reopen().await?,
            Intent::Recover | Intent::Answer(_) => {}
        }
        let progress = self.load().await?;
        self.begin_queued();
        let cut_off = match intent {
            Intent::Retry => CutOff::None,
            Intent::Reopen => CutOff::AtMostOnce,
            Intent::Recover | Intent::Answer(_) if self.is_untouched().await? => CutOff::None,
            Intent::Recover | Intent::Answer(_) => CutOff::All,
        };
        self.take_up_calls(progress, cut_off).await?;
        self.has_stale_inbox = true;
        self.refresh_inbox().await?;
        self.reckon_by_row();
        self.look_for_arrivals();
        match intent {
            Intent::Answer(answer) => {
                self.answer_is_named = answer.at.is_some() || answer.value.is_some();
                let answered = self.answer(&answer).await;
                if answered.is_err() {
                    self.correct_row().await?;
                }
                answered
            }
            Intent::Recover | Intent::Retry | Intent::Reopen => Ok(()),
        }
    }

    /// An answer that fits nothing may have been meant for what the row still says and no longer holds: the pause
    /// of a child that has gone on since. Then the row is put right, so that the execution is seen to go on.
    async fn correct_row(&mut self) -> Result<(), Halt> {
        let standing = self.standing(None, &[]);
        if self.row.differs(&standing) {
            self.commit(Box::default(), standing).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, answer: &Answer) -> Result<(), Halt> {
        let point = self.answer_pause(answer)?;
        match point {
            Some(point) => self.answer_child(&point, answer).await,
            None => Ok(()),
        }
    }

    /// After a failed attempt or a new beginning: everything from the store again.
    pub(super) async fn begin_again(&mut self) -> Result<(), Halt> {
        self.forget_work();
        let progress = self.load().await?;
        // What waited in a queue has its start after the event that put it there, and an attempt may take that back.
        self.begin_queued();
        self.take_up_calls(progress, CutOff::None).await
    }

    /// Puts away the code that has ended, with all that it waited for.
    pub(super) fn forget_work(&mut self) {
        self.machine.evict();
        self.tasks.clear();
        self.alone = None;
        self.due = Due::default();
        self.retries.clear();
        self.transactions.clear();
        self.forget_arrivals();
        self.signals.forget_waits();
        self.pauses.clear();
        self.cancel_waits.clear();
    }

    /// What came by message and was not delivered is read again.
    fn forget_arrivals(&mut self) {
        let arrivals = std::mem::take(&mut self.arrivals);
        if arrivals.iter().any(Arrival::is_cancellation) {
            self.passed_over = self.passed_over.saturating_add(1);
        }
        if arrivals.iter().any(Arrival::came_by_message) {
            self.signals.forget_inbox();
            self.last_message = None;
            self.has_stale_inbox = true;
        }
    }

    /// Plans the rewind of a failed execution; it is written with what first comes of it.
    async fn plan_retry(&mut self) -> Result<(), Halt> {
        let Some(record) = self.row.record.clone() else {
            return Ok(());
        };
        let Some(failed) = Failed::read(&self.engine.store, &record).await? else {
            return Ok(());
        };
        let plan = failed.plan();
        self.rewind = failed.rewind;
        self.input = failed.input;
        self.row.attempt = record.attempt;
        self.machine.skip_to(failed.last.seq);
        self.reckon_from(failed.last.at);
        if decided_by_itself(&failed.failure) && !failed.failure.rolled_back {
            self.tentative = Some(Box::new(failed.snapshot));
        }
        let event = self.rewind(plan);
        self.opening = Some(event);
        Ok(())
    }

    /// Plans the rewind of a cancelled or terminated execution: only its end is taken back, and what led to it.
    async fn plan_reopen(&mut self) -> Result<(), Halt> {
        let Some(record) = self.row.record.clone() else {
            return Ok(());
        };
        let Some(last) = self.engine.store.last_event(record.key).await? else {
            return Ok(());
        };
        let (_, rewind) = History::open(&self.engine.store, &record).await?;
        self.row.budget_from = rewind.as_ref().map_or(1, |rewind| rewind.meta.budget_from);
        // One with a parent may be opened again by an attempt of it, which no person has asked for.
        let cut_off = rewind
            .as_ref()
            .filter(|_| record.parent.is_some())
            .map_or_else(Vec::new, |rewind| rewind.meta.cut_off.clone());
        self.rewind = rewind;
        self.input = recorded_input(&self.engine.store, &record).await?;
        self.machine.skip_to(last.seq);
        self.reckon_from(last.at);
        let ended = last.meta::<EndedMeta>();
        let mut plan = RewindPlan {
            to: ended.since.unwrap_or(last.seq),
            retry: Vec::new(),
            restart: false,
            anew: ended.rolled_back,
            attempt: record.attempt,
            budget_from: self.row.budget_from,
            cut_off,
        };
        let before = event_before(&self.engine.store, &record, plan.to).await?;
        if let Some(before) = before {
            plan.take_back_open(&before, record.base);
        }
        let event = self.rewind(plan);
        self.opening = Some(event);
        Ok(())
    }

    /// Writes a planned rewind before anything else.
    pub(super) fn append_rewind(&mut self, activation: &mut Activation) {
        if let Some(event) = self.opening.take() {
            activation.events.push(event);
        }
    }

    /// Replays the history up to the live edge, with another try where [that may help](Machine::next_try).
    async fn load(&mut self) -> Result<BTreeMap<EventSeq, Progress>, Halt> {
        let mut trying = Trying::default();
        trying.tries.learns = self.row.rewound.is_some();
        loop {
            match self.load_trying(trying.tries.clone()).await {
                Err(Halt::Error(error)) => trying.failed(error, &self.machine)?,
                loaded => return loaded,
            }
        }
    }

    async fn load_trying(&mut self, tries: Tries) -> Result<BTreeMap<EventSeq, Progress>, Halt> {
        let Some(record) = self.row.record.clone() else {
            return Ok(BTreeMap::new());
        };
        self.machine = fresh_machine(
            &self.engine,
            self.def,
            &self.id,
            &self.sender,
            self.row.placement.scheduled_at,
            self.row.base,
        );
        self.machine.try_with(tries);
        self.active = ActiveTime::default();
        let mut replay = ReplayRun {
            progress: BTreeMap::new(),
            budget_from: 1,
            resumed_at: None,
            cancelling: None,
            input: None,
            rewound: self.row.rewound,
            first_delivery: None,
            cut_off: Vec::new(),
        };
        let planned = self.opening.clone();
        let record = ExecutionRecord {
            base: self.row.base,
            rewound: self.row.rewound,
            ..record
        };
        let mut history = match &planned {
            Some(event) if event.payload.is_some() => None,
            Some(_) => Some(History::kept(
                &self.engine.store,
                &record,
                self.rewind.as_ref(),
            )),
            None if self.knows_last_rewind() => {
                let rewind = self.rewind.as_ref();
                Some(History::counting(&self.engine.store, &record, rewind))
            }
            None => {
                let (history, rewind) = History::open(&self.engine.store, &record).await?;
                self.rewind = rewind;
                Some(history)
            }
        };
        if let Some(history) = &mut history {
            self.replay_all(history, &mut replay).await?;
        }
        if let Some(event) = planned {
            self.replay_planned(event, &mut replay);
        }
        self.row.budget_from = replay.budget_from;
        self.row.resumed_at = replay.resumed_at;
        self.cancelling = replay.cancelling;
        if self.input.is_none() {
            self.input = replay.input;
        }
        self.first_delivery = replay.first_delivery;
        self.cut_off = replay.cut_off;
        self.settle_doubts().await?;
        self.fill_pool(&record).await?;
        self.reckon_time();
        let now = self.now();
        self.active.skip_downtime(self.machine.last_at(), now);
        Ok(replay.progress)
    }

    /// Whether the last rewind of the history is in memory, with what counts.
    fn knows_last_rewind(&self) -> bool {
        self.rewind.as_ref().map(|rewind| rewind.seq) == self.row.rewound
    }

    /// What the last rewind took back can be taken up again. Where this driver has seen all others, only that is read.
    async fn fill_pool(&mut self, record: &ExecutionRecord) -> Result<(), Halt> {
        let store = &self.engine.store;
        let changed = self.changed_runs.take();
        let pool = match (&self.rewind, self.pool.take(), changed) {
            (None, ..) => Pool::default(),
            (Some(rewind), Some(mut pool), Some(runs)) => {
                for taken in std::mem::take(&mut self.reusing).into_values() {
                    pool.put_back(taken);
                }
                let changed = History::of_runs(store, record.key, runs.into());
                pool.rewound(changed, rewind).await?
            }
            (Some(rewind), ..) => Pool::read(store, record, rewind).await?,
        };
        self.reusing.clear();
        self.pool = Some(pool);
        Ok(())
    }

    /// A rewind that is not in the store yet.
    fn replay_planned(&mut self, event: Event, replay: &mut ReplayRun) {
        replay.see(&event);
        self.active.restart(event.at);
        if event.payload.is_some() {
            self.machine.skip_to(event.seq);
            self.arrivals.push_back(Arrival::Open(event));
        } else {
            self.machine.replay_note(&event);
        }
    }

    async fn replay_all(
        &mut self,
        history: &mut History,
        replay: &mut ReplayRun,
    ) -> Result<(), Halt> {
        let active = &mut self.active;
        let mut replaying = Replaying {
            machine: &mut self.machine,
            id: &self.id,
            workflow: self.def.name,
            inputs: &mut self.inputs,
        };
        let observe = |event: &Event| {
            active.observe(event);
            if event.kind == EventKind::Rewound {
                active.restart(event.at);
            }
            replay.see(event);
        };
        if let Some(arrival) = replaying.all(history, observe).await? {
            self.machine.skip_to(arrival.seq);
            self.arrivals.push_back(Arrival::Open(arrival));
        }
        Ok(())
    }

    /// Takes up every call that waits at the live edge.
    async fn take_up_calls(
        &mut self,
        mut progress: BTreeMap<EventSeq, Progress>,
        cut_off: CutOff,
    ) -> Result<(), Halt> {
        enum Kind {
            Task,
            Start,
            Armed,
        }
        let pending: Vec<(EventSeq, Kind)> = {
            let mut state = self.machine.shared.state();
            let kind = |request: Option<&Request>| match request {
                Some(Request::Task(_)) => Kind::Task,
                Some(Request::Child { .. } | Request::Transaction(_)) => Kind::Start,
                _ => Kind::Armed,
            };
            state
                .pending()
                .map(|(seq, call)| (seq, kind(call.request.as_ref())))
                .collect()
        };
        let retried = self
            .rewind
            .as_ref()
            .map(|rewind| rewind.meta.retry.clone())
            .unwrap_or_default();
        let answered = self.answered_at_the_edge();
        let mut salvaged = self.take_salvaged();
        let mut answered_again = BTreeSet::new();
        for (call, kind) in pending {
            let is_answered = answered.contains(&call) || salvaged.remove(&call);
            if is_answered {
                continue;
            }
            if !retried.contains(&call) && self.answer_again(call) {
                answered_again.insert(call);
                continue;
            }
            match kind {
                Kind::Task => {
                    let progress = progress.remove(&call).unwrap_or_default();
                    self.recover_task(call, progress, cut_off)?;
                }
                // A child may be done, and say so to its parent, before the rewind that lets it try again is
                // written; a parent that counts as failed is told nothing.
                Kind::Start if self.opening.is_some() => self.held_starts.push(call),
                Kind::Start => self.start(call).await?,
                Kind::Armed => {
                    self.arm(call);
                }
            }
        }
        let pool = self.pool.as_ref();
        let unseen = pool.map(|pool| pool.unseen(&answered_again));
        for event in unseen.unwrap_or_default() {
            self.keep_unseen(event);
        }
        Ok(())
    }

    /// The calls whose outcome is recorded and will be delivered once more: there is nothing to do for them.
    fn answered_at_the_edge(&self) -> BTreeSet<EventSeq> {
        let open = self.arrivals.iter().filter_map(|arrival| match arrival {
            Arrival::Open(event) => event.refers,
            _ => None,
        });
        open.collect()
    }

    /// What bodies returned when the store failed arrives before anything else is taken up, so that it is not
    /// lost if that fails.
    fn take_salvaged(&mut self) -> BTreeSet<EventSeq> {
        let salvaged = self.engine.take_salvaged(&self.id);
        let salvaged = salvaged.into_iter().map(|(call, payload)| {
            let mut outcome = NewOutcome::new(EventKind::TaskCompleted, call);
            outcome.payload = Some(payload);
            outcome
        });
        let recalled = std::mem::take(&mut self.recalled);
        let mut calls = BTreeSet::new();
        for outcome in recalled.into_iter().chain(salvaged) {
            let Some(call) = outcome.call else { continue };
            if self.is_waiting(call) && calls.insert(call) {
                self.outcome(outcome);
            }
        }
        calls
    }

    /// Delivers once more what a rewind took from a call that is kept.
    fn answer_again(&mut self, call: EventSeq) -> bool {
        let pool = self.pool.as_ref();
        let Some(event) = pool.and_then(|pool| pool.answer(call)) else {
            return false;
        };
        let mut outcome = NewOutcome::new(event.kind, call);
        if matches!(
            event.kind,
            EventKind::SignalReceived | EventKind::PauseAnswered
        ) {
            outcome = outcome.delivered_before(event.first_received());
        } else {
            outcome.meta = event.meta;
        }
        outcome.name = event.name;
        outcome.payload = event.payload;
        self.outcome(outcome);
        true
    }

    /// Always-replay mode: the code is dropped and replayed before every activation.
    pub(super) async fn replay_always(&mut self) -> Result<(), Halt> {
        if self.row.record.is_none() || self.opening.is_some() {
            return Ok(());
        }
        // What woke the code is in the code that would be dropped.
        if self.arrivals.front().is_some_and(Arrival::is_wake_up) {
            return Ok(());
        }
        let Some(record) = self.row.record.clone() else {
            return Ok(());
        };
        let at = self.machine.next_seq();
        self.machine.evict();
        let mut trying = Trying::default();
        let mut machine = loop {
            let mut machine = fresh_machine(
                &self.engine,
                self.def,
                &self.id,
                &self.sender,
                self.row.placement.scheduled_at,
                self.row.base,
            );
            machine.try_with(trying.tries.clone());
            match self.replay_into(&mut machine, &record).await {
                Err(Halt::Error(error)) => trying.failed(error, &machine)?,
                replayed => {
                    replayed?;
                    break machine;
                }
            }
        };
        machine.set_next(at);
        self.machine = machine;
        Ok(())
    }

    /// Replays all but an arrival that waits to be delivered.
    async fn replay_into(
        &mut self,
        machine: &mut Machine,
        record: &ExecutionRecord,
    ) -> Result<(), Halt> {
        let (mut history, _) = History::open(&self.engine.store, record).await?;
        let first_open = match self.arrivals.front() {
            Some(Arrival::Open(event)) => Some(event.seq),
            _ => None,
        };
        while let Some(item) = history.next().await? {
            match item {
                Item::Note(event) => machine.replay_note(&event),
                Item::Delivery { group, open } if open && first_open == Some(group.arrival.seq) => {
                }
                Item::Delivery { group, .. } => {
                    let mut replaying = Replaying {
                        machine,
                        id: &self.id,
                        workflow: self.def.name,
                        inputs: &mut self.inputs,
                    };
                    replaying.group(group).await?;
                }
            }
        }
        Ok(())
    }
}

/// What a replay learns besides the state of the code.
struct ReplayRun {
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

impl ReplayRun {
    fn see(&mut self, event: &Event) {
        if Some(event.seq) > self.rewound && is_delivery(event) {
            self.first_delivery.get_or_insert(event.seq);
        }
        match event.kind {
            EventKind::TaskStarted => {
                let progress = Progress {
                    started_at: Some(event.at),
                    ..Progress::default()
                };
                self.progress.insert(event.seq, progress);
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
        let meta = event.meta::<crate::event::RewoundMeta>();
        self.budget_from = meta.budget_from;
        self.cut_off = meta.cut_off;
        // An attempt that opens a budget was asked for; the others follow by themselves.
        if meta.attempt == meta.budget_from {
            self.resumed_at = Some(event.at);
        }
        for progress in self.progress.values_mut() {
            *progress = Progress {
                started_at: Some(event.at),
                ..Progress::default()
            };
        }
        if event.payload.is_some() {
            self.input.clone_from(&event.payload);
        }
    }
}

/// Whether no task's error led to this failure.
fn decided_by_itself(failure: &FailureData) -> bool {
    use crate::error::FailureKind;
    failure.escaped.is_empty() && matches!(failure.kind, FailureKind::Error | FailureKind::Panicked)
}
