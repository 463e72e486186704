//! Who drives an execution, as a value.
//!
//! ```text
//!   claim, claim_ready, the commit of a start ──► Ownership ──► driver ──┬─ a commit that releases ──► discharged
//!            (shielded: run to their end)              │                 └─ an error ──► release ─┐
//!                                                      └─ dropped, wherever that is ──────────────┴─► ledger ──► store
//! ```
//!
//! A claim that is committed makes this engine the owner for as long as its process lives: no other engine takes the
//! execution from it. So every claim yields an [`Ownership`], and an `Ownership` ends in exactly one of two ways: a
//! commit gave the execution up ([`discharge`](Ownership::discharge)), or the store is told to release it, which is
//! repeated until it succeeds. [`audit`] looks for executions that escaped both.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::engine::kernel::drivers::Claiming;
use crate::error::Error;
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::store::{ClaimError, ExecutionRecord, StoreError, Work, WorkRequest};

pub(crate) mod audit;
mod ledger;
mod shield;

pub(crate) use ledger::Ledger;
pub(crate) use ledger::settled;
pub(crate) use shield::shield;

/// This engine owns an execution under one epoch, and has to drive it or give it up.
///
/// Dropping it gives the execution up: the store is told in the background, until it has heard it.
pub(crate) struct Ownership {
    kernel: Arc<Kernel>,
    key: ExecutionKey,
    epoch: Epoch,
    is_owed: bool,
}

/// An execution that was claimed, and the ownership that came of it.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) record: ExecutionRecord,
    pub(crate) ownership: Ownership,
    /// Keeps other claims of this process away until a driver is in the active set. Last, so that it outlives the
    /// ownership.
    claiming: Option<Claiming>,
}

impl Ownership {
    pub(crate) fn new(kernel: &Arc<Kernel>, key: ExecutionKey, epoch: Epoch) -> Self {
        kernel.ledger.enter(key, epoch);
        Self {
            kernel: Arc::clone(kernel),
            key,
            epoch,
            is_owed: true,
        }
    }

    /// A commit gave the execution up, or another owner has it: there is nothing left to release.
    pub(crate) fn discharge(mut self) {
        self.is_owed = false;
        self.kernel.ledger.leave(self.key, self.epoch);
    }

    /// Gives the execution up without another change. Tried at once; if the store fails, or this future is dropped,
    /// it is repeated in the background.
    pub(crate) async fn release(self, ready_at: Option<Timestamp>) {
        let released = self.kernel.release(self.key, self.epoch, ready_at).await;
        match released {
            Ok(()) => self.discharge(),
            Err(error) => {
                tracing::warn!(
                    key = self.key.0, %error,
                    "an execution could not be released; it is tried again until it succeeds"
                );
            }
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        if self.is_owed {
            self.kernel.ledger.stray(&self.kernel, self.key, self.epoch);
        }
    }
}

impl std::fmt::Debug for Ownership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ownership")
            .field("key", &self.key)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Claimed {
    pub(crate) fn new(
        kernel: &Arc<Kernel>,
        record: ExecutionRecord,
        claiming: Option<Claiming>,
    ) -> Self {
        Self {
            ownership: Ownership::new(kernel, record.key, record.epoch),
            record,
            claiming,
        }
    }

    /// A driver of it is in the active set: that keeps other claims away from now on.
    pub(crate) fn entered(&mut self) {
        self.claiming = None;
    }

    /// Gives the execution up as it was claimed; a worker may take it up at once.
    pub(crate) async fn give_back(self) {
        let now = self.ownership.kernel.clock.now();
        self.ownership.release(Some(now)).await;
    }
}

/// Executions that were claimed for a worker.
#[derive(Debug, Default)]
pub(crate) struct ClaimedWork {
    pub(crate) claimed: Vec<Claimed>,
    /// The rest of what the store said; its `claimed` is empty.
    pub(crate) rest: Work,
}

impl Kernel {
    /// Claims an execution for this engine. The claim runs to its end even if this future is dropped; what it then
    /// yields is released.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        claiming: Claiming,
    ) -> Result<Claimed, ClaimError> {
        let owner = self.owner().await.map_err(ClaimError::Failed)?;
        let (kernel, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let claim = async move {
            let claimed = store.claim(claiming.id(), owner).await;
            // Without an engine there is no owner any more, and no caller.
            let kernel = kernel.upgrade().ok_or(ClaimError::NotFound)?;
            match claimed {
                Ok(record) => Ok(Claimed::new(&kernel, record, Some(claiming))),
                Err(error) => {
                    if matches!(error, ClaimError::Failed(_)) {
                        // It may have been carried out nevertheless.
                        kernel.ledger.suspect(&kernel);
                    }
                    Err(error)
                }
            }
        };
        shield(claim).await
    }

    /// Claims an execution for a caller who needs it: refusals are errors that say who has it.
    pub(crate) async fn acquire_or_refuse(
        self: &Arc<Self>,
        id: &ExecutionId,
    ) -> Result<Claimed, Error> {
        let claiming = self.drivers.claim_alone(id).await?;
        match self.acquire(claiming).await {
            Ok(claimed) => Ok(claimed),
            Err(ClaimError::Held { by }) => Err(Error::AlreadyRunning { id: id.clone(), by }),
            Err(ClaimError::NotFound) => Err(self.not_found(id)),
            Err(ClaimError::Failed(error)) => Err(error.into()),
        }
    }

    /// Claims what is ready; shielded as [`acquire`](Self::acquire) is.
    pub(crate) async fn acquire_ready(
        self: &Arc<Self>,
        request: WorkRequest,
    ) -> Result<ClaimedWork, StoreError> {
        self.acquire_work(request, None).await
    }

    /// Claims one execution if it is its turn, and keeps other claims of it away until it is driven.
    pub(crate) async fn acquire_turn(
        self: &Arc<Self>,
        claiming: Claiming,
        request: WorkRequest,
    ) -> Result<ClaimedWork, StoreError> {
        self.acquire_work(request, Some(claiming)).await
    }

    async fn acquire_work(
        self: &Arc<Self>,
        request: WorkRequest,
        mut claiming: Option<Claiming>,
    ) -> Result<ClaimedWork, StoreError> {
        let (kernel, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let claim = async move {
            let work = store.claim_ready(request).await;
            // Without an engine there is no owner any more, and no caller.
            let Some(kernel) = kernel.upgrade() else {
                return Ok(ClaimedWork::default());
            };
            match work {
                Ok(mut rest) => {
                    let records = std::mem::take(&mut rest.claimed).into_iter();
                    let claimed =
                        records.map(|record| Claimed::new(&kernel, record, claiming.take()));
                    Ok(ClaimedWork {
                        claimed: claimed.collect(),
                        rest,
                    })
                }
                Err(error) => {
                    kernel.ledger.suspect(&kernel);
                    Err(error)
                }
            }
        };
        shield(claim).await
    }
}
