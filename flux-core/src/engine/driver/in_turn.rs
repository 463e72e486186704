//! Waiting for a turn without a worker: the caller of `run` drives an execution that has to wait as soon as it may start.

use std::sync::Arc;

use super::intent::{Begin, Intent};
use super::launch::launch;
use crate::engine::kernel::driving::Driving;
use crate::engine::kernel::{AFTER_FAULT, Kernel};
use crate::engine::ownership::claim_turn;
use crate::engine::undriven::wait_settled;
use crate::error::Error;
use crate::execution::{Snapshot, Status};
use crate::id::ExecutionId;
use crate::store::{ExecutionRecord, Runnable, StoreError, WorkRequest};

/// Waits until an execution has settled, whoever drives it; while it is `Pending` and this engine has no worker, this caller
/// drives it as soon as it may start.
pub(crate) async fn settle_in_turn(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
) -> Result<Snapshot, Error> {
    match launch_in_turn(kernel, id).await? {
        Some(driving) => match driving.settled().await? {
            Ok(snapshot) => Ok(snapshot),
            Err(_) => Err(kernel.not_found(id)),
        },
        None => wait_settled(kernel, id).await,
    }
}

/// Lets an execution begin when it may, without anybody waiting for it.
pub(crate) fn drive_in_turn(kernel: &Arc<Kernel>, id: ExecutionId) {
    let kernel = Arc::clone(kernel);
    tokio::spawn(async move {
        loop {
            match launch_in_turn(&kernel, &id).await {
                Ok(Some(driving)) => driving.into_guard().detach(),
                Ok(None) => {}
                Err(error @ Error::Store(_)) => {
                    tracing::warn!(execution_id = %id, %error, "could not check whether the execution may start; retrying");
                    kernel.time.pass(AFTER_FAULT).await;
                    continue;
                }
                Err(error) => {
                    tracing::error!(execution_id = %id, %error, "an execution that may start now could not be started");
                }
            }
            return;
        }
    });
}

/// Waits until a `Pending` execution may start, and drives it; nothing where somebody else sees to that.
async fn launch_in_turn(kernel: &Arc<Kernel>, id: &ExecutionId) -> Result<Option<Driving>, Error> {
    let mut calls = kernel.workers.calls();
    loop {
        calls.borrow_and_update();
        let changed = kernel.store.changed();
        let jumped = kernel.time.jumped();
        let record = kernel.record(id).await?;
        if record.status != Status::Pending {
            return Ok(None);
        }
        // A worker of this engine sees to it, for as long as there is one.
        let mut next = None;
        if !kernel.workers.see_to(&record)
            && let Some(claiming) = kernel.drivers.begin_claim(id)
        {
            let code = kernel.registry.for_execution(&record, None)?;
            let request = request(kernel, &record).await?;
            let work = claim_turn(kernel, claiming, request).await?;
            if let Some(claimed) = work.claimed.into_iter().next() {
                let begin = Begin::claimed(claimed, Intent::Recover);
                // Refused where somebody in this process was faster.
                return Ok(launch(kernel, code, id.clone(), begin, None).ok());
            }
            next = work.rest.next;
        }
        let due = async {
            match next {
                Some(moment) => kernel.time.until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = calls.changed() => {}
            () = changed => {}
            () = due => {}
            () = jumped => {}
        }
    }
}

async fn request(kernel: &Kernel, record: &ExecutionRecord) -> Result<WorkRequest, StoreError> {
    Ok(WorkRequest {
        worker: kernel.owner().await?,
        now: kernel.clock.read(),
        limit: 1,
        code: vec![Runnable {
            workflow: Arc::clone(&record.workflow),
            versions: record.version..=record.version,
        }],
        queues: None,
        driving: std::collections::BTreeMap::new(),
        except: std::collections::BTreeSet::new(),
        max_takeovers: kernel.settings.max_recoveries,
        only: Some(record.key),
    })
}
