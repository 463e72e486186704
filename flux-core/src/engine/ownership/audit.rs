//! Compares what the store says this engine owns with what it drives: what is left over is a fault, and is adopted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Ownership;
use crate::engine::{Engine, Inner};
use crate::id::{Epoch, ExecutionKey};
use crate::store::StoreError;

/// How often an engine that has a worker looks for executions that it owns and does not drive.
pub(crate) const AUDIT_EVERY: Duration = Duration::from_secs(10);

/// How soon it looks after a store call that failed and may have been carried out.
pub(super) const AUDIT_SOON: Duration = Duration::from_secs(1);

/// The looks of one worker.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    /// What the last look found. Between a commit and its value an execution is owned and in nobody's hands, so one
    /// look proves nothing; an epoch that is still left over at the next one does.
    suspects: BTreeMap<ExecutionKey, Epoch>,
}

impl Audit {
    /// Whether the next look may adopt something.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Adopts what was left over at the last look and still is: it is released, and so ready for every worker.
    pub(crate) async fn look(&mut self, engine: &Arc<Inner>) -> Result<(), StoreError> {
        let owned = engine.store.owned_by(engine.owner().await?).await?;
        let mut left_over = BTreeMap::new();
        for record in owned {
            let (key, epoch) = (record.key, record.epoch);
            if engine.ledger.accounts_for(key, epoch) {
                continue;
            }
            if self.suspects.get(&key) != Some(&epoch) {
                left_over.insert(key, epoch);
                continue;
            }
            tracing::warn!(
                target: "flux::ownership",
                execution_id = %record.id,
                "this engine owned an execution and did not drive it; it is given to the next worker"
            );
            engine.ledger.count_adopted();
            // Entering it and dropping it leads to a release that is repeated until it succeeds.
            drop(Ownership::new(engine, key, epoch));
        }
        self.suspects = left_over;
        Ok(())
    }
}

impl Engine {
    /// The number of executions that this engine owned without driving them, and that its workers therefore gave to
    /// the next worker. Anything but 0 is a fault of Flux or of its store: please report it.
    pub fn adopted(&self) -> u64 {
        self.inner().ledger.adopted()
    }
}
