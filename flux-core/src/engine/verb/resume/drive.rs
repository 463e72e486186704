//! A resume that is awaited: it drives the execution, or tells the living driver that has it.

use super::begin::{Resumed, begin_resume};
use super::checked::CheckedResume;
use super::request::{is_to_be_held, is_to_go_on};
use crate::engine::driver::settle_in_turn;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::progress::Refusal;
use crate::engine::undriven::wait_settled;
use crate::error::Error;
use crate::execution::{Snapshot, Status, Waiting};
use crate::id::ExecutionId;

/// Goes on with an execution until it has settled, here or with the driver that has it.
pub(super) async fn drive(checked: &CheckedResume) -> Result<Snapshot, Error> {
    let CheckedResume { engine, id, .. } = checked;
    let mut is_passed_on = false;
    loop {
        let resumed = match begin_or_pass_on(checked).await {
            // Another driver has taken up what was passed on.
            Err(Error::AlreadyRunning { id: busy, .. }) if is_passed_on && busy == *id => {
                Resumed::PassedOn
            }
            resumed => resumed?,
        };
        match resumed {
            Resumed::AsItIs(snapshot) => return Ok(*snapshot),
            Resumed::Waiting => return settle_in_turn(engine.kernel(), id).await,
            Resumed::PassedOn => {
                is_passed_on = true;
                let snapshot = wait_after_passing_on(engine.kernel(), id).await?;
                if !is_to_go_on(engine.kernel(), &snapshot.record).await? {
                    return Ok(snapshot);
                }
            }
            Resumed::Driving(driving) => {
                return match driving.settled().await? {
                    Ok(snapshot) => Ok(snapshot),
                    Err(Refusal::Full(holder)) => {
                        let record = engine.kernel().record(id).await?;
                        Err(Error::LimitReached {
                            id: record.id,
                            workflow: record.workflow.to_string(),
                            holder,
                        })
                    }
                    Err(_) => Err(engine.kernel().not_found(id)),
                };
            }
        }
    }
}

/// As [`begin_resume`]; if another driver has the execution, and the resume gives it anything to do, it is passed on to that
/// driver.
async fn begin_or_pass_on(checked: &CheckedResume) -> Result<Resumed, Error> {
    match begin_resume(checked).await {
        Err(Error::AlreadyRunning { id, by }) if id == checked.id => {
            if checked.pass_on().await? {
                Ok(Resumed::PassedOn)
            } else {
                Err(Error::AlreadyRunning { id, by })
            }
        }
        begun => begun,
    }
}

impl CheckedResume {
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

/// Waits until an execution whose resume was passed on has finished or paused. Its driver may have put it on hold just
/// before it learnt of the resume, and another driver may have continued it since: so the row is read again before a hold
/// is reported.
async fn wait_after_passing_on(kernel: &Kernel, id: &ExecutionId) -> Result<Snapshot, Error> {
    loop {
        let snapshot = wait_settled(kernel, id).await?;
        if snapshot.record.hold.is_none() {
            return Ok(snapshot);
        }
        let now = kernel.record(id).await?;
        if now.hold.is_some() && now.epoch == snapshot.record.epoch {
            return Ok(snapshot);
        }
        tokio::task::yield_now().await;
    }
}
