//! A resume of what a living driver has: the driver is told, if the resume gives it anything to do.

use super::request::is_to_be_held;
use super::{Described, Resumed, begin_resume};
use crate::engine::Engine;
use crate::error::Error;
use crate::execution::{Snapshot, Status, Waiting};
use crate::id::ExecutionId;

/// As [`begin_resume`]; if another driver has the execution, and the resume gives it anything to do, it is passed on to that
/// driver.
pub(crate) async fn begin_or_pass_on(described: &Described) -> Result<Resumed, Error> {
    match begin_resume(described).await {
        Err(Error::AlreadyRunning { id, by }) if id == described.id => {
            if described.pass_on().await? {
                Ok(Resumed::PassedOn)
            } else {
                Err(Error::AlreadyRunning { id, by })
            }
        }
        begun => begun,
    }
}

impl Engine {
    /// Waits until an execution whose resume was passed on has finished or paused. Its driver may have put it on hold just
    /// before it learnt of the resume, and another driver may have continued it since: so the row is read again before a hold
    /// is reported.
    pub(crate) async fn wait_after_passing_on(&self, id: &ExecutionId) -> Result<Snapshot, Error> {
        loop {
            let snapshot = self.wait_settled(id).await?;
            if snapshot.record.hold.is_none() {
                return Ok(snapshot);
            }
            let now = self.kernel().record(id).await?;
            if now.hold.is_some() && now.epoch == snapshot.record.epoch {
                return Ok(snapshot);
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Described {
    /// Sends its driver what is asked for: that a pause is taken back which it has not carried out yet, or the answer to a
    /// pause point at which it stays. `false` where it waits for neither.
    async fn pass_on(&self) -> Result<bool, Error> {
        let kernel = self.engine.kernel();
        let record = kernel.record(&self.id).await?;
        let is_paused = record.status == Status::Paused && record.hold.is_none();
        let stays = is_paused && Waiting::read(record.waiting.as_ref()).cleans_up;
        if record.status.is_finished() || !(stays || is_to_be_held(kernel, &record).await?) {
            return Ok(false);
        }
        while !self.try_request().await? {
            tokio::task::yield_now().await;
        }
        Ok(true)
    }
}
