//! One driver, as it is seen by whoever set it to work, and by those who wait for it.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::drivers::{Active, Attendance, Drivers};
use super::input::DriverInput;
use super::progress::{DriverProgress, Refusal, TaskSlot};
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::ExecutionId;

/// A driver that was just set to work.
#[derive(Debug)]
pub(crate) struct Driving {
    guard: DriverGuard,
    progress: watch::Receiver<DriverProgress>,
}

impl Driving {
    /// Lets the driver run on by itself, whether or not this is kept.
    pub(crate) fn detach(&mut self) {
        self.guard.release();
    }

    /// Waits until the start, or the replay, has succeeded.
    pub(crate) async fn started(&self) -> Result<Result<(), Refusal>, Error> {
        let mut progress = self.progress.clone();
        loop {
            match &*progress.borrow_and_update() {
                DriverProgress::Starting => {}
                DriverProgress::Started => return Ok(Ok(())),
                DriverProgress::Refused(refusal) => return Ok(Err(refusal.clone())),
                DriverProgress::Settled(settled) => return (**settled).clone().map(|_| Ok(())),
            }
            if progress.changed().await.is_err() {
                return Err(self.guard.vanished());
            }
        }
    }

    /// Waits until the execution has settled; dropping this future stops the driver, as a crash would.
    pub(crate) async fn settled(mut self) -> Result<Result<Snapshot, Refusal>, Error> {
        loop {
            match &*self.progress.borrow_and_update() {
                DriverProgress::Starting | DriverProgress::Started => {}
                DriverProgress::Refused(refusal) => return Ok(Err(refusal.clone())),
                DriverProgress::Settled(settled) => {
                    let settled = (**settled).clone();
                    return settled.and_then(|snapshot| self.guard.settled(snapshot));
                }
            }
            if self.progress.changed().await.is_err() {
                let last = self.progress.borrow();
                return match &*last {
                    DriverProgress::Settled(settled) => {
                        let settled = (**settled).clone();
                        settled.and_then(|snapshot| self.guard.settled(snapshot))
                    }
                    _ => Err(self.guard.vanished()),
                };
            }
        }
    }

    /// Who waits for it.
    pub(crate) fn attendance(&self) -> &Attendance {
        &self.guard.attendance
    }

    /// It runs as this task.
    pub(crate) fn runs_as(&self, task: AbortHandle) {
        if let Some(slot) = &self.guard.task {
            let _ = slot.set(task);
        }
    }

    pub(crate) fn into_guard(self) -> DriverGuard {
        self.guard
    }
}

/// Stops a driver when it is dropped, as a crash would.
#[derive(Debug)]
pub(crate) struct DriverGuard {
    drivers: Arc<Drivers>,
    id: ExecutionId,
    number: u64,
    /// `None` once the driver runs on by itself.
    task: Option<TaskSlot>,
    attendance: Attendance,
}

impl DriverGuard {
    /// Lets the driver run on by itself.
    pub(crate) fn detach(mut self) {
        self.release();
    }

    fn release(&mut self) {
        self.leave_unattended();
        self.attendance.set_parent(false);
        self.task = None;
    }

    /// Its parent is driven beside it, and is told by it.
    pub(crate) fn hand_to_parent(&self) {
        self.leave_unattended();
        self.attendance.set_parent(true);
    }

    /// Nobody waits for this driver in person: it may put its execution to sleep.
    pub(crate) fn leave_unattended(&self) {
        self.attendance.leave();
    }

    /// A driver that gave its execution up for a shutdown has not brought it to an end.
    fn settled(&self, snapshot: Snapshot) -> Result<Result<Snapshot, Refusal>, Error> {
        match snapshot.record.status {
            Status::Pending | Status::Running => Err(self.vanished()),
            _ => Ok(Ok(snapshot)),
        }
    }

    fn vanished(&self) -> Error {
        Error::Interrupted {
            id: self.id.clone(),
        }
    }
}

