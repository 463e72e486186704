//! The commit of an activation, and the effects that may follow it.

use std::sync::Arc;

use super::activation::{Activation, Arrival, Ended};
use super::births::Laid;
use super::due::Due;
use super::{Driver, Halt, Step};
use crate::engine::active::Refusal;
use crate::engine::ownership::Ownership;
use crate::engine::write::Born;
use crate::error::Error;
use crate::event::{Event, EventKind, OutcomeMeta};
use crate::execution::{Snapshot, Status};
use crate::id::{Epoch, EventSeq, ExecutionKey};
use crate::payload::Payload;
use crate::store::{
    Change, Commit, CommitError, ExecutionRecord, Release, Target, Transaction, TransactionBody,
};

impl Driver {
    /// Writes an activation and carries out what it started.
    pub(super) async fn commit_and_act(
        &mut self,
        mut activation: Box<Activation>,
    ) -> Result<Step, Halt> {
        let ended = activation.ended.take();
        if let Some(Ended::Unchanged) = &ended
            && let Some(before) = self.tentative.take()
        {
            self.machine.evict();
            self.release(None).await;
            return Ok(Step::Settled(before));
        }
        self.tentative = None;
        let started = std::mem::take(&mut activation.started);
        let standing = self.standing(ended.as_ref(), &started);
        match self.commit(activation, standing).await {
            Err(Halt::Unread) => return Box::pin(self.recall()).await,
            committed => committed?,
        }
        self.after_commit().await;
        if matches!(ended, Some(Ended::Again)) {
            // The new beginning may end before this driver is told of what other processes have sent.
            self.has_stale_inbox = true;
            Box::pin(self.refresh_inbox()).await?;
        }
        match ended {
            Some(Ended::Finished {
                output,
                failure,
                termination,
                ..
            }) => {
                self.stop_work();
                self.leave_room();
                Ok(self.settled(output, failure, termination))
            }
            Some(Ended::Again) if self.hold.is_some() => {
                Box::pin(self.hold_before_beginning()).await
            }
            Some(Ended::Again) => match Box::pin(self.begin_again()).await {
                Ok(()) => Ok(Step::Went),
                Err(Halt::PutOff) => {
                    let asleep = Box::pin(self.put_off()).await?;
                    Ok(Step::Settled(Box::new(asleep)))
                }
                Err(error) => Err(error),
            },
            Some(Ended::Unchanged) | None => self.carry_out(started).await,
        }
    }

    async fn carry_out(&mut self, mut started: Vec<EventSeq>) -> Result<Step, Halt> {
        started.append(&mut self.held_starts);
        for call in started {
            self.start(call).await?;
        }
        self.launch_retries()?;
        if let Some(error) = self.lost_answer.take() {
            return Err(error.into());
        }
        if self.is_paused() {
            return Ok(self.settled(None, None, None));
        }
        Ok(Step::Went)
    }

    /// Nothing arrived: whatever changed about where the execution stands is written.
    pub(super) async fn commit_standing(&mut self) -> Result<Step, Halt> {
        if let Some(error) = self.lost.take() {
            return Err(error.into());
        }
        let mut activation = Box::<Activation>::default();
        self.append_rewind(&mut activation);
        let standing = self.standing(None, &[]);
        let is_due = !self.retries.is_empty();
        if activation.events.is_empty() && (is_due || !self.is_change(&standing)) {
            // A request is over before what it asks for begins: a crash after that is one.
            if !self.stale_messages.is_empty() {
                self.write(Box::default(), None).await?;
            }
            if !self.held_starts.is_empty() {
                // A hold was lifted that kept children from being started.
                return self.carry_out(Vec::new()).await;
            }
            self.launch_retries()?;
            return Ok(if is_due { Step::Went } else { Step::Idle });
        }
        self.commit(activation, standing).await?;
        self.after_commit().await;
        self.carry_out(Vec::new()).await
    }

    /// Whether the last commit left the execution paused, and gave it up.
    fn is_paused(&self) -> bool {
        let is_paused = |record: &ExecutionRecord| record.status == Status::Paused;
        self.ownership.is_none() && self.row.record.as_ref().is_some_and(is_paused)
    }

    pub(super) fn settled(
        &mut self,
        output: Option<Payload>,
        failure: Option<Box<crate::error::FailureData>>,
        termination: Option<String>,
    ) -> Step {
        self.machine.evict();
        let Some(record) = self.row.record.clone() else {
            return Step::Went;
        };
        Step::Settled(Box::new(Snapshot {
            record,
            output,
            failure: failure.map(|failure| *failure),
            termination,
            limit: None,
        }))
    }

