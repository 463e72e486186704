//! The commit of an activation, and the effects that may follow it.

use std::sync::Arc;

use super::births::Laid;
use super::core::activation::{Activation, Ended};
use super::core::arrivals::Arrival;
use super::core::calls::Progress;
use super::core::commands::Termination;
use super::halt::Halt;
use super::inbox::refresh_inbox;
use super::poke::poke;
use super::{Driver, Step, lines};
use crate::context::request::Request;
use crate::context::shared::Call;
use crate::engine::kernel::Kernel;
use crate::event::{Event, EventKind, OutcomeMeta};
use crate::id::{EventSeq, ExecutionId};
use crate::payload::Payload;
use crate::status::Status;
use crate::store::{Change, Commit, Transaction, TransactionBody};

impl Driver {
    /// Writes an activation and carries out what it started.
    pub(super) async fn commit_and_act(
        &mut self,
        mut activation: Box<Activation>,
    ) -> Result<Step, Halt> {
        let ended = activation.ended.take();
        if let Some(Ended::Unchanged) = &ended
            && let Some(before) = self.core.rewinding.tentative.take()
        {
            self.core.machine.evict();
            self.commits.release(None).await;
            return Ok(Step::Settled(before));
        }
        self.core.rewinding.tentative = None;
        let started = std::mem::take(&mut activation.started);
        let standing = self.core.standing(ended.as_ref(), &started);
        match self.commit(activation, standing).await {
            Err(Halt::Unread) => return Box::pin(self.recall()).await,
            committed => committed?,
        }
        if matches!(ended, Some(Ended::Again)) {
            // The new beginning may end before this driver is told of what other processes have sent.
            self.core.inbox.expect_news();
            Box::pin(refresh_inbox(&self.kernel, &mut self.core)).await?;
        }
        match ended {
            Some(Ended::Finished {
                output,
                failure,
                termination,
                ..
            }) => {
                self.core.stop_work();
                let placement = &self.core.row.placement;
                if placement.gate.is_some() || placement.queue.is_some() {
                    // Others may start now that this one has finished.
                    self.kernel.workers.call();
                }
                Ok(Step::settled(&mut self.core, output, failure, termination))
            }
            Some(Ended::Again) if self.core.inbox.is_held() => {
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

    /// Begins what was asked for, and what else can begin now.
    async fn carry_out(&mut self, started: Vec<EventSeq>) -> Result<Step, Halt> {
        for call in started {
            self.start(call).await?;
        }
        for call in self.core.calls.take_ready_children() {
            self.start(call).await?;
        }
        for call in self.core.calls.ready_tasks() {
            self.link.launch(&self.kernel, &mut self.core, call)?;
        }
        if let Some(error) = self.core.inbox.answer.lost.take() {
            return Err(error.into());
        }
        if self.commits.is_paused(&self.core) {
            return Ok(Step::settled(&mut self.core, None, None, None));
        }
        Ok(Step::Went)
    }

    /// Nothing arrived: whatever changed about where the execution stands is written.
    pub(super) async fn commit_standing(&mut self) -> Result<Step, Halt> {
        if let Some(error) = self.link.take_lost() {
            return Err(error.into());
        }
        let mut activation = Box::<Activation>::default();
        self.core.append_rewind(&mut activation);
        let standing = self.core.standing(None, &[]);
        let has_ready = self.core.calls.has_ready();
        if activation.events.is_empty()
            && (has_ready || !self.commits.is_change(&self.core, &standing))
        {
            // A request is over before what it asks for begins: a crash after that is one.
            if self.core.inbox.has_consumed() {
                self.write(Box::default(), None).await?;
            }
            if has_ready {
                return self.carry_out(Vec::new()).await;
            }
            return Ok(Step::Idle);
        }
        self.commit(activation, standing).await?;
        self.carry_out(Vec::new()).await
    }

    pub(super) fn commit(
        &mut self,
        mut activation: Box<Activation>,
        standing: Change,
    ) -> impl Future<Output = Result<(), Halt>> + Send {
        let change = Some(standing).filter(|standing| self.commits.is_change(&self.core, standing));
        let is_paused =
            |change: &Change| change.status == Status::Paused && change.release.is_some();
        if change.as_ref().is_some_and(is_paused) && !self.link.tells_parent() {
            self.core.tell_of_pause(&mut activation);
        }
        self.write(activation, change)
    }

    /// Writes an activation with this change of the row.
    pub(super) async fn write(
        &mut self,
        mut activation: Box<Activation>,
        change: Option<Change>,
    ) -> Result<(), Halt> {
        let core = &mut self.core;
        core.check_length()?;
        let is_hold_over = |change: &Change| change.hold.is_some() || change.status.is_finished();
        let ends_hold = change.as_ref().is_some_and(is_hold_over);
        activation
            .consumed
            .extend(core.inbox.take_consumed(ends_hold));
        let last = activation.events.last().map(|event| event.seq);
        if let (None, Some(first)) = (&core.row.record, activation.events.first()) {
            core.row.created_at = first.at;
        }
        let lines = lines::of(core, &activation.events, change.as_ref());
        let heeds = core.heeds(&activation.events, change.as_ref());
        core.arrivals
            .begin_write(&activation.events, heeds.is_some());
        // If nothing was delivered since a recall, the code was stopped by something that came before the cancellation.
        if heeds.is_some()
            && !core.arrivals.is_recalled()
            && core.arrivals.has(Arrival::is_cancellation)
        {
            return Err(Halt::Unread);
        }
        let is_end = |change: &Change| change.status.is_finished();
        let ends = change.as_ref().is_some_and(is_end);
        let told = Recipients::by(&activation);
        let laid = if activation.births.is_empty() {
            Laid::default()
        } else {
            Box::pin(self.children().lay(activation.births, ends)).await?
        };
        let commit = Commit {
            target: self.commits.target(&self.core),
            events: activation.events,
            change,
            consumed: activation.consumed,
            children: laid.rows(),
            published: activation.published,
            outbox: activation.outbox,
            transaction: None,
            heeds,
        };
        let born = self.commits.write(&mut self.core, commit, last).await?;
        self.core.arrivals.end_write();
        lines::log(&self.core, &lines);
        if !laid.is_empty() {
            Box::pin(self.children().set_to_work(laid, born)).await;
        }
        told.tell(&self.kernel, &self.core.id).await;
        Ok(())
    }

    /// Runs a user's statements in a commit of their own, together with the event that records their outcome.
    pub(super) async fn commit_transaction(
        &mut self,
        call: EventSeq,
        body: TransactionBody,
    ) -> Result<(), Halt> {
        if !self.core.is_waiting(call) {
            return Ok(());
        }
        let mut completed = self.core.event_at(EventKind::TaskCompleted, Some(call));
        completed.name = self.core.name_of(call);
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
        if let Some(event) = self
            .commits
            .write_alone(&mut self.core, transaction)
            .await?
        {
            self.core.arrivals.push_open(event);
        }
        Ok(())
    }

    /// Starts what a call asks for, now that the call is recorded.
    pub(super) async fn start(&mut self, call: EventSeq) -> Result<(), Halt> {
        let startable = {
            let mut state = self.core.machine.shared.state();
            state.call_by_seq(call).and_then(|call| Startable::of(call))
        };
        let Some(startable) = startable else {
            return Ok(());
        };
        match startable {
            Startable::Task => {
                let progress = Progress::begun_at(self.core.machine.last_at());
                self.core.begin_task(call, progress);
                self.link.launch(&self.kernel, &mut self.core, call)?;
            }
            Startable::Child if self.link.starts_nothing(&self.core) => self.core.defer_child(call),
            Startable::Child => {
                let refused = Box::pin(self.children().start(call)).await?;
                if let Some(activation) = refused {
                    Box::pin(self.write(activation, None)).await?;
                }
            }
            Startable::Transaction => self.core.begin_transaction(call),
        }
        Ok(())
    }

    /// Ends the execution: bodies are aborted and the code is dropped first. The code is polled only with an arrival that is
    /// recorded already, and nothing that it asks for then is begun.
    pub(super) async fn terminate(&mut self, termination: Termination) -> Result<Step, Halt> {
        let mut activation = Box::<Activation>::default();
        let ended = self.polling(|core, _| core.deliver_open(&mut activation));
        if let Some(end) = ended.await? {
            self.core.finish(end, &mut activation);
            // Code that begins again is ended before it does, or it might begin again for ever.
            if !matches!(activation.ended, Some(Ended::Again)) {
                return self.commit_and_act(activation).await;
            }
        }
        self.core.terminate(termination, &mut activation);
        self.commit_and_act(activation).await
    }
}

/// A call that is carried out by starting something; any other only waits.
#[derive(Clone, Copy)]
pub(super) enum Startable {
    Task,
    Child,
    Transaction,
}

impl Startable {
    /// `None` also for a call whose request has been carried out.
    pub(super) fn of(call: &Call) -> Option<Self> {
        match call.request.as_ref()? {
            Request::Task(_) => Some(Self::Task),
            Request::Child { .. } => Some(Self::Child),
            Request::Transaction(_) => Some(Self::Transaction),
            Request::Timer { .. }
            | Request::Signal { .. }
            | Request::Cancelled
            | Request::Pause { .. } => None,
        }
    }
}

/// Who is to be told of a commit.
struct Recipients(Vec<(ExecutionId, bool)>);

impl Recipients {
    /// Executions that an activation sends something; `true` where that may end them.
    fn by(activation: &Activation) -> Self {
        let outbox = activation.outbox.iter();
        Self(
            outbox
                .map(|(id, message)| (id.clone(), message.kind.ends()))
                .collect(),
        )
    }

    /// Tells them, and subscribers of the execution that has sent it.
    async fn tell(self, kernel: &Arc<Kernel>, from: &ExecutionId) {
        kernel.subscribers.notify(from);
        for (id, is_to_end) in self.0 {
            if is_to_end {
                Box::pin(poke(kernel, &id)).await;
            } else {
                // One that nobody drives is ready now, and a worker's.
                kernel.drivers.notify_inbox(&id);
            }
        }
    }
}
