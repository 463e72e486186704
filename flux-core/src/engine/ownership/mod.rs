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
use crate::id::{Epoch, ExecutionKey};
use crate::store::ExecutionRecord;

pub(crate) mod audit;
mod claim;
mod create;
mod settling;

pub(crate) use claim::{
    ClaimedWork, claim, claim_if_free, claim_or_refuse, claim_ready, claim_turn,
};
pub(crate) use create::{Born, Newborn, commit_owning};
pub(crate) use settling::{ensure_settling, settled};

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
            self.kernel.ledger.stray(self.key, self.epoch);
            ensure_settling(&self.kernel);
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