    /// Where the execution stands after this activation.
    pub(super) fn standing(&self, ended: Option<&Ended>, started: &[EventSeq]) -> Change {
        let (status, finished_at) = match ended {
            Some(Ended::Finished { status, .. }) => (*status, Some(self.machine.last_at())),
            None if self.rests(started) => (Status::Paused, None),
            Some(Ended::Again | Ended::Unchanged) | None => (Status::Running, None),
        };
        let waits = ended.is_none();
        let hold = self.hold.clone().filter(|_| status == Status::Paused);
        let stays = match status {
            Status::Paused => hold.is_none() && self.cleans_up(),
            status => status == Status::Running,
        };
        // First: a clock that is set back from here on is noticed when the commit is written.
        let reckoned_at = (!stays).then(|| self.engine.time.now());
        let wake_at = self.next_due().filter(|_| waits);
        let ready_at = self.next_moment().filter(|_| waits);
        Change {
            status,
            attempt: self.row.attempt,
            finished_at,
            wake_at,
            waiting: self.waiting().filter(|_| waits),
            base: self.row.base,
            rewound: self.row.rewound,
            release: (!stays).then_some(Release {
                ready_at: ready_at.filter(|_| hold.is_none()),
                reckoned_at,
                seen: self.last_message,
            }),
            hold,
            // It went on.
            obstacle: None,
        }
    }

    /// Whether it is paused: a pause point waits, and nothing is at work or about to be.
    fn rests(&self, started: &[EventSeq]) -> bool {
        let is_at_work = !started.is_empty()
            || !self.tasks.is_empty()
            || !self.transactions.is_empty()
            || !self.held_starts.is_empty()
            || !self.arrivals.is_empty()
            || !self.children.are_all_paused();
        !is_at_work && (!self.pauses.is_empty() || !self.children.is_empty())
    }

    /// Whether the row has to be written so that it says this.
    fn is_change(&self, standing: &Change) -> bool {
        // One that is given up: nothing else may have changed since it was claimed.
        let is_released = standing.release.is_some() && self.ownership.is_some();
        is_released || self.row.differs(standing)
    }

    pub(super) fn commit(
        &mut self,
        mut activation: Box<Activation>,
        standing: Change,
    ) -> impl Future<Output = Result<(), Halt>> + Send {
        let change = Some(standing).filter(|standing| self.is_change(standing));
        if change
            .as_ref()
            .is_some_and(|change| change.status == Status::Paused && change.release.is_some())
        {
            self.tell_of_pause(&mut activation);
        }
        self.write(activation, change)
    }

    /// Writes an activation with this change of the row.
    pub(super) async fn write(
        &mut self,
        mut activation: Box<Activation>,
        change: Option<Change>,
    ) -> Result<(), Halt> {
        self.check_length()?;
        activation.consumed.append(&mut self.stale_messages);
        let is_hold_over = |change: &Change| change.hold.is_some() || change.status.is_finished();
        if change.as_ref().is_some_and(is_hold_over) {
            activation.consumed.append(&mut self.hold_messages);
        }
        let last = activation.events.last().map(|event| event.seq);
        self.unwritten = Self::keep_results(&activation.events);
        let outbox = activation.outbox.iter();
        self.outbox_told = outbox
            .map(|(id, message)| (id.clone(), message.kind.ends()))
            .collect();
        if let Some(first) = activation
            .events
            .first()
            .filter(|_| self.row.record.is_none())
        {
            self.row.created_at = first.at;
        }
        let lines = self.lines(&activation.events, change.as_ref());
        let heeds = self.heeds(&activation.events, change.as_ref());
        if heeds.is_some() {
            self.recalled = Self::answers(&activation.events);
            // If nothing was delivered since a recall, the code was stopped by something that came before the cancellation.
            let is_first = !self.is_recalled;
            if is_first && self.arrivals.iter().any(Arrival::is_cancellation) {
                return Err(Halt::Unread);
            }
        }
        let ends = change
            .as_ref()
            .is_some_and(|change| change.status.is_finished());
        let laid = if activation.births.is_empty() {
            Laid::default()
        } else {
            Box::pin(self.lay(activation.births, ends)).await?
        };
        let commit = Commit {
            target: self.target(),
            events: activation.events,
            change: change.clone(),
            consumed: activation.consumed,
            children: laid.rows(),
            published: activation.published,
            outbox: activation.outbox,
            transaction: None,
            heeds,
        };
        let sent = if self.row.record.is_some() && commit.children.is_empty() {
            let written = self.engine.commit(commit).await;
            written.map(|committed| (committed.key, None))
        } else {
            Box::pin(self.commit_owning(commit)).await
        };
        let (key, born) = match sent {
            Ok(sent) => sent,
            Err(error) => (Box::pin(self.after_refusal(error, last)).await?, None),
        };
        if self.row.record.is_none() && self.ownership.is_none() {
            // Nobody acknowledged the start, and it was found to be written.
            self.ownership = Some(Ownership::new(&self.engine, key, Epoch(1)));
        }
        self.unwritten.clear();
        self.recalled.clear();
        self.committed(key, change);
        self.log(&lines);
        if !laid.is_empty() {
            Box::pin(self.set_to_work(laid, born)).await;
        }
        Ok(())
    }

