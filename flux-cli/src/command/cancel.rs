//! `cancel`: asks executions to end, and lets them clean up.

use std::time::Duration;

use flux_core::{Engine, Error, Execution, ExecutionId};
use tokio::time::Instant;

use super::steer::{self, Deed};
use crate::args::Cancel;
use crate::exit::{Failure, Outcome};
use crate::session::Session;

/// How long the end of what somebody else drives is waited for: long enough for code that has nothing to clean up.
const PATIENCE: Duration = Duration::from_millis(500);
const PACE: Duration = Duration::from_millis(20);

pub(super) async fn cancel(session: &Session, args: Cancel) -> Outcome {
    let engine = open(session).await?;
    let deed = Deed {
        verb: "Cancel",
        done: "Cancelled",
        needs_worker: true,
        act: &async |id: ExecutionId| {
            engine.cancel(&id).await?;
            until_seen(&engine, &id).await
        },
    };
    steer::each(session, &engine, &args.selection, &deed).await
}

/// With the code here, what nobody drives is cleaned up here.
async fn open(session: &Session) -> Result<Engine, Failure> {
    super::resume::open(session).await
}

/// Waits for the end: as long as it takes where this process drives it to there, else for a moment.
async fn until_seen(engine: &Engine, id: &ExecutionId) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        let execution = engine.get(id).await?;
        let is_ours = is_ours(engine, execution.worker()).await?;
        if execution.has_finished() {
            return must_be_cancelled(&execution);
        }
        if !is_ours && Instant::now() >= until {
            return Ok(());
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Fails if the execution has finished otherwise: its code had ended before the request came.
fn must_be_cancelled(execution: &Execution) -> Result<(), Error> {
    if execution.is_cancelled() {
        return Ok(());
    }
    Err(Error::AlreadyFinished {
        id: execution.execution_id().clone(),
        status: execution.status(),
    })
}

async fn is_ours(engine: &Engine, owner: Option<flux_core::WorkerId>) -> Result<bool, Error> {
    let Some(owner) = owner else { return Ok(false) };
    let workers = engine.workers().await?;
    let here = std::process::id();
    Ok(workers
        .iter()
        .any(|worker| worker.id == owner && worker.is_alive && worker.pid == here))
}
