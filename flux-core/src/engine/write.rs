//! The engine's writes that others may have to hear of.
//!
//! A store announces what other processes write, not what this one commits. A commit that makes an execution ready,
//! now or at a later time, is therefore announced here to the workers of this engine: every commit and every release of
//! the engine goes through this module.

use std::sync::Arc;

use super::Inner;
use super::ownership::{Ownership, shield};
use crate::clock::Timestamp;
use crate::id::{Epoch, ExecutionKey};
use crate::store::{Commit, CommitError, Committed, StoreError, Target};

impl Inner {
    /// Commits, and calls the workers where that makes something ready.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let makes_ready = makes_ready(&commit);
        let committed = self.store.commit(commit).await;
        if makes_ready && may_be_written(&committed) {
            self.workers.call();
        }
        committed
    }

    /// Commits the start of an execution that this engine drives from then on. The commit runs to its end even if this future is dropped;
    /// the execution is then released.
    pub(crate) async fn commit_start(
        self: &Arc<Self>,
        commit: Commit,
    ) -> Result<(Committed, Ownership), CommitError> {
        let makes_ready = makes_ready(&commit);
        let (engine, store) = (Arc::downgrade(self), Arc::clone(&self.store));
        let start = async move {
            let committed = store.commit(commit).await;
            // Without an engine there is no owner any more, and no caller.
            let engine = engine.upgrade().ok_or(CommitError::Fenced)?;
            if makes_ready && may_be_written(&committed) {
                engine.workers.call();
            }
            match committed {
                Ok(committed) => {
                    let ownership = Ownership::new(&engine, committed.key, Epoch(1));
                    Ok((committed, ownership))
                }
                Err(error) => {
                    if matches!(error, CommitError::Unknown(_)) {
                        engine.ledger.suspect(&engine);
                    }
                    Err(error)
                }
            }
        };
        shield(start).await
    }

    /// Gives an execution up without another change.
    pub(crate) async fn release(
        &self,
        key: ExecutionKey,
        epoch: Epoch,
        ready_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.store.release(key, epoch, ready_at).await?;
        self.workers.call();
        Ok(())
    }
}

/// Whether an execution without an owner may be ready by this commit, or have a time at which it is.
fn makes_ready(commit: &Commit) -> bool {
    let is_queued = matches!(&commit.target, Target::New(new) if new.owner.is_none());
    let release = commit.change.as_ref().and_then(|change| change.release);
    is_queued
        || release.is_some_and(|release| release.ready_at.is_some())
        || !commit.outbox.is_empty()
}

fn may_be_written(committed: &Result<Committed, CommitError>) -> bool {
    matches!(committed, Ok(_) | Err(CommitError::Unknown(_)))
}