    /// Commits what begins executions, so that what it begins is never lost.
    async fn commit_owning(
        &mut self,
        commit: Commit,
    ) -> Result<(ExecutionKey, Option<Vec<Born>>), CommitError> {
        let begun = self.engine.commit_owning(commit).await?;
        if begun.ownership.is_some() {
            self.ownership = begun.ownership;
        }
        Ok((begun.key, Some(begun.children)))
    }

    /// What the commit is to append to, or create.
    fn target(&self) -> Target {
        self.row
            .target(&self.id, self.def, self.engine.owner_if_any())
    }

    /// Remembers what is now written, and that the execution is given up where it was.
    fn committed(&mut self, key: ExecutionKey, change: Option<Change>) {
        let is_released = change
            .as_ref()
            .is_some_and(|change| change.release.is_some());
        self.row.committed(key, change, |row| {
            row.new_execution(&self.id, self.def, self.engine.owner_if_any())
        });
        if is_released && let Some(ownership) = self.ownership.take() {
            ownership.discharge();
        }
    }

    /// A commit that was not acknowledged: what is to be done about it.
    async fn after_refusal(
        &mut self,
        error: CommitError,
        last: Option<EventSeq>,
    ) -> Result<ExecutionKey, Halt> {
        match error {
            CommitError::Unread => Err(Halt::Unread),
            CommitError::Exists => Err(Halt::Refused(Refusal::Exists)),
            CommitError::Full(other) => Err(Halt::Refused(Refusal::Full(other.holder))),
            CommitError::Duplicate(other) => Err(Halt::Refused(Refusal::Duplicate(other.holder))),
            CommitError::Fenced => Err(Error::TakenOver {
                id: self.id.clone(),
            }
            .into()),
            CommitError::Failed(error) => Err(error.into()),
            CommitError::Unknown(error) => self.read_back(last).await?.ok_or_else(|| error.into()),
        }
    }

    /// Nobody knows whether the commit happened: the history does.
    async fn read_back(&mut self, last: Option<EventSeq>) -> Result<Option<ExecutionKey>, Halt> {
        let store = &self.engine.store;
        let Some(record) = store.execution(&self.id).await? else {
            return Ok(None);
        };
        let mine = self
            .row
            .record
            .as_ref()
            .map_or(Epoch(1), |record| record.epoch);
        if record.epoch != mine {
            return Err(Error::TakenOver {
                id: self.id.clone(),
            }
            .into());
        }
        let written = store.last_event(record.key).await?.map(|event| event.seq);
        Ok((last.is_some() && written >= last).then_some(record.key))
    }

    fn check_length(&self) -> Result<(), Error> {
        if self.machine.next_seq() < EventSeq::MAX {
            return Ok(());
        }
        Err(Error::HistoryTooLong {
            id: self.id.clone(),
            events: self.machine.next_seq().get(),
        })
    }

    /// Tells those who wait for it: subscribers, and executions that were sent something.
    async fn after_commit(&mut self) {
        self.engine.notify_events(&self.id);
        for (id, is_to_end) in std::mem::take(&mut self.outbox_told) {
            if is_to_end {
                Box::pin(self.engine.poke(&id)).await;
            } else {
                // One that nobody drives is ready now, and a worker's.
                self.engine.active.notify_inbox(&id);
            }
        }
    }

    /// Runs a user's statements in a commit of their own, together with the event that records their outcome.
    pub(super) async fn commit_transaction(
        &mut self,
        call: EventSeq,
        body: TransactionBody,
    ) -> Result<(), Halt> {
        if !self.is_waiting(call) {
            return Ok(());
        }
        let mut completed = self.event_at(EventKind::TaskCompleted, Some(call));
        completed.name = self.name_of(call);
        completed.meta = Payload::encode(&OutcomeMeta { open: true }).ok();
        let failed = Event {
            kind: EventKind::TaskFailed,
            ..completed.clone()
        };
        let transaction = Transaction {
            run: body,
            completed,
            failed,
        };
        if let Some(event) = self.commit_alone(transaction).await? {
            self.arrivals.push_back(Arrival::Open(event));
        }
        Ok(())
    }

