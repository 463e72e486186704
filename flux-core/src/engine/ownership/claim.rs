//! Claims: they run to their end even if their futures are dropped, and what they then yield is released.

use std::sync::Arc;

use super::Claimed;
use super::settling::suspect;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Claiming;
use crate::engine::kernel::shield::shield;
use crate::error::Error;
use crate::id::ExecutionId;
use crate::store::{ClaimError, StoreError, Work, WorkRequest};

/// Executions that were claimed for a worker.
#[derive(Debug, Default)]
pub(crate) struct ClaimedWork {
    pub(crate) claimed: Vec<Claimed>,
    /// The rest of what the store said; its `claimed` is empty.
    pub(crate) rest: Work,
}

/// Claims an execution for this engine. The claim runs to its end even if this future is dropped; what it then
/// yields is released.
pub(crate) async fn claim(kernel: &Arc<Kernel>, claiming: Claiming) -> Result<Claimed, ClaimError> {
    let owner = kernel.owner().await.map_err(ClaimError::Failed)?;
    let (kernel, store) = (Arc::downgrade(kernel), Arc::clone(&kernel.store));
    let claiming = async move {
        let claimed = store.claim(claiming.id(), owner).await;
        // Without an engine there is no owner any more, and no caller.
        let kernel = kernel.upgrade().ok_or(ClaimError::NotFound)?;
        match claimed {
            Ok(record) => Ok(Claimed::new(&kernel, record, Some(claiming))),
            Err(error) => {
                if matches!(error, ClaimError::Failed(_)) {
                    // It may have been carried out nevertheless.
                    suspect(&kernel);
                }
                Err(error)
            }
        }
    };
    shield(claiming).await
}

/// Claims an execution that has no owner, and no driver in this process; `None` where somebody has it, or is faster.
pub(crate) async fn claim_if_free(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
) -> Result<Option<Claimed>, StoreError> {
    let Some(claiming) = kernel.drivers.begin_claim(id) else {
        return Ok(None);
    };
    match claim(kernel, claiming).await {
        Ok(claimed) => Ok(Some(claimed)),
        Err(ClaimError::Held { .. } | ClaimError::NotFound) => Ok(None),
        Err(ClaimError::Failed(error)) => Err(error),
    }
}

/// Claims an execution for a caller who needs it: refusals are errors that say who has it.
pub(crate) async fn claim_or_refuse(
    kernel: &Arc<Kernel>,
    id: &ExecutionId,
) -> Result<Claimed, Error> {
    let claiming = kernel.drivers.claim_alone(id).await?;
    match claim(kernel, claiming).await {
        Ok(claimed) => Ok(claimed),
        Err(ClaimError::Held { by }) => Err(Error::AlreadyRunning { id: id.clone(), by }),
        Err(ClaimError::NotFound) => Err(kernel.not_found(id)),
        Err(ClaimError::Failed(error)) => Err(error.into()),
    }
}

/// Claims what is ready; shielded as [`claim`] is.
pub(crate) async fn claim_ready(
    kernel: &Arc<Kernel>,
    request: WorkRequest,
) -> Result<ClaimedWork, StoreError> {
    claim_work(kernel, request, None).await
}

/// Claims one execution if it is its turn, and keeps other claims of it away until it is driven.
pub(crate) async fn claim_turn(
    kernel: &Arc<Kernel>,
    claiming: Claiming,
    request: WorkRequest,
) -> Result<ClaimedWork, StoreError> {
    claim_work(kernel, request, Some(claiming)).await
}

async fn claim_work(
    kernel: &Arc<Kernel>,
    request: WorkRequest,
    mut claiming: Option<Claiming>,
) -> Result<ClaimedWork, StoreError> {
    let (kernel, store) = (Arc::downgrade(kernel), Arc::clone(&kernel.store));
    let claiming = async move {
        let work = store.claim_ready(request).await;
        // Without an engine there is no owner any more, and no caller.
        let Some(kernel) = kernel.upgrade() else {
            return Ok(ClaimedWork::default());
        };
        match work {
            Ok(mut rest) => {
                let records = std::mem::take(&mut rest.claimed).into_iter();
                let claimed = records.map(|record| Claimed::new(&kernel, record, claiming.take()));
                Ok(ClaimedWork {
                    claimed: claimed.collect(),
                    rest,
                })
            }
            Err(error) => {
                suspect(&kernel);
                Err(error)
            }
        }
    };
    shield(claiming).await
}
