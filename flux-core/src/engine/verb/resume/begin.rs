//! Takes up what a resume is for, and drives it where it is to be driven here.

use std::time::Duration;

use super::checked::CheckedResume;
use super::request::{answers_under_way, go_on};
use crate::engine::Engine;
use crate::engine::driver::{Begin, Intent, launch};
use crate::engine::kernel::Kernel;
use crate::engine::kernel::driving::Driving;
use crate::engine::kernel::pausing::{Answer, check_pause};
use crate::engine::ownership::claim_or_refuse;
use crate::error::Error;
use crate::execution::{PausePoint, Snapshot, Status};
use crate::id::ExecutionId;
use crate::registry::check_workflow;
use crate::store::ExecutionRecord;

/// A driver that has given its execution up is gone within this, unless its runtime is badly overloaded.
const LEAVING: Duration = Duration::from_secs(2);

/// What a resume does about an execution that waits at pause points. An answer that somebody has asked for is delivered
/// rather than asked for again, and no other is given in its stead.
async fn answering(
    engine: &Engine,
    record: &ExecutionRecord,
    answer: &Answer,
) -> Result<Intent, Error> {
    let answered = answers_under_way(engine.kernel(), record).await?;
    let is_own = |point: &PausePoint| point.execution_id() == &record.id;
    let meant = match answer.answers_a_pause() {
        false if answered.iter().any(is_own) => return Ok(Intent::Recover),
        // Of a child's the child has to be resumed.
        false if !answered.is_empty() => answered.first().cloned(),
        _ => check_pause(record, answer)?,
    };
    match meant {
        Some(point) if answered.contains(&point) => Err(Error::AlreadyAnswered {
            id: point.execution_id().clone(),
            name: point.name().to_owned(),
        }),
        meant => Ok(Intent::Answer(Answer {
            meant,
            ..answer.clone()
        })),
    }
}

/// What a resume came to.
pub(crate) enum Resumed {
    /// There is nothing to do.
    AsItIs(Box<Snapshot>),
    /// It waits for its turn.
    Waiting,
    /// Its driver was told.
    PassedOn,
    /// It goes on.
    Driving(Driving),
}

pub(crate) async fn begin_resume(checked: &CheckedResume) -> Result<Resumed, Error> {
    let CheckedResume {
        engine,
        def,
        id,
        answer,
        ..
    } = checked;
    let def = *def;
    let record = record_left(engine.kernel(), id).await?;
    if let Some(def) = def {
        check_workflow(def, &record)?;
    }
    checked.check_status(record.status)?;
    let intent = match record.status {
        Status::Completed => {
            let snapshot = engine.kernel().snapshot(record).await?;
            return Ok(Resumed::AsItIs(Box::new(snapshot)));
        }
        Status::Cancelled | Status::Terminated => {
            return Err(Error::AlreadyFinished {
                id: id.clone(),
                status: record.status,
            });
        }
        _ if engine.kernel().drivers.contains(id) => {
            return Err(Error::AlreadyRunning {
                id: id.clone(),
                by: "this process".to_owned(),
            });
        }
        // A worker starts it when its queue and gate allow, so it is not claimed here.
        Status::Pending => return Ok(Resumed::Waiting),
        Status::Failed => Intent::Retry,
        // Off hold; a pause point is answered only by one that says so.
        Status::Paused if record.hold.is_some() && !answer.answers_a_pause() => Intent::Recover,
        Status::Paused => answering(engine, &record, answer).await?,
        _ if answer.answers_a_pause() => Intent::Answer(answer.clone()),
        _ => Intent::Recover,
    };
    let code = engine.kernel().registry.for_execution(&record, def)?;
    let claimed = claim_or_refuse(engine.kernel(), id).await?;
    if !claimed.record.status.is_finished()
        && let Err(error) = go_on(engine.kernel(), &claimed.record).await
    {
        claimed.give_back().await;
        return Err(error);
    }
    let begin = Begin::claimed(claimed, intent);
    let driving = launch(engine.kernel(), code, id.clone(), begin, None)?;
    Ok(Resumed::Driving(driving))
}

/// The row of an execution, once a driver in this process is gone that has given it up or was dropped: to its caller, it
/// is not driven here any more.
async fn record_left(kernel: &Kernel, id: &ExecutionId) -> Result<ExecutionRecord, Error> {
    // That its future was dropped was a crash, and this comes after it.
    kernel.drivers.see_off(id).await;
    let record = kernel.record(id).await?;
    let is_given_up = record.owner.is_none() && !record.status.is_finished();
    match kernel.drivers.get(id).filter(|_| is_given_up) {
        Some(leaving) => {
            // Perhaps it is not leaving, but has claimed the execution since.
            let _ = tokio::time::timeout(LEAVING, leaving.gone()).await;
            kernel.record(id).await
        }
        None => Ok(record),
    }
}