    /// Runs statements in a commit of their own; the event that records what they came to.
    pub(super) async fn commit_alone(
        &mut self,
        transaction: Transaction,
    ) -> Result<Option<Event>, Halt> {
        let last = Some(transaction.completed.seq);
        let commit = Commit {
            transaction: Some(transaction),
            ..Commit::to(self.target())
        };
        let event = match self.engine.commit(commit).await {
            Ok(committed) => committed.transaction,
            Err(error) => {
                Box::pin(self.after_refusal(error, last)).await?;
                let key = self.row.epoch().map(|(key, _)| key);
                match key {
                    Some(key) => self.engine.store.last_event(key).await?,
                    None => None,
                }
            }
        };
        if let Some(event) = &event {
            self.active.observe(event);
        }
        self.engine.notify_events(&self.id);
        Ok(event)
    }

    fn name_of(&self, call: EventSeq) -> Option<Arc<str>> {
        let mut state = self.machine.shared.state();
        state.call_by_seq(call).map(|call| Arc::clone(&call.name))
    }

    /// What bodies returned in this activation, in case the store cannot take it.
    fn keep_results(events: &[Event]) -> Vec<(EventSeq, Payload)> {
        let results = events
            .iter()
            .filter(|event| event.kind == EventKind::TaskCompleted);
        results
            .filter_map(|event| Some((event.refers?, event.payload.clone()?)))
            .collect()
    }

    /// Keeps what bodies have returned and was not written.
    pub(super) fn salvage(&mut self) {
        self.take_inputs();
        let mut results = std::mem::take(&mut self.unwritten);
        let recalled = std::mem::take(&mut self.recalled).into_iter();
        let recalled = recalled.filter(|outcome| outcome.kind == EventKind::TaskCompleted);
        results.extend(recalled.filter_map(|outcome| Some((outcome.call?, outcome.payload?))));
        results.extend(self.arrivals.drain(..).filter_map(|arrival| match arrival {
            Arrival::Outcome(outcome) if outcome.kind == EventKind::TaskCompleted => {
                Some((outcome.call?, outcome.payload?))
            }
            _ => None,
        }));
        self.engine.salvage(&self.id, results);
    }

    /// Starts what a call asks for, now that the call is recorded.
    pub(super) async fn start(&mut self, call: EventSeq) -> Result<(), Halt> {
        use crate::context::request::Request;
        enum Kind {
            Task,
            Child,
            Transaction(TransactionBody),
        }
        let kind = {
            let mut state = self.machine.shared.state();
            match state
                .call_by_seq(call)
                .and_then(|call| call.request.as_ref())
            {
                Some(Request::Task(_)) => Kind::Task,
                Some(Request::Child { .. }) => Kind::Child,
                Some(Request::Transaction(request)) => Kind::Transaction(Arc::clone(&request.run)),
                _ => return Ok(()),
            }
        };
        match kind {
            Kind::Task => {
                let started_at = Some(self.machine.last_at());
                self.begin_task(
                    call,
                    super::attempts::Progress {
                        started_at,
                        ..Default::default()
                    },
                )?;
            }
            Kind::Child if self.starts_nothing() => self.put_child_off(call),
            Kind::Child => Box::pin(self.start_child(call)).await?,
            Kind::Transaction(body) => self.transactions.push_back((call, body)),
        }
        Ok(())
    }

    /// The next transaction that the code has asked for; none is run of what is to be put on hold.
    pub(super) fn next_transaction(&mut self) -> Option<(EventSeq, TransactionBody)> {
        if self.hold.is_some() {
            return None;
        }
        self.transactions.pop_front()
    }

    /// Lets go of a call that has its outcome.
    pub(super) fn forget_call(&mut self, call: EventSeq) {
        self.tasks.remove(&call);
        drop(self.children.remove(call));
        self.reusing.remove(&call);
        if !self.pauses.is_empty() || self.signals.are_awaited() || !self.cancel_waits.is_empty() {
            self.drop_waits(call);
        }
    }

    /// Lets go of a call that its code has dropped.
    pub(super) fn cancel_call(&mut self, call: EventSeq, activation: &mut Activation) {
        if let Some(child) = self.children.remove(call) {
            self.let_go_of_child(call, child, activation);
        }
        if let (Some(taken), Some(pool)) = (self.reusing.remove(&call), &mut self.pool) {
            pool.put_back(taken);
        }
        self.forget_call(call);
        self.due.disarm(call);
    }

    /// Others may start now that this one has finished.
    fn leave_room(&self) {
        if self.row.placement.gate.is_some() || self.row.placement.queue.is_some() {
            self.engine.workers.call();
        }
    }

    /// Aborts everything that is at work.
    pub(super) fn stop_work(&mut self) {
        self.tasks.clear();
        self.alone = None;
        self.due = Due::default();
        self.transactions.clear();
        self.retries.clear();
        self.held_starts.clear();
    }
}