impl Drop for DriverGuard {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.drivers.abandon(&self.id, self.number);
            if let Some(task) = task.get() {
                task.abort();
            }
        }
    }
}

/// A driver's own end of what others see of it.
#[derive(Debug)]
pub(crate) struct Seat {
    drivers: Arc<Drivers>,
    id: ExecutionId,
    number: u64,
    /// In here, so that it closes after the driver has left the set: whoever waits for that may resume at once.
    report: watch::Sender<DriverProgress>,
}

impl Seat {
    /// Gives a driver its place, and its caller the hold on it.
    pub(crate) fn take(
        drivers: &Arc<Drivers>,
        id: &ExecutionId,
        sender: mpsc::UnboundedSender<DriverInput>,
    ) -> Result<(Self, Driving), Error> {
        let (report, progress) = watch::channel(DriverProgress::Starting);
        let number = drivers.next_number();
        let (attendance, task) = (Attendance::by_caller(), TaskSlot::default());
        let active = Active {
            number,
            sender,
            progress: progress.clone(),
            abandoned: false,
            attendance: attendance.clone(),
            task: TaskSlot::clone(&task),
        };
        drivers.enter(id, active)?;
        let guard = DriverGuard {
            drivers: Arc::clone(drivers),
            id: id.clone(),
            number,
            task: Some(task),
            attendance,
        };
        let seat = Self {
            drivers: Arc::clone(drivers),
            id: id.clone(),
            number,
            report,
        };
        Ok((seat, Driving { guard, progress }))
    }

    pub(crate) fn id(&self) -> &ExecutionId {
        &self.id
    }

    /// Tells those who wait how far the driver has come.
    pub(crate) fn report(&self, progress: DriverProgress) {
        drop(self.report.send_replace(progress));
    }

    /// Takes the driver out of the set.
    pub(crate) fn leave(&self) {
        self.drivers.leave(&self.id, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(drivers: &Arc<Drivers>, id: &ExecutionId) -> Result<(Seat, Driving), Error> {
        let (sender, _) = mpsc::unbounded_channel();
        Seat::take(drivers, id, sender)
    }

    #[test]
    fn an_execution_has_one_driver_in_a_process() {
        let (drivers, id) = (Arc::<Drivers>::default(), ExecutionId::from("a"));
        let (seat, _driving) = take(&drivers, &id).unwrap();
        assert!(take(&drivers, &id).is_err());
        assert!(drivers.begin_claim(&id).is_none());
        seat.leave();
        assert!(take(&drivers, &id).is_ok());
    }

    #[test]
    fn one_caller_at_a_time_claims_an_execution() {
        let (drivers, id) = (Arc::<Drivers>::default(), ExecutionId::from("a"));
        let claiming = drivers.begin_claim(&id).unwrap();
        assert!(drivers.is_claiming(&id));
        assert!(drivers.begin_claim(&id).is_none());
        drop(claiming);
        assert!(!drivers.is_claiming(&id));
        assert!(drivers.begin_claim(&id).is_some());
    }

    #[test]
    fn a_driver_whose_caller_is_gone_is_abandoned_unless_it_was_let_run_on() {
        let drivers = Arc::<Drivers>::default();
        let (dropped, kept) = (ExecutionId::from("a"), ExecutionId::from("b"));
        let (_seat, driving) = take(&drivers, &dropped).unwrap();
        let (_other, mut detached) = take(&drivers, &kept).unwrap();
        detached.detach();
        drop((driving, detached));
        assert!(drivers.get(&dropped).unwrap().is_abandoned());
        assert!(!drivers.get(&kept).unwrap().is_abandoned());
    }

    #[test]
    fn a_driver_that_left_takes_no_later_one_along() {
        let (drivers, id) = (Arc::<Drivers>::default(), ExecutionId::from("a"));
        let (first, _driving) = take(&drivers, &id).unwrap();
        first.leave();
        let (_second, _also) = take(&drivers, &id).unwrap();
        first.leave();
        assert!(drivers.contains(&id));
    }
}
