//! The executions a worker drives at the moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::quarantine::{Quarantine, may_pass};
use crate::engine::driver::launch;
use crate::engine::driver::{Begin, Intent};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::DriverGuard;
use crate::engine::kernel::log;
use crate::engine::kernel::present::WantsRoom;
use crate::engine::kernel::progress::OnSettled;
use crate::engine::ownership::Claimed;
use crate::error::Error;
use crate::event::Event;
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::status::Status;

/// How long a driver that has given its execution up may take to vanish.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a worker drives.
pub(super) struct Crew {
    kernel: Arc<Kernel>,
    members: BTreeMap<ExecutionKey, Member>,
    by_queue: BTreeMap<Arc<str>, u32>,
    sender: mpsc::UnboundedSender<EndedDriver>,
    ended: mpsc::UnboundedReceiver<EndedDriver>,
    pub(super) quarantine: Quarantine,
    /// Kept while the worker is full and something is ready for it.
    pub(super) wanting: Option<WantsRoom>,
}

struct Member {
    id: ExecutionId,
    epoch: Epoch,
    queue: Option<Arc<str>>,
    guard: DriverGuard,
}

/// A driver has ended.
struct EndedDriver {
    key: ExecutionKey,
    epoch: Epoch,
    /// Nothing where it was stopped.
    outcome: Option<Result<Status, Error>>,
}

/// Says that a driver has ended, also when it is dropped wherever it stands.
struct Report {
    sender: mpsc::UnboundedSender<EndedDriver>,
    ended: Option<EndedDriver>,
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            let _ = self.sender.send(ended);
        }
    }
}

impl Crew {
    pub(super) fn new(kernel: &Arc<Kernel>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        Self {
            kernel: Arc::clone(kernel),
            members: BTreeMap::new(),
            by_queue: BTreeMap::new(),
            sender,
            ended,
            quarantine: Quarantine::default(),
            wanting: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many executions of each queue it drives.
    pub(super) fn by_queue(&self) -> BTreeMap<Arc<str>, u32> {
        self.by_queue.clone()
    }

    /// Drives an execution that was claimed for it.
    pub(super) async fn take_in(&mut self, claimed: Claimed, queued: Option<Event>) {
        let record = &claimed.record;
        let (key, epoch, id) = (record.key, record.epoch, record.id.clone());
        if self.kernel.drivers.is_claiming(&id) {
            // Another caller in this process claims it by its id right now. If it does not come to that, it is ready
            // again.
            return claimed.give_back().await;
        }
        // A driver that has just given it up is on its way out.
        if let Some(active) = self.kernel.drivers.get(&id) {
            let _ = tokio::time::timeout(FAREWELL, active.gone()).await;
        }
        let queue = record.placement.queue.clone();
        let def = match self.kernel.registry.for_execution(record, None) {
            Ok(def) => def,
            Err(error) => return self.hand_back(claimed, &error).await,
        };
        let mut report = Report {
            sender: self.sender.clone(),
            ended: Some(EndedDriver {
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
        let begin = match queued {
            Some(event) => Begin::Queued {
                claimed: Box::new(claimed),
                event,
            },
            None => Begin::claimed(claimed, Intent::Recover),
        };
        match launch(&self.kernel, def, id.clone(), begin, Some(on_settled)) {
            Ok(driving) => {
                let guard = driving.into_guard();
                guard.leave_unattended();
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

    /// Gives back what cannot be driven here.
    async fn hand_back(&mut self, claimed: Claimed, error: &Error) {
        let key = claimed.record.key;
        log::cannot_continue(&claimed.record.id, &claimed.record.workflow, error);
        self.quarantine.put(key, error, self.kernel.clock.now());
        let epoch = claimed.record.epoch;
        self.kernel.note_obstacle(key, epoch, error).await;
        claimed.give_back().await;
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

    fn count_ended(&mut self, ended: &EndedDriver) {
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
                tracing::debug!(target: "flux::worker", execution_id = %member.id, %status, "a worker has done what there was to do for an execution");
                self.quarantine.release(ended.key);
                self.kernel.waiters.hope(&member.id);
            }
            Some(Err(error)) if !matches!(error, Error::TakenOver { .. }) => {
                let now = self.kernel.clock.now();
                self.quarantine.put(ended.key, error, now);
                if !may_pass(error) {
                    self.kernel.waiters.give_up(&member.id, error);
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

    /// The executions it drives.
    pub(super) fn ids(&self) -> BTreeSet<ExecutionId> {
        let members = self.members.values();
        members.map(|member| member.id.clone()).collect()
    }
}
