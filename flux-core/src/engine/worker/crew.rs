//! The executions a worker drives at the moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::quarantine::{Quarantine, may_pass};
use crate::clock::Timestamp;
use crate::engine::Inner;
use crate::engine::active::{DriverGuard, OnSettled};
use crate::engine::driver::{Begin, Intent};
use crate::error::Error;
use crate::event::Event;
use crate::execution::Status;
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::store::{ClaimError, ExecutionRecord, StoreError};

/// How long a driver that has given its execution up may take to vanish.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a worker drives.
pub(super) struct Crew {
    engine: Arc<Inner>,
    members: BTreeMap<ExecutionKey, Member>,
    by_queue: BTreeMap<Arc<str>, u32>,
    sender: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    pub(super) quarantine: Quarantine,
}

struct Member {
    id: ExecutionId,
    epoch: Epoch,
    queue: Option<Arc<str>>,
    guard: DriverGuard,
}

/// A driver has ended.
struct Ended {
    key: ExecutionKey,
    epoch: Epoch,
    /// Nothing where it was stopped.
    outcome: Option<Result<Status, Error>>,
}

/// Says that a driver has ended, also when it is dropped wherever it stands.
struct Report {
    sender: mpsc::UnboundedSender<Ended>,
    ended: Option<Ended>,
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = self.sender.send(ended);
        }
    }
}

