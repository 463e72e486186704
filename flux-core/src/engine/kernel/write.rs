//! The engine's writes that others may have to hear of.
//!
//! A store announces what other processes write, not what this one commits. A commit that makes an execution ready,
//! now or at a later time, is therefore announced here to the workers of this engine: every release and every
//! commit of the engine goes through this module, but for those that make it the owner of something: see
//! [`commit_owning`](crate::engine::ownership::commit_owning).

use std::sync::Arc;

use super::shield::shield;
use crate::clock::Timestamp;
use crate::engine::kernel::Kernel;
use crate::id::{Epoch, ExecutionKey};
use crate::store::{Commit, CommitError, Committed, Correction, StoreError, Target, is_to_come};

impl Kernel {
    /// Commits, and calls the workers where that makes something ready.
    pub(crate) fn commit(
        &self,
        commit: Commit,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send {
        let makes_ready = makes_ready(&commit);
        let asleep = Asleep::of(&commit);
        // A commit is large. It moves into the store's future here, so that the future of this call does not hold it, too.
        let writing = self.store.commit(commit);
        async move {
            let committed = writing.await;
            if let Some(asleep) = asleep.filter(|_| may_be_written(&committed)) {
                Box::pin(self.correct(asleep)).await;
            }
            if makes_ready && may_be_written(&committed) {
                self.workers.call();
            }
            committed
        }
    }

    /// Commits an execution that waits for a worker. The commit and the call run to their end even if this future is dropped:
    /// otherwise the workers would not hear of what is written after the caller has left.
    pub(crate) async fn commit_waiting(
        self: &Arc<Self>,
        commit: Commit,
    ) -> Result<Committed, CommitError> {
        let kernel = Arc::clone(self);
        shield(async move { kernel.commit(commit).await }).await
    }

    /// Sees to it that an execution is woken in time whose owner has reckoned by a clock that was set back before the commit was
    /// written: the store may have been told of that in between, so that this execution was not among those that slept.
    async fn correct(&self, asleep: Asleep) {
        let now = self.time.now();
        if !is_to_come(asleep.reckoned_at, now) {
            return;
        }
        let ahead = asleep.reckoned_at.since(now);
        let by = self.time.set_back_by_at_least(ahead).unwrap_or(ahead);
        let correction = Correction {
            wrong: asleep.ready_at,
            right: asleep.ready_at.before(by).max(now),
            now,
        };
        let Asleep { key, epoch, .. } = asleep;
        if let Err(error) = self.store.correct_ready_at(key, epoch, correction).await {
            tracing::warn!(%error, "an execution may sleep for longer by what the clock was set back");
        }
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

/// An execution that a commit puts to sleep until a time.
struct Asleep {
    key: ExecutionKey,
    epoch: Epoch,
    ready_at: Timestamp,
    reckoned_at: Timestamp,
}

impl Asleep {
    fn of(commit: &Commit) -> Option<Self> {
        let Target::Existing { key, epoch } = commit.target else {
            return None;
        };
        let release = commit.change.as_ref()?.release?;
        Some(Self {
            key,
            epoch,
            ready_at: release.ready_at?,
            reckoned_at: release.reckoned_at?,
        })
    }
}

/// Whether an execution without an owner may be ready by this commit, or have a time at which it is.
pub(crate) fn makes_ready(commit: &Commit) -> bool {
    let is_queued = matches!(&commit.target, Target::New(new) if new.owner.is_none())
        || commit
            .children
            .iter()
            .any(|child| child.new.owner.is_none());
    let release = commit.change.as_ref().and_then(|change| change.release);
    is_queued
        || release.is_some_and(|release| release.ready_at.is_some())
        || !commit.outbox.is_empty()
}

pub(crate) fn may_be_written(committed: &Result<Committed, CommitError>) -> bool {
    matches!(committed, Ok(_) | Err(CommitError::Unknown(_)))
}
