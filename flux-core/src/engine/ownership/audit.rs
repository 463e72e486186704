//! Compares what the store says this engine owns with what it drives: what is left over is a fault, and is adopted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::kernel::Kernel;
use crate::id::{Epoch, ExecutionId, ExecutionKey};
use crate::store::StoreError;

/// How often an engine that has a worker looks for executions that it owns and does not drive.
pub(crate) const AUDIT_EVERY: Duration = Duration::from_secs(10);

/// How soon it looks after a store call that failed and may have been carried out.
pub(super) const AUDIT_SOON: Duration = Duration::from_secs(1);

/// Why an audit looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditReason {
    /// It is time to: whatever is left over is a fault.
    Routine,
    /// A call of the store failed and may have been carried out: something may be left over.
    Suspicion,
}

/// The looks of one worker, or after one suspicion.
#[derive(Debug)]
pub(crate) struct Audit {
    reason: AuditReason,
    /// What the last look found. Between a commit and its value an execution is owned and in nobody's hands, so one
    /// look proves nothing; an epoch that is still left over at the next one does.
    suspects: BTreeMap<ExecutionKey, Epoch>,
}

impl Audit {
    pub(crate) fn new(reason: AuditReason) -> Self {
        Self {
            reason,
            suspects: BTreeMap::new(),
        }
    }

    /// Whether the next look may adopt something.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Adopts what was left over at the last look and still is: it is released, and so ready for every worker.
    pub(crate) async fn look(&mut self, kernel: &Arc<Kernel>) -> Result<(), StoreError> {
        if self.reason == AuditReason::Routine && kernel.ledger.is_suspicious() {
            return Ok(());
        }
        let owned = kernel.store.owned_by(kernel.owner().await?).await?;
        let mut left_over = BTreeMap::new();
        for record in owned {
            let (key, epoch) = (record.key, record.epoch);
            if kernel.ledger.accounts_for(key, epoch) {
                continue;
            }
            if self.suspects.get(&key) != Some(&epoch) {
                left_over.insert(key, epoch);
                continue;
            }
            self.report(kernel, &record.id);
            // Released as if it had been dropped: that is repeated until it succeeds.
            kernel.ledger.stray(key, epoch);
        }
        self.suspects = left_over;
        Ok(())
    }

    fn report(&self, kernel: &Kernel, id: &ExecutionId) {
        match self.reason {
            AuditReason::Routine => {
                kernel.ledger.count_adopted();
                tracing::warn!(
                    target: "flux::ownership", execution_id = %id,
                    "this engine owned an execution and did not drive it; it is released for the next worker"
                );
            }
            AuditReason::Suspicion => tracing::info!(
                target: "flux::ownership", execution_id = %id,
                "a claim that seemed to have failed was carried out; the execution is released for the next worker"
            ),
        }
    }
}