impl Crew {
    pub(super) fn new(engine: &Arc<Inner>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        Self {
            engine: Arc::clone(engine),
            members: BTreeMap::new(),
            by_queue: BTreeMap::new(),
            sender,
            ended,
            quarantine: Quarantine::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many executions of each queue it drives.
    pub(super) fn by_queue(&self) -> BTreeMap<Arc<str>, u32> {
        self.by_queue.clone()
    }

    /// Drives an execution that was claimed for it.
    pub(super) async fn take_in(&mut self, record: ExecutionRecord, queued: Option<Event>) {
        let (key, epoch, id) = (record.key, record.epoch, record.id.clone());
        if self.engine.active.is_claiming(&id) {
            // Somebody in this process claims it by its id at this very moment; if not after all, it is ready again.
            self.release(key, epoch, self.engine.clock.now());
            return;
        }
        // A driver that has just given it up is on its way out.
        if let Some(active) = self.engine.active.get(&id) {
            let _ = tokio::time::timeout(FAREWELL, active.gone()).await;
        }
        let queue = record.placement.queue.clone();
        let def = match self.engine.registry.for_execution(&record, None) {
            Ok(def) => def,
            Err(error) => return self.hand_back(key, epoch, &error),
        };
        let mut report = Report {
            sender: self.sender.clone(),
            ended: Some(Ended {
                key,
                epoch,
                outcome: None,
            }),
        };
        let on_settled: OnSettled = Box::new(move |settled| {
            if let Some(ended) = &mut report.ended {
                let status = settled.as_ref().map(|snapshot| snapshot.record.status);
                ended.outcome = Some(status.map_err(Clone::clone));
            }
        });
        let record = Box::new(record);
        let begin = match queued {
            Some(event) => Begin::Queued { record, event },
            None => Begin::Claimed {
                record,
                intent: Intent::Recover,
            },
        };
        match self.engine.drive(def, id.clone(), begin, Some(on_settled)) {
            Ok(driving) => {
                let guard = driving.into_guard();
                guard.is_unattended();
                if let Some(queue) = &queue {
                    *self.by_queue.entry(Arc::clone(queue)).or_default() += 1;
                }
                let member = Member {
                    id,
                    epoch,
                    queue,
                    guard,
                };
                if let Some(before) = self.members.insert(key, member) {
                    self.count_out(&before);
                }
            }
            // Somebody in this process was faster.
            Err(error) => {
                tracing::debug!(execution_id = %id, %error, "a claimed execution is driven already");
            }
        }
    }

    /// Goes on with executions of this engine whose driver was dropped where it stood, as after a crash.
    pub(super) async fn adopt_adrift(&mut self) -> Result<(), StoreError> {
        for id in self.engine.active.take_adrift() {
            let engine = Arc::clone(&self.engine);
            let Some(record) = engine.store.execution(&id).await? else {
                continue;
            };
            let is_mine = record.owner == Some(engine.owner().await?);
            let is_started = matches!(record.status, Status::Running | Status::Paused);
            if !is_mine || !is_started {
                continue;
            }
            let Some(claiming) = engine.begin_claim(&id) else {
                continue;
            };
            let claimed = engine.claim(&id).await;
            drop(claiming);
            match claimed {
                Ok(record) => self.take_in(record, None).await,
                Err(ClaimError::Failed(error)) => {
                    engine.active.set_adrift(&id);
                    return Err(error);
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Gives back what cannot be driven here.
    fn hand_back(&mut self, key: ExecutionKey, epoch: Epoch, error: &Error) {
        tracing::error!(?key, %error, "a claimed execution cannot be driven");
        let now = self.engine.clock.now();
        self.quarantine.put(key, error, now);
        self.release(key, epoch, now);
    }

    fn release(&self, key: ExecutionKey, epoch: Epoch, now: Timestamp) {
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            if let Err(error) = engine.store.release(key, epoch, Some(now)).await {
                tracing::warn!(?key, %error, "an execution could not be given back");
            }
        });
    }

    /// Waits for a driver to end.
    pub(super) async fn next_ended(&mut self) {
        if let Some(ended) = self.ended.recv().await {
            self.count_ended(&ended);
        }
    }

    /// Takes note of the drivers that have ended.
    pub(super) fn reap(&mut self) {
        while let Ok(ended) = self.ended.try_recv() {
            self.count_ended(&ended);
        }
    }

    fn count_ended(&mut self, ended: &Ended) {
        let is_this = |member: &Member| member.epoch == ended.epoch;
        if !self.members.get(&ended.key).is_some_and(is_this) {
            return;
        }
        let Some(member) = self.members.remove(&ended.key) else {
            return;
        };
        self.count_out(&member);
        match &ended.outcome {
            Some(Ok(status)) => {
                tracing::info!(target: "flux::worker", execution_id = %member.id, %status, "an execution came to rest");
                self.quarantine.release(ended.key);
                self.engine.waiters.hope(&member.id);
            }
            Some(Err(error)) if !matches!(error, Error::TakenOver { .. }) => {
                let now = self.engine.clock.now();
                tracing::error!(execution_id = %member.id, %error, "an execution cannot go on here");
                self.quarantine.put(ended.key, error, now);
                if !may_pass(error) {
                    self.engine.waiters.give_up(&member.id, error);
                }
            }
            // Stopped, or another owner sees to it.
            Some(Err(_)) | None => {}
        }
        member.guard.detach();
    }

    fn count_out(&mut self, member: &Member) {
        let Some(queue) = &member.queue else { return };
        if let Some(count) = self.by_queue.get_mut(queue) {
            *count -= 1;
            if *count == 0 {
                self.by_queue.remove(queue);
            }
        }
    }

    /// Asks its drivers to give their executions up once no body runs.
    pub(super) fn ask_to_retire(&self) {
        for member in self.members.values() {
            self.engine.active.ask_one_to_retire(&member.id);
        }
    }

    /// Drops all drivers where they stand and gives their executions up.
    pub(super) async fn drop_all(&mut self) {
        let now = self.engine.clock.now();
        for (key, member) in std::mem::take(&mut self.members) {
            let active = self.engine.active.get(&member.id);
            drop(member.guard);
            if let Some(active) = active {
                active.gone().await;
            }
            if let Err(error) = self
                .engine
                .store
                .release(key, member.epoch, Some(now))
                .await
            {
                tracing::warn!(execution_id = %member.id, %error, "an execution could not be given up");
            }
        }
        self.by_queue.clear();
    }
}
